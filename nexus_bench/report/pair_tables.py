"""The tables of a report that compare pairs of models: declared comparisons, and exploration."""

from typing import Any

import pandas as pd

from nexus_bench.analysis.compare_models import DeclaredPairs
from nexus_bench.io.plurals import counted
from nexus_bench.report.tables import Names, Table, interval, number

_DIFFERENCE = ("difference", "reach", "baseline's reach", "seeds", "further / behind", "p", "p (Holm)", "verdict")
_SIZES = ("parameters", "compute")
_MULTIPLES = "The baseline's parameters and compute are in multiples of the model's."


def declared(found: DeclaredPairs, names: Names) -> Table:
    """The comparisons that the suite declares: one row per pair."""
    tested, rows = "tested as one family", "for exactly these rows"
    if found.in_order:
        tested = (
            "tested in this order: a row is tested if the one before it shows a difference, and rows at the same place "
            "are one family over all settings of the report"
        )
        rows = f"for that family ({counted(found.n_tests, 'setting')}), and at least that of the row before"
    about = (
        f"Declared in the suite before training, and {tested}. Hop reach over the seeds that both have, the "
        "difference with its 95% t-interval, the seeds on which the model reaches further and less far, p of the exact "
        f"paired test (every sign flip), and p corrected by Holm {rows}; the corrected p decides the "
        f"verdict. {_MULTIPLES}"
    )
    return _sized("declared", "Declared comparisons", about, found.pairs, names)


def matched(pairs: pd.DataFrame, names: Names) -> Table:
    """Models of the same size: one row per pair."""
    about = (
        "Models of the same size, within 5%, compared by hop reach. Not declared before training, so only exploration: "
        f"a verdict is an idea to test, by declared comparisons on further seeds. Holm corrects for these rows. "
        f"{_MULTIPLES}"
    )
    return _sized("matched", "Models of the same size (exploration)", about, pairs, names)


def comparisons(pairs: pd.DataFrame, names: Names) -> Table:
    """Every pair of models: one row each."""
    rows = [
        names.row(
            [pair["model"], pair["baseline"]],
            [names.short[pair["model"]], names.short[pair["baseline"]], *_difference(pair)],
        )
        for _, pair in pairs.iterrows()
    ]
    about = (
        "Hop reach over the seeds that both have, the difference with its 95% t-interval, p of the exact paired test "
        "(every sign flip), and p corrected by Holm for these rows. Every pair is here, declared or not, so this is "
        "only exploration: a verdict is an idea to test, by declared comparisons on further seeds."
    )
    return Table("comparisons", "Every pair (exploration)", about, ["model", "baseline", *_DIFFERENCE], rows, [])


def _sized(name: str, title: str, about: str, pairs: pd.DataFrame, names: Names) -> Table:
    """Pairs with what is equal in them and with the ratios of their sizes."""
    rows = [
        names.row(
            [pair["model"], pair["baseline"]],
            [
                names.short[pair["model"]],
                "-" if pd.isna(pair["equal"]) else pair["equal"],
                names.short[pair["baseline"]],
                *_difference(pair),
            ]
            + [_times(pair.get(size)) for size in _SIZES],
        )
        for _, pair in pairs.iterrows()
    ]
    columns = ["model", "equal", "baseline", *_DIFFERENCE, *(f"baseline's {size}" for size in _SIZES)]
    return Table(name, title, about, columns, rows, [])


def _times(ratio: Any) -> str:
    return "-" if ratio is None or pd.isna(ratio) else f"x {ratio:.2f}"


def _difference(pair: pd.Series) -> list[str]:
    return [
        interval(pair, digits=1, sign="+"),
        number(pair["reach"], 1),
        number(pair["baseline_reach"], 1),
        str(pair["n_seeds"]),
        f"{pair['n_further']} / {pair['n_behind']}",
        f"{pair['p']:.2g}",
        f"{pair['p_holm']:.2g}",
        pair["verdict"],
    ]
