"""What a model costs: parameters, and floating-point operations as PyTorch counts them."""

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_flops(*steps: Callable[[], object]) -> list[int]:
    """Floating-point operations of matrix products in each of several steps, run one after the other.

    Attention is counted unfused and without regard to masks, so that the figure is the same on every device. On tensors
    of the `meta` device nothing is computed.
    """
    counts = []
    for step in steps:
        with ExitStack() as stack:
            counter = stack.enter_context(FlopCounterMode(display=False))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            step()
        counts.append(int(counter.get_total_flops()))
    return counts


def n_parameters(module: torch.nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in module.parameters())
