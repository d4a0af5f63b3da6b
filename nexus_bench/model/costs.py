"""The cost of a model: parameters, and floating-point operations as PyTorch counts them."""

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nexus_bench.attention.base import Attention, Layout
from nexus_bench.attention.flops import count_flops
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError
from nexus_bench.model.batch import Batch, to_batch, to_training_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.contract import Model
from nexus_bench.model.scoring import losses_of
from nexus_bench.model.spec import ModelSpec
from nexus_bench.streams import stream

_META = torch.device("meta")


def n_parameters(module: torch.nn.Module) -> int:
    """The number of trained parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


class Cost(NamedTuple):
    """The cost of a model.

    Attributes:
        parameters: Number of trained parameters.
        compute: Floating-point operations of one forward and backward pass of one graph: matrix products, and what
            mechanisms count themselves. None if the model does not run on tensors without content, so that nothing can
            be counted.
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


def cost_of(model: ModelSpec, task: TaskSpec, *, at_every_place: bool = False) -> Cost:
    """Count the cost of a model on a task; nothing is computed.

    Args:
        model: The model.
        task: The task.
        at_every_place: Whether sequences are read at every place, as they were trained before they were read at their
            labels alone.
    """
    return _cost(model.model_dump_json(), task.model_dump_json(), at_every_place)


def parameters_of(model: ModelSpec, task: TaskSpec) -> int:
    """The parameters of `cost_of` alone, which are counted much faster."""
    return _parameters(model.model_dump_json(), task.model_dump_json())


@lru_cache(maxsize=4096)
def _parameters(model_json: str, task_json: str) -> int:
    return n_parameters(_without_content(model_json, task_json)[0])


def _without_content(model_json: str, task_json: str, at_every_place: bool = False) -> tuple[Model, Batch]:
    """A model whose tensors have no content, and one graph to ask it."""
    model, task = ModelSpec.model_validate_json(model_json), TaskSpec.model_validate_json(task_json)
    law = task.law()
    graph = law.sample(1, stream("matching"))
    cpu = torch.device("cpu")
    if at_every_place:
        batch = to_batch(graph, law.schema, model.encoding, cpu)
    else:
        batch, _ = to_training_batch(graph, law, model.encoding, cpu)
    with _META:
        return build_model(model, law.schema, seq_len=batch.seq_len, seed=0), batch.to(_META)


@lru_cache(maxsize=4096)
def _cost(model_json: str, task_json: str, at_every_place: bool) -> Cost:
    built, batch = _without_content(model_json, task_json, at_every_place)
    own = 0

    def note(module: Attention[Any], args: tuple[Tensor, Layout], out: Tensor) -> None:
        nonlocal own
        own += 3 * module.uncounted_flops(args[0].shape[1])  # a backward pass costs about two forward passes

    for part in built.modules():
        if isinstance(part, Attention):
            part.register_forward_hook(note)

    def step() -> None:
        losses_of(built(batch), batch.answer).sum().backward()  # type: ignore[no-untyped-call]

    try:
        compute = count_flops(step)[0] + own
    except Exception:  # whatever a kernel without a form for such tensors raises
        compute = None
    return Cost(n_parameters(built), compute)
