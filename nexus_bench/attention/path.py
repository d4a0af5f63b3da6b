"""PaTH attention: positions are products of reflections that depend on the data."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import ALL, Layout
from nexus_bench.attention.parts import PackedProjections, ShortConvolution, mask, merge_heads, split_heads
from nexus_bench.attention.recurrence import exact, solve, strictly_before, unit, wide


@ATTENTIONS.register
class Path(Attention[AttentionOptions]):
    """softmax over j of k_j . H_{j+1} .. H_i q_i / sqrt(d_head), with H_t = I - b_t w_t w_t^T; times V, times W_O.

    w is a projection of x through 32 channels, with a short convolution and a SiLU, of length 1; b = 2 sigmoid(. + c).
    Sequences only; no other positions are needed, and rotary ones are refused. The products are one triangular solve:
    with L = strictly lower(diag(b) W W^T),

        lower(Q K^T) - lower(Q W^T) (I + L)^-1 strictly lower(diag(b) W K^T)

    Time is O(n^2 d + n^3 h), memory O(n^2) per head.

    Source: Yang et al. 2025, "PaTH Attention" (arXiv 2505.16381), sections 2 and 3.
    """

    name = "path"
    version = 1
    takes_sets = False
    takes_rope = False

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        self.projections = PackedProjections(d_model, n_heads)
        self.out = nn.Linear(d_model, d_model, bias=False)
        self.reflect = nn.Sequential(nn.Linear(d_model, 32, bias=False), nn.Linear(32, d_model, bias=False))
        self.convolution = ShortConvolution(d_model, width=3)
        self.beta = nn.Linear(d_model, n_heads)

    def forward(self, x: Float[Tensor, "b n d"], layout: Layout = ALL) -> Float[Tensor, "b n d"]:
        """All positions at once."""
        q, k, v = self.projections.project(x, "qkv")
        w = unit(split_heads(F.silu(self.convolution(self.reflect(x), layout)), self.n_heads))
        beta = 2 * self.beta(x).sigmoid().transpose(1, 2)
        scores = mask(path_scores(q, k, w, beta, layout) / q.shape[-1] ** 0.5, layout)
        mixed: Tensor = self.out(merge_heads(scores.softmax(dim=-1).to(v.dtype) @ v))
        return mixed


def path_scores(
    q: Float[Tensor, "b h n e"],
    k: Float[Tensor, "b h n e"],
    w: Float[Tensor, "b h n e"],
    beta: Float[Tensor, "b h n"],
    layout: Layout,
) -> Float[Tensor, "b h n n"]:
    """k_j . H_{j+1} .. H_i q_i for each position i (row) and each j that it may see."""
    n = q.shape[2]
    before, allowed = strictly_before(layout, n, q.device), layout.allowed(n, device=q.device)
    with exact(q):
        q, k, w, scaled = wide(q), wide(k), wide(w), wide(beta)[..., None] * wide(w)
        inner = solve(scaled @ w.transpose(-1, -2) * before, scaled @ k.transpose(-1, -2) * before)
        return q @ k.transpose(-1, -2) - (q @ w.transpose(-1, -2) * allowed) @ inner
