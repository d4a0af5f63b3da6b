"""Whatever a file or a command line holds, the answer is a result or one line of error, never a traceback.

`NEXUS_BENCH_FUZZ=5000` makes so many tries of each kind.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus_bench import cli
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import manifest_sha256
from nexus_bench.data.task import make_task
from nexus_bench.errors import NexusBenchError
from nexus_bench.experiment.suite import make_suite, select_suite
from nexus_bench.io.config import Config, parse_yaml, to_yaml
from nexus_bench.io.files import to_json
from nexus_bench.io.sealed_json import write_sealed
from nexus_bench.report.charts import figures
from nexus_bench.report.charts.plotting import Picture, RenderedFigure
from tests.hostile import VALUES, changes, edits
from tests.paths import ROOT
from tests.small import TINY

TRIES = int(os.environ.get("NEXUS_BENCH_FUZZ", "12"))
FUZZED = settings(
    max_examples=TRIES, deadline=None, database=None, derandomize=TRIES < 100, suppress_health_check=list(HealthCheck)
)
CODES = {0, *range(2, 8)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of every format, and a run."""
    folder = tmp_path_factory.mktemp("made")
    sizes = {"n_nodes": 6, "n_val": 8, "n_test": 8}
    spec = make_task({"task": "pointer_chase", "hops": "1-2", **sizes}, where="test")
    for file_format in ("npz", "jsonl", "csv", "text", "chat", "parquet"):
        generate(folder / file_format, spec, seed=0, n_train=9, file_format=file_format)
    shutil.copytree(ROOT / "runs/example/quick", folder / "run", ignore=shutil.ignore_patterns("figures", "report*"))
    (folder / "suite.yaml").write_text(TINY)
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and figures that are not drawn to the last pixel."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(
        figures,
        "render",
        lambda figure, *, name, caption: Picture(name, caption, lambda: RenderedFigure(b"", "<svg></svg>")),
    )
    return made


