"""What the author of a task or an attention is told when something is missing."""

import re
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from nexus_bench.attention.layout import Layout
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator, Role, Schema
from nexus_bench.io import bundled
from nexus_bench.model.batch import to_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.spec import make_model
from nexus_bench.registry.table import Registry
from nexus_bench.shortcuts.rules import best_shortcuts, score_shortcuts
from nexus_bench.streams import stream
from tests.small import CPU


class Entry:
    name = "entry"
    version = 1


class Unversioned:
    name = "unversioned"


def registry() -> Registry[type[Entry]]:
    return Registry("thing", package="nexus_bench.templates_of_nothing", group="nothing", requires=("name", "version"))


def test_an_entry_without_a_class_attribute_is_named() -> None:
    message = "thing tests.registry.test_table.Unversioned lacks the class attribute `version`; define it"
    with pytest.raises(ConfigError, match=message):
        registry().register(Unversioned)  # type: ignore[arg-type]


def test_an_entry_without_a_method_is_named() -> None:
    class Unwritten(ABC):
        name, version = "unwritten", 1

        @abstractmethod
        def solve(self) -> None: ...

    with pytest.raises(
        ConfigError, match=r"thing tests.registry.test_table\..*Unwritten lacks solve; write what is missing"
    ):
        registry().register(Unwritten)  # type: ignore[arg-type]


def test_a_name_can_be_taken_once() -> None:
    things = registry()
    things.register(Entry)
    with pytest.raises(ConfigError, match=r"thing 'entry' is defined twice, in tests\.registry\.test_table and"):
        things.register(Entry)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "has neither tasks/pointer_chase.yaml nor .*pointer_chase.yaml; write one with its defaults"),
        ("task: pointer\n", "tasks/pointer_chase.yaml: must say `task: pointer_chase`, got 'pointer'"),
        ("task: pointer_chase\nn_nodez: 3\n", "tasks/pointer_chase.yaml: pointer_chase: unknown key 'n_nodez'"),
    ],
)
def test_a_wrong_yaml_of_a_task_is_named(
    text: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks").mkdir()
    if text is not None:
        (tmp_path / "tasks/pointer_chase.yaml").write_text(text)
    monkeypatch.setattr(bundled, "PACKAGE", tmp_path)
    with pytest.raises(ConfigError, match=message):
        make_task({"task": "pointer_chase"}, where="test")


def test_a_forward_of_the_wrong_shape_is_named(small_task: Generator) -> None:
    model = build_model(make_model({"attention": "standard"}, where="x"), small_task.schema, seq_len=9, seed=0)
    attention = model.blocks[0].attention

    def shorter(x: Tensor, layout: Layout) -> Tensor:
        return x[:, :1]

    attention.forward = shorter
    message = re.escape("attention 'standard' must return the shape of its input, (2, 16, 64), got (2, 1, 64)")
    with pytest.raises(ConfigError, match=message):
        model(to_batch(small_task.sample(2, stream("shape")), small_task.schema, "fact", CPU))


def test_a_width_below_the_roles_of_a_fact_is_refused(small_task: Generator) -> None:
    spec = make_model({"attention": "standard", "d_model": 2, "n_heads": 1}, where="x")
    triples = small_task.schema._replace(fact=(Role("a", "node"), Role("b", "node"), Role("c", "node")))
    with pytest.raises(ConfigError, match="d_model must be at least 3"):
        build_model(spec, triples, seq_len=9, seed=0)


def test_shortcuts_fit_tasks_whose_answers_are_no_symbols_of_the_facts() -> None:
    schema = Schema(
        fact=(Role("src", "node"), Role("dst", "node")),
        query=(Role("start", "node"), Role("goal", "node")),
        answer="verdict",
        vocabularies={"node": 7, "verdict": 2},
    )
    arrays = ([[[0, 1], [2, 3]]], [[[0, 1], [0, 3], [2, 3]]], [[1, 0, 1]], [[1, 1, 1]])
    examples = Examples(*(np.array(array, dtype=np.int32) for array in arrays))
    assert score_shortcuts(examples, examples, schema) == {
        "majority_class": {1: pytest.approx(2 / 3)},
        "symbol_counts": {},  # looks one fact up, which is what one hop is
    }
    assert best_shortcuts(examples, examples, schema)[1].name == "majority_class"
