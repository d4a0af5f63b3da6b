"""Models made, loaded and stored: the one place that knows which class a shape has."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.encodings import encodings_of
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Schema
from nexus_bench.io.config import Config
from nexus_bench.model.contract import Model
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.model.transformer import Transformer


def model_class(spec: ModelSpec) -> type[Model]:
    """The class of the models of a shape."""
    mechanism = ATTENTIONS.get(spec.attention)
    return mechanism if issubclass(mechanism, Model) else Transformer


def check_encodings(models: Iterable[ModelSpec], task: TaskSpec, *, where: str) -> None:
    """Refuse models that cannot show the examples of a task.

    Args:
        models: The models.
        task: The task that all of them are trained on.
        where: Name of the suite in error messages.

    Raises:
        ConfigError: A model has an encoding that is not one of the task.
    """
    allowed = encodings_of(task.law().schema)
    for model in models:
        if model.encoding not in allowed:
            raise ConfigError(
                f"{where}: {task.task}: encoding must be {' or '.join(allowed)}, got {model.encoding} ({model.label})"
            )


def models_by_shape(points: Sequence[Config], tasks: Sequence[TaskSpec], *, where: str) -> dict[bool, list[ModelSpec]]:
    """The models of a suite: those for tasks of graphs (False) and of sequences (True), as far as there are such.

    Args:
        points: Entries of models; one without an encoding has that of sequences where these are asked.
        tasks: The tasks that all of them are trained on.
        where: Name of the suite in error messages.

    Raises:
        ConfigError: A model is not allowed, or has an encoding that is not one of a task.
    """
    made: dict[bool, list[ModelSpec]] = {}
    for task in tasks:
        is_sequence = task.law().schema.is_sequence
        if is_sequence not in made:
            usual: Config = {"encoding": "sequence"} if is_sequence else {}
            made[is_sequence] = [make_model(usual | point, where=where) for point in points]
        check_encodings(made[is_sequence], task, where=where)
    return made


def build_model(spec: ModelSpec, schema: Schema, *, seq_len: int, seed: int) -> Model:
    """A model whose initial weights depend only on spec and seed; the random state of the caller is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return model_class(spec)(spec, schema, seq_len=seq_len)


def load_model(spec: ModelSpec, schema: Schema, weights: Mapping[str, Tensor]) -> Model:
    """A model with given weights.

    Raises:
        RuntimeError: They are not the weights of such a model.
    """
    model = build_model(spec, schema, seq_len=model_class(spec).seq_len_of(weights), seed=0)
    model.load_state_dict(weights)
    return model


def weights_of(model: Model) -> dict[str, Tensor]:
    """The parameters and buffers of a model by name, each with memory of its own, as files hold them."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}
