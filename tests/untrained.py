"""Small models as they are before training, and a small task for them."""

from typing import Any

from nexus_bench.data.task import make_task
from nexus_bench.generators.base import Generator
from nexus_bench.model.spec import make_model
from nexus_bench.model.transformer import Transformer, build_model


def small_law() -> Generator:
    task = {"task": "pointer_chase", "hops": [1, 2], "n_nodes": 7, "n_queries": 5}
    return make_task(task, where="test").generator()


def untrained(law: Generator, **entry: Any) -> Transformer:
    spec = make_model({"d_model": 12, "n_heads": 3} | entry, where="test")
    return build_model(spec, law.schema, seq_len=99, seed=0).eval()
