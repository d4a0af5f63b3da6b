"""Counts and lists of things as text, always in the same form."""

from collections.abc import Sequence


def counted(n: int, noun: str) -> str:
    """A count of things as text: `1 hop`, `2,000 hops`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def from_to(fewest: int, most: int) -> str:
    """A range of counts as text: `3`, `1 to 3`."""
    return f"{fewest}" if fewest == most else f"{fewest} to {most}"


def first_of(items: Sequence[str], most: int, noun: str = "") -> str:
    """The first items of a list as text, and how many more there are: `a; b; and 3 more`.

    Args:
        items: What is listed.
        most: How many are named.
        noun: What those that are not named are called, in the plural.
    """
    rest = f"; and {len(items) - most} more" + (f" {noun}" if noun else "")
    return "; ".join(items[:most]) + (rest if len(items) > most else "")
