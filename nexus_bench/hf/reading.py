"""A reading of Nexus for a language model: options, layers, gate; and which models it fits."""

from collections.abc import Iterable
from typing import Any

from pydantic import Field
from transformers import PretrainedConfig

from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.errors import ConfigError
from nexus_bench.io.entries import Spec, validate

WHERE = "apply_nexus"


class Reading(Spec):
    """What the configuration of a model keeps under `nexus`."""

    options: NexusOptions = Field(description="The reading of the nest.")
    layers: list[int] = Field(description="The layers whose attention is nested, from 0.")
    gate: bool = Field(description="Each of these layers has a gate, which starts closed.")

    @property
    def words(self) -> list[str]:
        """What tells this reading from others; gated and literal ones are different methods."""
        usual = NexusOptions()
        named = [
            f"{key} {value}"
            for key, value in self.options.model_dump().items()
            if key in usual.always_named or value != getattr(usual, key)
        ]
        return [*named, *["gated"] * self.gate]

    @property
    def name(self) -> str:
        """The method in one line."""
        return f"nexus ({', '.join(self.words)})"


def make_reading(
    config: PretrainedConfig, options: dict[str, Any], layers: Iterable[int] | None, *, gate: bool
) -> Reading:
    """A reading that fits a model.

    Args:
        config: That of the model.
        options: Those of `NexusOptions`.
        layers: Numbers from 0, or from -1 backwards; None means all layers.
        gate: Whether there are gates.

    Raises:
        ConfigError: An option is not possible, or the model does not have what the reading needs.
    """
    chosen = validate(NexusOptions, options, where=WHERE)
    if type(gate) is not bool:
        raise ConfigError(f"{WHERE}: gate must be True or False, got {gate!r}")
    n_layers = config.num_hidden_layers
    if layers is not None and (isinstance(layers, str) or not isinstance(layers, Iterable)):
        raise ConfigError(f"{WHERE}: layers must be a list of numbers, such as [0, {n_layers - 1}], got {layers!r}")
    numbers = list(range(n_layers)) if layers is None else list(layers)
    for number in numbers:
        if type(number) is not int or not -n_layers <= number < n_layers:
            raise ConfigError(f"{WHERE}: layers must be 0 to {n_layers - 1}, or -1 to {-n_layers}, got {number!r}")
    reading = Reading(options=chosen, layers=sorted({number % n_layers for number in numbers}), gate=gate)
    check_fit(reading, config)
    return reading


def check_fit(reading: Reading, config: PretrainedConfig) -> None:
    """Refuse a reading that a model cannot take.

    Raises:
        ConfigError: The message names what does not fit.
    """
    options = reading.options
    if not reading.layers or not 0 <= min(reading.layers) <= max(reading.layers) < config.num_hidden_layers:
        raise ConfigError(
            f"{WHERE}: layers must name one or more of 0 to {config.num_hidden_layers - 1}, got {reading.layers}"
        )
    if reading.gate and options.order == 1:
        raise ConfigError(f"{WHERE}: gate must be false at order 1, where nothing is nested, got true")
    if options.share != "shared":
        raise ConfigError(f"{WHERE}: share must be shared, which adds no weights to the model, got {options.share}")
    width = config.hidden_size
    d_head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    if options.inner == "reproject" and config.num_attention_heads * d_head != width:
        raise ConfigError(
            f"{WHERE}: inner must be direct or output where heads do not fill the width of the model "
            f"({config.num_attention_heads} x {d_head} against {width}), got reproject"
        )
    kinds = getattr(config, "layer_types", None) or []
    sliding = [number for number in reading.layers if kinds and kinds[number] != "full_attention"]
    if sliding:
        raise ConfigError(
            f"{WHERE}: layers must have full attention, got layer {sliding[0]} with {kinds[sliding[0]]}; "
            "name other layers"
        )
