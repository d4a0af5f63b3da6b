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
from nexus_bench.data.encodings import n_slots, table_size
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Schema
from nexus_bench.model.batch import Batch
from nexus_bench.model.contract import Model
from nexus_bench.model.spec import ModelSpec


def build_attention(spec: ModelSpec) -> Attention[Any]:
    """The attention of one block.

    Raises:
        ConfigError: It is a whole model.
    """
    mechanism = ATTENTIONS.get(spec.attention)
    if not issubclass(mechanism, Attention):
        raise ConfigError(f"'{spec.attention}' is a whole model and no attention; `nexus-bench train` takes it")
    return mechanism(spec.d_model, spec.n_heads, mechanism.Options.model_validate(spec.options))


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)) at the positions that are still needed."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(spec.d_model)
        self.attention = build_attention(spec)
        self.mlp_norm = nn.RMSNorm(spec.d_model)
        self.mlp = nn.Sequential(
            nn.Linear(spec.d_model, spec.mlp_ratio * spec.d_model),
            nn.GELU(),
            nn.Linear(spec.mlp_ratio * spec.d_model, spec.d_model),
        )

    def forward(
        self, x: Float[Tensor, "b n d"], layout: Layout, read: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "b m d"]:
        """Mix positions, then transform each; `read` takes those that are returned, None returns all."""
        mixed = self.attention(self.attention_norm(x), layout)
        if mixed.shape != x.shape:
            raise ConfigError(
                f"attention '{self.attention.name}' must return the shape of its input, {tuple(x.shape)}, "
                f"got {tuple(mixed.shape)}; correct its forward"
            )
        x = x + mixed
        if read is not None:
            x = read(x)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Transformer(Model):
    """The own model; its positions are those of a table, rotations, or none."""

    def __init__(self, spec: ModelSpec, schema: Schema, *, seq_len: int) -> None:
        super().__init__(spec, schema, seq_len=seq_len)
        slots = n_slots(schema, spec.encoding)
        if spec.d_model < slots:
            raise ConfigError(f"d_model must be at least {slots}, for the roles of one position, got {spec.d_model}")
        self.n_loops = spec.n_loops
        self.has_rope = spec.position == "rope"
        self.unused_width = spec.d_model % slots  # padded with zeros if the slots do not fill the width
        self.table = nn.Embedding(table_size(schema), spec.d_model // slots)
        self.position = nn.Embedding(seq_len, spec.d_model) if spec.position == "learned" else None
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.n_layers))
        self.norm = nn.RMSNorm(spec.d_model)
        self.readout = nn.Linear(spec.d_model, schema.n_classes)

    @property
    def attentions(self) -> list[Attention[Any]]:
        """The attention of each block."""
        return [cast(Block, block).attention for block in self.blocks]

    @property
    def longest(self) -> int | None:
        """As many as there are learned positions."""
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
        blocks = list(self.blocks) * self.n_loops
        for block in blocks[:-1]:
            x = block(x, layout)
        scores: Tensor = self.readout(self.norm(blocks[-1](x, layout, read=batch.read)))
        return scores


def look_up(table: Float[Tensor, "r e"], rows: Int[Tensor, "*n"]) -> Float[Tensor, "*n e"]:
    """Rows of a small table.

    On a GPU this is a product with one-hot vectors, since its gradient needs no atomic additions: these are slow where
    many positions share a row, and not repeatable.
    """
    if rows.is_cuda:
        is_row = rows[..., None] == torch.arange(table.shape[0], dtype=rows.dtype, device=rows.device)
        return is_row.to(table.dtype) @ table
    return F.embedding(rows, table)
