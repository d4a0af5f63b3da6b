"""Values as Python gives them, turned into what YAML holds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Hops = int | str | Sequence[int]


def plain(value: Any) -> Any:
    """Tuples, ranges and arrays as lists, numbers of NumPy as Python's; everything else stays."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple | range):
        return [plain(item) for item in value]
    return value


def without_none(**values: Any) -> dict[str, Any]:
    """Only the values that were given."""
    return {key: value for key, value in values.items() if value is not None}
