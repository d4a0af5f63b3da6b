"""A live view in the output of a notebook's cell, as rich's `Live` is one on a terminal."""

import io
import time
from collections.abc import Callable

from rich.console import Console, RenderableType

_SECONDS = 0.25  # between two updates
_WIDTH = 110
_MOST_LINES = 30  # that stay above the view


class NotebookView:
    """Text that replaces itself; it needs IPython, which is there where a notebook is.

    Args:
        get_renderable: Gives what is to be shown now.

    Attributes:
        is_started: Whether updates are shown.
    """

    def __init__(self, get_renderable: Callable[[], RenderableType]) -> None:
        self.is_started = False
        self._get_renderable = get_renderable
        self._lines: list[str] = []
        self._shown_at: float | None = None

    def start(self) -> None:
        """Begin to show updates."""
        self.is_started = True

    def tell(self, line: str) -> None:
        """Add a line above the view."""
        self._lines.append(line)

    def refresh(self) -> None:
        """Show what there is now, unless the last update was a moment ago; `stop` always shows it."""
        if self._shown_at is None or time.monotonic() - self._shown_at > _SECONDS:
            self._show()

    def stop(self) -> None:
        """Show the last view, which stays."""
        if self.is_started and (self._lines or self._shown_at is not None):
            self._show()
        self.is_started = False

    def _show(self) -> None:
        from IPython.display import display, update_display

        console = Console(file=io.StringIO(), width=_WIDTH, record=True, force_jupyter=False)
        if (n_left_out := len(self._lines) - _MOST_LINES) > 0:
            console.print(f"... and {n_left_out} more")
        for line in self._lines[-_MOST_LINES:]:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print(self._get_renderable())
        text = "\n".join(line.rstrip() for line in console.export_text().splitlines())
        show = display if self._shown_at is None else update_display
        show({"text/plain": text}, raw=True, display_id=f"nexus-bench-{id(self)}")
        self._shown_at = time.monotonic()
