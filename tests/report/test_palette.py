"""Colours: hue is the family, lightness the order, and all are seen on light and on dark pages."""

import itertools

import pandas as pd
import pytest

from nexus_bench.report.charts.palette import (
    DARK,
    HIGH,
    INK,
    LOW,
    PAPER,
    SOFT,
    at_contrast,
    contrast_of,
    hop_colours,
    kind_of,
    palette_of,
)
from tests.paths import ROOT
from tests.shade import shaded

ALL = pd.read_csv(ROOT / "runs" / "beside" / "rivals" / "results.csv.gz", usecols=["encoding", "model"])
FACTS = ALL["model"][ALL["encoding"] == "fact"].unique()
RIVALS = [name.removesuffix(", n_heads 4, curriculum adaptive") for name in FACTS]
ORDERS = ["standard", *(f"nexus, order {m}, refine {r}" for r in ("q", "qk") for m in (2, 3, 4, 8))]


def test_contrast_is_that_of_wcag() -> None:
    assert contrast_of("#ffffff", "#000000") == pytest.approx(21)
    assert contrast_of("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)
    assert contrast_of("#0000ff", "#ffffff") == contrast_of("#ffffff", "#0000ff") == pytest.approx(8.59, abs=0.005)


@pytest.mark.parametrize("models", [ORDERS, RIVALS], ids=["orders", "rivals"])
def test_every_colour_is_seen_on_light_and_on_dark_pages(models: list[str]) -> None:
    palette = palette_of(models)
    colours = [(light, palette.dark[light]) for light in palette.light.values()]
    for light, dark in hop_colours(range(1, 13)).values():
        assert contrast_of(light, PAPER) >= 3 and contrast_of(dark, DARK[PAPER]) >= 3
    for light, dark in colours:
        assert contrast_of(light, PAPER) >= 4.5 and contrast_of(dark, DARK[PAPER]) >= 4.5, "names have the colour too"
    for light, dark in [*colours, (SOFT, DARK[SOFT])]:  # over hops that were trained
        assert contrast_of(light, shaded(PAPER)) >= 3 and contrast_of(dark, shaded(DARK[PAPER])) >= 3
    assert contrast_of(SOFT, PAPER) >= 3 and contrast_of(DARK[SOFT], DARK[PAPER]) >= 3
    for end in (LOW, HIGH):
        assert contrast_of(INK, end) >= 4.5 and contrast_of(DARK[INK], DARK[end]) >= 4.5, "text on a heatmap"


def test_kinds_have_colours_of_their_own() -> None:
    for models in (ORDERS, RIVALS):
        palette = palette_of(models)
        assert len(palette.light) > 6 and len(set(palette.light.values())) == len(palette.light)
        assert len({palette.dark[colour] for colour in palette.light.values()}) == len(palette.light)


def test_orders_of_a_family_share_a_hue_and_grow_stronger() -> None:
    palette = palette_of(ORDERS)
    for refine in ("q", "qk"):
        colours = [palette.of(f"nexus, order {m}, refine {refine}") for m in (2, 3, 4, 8)]
        for light, strong in itertools.pairwise(colours):
            assert contrast_of(strong, PAPER) > 1.2 * contrast_of(light, PAPER)
            assert contrast_of(palette.dark[strong], DARK[PAPER]) > 1.2 * contrast_of(palette.dark[light], DARK[PAPER])
    blue, orange = palette.of("nexus, order 2, refine q"), palette.of("nexus, order 2, refine qk")
    assert blue[1:3] < blue[5:7] and orange[1:3] > orange[5:7]
    red, green, grey = (palette.of("standard")[i : i + 2] for i in (1, 3, 5))
    assert red == green == grey, "standard attention has no hue"


def test_a_model_has_the_same_colour_in_every_report() -> None:
    whole = palette_of([*RIVALS, *ORDERS])
    for models in (RIVALS, ORDERS, RIVALS[3:], ORDERS[::-1], ["standard", "nexus, order 3, refine qk"]):
        assert {model: palette_of(models).of(model) for model in models} == {model: whole.of(model) for model in models}
    more = palette_of([*RIVALS, *ORDERS, *(f"mine {i}" for i in range(60))])
    known = [*RIVALS, *ORDERS]
    assert {model: more.of(model) for model in known} == {model: whole.of(model) for model in known}
    assert len({more.of(f"mine {i}") for i in range(60)}) == 60, "any number of other families"
    alone = palette_of(["standard", "mine 1", "mine 2"])
    assert alone.light == palette_of(["mine 2", "mine 1", "standard"]).light, "of whatever order"


def test_size_changes_no_colour_and_the_family_is_the_same_in_any_order_of_models() -> None:
    assert kind_of("standard, d_model 72") == kind_of("standard") == ("standard", 1)
    assert kind_of("standard, n_layers 2, d_model 46") == ("standard, n_layers", 2)
    assert palette_of(ORDERS).light == palette_of([*ORDERS, *ORDERS]).light


def test_a_colour_has_the_contrast_that_is_asked_for() -> None:
    for contrast, hue in itertools.product((3.3, 5.0, 11.0), range(0, 360, 30)):
        for paper in (PAPER, DARK[PAPER]):
            assert contrast_of(at_contrast(contrast, paper, hue, 0.15), paper) == pytest.approx(contrast, rel=0.04)
