"""What a finding is made of: the tables of one setting."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.compare_models import DeclaredPairs
from nexus_bench.analysis.summary import REACHED
from nexus_bench.report.tables import Names
from nexus_bench.report.words.orders import Series
from nexus_bench.report.words.reaches import Reach, reach_of


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

    @property
    def reaches(self) -> dict[str, Reach]:
        """Display name -> how far the model came; without models of which nothing is measured."""
        at = self.counts[self.counts["threshold"] == REACHED]
        found = {name: reach_of(at[at["model"] == label]) for label, name in self.names.short.items()}
        return {name: reach for name, reach in found.items() if reach.n_seeds}
