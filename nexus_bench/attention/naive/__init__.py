"""Every mechanism from its definition: float64, loops over examples, heads and positions, nothing fused.

A mechanism `<name>.py` has its reference in `naive/<name>.py`, or in the module that its `reference` names: one
function `heads(module, x, layout)`, which takes one example (n, d) and returns the heads that W_O is applied to, or the
whole output (n, d).
"""

import importlib
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nexus_bench.attention.base import Attention
from nexus_bench.attention.layout import Layout


def naive(module: Attention[Any], x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
    """The output of a mechanism, computed another way from the same weights.

    Raises:
        ModuleNotFoundError: The mechanism has no reference.
    """
    own = f"{__name__}.{type(module).__module__.rpartition('.')[2]}"
    reference = importlib.import_module(module.reference or own)
    found = [reference.heads(module, one, layout) for one in x]
    return torch.stack(
        [one if isinstance(one, Tensor) else cast(nn.Linear, module.out)(torch.cat(one, dim=1)) for one in found]
    )
