"""The gallery's pictures are drawn by the code that is here, one for every family."""

import re

import pytest

from nexus_bench.data.gallery import gallery_sequence
from nexus_bench.data.show import show_sequence
from nexus_bench.generators.base import GENERATORS
from nexus_bench.inspection.task_pictures import task_picture
from tests.families import GRAPHS, SEQUENCES
from tests.paths import ROOT

PICTURES = ROOT / "docs" / "pictures"


def test_every_family_has_its_picture() -> None:
    names = sorted(GENERATORS.own_names())
    assert sorted(path.stem for path in PICTURES.iterdir()) == names
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    assert re.findall(r"^!\[.*\]\(pictures/(\w+)\.svg\)$", page, flags=re.MULTILINE) == re.findall(
        r"^## (\w+)$", page, flags=re.MULTILINE
    )


@pytest.mark.parametrize("name", [*GRAPHS, *SEQUENCES])
def test_a_picture_is_what_the_code_draws(name: str) -> None:
    """To the byte, on every machine: places are made by sums, products and roots."""
    drawn = task_picture(name)
    stored = (PICTURES / f"{name}.svg").read_text(encoding="utf-8")
    assert stored == drawn, "python -m nexus_bench.inspection.task_pictures docs/pictures"
    assert len(drawn) < 6_000


@pytest.mark.parametrize("name", GRAPHS)
def test_the_hops_of_the_derivation_are_numbered(name: str) -> None:
    assert re.findall(r'font-weight="700"[^>]*>(\d+)', task_picture(name)) == ["1", "2"]


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_has_its_tokens_its_labels_and_what_derives_one(name: str) -> None:
    drawn, shown = task_picture(name), show_sequence(*gallery_sequence(name))
    tokens, labels, answer, numbers = re.findall(r"<text [^>]*>(.*?)</text>", drawn)
    words = [re.findall(r">([^<]+)</tspan>", part) for part in (tokens, labels, answer, numbers)]
    assert words[0] == [word.replace("<", "&lt;").replace(">", "&gt;") for word in shown.facts]
    n_labels = sum(label != "-" for label in shown.labels)
    assert words[2] == [shown.answer] and len(words[1]) == n_labels - 1
    at = dict(enumerate(re.findall(r'<tspan x="(\d+)" y="(\d+)"', tokens)))
    assert len(set(at.values())) == len(shown.facts), "each at a place of its own"
    steps = [int(place) - 1 for place in re.findall(r"place (\d+)", shown.chain)]
    numbered = {(x, str(int(y) + 15)): text for x, y, text in re.findall(r'x="(\d+)" y="(\d+)">([^<]+)', numbers)}
    assert steps and all(str(hop) in numbered[at[place]].split(", ") for hop, place in enumerate(steps, start=1))
    assert drawn.count("v16h") == len(set(steps)), "a box each"
