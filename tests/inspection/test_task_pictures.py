"""The gallery's pictures are drawn by the code that is here, one for every family."""

import re

import pytest

from nexus_bench.inspection.task_pictures import task_picture
from tests.families import GRAPHS
from tests.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"


def test_every_family_has_its_picture() -> None:
    assert sorted(path.stem for path in PICTURES.iterdir()) == sorted(GRAPHS)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    """To the byte, on every machine: places are made by sums, products and roots."""
    drawn = task_picture(name)
    stored = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert stored == drawn, "python -m nexus_bench.inspection.task_pictures docs/pictures"
    assert re.findall(r'font-weight="700"[^>]*>(\d+)', drawn) == ["1", "2"], "the hops of the derivation"
    assert len(drawn) < 6_000
