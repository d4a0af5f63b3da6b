"""Floating-point operations, as PyTorch counts them."""

import copy
import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nexus_bench.attention.base import Attention
from nexus_bench.attention.layout import Layout


def _of_a_solve(a: Sequence[int], b: Sequence[int], *_: object, **__: object) -> int:
    """One multiplication and one addition for each entry of the triangle and each right-hand side."""
    return math.prod(b) * a[-1]


_SOLVES = {torch.ops.aten.linalg_solve_triangular: _of_a_solve}


def count_flops(*steps: Callable[[], object]) -> list[int]:
    """Floating-point operations of each of several steps: matrix products and triangular solves.

    Attention is counted unfused and without regard to masks, so that the count is the same on every device; what a
    mask forbids is counted all the same. On tensors of the `meta` device nothing is computed.
    """
    counts = []
    for step in steps:
        with ExitStack() as stack:
            counter = stack.enter_context(FlopCounterMode(display=False, custom_mapping=_SOLVES))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            step()
        counts.append(int(counter.get_total_flops()))
    return counts


def count_pass(attention: Attention[Any], layout: Layout, n: int) -> int | None:
    """Floating-point operations of one forward and one backward pass over n positions; None if they cannot be counted.

    Nothing is computed. What the mechanism counts itself (`uncounted_flops`) is that of a forward pass, and a backward
    pass is taken as two of these.
    """
    module = copy.deepcopy(attention).to("meta", torch.float32)
    x = torch.empty(1, n, attention.d_model, device="meta", requires_grad=True)
    try:
        counted = count_flops(lambda: module(x, layout).sum().backward())[0]
    except Exception:  # whatever a kernel without a form for such tensors raises
        return None
    return counted + 3 * attention.uncounted_flops(n)
