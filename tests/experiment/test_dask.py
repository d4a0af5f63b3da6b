"""The same grid on a real Dask scheduler and two workers, on the loopback address alone."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from nexus_bench.errors import StorageError
from nexus_bench.experiment.events import CellBegun, Event, Failure, Progress
from nexus_bench.experiment.execution import Execution
from nexus_bench.experiment.plan import make_plan
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.runner import run_plan
from nexus_bench.experiment.suite import make_suite
from nexus_bench.io.config import parse_yaml
from tests.conftest import Command, without_start
from tests.small import TINY

distributed = pytest.importorskip("distributed")
SUITE = TINY.replace("steps: 20", "steps: 600").replace("eval_every: 10", "eval_every: 50")


def launch(*arguments: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", *arguments, "--host", "127.0.0.1"]
    return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def said(process: "subprocess.Popen[str]", pattern: str) -> str:
    """What a process tells on stderr, waited for; the rest is read away, so that it never blocks."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(pattern, line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return found.group(1)
    raise AssertionError(f"{process.args} ended and did not say {pattern}")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list["subprocess.Popen[str]"]]]:
    """The address of the scheduler; the two workers and the scheduler."""
    scheduler = launch("distributed.cli.dask_scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0")
    workers = []
    try:
        address = said(scheduler, r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
        quiet = ["--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
        workers = [launch("distributed.cli.dask_worker", address, *quiet) for _ in range(2)]
        for worker in workers:
            said(worker, r"Registered to:\s+(tcp\S+)")
        yield address, [*workers, scheduler]
    finally:
        for process in [*workers, scheduler]:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()


def run(folder: Path, execution: Execution, tell: Callable[[Event], None] = lambda event: None) -> RunFolder:
    suite = make_suite(parse_yaml(SUITE, where="test"), where="test")
    target = RunFolder(folder)
    assert not run_plan(make_plan(suite, target), target, execution, data=None, on_event=tell)
    return target


@pytest.fixture(scope="module")
def in_one(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run without a cluster."""
    return run(tmp_path_factory.mktemp("in_one"), Execution(executor="inline"))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_killed_in_mid_cell_changes_no_byte(
    cluster: tuple[str, list["subprocess.Popen[str]"]], in_one: RunFolder, tmp_path: Path
) -> None:
    address, workers = cluster
    begun: list[str] = []
    killed: list[int] = []

    def kill_one_in_mid_cell(event: Event) -> None:
        if isinstance(event, CellBegun):
            begun.append(event.cell_id)
        if isinstance(event, Progress) and len(begun) == 2 and not killed:
            killed.append(workers[0].pid)
            os.kill(workers[0].pid, signal.SIGKILL)

    on_dask = run(
        tmp_path / "dask", Execution(executor="dask", scheduler=address, n_workers=2), tell=kill_one_in_mid_cell
    )
    assert killed and len(begun) == 5, "one of the four cells was begun twice"
    for name in ("results.csv", "curve.csv"):
        assert (on_dask.path / name).read_bytes() == (in_one.path / name).read_bytes(), name
    for path in in_one.path.rglob("model.safetensors"):
        assert (on_dask.path / path.relative_to(in_one.path)).read_bytes() == path.read_bytes()
    assert not list(on_dask.path.rglob("newest")), "workers write nothing in the run folder"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_scheduler_that_is_killed_loses_no_finished_cell(
    cluster: tuple[str, list["subprocess.Popen[str]"]], in_one: RunFolder, tmp_path: Path
) -> None:
    address, (*_, scheduler) = cluster
    told: list[Event] = []

    def kill_when_a_cell_is_done(event: Event) -> None:
        told.append(event)
        if isinstance(event, CellResult):
            scheduler.kill()

    execution = Execution(executor="dask", scheduler=address, n_workers=2)
    with pytest.raises(StorageError, match=f"{address}: the Dask scheduler is gone; start it again: the same command"):
        run(tmp_path / "dask", execution, tell=kill_when_a_cell_is_done)
    done = [event.cell_id for event in told if isinstance(event, CellResult)]
    assert done and not [event for event in told if isinstance(event, Failure)]
    told.clear()
    again = run(tmp_path / "dask", Execution(executor="inline"), tell=told.append)
    assert not {event.cell_id for event in told if isinstance(event, CellBegun)} & set(done)
    assert (again.path / "results.csv").read_bytes() == (in_one.path / "results.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_scheduler_that_is_killed_while_a_result_is_fetched_is_told(
    cluster: tuple[str, list["subprocess.Popen[str]"]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, (*_, scheduler) = cluster
    fetch = distributed.Future.result

    def fetch_from_a_dead_scheduler(future: Any) -> object:
        assert future.status == "finished"
        scheduler.kill()
        scheduler.wait()
        return fetch(future)

    monkeypatch.setattr(distributed.Future, "result", fetch_from_a_dead_scheduler)
    with pytest.raises(StorageError, match=f"{address}: the Dask scheduler is gone; start it again: the same command"):
        run(tmp_path / "dask", Execution(executor="dask", scheduler=address, n_workers=2))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_without_a_scheduler_a_local_cluster_listens_on_loopback_alone(tmp_path: Path) -> None:
    listening: set[str] = set()

    def look(event: Event) -> None:
        if isinstance(event, Progress):
            for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
                listening.update(c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN)

    run(tmp_path / "dask", Execution(executor="dask", n_workers=2), tell=look)
    assert listening == {"127.0.0.1"}


def test_a_scheduler_that_does_not_answer_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    result = command("train", "suite.yaml", "--executor", "dask", "--scheduler", "tcp://127.0.0.1:9")
    assert result.returncode == 5
    told = without_start(result.stderr)
    assert told == "error: tcp://127.0.0.1:9: no Dask scheduler answers there; check --scheduler\n"


def test_the_slurm_example_asks_for_what_it_says() -> None:
    """The script of a job is made without Slurm."""
    pytest.importorskip("dask_jobqueue")
    from nexus_bench.experiment.executors.slurm_example import slurm_cluster

    local = {"scheduler_options": {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}}
    with slurm_cluster(queue="short", walltime="01:30:00", memory="4GB", gpus=1, **local) as cluster:
        script = cluster.job_script()
    for line in ("#SBATCH -p short", "#SBATCH -t 01:30:00", "#SBATCH --gres=gpu:1", "#SBATCH --mem=4G"):
        assert line in script.splitlines(), script
    assert "--nthreads 1" in script and "distributed.cli.dask_worker" in script
