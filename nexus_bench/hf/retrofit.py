"""Fine-tune a pretrained language model in several ways with equal data, steps and seeds, and test them by hop.

Of every method that is trained, the learning rate is chosen first: by validation, at seeds that are not reported.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import transformers

from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.experiment.environment import machine_and_versions, today
from nexus_bench.experiment.records import CellResult
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.hf.memory import told_if_it_runs_out
from nexus_bench.hf.pretrained import Pretrained
from nexus_bench.hf.questions import Material
from nexus_bench.hf.retrofit_cells import RetrofitCell, RetrofitSetting, run_cell, without_figures
from nexus_bench.hf.retrofit_spec import UNTOUCHED, Method, Recipe
from nexus_bench.hf.tokens import QuestionEncoder
from nexus_bench.io.columns import MEASURED, TRAIN, TUNING, VAL
from nexus_bench.io.config import LONGEST_NAME, Config
from nexus_bench.io.read_results import SPEC
from nexus_bench.report.build import Report
from nexus_bench.report.output import report

_MAY_GROW = ("methods", "seeds")  # of a retrofit in its folder
_CONTENT = "data.content_sha256"
_DIVERGED = "the loss is not a number; lower lr"
_MODELS = "models"  # of a run folder: what --keep-models writes


class Retrofitted(NamedTuple):
    """The outcome of a retrofit.

    Attributes:
        folder: The run folder.
        warnings: What figures must be read with.
        n_failed: Cells whose loss is not a number; they have no figures, and the next run tries them again.
        report: The report.
        files: results.csv and the files of the report.
    """

    folder: Path
    warnings: list[str]
    n_failed: int
    report: Report
    files: list[Path]


class Way(NamedTuple):
    """How a retrofit is run, which changes no result.

    Attributes:
        device: `cpu` or `cuda`.
        save_every: Seconds between saved states of a cell that is trained.
        keep_models: Whether the trained models of reported seeds are kept.
        tell: Takes a line of progress, or a warning.
    """

    device: str
    save_every: float = 120.0
    keep_models: bool = False
    tell: Callable[[str], None] = lambda line: None


def run_name(model: Pretrained, material: Material) -> str:
    """The name of a retrofit, and of its folder."""
    return f"retrofit-{model.name}-{material.name}"[:LONGEST_NAME]


def retrofit(
    model: Pretrained,
    material: Material,
    methods: Sequence[Method],
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    folder: RunFolder,
    way: Way,
) -> Retrofitted:
    """Train and test the methods that a folder lacks, and report all of them.

    Args:
        model: The pretrained model.
        material: What it is trained on and asked.
        methods: What is compared.
        recipe: How each is trained.
        seeds: The seeds that are reported.
        folder: The run folder.
        way: How it is run.

    Raises:
        ConfigError: A prompt is longer than what the model takes, or has no answer, or the weights cannot be loaded.
        CorruptArtefactError: A record in the folder was edited.
        StorageError: The folder cannot be written, or the memory of the device does not suffice.
        UsageError: The folder holds something else, or is being written to.
    """
    name = run_name(model, material)
    spec = _spec(model, material, methods, recipe, seeds)
    encoder = QuestionEncoder(model.tokenizer, model.config.max_position_embeddings)
    encoded = {split: encoder.encode(questions) for split, questions in material.splits.items()}
    if not encoded[TRAIN]:
        raise ConfigError(f"{material.name}: has no example to train on")
    warnings = [*([material.warning] if material.warning else []), *encoder.warnings()]
    setting = RetrofitSetting(model, material, encoded, recipe, way.device)
    folder.check(name)
    _check_same(folder, spec)
    if not (folder.path / SPEC).exists():  # weights that cannot be loaded leave no folder behind
        with told_if_it_runs_out("give a smaller model, or repeat this command on a larger or less busy device"):
            model.load()
    for warning in warnings:
        way.tell(warning)
    purposes: dict[str, str] = {}
    failed: list[CellResult] = []
    unkept = 0
    with folder.writing(name):
        folder.write_spec({"suite": name, "retrofit": spec})
        mode = "bfloat16" if way.device == "cuda" else "single"
        versions = machine_and_versions(way.device) | {"transformers": transformers.__version__, "mode": mode}
        for cell, purpose in _cells(methods, recipe, seeds, setting, folder):
            cell_id = setting.cell_id(cell)
            purposes[cell_id] = purpose
            is_new = not folder.cells.finished(cell_id)
            states = folder.checkpoints(cell_id)
            keep = folder.path / _MODELS / cell_id if way.keep_models and purpose == MEASURED else None
            unkept += not is_new and keep is not None and not keep.is_dir()
            if is_new:
                environment = folder.add_environment(versions, today())
                with told_if_it_runs_out(
                    f"lower micro_batch (now {recipe.micro_batch}) in another --out, or repeat this command on a "
                    "larger or less busy device: finished cells are kept"
                ):
                    result = run_cell(
                        cell, setting, states=states, save_every=way.save_every, environment=environment, keep=keep
                    )
                bare = without_figures(result)
                if bare is None or purpose == TUNING:  # a rate that is tried may be too high
                    folder.cells.save(bare or result)
                    folder.add_environment(versions, today())  # a run can last beyond the day it began
                else:
                    failed.append(bare)
                    folder.cells.save_failure(cell_id, _DIVERGED)
            folder.drop_checkpoints(states)  # also those that a killed process did not get to
            validated = _validated(folder, cell_id) if folder.cells.finished(cell_id) else []
            way.tell(_line(cell, purpose, setting, validated, is_new=is_new))
        folder.write_tables(name, purposes, failed)
    if unkept:
        warnings.append(f"--keep-models: {unkept} cells were done before without it; choose another --out to keep them")
        way.tell(warnings[-1])
    built, files = report([folder.path], folder.path)
    return Retrofitted(folder.path, warnings, len(failed), built, [folder.results_csv, *files])


def _cells(
    methods: Sequence[Method], recipe: Recipe, seeds: Sequence[int], setting: RetrofitSetting, folder: RunFolder
) -> Iterator[tuple[RetrofitCell, str]]:
    """The cells in their order, each with its purpose: first those of tuning; then those with the chosen rates.

    A cell is done when the next one is asked for.
    """
    first = max(seeds) + 1
    tuning = range(first, first + recipe.tune_seeds) if len(recipe.lr) > 1 else range(0)
    trained = [method for method in methods if method.kind != UNTOUCHED]
    for method in trained:
        for lr in recipe.lr:
            for seed in tuning:
                yield RetrofitCell(method, lr, seed), TUNING
    for method in methods:
        if method.kind == UNTOUCHED:
            yield RetrofitCell(method, None, seeds[0]), MEASURED
            continue
        trials = [[RetrofitCell(method, lr, seed) for seed in tuning] for lr in recipe.lr]
        means = [_mean([_validated(folder, setting.cell_id(c)) for c in trial]) for trial in trials]
        best = recipe.lr[means.index(max(means))]  # of equals the first
        for seed in seeds:
            yield RetrofitCell(method, best, seed), MEASURED


def _validated(folder: RunFolder, cell_id: str) -> list[float]:
    """The accuracy of a finished cell on validation, by hop; empty if its loss is not a number."""
    rows = [row for row in folder.cells.record(cell_id)["rows"] if row["split"] == VAL]
    is_lost = any(row["loss"] is None or math.isnan(row["loss"]) for row in rows)
    return [] if is_lost else [row["accuracy"] for row in rows]


def _mean(trial: Sequence[Sequence[float]]) -> float:
    """The mean over the cells of a rate and hops; that of a rate of which a cell failed is the least."""
    values = [accuracy for by_hop in trial for accuracy in by_hop]
    return math.fsum(values) / len(values) if values and all(trial) else -1.0


def _named(cell: RetrofitCell, purpose: str, setting: RetrofitSetting) -> str:
    told = setting.label(cell)
    if cell.lr is not None:
        told += f" | lr {cell.lr:g} | seed {cell.seed}" + (" (choosing lr)" if purpose == TUNING else "")
    return told


def _line(
    cell: RetrofitCell, purpose: str, setting: RetrofitSetting, validated: Sequence[float], *, is_new: bool
) -> str:
    told = _named(cell, purpose, setting)
    if not validated:
        return f"{told} | failed: {_DIVERGED}"
    by_hop = " ".join(f"{accuracy:.3f}" for accuracy in validated)
    return f"{told} | validation {by_hop}" + ("" if is_new else " | was done")


def _spec(
    model: Pretrained, material: Material, methods: Sequence[Method], recipe: Recipe, seeds: Sequence[int]
) -> Config:
    """Everything that results depend on, as plain data."""
    return {
        "model": model.name,
        "model_sha256": model.sha256,
        "data": dict(material.identity),
        "methods": [method.model_dump(mode="json", exclude_none=True) for method in methods],
        "recipe": recipe.model_dump(mode="json"),
        "seeds": list(seeds),
    }


def _check_same(folder: RunFolder, spec: Config) -> None:
    """Refuse a folder of another retrofit; its cells would stand beside those of this one.

    Methods and seeds may be added: what is done stays as it is.

    Raises:
        UsageError: The message says what differs.
    """
    if not (folder.path / SPEC).exists():
        return
    held = _flat(folder.read_spec().get("retrofit"))
    wanted = _flat(spec)
    for key in sorted([*wanted, *held], key=lambda key: key == _CONTENT):  # last: it follows from the others
        grows = key in _MAY_GROW and all(one in wanted[key] for one in held.get(key) or [])
        if held.get(key) != wanted.get(key) and not grows:
            raise UsageError(
                f"{folder.path}: holds a retrofit with {key} {held.get(key)!r}, this one has {wanted.get(key)!r}; "
                "choose another --out"
            )


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Nested mappings as one, with keys such as `recipe.steps`."""
    if not isinstance(value, dict):
        return {key: value}
    return {k: v for name, inner in value.items() for k, v in _flat(inner, f"{key}.{name}".strip(".")).items()}
