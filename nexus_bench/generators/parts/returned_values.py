"""What the methods of a family return, checked where it enters the package: one line says what is wrong."""

from typing import Any, TypeVar

import numpy as np

from nexus_bench.errors import ConfigError
from nexus_bench.streams import Int

T = TypeVar("T", bound=tuple[Any, ...])


def must_be(name: str, method: str, value: object, kind: type[T]) -> T:
    """A named tuple as a method returned it.

    Args:
        name: The family.
        method: The method.
        value: What it returned.
        kind: The class that it must be of.

    Raises:
        ConfigError: It is of another.
    """
    if isinstance(value, kind):
        return value
    wanted = f"{kind.__name__}({', '.join(kind._fields)})"  # type: ignore[attr-defined]
    raise ConfigError(f"{name}: `{method}` must return {wanted}, got {_what(value)}")


def integers_of(name: str, what: str, value: object, shape: tuple[int, ...]) -> Int:
    """An array of int32 as a method returned it.

    Args:
        name: The family.
        what: The array and its method, in words.
        value: What it returned.
        shape: The shape that it must have; -1 is any length.

    Raises:
        ConfigError: It is no such array.
    """
    if isinstance(value, np.ndarray) and value.dtype == np.int32 and value.ndim == len(shape):
        if all(wanted in (-1, n) for wanted, n in zip(shape, value.shape, strict=True)):
            return value
    wanted = ", ".join("any" if n < 0 else str(n) for n in shape) + ("," if len(shape) == 1 else "")
    raise ConfigError(f"{name}: {what} must be int32 of the shape ({wanted}), got {_what(value)}")


def is_number(name: str, method: str, value: object) -> float:
    """A probability as a method returned it.

    Args:
        name: The family.
        method: The method.
        value: What it returned.

    Raises:
        ConfigError: It is no number.
    """
    if isinstance(value, float | int | np.floating) and not isinstance(value, bool):
        return float(value)
    raise ConfigError(f"{name}: `{method}` must return a number from 0 to 1, got {_what(value)}")


def is_count(name: str, method: str, value: object, most: int) -> int:
    """A number of things.

    Args:
        name: The family.
        method: The method or property.
        value: What it returned.
        most: The largest number that is allowed; the smallest is 1.

    Raises:
        ConfigError: It is no such number.
    """
    got = _what(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if 1 <= value <= most:
            return int(value)
        got = str(value)
    raise ConfigError(f"{name}: `{method}` must be a whole number from 1 to {most}, got {got}")


def _what(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of {value.shape}"
    return "None" if value is None else f"a {type(value).__name__}"
