"""Small suites, cells, tasks and untrained models that several tests use."""

from typing import Any

import torch

from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.generators.base import Generator
from nexus_bench.io.config import Config
from nexus_bench.model.build import build_model
from nexus_bench.model.spec import make_model
from nexus_bench.model.transformer import Transformer
from nexus_bench.training.spec import CellSpec, TrainSpec


def small_law() -> Generator:
    task = {"task": "pointer_chase", "hops": [1, 2], "n_nodes": 7, "n_queries": 5}
    return make_task(task, where="test").generator()


def sources(spec: TaskSpec, kind: type[Splits] = Splits) -> list[Splits]:
    """A task at three seeds."""
    return [kind(spec.laws(), seed=seed, n_val=spec.n_val, n_test=spec.n_test) for seed in range(3)]


def untrained(law: Generator, **entry: Any) -> Transformer:
    spec = make_model({"d_model": 12, "n_heads": 3} | entry, where="test")
    return build_model(spec, law.schema, seq_len=99, seed=0).eval()


TINY = """
suite: tiny
tasks:
  - task: pointer_chase
    hops: 1-2
    n_nodes: 6
    n_val: 8
    n_test: 16
model: {d_model: 16}
models:
  - attention: standard
  - {attention: nexus, order: 2}
train: {steps: 20, batch_size: 4, eval_every: 10}
seeds: 2
"""
CPU = torch.device("cpu")


def cell(*, train: Config | None = None, **model: object) -> CellSpec:
    return CellSpec(
        task=make_task({"task": "pointer_chase", "hops": "1-2", "n_nodes": 6, "n_val": 20, "n_test": 20}, where="test"),
        model=make_model({"attention": "nexus", "d_model": 16, **model}, where="test"),
        train=TrainSpec.model_validate({"steps": 30, "batch_size": 8, "eval_every": 10, **(train or {})}),
        seed=3,
    )


def chase(hop: int, *, also: int | None = None) -> Generator:
    """A task of that many hops, and of `also` many."""
    hops = sorted({hop, also or hop})
    return make_task(
        {"task": "pointer_chase", "hops": hops, "n_nodes": max(12, 3 * hops[-1])}, where="test"
    ).generator()
