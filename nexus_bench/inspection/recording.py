"""Attention maps of a model, recorded and changed from outside, without support by the mechanisms.

Axis letters: b graphs, h heads, n positions, k positions that can be attended to.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nexus_bench.errors import UsageError
from nexus_bench.model.batch import Batch
from nexus_bench.model.transformer import Transformer

Edit = Callable[[int, Tensor], Tensor]
_SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


class Place(NamedTuple):
    """The place of an attention pass in the model.

    Attributes:
        layer: Number of the block, from 1.
        loop: Number of the pass through the blocks, from 1.
        level: Level of the nest, from 1, the innermost: one more than the highest level that its queries and keys use.
        path: The inner attention, if each has its own weights, such as `nest.inner.q`; empty if there is only one.
    """

    layer: int
    loop: int
    level: int
    path: str

    @property
    def title(self) -> str:
        """The place in a few words."""
        parts = [f"layer {self.layer}"] if self.layer > 1 else []
        parts += [f"loop {self.loop}"] if self.loop > 1 else []
        return ", ".join([*parts, f"level {self.level}", *([self.path] if self.path else [])])


class Pass(NamedTuple):
    """One attention pass.

    Attributes:
        place: Its place in the model.
        weights: Rows sum to one. A mechanism that attends to pairs of positions has twice the heads: first the
            weights on the first members of the pairs, then those on the second members.
    """

    place: Place
    weights: Float[Tensor, "b h n k"]


def record(model: Transformer, batch: Batch) -> list[Pass]:
    """Run a model and keep every attention map in the order of the passes.

    A map that is applied several times in a row, as in diffusion, counts as one pass.

    Args:
        model: The model, in evaluation mode; its outputs do not change.
        batch: Its input.

    Raises:
        UsageError: The attention has no map: it calls neither fused attention nor a softmax over positions.
    """
    recorder = _Recorder(n_layers=len(model.attentions))
    _run(model, batch, recorder)
    if not recorder.passes:
        raise UsageError(
            f"attention '{model.attentions[0].name}' has no map to record: it calls neither "
            "scaled_dot_product_attention nor a softmax over exactly the positions that can be attended to"
        )
    return recorder.passes


def answer_with(model: Transformer, batch: Batch, edit: Edit) -> Float[Tensor, "b q c"]:
    """The class scores of a model whose attention maps are changed while it runs.

    Args:
        model: The model, in evaluation mode.
        batch: Its input.
        edit: Takes the number of a pass, as in `record`, and its weights; returns the weights to use instead. Weights
            of a mechanism that attends to pairs are (b, h, n, k^2), pair by pair.
    """
    return _run(model, batch, _Recorder(n_layers=len(model.attentions), edit=edit))


def _run(model: Transformer, batch: Batch, recorder: "_Recorder") -> Float[Tensor, "b q c"]:
    with ExitStack() as hooks:
        for attention in model.attentions:
            for name, module in attention.named_modules():
                hooks.callback(module.register_forward_pre_hook(recorder.enter(name)).remove)
                hooks.callback(module.register_forward_hook(recorder.leave).remove)
        with torch.no_grad(), recorder:
            scores: Tensor = model(batch)
    return scores


class _Frame:
    """A module that is running."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.level = 0  # the highest level that has ended in it
        self.newest: tuple[Tensor, ...] = ()  # the newest pass: its map, and what the map was computed from
        self.number = 0  # number of the newest pass


class _Recorder(TorchFunctionMode):
    def __init__(self, *, n_layers: int, edit: Edit | None = None) -> None:
        super().__init__()
        self.passes: list[Pass] = []
        self._edit = edit
        self._n_layers = n_layers
        self._n_begun = 0  # number of attentions of blocks
        self._shape = (0, 0)  # shape of a map: positions, and positions that can be attended to
        self._has_rope = False
        self._stack: list[_Frame] = []

    def enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        """A hook for the beginning of a module; the outermost one knows which positions can be attended to."""

        def hook(module: nn.Module, arguments: Any) -> None:
            if not name:
                x, layout = arguments
                n = x.shape[1]
                self._shape = (n, n if layout.n_keys is None else layout.n_keys)
                self._has_rope = layout.rope
                self._n_begun += 1
            self._stack.append(_Frame(name))

        return hook

    def leave(self, module: nn.Module, arguments: Any, result: Any) -> None:
        """A hook for the end of a module."""
        ended = self._stack.pop()
        if self._stack:
            self._stack[-1].level = max(self._stack[-1].level, ended.level)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if not self._stack:
            return result
        if function is F.scaled_dot_product_attention:
            weights, query, key, value = _map_of(*args, **kwargs)
            number = self._take(weights, query, key)
            return result if self._edit is None or number is None else self._edit(number, weights) @ value
        if function in _SOFTMAX and _axis(*args, **kwargs) in (-1, result.dim() - 1):
            number = self._take(result)
            return result if self._edit is None or number is None else self._edit(number, result)
        return result

    def _take(self, weights: Tensor, *made_from: Tensor) -> int | None:
        """Store a map; returns the number of its pass, or None if it is not a map of positions."""
        n, k = self._shape
        if weights.shape[-1] == k * k and k > 1:  # pairs: the weights on their first and their second members
            pairs = weights.reshape(*weights.shape[:-1], k, k)
            weights = torch.cat([pairs.sum(dim=-1), pairs.sum(dim=-2)], dim=1)
        frame = self._stack[-1]
        if weights.dim() != 4 or weights.shape[-2:] != (n, k):
            return None
        if not self._is_again(frame, weights, made_from):
            frame.level += 1
            frame.newest = (weights, *made_from)
            frame.number = len(self.passes)
            loop, layer = divmod(self._n_begun - 1, self._n_layers)
            self.passes.append(Pass(Place(layer + 1, loop + 1, frame.level, frame.path), weights))
        return frame.number

    def _is_again(self, frame: _Frame, weights: Tensor, made_from: tuple[Tensor, ...]) -> bool:
        """Whether a map is the newest one, applied again.

        Equal maps are not enough, since two levels of a nest can have equal maps. The test is whether queries and keys
        are the same in memory; rotary ones are rotated anew for each pass.
        """
        if len(frame.newest) != 1 + len(made_from) or not torch.equal(frame.newest[0], weights):
            return False
        pairs = zip(frame.newest[1:], made_from, strict=True)
        return self._has_rope or all(a.data_ptr() == b.data_ptr() and a.stride() == b.stride() for a, b in pairs)


def _axis(x: Tensor, dim: int | None = None, *others: Any, **more: Any) -> int | None:
    """The axis of a softmax; the arguments are those of `softmax`."""
    return dim


def _map_of(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weights of `scaled_dot_product_attention`, and its queries, keys and values; same arguments."""
    n_each = query.shape[-3] // key.shape[-3] if enable_gqa else 1
    k, v = (part.repeat_interleave(n_each, dim=-3) for part in (key, value))
    scores = query @ k.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1), query, key, v
