"""Other hops and other sizes than were trained, asked of saved weights."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.encodings import ENCODINGS
from nexus_bench.data.splits import HeldOut, WorldIds, draw_graphs, world_ids
from nexus_bench.data.task import TaskSpec, check_symbols
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.folder import RunFolder
from nexus_bench.experiment.jobs import open_source
from nexus_bench.experiment.records import Row
from nexus_bench.experiment.result_rows import further_rows
from nexus_bench.experiment.suite import suite_of
from nexus_bench.experiment.trained import load_model
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.generators.unary_hops import MARK
from nexus_bench.io.columns import TEST
from nexus_bench.io.config import Config, format_hops
from nexus_bench.io.entries import validate
from nexus_bench.model.scoring import score
from nexus_bench.model.spec import CellSpec
from nexus_bench.model.transformer import Transformer
from nexus_bench.shortcuts.references import reference_columns
from nexus_bench.training.engine import Source

PREFIX = "eval"  # of the names of such splits


class Question(NamedTuple):
    """What is to be asked.

    Attributes:
        hops: Hop counts; None asks those of training.
        n_facts: Facts a graph; None as in training.
        settings: Parameters of the task that differ.
        n_graphs: Graphs; None as many as the test split has.
    """

    hops: tuple[int, ...] | None
    n_facts: int | None
    settings: Config
    n_graphs: int | None

    @property
    def split(self) -> str:
        """The name of the split: all that is asked otherwise than in training."""
        parts = [PREFIX]
        parts += [f"hops{format_hops(self.hops)}"] if self.hops else []
        parts += [f"facts{self.n_facts}"] if self.n_facts else []
        parts += [f"{key}={value}" for key, value in sorted(self.settings.items())]
        parts += [f"n{self.n_graphs}"] if self.n_graphs else []
        return "_".join(parts)


def ask(
    folder: RunFolder,
    cells: Sequence[CellSpec],
    question: Question,
    *,
    data: Path | None,
    device: str,
    on_cell: Callable[[], None],
) -> int:
    """Ask trained cells something else than their test, and add the rows to results.csv as a split of its own.

    Args:
        folder: The run.
        cells: Which of its trained cells; those that were asked this before keep what they scored.
        question: What.
        data: The dataset that they were trained on, if it was one.
        device: `cpu` or `cuda`.
        on_cell: Told of each cell that is done.

    Returns:
        How many cells were asked that had not been.

    Raises:
        ConfigError: The task cannot be asked so, or the weights never learned a symbol or position that it needs.
        CorruptArtefactError: Weights, results or the dataset are damaged.
        StorageError: The disk is full or the folder cannot be written.
        UsageError: Another process writes to the folder.
    """
    run = RunData(folder, data)
    suite = run.suite
    rows: list[Row] = []
    references: dict[str, dict[int, Row]] = {}
    new = [cell for cell in cells if not folder.has_evaluation(cell.run_id, question.split)]
    with folder.writing(suite.name):
        for cell in cells:
            if cell in new:
                source, held, key = run.source(cell), run.asked(cell, question), run.key(cell)
                if key not in references:
                    fit = source.held_out[TEST].examples
                    references[key] = reference_columns(fit, held, source.generator.schema)
                model = load_model(folder, cell).to(device)
                _check_length(model, cell, held)
                scores = score(model, held.examples, source.generator.schema, cell.model.encoding)
                rows += further_rows(folder.trained_row(cell.run_id), question.split, held, scores, references[key])
            on_cell()
        asked = {"question": question._asdict()}
        folder.add_evaluations(suite.name, [cell.run_id for cell in suite.cells], rows, about=asked)
    return len(new)


class RunData:
    """What the cells of a run were trained on and are asked, each drawn once for all models of a task and seed.

    Args:
        folder: The run.
        data: The dataset that its cells were trained on, if it was one.
    """

    def __init__(self, folder: RunFolder, data: Path | None) -> None:
        self.suite = suite_of(folder)
        self._folder, self._data = folder, data
        self._sources: dict[str, Source] = {}
        self._drawn: dict[tuple[str, str], HeldOut] = {}  # by the name of the split as well

    def source(self, cell: CellSpec) -> Source:
        """What a cell was trained on.

        Raises:
            ConfigError: It is for a dataset and `data` is not that one.
            CorruptArtefactError: The dataset is damaged.
        """
        key = self.key(cell)
        if key not in self._sources:
            self._sources[key] = open_source(cell, self._data)
        return self._sources[key]

    def held_out(self, cell: CellSpec, split: str) -> HeldOut:
        """The examples of a split of a cell: one that training kept apart, or one that `ask` asked.

        Raises:
            ConfigError: There is no such split.
        """
        source = self.source(cell)
        if split in source.held_out:
            return source.held_out[split]
        if not self._folder.has_evaluation(cell.run_id, split):
            known = ", ".join(sorted([*source.held_out, *self._folder.evaluated_splits(cell.run_id)]))
            raise ConfigError(f"{cell.title}: has no split '{split}'; it has {known}")
        fields = self._folder.evaluation(cell.run_id, split)["question"]
        hops = fields["hops"] and tuple(fields["hops"])
        return self.asked(cell, Question(**fields | {"hops": hops}))

    def asked(self, cell: CellSpec, question: Question) -> HeldOut:
        """The examples of a question to a cell.

        Raises:
            ConfigError: As `further_law` and `draw`.
        """
        key = self.key(cell), question.split
        if key not in self._drawn:
            beside = [other for other in self.suite.cells if (other.task, other.seed) == (cell.task, cell.seed)]
            law, source = further_law(cell.task, question), self.source(cell)
            self._drawn[key] = draw(law, question, source, cells=beside, seed=cell.seed)
        return self._drawn[key]

    @staticmethod
    def key(cell: CellSpec) -> str:
        """The same for cells that have the same graphs."""
        return f"{cell.task.model_dump_json()} {cell.seed}"


def further_law(task: TaskSpec, question: Question) -> Generator[Any]:
    """The generator of what is asked, over the symbols of training.

    Raises:
        ConfigError: The task cannot be asked so, or the weights never learned a symbol that it needs.
    """
    trained = task.generator()
    hops = question.hops or task.hops
    _check_hops(task, trained, hops)
    params = task.params | trained.kept_symbols | question.settings

    def law(changed: Config) -> Generator[Any]:
        valid = validate(GENERATORS.get(task.task).Params, params | changed, where=f"{PREFIX}: {task.task}")
        return task.law(valid.model_dump(), hops, max(trained.largest_hop, *hops), trained.patterns)

    if question.n_facts is not None and trained.sized_by in question.settings:
        raise ConfigError(f"{task.task}: --n-facts chooses {trained.sized_by}; give one of both")
    made = law({}) if question.n_facts is None else _of_size(question.n_facts, trained, law)
    check_symbols(trained, made, what=PREFIX)
    if len(made.schema.query) != len(trained.schema.query):
        raise ConfigError(
            f"{task.task}: queries of these weights have {len(trained.schema.query)} roles, {max(hops)} hops need "
            f"{len(made.schema.query)}; ask for at most {trained.largest_hop}"
        )
    return made


def draw(law: Generator[Any], question: Question, source: Source, *, cells: Sequence[CellSpec], seed: int) -> HeldOut:
    """The graphs of what is asked, the same for every model: none was trained, none is in another split.

    Args:
        law: From `further_law`.
        question: Names the stream.
        source: What the cells were trained on.
        cells: All that were trained on this task at this seed.
        seed: Theirs.

    Raises:
        ConfigError: There are too few worlds that were not trained.
    """
    n_graphs = question.n_graphs or cells[0].task.n_test
    seen = _seen(source, cells) if law.n_facts == source.generator.n_facts else np.empty(0, dtype=np.uint64)
    if 2 * (len(seen) + n_graphs) > law.n_worlds:
        raise ConfigError(
            f"{law.name}: {n_graphs:,} graphs are asked for that were not trained, of {law.n_worlds:,} distinct "
            "worlds; ask for another size by --n-facts or --set"
        )
    return HeldOut(law, draw_graphs(law, n_graphs, seed=seed, split=question.split, avoiding=seen))


def _seen(source: Source, cells: Sequence[CellSpec]) -> WorldIds:
    """The worlds of every split and of all steps that any of the cells may have made: sorted."""
    recipes = {(cell.train.steps, cell.train.batch_size) for cell in cells}
    worlds = [world_ids(source.batch(i, size).facts) for n_steps, size in recipes for i in range(n_steps)]
    worlds += [world_ids(held.examples.facts) for held in source.held_out.values()]
    return np.unique(np.concatenate(worlds))


def _check_length(model: Transformer, cell: CellSpec, held: HeldOut) -> None:
    """Learned positions end somewhere.

    Raises:
        ConfigError: The sequences are longer than the weights know positions.
    """
    if model.position is None:
        return
    one = held.examples.take(slice(1))
    length = ENCODINGS[cell.model.encoding](one, cell.task.generator().schema).tokens.shape[1]
    if length > len(model.position.weight):
        raise ConfigError(
            f"{cell.title}: learned {len(model.position.weight)} positions, asked for {length}; ask for fewer facts, "
            "or train with position none or rope"
        )


def _check_hops(task: TaskSpec, trained: Generator[Any], hops: tuple[int, ...]) -> None:
    """A hop count that training never said, or has no room for, means nothing to the weights."""
    words = {role.vocabulary for role in trained.schema.query}
    unsaid = tuple(hop for hop in hops if hop not in task.hops)
    if "hop" in words and unsaid:
        raise ConfigError(
            f"{task.task}: a query says its hop count as a number, and {format_hops(unsaid)} was never trained; "
            f"train with `--set hop_ood={format_hops(unsaid)}` on graphs large enough: such queries count in marks"
        )
    if MARK in words and max(hops) > trained.largest_hop:
        raise ConfigError(
            f"{task.task}: queries of these weights have room for {trained.largest_hop} hops, got {max(hops)}; "
            f"train with hop_ood up to {max(hops)}"
        )


def _of_size(n_facts: int, trained: Generator[Any], law: Callable[[Config], Generator[Any]]) -> Generator[Any]:
    """The law with the size that gives so many facts."""
    name = GENERATORS.get(trained.name).sized_by
    if name is None:
        raise ConfigError(f"{trained.name}: does not say which parameter sets its size; use --set instead of --n-facts")

    near: dict[int, int] = {}  # facts -> the size that gives so many
    largest = max(n_facts, trained.n_facts) + 2  # a unit of size is a fact at least, or n + 1 things make n facts
    for size in range(1, largest):
        with suppress(ConfigError):  # too small for its hops, too large for its names, or not allowed
            near[law({name: size}).n_facts] = size
    if n_facts not in near:
        nearest = sorted(sorted(near, key=lambda facts: abs(facts - n_facts))[:2])
        able = " and ".join(str(facts) for facts in nearest) or "none"
        raise ConfigError(
            f"{trained.name}: cannot have {n_facts} facts with these hops and symbols; the nearest: {able}"
        )
    return law({name: near[n_facts]})
