"""Charts: one specification each, the same bytes wherever it is drawn, and nothing that tells nothing."""

import base64
import gzip
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable

import pandas as pd
import vl_convert

from nexus_bench.report.build import build_report
from nexus_bench.report.charts.hop_reach import best_so_far, reach_by_cost
from nexus_bench.report.charts.palette import palette_of
from nexus_bench.report.charts.plotting import VERSION, Picture, Spec
from nexus_bench.report.page import report_page
from nexus_bench.report.page.report_page import to_html
from tests.made import curve, report_of, table
from tests.report.unpacking import unpacked, whole


def pictures_of(results: pd.DataFrame) -> dict[str, Picture]:
    return {picture.name: picture for picture in report_of(results).sections[0].pictures}


def rows_of(picture: Picture, name: str = "rows") -> list[dict[str, object]]:
    assert picture.spec is not None
    rows: list[dict[str, object]] = picture.spec["datasets"][name]
    return rows


def orders(reaches: dict[int, list[int]], **columns: object) -> pd.DataFrame:
    """Standard attention and orders of Nexus whose seeds come as far as is said, at hops 1 to 3."""
    names = {order: f"nexus, order {order}" if order > 1 else "standard" for order in reaches}
    cells = [
        (names[order], 0.1, seed, {hop: 1.0 if hop <= reach else 0.2 for hop in (1, 2, 3)})
        for order, seeds in reaches.items()
        for seed, reach in enumerate(seeds)
    ]
    results = table(*cells)
    return results.assign(order=results["model"].map({name: order for order, name in names.items()})).assign(**columns)


THREE = {1: [1, 1], 2: [2, 3], 3: [3, 3]}


def test_the_same_results_give_the_same_bytes_in_two_processes(
    every_figure_is_drawn_once: Callable[[], None],
) -> None:
    """In a process of its own, in which everything is compiled and laid out anew."""
    here = digest(pictures_of(orders(THREE)))
    every_figure_is_drawn_once()
    assert digest(pictures_of(orders(THREE))) == here, "drawn again"
    code = "from tests.report.test_charts import *; print(digest(pictures_of(orders(THREE))))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == here


def digest(pictures: dict[str, Picture]) -> str:
    whole = hashlib.sha256()
    for name, picture in pictures.items():
        whole.update(name.encode() + picture.png + picture.svg.encode() + json.dumps(picture.spec).encode())
    return whole.hexdigest()


def test_the_page_draws_with_the_library_that_draws_the_files() -> None:
    script = gzip.decompress((report_page.PARTS / report_page.VEGA).read_bytes()).decode()
    licences, _, bundle = script.partition("*/\n")
    assert bundle == vl_convert.javascript_bundle(vl_version=VERSION)
    assert licences.startswith("/*!") and "University of Washington" in licences and "Redistribution" in licences
    html = to_html(report_of(orders(THREE)), downloads={})
    packed = html.partition('<script type="application/gzip" id="vega">')[2].partition("</script>")[0]
    assert gzip.decompress(base64.b64decode(packed, validate=True)).decode() == script


def test_no_chart_is_empty() -> None:
    for name, picture in pictures_of(orders(THREE)).items():
        assert picture.svg.count('aria-roledescription="mark') + picture.svg.count("mark-") > 4, name
        assert len(picture.png) > 5_000, name


def test_a_figure_without_data_is_left_out() -> None:
    failed = orders(THREE).assign(accuracy=pd.NA, status="failed").astype({"accuracy": "Float64"})
    assert pictures_of(failed) == {}
    one = failed.assign(accuracy=failed["accuracy"].mask(failed["cell_id"] == failed["cell_id"].iloc[0], 0.5))
    assert {"accuracy_by_hop", "seeds_by_hop", "reach_by_order", "order_by_hop"} <= set(pictures_of(one))


def test_the_heatmap_of_seeds_says_how_many_reach_each_hop() -> None:
    rows = rows_of(pictures_of(orders(THREE))["seeds_by_hop"])
    said = {(row["model"], row["hop"]): (row["said"], row["share"]) for row in rows}
    assert said["nexus, order 2", 2] == ("2/2", 1.0) and said["nexus, order 2", 3] == ("1/2", 0.5)
    assert said["standard", 2] == ("0/2", 0.0) and len(said) == 9
    unclaimed = pictures_of(orders(THREE, partial_input=0.99))["seeds_by_hop"]
    assert {row["said"] for row in rows_of(unclaimed)} == {"-"} and "1/2" not in unclaimed.svg


def test_a_disc_is_as_large_as_the_number_of_its_seeds_and_bounds_end_at_the_largest_hop() -> None:
    picture = pictures_of(orders(THREE))["reach_by_order"]
    seeds = {(row["order"], row["reach"]): row["seeds"] for row in rows_of(picture) if row["kind"] == "seed"}
    assert seeds == {(1, 1): 2, (2, 2): 1, (2, 3): 1, (3, 3): 2}
    assert [row["reach"] for row in rows_of(picture) if row["kind"] == "mean"] == [1.0, 2.5, 3.0]
    bounds = {(row["order"], row["reach"]) for row in rows_of(picture, "bounds")}
    assert bounds == {(1, 1), (2, 2), (3, 3), (2, 3)}, "2^3 - 1 is more than was evaluated"
    assert [(row["order"], row["said"]) for row in rows_of(picture, "beyond")] == [(3, "7 \u2191")]


