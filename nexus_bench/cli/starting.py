"""What is said on stderr while a command starts: its first line comes before PyTorch is imported."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console


@contextmanager
def starting(line: str, doing: str, *, quiet: bool) -> Iterator[None]:
    """Say what was asked for, and show what is being done; in a pipe or a file both in one line.

    Args:
        line: What was asked for.
        doing: What is done in the block.
        quiet: Say nothing.
    """
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if quiet:
        yield
        return
    console.print(line if console.is_terminal else f"{line}; {doing}", soft_wrap=True)
    with console.status(doing) if console.is_terminal else nullcontext():
        yield
