"""What is said on stderr while a command starts: its first line comes before PyTorch is imported."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console

_DOING = "starting PyTorch"


@contextmanager
def starting(line: str, *, quiet: bool) -> Iterator[None]:
    """Say what was asked for, and show that PyTorch is started in the block; in a pipe or a file both in one line.

    Args:
        line: What was asked for.
        quiet: Say nothing.
    """
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if quiet:
        yield
        return
    console.print(line if console.is_terminal else f"{line}; {_DOING}", soft_wrap=True)
    with console.status(_DOING) if console.is_terminal else nullcontext():
        yield
