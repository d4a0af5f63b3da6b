"""What accuracies are compared with, chance, shortcuts and ceilings of every split: computed beside the training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from nexus_bench.experiment.sources import open_source
from nexus_bench.io.columns import TEST, VAL, Row
from nexus_bench.io.processes import fork_server, start_apart
from nexus_bench.shortcuts.references import reference_columns
from nexus_bench.training.row import CellSource
from nexus_bench.training.spec import CellSpec

_BySplit = dict[str, dict[int, Row]]  # split -> hop -> columns


class References:
    """The references of the cells of a run. They depend on the task and the seed alone.

    Args:
        data: Dataset folder that the cells are trained on; None means the endless stream of the task.
    """

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._known: dict[str, _BySplit] = {}
        self._coming: Connection | None = None

    def beside(self, rows: Sequence[Row], cell: CellSpec) -> list[Row]:
        """Rows of a cell with their references."""
        by_split = self._of(cell)
        return [row | by_split[row["split"]][row["hop"]] for row in rows]

    @contextmanager
    def ahead(self, cells: Sequence[CellSpec]) -> Iterator[None]:
        """Compute the references of cells in a process of their own, in their order, while the cells are trained."""
        context = fork_server(__name__)
        distinct = {cell.source_key: cell for cell in cells}
        self._coming, sender = context.Pipe(duplex=False)
        process = context.Process(target=_compute, args=(distinct, self._data, sender), daemon=True)
        start_apart(process)
        sender.close()
        try:
            yield
        finally:
            process.kill()
            process.join()
            self._coming.close()
            self._coming = None

    def _of(self, cell: CellSpec) -> _BySplit:
        key = cell.source_key
        while key not in self._known and self._coming is not None:
            try:
                known, found = self._coming.recv()
            except (EOFError, OSError):  # it is done, or it died: then what lacks is computed here
                break
            self._known[known] = found
        if key not in self._known:
            self._known[key] = _references(open_source(cell, self._data))
        return self._known[key]


def _references(source: CellSource) -> _BySplit:
    held = source.held_out
    return {
        split: reference_columns(held[VAL if split == TEST else TEST].examples, held[split], source.law.schema)
        for split in held
    }


def _compute(cells: dict[str, CellSpec], data: Path | None, sender: Connection) -> None:
    torch.set_num_threads(1)
    for key, cell in cells.items():
        try:
            sender.send((key, _references(open_source(cell, data))))
        except OSError:
            return
