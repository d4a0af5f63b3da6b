"""What one cell of a grid is: task, model, recipe and seed, named by its content."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.splits import BLOCK_GRAPHS
from nexus_bench.data.task import TaskSpec
from nexus_bench.generators.base import GENERATORS
from nexus_bench.io.columns import CURRICULUM, FORMAT_VERSION
from nexus_bench.io.config import Config
from nexus_bench.io.entries import Spec
from nexus_bench.io.hops import format_hops
from nexus_bench.model.spec import ModelSpec

_ADDED = {"give_up": None, "optimizer": "adamw"}  # to the recipe, with their defaults


class GiveUp(Spec):
    """When a cell is given up: if it has not learned even its fewest hops."""

    step: int = Field(ge=1, description="Decided at the first evaluation from this step on.")
    accuracy: float = Field(gt=0, le=1, description="Least accuracy on validation at the fewest hops.")


class TrainSpec(Spec):
    """How a model is trained."""

    steps: int = Field(default=3000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=32, ge=1, description="Graphs per step, each with all of its queries.")
    reuse: int = Field(default=1, ge=1, description="Steps that use each training graph; 1: every graph is new.")
    lr: float = Field(default=3e-3, gt=0, description="Peak learning rate.")
    warmup_steps: int = Field(default=100, ge=0, description="Linear warm-up, before the cosine to zero.")
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=1.0, gt=0, description="Largest gradient norm.")
    eval_every: int = Field(default=250, ge=1, description="Steps between evaluations on validation.")
    curriculum: Literal["none", "staged", "adaptive"] = Field(
        default="none",
        description="Hops in training: all at once, one more at fixed steps, or one more once validation passes.",
    )
    stop_when_solved: bool = Field(default=True, description="Stop once validation stays solved.")
    optimizer: Literal["adamw", "lion"] = Field(
        default="adamw", description="Lion changes every weight by the rate, so it needs a lower one."
    )
    give_up: GiveUp | None = Field(default=None, description="When to give up a cell; null: never.")

    def given(self) -> Config:
        """The values as JSON; defaults of what was added since are left out, so that cells keep their names."""
        return self.model_dump(mode="json", exclude={name for name in _ADDED if getattr(self, name) == _ADDED[name]})


class CellSpec(Spec):
    """One training run: a task, a model, a recipe, a seed."""

    task: TaskSpec
    model: ModelSpec
    train: TrainSpec
    seed: int = Field(ge=0)

    @cached_property
    def cell_id(self) -> str:
        """16 hexadecimal digits: a hash of the content of the cell, computed once."""
        versions = {
            "format": FORMAT_VERSION,
            "block_graphs": BLOCK_GRAPHS,
            "task": GENERATORS.get(self.task.task).version,
            "attention": ATTENTIONS.get(self.model.attention).version,
        }
        values = self.model_dump(mode="json") | {"train": self.train.given()}
        content = json.dumps([versions, values], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> "CellSpec":
        """A copy, which is named by its own content."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("cell_id", None)  # else it would keep the name of what it was copied from
        return copied

    @property
    def source_key(self) -> str:
        """What is the same for cells with the same examples: their task and their seed."""
        return f"{self.task.model_dump_json()} {self.seed}"

    @property
    def label(self) -> str:
        """The model in a few words, and its curriculum if that is not the default; results are grouped by it."""
        curriculum = self.train.curriculum
        return self.model.label + (f"{CURRICULUM}{curriculum}" if curriculum != "none" else "")

    @property
    def title(self) -> str:
        """The cell in a few words; `training.titles` adds what varies between the cells of a suite."""
        return f"{self.task.task} hops {format_hops(self.task.hops)} | {self.label} | seed {self.seed}"
