"""One cell from its spec to its rows: build the source, train, score on validation and test."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import torch

from nexus_bench import __version__
from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.dataset import StoredSource, read_dataset
from nexus_bench.data.splits import TEST, VAL, Splits
from nexus_bench.errors import ConfigError
from nexus_bench.evaluate import HopScore, score
from nexus_bench.references import reference_columns, task_columns
from nexus_bench.results import CellResult, Row
from nexus_bench.spec import CellSpec
from nexus_bench.task import HOP_OOD, PATTERN_OOD, SIZE_OOD, law_of
from nexus_bench.train import Point, Source, Trained, train

_STEADY_ACCURACY = 0.95  # of `steps_to_95`
_ORDER = (VAL, TEST, HOP_OOD, SIZE_OOD, PATTERN_OOD)  # of the splits in results.csv


class Job(NamedTuple):
    """A cell, and where to train it.

    Attributes:
        cell: What to train.
        device: `cpu` or `cuda`.
        checkpoint: File that keeps the state of a begun cell.
        data: Dataset folder to train on; None means the endless stream of the task.
    """

    cell: CellSpec
    device: str
    checkpoint: Path
    data: Path | None


def run_cell(job: Job, *, on_point: Callable[[Point], None], should_stop: Callable[[], bool]) -> CellResult:
    """Train a cell and score it.

    Args:
        job: What, where and on which data.
        on_point: Told of every evaluation.
        should_stop: Asked before every step.

    Raises:
        NexusBenchError: Anything that `train` or `open_source` raises.
    """
    source = open_source(job.cell, job.data)
    trained = train(
        job.cell,
        source,
        device=torch.device(job.device),
        checkpoint=job.checkpoint,
        on_point=on_point,
        should_stop=should_stop,
    )
    weights = {name: value.cpu().clone() for name, value in trained.model.state_dict().items()}
    steps_done = trained.curve[-1].step
    names = {"run_id": job.cell.run_id, "model": job.cell.model.label, "seed": job.cell.seed}
    return CellResult(
        run_id=job.cell.run_id,
        rows=_rows(job.cell, source, trained),
        curve=[
            names | {"step": point.step, "hop": hop, "accuracy": at.accuracy, "loss": at.loss}
            for point in trained.curve
            for hop, at in point.scores.items()
        ],
        timing=names
        | {
            "device": job.device,
            "train_seconds": trained.train_seconds,
            "steps_per_second": steps_done / trained.train_seconds,
        },
        weights=safetensors.torch.save(weights),
    )


def open_source(cell: CellSpec, data: Path | None) -> Source:
    """The examples of a cell: a dataset folder, or the stream of its task.

    Raises:
        ConfigError: The cell is for a dataset and `data` is not that one, or there are too few distinct graphs.
        CorruptArtefactError: The dataset is damaged.
    """
    task = cell.task
    if task.content_sha256 is not None and data is None:
        raise ConfigError(
            f"{task.task}: was run on a dataset ({task.content_sha256[:16]}...); give its folder by --data"
        )
    if data is not None:
        dataset = read_dataset(data)
        if dataset.manifest["content_sha256"] != task.content_sha256:
            raise ConfigError(f"{data}: changed since it was first read; run the command again")
        return StoredSource(dataset, seed=cell.seed)
    return Splits(task.generators(), seed=cell.seed, n_val=task.n_val, n_test=task.n_test)


def failed_result(cell: CellSpec) -> CellResult:
    """A cell without figures: its rows say `failed`, and measure nothing."""
    laws = cell.task.generators()
    rows = [
        _describe(cell) | {"split": split, "hop": hop, "status": "failed"}
        for split in _ORDER
        if split in (VAL, TEST, *laws)
        for hop in law_of(split, laws).hops
    ]
    return CellResult(cell.run_id, rows, [], {}, b"")


def _rows(cell: CellSpec, source: Source, trained: Trained) -> list[Row]:
    common = _describe(cell) | {
        "n_params": sum(p.numel() for p in trained.model.parameters()),
        "flops_per_step": trained.flops_per_step,
        "status": trained.status,
        "steps_done": trained.curve[-1].step,
    }
    rows = []
    for split in sorted(source.held_out, key=_ORDER.index):
        law, examples = source.held_out[split]
        fit = source.held_out[VAL if split == TEST else TEST].examples
        references = reference_columns(fit, source.held_out[split], source.generator.schema)
        scores = score(trained.model, examples, source.generator.schema, cell.model.encoding)
        rows += [
            common
            | {"split": split, "hop": hop, "n_facts": law.n_facts}
            | _measured(at)
            | references[hop]
            | {"steps_to_95": _steps_to(trained.curve, hop)}
            for hop, at in scores.items()
        ]
    return rows


def _describe(cell: CellSpec) -> Row:
    """What is known of a cell before it is trained."""
    task, model, recipe = cell.task, cell.model, cell.train
    return {
        "run_id": cell.run_id,
        **task_columns(task),
        "encoding": model.encoding,
        "attention": model.attention,
        "attention_version": ATTENTIONS.get(model.attention).version,
        "order": model.options.get("order", 1),
        **{name: model.options.get(name) for name in ("inner", "combine", "refine", "share")},
        "position": model.position,
        "mask": "facts" if model.encoding == "fact" else "causal",
        **{name: getattr(model, name) for name in ("n_layers", "n_loops", "d_model", "n_heads")},
        **{name: getattr(recipe, name) for name in ("lr", "batch_size", "steps")},
        "mode": "single",
        "seed": cell.seed,
        "version": __version__,
        "model": model.label,
    }


def _measured(at: HopScore) -> Row:
    return {"n_examples": at.n_examples, "n_correct": at.n_correct, "accuracy": at.accuracy, "loss": at.loss}


def _steps_to(curve: list[Point], hop: int) -> int | None:
    reached: int | None = None
    for point in curve:
        if hop not in point.scores or point.scores[hop].accuracy < _STEADY_ACCURACY:
            reached = None
        elif reached is None:
            reached = point.step
    return reached
