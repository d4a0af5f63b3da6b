"""What is said on stderr while a command starts: its first line comes before PyTorch is imported."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


@contextmanager
def starting(line: str, doing: str, *, quiet: bool) -> Iterator[None]:
    """On a terminal, say what was asked for, and show what is being done.

    Args:
        line: What was asked for.
        doing: What is done in the block.
        quiet: Say nothing.
    """
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if quiet or not console.is_terminal:
        yield
        return
    console.print(line, soft_wrap=True)
    with console.status(doing):
        yield
