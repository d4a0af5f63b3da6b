"""Whether the number of distinct graphs that a family declares can be true: drawn graphs repeat as often as it says."""

import numpy as np

from nexus_bench.data.splits import worlds_of
from nexus_bench.data.task import TaskSpec
from nexus_bench.generators.promises import Broken, NotAsked
from nexus_bench.streams import stream

_N_COUNTED = 20_000
_FEWEST_REPEATS, _FACTOR = 30, 2  # for an estimate of the number of worlds, and how far off it may be


def counts_no_world_too_many(spec: TaskSpec) -> None:
    """`n_worlds` is the number of distinct sets of facts, or fewer, as far as 20,000 graphs can tell.

    If every world came again, these are all. Else their number is estimated from all repeats, as for worlds that are
    equally likely, and from those met once and twice, which common worlds do not distort (Chao, 1984, "Nonparametric
    estimation of the number of classes in a population"). Where both differ, some worlds are common, and nothing can be
    said of the others.
    """
    reasons = []
    for split, law in spec.laws().items():
        said, graphs = law.family.n_worlds, f"{law.schema.called[0]}s"
        ids, counts = np.unique(worlds_of(law, law.sample(_N_COUNTED, stream("worlds"))), return_counts=True)
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        repeats = int((counts * (counts - 1) // 2).sum())  # pairs of graphs with the same facts
        if once == 0 and len(ids) < said:
            raise Broken(
                f"{split}: {_N_COUNTED:,} {graphs} are {len(ids):,} worlds, each met again; n_worlds says {said:,}"
            )
        if once == 0:
            continue
        if repeats < _FEWEST_REPEATS:
            reasons.append(f"too many to be counted: {repeats} of {_N_COUNTED:,} {graphs} came again")
            continue
        alike = _N_COUNTED**2 / 2 / repeats
        if len(ids) + once * (once - 1) / 2 / (twice + 1) > _FACTOR * alike:
            reasons.append("some worlds are far commoner than others")
        elif said > _FACTOR * alike:
            raise Broken(f"{split}: {graphs} repeat as if there were {alike:,.0f} worlds; n_worlds says {said:,}")
    if reasons:
        raise NotAsked(reasons[0])
