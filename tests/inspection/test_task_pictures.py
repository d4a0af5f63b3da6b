"""The gallery's pictures are drawn by the code that is here, one for every family."""

import re

import numpy as np
import pytest

from nexus_bench.inspection.task_pictures import task_picture
from tests.families import GRAPHS
from tests.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"
_NUMBER = re.compile(r"-?\d+\.\d+")


def test_every_family_has_its_picture() -> None:
    assert sorted(path.stem for path in PICTURES.iterdir()) == sorted(GRAPHS)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    """Up to a point (1/72 inch): where graphs branch, an optimiser places them, and rounds by the processor."""
    stored, drawn = (PICTURES / f"{name}.svg").read_text(encoding="utf-8"), task_picture(name)
    if stored != drawn:
        assert _shape(stored) == _shape(drawn), "python -m nexus_bench.inspection.task_pictures docs/pictures"
        numbers = [np.array([float(number) for number in _NUMBER.findall(text)]) for text in (stored, drawn)]
        np.testing.assert_allclose(*numbers, rtol=0, atol=1)
    assert re.findall(r"font-weight: 700[^>]*>(\d+)<", drawn) == ["1", "2"], "the hops of the derivation"


def _shape(text: str) -> str:
    """A drawing without its numbers, and without the names that are hashes of them."""
    return re.sub(r"#?\b[mp][0-9a-f]{10}\b", "", _NUMBER.sub("", text))
