"""Mistakes in calls: one line that names the argument, before anything is written."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nexus_bench as nb
from nexus_bench.api import training, values
from nexus_bench.errors import ConfigError, UsageError

TINY: dict[str, Any] = {"n_nodes": 6, "n_val": 8, "n_test": 16, "d_model": 16, "steps": 20, "batch_size": 4}
TINY |= {"eval_every": 10, "quiet": True}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nb.Run:
    out = tmp_path_factory.mktemp("mistakes") / "run"
    return nb.train(task="pointer_chase", attention="standard", hops="1-2", seeds=1, out=out, executor="inline", **TINY)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": 3}, "^task must be a name or a list of names, got 3$"),
        ({"task": [3]}, r"^task must be a name or a list of names, got \[3\]$"),
        ({"task": []}, "^task is empty; give a name, or omit it$"),
        ({"attention": [None]}, "^attention must be a name"),
        ({"attention": ""}, "^attention is empty"),
        ({"suite": 3}, "^suite must be a path, got 3$"),
        ({"out": 3}, "^out must be a path, got 3$"),
        ({"data": 3}, "^data must be a path, got 3$"),
        ({"data": "d", "task": "ancestor", "out": "nowhere"}, "^data determines task and hops; omit task and hops$"),
        ({"workers": 0}, "^workers must be a whole number from 1 to 1000, got 0$"),
        ({"workers": 1.5}, "^workers must be"),
        ({"executor": None}, "^executor must be a text, got None$"),
        ({"hops": "3-1"}, "hops '3-1' run backwards"),
        ({"order": 0, "attention": "nexus"}, "order: input should be greater than or equal to 1, got 0"),
        ({"order": "2-3", "attention": "nexus"}, r"order: .*, got '2-3'; write \[2, 3\] for several$"),
        ({"order": "1-3", "attention": "nexus"}, r"order: .*, got '1-3'; write \[1, 2, 3\] for several$"),
        ({"learning_rate": 1e-3}, "unknown setting 'learning_rate'; did you mean 'lr'"),
        ({"heads": 2}, "did you mean 'n_heads'"),
        ({"epochs": 2}, "did you mean 'steps'"),
        ({"batch": 3}, "did you mean 'batch_size'"),
        ({"num_hops": 3}, "did you mean 'hops'"),
        ({"n_workers": 2}, "did you mean 'workers'"),
        ({"attentions": "nexus"}, "did you mean 'attention'"),
        ({"taks": "kinship"}, "did you mean 'task'"),
        ({"logger": "wandb"}, "^logger is no argument; `nexus-bench train --logger` has it, or omit it$"),
        ({"log_every": 3}, "`nexus-bench train --log-every` has it"),
        ({"comparisons": "standard"}, r'in Python `\[{"model": "nexus, order 3", "baseline": "standard"}\]`'),
        ({"seeds": -1}, "seeds must be a count from 1"),
    ],
)
def test_a_wrong_argument_of_train_is_one_line(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(nb.NexusBenchError, match=message):
        nb.train(**TINY | {"task": "pointer_chase", "hops": "1-2", "out": tmp_path / "run"} | given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda out: nb.generate("ancestor", n=0, out=out), "^n must be a whole number from 1 to 1000000000, got 0$"),
        (lambda out: nb.generate("ancestor", n="5", out=out), "^n must be"),  # type: ignore[arg-type]
        (lambda out: nb.generate("ancestor", n=5, seed=-1, out=out), "^seed must be a whole number from 0 to"),
        (lambda out: nb.generate("ancestor", n=5, seed=True, out=out), "^seed must be"),
        (lambda out: nb.generate("ancestor", format=None, out=out), "^format must be a text"),  # type: ignore[arg-type]
        (lambda out: nb.generate("ancestor", n=5, out=5), "^out must be a path, got 5$"),  # type: ignore[arg-type]
        (lambda out: nb.show("ancestor", seed=-1), "^seed must be"),
        (lambda out: nb.dataset("kinship", seed="3"), "^seed must be a whole number from 0 to .* got '3'"),  # type: ignore[arg-type]
        (lambda out: nb.score_answer("aunt", None), "^text must be a text, got None$"),  # type: ignore[arg-type]
        (lambda out: nb.score_answer({}, "aunt"), "^score_answer takes an item, a mapping with"),
        (lambda out: nb.score_answer({"answer": 3}, "3"), "^score_answer takes"),
        (lambda out: nb.score_answer(" ", ""), "^score_answer takes"),
        (lambda out: nb.open(3), "^path must be a path, got 3$"),  # type: ignore[arg-type]
    ],
)
def test_a_wrong_argument_of_examples_is_one_line(tmp_path: Path, call: Callable[[Path], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(tmp_path / "data")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.model(3), "^cell must be a text, got 3$"),
        (lambda run: run.model(""), "^cell is empty; give a cell_id"),
        (lambda run: run.model(seed="0"), "^seed must be"),
        (lambda run: run.plot(3), "^name must be a text"),
        (lambda run: run.inspect(hops=0), "^hops must be a whole number from 1"),
        (lambda run: run.inspect(n=-1), "^n must be"),
        (lambda run: run.inspect(example=1.5), "^example must be a whole number from 0"),
        (lambda run: run.evaluate(hops=1, n=0), "^n must be"),
        (lambda run: run.evaluate(n_facts="9"), "^n_facts must be"),
        (lambda run: run.evaluate(loops=0), "^loops must be"),
        (lambda run: run.evaluate(hops=1, device=None), "^device must be a text"),
    ],
)
def test_a_wrong_argument_of_a_run_is_one_line_and_its_results_stay(
    run: nb.Run, call: Callable[[nb.Run], Any], message: str
) -> None:
    before = (run.path / "results.csv").read_bytes()
    with pytest.raises(UsageError, match=message):
        call(run)
    assert (run.path / "results.csv").read_bytes() == before


def test_numbers_of_numpy_are_numbers() -> None:
    assert nb.show("ancestor", seed=np.int64(3)) == nb.show("ancestor", seed=3)
    (one, other) = (next(iter(nb.dataset("kinship", seed=seed))).prompt for seed in (3, np.int64(3)))
    assert one == other


def test_errors_name_arguments_and_calls_as_a_program_writes_them(run: nb.Run) -> None:
    with pytest.raises(ConfigError, match=r"^pointer_chase: .*train with `hop_ood=3` on graphs"):
        run.evaluate(hops=3)
    said = "/a/--b: use --n-facts, a--b, `nexus-bench new --out x` or `nexus-bench gen --out x`, or another --out"
    told = (
        '/a/--b: use n_facts, a--b, `nexus-bench new --out x` or `nexus_bench.generate(..., out="x")`, or another out'
    )
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
        with values.in_python():
            raise UsageError(said)


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("train", "nexus_bench.train()"),
        ("train runs/a", 'nexus_bench.train("runs/a")'),
        ("train reference -o runs/b", 'nexus_bench.train("reference", out="runs/b")'),
        ("train --task kinship,ancestor", 'nexus_bench.train(task="kinship,ancestor")'),
        ("train quick n_nodes=24 --seeds 3", 'nexus_bench.train("quick", n_nodes=24, seeds=3)'),
        ("gen", "nexus_bench.generate(...)"),
        ("gen ancestor --out 'my data'", 'nexus_bench.generate("ancestor", out="my data")'),
        ("eval", "run.evaluate()"),
        ("eval runs/a --n-facts 24", 'nexus_bench.open("runs/a").evaluate(n_facts=24)'),
        ("report", "run.report()"),
        ("open runs/a", 'nexus_bench.open("runs/a").report().open()'),
        ("train --logger", None),
        ("train --logger wandb", None),
        ("train --executor dask --scheduler ...", None),
        ("train my run", None),
        ("train it's", None),
        ("verify mine", None),
        ("new", None),
    ],
)
def test_a_command_is_told_as_the_call_that_does_the_same_or_stays(command: str, call: str | None) -> None:
    assert values.as_call(f"nexus-bench {command}") == (call or f"nexus-bench {command}")


def test_what_is_no_run_dataset_or_suite_is_told_with_the_call_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nb.generate("ancestor", n=1, out="data")
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: nb.open("nowhere"), "nowhere: is not a run folder; make one with `nexus_bench.train()`"),
        (lambda: nb.load("nowhere"), 'make a dataset with `nexus_bench.generate(..., out="nowhere")`'),
        (lambda: nb.train("data"), 'data: is a dataset; write `nexus_bench.train(data="data")`'),
        (lambda: nb.train("nexus"), "'nexus' is an attention; write `nexus_bench.train(attention=\"nexus\")`"),
        (lambda: nb.train("kinship", task="ancestor"), 'write `nexus_bench.train(task="kinship,ancestor")`'),
    ]
    for call, message in calls:
        with pytest.raises(nb.NexusBenchError, match=re.escape(message)):
            call()


def test_the_command_line_trains_by_the_functions_of_the_api(
    tmp_path: Path, command: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("select", "prepare"):
        original = getattr(training, name)
        monkeypatch.setattr(
            training, name, lambda *a, name=name, original=original, **k: asked.append(name) or original(*a, **k)
        )
    assert command("train", "quick", "--dry-run", "--out", str(tmp_path / "run")).returncode == 0
    assert asked == ["select", "prepare"]


@pytest.mark.parametrize(("name", "most"), [("n", 1_000_000_000), ("seed", 2**63 - 1)])
def test_a_call_and_a_command_refuse_the_same_numbers(name: str, most: int, command: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name} must be a whole number from . to {most}, got {most + 1}$"):
        nb.generate("pointer_chase", **{name: most + 1})
    done = command("gen", f"--{name}", str(most + 1))
    assert done.returncode == 2 and f"Input should be less than or equal to {most};" in done.stderr
    assert not Path("runs").exists()
