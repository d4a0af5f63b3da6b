"""A leaderboard as one page, made of the parts of the page of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from nexus_bench.io.plurals import counted
from nexus_bench.report.charts.palette import palette_of
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.report.leaderboard.boards import Board, boards_of, leaders
from nexus_bench.report.leaderboard.charts import PER_PARAMETER, cost_pictures, models_of
from nexus_bench.report.leaderboard.standings import GatheredStandings
from nexus_bench.report.leaderboard.tables import BoardCell, BoardRow, BoardTable, mechanisms, names_on, origins
from nexus_bench.report.page.report_page import as_script, rendered
from nexus_bench.report.tables import COSTS

_PARTS = Path(__file__).parent
_STEPS = (1, 2, 5)  # of the limits of parameters, times a power of ten
_MOST_CHIPS = 24  # models in a legend that is open at first
_AT_DESK = (*COSTS, "run", "of each seed", "TFLOP", "accuracy by hop")


class BoardSection(NamedTuple):
    """A board as the page shows it; the first five as in `section.Section`, `task` with all of its families."""

    title: str
    task: str
    tables: list[BoardTable]
    notes: list[str]
    pictures: list[Picture]
    shape: str


def to_page(
    gathered: GatheredStandings,
    runs: Mapping[str, Path],
    examples: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    *,
    out: Path,
) -> str:
    """The leaderboard as one HTML page that needs no other file and no network.

    Args:
        gathered: The settings and standings.
        runs: Name -> folder.
        examples: What models answered, as `inspection.answered_examples` gives it.
        notes: Further sentences on what is not shown.
        out: The folder of the page.
    """
    boards = boards_of(gathered)
    names = [names_on(board) for board in boards]
    models = models_of(boards, [one.short for one in names])
    palette = palette_of(models)
    sections = []
    for number, (board, own) in enumerate(zip(boards, names, strict=True), start=1):
        made = [mechanisms(board, own, where=number), origins(board, own, runs, where=number, out=out)]
        pictures = cost_pictures(board, own.short, palette, suffix=f"_{number}")
        families = " ".join(setting.task for setting in board.settings)
        told = _notes(board, own.common, gathered)
        if not any(picture.name.startswith(PER_PARAMETER) for picture in pictures):
            told.append("Parameters differ by less than 1%, so reach is not drawn against them.")
        sections.append(BoardSection(board.title, families, made, told, pictures, board.shape))
    sizes = [one.n_params for one in gathered.standings if one.n_params]
    return rendered(
        _PARTS / "leaderboard.html",
        title="nexus-bench: leaderboard",
        finding=[sentence.replace("`", "") for sentence in sentences(gathered, boards, notes)],
        provenance=(),
        sections=sections,
        downloads={},
        is_wide=lambda picture: any(picture in one.pictures and " " in one.task for one in sections),
        attributes=_attributes,
        as_cell=_as_cell,
        of_row=lambda row: _of_row(row, list(runs)),
        are_tables_first=True,
        is_legend_open=len(models) <= _MOST_CHIPS,
        runs=list(runs),
        shapes=list(dict.fromkeys(board.shape for board in boards)),
        limits=_limits(sizes),
        examples=(),
        answers=as_script(list(examples)) if examples else "",
        board_script=(_PARTS / "leaderboard.js").read_text(encoding="utf-8"),
    )


def sentences(gathered: GatheredStandings, boards: Sequence[Board], notes: Sequence[str]) -> list[str]:
    """What the page begins with: how much there is, who came furthest, and what is left out."""
    families = list(dict.fromkeys(setting.task for setting in gathered.settings))
    n_models = len({(one.model, one.run) for one in gathered.standings})
    n_runs = len({one.run for one in gathered.standings})
    told = f"{counted(n_models, 'model')} of {counted(n_runs, 'run')} on {_families(len(families))}"
    if len(gathered.settings) > len(families):
        told += f", in {counted(len(gathered.settings), 'setting')}"
    first = f"{told}. What was trained or asked differently is never ranked in one column."
    furthest = [f"{leaders(board, names_on(board).short)}." for board in boards]
    return [first, *furthest, *(f"{note}." for note in (*gathered.left_out, *notes))]


def _families(n: int) -> str:
    return "1 family" if n == 1 else f"{n} families"


def _notes(board: Board, common: Sequence[str], gathered: GatheredStandings) -> list[str]:
    """What all models share, what each column asks, and where else its family is asked."""
    notes = [f"All of these models: {', '.join(common)}."] if common else []
    notes += [f"{setting.title}." for setting in board.settings]
    for setting in board.settings:
        others = [one for one in gathered.settings if one.task == setting.task and one.number != setting.number]
        if others:
            notes.append(
                f"{setting.task} stands in {counted(len(others), 'other table')} too, which cannot be compared with "
                f"this one ({setting.apart}): {'; '.join(one.apart for one in others)}."
            )
    return notes


def _limits(sizes: Sequence[int]) -> list[int]:
    """Limits of parameters that leave out some models but not all."""
    if not sizes:
        return []
    steps = [step * 10**power for power in range(len(str(max(sizes)))) for step in _STEPS]
    return [step for step in steps if min(sizes) <= step < max(sizes)]


def _of_row(row: BoardRow, runs: Sequence[str]) -> Markup:
    """What a row is filtered by, and its place in the address."""
    parts = [Markup(' data-runs="{}"').format(",".join(str(runs.index(run)) for run in row.runs))]
    parts += [Markup(' data-parameters="{}"').format(row.parameters)] if row.parameters else []
    parts += [Markup(' data-task="{}"').format(row.task)] if row.task else []
    parts += [Markup(' id="{}"').format(row.anchor)] if row.anchor else []
    return Markup("").join(parts)


def _attributes(table: BoardTable, column: int, cells: Sequence[BoardCell | str] = ()) -> Markup:
    """What is not shown on a phone, what a column is sorted by, and its tint; as `report_page._attributes`."""
    if table.columns[column] in _AT_DESK:
        return Markup(' class="at-desk"')
    value = cells[column] if cells else ""
    if not isinstance(value, BoardCell):
        return Markup("")
    score = Markup("") if value.score is None else Markup(' data-score="{}"').format(value.score)
    tint = Markup("") if value.share is None else Markup(' style="--share: {}"').format(f"{value.share:.2f}")
    return score + tint


def _as_cell(value: BoardCell | str) -> Markup:
    if not isinstance(value, BoardCell):
        return Markup("{}").format(value)
    text = (
        Markup('<a href="{}">{}</a>').format(value.link, value.text) if value.link else Markup("{}").format(value.text)
    )
    small = Markup(' <small class="kept">{}</small>' if value.is_kept else " <small>{}</small>")
    return text + Markup("").join(small.format(one) for one in value.small)
