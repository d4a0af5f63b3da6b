"""Turn a loaded language model into one with Nexus attention."""

import copy
from collections.abc import Iterable
from typing import Any, TypeVar

from torch import nn
from transformers import PreTrainedModel

from nexus_bench.errors import ConfigError
from nexus_bench.hf.models import FAMILIES, NexusModel, nest_layers
from nexus_bench.hf.reading import Reading, make_reading
from nexus_bench.io.entries import validate

ModelT = TypeVar("ModelT", bound=PreTrainedModel)


def apply_nexus(
    model: ModelT, order: int = 2, *, layers: Iterable[int] | None = None, gate: bool = False, **options: Any
) -> ModelT:
    """Nest the attention of a model, in place: weights, their names and their modules stay.

    Args:
        model: A Qwen2, Llama or GPT-NeoX model with a head for language, loaded by transformers.
        order: Recursion depth; 1 leaves every layer as it is.
        layers: The layers to nest, from 0, or from -1 backwards; all of them by default.
        gate: Gives each of these layers a gate, one number that is trained. It starts at 0, where the model computes
            what it computed before; at 1 it is the reading without a gate.
        options: Those of `nexus_bench.attention.NexusOptions`.

    Returns:
        The same model, whose class and configuration are now those of Nexus.

    Raises:
        ConfigError: The model is of another family or already nested, an option is not possible, or the model does not
            have what the reading needs. The model is unchanged then.
    """
    family = next((family for family in FAMILIES if type(model) is family.model), None)
    if family is None:
        if isinstance(model, NexusModel):
            raise ConfigError(f"apply_nexus: the model already has Nexus attention: {describe(model)}; load it anew")
        known = ", ".join(family.model.__name__ for family in FAMILIES)
        raise ConfigError(f"apply_nexus: unknown model '{type(model).__name__}'; known: {known}")
    reading = make_reading(model.config, {"order": order, **options}, layers, gate=gate)
    stock = model.config
    config = copy.deepcopy(stock)  # another model may share the object
    config.__class__ = family.nexus_config
    config.nexus = reading.model_dump()
    for module in model.modules():
        if getattr(module, "config", None) is stock:
            module.config = config
    model.__class__ = family.nexus_model
    nest_layers(model)
    return model


def describe(model: nn.Module) -> str:
    """The method of a model: `standard`, or the reading of Nexus, whether it is gated, and its layers if not all."""
    config = getattr(model, "config", None)
    values = getattr(config, "nexus", None)
    if values is None:
        return "standard"
    reading = validate(Reading, values, where="nexus in the configuration of the model")
    if config is None or len(reading.layers) == config.num_hidden_layers:
        return reading.name
    return f"{reading.name}, layers {', '.join(str(number) for number in reading.layers)}"
