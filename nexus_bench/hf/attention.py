"""The attention modules: those of transformers, with a nest in the place of one pass.

A module keeps its class' parameters, their names and their linear modules. These are called as they are wherever
something is added to them, so that adapters, hooks and quantised weights act at every level. Axis letters: b batch, h
heads, g heads of keys and values, r new tokens, n all tokens, e width of a head, d width of the model.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.gpt_neox import modeling_gpt_neox
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXAttention
from transformers.models.llama import modeling_llama
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.qwen2 import modeling_qwen2
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from nexus_bench.attention.levels import climb, side_name
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.errors import ConfigError
from nexus_bench.hf.cache import KEYS, VALUES, NestedLayer, nested_layer

_CACHE_NAMES = (
    "past_key_values",
    "layer_past",
    "cache",
)  # of the argument, which versions and families name differently


class NexusAttention(nn.Module):
    """What all families have in common; the class of a module of the library is set to a subclass of it.

    Attributes:
        letters: What `project` makes.
        options: The reading of the nest.
        gate: One number g, if there is one: the outer attention has Q_1 + g (Q_m - Q_1), and so K and V where they are
            refined. It starts at 0, the attention of the library.
        n_repeats: How often keys and values of a group are repeated before anything is done with them, one for each
            query head: where a reading compares or mixes queries like keys.
        out_name: What the family calls W_O.
        turn: How the family rotates queries and keys.
        eager: Its attention as plain operations.
    """

    letters = "qkv"
    options: NexusOptions
    gate: nn.Parameter | None
    n_repeats: int
    config: Any
    layer_idx: int
    scaling: float
    attention_dropout: float
    out_name: ClassVar[str]
    turn: ClassVar[Callable[..., tuple[Tensor, Tensor]]]
    eager: ClassVar[Callable[..., tuple[Tensor, Tensor]]]

    def nest(self, options: NexusOptions, *, gated: bool) -> None:
        """Set up what the class of the library does not have."""
        self.options = options
        groups = getattr(self, "num_key_value_groups", 1)
        self.n_repeats = 1 if options.inner == "reproject" and options.compare == "qk" else groups
        if self.n_repeats > 1:
            self.num_key_value_groups = 1  # they arrive repeated where the library would repeat them
        like = next(self.parameters())
        dtype = like.dtype if like.is_floating_point() else torch.float32  # quantised weights are whole numbers
        closed = torch.zeros(1, dtype=dtype, device=like.device)
        self.register_parameter("gate", nn.Parameter(closed) if gated else None)

    def project(self, x: Float[Tensor, "b r d"], which: str) -> list[Float[Tensor, "b h r e"]]:
        """Queries, keys and values, one tensor per letter."""
        made = self.projected(x, which)
        return [repeated(side, self.n_repeats) if c != "q" else side for c, side in zip(which, made, strict=True)]

    def projected(self, x: Float[Tensor, "b r d"], which: str) -> list[Float[Tensor, "b g r e"]]:
        """As the family projects."""
        raise NotImplementedError

    def forward(
        self,
        hidden_states: Float[Tensor, "b r d"],
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        attention_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """As in the library; the attention weights are those of the outer attention."""
        caches = [kwargs.pop(name, None) for name in _CACHE_NAMES]
        cache = next((cache for cache in caches if cache is not None), None)  # an empty one is falsy
        if position_embeddings is None:
            raise ConfigError("Nexus attention needs position_embeddings, as the layers of the model pass them")
        arriving = NewPositions(self, cache, position_embeddings, attention_mask, kwargs)
        options, out = self.options, getattr(self, self.out_name)
        first = dict(zip("qkv", self.project(hidden_states, "qkv"), strict=True))
        sides = climb(hidden_states, first, options, arriving, inner=self, outer=self, out=out)
        if self.gate is not None:
            gate = self.gate.to(hidden_states.dtype)
            sides = sides | {c: first[c] + gate * (sides[c] - first[c]) for c in options.refine}
        names = {c: side_name(c, options.order, options) for c in "kv"}
        k = arriving.all_of(names["k"], arriving.turned(sides["k"]))
        v = arriving.all_of(names["v"], sides["v"])
        heads, weights = arriving.outer_pass(arriving.turned(sides["q"]), k, v)
        mixed: Tensor = out(heads.reshape(*hidden_states.shape[:-1], -1).contiguous())
        return mixed, weights


class NewPositions:
    """New tokens, which see those that a cache holds and each other."""

    def __init__(
        self,
        module: NexusAttention,
        cache: Cache | None,
        place: tuple[Tensor, Tensor],
        mask: Tensor | None,
        passed_on: dict[str, Any],
    ) -> None:
        self.module = module
        self.layer: NestedLayer | None = None if cache is None else nested_layer(cache, module.layer_idx)
        if self.layer is not None:
            self.layer.begin()
        self.place = place
        self.mask = mask
        self.passed_on = passed_on
        self.found: dict[str, Tensor] = {}

    def turned(self, x: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h r e"]:
        """Rotated by their places, as the family rotates."""
        return self.module.turn(x, x[:, :0], *self.place)[0]

    def all_of(self, name: str, x: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h n e"]:
        """With those of earlier tokens, kept for later ones; groups are kept once and repeated again."""
        if self.layer is None:
            return x
        if name not in self.found:
            repeats = self.module.n_repeats if self._repeats(name) else 1
            self.found[name] = repeated(self.layer.grow(self._slot(name), x[:, ::repeats]), repeats)
        return self.found[name]

    def attend(
        self, q: Float[Tensor, "b h r e"], k: Float[Tensor, "b h n e"], values: list[Float[Tensor, "b h n e"]]
    ) -> list[Float[Tensor, "b h r e"]]:
        """A(Q, K) times each of the values."""
        return [self._pass(q, k, v)[0].transpose(1, 2) for v in values]

    def outer_pass(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Float[Tensor, "b r h e"], Tensor | None]:
        """The output before W_O, and the weights if the implementation gives them; all of these tokens are kept now."""
        found = self._pass(q, k, v)
        if self.layer is not None:
            self.layer.advance(q.shape[-2])
        return found

    def _pass(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor | None]:
        module = self.module
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(module.config._attn_implementation, module.eager)
        dropout = module.attention_dropout if module.training else 0.0
        found: tuple[Tensor, Tensor | None] = attend(
            module, q, k, v, self.mask, dropout=dropout, scaling=module.scaling, **self.passed_on
        )
        return found

    def _repeats(self, name: str) -> bool:
        """Whether it is the same for all query heads of a group."""
        if self.module.options.inner == "reproject":
            return not name.startswith("q") or name.endswith("mixed")
        return name.split()[0] in ("k1", "v1")

    def _slot(self, name: str) -> str:
        options = self.module.options
        places = {side_name("k", options.order, options): KEYS, side_name("v", options.order, options): VALUES}
        return places.get(name, name)


class _SeparateProjections(NexusAttention):
    """Queries, keys and values come from a linear module each."""

    out_name = "o_proj"

    def projected(self, x: Float[Tensor, "b r d"], which: str) -> list[Float[Tensor, "b g r e"]]:
        """One module a letter."""
        made = (getattr(self, f"{letter}_proj")(x) for letter in which)
        return [side.view(*x.shape[:-1], -1, self.head_dim).transpose(1, 2) for side in made]


class NexusLlamaAttention(_SeparateProjections, LlamaAttention):
    """Nexus attention of a Llama model."""

    turn = staticmethod(modeling_llama.apply_rotary_pos_emb)
    eager = staticmethod(modeling_llama.eager_attention_forward)


class NexusQwen2Attention(_SeparateProjections, Qwen2Attention):
    """Nexus attention of a Qwen2 model."""

    turn = staticmethod(modeling_qwen2.apply_rotary_pos_emb)
    eager = staticmethod(modeling_qwen2.eager_attention_forward)


class NexusGPTNeoXAttention(NexusAttention, GPTNeoXAttention):
    """Nexus attention of a GPT-NeoX model; one module makes all three, head by head."""

    query_key_value: nn.Linear
    head_size: int
    out_name = "dense"
    turn = staticmethod(modeling_gpt_neox.apply_rotary_pos_emb)
    eager = staticmethod(modeling_gpt_neox.eager_attention_forward)

    def projected(self, x: Float[Tensor, "b r d"], which: str) -> list[Float[Tensor, "b h r e"]]:
        """The module packs [q k v] of a head, then those of the next; a plain one makes only what is needed."""
        module, at = self.query_key_value, slice("qkv".index(which[0]), "qkv".index(which[0]) + len(which))
        heads = (-1, 3, self.head_size)
        if which != "qkv" and _is_plain(module):
            weight = module.weight.view(*heads, module.in_features)[:, at].flatten(0, 2)
            bias = None if module.bias is None else module.bias.view(heads)[:, at].flatten()
            made = F.linear(x, weight, bias).view(*x.shape[:-1], -1, len(which), self.head_size)
        else:
            made = module(x).view(*x.shape[:-1], *heads)[..., at, :]
        return [side.transpose(1, 2) for side in made.unbind(-2)]


def _is_plain(module: nn.Module) -> bool:
    """Whether a linear module does nothing but multiply by its weight: no adapter, no hook, no quantised weight."""
    return type(module) is nn.Linear and not module._forward_hooks and not module._forward_pre_hooks


def repeated(x: Float[Tensor, "b g n e"], times: int) -> Float[Tensor, "b h n e"]:
    """Every head several times, one after the other: one for each query head of its group."""
    return x if times == 1 else torch.repeat_interleave(x, times, dim=1)
