"""How a plan is carried out: the mode, the device, the executor."""

import os
from typing import NamedTuple

import torch

from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.training.modes import SINGLE, STACKED
from nexus_bench.training.stacked import MOST_MODELS

CURVE_POINTS = 20
GPU_WORKERS = 8  # processes on a GPU at most, with two cores each: most of a short job is its set-up
EXECUTORS = ("process", "inline", "dask")


class Execution(NamedTuple):
    """How a plan is carried out.

    Attributes:
        mode: `single`, or one of the modes of `training.modes`.
        device: `cpu` or `cuda`.
        executor: `process`, `inline` or `dask`.
        n_workers: Processes at a time on a CPU, or on each GPU.
        stack: Largest number of models in a stack.
        scheduler: Address of a Dask scheduler; None starts a cluster on this machine.
        curve_points: Evaluations of each cell that curve.csv keeps.
    """

    mode: str = SINGLE
    device: str = "cpu"
    executor: str = "process"
    n_workers: int = 1
    stack: int = MOST_MODELS
    scheduler: str | None = None
    curve_points: int = CURVE_POINTS

    @property
    def n_devices(self) -> int:
        """Devices that train side by side."""
        if self.executor == "inline":
            return 1
        return torch.cuda.device_count() if self.device == "cuda" else self.n_workers

    @property
    def places(self) -> list[str]:
        """The device of each process that trains, such as `cuda:0`, `cuda:1`, `cuda:0`, `cuda:1`.

        Several processes share a GPU, so that one trains while others compile, draw graphs or score.
        """
        if self.device != "cuda":
            return [self.device] * self.n_workers
        return [f"cuda:{index}" for _ in range(self.n_workers) for index in range(self.n_devices)]


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpu_workers() -> int:
    """Processes on each GPU that the cores suffice for."""
    return max(1, min(GPU_WORKERS, available_cores() // (2 * torch.cuda.device_count())))


def choose_device(name: str) -> str:
    """Resolve `auto`: `cuda` if there is a GPU, else `cpu`.

    Raises:
        UsageError: The name is unknown, or there is no such device.
    """
    has_cuda = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if has_cuda else "cpu"
    if name not in ("cpu", "cuda"):
        raise UsageError(unknown_name("device", name, ("auto", "cpu", "cuda")))
    if name == "cuda" and not has_cuda:
        raise UsageError("device cuda is not available here; use --device cpu")
    return name


def choose_execution(
    *, mode: str, device: str, executor: str, n_workers: int | None, stack: int | None, scheduler: str | None
) -> Execution:
    """The execution that a command line specifies, with `auto` and omitted options resolved.

    Raises:
        UsageError: A name is unknown, there is no such device, or the options contradict each other.
    """
    if executor not in EXECUTORS:
        raise UsageError(unknown_name("executor", executor, EXECUTORS))
    if scheduler is not None and executor != "dask":
        raise UsageError("--scheduler is for --executor dask; give both, or neither")
    chosen = choose_device(device)
    chosen_mode = choose_mode(mode, chosen)
    if stack is not None and chosen_mode == SINGLE:
        raise UsageError("--stack is for stacked modes; add --mode deterministic, tf32 or bfloat16, or omit it")
    n_workers = n_workers or (_gpu_workers() if chosen == "cuda" else available_cores())
    return Execution(chosen_mode, chosen, executor, n_workers, stack or MOST_MODELS, scheduler)


def choose_mode(name: str, device: str) -> str:
    """Resolve `auto`: `single` on a CPU, where stacking is slower, and `tf32` on a GPU.

    Raises:
        UsageError: The name is unknown, or the mode is for a GPU.
    """
    if name == "auto":
        return SINGLE if device == "cpu" else "tf32"
    if name not in (SINGLE, *STACKED):
        raise UsageError(unknown_name("mode", name, ["auto", SINGLE, *STACKED]))
    if device == "cpu" and name in ("tf32", "bfloat16"):
        raise UsageError(f"mode {name} is for a GPU; on a CPU use single or deterministic")
    return name
