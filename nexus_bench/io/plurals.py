"""Counts of things as text, always in the same form."""


def counted(n: int, noun: str) -> str:
    """A count of things as text: `1 hop`, `2,000 hops`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
