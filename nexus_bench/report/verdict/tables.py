"""The tables of a verdict: what each family says, every figure linked to its row."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, NOT_TESTED, TOO_FEW, WORSE
from nexus_bench.io.hops import format_hops
from nexus_bench.report.verdict.study import DeclaredOutcome, StudiedFamily, StudiedModel, Study

MISSING = "missing"
SAID = {BETTER: "further", WORSE: "less far", NOT_SHOWN: "no difference shown", NOT_TESTED: "not tested"}
SAID |= {TOO_FEW: "too few seeds", MISSING: "missing"}
_SECTION_OF_REACHES = "hop-reach-and-what-it-costs"  # the table `reach` on the page of a family
_NO_CLAIM = "*"  # behind the name of a family of which no hop beyond the first can be claimed


class Measure(NamedTuple):
    """What a model is judged by beside its reach.

    Attributes:
        name: In words.
        table: Where it stands.
        column: Its heading; None: that of the most hops that any model has learned.
        is_better_if_more: Whether more is better.
    """

    name: str
    table: str
    column: str | None
    is_better_if_more: bool = True


MEASURES = (
    Measure("hops per million parameters", "reach", "hops/Mparameter"),
    Measure("hops per GFLOP of a step", "reach", "hops/GFLOP"),
    Measure("hops per PFLOP of training", "training", "hops/PFLOP"),
    Measure("fewest steps to 0.95", "steps", None, is_better_if_more=False),
)


class Theory(NamedTuple):
    """How far attention of order m could reach.

    Attributes:
        name: The formula.
        of: Order -> hops.
        why: What would walk so far.
    """

    name: str
    of: Callable[[int], int]
    why: str


THEORIES = (
    Theory("m", lambda m: m, "the query walks, one hop a pass"),
    Theory("2^m - 1", lambda m: 2**m - 1, "queries walk forwards and keys backwards"),
    Theory("3^(m-1)", lambda m: 3 ** (m - 1), "the same, with what the last level mixed"),
    Theory("2m", lambda m: 2 * m, "both ends of the question are walked from"),
)


def declared_table(study: Study, to: str) -> list[str]:
    """A row per family, a column per declared comparison."""
    heads = [f"{pair.model} against {pair.baseline}" for pair in study.pairs]
    lines = [_line(["family", *heads]), _line(["---"] * (len(heads) + 1))]
    for family in study.families:
        lines.append(_line([named(family, to), *(_declared(outcome, to) for outcome in family.outcomes)]))
    return lines + [_line([f"`{task}`", *[MISSING] * len(heads)]) for task in study.missing]


def reach_table(study: Study, to: str) -> list[str]:
    """A row per family, a column per model: mean hop reach; the furthest is bold."""
    names = list(dict.fromkeys(name for family in study.families for name in family.models))
    lines = [_line(["family", "hops", *names]), _line(["---"] * (len(names) + 2))]
    for family in study.families:
        most = max(model.reach for model in family.models.values())
        cells = []
        for name in names:
            model = family.models.get(name)
            if model is None or "reached" not in model.rows:
                cells.append(MISSING)
                continue
            row = model.rows["reached"]
            link = row.link(row.cells["hop reach"], to=to)
            cells.append(f"**{link}**" if model.reach == most and most > 0 else link)
        lines.append(_line([named(family, to), f"[{format_hops(family.hops)}]({to}/{family.page})", *cells]))
    return lines


def best_of(family: StudiedFamily, measure: Measure) -> tuple[list[StudiedModel], str]:
    """The models that are best by a measure, and its value as the page of the family has it; none if none has one."""
    column = measure.column or _hardest(family)
    found = {}
    for model in family.models.values():
        value = _number(model.rows[measure.table].cells.get(column or "", "")) if measure.table in model.rows else None
        if value is not None and model.reach > 0:
            found[model.name] = value
    if not found or column is None:
        return [], ""
    best = (max if measure.is_better_if_more else min)(found.values())
    models = [family.models[name] for name, value in found.items() if value == best]
    return models, models[0].rows[measure.table].cells[column].partition(" ")[0]


def cost_table(study: Study, to: str) -> list[str]:
    """A row per family, a column per measure: the best model and its value."""
    lines = [_line(["family", *(one.name for one in MEASURES)]), _line(["---"] * (len(MEASURES) + 1))]
    for family in study.families:
        cells = []
        for measure in MEASURES:
            models, value = best_of(family, measure)
            who = " and ".join(model.name for model in models) if len(models) <= 2 else f"{len(models)} models"
            cells.append(models[0].rows[measure.table].link(f"{who}: {value}", to=to) if models else "-")
        lines.append(_line([named(family, to), *cells]))
    return lines


class Fit(NamedTuple):
    """How the seeds of the orders of one reading agree with each theory.

    Attributes:
        reading: Its name without the order; empty for the default.
        models: Those of the orders above 1.
        agree: Theory -> seeds that reach exactly what it says, as far as hops were asked.
        beyond: Theory -> seeds that reach further than it says.
        n_seeds: All of them.
    """

    reading: str
    models: tuple[StudiedModel, ...]
    agree: Mapping[str, int]
    beyond: Mapping[str, int]
    n_seeds: int


def fits_of(family: StudiedFamily) -> list[Fit]:
    """Each reading with several orders against each theory; none where not all hops can be claimed."""
    if family.claimed != family.hops:
        return []
    readings: dict[str, list[StudiedModel]] = {}
    for model in family.models.values():
        if model.order > 1 and model.seeds:
            readings.setdefault(model.name.replace(f"order {model.order}", "").strip(), []).append(model)
    return [_fit(name, models, family.hops) for name, models in readings.items()]


def theory_table(study: Study, to: str) -> list[str]:
    """A row per family and reading: mean reach of its orders, and how many seeds agree with each theory."""
    orders = sorted({m.order for family in study.families for m in family.models.values() if m.order > 1})
    heads = [*(f"order {order}" for order in orders), *(f"agree with {one.name}" for one in THEORIES)]
    lines = [_line(["family", "reading", *heads]), _line(["---"] * (len(heads) + 2))]
    for family in study.families:
        for fit in fits_of(family):
            rows = {model.order: model.rows["reach"] for model in fit.models}
            cells = [
                rows[m].link(rows[m].cells["hop reach"].partition(" ")[0], to=to) if m in rows else "-" for m in orders
            ]
            section = f"{to}/{family.page}#{_SECTION_OF_REACHES}"  # a count is of all of its rows
            for theory in THEORIES:
                beyond = f", {fit.beyond[theory.name]} beyond" if fit.beyond[theory.name] else ""
                cells.append(f"[{fit.agree[theory.name]} of {fit.n_seeds}{beyond}]({section})")
            lines.append(_line([named(family, to), fit.reading or "default", *cells]))
    return lines


def named(family: StudiedFamily, to: str) -> str:
    """The name of a family, linked to its page; marked where its ceilings leave little to claim."""
    return f"[`{family.task}`]({to}/{family.page}){'' if family.claimed == family.hops else _NO_CLAIM}"


def _declared(outcome: DeclaredOutcome | None, to: str) -> str:
    if outcome is None:
        return MISSING
    cells = outcome.row.cells
    difference = cells["difference"].partition(" ")[0]
    if outcome.verdict in (NOT_TESTED, TOO_FEW):
        return outcome.row.link(f"{difference}, {SAID[outcome.verdict]}", to=to)
    said = outcome.row.link(f"{difference}, p {cells['p (Holm)']}", to=to)
    return f"**{said}: {SAID[outcome.verdict]}**" if outcome.verdict in (BETTER, WORSE) else said


def _hardest(family: StudiedFamily) -> str | None:
    """The heading of the most hops that any model has learned, in the table of steps."""
    rows = [model.rows["steps"] for model in family.models.values() if "steps" in model.rows]
    heads = [head for row in rows[:1] for head in row.cells if head != "model"]
    return next((h for h in reversed(heads) if any(_number(row.cells[h]) is not None for row in rows)), None)


def _number(cell: str) -> float | None:
    """The number that a cell begins with."""
    try:
        value = float(cell.partition(" ")[0].replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _fit(name: str, models: Sequence[StudiedModel], hops: Sequence[int]) -> Fit:
    agree, beyond = dict.fromkeys((one.name for one in THEORIES), 0), dict.fromkeys((one.name for one in THEORIES), 0)
    for theory in THEORIES:
        for model in models:
            told = max((hop for hop in hops if hop <= theory.of(model.order)), default=0)
            agree[theory.name] += sum(reach == told for reach in model.seeds)
            beyond[theory.name] += sum(reach > told for reach in model.seeds)
    return Fit(name, tuple(models), agree, beyond, sum(len(model.seeds) for model in models))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
