"""Speed of training: one model at a time in a plain PyTorch loop, and the modes of the engine.

Everything is measured in one call, in turn; compare ratios within a call, not rates between calls. A rate is in
model-steps per second: a step of a stack of 64 models counts as 64. The window rate is that of the fastest window, in
which nothing but steps is made. The sustained rate is that of a job as `train` runs it, with its data, evaluations and
checkpoints, after the set-up, which is told apart.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn import functional as F

from nexus_bench.data.task import make_task
from nexus_bench.experiment.execution import available_cores
from nexus_bench.experiment.jobs import Job, run_job
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.sources import open_source
from nexus_bench.io.processes import fork_server
from nexus_bench.model.batch import to_training_batch
from nexus_bench.model.costs import cost_of
from nexus_bench.model.spec import make_model
from nexus_bench.training.engine import Single
from nexus_bench.training.modes import SINGLE
from nexus_bench.training.peaks import peak_here
from nexus_bench.training.recipe import schedule
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec, TrainSpec
from nexus_bench.training.stacked import Stacked

PLAIN = "plain loop"
_WINDOWS = 3  # the fastest counts, since other work on the machine only ever slows one down
_PLAIN_BATCHES = 64  # drawn and encoded before the plain loop is timed
_PASSES = 4  # passes over all ways of training
_EVAL_EVERY = 250  # steps, as `train` has it
_REFERENCE_STEPS = 30_000
_MODES = {"engine, 1 thread": SINGLE}  # of ways that do not end with it


class Rate(NamedTuple):
    """One way of training.

    Attributes:
        order: Attention order of the model.
        way: The way of training.
        n_models: Models trained at the same time.
        model_steps_per_second: Optimiser steps per second, summed over the models, in the fastest window.
        ratio: This rate relative to the plain loop of the same call and order (with as many cores).
        sustained: The same as `train` meets it, for ways of training that it has.
    """

    order: int
    way: str
    n_models: int
    model_steps_per_second: float
    ratio: float
    sustained: "Sustained | None"


class Sustained(NamedTuple):
    """A job as `train` runs it.

    Attributes:
        model_steps_per_second: With data, evaluations and checkpoints, after the set-up.
        setup_seconds: Until the second step.
        cells_per_hour: Finished cells of 30,000 steps, set-up included.
        tflops: 10^12 floating-point operations per second, after the set-up.
        share_of_peak: Of the device's dense peak in this precision; None if that is not known.
    """

    model_steps_per_second: float
    setup_seconds: float
    cells_per_hour: float
    tflops: float
    share_of_peak: float | None


def reference_cell(order: int, *, batch_size: int) -> CellSpec:
    """One layer, width 64, 4 heads, 17 positions: 16 facts and a query."""
    task = {"task": "pointer_chase", "hops": "1-5", "n_nodes": 16, "n_queries": 1, "n_val": 256, "n_test": 256}
    return CellSpec(
        task=make_task(task, where="bench"),
        model=make_model({"attention": "nexus", "order": order, "d_model": 64, "n_heads": 4}, where="bench"),
        train=TrainSpec(steps=1_000_000, batch_size=batch_size, lr=1e-3),
        seed=0,
    )


def n_ways(device: str, stack: int) -> int:
    """How many ways are measured on a device, for a progress bar."""
    return 2 + len(_stacks(stack)) if device == "cuda" else 4


def _stacks(stack: int) -> list[tuple[str, int]]:
    usual = [("deterministic", 1), ("deterministic", 64), ("tf32", 64), ("bfloat16", 64)]
    return list(dict.fromkeys([*usual, ("bfloat16", stack)]))


def bench_training(
    orders: list[int], *, device: str, stack: int, batch_size: int, seconds: float, on_rate: Callable[[], None]
) -> Iterator[Rate]:
    """Measure every way of training at every order.

    Args:
        orders: Attention orders of the reference cell.
        device: `cpu` or `cuda`.
        stack: Models of the larger stack, on a GPU.
        batch_size: Graphs per step.
        seconds: How long to time each way, in each of a few windows.
        on_rate: Called after every way.
    """
    for order in orders:
        cell = reference_cell(order, batch_size=batch_size)
        rates = _on_gpu(cell, stack, seconds) if device == "cuda" else _on_cpu(cell, seconds)
        plain: dict[int, float] = {}
        for way, n_models, n_cores, rate in rates:
            if way.startswith(PLAIN):
                plain[n_cores] = rate
            mode = _MODES.get(way, way.rpartition("mode ")[2] if "mode " in way else None)
            kept = None if mode is None else _sustained(cell, mode, n_models, device, seconds, rate)
            on_rate()
            yield Rate(order, way, n_models, rate, rate / plain[n_cores], kept)


def _sustained(cell: CellSpec, mode: str, n_models: int, device: str, seconds: float, rate: float) -> Sustained:
    """Run a job of about so many seconds, in a folder that keeps its checkpoints.

    Args:
        cell: The reference cell.
        mode: One of the modes of `training.modes`.
        n_models: Cells of the job.
        device: `cpu` or `cuda`.
        seconds: About how long.
        rate: The window rate, which says how many steps that are.
    """
    n_evaluations = max(2, round(seconds * rate / n_models / _EVAL_EVERY))
    recipe = {"steps": n_evaluations * _EVAL_EVERY, "eval_every": _EVAL_EVERY, "stop_when_solved": False}
    train = cell.train.model_copy(update=recipe)
    cells = tuple(cell.model_copy(update={"seed": seed, "train": train}) for seed in range(n_models))
    found: list[CellResult] = []
    with tempfile.TemporaryDirectory() as folder:
        where = "cuda:0" if device == "cuda" else device
        job = Job(cells, frozenset(one.cell_id for one in cells), mode, where, Path(folder), None)
        run_job(job, on_event=lambda e: found.append(e) if isinstance(e, CellResult) else None, should_stop=_never)
    assert len(found) == n_models, "the reference cell trains"
    setup, whole = (sum(one.timing[name] for one in found) for name in ("setup_seconds", "train_seconds"))
    kept = n_models * train.steps / (whole - setup)
    compute = cost_of(cell.model, cell.task).counted * train.batch_size
    tflops, peak = 1e-12 * compute * kept, peak_here(where, mode)
    hours = (setup + n_models * _REFERENCE_STEPS / kept) / 3600
    return Sustained(kept, setup, n_models / hours, tflops, None if peak is None else tflops / peak)


def _never() -> bool:
    return False


def _on_gpu(cell: CellSpec, stack: int, seconds: float) -> Iterator[tuple[str, int, int, float]]:
    gpu = torch.device("cuda")
    yield PLAIN, 1, 1, _fastest(_PlainLoop(cell, gpu).advance, seconds)
    yield (
        "engine, mode single",
        1,
        1,
        _fastest(Single(TrainingRow(cell, open_source(cell, None)), gpu).advance, seconds),
    )
    for mode, n_models in _stacks(stack):
        cells = [cell.model_copy(update={"seed": seed}) for seed in range(n_models)]
        engine = Stacked(
            [TrainingRow(cell, open_source(cell, None)) for cell in cells], gpu, mode, n_drawers=available_cores()
        )
        rate = n_models * _fastest(engine.advance, seconds)
        engine.close()
        yield f"{'graph' if n_models == 1 else 'stacked'}, mode {mode}", n_models, 1, rate


def _on_cpu(cell: CellSpec, seconds: float) -> Iterator[tuple[str, int, int, float]]:
    """One thread, then all cores: a loop with as many threads, and as many processes with one thread each."""
    n_cores = available_cores()
    cpu = torch.device("cpu")
    n_threads = torch.get_num_threads()
    found = dict.fromkeys((f"{PLAIN}, 1 thread", "engine, 1 thread", f"{PLAIN}, {n_cores} threads"), 0.0)
    torch.set_num_threads(1)
    loop, engine = _PlainLoop(cell, cpu), Single(TrainingRow(cell, open_source(cell, None)), cpu)
    processes, cores = 0.0, (1, 1, n_cores)
    for _ in range(_PASSES):  # in turn, since the speed of the machine varies over time
        for way, advance, threads in zip(found, (loop.advance, engine.advance, loop.advance), cores, strict=True):
            torch.set_num_threads(threads)
            found[way] = max(found[way], _fastest(advance, seconds / _PASSES, n_windows=1))
        processes = max(processes, _in_processes(cell, n_cores, seconds / _PASSES))
    torch.set_num_threads(n_threads)
    for (way, rate), used in zip(found.items(), cores, strict=True):
        yield way, 1, used, rate
    yield f"engine, {n_cores} processes", n_cores, n_cores, processes


def _in_processes(cell: CellSpec, n_processes: int, seconds: float) -> float:
    with fork_server(__name__).Pool(n_processes, maxtasksperchild=1) as pool:
        cells = [(cell.model_copy(update={"seed": seed}), seconds) for seed in range(n_processes)]
        return sum(pool.starmap(_in_process, cells, chunksize=1))


def _in_process(cell: CellSpec, seconds: float) -> float:
    torch.set_num_threads(1)
    return _fastest(
        Single(TrainingRow(cell, open_source(cell, None)), torch.device("cpu")).advance, seconds, n_windows=1
    )


class _PlainLoop:
    """A loop that a careful user of PyTorch would write: batches prepared before, AdamW, clipping, a schedule."""

    def __init__(self, cell: CellSpec, device: torch.device) -> None:
        self.recipe = cell.train
        source = open_source(cell, None)
        size = cell.train.batch_size
        self.batches = [
            to_training_batch(source.batch(step, size), source.law, cell.model.encoding, device)[0]
            for step in range(_PLAIN_BATCHES)
        ]
        with torch.random.fork_rng(devices=[]):
            self.model = Single(TrainingRow(cell, source), device).model(0)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=cell.train.lr, weight_decay=0.01)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: schedule(step, self.recipe))
        self.step = 0

    def advance(self) -> None:
        batch = self.batches[self.step % _PLAIN_BATCHES]
        logits = self.model(batch)
        loss = F.cross_entropy(logits.flatten(0, 1), batch.answer.flatten())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.step += 1


def _fastest(advance: Callable[[], None], seconds: float, *, n_windows: int = _WINDOWS) -> float:
    """Steps per second, after a few steps for compilation and caches."""
    for _ in range(5):
        advance()
    best = 0.0
    for _ in range(n_windows):
        _wait()
        started, n_steps = time.perf_counter(), 0
        while time.perf_counter() - started < seconds / n_windows:
            for _ in range(10):
                advance()
            _wait()
            n_steps += 10
        best = max(best, n_steps / (time.perf_counter() - started))
    return best


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
