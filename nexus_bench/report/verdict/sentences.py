"""What a study comes to, in sentences that are true in whichever direction its results went."""

from collections.abc import Collection, Iterator, Sequence

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, NOT_TESTED, TOO_FEW, WORSE
from nexus_bench.report.verdict.study import DeclaredOutcome, StudiedFamily, Study
from nexus_bench.report.verdict.tables import MEASURES, MISSING, THEORIES, Fit, best_of, fits_of

TABLES = {
    "declared": "#declared-comparisons",
    "costs": "#costs",
    "theory": "#theory",
    "open": "#what-is-not-interpreted",
}

_BEFORE = "a place before shows no difference there, or has too few seeds"


def topic(model: str, baseline: str) -> str:
    """What a comparison of these two is about."""
    return f"{model} against {baseline}".capitalize()


def outcomes(study: Study, place: int) -> dict[str, list[tuple[StudiedFamily, DeclaredOutcome | None]]]:
    """Verdict -> families, of the comparisons at one place, counted from 1."""
    found: dict[str, list[tuple[StudiedFamily, DeclaredOutcome | None]]] = {}
    for family in study.families:
        outcome = family.outcomes[place - 1]
        found.setdefault(MISSING if outcome is None else outcome.verdict, []).append((family, outcome))
    return found


def told(study: Study, place: int, to: str, uninterpreted: Collection[str] = ()) -> str:
    """What the comparisons at one place come to, true in whichever direction they went.

    Args:
        study: What was found.
        place: From 1.
        to: The folder of the report of the study, from the page.
        uninterpreted: Families of which little or nothing follows about a mechanism.
    """
    pair, by = study.pairs[place - 1], outcomes(study, place)
    better, worse, same = by.get(BETTER, []), by.get(WORSE, []), by.get(NOT_SHOWN, [])
    n_tested = len(better) + len(worse) + len(same)
    tested = "" if n_tested == len(study.families) else "tested "
    of_all = _of(n_tested, tested)
    if better and worse:
        said = f"it depends on the family: {pair.model} reaches further in {_count(better)} ({_each(better, to)}) "
        said += f"and less far in {_count(worse)} ({_each(worse, to)}) of {of_all}."
    elif better:
        said = (
            f"{pair.model} reaches further in {_count(better)} of {of_all} ({_each(better, to)}), and less far in none."
        )
    elif worse:
        said = (
            f"{pair.model} reaches less far in {_count(worse)} of {of_all} ({_each(worse, to)}), and further in none."
        )
    elif same:
        said = f"In none of {of_all} is {pair.model} shown to reach further or less far."
    else:
        said = "nothing is decided."
    if same:
        said += f" No difference is shown in {_count(same)} ({_each(same, to)}), which does not make them equal."
        if unclear := [one for one in same if one[0].task in uninterpreted]:
            of_these = ", ".join(f"`{family.task}`" for family, _ in unclear)
            said += f" [Not interpreted]({TABLES['open']}) of these: {of_these}."
    if len(untested := by.get(NOT_TESTED, [])) == len(study.families):
        said = f"it is tested in none of {_of(len(untested))}, as {_BEFORE}."
    elif untested:
        said += f" Not tested in {_count(untested)} of {_of(len(study.families))}, as {_BEFORE}."
    if few := by.get(TOO_FEW, []):
        said += f" Too few seeds in {_count(few)}."
    if lost := by.get(MISSING, []):
        said += f" Without one of both models: {_count(lost)}."
    return f"{said[0].upper()}{said[1:]} {_by_mean(study, place)}{_computes(study, place, to)}"


def families(n: int, kind: str = "") -> str:
    """So many families, of a kind such as `tested `."""
    return f"{n} {kind}famil{'y' if n == 1 else 'ies'}"


def _of(n: int, kind: str = "") -> str:
    return f"[{families(n, kind)}]({TABLES['declared']})"


def _count(found: Sequence[object]) -> str:
    return f"[{len(found)}]({TABLES['declared']})"


def _each(found: Sequence[tuple[StudiedFamily, DeclaredOutcome | None]], to: str) -> str:
    """Each family with its difference and corrected p."""
    told = []
    for family, outcome in found:
        if outcome is not None:
            cells = outcome.row.cells
            said = f"{cells['difference'].partition(' ')[0]}, p {cells['p (Holm)']}"
            mark = "" if family.claimed == family.hops else "*"
            told.append(f"`{family.task}`{mark} {outcome.row.link(said, to=to)}")
    return ", ".join(told)


def _by_mean(study: Study, place: int) -> str:
    """How often the mean reach is larger, which is no test."""
    pair = study.pairs[place - 1]
    differences = [
        family.models[pair.model].reach - family.models[pair.baseline].reach
        for family in study.families
        if pair.model in family.models and pair.baseline in family.models
    ]
    ahead, behind = (sum(sign * one > 0 for one in differences) for sign in (1, -1))
    said = f"{ahead} ahead, {behind} behind, {len(differences) - ahead - behind} equal"
    return f"By mean reach alone, which is no test: [{said}]({TABLES['declared']})."


def _computes(study: Study, place: int, to: str) -> str:
    """How much more or less the baseline computes, over the families."""
    rows = [family.outcomes[place - 1] for family in study.families]
    ratios = [
        (float(one.row.cells["baseline's compute"].removeprefix("x ")), one) for one in rows if one and _has_ratio(one)
    ]
    if not ratios:
        return ""
    least, most = min(ratios, key=lambda one: one[0])[1], max(ratios, key=lambda one: one[0])[1]
    ends = [one.row.link(one.row.cells["baseline's compute"], to=to) for one in (least, most)]
    parameters = {one.row.cells["baseline's parameters"] for _, one in ratios}
    sized = " at equal parameters" if parameters == {"x 1.00"} else ""
    return f" The baseline computes {' to '.join(dict.fromkeys(ends))} as much{sized}."


