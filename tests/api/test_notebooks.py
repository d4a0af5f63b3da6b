"""The notebooks of docs/ run from their first cell to their last, and are stored as they ran."""

import ast
import json
import re
from pathlib import Path

import pytest

import nexus_bench as nb
from nexus_bench.api.reference import reference_page
from tests.notebooks import NOTEBOOKS, execute
from tests.paths import ROOT


def test_there_are_two_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS] == ["first_study.ipynb", "own_attention.ipynb"]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Jupyter's own
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_anew(path: Path, tmp_path: Path) -> None:
    ran = execute(path, tmp_path, settings="20, 1", seconds=300)
    shown = [kind for cell in ran.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())]
    assert "image/svg+xml" in shown and "text/html" in shown
    (progress,) = (
        output["data"]["text/plain"]
        for cell in ran.cells
        for output in cell.get("outputs", ())
        if output["output_type"] == "display_data" and "steps" in output["data"]["text/plain"]
    )
    assert "60/60" in progress  # steps of three cells: one view, which replaced itself


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_stored_notebook_is_small_whole_and_tells_nothing_of_the_machine(path: Path) -> None:
    text = path.read_text()
    assert len(text) < 300_000
    assert not re.findall(r"/(?:home|root|tmp|usr|opt|work|Users)/", text)
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [out for cell in cells for out in cell["outputs"] if out["output_type"] == "error"]
    assert not [cell for cell in cells if "execution" in cell["metadata"]]


def test_an_attention_of_ones_own_takes_thirty_lines() -> None:
    cells = json.loads((ROOT / "docs" / "own_attention.ipynb").read_text())["cells"]
    (source,) = ("".join(cell["source"]) for cell in cells if "ATTENTIONS.register" in "".join(cell["source"]))
    assert len(source.splitlines()) <= 30
    assert isinstance(ast.parse(source).body[-1], ast.ClassDef)


def test_the_reference_is_what_the_docstrings_say() -> None:
    page = (ROOT / "docs" / "api.md").read_text()
    assert page == reference_page(), "python -m nexus_bench.api.reference > docs/api.md"
    assert set(re.findall(r"^### nb\.(\w+)$", page, flags=re.MULTILINE)) == set(nb.__all__) - {"DTYPES", "__version__"}
