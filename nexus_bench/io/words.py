"""Numbers of things, told in one way."""


def counted(n: int, noun: str) -> str:
    """A number of things as text: `1 hop`, `2,000 hops`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
