"""One aligned line for each cell that ends, without what all cells of the plan share."""

from collections.abc import Mapping, Sequence

from nexus_bench.experiment.records import CellResult
from nexus_bench.io.columns import TEST
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.titles import SEPARATOR

_HEADING = "test accuracy by hop"


def labels_of(cells: Sequence[CellSpec], titles: Mapping[str, str]) -> dict[str, str]:
    """What tells a cell from the others in more than its seed: its title without the parts that all of them share.

    Args:
        cells: The cells.
        titles: Their titles, by cell_id.

    Returns:
        cell_id -> label; where nothing else is left, that of the model.
    """
    parts = {
        cell.cell_id: [part.split(", ") for part in titles[cell.cell_id].split(SEPARATOR)[:-1]]  # the last is the seed
        for cell in cells
    }
    words = [{word for part in told for word in part} for told in parts.values()]
    shared = set.intersection(*words) if words else set()
    labels = {}
    for cell in cells:
        told = [", ".join(word for word in part if word not in shared) for part in parts[cell.cell_id]]
        labels[cell.cell_id] = SEPARATOR.join(filter(None, told)) or cell.label
    return labels


class CellLines:
    """The lines of the cells of a plan.

    Args:
        cells: The cells that are to be trained.
        titles: Their titles, by cell_id.
    """

    def __init__(self, cells: Sequence[CellSpec], titles: Mapping[str, str]) -> None:
        labels = labels_of(cells, titles)
        n_digits = max((len(str(cell.seed)) for cell in cells), default=1)
        widest = max(map(len, labels.values()), default=0)
        self._labels = {
            cell.cell_id: f"{labels[cell.cell_id]:<{widest}}  seed {cell.seed:>{n_digits}}" for cell in cells
        }
        self._width = max(map(len, [_HEADING, *self._labels.values()]))
        self._hops = sorted({hop for cell in cells for hop in cell.task.hops})
        self._n_cells = len(cells)

    @property
    def heading(self) -> str:
        """What stands above the lines."""
        hops = "".join(f"{hop:>5}" for hop in self._hops)
        return f"{'':>{self._count_width}}  {_HEADING:>{self._width}}{hops}   steps    time"

    def line(self, n_ended: int, result: CellResult) -> str:
        """The line of a cell that is done: its place, label, test accuracy at each trained hop, steps and seconds."""
        test = {row["hop"]: row for row in result.rows if row["split"] == TEST}
        first = next(iter(test.values()))
        figures = "".join(f"{test[hop]['accuracy']:>5.2f}" if hop in test else f"{'':>5}" for hop in self._hops)
        count = f"{n_ended}/{self._n_cells}"
        line = f"{count:>{self._count_width}}  {self._labels[result.cell_id]:<{self._width}}{figures}"
        line += f" {first['steps_done']:>7,} {result.timing['train_seconds']:>5.0f} s"
        if (share := result.timing.get("share_of_peak")) is not None:
            line += f", {share:.0%} of peak"
        return line if first["status"] != "given_up" else f"{line}, given up"

    @property
    def _count_width(self) -> int:
        return 2 * len(str(self._n_cells)) + 1
