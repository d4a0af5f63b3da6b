"""Training reads a sequence at its labels alone: it learns what reading every place would teach, at less cost."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from nexus_bench.data.encodings import at_labels, encode_sequence
from nexus_bench.data.splits import Splits
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.io.columns import IID
from nexus_bench.io.config import Config
from nexus_bench.model import costs
from nexus_bench.model.costs import cost_of
from nexus_bench.model.spec import make_model
from nexus_bench.streams import stream
from nexus_bench.training.engine import Single
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.spec import CellSpec, TrainSpec
from tests.jobs import run_cells
from tests.small import CPU

WORDS: Config = {"n_nodes": 6, "n_asked": 2, "n_letters": 6, "min_letters": 1, "max_letters": 2}
TASKS: dict[str, Config] = {
    "mqar": {"task": "mqar", "hops": 1, "n_tokens": 16, "n_pairs": 3, "vocab_size": 12},
    "path_tokens": {"task": "path_tokens", "hops": "1,2", "n_arms": 2, "arm_length": 3, "n_nodes": 9},
    "mano": {"task": "mano", "hops": "1-2", "modulus": 5},
    "depo": {"task": "depo", "hops": "1-2", **WORDS},
    "hash_hop": {
        "task": "hash_hop",
        "hops": "1-2",
        **{k: v for k, v in WORDS.items() if k != "n_nodes"},
        "n_chains": 3,
    },
    "brevo": {"task": "brevo", "hops": "1-2", "n_nodes": 6},
    "fact_composition": {
        "task": "fact_composition",
        "hops": "1-2",
        "n_entities": 20,
        "n_relations": 6,
        "out_degree": 4,
    },
}
MODELS: list[Config] = [{}, {"canon": "ACD"}, {"n_loops": 2, "inject": True, "random_loops": True}]


def cell_of(task: Config, seed: int = 3, *, model: Config | None = None, **recipe: object) -> CellSpec:
    entry = {"attention": "nexus", "d_model": 16, "encoding": "sequence", "n_layers": 2, **(model or {})}
    recipe = {"steps": 20, "batch_size": 8, "eval_every": 10, "stop_when_solved": False, **recipe}
    return CellSpec(
        task=make_task(task | {"n_val": 20, "n_test": 20}, where="test"),
        model=make_model(entry, where="test"),
        train=TrainSpec.model_validate(recipe),
        seed=seed,
    )


def first_loss(cell: CellSpec) -> list[torch.Tensor]:
    """The loss of the first batch, and its gradient by every weight, in float64."""
    source = Splits(cell.task.laws(), seed=cell.seed, n_val=20, n_test=20)
    engine = Single(TrainingRow(cell, source), CPU)
    engine.model(0).double()
    loss = engine.loss()
    return [loss.detach(), *torch.autograd.grad(loss, list(engine.model(0).parameters()), materialize_grads=True)]


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Let every family say that all of its tokens may have a label."""

    def change() -> None:
        families = {family for name in TASKS for family in GENERATORS.get(name).__mro__}
        for family in families - {SequenceFamily}:
            if "most_labels" in vars(family):
                monkeypatch.delattr(family, "most_labels")
        costs._cost.cache_clear()

    yield change
    costs._cost.cache_clear()


@pytest.mark.parametrize("recipe", [{}, {"curriculum": "staged"}], ids=["all", "curriculum"])
@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("name", TASKS)
def test_the_loss_and_its_gradient_are_those_of_reading_everywhere(
    name: str, model: Config, recipe: Config, everywhere: Callable[[], None]
) -> None:
    cell = cell_of(TASKS[name], model=model, **recipe)
    at_the_labels = first_loss(cell)
    everywhere()
    for ours, theirs in zip(at_the_labels, first_loss(cell), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TASKS)
def test_it_costs_fewer_operations(name: str, everywhere: Callable[[], None]) -> None:
    cell = cell_of(TASKS[name])
    at_the_labels = cost_of(cell.model, cell.task).counted
    everywhere()
    assert at_the_labels < cost_of(cell.model, cell.task).counted


@pytest.mark.parametrize("name", ["mqar", "brevo"])
def test_a_stack_reads_what_a_model_alone_reads(name: str) -> None:
    cells = [cell_of(TASKS[name], seed, curriculum=kind) for seed in (0, 1) for kind in ("none", "adaptive")]
    for one, together in zip(cells, run_cells(cells), strict=True):
        (alone,) = run_cells([one], mode="single")
        ours, theirs = ([point["loss"] for point in ended.curve] for ended in (together, alone))
        assert ours == pytest.approx(theirs, abs=2e-4) and len(ours) == 2 * len(cells[0].task.hops)
        for weight, weights in alone.weights.items():
            torch.testing.assert_close(together.weights[weight], weights, rtol=0, atol=2e-4)


def test_places_are_filled_up_where_a_sequence_has_fewer_labels() -> None:
    schema = Schema(fact=(Role("token", "digit"),), query=(), answer="sum", vocabularies={"sum": 5, "digit": 5})
    facts = np.array([[[3], [0], [4]], [[2], [1], [NOTHING]]], dtype=np.int32)
    answer = np.array([[NOTHING, 1, 4], [NOTHING, 2, NOTHING]], dtype=np.int32)
    examples = Examples(facts, np.empty((2, 3, 0), dtype=np.int32), answer, 3 * (answer != NOTHING).astype(np.int32))
    encoded, asked = at_labels(encode_sequence(examples, schema), examples, 2, family="letters")
    assert encoded.read_at.tolist() == [[1, 2], [1, 0]]
    assert asked.answer.tolist() == [[1, 4], [2, NOTHING]] and asked.hop.tolist() == [[3, 3], [3, 0]]
    assert encoded.length.tolist() == [3, 2]
    with pytest.raises(ConfigError, match="letters: `draw` gave a sequence 2 labels, and `most_labels` is 1; raise "):
        at_labels(encode_sequence(examples, schema), examples, 1, family="letters")


@pytest.mark.parametrize("name", TASKS)
def test_as_many_places_are_read_as_can_have_a_label(name: str) -> None:
    law = make_task(TASKS[name], where="test").laws()[IID]
    drawn = law.sample(2_000, stream("most"))
    most = int((drawn.answer != NOTHING).sum(axis=1).max())
    slack = {"brevo": 2}.get(name, 0)  # its answers rarely hold all nodes
    assert law.most_labels is not None and law.most_labels - slack <= most <= law.most_labels < drawn.answer.shape[1]


@pytest.mark.parametrize("wrong", [0, 7, 2.0, None], ids=str)
def test_training_refuses_a_number_of_labels_that_cannot_be(wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = cell_of({"task": "mano", "hops": 1, "modulus": 11})  # of 6 tokens
    monkeypatch.setattr(GENERATORS.get("mano"), "most_labels", wrong)
    with pytest.raises(ConfigError, match="mano: `most_labels` must be a whole number from 1 to 6, got"):
        first_loss(cell)
