"""The tables of a leaderboard: mechanisms by families, and what each number is made of and costs."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

import pandas as pd

from nexus_bench.io.packed import where_kept
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import RESULTS
from nexus_bench.report.leaderboard.boards import Board, Line
from nexus_bench.report.leaderboard.standings import Setting, Standing
from nexus_bench.report.tables import Names, interval, names_of, number

BREAK = "\u200b"  # where a heading may break; without width
ABOUT = (
    "Each number is the largest hop that at least half of the seeds reach: their accuracy is 0.95 or more at every hop "
    "asked up to it. Under it: how many seeds reach it (of 0 hops: the smallest hop asked), the 95% Clopper-Pearson "
    "interval of their share, and accuracy as a mean over hops and seeds. It links to its row below, and that to the "
    "report of its run. Columns are sorted by hops, then by the share of seeds, then by accuracy. A place says nothing "
    "of chance: the reports of the runs have the tests. A dash: not asked. No claim: the partial-input ceiling is "
    "itself 0.95 or more, or not known."
)
_AGAIN = "Read as the first table."
_ABOUT_ORIGIN = (
    "One row per model and run. Hop reach is the mean over seeds with its 95% t-interval (none where all seeds agree); "
    "per million parameters, and per TFLOP of the training that was made, it is the same mean and interval divided by "
    "the cost. Accuracy is given at each hop asked."
)


class BoardCell(NamedTuple):
    """A field of a table on the page.

    Attributes:
        text: What is written large.
        small: What stands under it.
        is_kept: Whether that is shown on a phone too.
        score: What the column is sorted by; None: by the text.
        share: Its tint, from 0 to 1; None: none.
        link: Where it leads to; empty: nowhere.
    """

    text: str
    small: tuple[str, ...] = ()
    is_kept: bool = True
    score: float | None = None
    share: float | None = None
    link: str = ""


class BoardRow(NamedTuple):
    """A row and what it is filtered by; `cells` and the first two as in `tables.Row`.

    Attributes:
        cells: The fields; the first is the name of the model.
        models: The model.
        orders: Its attention orders.
        runs: The runs that its numbers come from.
        parameters: The fewest parameters that it has in a setting; None if they are not known.
        task: The family that all of it is about; empty: several.
        anchor: Its place in the address; empty: none.
    """

    cells: list[BoardCell | str]
    models: tuple[str, ...]
    orders: tuple[int, ...]
    runs: tuple[str, ...]
    parameters: int | None
    task: str = ""
    anchor: str = ""


class BoardTable(NamedTuple):
    """As `tables.Table`, with rows of a board."""

    name: str
    title: str
    about: str
    columns: list[str]
    rows: list[BoardRow]
    references: tuple[list[str], ...] = ()


def names_on(board: Board) -> Names:
    """The names of the models of a board, without what all of them share."""
    orders = {line.model: next(iter(line.standings.values())).order for line in board.lines}
    return names_of(pd.DataFrame({"model": list(orders), "order": list(orders.values())}))


def mechanisms(board: Board, names: Names, *, where: int) -> BoardTable:
    """One row per mechanism, one column per family.

    Args:
        board: The board.
        names: `names_on` it.
        where: Number of the board on the page.
    """
    shown = _line_names(board, names)
    places = {setting.number: _places(setting, board.lines) for setting in board.settings}
    rows = []
    for line in board.lines:
        cells: list[BoardCell | str] = [shown[id(line)]]
        for setting in board.settings:
            standing = line.standings.get(setting.number)
            if standing is None:
                cells.append("-")
            else:
                link = f"#{_anchor(where, setting, standing, board)}"
                cells.append(_reached(standing, setting, places[setting.number][standing.place], link))
        sizes = sorted({one.n_params for one in line.standings.values() if one.n_params is not None})
        cells += [_sizes(sizes), ", ".join(line.runs)]
        orders = tuple(dict.fromkeys(one.order for one in line.standings.values()))
        least = sizes[0] if sizes else None
        rows.append(BoardRow(cells, (names.short[line.model],), orders, tuple(line.runs), least))
    columns = ["model", *(setting.task.replace("_", f"_{BREAK}") for setting in board.settings), "parameters", "run"]
    return BoardTable("mechanisms", "Mechanisms by families", ABOUT if where == 1 else _AGAIN, columns, rows)


def origins(board: Board, names: Names, runs: Mapping[str, Path], *, where: int, out: Path | None) -> BoardTable:
    """Where every number comes from, and what it costs: one row per model, run and family.

    Args:
        board: The board.
        names: `names_on` it.
        runs: Name -> folder.
        where: Number of the board on the page.
        out: The folder of the page, from which runs are linked; None: they are not.
    """
    is_one = len(board.settings) == 1
    rows = []
    for line in board.lines:
        for setting in board.settings:
            if (one := line.standings.get(setting.number)) is None:
                continue
            reach = {"mean": one.mean_reach, "low": one.mean_low, "high": one.mean_high}
            mean = interval(reach, digits=1)
            cells: list[BoardCell | str] = [names.short[line.model], *([] if is_one else [one.task])]
            cells += [
                BoardCell(one.run, link=_report_of(runs[one.run], one, out) if out else ""),
                _bracketed(mean),
                " ".join(map(str, one.reaches)) or "-",
                *([str(one.n_failed)] if _has_failed(board) else []),
                f"{one.n_params:,}" if one.n_params else "-",
                _bracketed(_per(reach, (one.n_params or math.nan) / 1e6)),
                _three(one.train_flops / 1e12),
                _bracketed(_per(reach, one.train_flops / 1e12)),
                " ".join(number(value, 3) for value in one.accuracies) or "-",
            ]
            anchor = _anchor(where, setting, one, board)
            model, run = (names.short[line.model],), (one.run,)
            rows.append(BoardRow(cells, model, (one.order,), run, one.n_params, one.task, anchor))
    columns = ["model", *([] if is_one else ["family"]), "report", "hop reach", "of each seed"]
    columns += [*(["failed"] if _has_failed(board) else []), "parameters", "hops/Mparameter", "TFLOP", "hops/TFLOP"]
    title = "Where each number comes from, and what it costs"
    return BoardTable("origins", title, _ABOUT_ORIGIN if where == 1 else _AGAIN, [*columns, "accuracy by hop"], rows)


def _reached(standing: Standing, setting: Setting, score: int, link: str) -> BoardCell:
    accuracy = f"acc. {number(standing.accuracy, 3)}"
    if not standing.n_seeds:
        return BoardCell("failed", score=score, link=link)
    if standing.reach is None:
        return BoardCell("no claim", (accuracy,), score=score, link=link)
    seeds = [f"{standing.n_reached}/{standing.n_seeds} seeds", f"[{standing.low:.2f}, {standing.high:.2f}]"]
    small = [*(["one set"] if math.isnan(standing.low) else seeds), accuracy]
    small += [f"{standing.n_failed} failed"] if standing.n_failed else []
    share = standing.reach / setting.largest
    return BoardCell(counted(standing.reach, "hop"), tuple(small), score=score, share=share, link=link)


def _places(setting: Setting, lines: Sequence[Line]) -> dict[tuple[float, float, float], int]:
    """Place -> its number, the higher the better."""
    found = {line.standings[setting.number].place for line in lines if setting.number in line.standings}
    return {place: score for score, place in enumerate(sorted(found))}


def _line_names(board: Board, names: Names) -> dict[int, str]:
    """Lines -> what they are called; where several runs have one model, with the run."""
    models = [line.model for line in board.lines]
    return {
        id(line): names.short[line.model] + (f" ({', '.join(line.runs)})" if models.count(line.model) > 1 else "")
        for line in board.lines
    }


def _anchor(where: int, setting: Setting, standing: Standing, board: Board) -> str:
    """The place of a row of `origins`."""
    own = [one for line in board.lines if (one := line.standings.get(setting.number)) is not None]
    return f"row-{where}-{setting.number + 1}-{own.index(standing) + 1}"


def _has_failed(board: Board) -> bool:
    return any(one.n_failed for line in board.lines for one in line.standings.values())


def _sizes(sizes: Sequence[int]) -> str:
    if not sizes:
        return "-"
    return f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"


def _per(reach: Mapping[str, float], cost: float) -> str:
    """Hops per unit of cost, with its interval, to three digits."""
    if not cost > 0 or math.isnan(reach["mean"]):
        return "-"
    found = {name: value / cost for name, value in reach.items()}
    return interval(found, digits=_digits(found["mean"]) if found["mean"] else 1)


def _three(value: float) -> str:
    """A number of three significant digits; what was not measured is a dash."""
    return "-" if math.isnan(value) else f"{value:,.{_digits(value)}f}"


def _digits(value: float) -> int:
    """The decimals that make three significant digits."""
    return max(0, 2 - math.floor(math.log10(max(abs(value), 1e-6))))


def _bracketed(told: str) -> BoardCell:
    """`2.5 [2.1, 2.9]` with its interval small."""
    value, bracket, rest = told.partition(" [")
    return BoardCell(value, (f"[{rest}",) if bracket else (), is_kept=False)


def _report_of(run: Path, standing: Standing, out: Path) -> str:
    """The page of a run with the rows of this model, or what there is of it."""
    chosen = urlencode({"task": standing.task, "model": standing.shown_as}, quote_via=quote)
    name = next((name for name in ("report.html", "report.md") if (run / name).is_file()), RESULTS)
    page = where_kept(run.resolve() / name)
    path = quote(Path(os.path.relpath(page, out.resolve())).as_posix())
    return f"{path}#{chosen}" if name == "report.html" else path
