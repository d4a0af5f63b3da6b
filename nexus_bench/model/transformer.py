"""The tiny transformer: pre-norm blocks around an attention that is chosen by name.

Axis letters: b graphs, n positions, d width of the model, q queries, c classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import ShortConvolution
from nexus_bench.data.encodings import n_slots, table_size
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Schema
from nexus_bench.model.batch import Batch
from nexus_bench.model.contract import Model
from nexus_bench.model.spec import ModelSpec


def build_attention(spec: ModelSpec, layer: int = 0) -> Attention[Any]:
    """The attention of one block; in a hybrid, layers take turns.

    Raises:
        ConfigError: It is a whole model.
    """
    kinds = ATTENTIONS.get(spec.attention).layers()
    mechanism = kinds[layer % len(kinds)]
    if not issubclass(mechanism, Attention):
        raise ConfigError(f"'{spec.attention}' is a whole model and no attention; `nexus-bench train` takes it")
    return mechanism(spec.d_model, spec.n_heads, mechanism.own_options(spec.options))


class Canon(nn.Module):
    """x + convolution(x), a short causal convolution of each channel.

    Source: Allen-Zhu 2025, "Physics of Language Models: Part 4.1" (SSRN 5240330): Canon layers with a residual. Their
    Canon-B, inside an attention, would be part of that mechanism.
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.convolution = ShortConvolution(d)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Add what the last three places say."""
        out: Tensor = x + self.convolution(x, layout)
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)) at the positions that are still needed."""

    def __init__(self, spec: ModelSpec, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(spec.d_model)
        self.attention = build_attention(spec, layer)
        self.mlp_norm = nn.RMSNorm(spec.d_model)
        self.mlp = nn.Sequential(
            nn.Linear(spec.d_model, spec.mlp_ratio * spec.d_model),
            nn.GELU(),
            nn.Linear(spec.mlp_ratio * spec.d_model, spec.d_model),
        )
        widths = {"A": spec.d_model, "C": spec.d_model, "D": spec.mlp_ratio * spec.d_model}
        self.canon = nn.ModuleDict({place: Canon(widths[place]) for place in spec.canon})

    def forward(
        self, x: Float[Tensor, "b n d"], layout: Layout, read: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "b m d"]:
        """Mix positions, then transform each; `read` takes those that are returned, None returns all."""
        mixed = self.attention(self._canon("A", self.attention_norm(x), layout), layout)
        if mixed.shape != x.shape:
            raise ConfigError(
                f"attention '{self.attention.name}' must return the shape of its input, {tuple(x.shape)}, "
                f"got {tuple(mixed.shape)}; correct its forward"
            )
        x = x + mixed
        if read is not None and not self.canon:
            x = read(x)
        widen, bend, narrow = self.mlp
        hidden = widen(self._canon("C", self.mlp_norm(x), layout))
        out: Tensor = x + narrow(bend(self._canon("D", hidden, layout)))
        return out if read is None or not self.canon else read(out)

    def _canon(self, place: str, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        out: Tensor = self.canon[place](x, layout) if place in self.canon else x
        return out


class Transformer(Model):
    """The own model; its positions are those of a table, rotations, or none."""

    def __init__(self, spec: ModelSpec, schema: Schema, *, seq_len: int) -> None:
        super().__init__(spec, schema, seq_len=seq_len)
        slots = n_slots(schema, spec.encoding)
        if spec.d_model < slots:
            raise ConfigError(f"d_model must be at least {slots}, for the roles of one position, got {spec.d_model}")
        self.n_loops = spec.n_loops
        self.injects = spec.inject
        self.loops_at_random = spec.random_loops
        self.has_rope = spec.position == "rope"
        self.unused_width = spec.d_model % slots  # padded with zeros if the slots do not fill the width
        self.table = nn.Embedding(table_size(schema), spec.d_model // slots)
        self.position = nn.Embedding(seq_len, spec.d_model) if spec.position == "learned" else None
        self.blocks = nn.ModuleList(Block(spec, layer) for layer in range(spec.n_layers))
        self.norm = nn.RMSNorm(spec.d_model)
        self.readout = nn.Linear(spec.d_model, schema.n_classes)

    @property
    def attentions(self) -> list[Attention[Any]]:
        """The attention of each block."""
        return [cast(Block, block).attention for block in self.blocks]

    @property
    def longest(self) -> int | None:
        """The longest sequence that it takes: as long as there are learned positions; None if there is no limit."""
        return None if self.position is None else self.position.num_embeddings

    @classmethod
    def seq_len_of(cls, weights: Mapping[str, Tensor]) -> int:
        """The rows of the table of positions."""
        return len(weights["position.weight"]) if "position.weight" in weights else 1

    def forward(self, batch: Batch) -> Float[Tensor, "b q c"]:
        """Class scores of every query."""
        x = F.pad(look_up(self.table.weight, batch.tokens).flatten(2), (0, self.unused_width))
        if self.position is not None:
            x = x + batch.layout.by_place(self.position.weight, x.shape[1])
        layout = replace(batch.layout, rope=self.has_rope)
        embedded, stop = x, self._stops(batch)
        for loop in range(self.n_loops):
            is_last = loop + 1 == self.n_loops
            before = x
            x = x + embedded if self.injects and loop else x
            for block in self.blocks[:-1]:
                x = block(x, layout)
            x = self.blocks[-1](x, layout, read=batch.read if is_last else None)
            if stop is not None and loop:
                x = torch.where(loop < stop[:, None, None], x, batch.read(before) if is_last else before)
        scores: Tensor = self.readout(self.norm(x))
        return scores

    def _stops(self, batch: Batch) -> Int[Tensor, " b"] | None:
        """In training, after how many loops each graph is read, 1 to n_loops; None if after all.

        The number is a hash of the graph's tokens. So it is uniform over new graphs, and the same in every mode and
        after every kill. Source: random depth in training, Geiping et al. 2025 (arXiv 2502.05171), section 3.3, there
        from a Poisson distribution with a log-normal mean.
        """
        if not (self.loops_at_random and self.training):
            return None
        tokens = batch.tokens.flatten(1).long()
        at = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        mixed = (tokens * (at * 40_503 % 65_521)).sum(dim=1) % 2**20  # constants below 2**31: compilers narrow them
        return 1 + ((mixed * 1_103_515_245 + 12_345) % 2**31 >> 7) % self.n_loops


def look_up(table: Float[Tensor, "r e"], rows: Int[Tensor, "*n"]) -> Float[Tensor, "*n e"]:
    """Rows of a small table.

    On a GPU this is a product with one-hot vectors, since its gradient needs no atomic additions: these are slow where
    many positions share a row, and not repeatable.
    """
    if rows.is_cuda:
        is_row = rows[..., None] == torch.arange(table.shape[0], dtype=rows.dtype, device=rows.device)
        return is_row.to(table.dtype) @ table
    return F.embedding(rows, table)
