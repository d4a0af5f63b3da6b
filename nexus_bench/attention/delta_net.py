"""DeltaNet, Gated DeltaNet and DeltaProduct: a memory that corrects what it holds under a key."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import ShortConvolution, merge_heads, split_heads
from nexus_bench.attention.recurrence import decays, delta_rule, unit


class DeltaNetOptions(AttentionOptions):
    """Which of the three it is."""

    n_householder: int = Field(default=1, ge=1, le=3, description="Corrections a position; more than 1: DeltaProduct.")
    eigenvalues: Literal["positive", "signed"] = Field(
        default="positive", description="Of a correction: in [0, 1], or in [-1, 1]."
    )
    gated: bool = Field(default=False, description="A forget gate and an output gate: Gated DeltaNet.")
    conv: bool = Field(default=True, description="Short convolutions of queries, keys and values.")


@ATTENTIONS.register
class DeltaNet(Attention[DeltaNetOptions]):
    """o_t = S_t q_t, with S <- a_t S and then, for each of n_h steps, S <- S + b (v - S k) k^T.

    q, k and v are projections of x, each after a short convolution and a SiLU; q and k have length 1, and q is divided
    by sqrt(d_head). b = sigmoid(x W_b), twice that with `eigenvalues: signed`, so that I - b k k^T can reflect. Without
    `gated` a_t = 1; with it a_t = exp(-exp(A) softplus(x W_a + c)), and the output is multiplied by silu(x W_g). Each
    head's output passes an RMS norm with weights; heads are merged, times W_O. Sequences only; the convolution gives
    positions, so rotary ones are refused. Start values of A and c are the published ones.

    Source: Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule" (arXiv 2406.06484), equation 4;
    Yang et al. 2025, "Gated Delta Networks" (arXiv 2412.06464), equation 10; Siems et al. 2025, "DeltaProduct" (arXiv
    2502.10297), equations 5 and 6; signed eigenvalues: Grazzi et al. 2025 (arXiv 2411.12537).
    """

    name = "delta_net"
    version = 1
    Options = DeltaNetOptions
    takes_sets = False
    takes_rope = False

    def __init__(self, d_model: int, n_heads: int, options: DeltaNetOptions) -> None:
        super().__init__(d_model, n_heads, options)
        n = options.n_householder
        widths = {"q": d_model, "k": n * d_model, "v": n * d_model}
        self.projections = nn.ModuleDict({side: nn.Linear(d_model, w, bias=False) for side, w in widths.items()})
        self.convolutions = nn.ModuleDict({side: ShortConvolution(w) for side, w in widths.items() if options.conv})
        self.beta = nn.Linear(d_model, n * n_heads, bias=False)
        self.norm = nn.RMSNorm(d_model // n_heads, eps=1e-5)
        if options.gated:
            self.forget = nn.Linear(d_model, n_heads, bias=False)
            self.log_rate, self.shift = rates(n_heads)
            self.gate = nn.Linear(d_model, d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """All positions at once."""
        q, k, v = (self._side(side, x, layout) for side in "qkv")
        beta = self._steps(self.beta(x), layout).squeeze(-1).sigmoid()
        if self.options.eigenvalues == "signed":
            beta = 2 * beta
        rate = x.new_zeros(*x.shape[:2], self.n_heads)
        if self.options.gated:
            rate = -self.log_rate.exp() * F.softplus(self.forget(x) + self.shift)
        scale = q.shape[-1] ** -0.5
        heads = self.norm(delta_rule(unit(q) * scale, unit(k), v, beta, decays(rate, layout)).to(x.dtype))
        merged = merge_heads(heads)
        if self.options.gated:
            merged = merged * F.silu(self.gate(x))
        mixed: Tensor = self.out(merged)
        return mixed

    def _side(self, side: str, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b h m e"]:
        projected = self.projections[side](x)
        if self.options.conv:
            projected = self.convolutions[side](projected, layout)
        activated = F.silu(projected)
        return split_heads(activated, self.n_heads) if side == "q" else self._steps(activated, layout)

    def _steps(self, x: Float[Tensor, "b n w"], layout: Layout) -> Float[Tensor, "b h m e"]:
        """The steps of each position in turn, as positions; heads are parts of a step."""
        b, n, _ = x.shape
        return x.reshape(b, n * self.options.n_householder, self.n_heads, -1).transpose(1, 2)


def rates(n_heads: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Start values of the decay: the logarithm of a rate in [1, 16], and what softplus turns into a step of .001 to .1.

    Source: Dao and Gu 2024 (arXiv 2405.21060), in the published code of Mamba-2.
    """
    step = torch.exp(torch.empty(n_heads).uniform_(math.log(0.001), math.log(0.1)))
    return nn.Parameter(torch.empty(n_heads).uniform_(1, 16).log()), nn.Parameter(step + torch.log(-torch.expm1(-step)))
