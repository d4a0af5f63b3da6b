"""Cells that are not the same are told apart: by results.csv, by their titles, by their names."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.experiment.suite import make_suite
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.group_word import GroupWord
from nexus_bench.io.columns import COLUMNS, Row
from nexus_bench.io.config import Config
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.training.spec import CellSpec, GiveUp, TrainSpec
from nexus_bench.training.titles import titles_of

NAMES = {"cell_id", "model"}  # columns that name a cell; the others must tell it apart without them
OTHER_WORDS: Config = {
    "operations": "as",
    "task": "reachable",
    "attention": "nexus",
    "group": "Z_6",
}  # of strings that are not Literal


def others(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of a type, the likeliest to be allowed first."""
    for kind in typing.get_args(annotation) if typing.get_origin(annotation) in (typing.Union, types.UnionType) else ():
        yield from others(kind, value)
    if typing.get_origin(annotation) is Literal:
        yield from (word for word in typing.get_args(annotation) if word != value)
    elif isinstance(value, bool) or annotation is bool:
        yield not value
    elif annotation is int and value is not None:
        yield from (value + 1, value - 1, 2 * value, 3 * value, value // 2)
    elif annotation is int:
        yield from (40, 60, 90, 1, 2, 3)
    elif annotation is float:
        yield from (1.5, 3.0) if value is None else (value / 2, value + 1)


def base(task: str = "pointer_chase", attention: str = "standard") -> CellSpec:
    encoding = "fact" if ATTENTIONS.get(attention).takes_sets else "flat"
    return CellSpec(
        task=make_task(
            {"task": task, "hops": "1" if task in ("mqar", "path_tokens") else "1-2", "n_val": 8, "n_test": 8},
            where="test",
        ),
        model=make_model({"attention": attention, "d_model": 24, "encoding": encoding}, where="test"),
        train=TrainSpec(),
        seed=0,
    )


def columns(cell: CellSpec) -> list[Row]:
    written = {column.name for column in COLUMNS} - NAMES
    return [{name: row.get(name) for name in written} for row in failed_result(cell, "single").rows]


def changed(cell: CellSpec, part: str, inner: str | None, field: str, info: FieldInfo) -> CellSpec:
    """The cell with another value of one field; the first that is allowed."""
    whole = getattr(cell, part)
    old = dict(whole) if inner is None else dict(getattr(whole, inner))
    if inner == "options":
        old = ATTENTIONS.get(cell.model.attention).Options.model_validate(old).model_dump()
    special: Config = {
        "hops": [(1, 2, 3), (1,)],
        "hop_ood": [(3,)],
        "content_sha256": ["0" * 64],
        "size_ood": [{"n_nodes": 9, "vocab_size": 36, "n_queries": 8}],
        "pattern_ood": [True],
        "min_nodes": [9],
        "give_up": [GiveUp(step=9, accuracy=0.5)],
    }
    words = [OTHER_WORDS[field]] if field in OTHER_WORDS else []
    for value in [*special.get(field, ()), *words, *others(info.annotation, old[field])]:
        update = {field: value} if inner is None else {inner: old | {field: value}}
        other = cell.model_copy(update={part: whole.model_copy(update=update)})
        try:
            if inner == "params":
                GENERATORS.get(cell.task.task).Params.model_validate(other.task.params)
            if inner == "options":
                ATTENTIONS.get(cell.model.attention).Options.model_validate(other.model.options)
            columns(other)
        except (ConfigError, ValidationError):
            continue
        return other
    raise AssertionError(f"no other value of {part}.{inner or ''}.{field} is known to this test: {info}")


def fields(model: type[BaseModel], *, without: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    return [name for name in model.model_fields if name not in without]


CASES = [
    *(("pointer_chase", "standard", "task", None, name) for name in fields(TaskSpec, without={"task", "params"})),
    *(
        ("pointer_chase", "standard", "model", None, name)
        for name in fields(ModelSpec, without={"attention", "options"})
    ),
    *(("pointer_chase", "standard", "train", None, name) for name in fields(TrainSpec)),
    *(
        (task, "standard", "task", "params", name)
        for task in GENERATORS.names()
        for name in fields(GENERATORS.get(task).Params)
    ),
    *(
        ("pointer_chase", attention, "model", "options", name)
        for attention in ATTENTIONS.names()
        for name in fields(ATTENTIONS.get(attention).Options)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("task", "attention", "part", "inner", "field"), CASES)
def test_cells_that_differ_in_one_field_differ_in_a_column(
    task: str, attention: str, part: str, inner: str | None, field: str
) -> None:
    if field == "pattern_ood":
        task = "kinship"
    cell = base(task, attention)
    if field == "size_ood":
        cell = cell.model_copy(update={"task": make_task(SIZED, where="test")})
    owner: Any = getattr(cell, part)
    model = {
        "params": lambda: GENERATORS.get(task).Params,
        "options": lambda: ATTENTIONS.get(attention).Options,
        None: lambda: type(owner),
    }[inner]()
    other = changed(cell, part, inner, field, model.model_fields[field])
    splits = [[row for row in columns(one) if row["split"] == "test"] for one in (cell, other)]
    assert splits[0][0] != splits[1][0]


SIZED: Config = {"task": "pointer_chase", "hops": "1-2", "n_nodes": 8, "vocab_size": 36, "n_val": 8, "n_test": 8}


def test_a_family_an_attention_and_a_seed_have_columns() -> None:
    one = columns(base())[0]
    assert one["task"] != columns(base(task="reachable"))[0]["task"]
    assert one["attention"] != columns(base(attention="nexus"))[0]["attention"]
    assert one["seed"] != columns(base().model_copy(update={"seed": 1}))[0]["seed"]


def test_a_copied_cell_is_named_by_its_own_content() -> None:
    cell = base()
    name = cell.cell_id
    copied = cell.model_copy(update={"seed": 5})
    assert copied.cell_id == CellSpec(task=cell.task, model=cell.model, train=cell.train, seed=5).cell_id != name
    assert cell.cell_id == cell.model_copy().cell_id == cell.model_copy(deep=True).cell_id == name


AXES: Config = {
    "suite": "axes",
    "tasks": [
        {"task": "group_word", "hops": "1-2", "group": ["S_3", "Z_6"], "n_test": [8, 16]},
        {"task": "pointer_chase", "hops": "1-2", "n_nodes": [9, 12]},
    ],
    "models": [
        {"attention": "diffusion", "alpha": [0.1, 0.2], "mlp_ratio": [2, 4]},
        {"attention": "nexus", "order": [1, 2]},
    ],
    "train": {
        "lr": [1e-3, 1.0000001e-3],
        "weight_decay": [0.0, 0.1],
        "curriculum": ["none", "staged"],
        "stop_when_solved": [True, False],
    },
    "seeds": 2,
}


def test_no_two_cells_of_a_suite_have_one_title() -> None:
    cells = make_suite(AXES, where="test").cells
    titles = titles_of(cells)
    assert len(set(titles.values())) == len(titles) == len(cells)
    assert not any(cell_id in title for cell_id, title in titles.items())


def test_a_title_shows_what_varies_and_leaves_out_what_follows() -> None:
    titles = list(titles_of(make_suite(AXES, where="test").cells).values())
    assert titles[0] == (
        "group_word hops 1-2 | n_test 8 | group S_3 | diffusion, powers 3, alpha 0.1, mlp_ratio 2 | lr 0.001 | "
        "weight_decay 0 | stop_when_solved true | seed 0"
    )
    assert titles[-1] == (
        "pointer_chase hops 1-2 | n_nodes 12 | nexus, order 2, refine qk, curriculum staged | lr 0.0010000001 | "
        "weight_decay 0.1 | stop_when_solved false | seed 1"
    )


def test_a_suite_without_axes_has_short_titles() -> None:
    config = {"suite": "s", "tasks": [{"task": GroupWord.name, "hops": "1-2"}], "models": [{"attention": "standard"}]}
    assert list(titles_of(make_suite(config, where="test").cells).values()) == [
        "group_word hops 1-2 | standard | seed 0"
    ]