def _has_ratio(outcome: DeclaredOutcome) -> bool:
    return outcome.row.cells["baseline's compute"].startswith("x ")


def parameters(study: Study, uninterpreted: Collection[str] = ()) -> str:
    """What order costs in parameters, and which model makes most of its own, in families that are interpreted."""
    alike = all(_same_size(family) for family in study.families)
    said = "A nest of any order here has as many as one standard layer. " if alike else ""
    return said + most(study, 0, uninterpreted)


def _same_size(family: StudiedFamily) -> bool:
    """Whether nests and one layer have the same number of parameters."""
    sizes = {
        m.rows["reached"].cells["parameters"] for m in family.models.values() if m.order > 1 or m.name == "1 layer"
    }
    return len(sizes) == 1


def most(study: Study, number: int, uninterpreted: Collection[str] = ()) -> str:
    """In how many of the families that are interpreted each model is best by a measure; of equals, each counts."""
    measure = MEASURES[number]
    wins: dict[str, int] = {}
    for family in (one for one in study.families if one.task not in uninterpreted):
        for model in best_of(family, measure)[0]:
            wins[model.name] = wins.get(model.name, 0) + 1
    if not wins:
        return f"{measure.name.capitalize()}: not measured."
    ranked = sorted(wins.items(), key=lambda one: -one[1])
    each = ", ".join(f"{name} [in {n}]({TABLES['costs']})" for name, n in ranked)
    what = f"Most {measure.name}" if measure.is_better_if_more else measure.name.capitalize()
    return f"{what}: {each}."


def theory(study: Study, to: str, uninterpreted: Collection[str] = ()) -> Iterator[str]:
    """What order 1 says of the formulas, and for each reading of the nest which formula its seeds agree with.

    Args:
        study: What was found.
        to: The folder of the report of the study, from the page.
        uninterpreted: Families that are left out.
    """
    by_reading: dict[str, list[tuple[StudiedFamily, Fit]]] = {}
    interpreted = [one for one in study.families if one.task not in uninterpreted]
    yield from _of_order_one(interpreted, to)
    for family in interpreted:
        for fit in fits_of(family):
            by_reading.setdefault(fit.reading or "default", []).append((family, fit))
    for reading, fits in by_reading.items():
        n_seeds = sum(fit.n_seeds for _, fit in fits)
        agree = {one.name: sum(fit.agree[one.name] for _, fit in fits) for one in THEORIES}
        beyond = {one.name: sum(fit.beyond[one.name] for _, fit in fits) for one in THEORIES}
        alike = _alike([fit for _, fit in fits])
        counts = (f"[{agree[names[0]]}]({TABLES['theory']}) reach exactly {_ticked(names)}" for names in alike)
        further = [
            f"[{beyond[names[0]]}]({TABLES['theory']}) go beyond {_ticked(names)}"
            for names in alike
            if beyond[names[0]]
        ]
        said = f"Of [{n_seeds} seeds on {families(len(fits))}]({TABLES['theory']}) {', '.join(counts)}"
        said += f"; {', '.join(further)}." if further else "; none goes beyond any."
        yield f"**Formulas, {reading} reading.** {said} {_closest(fits)}"


def _of_order_one(asked: Sequence[StudiedFamily], to: str) -> Iterator[str]:
    """Where one standard layer makes more than a hop, against every formula: hops there are not those it counts."""
    told = []
    for family in asked:
        model = family.models.get("1 layer")
        if model is not None and family.claimed == family.hops and (n := sum(reach > 1 for reach in model.seeds)):
            count = model.rows["reach"].link(f"{n} of {len(model.seeds)}", to=to)
            told.append(f"`{family.task}` ({count} seeds)")
    if told:
        yield (
            "**Formulas, order 1.** All say one hop. One standard layer makes more in "
            f"{', '.join(told)}: what it counts as a hop there is not a look-up of these formulas, so agreement of "
            "higher orders may be chance."
        )


def _alike(fits: Sequence[Fit]) -> list[tuple[str, ...]]:
    """The formulas, together where they say the same of all seeds, as far as hops were asked."""
    said: dict[tuple[tuple[int, int], ...], list[str]] = {}
    for one in THEORIES:
        said.setdefault(tuple((fit.agree[one.name], fit.beyond[one.name]) for fit in fits), []).append(one.name)
    return [tuple(names) for names in said.values()]


def _ticked(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _closest(found: Sequence[tuple[StudiedFamily, Fit]]) -> str:
    """By formula, the families in which most seeds agree with it; several are named where they say the same."""
    by_formula: dict[tuple[str, ...], list[str]] = {}
    for family, fit in found:
        best = max(fit.agree.values())
        names = tuple(name for name, n in fit.agree.items() if n == best) if best else ()
        by_formula.setdefault(names, []).append(f"`{family.task}`")
    told = [f"{_ticked(names)} in {', '.join(tasks)}" for names, tasks in by_formula.items() if names]
    none = by_formula.get((), [])
    said = [f"The most seeds agree with {'; '.join(told)}."] if told else []
    return " ".join([*said, *([f"No seed agrees with any in {', '.join(none)}."] if none else [])])
