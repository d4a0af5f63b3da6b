"""Products with few results and long sums, as gradients of weights are: a pass of the compiler cuts their sums.

A batched product (s, m, k) x (s, k, n) with few results keeps only some of a GPU's processors busy, each with a sum of
k terms. Here the sum is cut into parts, which are computed side by side and added: "split-K", which libraries choose
for single products but not for batched ones. With 6 models of width 128 in a stack, gradients of weights took a third
of a step.
"""

import math

import torch
from torch import Tensor, fx
from torch._inductor.custom_graph_pass import CustomGraphPass, get_hash_for_files
from torch._inductor.pattern_matcher import Arg, CallFunction, Match, PatternMatcherPass, register_graph_pattern

_TILE = 64  # results that one processor computes at a time, in each direction
_BUSY = 264  # tiles that keep a GPU busy: two for each of the 132 processors of an H100
_SHORTEST = 256  # terms that a part must have to be worth it


def n_parts(s: int, m: int, k: int, n: int) -> int:
    """Into how many parts to cut the sums of a batched product; 1 leaves it as it is."""
    tiles = s * math.ceil(m / _TILE) * math.ceil(n / _TILE)
    parts = 1
    while tiles * parts < _BUSY and k % (2 * parts) == 0 and k // (2 * parts) >= _SHORTEST:
        parts *= 2
    return parts


def in_parts(a: Tensor, b: Tensor) -> Tensor:
    """The batched product of a (s, m, k) and b (s, k, n), its sums cut into parts."""
    (s, m, k), n = a.shape, b.shape[2]
    parts = n_parts(s, m, k, n)
    a = a.reshape(s, m, parts, k // parts).transpose(1, 2).reshape(s * parts, m, k // parts)
    b = b.reshape(s * parts, k // parts, n)
    return torch.bmm(a, b).reshape(s, parts, m, n).sum(dim=1)


class LongProducts(CustomGraphPass):
    """For `torch.compile(..., options={"post_grad_custom_pre_pass": LongProducts()})`."""

    def __init__(self) -> None:
        self._patterns = PatternMatcherPass()
        register_graph_pattern(
            CallFunction(torch.ops.aten.bmm.default, Arg(), Arg()),
            extra_check=_is_long,
            pass_dict=self._patterns,
        )(_replace)

    def __call__(self, graph: fx.Graph) -> None:
        """Change the graph in place."""
        self._patterns.apply(graph)

    def uuid(self) -> bytes:
        """Names this version of the pass to the compiler's cache."""
        found: bytes = get_hash_for_files((__file__,))
        return found


def _is_long(match: Match) -> bool:
    a, b = (argument.meta["val"] for argument in match.args)
    return n_parts(a.shape[0], a.shape[1], a.shape[2], b.shape[2]) > 1


def _replace(match: Match, a: fx.Node, b: fx.Node) -> None:
    match.replace_by_example(in_parts, [a, b])
