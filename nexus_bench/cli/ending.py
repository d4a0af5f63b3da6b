"""The last lines of a command that leaves a report: where it is, and what can be done next."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text


def print_end(run: Path, files: Sequence[Path]) -> None:
    """Print the path of the report, on a terminal as a link, the other files, and the next commands.

    Args:
        run: The run folder.
        files: What was written there.
    """
    console = Console(markup=False, emoji=False, highlight=False)
    page = run / "report.html"
    others = ", ".join(path.name for path in files if path != page)
    lines = [
        Text("report  ").append(str(page), style=f"link {page.absolute().as_uri()}"),
        Text(f"files   {others}"),
        Text(f"next    nexus-bench open {run}"),
        Text("        nexus-bench eval -h    how to ask the models other hops and sizes"),
    ]
    for line in lines:
        console.print(line, soft_wrap=not console.is_terminal)
