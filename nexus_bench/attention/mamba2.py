"""Mamba-2: a state space with one decay a head, the structured state-space dual of masked attention."""

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.delta_net import rates
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import ShortConvolution, merge_heads, split_heads
from nexus_bench.attention.recurrence import decays, linear_rule


class Mamba2Options(AttentionOptions):
    """Its widths."""

    d_state: int = Field(default=64, ge=1, le=4096, description="Width of the state of each channel.")
    expand: int = Field(default=2, ge=1, le=16, description="Inner width over d_model.")


@ATTENTIONS.register
class Mamba2(Attention[Mamba2Options]):
    """h_t = a_t h_{t-1} + dt_t B_t x_t, y_t = C_t . h_t + D x_t, with a_t = exp(-exp(A) dt_t) for each head.

    z, x, B, C and dt are projections of the input; x, B and C pass a short convolution with a bias and a SiLU, dt =
    softplus(. + c). B and C serve all heads. The output is norm(y silu(z)) W_O, an RMS norm with weights. Sequences
    only; the convolution gives positions, so rotary ones are refused. It has no softmax, so `inspect` shows no map.

    Source: Dao and Gu 2024, "Transformers are SSMs" (arXiv 2405.21060), sections 3 and 7; its `d_state` is 128.
    """

    name = "mamba2"
    version = 1
    Options = Mamba2Options
    takes_sets = False
    takes_rope = False

    def __init__(self, d_model: int, n_heads: int, options: Mamba2Options) -> None:
        super().__init__(d_model, n_heads, options)
        inner = options.expand * d_model
        self.project = nn.Linear(d_model, 2 * inner + 2 * options.d_state + n_heads, bias=False)  # z, x, B, C, dt
        self.convolution = ShortConvolution(inner + 2 * options.d_state)
        self.convolution_bias = nn.Parameter(torch.zeros(inner + 2 * options.d_state))
        self.log_rate, self.shift = rates(n_heads)
        self.skip = nn.Parameter(torch.ones(n_heads))
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """All positions at once."""
        inner = self.out.in_features
        z, mixed, dt = torch.split(self.project(x), [inner, inner + 2 * self.options.d_state, self.n_heads], dim=-1)
        mixed = F.silu(self.convolution(mixed, layout) + self.convolution_bias)
        u, b, c = torch.split(mixed, [inner, self.options.d_state, self.options.d_state], dim=-1)
        dt = F.softplus(dt + self.shift)
        heads = split_heads(u, self.n_heads)
        kept = decays(-self.log_rate.exp() * dt, layout)
        y = linear_rule(c[:, None], b[:, None], heads * dt.transpose(1, 2)[..., None], kept)
        y = y + self.skip[:, None, None] * heads
        out: Tensor = self.out(self.norm(merge_heads(y).to(x.dtype) * F.silu(z)))
        return out
