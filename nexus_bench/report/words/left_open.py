"""What a finding leaves open, in clauses: what was not asked, not trained, not declared or not learned."""

from collections.abc import Mapping, Sequence

from nexus_bench.analysis.compare_models import NOT_SHOWN, NOT_TESTED, TOO_FEW
from nexus_bench.analysis.intervals import seeds_needed
from nexus_bench.analysis.power import needs
from nexus_bench.analysis.summary import REACHED
from nexus_bench.io.plurals import counted, from_to
from nexus_bench.report.words.facts import Facts
from nexus_bench.report.words.reaches import Reach, as_span

_CLEARLY = 0.5  # hops, as a mean over seeds


def left_open(facts: Facts) -> list[str]:
    """What one setting leaves open, but for what was declared."""
    reaches = facts.reaches
    found = []
    if facts.declared.pairs.empty and len(reaches) > 1:
        few = {reach.n_seeds for reach in reaches.values() if reach.n_seeds < seeds_needed(1)}
        are_few = ""
        if few:
            seeds_are = "seed is" if max(few) == 1 else "seeds are"
            are_few = f", and {from_to(min(few), max(few))} {seeds_are} too few ({needs(1)})"
        found.append(
            "whether any model reaches further than another beyond chance: no comparison was declared before training"
            + are_few
        )
    if facts.trained and {reach.furthest for reach in reaches.values() if reach.counts} == {0}:
        found.append("what these models can do: none learned a hop; try more steps, another lr, or smaller graphs")
    found += _behind(facts, reaches)
    least = min((reach.counts[0].hop for reach in reaches.values() if reach.counts), default=1)
    if least > 1 and not all(reach.on_every_seed for reach in reaches.values()):
        not_reached = f"a hop reach of 0 says only that {counted(least, 'hop')} were not reached"
        found.append(f"what models can do of fewer than {counted(least, 'hop')}: that was not asked, and {not_reached}")
    if n_untested := len(facts.declared.untested):
        found.append(f"{counted(n_untested, 'declared comparison')} without one model on each side in these results")
    return [f"not decided: {clause}" for clause in found + _beyond(facts, reaches) + _unfinished(facts, reaches)]


def _behind(facts: Facts, reaches: Mapping[str, Reach]) -> list[str]:
    """Orders that clearly reached less than a lower one did, which need not be what they can do."""
    found = []
    for series in facts.series if facts.trained else ():
        hops = {order: reaches[name].mean for order, name in series.models.items() if name in reaches}
        behind = [m for m in hops if any(hops[m] <= hops[lower] - _CLEARLY for lower in hops if lower < m)]
        if behind:
            why = "a lower order reached more, so more may not have been learned; try another lr or more steps"
            found.append(f"what {series.name}, {as_span(behind)} can do: {why}")
    return found


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


def left_open_of_several(facts: Sequence[Facts]) -> list[str]:
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
    if at_limit := sum(bool(_beyond(one, one.reaches)) for one in facts):
        found.append(f"how far models can go that reached all that was asked, trained or claimed, in {at_limit} of {n}")
    if behind := sum(bool(_behind(one, one.reaches)) for one in facts):
        found.append(f"what orders can do that reached less than a lower one, in {behind} of {n}")
    if unfinished := sum(bool(_unfinished(one, one.reaches)) for one in facts):
        found.append(f"cells that failed or were still learning, in {unfinished} of {n}")
    return [f"not decided: {clause}" for clause in found]


def _who(names: Sequence[str]) -> str:
    return " and ".join(names) if len(names) <= 2 else f"{len(names)} models"
