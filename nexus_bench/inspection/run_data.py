"""The examples of a run's cells, each drawn once for all models of a task and seed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut, WorldIds, draw_graphs, worlds_of
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.sources import open_source
from nexus_bench.experiment.suite import suite_of
from nexus_bench.experiment.trained_cells import load_model
from nexus_bench.inspection.askable import check_loops
from nexus_bench.inspection.question import EvaluationRequest, further_law
from nexus_bench.model.contract import Model
from nexus_bench.model.transformer import Transformer
from nexus_bench.training.row import CellSource
from nexus_bench.training.spec import CellSpec


class RunData:
    """The training and evaluation examples of the cells of a run, drawn once for all models of a task and seed.

    Args:
        folder: The run folder.
        data: The dataset that its cells were trained on, if any.
    """

    def __init__(self, folder: RunFolder, data: Path | None) -> None:
        self.suite = suite_of(folder)
        self._folder, self._data = folder, data
        self._sources: dict[str, CellSource] = {}
        self._drawn: dict[tuple[str, str], HeldOut] = {}  # the key includes the name of the split

    def source(self, cell: CellSpec) -> CellSource:
        """The source that a cell was trained on.

        Raises:
            ConfigError: The cell was trained on a dataset and `data` is not that one.
            CorruptArtefactError: The dataset is damaged.
        """
        key = cell.source_key
        if key not in self._sources:
            self._sources[key] = open_source(cell, self._data)
        return self._sources[key]

    def held_out(self, cell: CellSpec, split: str) -> HeldOut:
        """The examples of a split of a cell: one that was kept apart from training, or one of a later evaluation.

        Raises:
            ConfigError: There is no such split.
        """
        source = self.source(cell)
        if split in source.held_out:
            return source.held_out[split]
        if not self._folder.cells.has_evaluation(cell.cell_id, split):
            known = ", ".join(sorted([*source.held_out, *self._folder.cells.evaluated_splits(cell.cell_id)]))
            raise ConfigError(f"{self.suite.titles[cell.cell_id]}: has no split '{split}'; it has {known}")
        return self.asked(cell, self._question(cell, split))

    def model(self, cell: CellSpec, question: EvaluationRequest | str, device: str) -> Model:
        """A trained model as it is asked a question, or was asked that of a split.

        Raises:
            ConfigError: It is asked with other loops than in training, and was not looped there.
            CorruptArtefactError: Its weights are damaged.
        """
        if isinstance(question, str):
            own = question in self.source(cell).held_out
            question = EvaluationRequest(None, None, {}, None) if own else self._question(cell, question)
        model = load_model(self._folder, cell)
        check_loops(cell, question, title=self.suite.titles[cell.cell_id])
        if question.n_loops is not None and isinstance(model, Transformer):
            model.n_loops = question.n_loops
        return model.to(device)

    def _question(self, cell: CellSpec, split: str) -> EvaluationRequest:
        asked = self._folder.cells.evaluation(cell.cell_id, split)
        if "question" not in asked:  # restored from tables, as are no weights
            self._folder.cells.read_weights(cell.cell_id)
        fields = asked["question"]
        return EvaluationRequest(**fields | {"hops": fields["hops"] and tuple(fields["hops"])})

    def asked(self, cell: CellSpec, question: EvaluationRequest) -> HeldOut:
        """The examples of an evaluation of a cell.

        Raises:
            ConfigError: As `further_law` and `draw`.
        """
        key = cell.source_key, question.examples
        if key not in self._drawn:
            beside = [other for other in self.suite.cells if (other.task, other.seed) == (cell.task, cell.seed)]
            try:
                law, source = further_law(cell.task, question), self.source(cell)
                self._drawn[key] = draw(law, question, source, cells=beside, seed=cell.seed)
            except ConfigError as error:
                if all(other.task == cell.task for other in self.suite.cells):
                    raise
                raise ConfigError(f"{error}; or ask the cells of other tasks alone, by --cell") from error
        return self._drawn[key]


def draw(law: Law, question: EvaluationRequest, source: CellSource, *, cells: Sequence[CellSpec], seed: int) -> HeldOut:
    """The graphs of what is asked, the same for every model: none was trained, none is in another split.

    If they are those that were trained on, they are the first ones of training.

    Args:
        law: The result of `further_law`.
        question: What to evaluate on; keys the random stream.
        source: The source that the cells were trained on.
        cells: All cells that were trained on this task at this seed.
        seed: Their seed.

    Raises:
        ConfigError: There are too few worlds that were not trained on, or that were.
    """
    n_graphs = question.n_graphs or cells[0].task.n_test
    family = law.family
    if question.is_trained:
        recipes = [cell.train for cell in cells]
        sure = min(-(-min(of.steps, of.eval_every) // of.reuse) * of.batch_size for of in recipes)
        if n_graphs > sure:  # no training ends before the first evaluation
            raise ConfigError(
                f"{family.name}: {n_graphs:,} graphs are asked for that were trained, sure are {sure:,}; ask for fewer"
            )
        return HeldOut(law, source.batch(0, n_graphs))
    seen = _seen(source, cells) if family.n_facts == source.law.family.n_facts else np.empty(0, dtype=np.uint64)
    if 2 * (len(seen) + n_graphs) > family.n_worlds:
        raise ConfigError(
            f"{family.name}: {n_graphs:,} graphs are asked for that were not trained, of {family.n_worlds:,} distinct "
            "worlds; ask for another size by --n-facts or --set"
        )
    return HeldOut(law, draw_graphs(law, n_graphs, seed=seed, split=question.examples, avoiding=seen))


def _seen(source: CellSource, cells: Sequence[CellSpec]) -> WorldIds:
    """The worlds of every split and of all steps that any of the cells may have made, sorted."""
    recipes = {(cell.train.steps, cell.train.batch_size) for cell in cells}
    worlds = [worlds_of(source.law, source.batch(i, size)) for n_steps, size in recipes for i in range(n_steps)]
    worlds += [worlds_of(held.law, held.examples) for held in source.held_out.values()]
    return np.unique(np.concatenate(worlds))
