"""Where learning curves go while cells are trained."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from nexus_bench.errors import StorageError
from nexus_bench.experiment.events import Failure, Progress
from nexus_bench.experiment.loggers.chosen import LOGGERS, Loggers
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from nexus_bench.model.scoring import HopScore
from nexus_bench.training.recipe import Point
from tests.conftest import Command, assert_fails
from tests.small import TINY


class Sent:
    """What a logger sent: runs by name, in the place of the services of others."""

    def __init__(self) -> None:
        self.runs: dict[str, list[tuple[dict[str, float], int]]] = {}
        self.config: dict[str, dict[str, Any]] = {}
        self.ended: dict[str, object] = {}

    def begin(self, name: str) -> None:
        assert name not in self.runs, "a run per cell"
        self.runs[name], self.config[name] = [], {}


def fake_wandb(sent: Sent) -> Any:
    def init(*, name: str, config: dict[str, Any], project: str, group: str, reinit: str, **more: object) -> Any:
        assert (project, group, reinit) == ("nexus-bench", "tiny", "create_new")
        sent.begin(name)
        sent.config[name] = config
        return SimpleNamespace(
            log=lambda metrics, step: sent.runs[name].append((metrics, step)),
            finish=lambda exit_code: sent.ended.update({name: exit_code}),
        )

    settings = SimpleNamespace(settings=SimpleNamespace(project=None))
    return SimpleNamespace(init=init, setup=lambda: settings, Settings=lambda **given: given)


def fake_mlflow(sent: Sent) -> Any:
    class Client:
        def get_experiment_by_name(self, name: str) -> None:
            return None

        def create_experiment(self, name: str) -> str:
            return f"experiment {name}"

        def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
            assert experiment == "experiment tiny" and len(tags["cell_id"]) == 16
            sent.begin(run_name)
            return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

        def log_param(self, run: str, name: str, value: object) -> None:
            sent.config[run][name] = value

        def log_metric(self, run: str, name: str, value: float, step: int) -> None:
            sent.runs[run].append(({name: value}, step))

        def set_terminated(self, run: str, status: str) -> None:
            sent.ended[run] = status

    return SimpleNamespace(MlflowClient=Client)


@pytest.mark.parametrize(("name", "fake", "well"), [("wandb", fake_wandb, 0), ("mlflow", fake_mlflow, "FINISHED")])
def test_every_evaluation_of_every_cell_is_sent(
    name: str, fake: Any, well: object, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Sent()
    monkeypatch.setitem(sys.modules, name, fake(sent))
    Path("tiny.yaml").write_text(TINY)
    done = command(*f"train tiny.yaml --executor inline --quiet --seeds 1 --logger csv,{name}".split())
    assert done.returncode == 0, done.stderr
    assert set(sent.runs) == {
        "pointer_chase hops 1-2 | standard, d_model 16 | seed 0",
        "pointer_chase hops 1-2 | nexus, order 2, refine qk, d_model 16 | seed 0",
    }
    assert sent.ended == dict.fromkeys(sent.runs, well)
    curve, results = pd.read_csv("runs/tiny/curve.csv"), pd.read_csv("runs/tiny/results.csv")
    for run in sent.runs:
        told = {(step, key): value for metrics, step in sent.runs[run] for key, value in metrics.items()}
        cell = results[results["attention"] == ("nexus" if "nexus" in run else "standard")]
        points = curve[curve["cell_id"] == cell["cell_id"].iloc[0]]
        expected = {(p.step, f"accuracy/{p.hop} hops"): p.accuracy for p in points.itertuples()}
        expected |= {(p.step, f"loss/{p.hop} hops"): p.loss for p in points.itertuples()}
        test = cell[cell["split"] == "test"]
        expected |= {(20, f"test accuracy/{row.hop} hops"): row.accuracy for row in test.itertuples()}
        assert told == pytest.approx(expected, abs=1e-4)
    assert all(config.get("seed") == 0 for config in sent.config.values())


def test_a_cell_that_fails_or_is_stopped_ends_its_run_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent()
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow(sent))
    suite = make_suite(parse_yaml(TINY, where="test"), where="test")
    plan = make_plan(suite, RunFolder(tmp_path))
    failed, stopped, never, *_ = (cell.cell_id for cell in suite.cells)
    with Loggers(["mlflow"], tmp_path, "tiny") as loggers:
        loggers.begin(plan)
        for cell in (failed, stopped):
            loggers.on_event(Progress(cell, Point(10, {1: HopScore(8, 4, 0.5)})))
        loggers.on_event(Failure(failed, "why", 7))
        loggers.on_event(Failure(never, "why", 7))
    assert sent.ended == {plan.titles[failed]: "FAILED", plan.titles[stopped]: "KILLED"}


@pytest.mark.parametrize(
    ("logger", "install"), [("wandb", "'wandb>=0.20'"), ("mlflow", "mlflow"), ("tensorboard", "tensorboard")]
)
def test_a_logger_that_is_not_installed_is_told_before_training(
    logger: str, install: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "torch.utils.tensorboard" if logger == "tensorboard" else logger
    monkeypatch.setitem(sys.modules, missing, None)
    Path("tiny.yaml").write_text(TINY)
    done = command("train", "tiny.yaml", "--executor", "inline", "--logger", logger)
    assert_fails(done, 2, f"--logger {logger} needs {install}; pip install {install}, or use --logger csv")
    assert not Path("runs").exists()


@pytest.mark.parametrize(("logger", "install"), [("wandb", "'wandb>=0.20'"), ("mlflow", "mlflow")])
def test_a_folder_that_is_called_as_a_logger_is_not_its_package(
    logger: str, install: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, logger, ModuleType(logger))  # what Python makes of a folder without modules
    Path("tiny.yaml").write_text(TINY)
    done = command("train", "tiny.yaml", "--executor", "inline", "--logger", logger)
    assert_fails(done, 2, f"--logger {logger} needs {install}; pip install {install}, or use --logger csv")


@pytest.mark.parametrize("method", ["create_experiment", "log_metric", "set_terminated"])
def test_a_logger_that_fails_is_one_line_and_the_same_command_goes_on(
    method: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **more: object) -> None:
        raise ConnectionError("no server\nat all")

    fake = fake_mlflow(Sent())
    setattr(fake.MlflowClient, method, fail)
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    Path("tiny.yaml").write_text(TINY)
    line = "train tiny.yaml --executor inline --quiet --seeds 1 --logger".split()
    done = command(*line, "mlflow")
    assert_fails(done, 5, "--logger mlflow: ConnectionError: no server (")
    assert done.stderr.endswith("; mend that and give the same command again, or use --logger csv\n")
    assert command(*line, "csv").returncode == 0


def test_a_logger_that_cannot_be_closed_does_not_hide_why_training_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    class Fails:
        def close(self) -> None:
            closed.append("it")
            raise OSError("disk gone")

    monkeypatch.setitem(LOGGERS, "csv", lambda folder, suite: Fails())  # type: ignore[arg-type,return-value]
    monkeypatch.setitem(LOGGERS, "wandb", lambda folder, suite: Fails())  # type: ignore[arg-type,return-value]
    with pytest.raises(KeyboardInterrupt), Loggers(["csv", "wandb"], tmp_path, "tiny"):
        raise KeyboardInterrupt
    with pytest.raises(StorageError, match="--logger csv: OSError: disk gone"), Loggers(["csv"], tmp_path, "tiny"):
        pass
    assert len(closed) == 3


def test_an_unknown_logger_is_refused(command: Command) -> None:
    done = command("train", "quick", "--logger", "csv,wandbb", "--executor", "inline")
    assert_fails(done, 2, "unknown logger 'wandbb'; did you mean 'wandb'?")
    assert not Path("runs").exists()
