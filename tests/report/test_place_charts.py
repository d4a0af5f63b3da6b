"""Charts of accuracy against the place of a label and the length of a sequence."""

import pandas as pd
import pytest

from nexus_bench.io.columns import PLACE_COLUMNS
from nexus_bench.report.charts.by_place import accuracy_by
from nexus_bench.report.charts.palette import palette_of
from nexus_bench.report.charts.plotting import Spec

CHANCE = {1: 0.2, 2: 0.1, 3: 0.05}


def places(*rows: tuple[str, str, int, str, int, int, int, int]) -> pd.DataFrame:
    """Rows of (cell_id, model, hop, by, first, last, n_examples, n_correct)."""
    frame = pd.DataFrame(
        rows, columns=["cell_id", "model", "hop", "by", "first", "last", "n_examples", "n_correct"]
    ).assign(seed=0, split="test")
    frame["accuracy"] = frame["n_correct"] / frame["n_examples"]
    return frame.astype({column.name: column.dtype for column in PLACE_COLUMNS})


def drawn(frame: pd.DataFrame, by: str = "place") -> Spec | None:
    models = dict.fromkeys(frame["model"], 1)
    return accuracy_by(by, frame, models, CHANCE, palette_of(list(models)), title="a task")


def points(spec: Spec | None) -> list[tuple[object, ...]]:
    assert spec is not None
    return [tuple(row[n] for n in ("panel", "at", "bin", "accuracy", "chance")) for row in spec["datasets"]["rows"]]


def test_a_point_is_a_bin_of_all_seeds_of_a_model() -> None:
    frame = places(
        *(("a", "standard", 2, "place", 3, 5, 10, 4), ("a", "standard", 2, "place", 6, 9, 12, 6)),
        *(("b", "standard", 2, "place", 3, 6, 14, 2), ("b", "standard", 2, "place", 7, 9, 8, 4)),
    )
    assert points(drawn(frame)) == [("2 hops", 4.2, "3-6", 0.25, 0.1), ("2 hops", 7.8, "6-9", 0.5, 0.1)]
    assert drawn(frame, "length") is None


def test_hop_counts_have_panels_unless_each_has_one_place() -> None:
    each = places(*(("a", "standard", hop, "place", hop, hop, 10, hop) for hop in (1, 2, 3)))
    assert {panel for panel, *_ in points(drawn(each))} == {"1 to 3 hops"}
    lengths = places(*(("a", "standard", hop, "length", n, n, 10, hop) for hop in (1, 2) for n in (4, 5)))
    assert [panel for panel, *_ in points(drawn(lengths, "length"))] == ["1 hop", "1 hop", "2 hops", "2 hops"]


@pytest.mark.parametrize("n_hops", [9, 40])
def test_of_many_hop_counts_nine_have_a_panel_the_first_and_the_last_among_them(n_hops: int) -> None:
    hops = range(1, n_hops + 1)
    many = places(*(("a", "standard", hop, "place", first, first, 10, 5) for hop in hops for first in (50, 60)))
    panels = list(dict.fromkeys(str(panel) for panel, *_ in points(drawn(many))))
    assert len(panels) == 9 and (panels[0], panels[-1]) == ("1 hop", f"{n_hops} hops")
