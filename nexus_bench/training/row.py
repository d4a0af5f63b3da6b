"""A row: one cell in training. Its state is its own, so it goes on alone or in any stack of equal shape."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nexus_bench.data.drawers import GraphSource
from nexus_bench.data.splits import HeldOut
from nexus_bench.model.batch import to_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.contract import Model
from nexus_bench.training.recipe import Point
from nexus_bench.training.spec import CellSpec

State = Mapping[str, Tensor]

_ALIGNED = 32  # numbers


class CellSource(GraphSource, Protocol):
    """The source of the examples of a cell: of training graphs, and of those held out."""

    held_out: dict[str, HeldOut]


@dataclass
class TrainingRow:
    """One cell in training.

    Attributes:
        cell: The cell.
        source: Its examples.
        step: Optimiser steps made.
        curve: The evaluations so far.
        seconds: Its share of the training time so far.
        setup: Its share of those before the second step of an engine, which compile and draw.
        status: How it ended; None while it is trained.
        state: `weights`, `moment1` and `moment2`, each a vector of all parameters (`places_of` says where each is), and
            `buffer.<name>`, the buffers of the model; None before the first step.
    """

    cell: CellSpec
    source: CellSource
    step: int = 0
    curve: list[Point] = field(default_factory=list)
    seconds: float = 0.0
    setup: float = 0.0
    status: str | None = None
    state: State | None = None

    def build(self) -> Model:
        """The model before its first step, on the CPU."""
        source, encoding, cpu = self.source, self.cell.model.encoding, torch.device("cpu")
        some = [source.batch(0, 1), *(held.examples.take(slice(1)) for held in source.held_out.values())]
        seq_len = max(to_batch(one, source.law.schema, encoding, cpu).seq_len for one in some)
        return build_model(self.cell.model, source.law.schema, seq_len=seq_len, seed=self.cell.seed)


def places_of(model: nn.Module) -> dict[str, slice]:
    """Where each parameter is in a vector of all: it begins at a multiple of 32, as fast kernels need."""
    places, at = {}, 0
    for name, parameter in model.named_parameters():
        places[name] = slice(at, at + parameter.numel())
        at += -(-parameter.numel() // _ALIGNED) * _ALIGNED
    return places


def vector_of(values: Iterable[Tensor]) -> Tensor:
    """One vector of values for each parameter, in the order of the parameters."""
    parts = [value.detach().flatten() for value in values]
    return torch.cat([F.pad(part, (0, -part.numel() % _ALIGNED)) for part in parts])


def first_state(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model before its first step."""
    weights = vector_of(model.parameters())
    moments = {name: torch.zeros_like(weights) for name in ("moment1", "moment2")}
    return {"weights": weights, **moments, **buffers_of(model)}


def buffers_of(model: nn.Module) -> dict[str, Tensor]:
    """The buffers of a model, as a state names them."""
    return {f"buffer.{name}": buffer.detach() for name, buffer in model.named_buffers()}


def first_names(model: nn.Module) -> dict[str, str]:
    """Every name under which a module holds a parameter or a buffer -> the first name of that tensor."""
    first = {id(tensor): name for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    held = (
        (f"{path}.{name}" if path else name, tensor)
        for path, module in model.named_modules()
        for name, tensor in (*module._parameters.items(), *module._buffers.items())
    )
    return {name: first[id(tensor)] for name, tensor in held if tensor is not None}


def load_state(model: nn.Module, state: State) -> None:
    """Give a model the weights and the buffers of a state."""
    with torch.no_grad():
        for name, place in places_of(model).items():
            parameter = model.get_parameter(name)
            parameter.copy_(state["weights"][place].view_as(parameter))
        for name, buffer in model.named_buffers():
            buffer.copy_(state[f"buffer.{name}"])
