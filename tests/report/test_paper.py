"""The paper has its numbers from the run, and none of its own."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus_bench.errors import UsageError
from nexus_bench.io.scripts import errors_in_a_line
from nexus_bench.report.verdict.limits import uninterpreted
from nexus_bench.report.verdict.paper import NUMBERS, SOURCE, build, numbers_of, plain
from nexus_bench.report.verdict.sentences import told
from nexus_bench.report.verdict.study import Study
from tests.paths import ROOT

PAPER = ROOT / "docs" / "paper"


@pytest.fixture(scope="module")
def numbers(study: Study) -> dict[str, Any]:
    return numbers_of(study, {}, figures="figures")


def test_a_folder_without_the_source_of_the_paper_is_one_line(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "nexus_bench.report.verdict.paper", "nowhere", "nowhere", "nowhere", str(tmp_path)]
    done = subprocess.run([*line, "paper.pdf"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    told = f"error: {tmp_path / SOURCE}: is missing; give the folder of the paper, docs/paper, or omit PDF\n"
    assert (done.returncode, done.stderr) == (2, told) and not list(tmp_path.iterdir())
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads((tmp_path / NUMBERS).read_text()) == {"has_results": False}


def test_the_source_has_no_number_of_its_own() -> None:
    """But in formulas, and in what programs it names."""
    source = re.sub(r"^//.*$", "", (PAPER / SOURCE).read_text(), flags=re.MULTILINE)
    source = re.sub(r"\$[^$]*\$", "", source)
    assert [line for line in source.splitlines() if re.search(r"\d", line)] == []


def test_the_source_claims_no_outcome_of_its_own() -> None:
    """What the results decide is said by sentences that are made from them."""
    source = (PAPER / SOURCE).read_text()
    results = source.partition("= Results")[2].partition("= Limits")[0]
    prose = re.sub(r"#[\w.]+(?:\([^)]*\))?|caption: \[[^]]*\]", "", results)
    assert not re.search(r"further|better|worse|ahead|behind|beats|wins|outperform", prose)
    used = set(re.findall(r"\bn\.(?!at\b)(\w+)", source))
    assert used | set(re.findall(r'count\("(\w+)"\)', source)) == USED


USED = {
    "has_results",
    "n_families",
    "n_asked",
    "n_seeds",
    "places",
    "missing",
    "shared",
    "declared",
    "reach",
    "figures",
}
USED |= {
    "challenged",
    "challenges",
    "parameters",
    "costs_text",
    "costs",
    "theory_text",
    "theory",
    "not_interpreted",
    "limits",
    "power_text",
    "power",
}


def test_what_the_source_uses_is_there_and_is_what_the_verdict_says(numbers: dict[str, Any], study: Study) -> None:
    assert set(numbers) - USED == {"n_models", "fewest_further"} and USED <= set(numbers)
    assert [one["text"] for one in numbers["places"]] == [
        plain(told(study, place, "", uninterpreted(study, {}))) for place in range(1, 7)
    ]
    assert numbers["places"][0]["title"] == "Order 2 against 2 loops"
    heads, *rows = numbers["declared"]
    assert heads[1] == "order 2 against 2 loops" and len(rows) == 13
    by_family = {row[0]: row[1] for row in rows}
    assert by_family["kinship"] == "+0.9, p 0.0029: further" and by_family["ancestor"] == "-1.0, p 0.002: less far"
    assert (numbers["n_families"], numbers["n_asked"], numbers["n_seeds"]) == (4, 13, 12)
    assert [one["task"] for one in numbers["figures"]] == ["pointer_chase", "kinship"]
    assert "](" not in json.dumps(numbers) and "`" not in json.dumps(numbers)


def test_every_source_is_cited_and_every_citation_has_its_source() -> None:
    keys = set(yaml.safe_load((PAPER / "references.yml").read_text()))
    assert set(re.findall(r"@(\w+)", (PAPER / SOURCE).read_text())) == keys


@pytest.mark.parametrize("has_results", [True, False])
def test_the_paper_is_built_with_results_and_without(
    tmp_path: Path, numbers: dict[str, Any], has_results: bool
) -> None:
    pytest.importorskip("typst")
    home = tmp_path / "docs" / "paper"
    shutil.copytree(PAPER, home, ignore=shutil.ignore_patterns("*.pdf"))
    (home / NUMBERS).write_text(json.dumps(numbers if has_results else {"has_results": False}))
    for one in numbers["figures"]:
        for name in ("drawing", "accuracy"):
            (home / one[name]).parent.mkdir(exist_ok=True)
            (home / one[name]).write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    for name in ("a.pdf", "b.pdf"):
        build(home / SOURCE, tmp_path / name)
    first = (tmp_path / "a.pdf").read_bytes()
    assert first.startswith(b"%PDF") and first == (tmp_path / "b.pdf").read_bytes()


def test_without_typst_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "typst", None)
    with pytest.raises(UsageError, match=r"needs Typst; install it with"):
        build(PAPER / SOURCE, tmp_path / "a.pdf")


def test_a_mistake_ends_a_script_with_one_line_and_the_code_of_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, errors_in_a_line():
        raise UsageError("holds no run")
    assert ended.value.code == 2 and capsys.readouterr().err == "error: holds no run\n"