def test_a_model_is_named_where_its_reach_ends_and_families_have_panels() -> None:
    picture = pictures_of(orders(THREE))["accuracy_by_hop"]
    labels = {(row["family"], row["label"]): row["hop"] for row in rows_of(picture) if row["kind"] == "label"}
    assert labels == {("standard", "standard"): 1, ("nexus", "order 2"): 2, ("nexus", "order 3"): 3}
    assert picture.spec is not None and picture.spec["facet"]["sort"] == ["standard", "nexus"]
    seeds = sorted(
        row["accuracy"] for row in rows_of(picture) if (row["kind"], row["order"], row["hop"]) == ("seed", 2, 3)
    )
    assert seeds == [0.2, 1.0]


def test_labels_stand_on_their_lines_unless_they_meet_and_orders_are_named_beside_their_cost() -> None:
    drawn = pictures_of(orders(THREE))
    labels = [row for row in rows_of(drawn["accuracy_by_hop"]) if row["kind"] == "label"]
    assert {row["label"]: row["accuracy"] for row in labels} == {"standard": 1.03, "order 2": 1.03, "order 3": 1.03}
    costs = reach_by_cost(
        pd.DataFrame({"model": ["standard", "nexus, order 2"], "order": [1, 2], "n_params": [1e3, 2e3]}).assign(
            flops_per_step=[1e6, 2e6], mean=[1.0, 2.0]
        ),
        palette_of(["standard", "nexus, order 2"]),
        title="t",
    )
    assert costs is not None
    assert [row["label"] for row in costs["datasets"]["n_params"]] == ["", "order 2"]


def test_a_mean_just_below_a_hop_is_not_named_as_reaching_it() -> None:
    results = orders({1: [1, 1], 2: [2, 2]})
    is_second = (results["order"] == 2) & (results["hop"] == 2)
    picture = pictures_of(results.assign(accuracy=results["accuracy"].mask(is_second, 0.94996)))["accuracy_by_hop"]
    labels = {row["label"]: row["hop"] for row in rows_of(picture) if row["kind"] == "label"}
    assert labels == {"standard": 1, "order 2": 1}


def test_colours_are_those_of_the_report_in_every_chart() -> None:
    pictures = pictures_of(orders(THREE))
    palette = palette_of(["standard", "nexus, order 2", "nexus, order 3"])
    for name in ("accuracy_by_hop", "reach_by_order", "reach_by_cost"):
        scales = [scale for scale in scales_of(pictures.get(name)) if "nexus, order 2" in scale["domain"]]
        for scale in scales:
            assert scale["range"] == [palette.of(model) for model in scale["domain"]]
        assert scales or name == "reach_by_cost"


def scales_of(picture: Picture | None) -> list[Spec]:
    """Every scale of colours in a specification."""
    found: list[Spec] = []

    def look(part: object) -> None:
        if isinstance(part, dict):
            if isinstance(colour := part.get("color"), dict) and "domain" in colour.get("scale", {}):
                found.append(colour["scale"])
            for value in part.values():
                look(value)
        elif isinstance(part, list):
            for value in part:
                look(value)

    look(picture.spec if picture else {})
    return found


def test_accuracies_can_be_zoomed() -> None:
    spec = pictures_of(orders(THREE))["accuracy_by_hop"].spec
    assert '"zoom": "wheel![event.shiftKey]"' in json.dumps(spec)


def test_a_panel_of_costs_without_spread_is_left_out() -> None:
    same = orders(THREE)
    assert "reach_by_cost" not in pictures_of(same), "all models cost the same"
    wider = same.assign(n_params=same["n_params"] * same["order"])
    picture = pictures_of(wider)["reach_by_cost"]
    assert picture.spec is not None and [one["data"]["name"] for one in picture.spec["concat"]] == ["n_params"]
    nearly = same.assign(n_params=1_000_000 + same["order"])
    assert "reach_by_cost" not in pictures_of(nearly)


def test_very_many_curves_are_summarised_and_the_caption_says_so() -> None:
    results = orders(THREE)
    curves = curve(results)
    few = {p.name: p for p in build_report(results, curves).sections[0].pictures}["learning_curves"]
    assert len(rows_of(few)) == len(curves) and "one line per seed" in few.caption
    many = pd.concat([curves.assign(step=curves["step"] + 20 * i) for i in range(500)], ignore_index=True)
    drawn = {p.name: p for p in build_report(results, many).sections[0].pictures}["learning_curves"]
    assert len(rows_of(drawn)) == len(many) // 2, "two seeds a model"
    assert "the mean over seeds" in drawn.caption


def test_the_pareto_front_is_what_none_beats() -> None:
    assert best_so_far([(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)]) == [1.0, 3.0, 3.0]
    assert best_so_far([(2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]) == [2.0, 2.0, 2.0]
    assert best_so_far([(2.0, 5.0), (1.0, 1.0)]) == [5.0, 1.0]


def test_a_page_holds_the_specification_and_every_row_of_its_figures() -> None:
    report = report_of(orders(THREE))
    html = to_html(report, downloads={})
    packed = json.loads(html.partition('id="figures">')[2].partition("</script>")[0])
    for picture in report.sections[0].pictures:
        assert picture.spec is not None
        own = whole(packed["specs"][picture.name], packed["parts"])
        assert own == {name: value for name, value in picture.spec.items() if name != "datasets"}
        for name, rows in picture.spec["datasets"].items():
            assert unpacked(packed["data"][picture.name][name]) == [
                {field: value for field, value in row.items() if value is not None} for row in rows
            ]
