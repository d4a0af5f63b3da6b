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


def reference_of(module: Attention[Any]) -> str | None:
    """The module that holds the reference of a mechanism; None if it names none and is not of this package."""
    package, _, name = type(module).__module__.rpartition(".")
    own = f"{__name__}.{name}" if package == __name__.rpartition(".")[0] else None
    return module.reference or own


def naive(module: Attention[Any], x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
    """The output of a mechanism, computed another way from the same weights.

    Raises:
        LookupError: The mechanism has no reference.
    """
    name = reference_of(module)
    if name is None:
        raise LookupError(f"{module.name} names no `reference`")
    reference = importlib.import_module(name)
    found = [reference.heads(module, one, layout) for one in x]
    return torch.stack(
        [one if isinstance(one, Tensor) else cast(nn.Linear, module.out)(torch.cat(one, dim=1)) for one in found]
    )
