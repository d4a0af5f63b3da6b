"""Which model reaches further: differences of hop reach, paired by seed, tested together.

What a suite declares is one family of tests, or several, one for each place of a declared order. All other pairs are
exploration, families of their own.
"""

import itertools
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from nexus_bench.analysis.declared import Declared, matching
from nexus_bench.analysis.intervals import LEVEL, holm, paired_p, seeds_needed, t_interval
from nexus_bench.analysis.summary import reaches_of

CLOSE = 0.05  # sizes within 5% count as equal
MOST_PAIRS = 25  # tests per table: 10 paired seeds are enough for so many
BETTER, WORSE, NOT_SHOWN, TOO_FEW = "better", "worse", "no difference shown", "too few seeds"
NOT_TESTED = "not tested"  # as a comparison before it in the declared order shows no difference
_SIZES = {"parameters": "n_params", "compute": "flops_per_step"}


def model_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every model compared with every one before it; if that is more than 25 pairs, with the first one only.

    The choice of pairs does not depend on the results.

    Args:
        rows: Rows of results.csv, of one setting and split, with one recipe per model.

    Returns:
        One row per pair: model, baseline, and what `_tested` adds. Empty if there are no pairs.
    """
    models = list(dict.fromkeys(rows["model"]))
    pairs = list(itertools.combinations(models, 2))
    if len(pairs) > MOST_PAIRS:
        pairs = [(models[0], model) for model in models[1:]]
    return _tested([{"model": model, "baseline": baseline} for baseline, model in pairs], rows)


def matched_pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Every model that is not standard attention, compared with the standard and looped models of its size.

    Args:
        rows: Rows of results.csv, of one setting and split, with one recipe per model.

    Returns:
        One row per pair: model, baseline, equal (what is equal), parameters and compute (baseline over model),
        and what `_tested` adds. Empty if there are no pairs.
    """
    return _tested(_equal_sized(rows), rows)


class Declaration(NamedTuple):
    """What a run declares, and the cells that this is about."""

    declared: Declared
    cell_ids: frozenset[str]


class DeclaredPairs(NamedTuple):
    """The declared comparisons of one setting and split.

    Attributes:
        pairs: As of `matched_pairs`, without what is equal where nothing is, with `place` in the declared order where
            there is one. Empty if there are none.
        untested: Comparisons that do not select one model each among these rows, in words.
        n_tests: Size of the family of tests.
    """

    pairs: pd.DataFrame
    untested: list[str]
    n_tests: int

    @property
    def in_order(self) -> bool:
        """Whether they are tested in a declared order."""
        return bool(len(self.pairs) and self.pairs["place"].notna().any())


def declared_pairs(
    declarations: Iterable[Declaration], rows: pd.DataFrame, *, among: pd.DataFrame | None = None
) -> DeclaredPairs:
    """The comparisons that runs declare, together one family of tests.

    Args:
        declarations: One per run.
        rows: Rows of results.csv, of one setting and split, with one recipe per model.
        among: Rows of all settings, in which the names select models; a comparison of two models of another setting
            is not of this one. By default there is no other.
    """
    sizes = _sizes_of(rows)
    among = rows if among is None else among
    pairs: dict[tuple[str, str], dict[str, Any]] = {}
    untested: list[str] = []
    for declared, cell_ids in declarations:
        own = rows[rows["cell_id"].isin(cell_ids)]
        if own.empty:
            continue
        labels = list(dict.fromkeys(among.loc[among["cell_id"].isin(cell_ids), "model"]))
        here = set(own["model"])
        for place, asked in enumerate(declared.asked, start=1):
            named = [matching(name, labels) for name in asked]
            ours, theirs = ([label for label in found if label in here] for found in named)
            if len(ours) == len(theirs) == 1:
                pair = _pair(ours[0], theirs[0], sizes) | {"place": place if declared.in_order else None}
                pairs.setdefault((ours[0], theirs[0]), pair)
            elif ours or theirs or not all(named):
                untested.append(f"{asked.model} with {asked.baseline}")
        if declared.equal_size:
            for pair in _equal_sized(own):
                pairs.setdefault((pair["model"], pair["baseline"]), pair | {"place": None})
    return DeclaredPairs(_tested(list(pairs.values()), rows), list(dict.fromkeys(untested)), len(pairs))


