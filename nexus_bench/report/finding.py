"""The finding of a report in a few sentences: which models reached how many hops, what was tested, what is open.

Every count in a sentence is one of the tables; nothing is said that they do not hold.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.compare_models import BETTER, NOT_SHOWN, NOT_TESTED, TOO_FEW, WORSE, DeclaredPairs
from nexus_bench.analysis.intervals import seeds_needed
from nexus_bench.analysis.power import needs
from nexus_bench.analysis.summary import REACHED
from nexus_bench.io.plurals import counted
from nexus_bench.report.declared_clauses import told_of
from nexus_bench.report.orders import Series
from nexus_bench.report.reaches import Count, Reach, as_span, grouped, how_far, on_seeds, reach_of
from nexus_bench.report.tables import Names

_MOST_NAMED = 4  # pairs or models in one sentence
_MOST_TASKS = 15  # lines
_MOST_SETTINGS = 3  # of one task
_STANDARD = "standard"


class Facts(NamedTuple):
    """What a finding is made of: the tables of one setting.

    Attributes:
        task: The task family.
        setting: What tells this setting from others of the task; empty if it is the only one.
        counts: `reached.seeds_reached` of the setting.
        names: The display names of models.
        series: `orders.series_of`: models that differ in order alone, by display name.
        declared: `compare_models.declared_pairs`.
        n_failed: Label -> cells that failed.
        rising: `summary.still_rising`.
        trained: The hops of training; empty for answers of other models.
    """

    task: str
    setting: str
    counts: pd.DataFrame
    names: Names
    series: Sequence[Series]
    declared: DeclaredPairs
    n_failed: Mapping[str, int]
    rising: Mapping[str, tuple[int, int]]
    trained: Sequence[int]


def finding(facts: Sequence[Facts], by: Sequence[str] = ()) -> list[str]:
    """The finding, its most important sentence first.

    Args:
        facts: One per setting of the test split, in the order of the report.
        by: A sentence on each parameter that accuracy is shown against.

    Returns:
        Of one setting: what declared comparisons show, what models reached, what is not decided. Of several: one line
        per task, then the parameters, and what is not decided.
    """
    if len(facts) == 1:
        (one,) = facts
        shown, undecided = told_of(one.declared, one.names.short)
        return [_sentence(clause) for clause in [*shown, *_outcome(one), *undecided, *_open(one)]]
    tasks = list(dict.fromkeys(one.task for one in facts))
    lines = []
    for task in tasks[:_MOST_TASKS]:
        of_task = [one for one in facts if one.task == task]
        told = [_in_one_line(one) for one in of_task[:_MOST_SETTINGS]]
        if len(of_task) > _MOST_SETTINGS:
            told.append(f"{counted(len(of_task) - _MOST_SETTINGS, 'more setting')} below")
        lines += [f"{task}, {one}." for one in told] if len(tasks) == 1 else [f"{task}: {'. '.join(told)}."]
    if len(tasks) > _MOST_TASKS:
        lines.append(f"{counted(len(tasks) - _MOST_TASKS, 'more task')} below.")
    return [*lines, *by[:_MOST_NAMED], *(_sentence(clause) for clause in _open_of_several(facts))]


def _in_one_line(facts: Facts) -> str:
    said = "; ".join(_outcome(facts))
    if not (pairs := facts.declared.pairs).empty:
        n_shown = int(pairs["verdict"].isin([BETTER, WORSE]).sum())
        said += f"; {n_shown} of {counted(len(pairs), 'declared comparison')} shown to differ"
    return f"{facts.setting}: {said}" if facts.setting else said


def _outcome(facts: Facts) -> list[str]:
    """What models reached, in clauses: orders that follow one rule, other orders, all other models."""
    reaches = _reaches(facts)
    if not reaches:
        n_cells = counted(sum(facts.n_failed.values()), "cell")
        return [f"nothing was trained: {n_cells} failed; `nexus-bench status` says why"]
    if not any(reach.counts for reach in reaches.values()):
        return ["no hop can count as reached, since the ceilings allow no claim; accuracies are below"]
    told: set[str] = set()
    clauses = []
    exact, at_least, irregular = [], [], []
    for one in facts.series:
        orders = {order: reaches[name] for order, name in one.models.items() if name in reaches}
        nested = {order: reach for order, reach in orders.items() if order > 1}
        if not nested:
            continue
        told |= set(one.models.values())
        if len(nested) > 1 and all(reach.is_exactly(order) for order, reach in nested.items()):
            exact.append((one, nested))
        elif len(nested) > 1 and all(reach.on_every_seed >= order for order, reach in nested.items()):
            at_least.append((one, nested))
        else:
            irregular.append((one, nested))
    sizes = {reach.n_seeds for _, nested in exact for reach in nested.values()}
    in_order = [one for one, _ in (*exact, *at_least, *irregular)]
    baseline = _baseline(in_order, reaches, n_seeds=sizes.pop() if len(sizes) == 1 else None)
    if exact:
        seeds = on_seeds([reach for _, nested in exact for reach in nested.values()])
        who = "; ".join(f"{one.name}, {as_span(list(nested))}" for one, nested in exact)
        clauses.append(f"order m reached m hops ({seeds}): {who}")
    for one, nested in at_least:
        seeds = on_seeds(list(nested.values()))
        beyond = {order: reach.beyond(order) for order, reach in nested.items() if reach.furthest > order}
        more = [f"{at.n_reached} of {at.n_seeds} at order {order}" for order, at in beyond.items()]
        clauses.append(f"with {one.name}, order m reached m hops or more ({seeds}): more on {', '.join(more)}")
    for one, nested in irregular:
        by_order = [f"{as_span(orders)} reached {said}" for orders, said in grouped(nested)]
        clauses.append(f"with {one.name}, {'; '.join(by_order)}")
    if clauses and baseline:
        clauses[0] += f"; {baseline}"
    others = {name: reach for name, reach in reaches.items() if name not in told}
    furthest = max((reach.on_every_seed for reach in reaches.values()), default=0)
    if furthest and any(reach.on_every_seed == furthest for reach in others.values()):
        return _others(others, are_all=True) + clauses
    return clauses + _others(others, are_all=not clauses)


def _baseline(series: Sequence[Series], reaches: Mapping[str, Reach], n_seeds: int | None) -> str:
    """What the models of order 1 reached that stand in these series.

    Args:
        series: The series.
        reaches: How far each model came.
        n_seeds: On how many seeds what was said before holds, so that it need not be said again.
    """
    told = []
    for name in dict.fromkeys(one.models[1] for one in series if 1 in one.models):
        if name in reaches:
            reach = reaches[name]
            is_short = reach.n_seeds == n_seeds and reach.furthest and reach.is_exactly(reach.furthest)
            who = "standard attention" if name == _STANDARD else name
            told.append(f"{who} {reach.furthest}" if is_short else f"{who} reached {how_far(reach)}")
    return "; ".join(told)


def _others(reaches: Mapping[str, Reach], *, are_all: bool) -> list[str]:
    """Models without a series: each if they are few, else the furthest."""
    if not reaches:
        return []
    if len(reaches) <= _MOST_NAMED:
        each = "; ".join(f"{name} {how_far(reach)}" for name, reach in reaches.items())
        return [f"{'' if are_all else 'other models '}reached: {each}".strip()]
    n = f"{len(reaches)} {'' if are_all else 'other '}models"
    surest = max(reach.on_every_seed for reach in reaches.values())
    n_surest = sum(reach.on_every_seed == surest for reach in reaches.values())
    who = "all of them" if n_surest == len(reaches) else counted(n_surest, "model")
    clause = f"the most that any of {n} reached on every seed was {counted(surest, 'hop')} ({who})"
    if not surest:
        clause = f"of {n} none reached {_the_least(reaches)} on every seed"
    furthest = max(reach.furthest for reach in reaches.values())
    if furthest > surest:
        clause += f"; on any seed, {counted(furthest, 'hop')}: {_those_at(furthest, reaches)}"
    return [clause]


def _the_least(reaches: Mapping[str, Reach]) -> str:
    """The smallest hop that was asked of these models, of which something is claimed."""
    least = min(reach.counts[0].hop for reach in reaches.values() if reach.counts)
    return "a hop" if least == 1 else f"{least} hops, the fewest asked,"


def _those_at(hop: int, reaches: Mapping[str, Reach]) -> str:
    """The models that reach a hop on some seeds, those on most seeds first; their number if they are many."""
    there: dict[Count, list[str]] = {}
    for name, reach in reaches.items():
        if reach.furthest == hop:
            there.setdefault(reach.at(hop), []).append(name)
    said = [(at.said, there[at]) for at in sorted(there, key=lambda at: -at.share)]
    if (n_models := sum(map(len, there.values()))) > _MOST_NAMED:
        most, names = said[0]
        return f"{n_models} models, {len(names)} of them on {most}{' each' if len(names) > 1 else ''} and none on more"
    return "; ".join(f"{' and '.join(names)} on {seeds}{' each' if len(names) > 1 else ''}" for seeds, names in said)


def _open(facts: Facts) -> list[str]:
    """What one setting leaves open, but for what was declared."""
    reaches = _reaches(facts)
    found = []
    if facts.declared.pairs.empty and len(reaches) > 1:
        fewest = min(reach.n_seeds for reach in reaches.values())
        are_few = f", and {counted(fewest, 'seed')} {'is' if fewest == 1 else 'are'} too few ({needs(1)})"
        found.append(
            "whether any model reaches further than another beyond chance: no comparison was declared before training"
            + (are_few if fewest < seeds_needed(1) else "")
        )
    if facts.trained and {reach.furthest for reach in reaches.values() if reach.counts} == {0}:
        found.append("what these models can do: none learned a hop; try more steps, another lr, or smaller graphs")
    least = min((reach.counts[0].hop for reach in reaches.values() if reach.counts), default=1)
    if least > 1 and not all(reach.on_every_seed for reach in reaches.values()):
        not_reached = f"a hop reach of 0 says only that {counted(least, 'hop')} were not reached"
        found.append(f"what models can do of fewer than {counted(least, 'hop')}: that was not asked, and {not_reached}")
    if n_untested := len(facts.declared.untested):
        found.append(f"{counted(n_untested, 'declared comparison')} without one model on each side in these results")
    return [f"not decided: {clause}" for clause in found + _beyond(facts, reaches) + _unfinished(facts, reaches)]


def _beyond(facts: Facts, reaches: Mapping[str, Reach]) -> list[str]:
    """Hops beyond what was asked or trained, and hops of which nothing is claimed."""
    at = facts.counts[facts.counts["threshold"] == REACHED]
    hops = sorted({int(hop) for hop in at["hop"]})
    claimed = sorted({int(hop) for hop in at.loc[at["n_reached"].notna(), "hop"]})
    found = []
    if reaches and (without := [str(hop) for hop in hops if hop not in claimed]):
        found.append(f"hops {', '.join(without)}: the partial-input ceiling is 0.95 or more there, or not known")
    trained = max(facts.trained, default=0)
    for limit in sorted({trained, max(claimed, default=0)} & set(claimed)):
        at_limit = [name for name, reach in reaches.items() if reach.furthest == limit]
        if at_limit:
            why = _why_no_further(limit, trained, [hop for hop in hops if hop > limit], claimed)
            found.append(f"how far {_who(at_limit)} can go beyond {counted(limit, 'hop')}: {why}")
    return found


def _why_no_further(limit: int, trained: int, more: Sequence[int], claimed: Sequence[int]) -> str:
    """Why nothing is decided beyond a hop that was reached.

    Args:
        limit: The hop: the furthest that was trained, or that counts.
        trained: The furthest that was trained.
        more: The hops beyond it that were asked.
        claimed: The hops that count as reached if they are.
    """
    counting = [str(hop) for hop in more if hop in claimed]
    if counting:  # so none of them was trained
        were, are = ("hop {} was", "is") if len(counting) == 1 else ("hops {} were", "are")
        return f"{were.format(', '.join(counting))} asked, but not trained, and {are} not reached"
    if more:
        return "of more nothing can be claimed"
    return "more were not asked" if limit <= trained else "more were neither trained nor asked"


def _unfinished(facts: Facts, reaches: Mapping[str, Reach]) -> list[str]:
    """Cells that were still learning, cells that failed, and models without a measured seed."""
    found = []
    rising = {facts.names.short[label]: counts for label, counts in facts.rising.items() if counts[0]}
    if rising:
        seeds = " and ".join(f"{n} of {n_cells} seeds of {name}" for name, (n, n_cells) in rising.items())
        if len(rising) > 2:
            seeds = f"{counted(sum(n for n, _ in rising.values()), 'seed')} of {len(rising)} models"
        found.append(f"what longer training gives: validation was still rising on {seeds}")
    missing = [name for name in facts.names.short.values() if name not in reaches]
    if missing and reaches:
        found.append(f"how far {_who(missing)} can go: no seed was measured")
    n_failed = sum(n for label, n in facts.n_failed.items() if facts.names.short[label] in reaches)
    if n_failed:
        found.append(f"{counted(n_failed, 'cell')} that failed and {'is' if n_failed == 1 else 'are'} left out")
    return found


def _open_of_several(facts: Sequence[Facts]) -> list[str]:
    """What several settings leave open, counted."""
    verdicts = [verdict for one in facts if len(one.declared.pairs) for verdict in one.declared.pairs["verdict"]]
    n = counted(len(facts), "setting")
    found = []
    if n_few := verdicts.count(TOO_FEW):
        found.append(f"{counted(n_few, 'declared comparison')} with too few seeds")
    if n_not_shown := verdicts.count(NOT_SHOWN):
        found.append(f"{counted(n_not_shown, 'declared comparison')} that showed no difference")
    if n_not_tested := verdicts.count(NOT_TESTED):
        found.append(f"{counted(n_not_tested, 'declared comparison')} behind one that showed no difference")
    if without := sum(one.declared.pairs.empty for one in facts):
        found.append(f"who reaches further in {without} of {n}, of which no comparison was declared before training")
    if at_limit := sum(bool(_beyond(one, _reaches(one))) for one in facts):
        found.append(f"how far models can go that reached all that was asked, trained or claimed, in {at_limit} of {n}")
    if unfinished := sum(bool(_unfinished(one, _reaches(one))) for one in facts):
        found.append(f"cells that failed or were still learning, in {unfinished} of {n}")
    return [f"not decided: {clause}" for clause in found]


def _reaches(facts: Facts) -> dict[str, Reach]:
    """Display name -> how far the model came; without models of which nothing is measured."""
    at = facts.counts[facts.counts["threshold"] == REACHED]
    found = {name: reach_of(at[at["model"] == label]) for label, name in facts.names.short.items()}
    return {name: reach for name, reach in found.items() if reach.n_seeds}


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _who(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} models"
