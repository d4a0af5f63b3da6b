"""What `nexus-bench check` printed."""


def states(text: str) -> dict[str, str]:
    """Promise -> state."""
    lines = [line.split(": ", 2) for line in text.splitlines()]
    return {promise.partition(" (")[0]: state for _, state, promise in lines}
