"""What a job takes of the machine."""

import os

import pytest

from nexus_bench.experiment import execution, jobs
from nexus_bench.experiment.jobs import Job, n_cores, run_job
from nexus_bench.training.loop import StoppedError
from nexus_bench.training.stacked import prepare_compiler
from tests.small import cell


@pytest.mark.parametrize(("n_gpus", "n"), [(0, 4), (1, 4), (2, 2), (16, 1)])
def test_jobs_beside_gpus_share_the_cores(n_gpus: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "available_cores", lambda: 16)
    monkeypatch.setattr("torch.cuda.device_count", lambda: n_gpus)
    assert n_cores(Job((cell(),), frozenset(), "tf32", "cuda", None, None, share=1 / 4)) == n


@pytest.mark.parametrize(("n_gpus", "cores", "n"), [(1, 16, 8), (2, 32, 8), (1, 64, 8), (1, 8, 4), (4, 4, 1)])
def test_a_gpu_has_two_cores_for_each_of_its_processes(
    n_gpus: int, cores: int, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "available_cores", lambda: cores)
    monkeypatch.setattr("torch.cuda.device_count", lambda: n_gpus)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    chosen = execution.choose_execution(
        mode="auto", device="auto", executor="process", n_workers=None, stack=None, scheduler=None
    )
    assert chosen.n_workers == n and len(chosen.places) == n * n_gpus


@pytest.mark.parametrize(("mode", "told"), [("tf32", [8]), ("deterministic", []), ("single", [])])
def test_the_compiler_is_bounded_by_the_cores_of_its_job(
    mode: str, told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds: list[int] = []
    monkeypatch.setattr(jobs, "available_cores", lambda: 8)
    monkeypatch.setattr(jobs, "prepare_compiler", bounds.append)
    job = Job((cell(),), frozenset(), mode, "cpu", None, None)
    with pytest.raises(StoppedError):
        run_job(job, on_event=lambda event: None, should_stop=lambda: True)
    assert bounds == told


def test_processes_of_the_compiler_are_bounded_unless_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "3")
    prepare_compiler(5)
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "3"
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS")
    prepare_compiler(5)
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "5"