@contextlib.contextmanager
def copy_of(source: Path) -> Iterator[Path]:
    copy = Path("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


def answer(*line: str) -> int:
    """Run a command: one line of error, or none and a result."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        code = cli.run(list(line))
    assert code in CODES, (line, code)
    errors = [one for one in error.getvalue().split("\n") if one.startswith("error: ")]
    assert len(errors) == (code != 0), (line, code, error.getvalue())
    assert "\x1b" not in out.getvalue() + error.getvalue()
    return code


def reseal(run: Path) -> None:
    """Make the seal of a run fit its files, as somebody could who knows how."""
    files = {}
    for name in ("results.csv", "curve.csv", "timing.csv", "spec.yaml", "env.json"):
        files[name] = {"sha256": hashlib.sha256((run / name).read_bytes()).hexdigest(), "cells": {}}
    write_sealed(run / "seal.json", {"files": files, "begun": {}})


def refile(folder: Path, manifest: Any) -> None:
    """Write a manifest whose hashes fit."""
    if isinstance(manifest, dict):
        for split, about in manifest["splits"].items() if isinstance(manifest.get("splits"), dict) else ():
            path = folder / f"{split[:50].replace('/', '')}.npz"
            if isinstance(about, dict) and path.is_file():
                about["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest["manifest_sha256"] = manifest_sha256(manifest)
    (folder / "manifest.json").write_text(to_json(manifest))


@FUZZED
@given(edit=edits(), command=st.sampled_from(["train", "match"]))
def test_bytes_of_a_suite(work: Path, edit: Callable[[bytes], bytes], command: str) -> None:
    Path("s.yaml").write_bytes(edit(TINY.encode()))
    with contextlib.suppress(NexusBenchError):
        suite = make_suite(*select_suite("s.yaml", task=None, attention=None, data=None, settings={}))
        assert parse_yaml(to_yaml(suite.config), where="again") == suite.config


@FUZZED
@given(change=changes(), settings=st.sampled_from([{}, {"steps": 1}]))
def test_values_of_a_suite(work: Path, change: Callable[[Any], Any], settings: Config) -> None:
    base = parse_yaml(TINY, where="tiny") | {"tune": {"lr": [1e-3, 1e-2], "seeds": 1}, "summary": "S", "matched": False}
    base["tasks"] = [entry | {"train": {"steps": 2}} for entry in base["tasks"]]
    changed = change(base | {"comparisons": {"in_order": [{"model": "nexus", "baseline": "standard"}]}})
    Path("s.yaml").write_text(json.dumps(changed).replace("NaN", ".nan").replace("Infinity", ".inf"))
    with contextlib.suppress(NexusBenchError):
        suite = make_suite(*select_suite("s.yaml", task=None, attention=None, data=None, settings=settings))
        assert parse_yaml(to_yaml(suite.config), where="again") == suite.config


@FUZZED
@given(
    name=st.sampled_from(["results.csv", "curve.csv", "timing.csv", "spec.yaml", "env.json", "seal.json"]),
    edit=edits(),
    is_sealed=st.booleans(),
    command=st.sampled_from([["report", "copy", "--format", "md"], ["compare", "copy", "copy"], ["status", "copy"]]),
)
def test_bytes_of_a_run(
    work: Path, name: str, edit: Callable[[bytes], bytes], is_sealed: bool, command: list[str]
) -> None:
    with copy_of(work / "run") as run:
        path = run / name
        path.write_bytes(edit(path.read_bytes()))
        if is_sealed and name != "seal.json":
            reseal(run)
        answer(*command)


@FUZZED
@given(
    edit=edits(),
    command=st.sampled_from([["report", "copy", "--format", "csv"], ["compare", "copy", "copy", "--json"]]),
)
def test_bytes_of_a_table_alone(work: Path, edit: Callable[[bytes], bytes], command: list[str]) -> None:
    shutil.rmtree("copy", ignore_errors=True)
    Path("copy").mkdir()
    Path("copy/results.csv").write_bytes(edit((work / "run/results.csv").read_bytes()))
    answer(*command)


@FUZZED
@given(change=changes(), name=st.sampled_from(["seal.json", "env.json", "result.json"]))
def test_values_of_sealed_files(work: Path, change: Callable[[Any], Any], name: str) -> None:
    with copy_of(work / "run") as run:
        path = next(run.glob(f"cells/*/{name}"), run / name)
        changed = change({k: v for k, v in json.loads(path.read_text()).items() if k != "seal"})
        if name == "env.json" or not isinstance(changed, dict):
            path.write_text(to_json(changed))
            reseal(run)
        else:
            write_sealed(path, changed)
        answer("status", "copy")
        answer("train", "copy/spec.yaml", "--out", "copy", "--set", "steps=-1")


@FUZZED
@given(change=changes())
def test_values_of_a_manifest(work: Path, change: Callable[[Any], Any]) -> None:
    with copy_of(work / "npz") as folder:
        refile(folder, change(json.loads((folder / "manifest.json").read_text())))
        answer("verify", "copy")
        answer("export", "--data", "copy", "--out", "copy/out", "--n", "1")


@FUZZED
@given(
    file_format=st.sampled_from(["npz", "jsonl", "csv", "text", "chat", "parquet"]),
    edit=edits(),
    is_rehashed=st.booleans(),
    split=st.sampled_from(["train", "test"]),
)
def test_bytes_of_a_dataset(
    work: Path, file_format: str, edit: Callable[[bytes], bytes], is_rehashed: bool, split: str
) -> None:
    with copy_of(work / file_format) as folder:
        manifest = json.loads((folder / "manifest.json").read_text())
        path = folder / manifest["splits"][split]["file"]
        path.write_bytes(edit(path.read_bytes()))
        if is_rehashed:
            manifest["splits"][split]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
            manifest["manifest_sha256"] = manifest_sha256(manifest)
            (folder / "manifest.json").write_text(to_json(manifest))
        answer("verify", "copy")
        answer("export", "--data", "copy", "--out", "copy/out", "--n", "1")


@FUZZED
@given(
    name=st.sampled_from(["facts", "query", "answer", "hop"]),
    dtype=st.sampled_from(["<i4", "<i8", "<f4", "|O", "<U3", "|b1", "<M8[s]", ">i4", "<c8"]),
    shape=st.lists(st.sampled_from([0, 1, 2, 6, 9, 10**6, 2**40]), max_size=4),
    is_stored=st.booleans(),
    data=st.binary(max_size=500),
)
def test_arrays_of_a_dataset(work: Path, name: str, dtype: str, shape: list[int], is_stored: bool, data: bytes) -> None:
    with copy_of(work / "npz") as folder:
        with np.load(folder / "train.npz") as arrays:
            kept = {key: arrays[key] for key in arrays}
        with zipfile.ZipFile(folder / "train.npz", "w", zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED) as z:
            for key, array in kept.items():
                member = io.BytesIO()
                if key == name:
                    head = {"descr": dtype, "fortran_order": False, "shape": tuple(shape)}
                    np.lib.format.write_array_header_1_0(member, head)
                    member.write(data)
                else:
                    np.lib.format.write_array(member, array)
                z.writestr(f"{key}.npy", member.getvalue())
        refile(folder, json.loads((folder / "manifest.json").read_text()))
        answer("verify", "copy")
        answer("export", "--data", "copy", "--split", "train", "--out", "copy/out", "--n", "1")


@FUZZED
@given(change=changes(), edit=st.none() | edits(), is_harness=st.booleans())
def test_lines_of_predictions(
    work: Path, change: Callable[[Any], Any], edit: Callable[[bytes], bytes] | None, is_harness: bool
) -> None:
    one = {"graph": 0, "query": 0, "prediction": "node1"}
    sample = {"doc": {"graph": 0, "query": 0, "choices": ["a", "b"]}, "filtered_resps": [[-1.0, False], [-2.0, True]]}
    line = json.dumps(change(sample if is_harness else one)).encode() + b"\n"
    Path("p.jsonl").write_bytes(edit(line) if edit else line)
    shutil.rmtree("scored", ignore_errors=True)
    answer("score", "p.jsonl", "--data", str(work / "npz"), "--out", "scored", "--json")


def lines(made: Path) -> dict[str, list[str]]:
    """A cheap line of every command."""
    run, data, stop = str(made / "run"), str(made / "npz"), ["--set", "nonsense=1"]
    return {
        "gen": ["--n", "5", "--n-test", "5", "--hops", "1", "--out", "copy", "-q"],
        "verify": [data],
        "audit": ["pointer_chase", *stop],
        "show": ["pointer_chase"],
        "train": [str(made / "suite.yaml"), "--dry-run", *stop],
        "status": [run],
        "match": [str(made / "suite.yaml"), *stop],
        "report": [run, "--format", "csv"],
        "compare": [run, run, "--out", "copy"],
        "schema": [],
        "export": ["--data", data, "--n", "2", "--out", "copy"],
        "score": ["nowhere", "--data", data, "--out", "copy"],
        "gallery": ["--check", "--out", "nowhere"],
        "list": [],
        "eval": ["nowhere", "--hops", "1"],
        "inspect": ["nowhere"],
        "predictions": ["nowhere"],
        "bench": ["gen", "nonsense"],
    }


def options_of(name: str) -> list[tuple[str, bool]]:
    """The options of a command, and whether they take a value."""
    command = typer.main.get_command(cli.app).commands[name]  # type: ignore[attr-defined]
    command = command.commands["gen"] if name == "bench" else command
    found = [(option.opts[0], not option.is_flag) for option in command.params if option.opts[0].startswith("-")]
    return [option for option in found if option[0] not in ("--help", "--out", "--seconds")]


@FUZZED
@given(data=st.data())
def test_options_of_the_command_line(work: Path, data: st.DataObject) -> None:
    name, line = data.draw(st.sampled_from(sorted(lines(work).items())))
    for option, takes_value in data.draw(st.lists(st.sampled_from(options_of(name)), min_size=1, max_size=3)):
        line = [*line, option, *([data.draw(st.sampled_from(VALUES) | st.text(max_size=5))] if takes_value else [])]
    shutil.rmtree("copy", ignore_errors=True)
    answer(name, *line)
