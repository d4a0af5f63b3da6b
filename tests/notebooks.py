"""Running the notebooks of docs/ anew: `python -m tests.notebooks` writes them with new outputs (`make notebooks`)."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.paths import ROOT

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
SETTINGS = "steps, seeds = "  # how the cell begins whose numbers a test makes small
KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path, folder: Path, *, settings: str | None = None, seconds: int = 3600) -> Any:
    """Run a notebook from its first cell to its last.

    Args:
        path: The notebook, which is not changed.
        folder: Where it runs.
        settings: Numbers in the place of its own, as `20, 1`.
        seconds: How long a cell may take.
    """
    notebook = nbformat.read(path, as_version=4)
    if settings is not None:
        (cell,) = (cell for cell in notebook.cells if cell.source.startswith(SETTINGS))
        cell.source = SETTINGS + settings
    client = NotebookClient(notebook, timeout=seconds, resources={"metadata": {"path": str(folder)}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # the time of day
    notebook.metadata = nbformat.from_dict(KERNEL)
    return notebook


def main(paths: list[str]) -> None:
    """Run notebooks, all of them unless some are named, and store them with their outputs."""
    for path in [Path(name) for name in paths] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(path, Path(folder))
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
