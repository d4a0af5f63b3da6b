"""The finding of a report in a few sentences: which models reached how many hops, what was tested, what is open.

Every count in a sentence is one of the tables; nothing is said that they do not hold.
"""

from collections.abc import Mapping, Sequence

from nexus_bench.analysis.compare_models import BETTER, WORSE
from nexus_bench.io.plurals import counted
from nexus_bench.report.words.declared_clauses import declared_clauses
from nexus_bench.report.words.facts import Facts
from nexus_bench.report.words.left_open import left_open, left_open_of_several
from nexus_bench.report.words.orders import Series
from nexus_bench.report.words.reaches import Count, Reach, as_span, grouped, how_far, on_seeds

_MOST_NAMED = 4  # pairs or models in one sentence
_MOST_TASKS = 15  # lines
_MOST_SETTINGS = 3  # of one task
_STANDARD = "standard"


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
        shown, undecided = declared_clauses(one.declared, one.names.short)
        return [_sentence(clause) for clause in [*shown, *_outcome(one), *undecided, *left_open(one)]]
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
    return [*lines, *by[:_MOST_NAMED], *(_sentence(clause) for clause in left_open_of_several(facts))]


def _in_one_line(facts: Facts) -> str:
    said = "; ".join(_outcome(facts))
    if not (pairs := facts.declared.pairs).empty:
        n_shown = int(pairs["verdict"].isin([BETTER, WORSE]).sum())
        said += f"; {n_shown} of {counted(len(pairs), 'declared comparison')} shown to differ"
    return f"{facts.setting}: {said}" if facts.setting else said


def _outcome(facts: Facts) -> list[str]:
    """What models reached, in clauses: orders that follow one rule, other orders, all other models."""
    reaches = facts.reaches
    if not reaches:
        n_cells = counted(sum(facts.n_failed.values()), "cell")
        return [f"nothing was trained: {n_cells} failed; `nexus-bench status` says why"]
    if not any(reach.counts for reach in reaches.values()):
        return ["no hop can count as reached, since the ceilings allow no claim; accuracies are below"]
    in_series: set[str] = set()
    clauses = []
    exact, at_least, irregular = [], [], []
    for one in facts.series:
        orders = {order: reaches[name] for order, name in one.models.items() if name in reaches}
        nested = {order: reach for order, reach in orders.items() if order > 1}
        if not nested:
            continue
        in_series |= set(one.models.values())
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
    others = {name: reach for name, reach in reaches.items() if name not in in_series}
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


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."
