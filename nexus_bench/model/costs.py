"""The cost of a model: parameters, and floating-point operations as PyTorch counts them."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from typing import NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError
from nexus_bench.model.batch import to_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.scoring import losses_of
from nexus_bench.model.spec import ModelSpec
from nexus_bench.streams import stream


def count_flops(*steps: Callable[[], object]) -> list[int]:
    """Floating-point operations of matrix products in each of several steps, run one after the other.

    Attention is counted unfused and without regard to masks, so that the count is the same on every device; what a
    mask forbids is counted all the same. On tensors of the `meta` device nothing is computed.
    """
    counts = []
    for step in steps:
        with ExitStack() as stack:
            counter = stack.enter_context(FlopCounterMode(display=False))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            step()
        counts.append(int(counter.get_total_flops()))
    return counts


def n_parameters(module: torch.nn.Module) -> int:
    """The number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


class Cost(NamedTuple):
    """The cost of a model.

    Attributes:
        parameters: Number of trained parameters.
        compute: Floating-point operations of the matrix products of one forward and backward pass of one graph; None if
            the model does not run on tensors without content, so that nothing can be counted.
    """

    parameters: int
    compute: int | None

    @property
    def counted(self) -> int:
        """The compute of a model that is to be matched.

        Raises:
            ConfigError: It cannot be counted.
        """
        if self.compute is None:
            raise ConfigError("the compute of this model cannot be counted, so nothing can be matched to it by compute")
        return self.compute


def cost_of(model: ModelSpec, task: TaskSpec) -> Cost:
    """Count the cost of a model on a task; nothing is computed."""
    return _cost(model.model_dump_json(), task.model_dump_json())


@lru_cache(maxsize=4096)
def _cost(model_json: str, task_json: str) -> Cost:
    model, task = ModelSpec.model_validate_json(model_json), TaskSpec.model_validate_json(task_json)
    meta = torch.device("meta")
    law = task.law()
    graph = law.sample(1, stream("matching"))
    batch = to_batch(graph, law.schema, model.encoding, torch.device("cpu"))
    with meta:
        built = build_model(model, law.schema, seq_len=batch.seq_len, seed=0)

    def step() -> None:
        on_meta = batch.to(meta)
        losses_of(built(on_meta), on_meta.answer).sum().backward()  # type: ignore[no-untyped-call]

    try:
        compute = count_flops(step)[0]
    except Exception:  # whatever a kernel without a form for such tensors raises
        compute = None
    return Cost(n_parameters(built), compute)
