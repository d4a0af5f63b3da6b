"""Hop counts as people write them: `3`, `1-5`, `1,2,4`."""

import re
from typing import Any

from nexus_bench.errors import ConfigError

_LARGEST = 10_000
_MOST_DIGITS = 20


def parse_hops(value: Any) -> tuple[int, ...]:
    """Read hop counts: `3`, `"1-5"`, `"1,2,4"` or a list of integers.

    Returns:
        Ascending distinct hop counts.

    Raises:
        ConfigError: It is none of these, or a hop count is below 1.
    """
    expected = "write hops as 3, 1-5 or 1,2,4"
    if isinstance(value, list | tuple) and all(type(item) is int for item in value):
        hops = list(value)
    elif type(value) is int:
        hops = [value]
    elif isinstance(value, str):
        hops = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
            if match is None:
                raise ConfigError(f"cannot read hops '{value}'; {expected}")
            if longest := [number for number in match.groups() if number and len(number) > _MOST_DIGITS]:
                raise ConfigError(f"hops must be at most {_LARGEST}, got {longest[0][:20]}...")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise ConfigError(f"hops '{value}' run backwards; {expected}")
            _check_largest(last)
            hops.extend(range(first, last + 1))
    else:
        raise ConfigError(f"cannot read hops {value!r}; {expected}")
    if not hops:
        raise ConfigError(f"hops are empty; {expected}")
    if min(hops) < 1:
        raise ConfigError(f"hops must be 1 or more, got {min(hops)}; {expected}")
    _check_largest(max(hops))
    if len(set(hops)) < len(hops):
        raise ConfigError(f"hops {value} contain a hop count twice; {expected}")
    return tuple(sorted(hops))


def _check_largest(hop: int) -> None:
    if hop > _LARGEST:
        raise ConfigError(f"hops must be at most {_LARGEST}, got {hop}")


def format_hops(hops: tuple[int, ...]) -> str:
    """Hop counts as text: `3`, `1-5` or `1,2,4`."""
    if len(hops) > 1 and hops == tuple(range(hops[0], hops[-1] + 1)):
        return f"{hops[0]}-{hops[-1]}"
    return ",".join(str(hop) for hop in hops)