def tested_in_order(settings: Sequence[DeclaredPairs]) -> list[DeclaredPairs]:
    """Correct what is declared in order, across settings; what is not stays as it is.

    The comparisons at one place are one family over all settings, corrected by Holm. In each setting a comparison is
    tested only if the one at the place before it is significant, so its p is at least that of the one before it.

    Args:
        settings: The declared comparisons of every setting of a report.

    Source: Maurer, Hothorn and Lehmacher 1995, "Multiple comparisons in drug clinical trials and preclinical assays:
    a-priori ordered hypotheses", for the order within a setting.
    """
    rows: dict[tuple[int, int], dict[Hashable, Any]] = {}  # of a place and a setting
    for number, declared in enumerate(settings):
        if declared.in_order:
            placed = declared.pairs[declared.pairs["place"].notna()]
            rows |= {(int(row["place"]), number): row for row in placed.to_dict("records")}
    for place in sorted({place for place, _ in rows}):
        family = {number: row for (at, number), row in rows.items() if at == place}
        for (number, row), p in zip(family.items(), holm([row["p"] for row in family.values()]), strict=True):
            before = rows.get((place - 1, number), {"verdict": NOT_TESTED, "p_holm": 1.0})
            row |= {"n_tests": len(family), "verdict": _verdict(row["mean"], p, row["n_seeds"], len(family))}
            row["p_holm"] = p if place == 1 else max(p, before["p_holm"])
            if place > 1 and before["verdict"] not in (BETTER, WORSE):
                row["verdict"] = NOT_TESTED
    corrected = []
    for number, declared in enumerate(settings):
        pairs = declared.pairs.copy()
        of_setting = {place: row for (place, at), row in rows.items() if at == number}
        for place, row in of_setting.items():
            pairs.loc[pairs["place"] == place, ["p_holm", "verdict"]] = row["p_holm"], row["verdict"]
        n_tests = max((row["n_tests"] for row in of_setting.values()), default=declared.n_tests)
        corrected.append(declared._replace(pairs=pairs, n_tests=n_tests))
    return corrected


def _equal_sized(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The pairs of `matched_pairs`, not yet tested."""
    sized = _sizes_of(rows)
    is_baseline = sized["attention"] == "standard"
    is_nested = ~is_baseline & ~((sized["attention"] == "nexus") & (sized["order"] == 1))
    pairs = [_pair(ours, theirs, sized) for ours in sized.index[is_nested] for theirs in sized.index[is_baseline]]
    return [pair for pair in pairs if pair["equal"]]


def _sizes_of(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a model; what it costs is NaN where it is not known, as of a mechanism that cannot be counted."""
    sized = rows[rows["n_params"].notna()].drop_duplicates("model").set_index("model")
    return sized.astype(dict.fromkeys(_SIZES.values(), float))


def _pair(model: str, baseline: str, sizes: pd.DataFrame) -> dict[str, Any]:
    """A pair with what is equal, and with its ratios of size where both models have one."""
    pair: dict[str, Any] = {"model": model, "baseline": baseline, "equal": None}
    if model in sizes.index and baseline in sizes.index:
        ratios = {size: float(sizes[of][baseline] / sizes[of][model]) for size, of in _SIZES.items()}
        equal = " and ".join(size for size, ratio in ratios.items() if abs(ratio - 1) <= CLOSE)
        pair |= {"equal": equal or None} | ratios
    return pair


def _tested(pairs: Sequence[dict[str, Any]], rows: pd.DataFrame) -> pd.DataFrame:
    """Compare each pair over the seeds that both have.

    Returns:
        The pairs, with reach and baseline_reach (means), n_seeds, mean, low and high of their difference, p of the
        exact paired test, n_further and n_behind (paired seeds on which the model reaches further, and less far),
        p_holm (corrected for all of the pairs), and the verdict: `better` or `worse` if p_holm is
        below 0.05, `no difference shown`, or `too few seeds` if no outcome could have been told apart from chance.
    """
    measured = rows[rows["accuracy"].notna()]
    of_cells = reaches_of(measured, ["model", "seed"]).reset_index(name="reach")
    columns = (of_cells["model"], of_cells["seed"], of_cells["reach"])
    reaches = {(str(model), int(seed)): int(reach) for model, seed, reach in zip(*columns, strict=True)}
    seeds_of: dict[str, list[int]] = {}
    for model, seed in reaches:
        seeds_of.setdefault(model, []).append(seed)
    largest = rows["hop"].max()
    tested = []
    for pair in pairs:
        seeds = [seed for seed in seeds_of.get(pair["model"], []) if (pair["baseline"], seed) in reaches]
        ours, theirs = ([reaches[pair[side], seed] for seed in seeds] for side in ("model", "baseline"))
        differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        tested.append(
            pair
            | {"reach": t_interval(ours).mean, "baseline_reach": t_interval(theirs).mean, "n_seeds": len(seeds)}
            | t_interval(differences, bounds=(-largest, largest))._asdict()
            | {"p": paired_p(differences)}
            | {"n_further": sum(d > 0 for d in differences), "n_behind": sum(d < 0 for d in differences)}
        )
    corrected = holm([row["p"] for row in tested])
    for row, p in zip(tested, corrected, strict=True):
        row |= {"p_holm": p, "verdict": _verdict(row["mean"], p, row["n_seeds"], len(tested))}
    return pd.DataFrame(tested)


def _verdict(difference: float, p: float, n_seeds: int, n_tests: int) -> str:
    if n_seeds < seeds_needed(n_tests):
        return TOO_FEW
    if p >= 1 - LEVEL:
        return NOT_SHOWN
    return BETTER if difference > 0 else WORSE
