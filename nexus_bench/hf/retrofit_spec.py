"""What a retrofit is: methods that are compared, and the recipe that all of them share."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from transformers import PretrainedConfig

from nexus_bench.errors import ConfigError, UsageError, unknown_name
from nexus_bench.hf.reading import WHERE, Reading, make_reading
from nexus_bench.io.config import Config, parse_settings
from nexus_bench.io.entries import Spec
from nexus_bench.io.hops import format_hops

UNTOUCHED, STANDARD = "untouched", "standard"
_LARGEST_LR = 1e36  # steps are numbers of 32 bits
_LAST = {"last-half": 2, "last-third": 3, "last-quarter": 4}  # one of so many layers


class Method(Spec):
    """One way to use the model."""

    kind: Literal["untouched", "standard", "nexus"] = Field(description="Not trained; trained as it is; nested.")
    reading: Reading | None = Field(default=None, description="Of a nested one.")

    def label(self, n_layers: int) -> str:
        """The method in a few words; results are grouped by it.

        Args:
            n_layers: Layers of the model.
        """
        if self.reading is None:
            return self.kind
        layers = self.reading.layers
        some = [] if len(layers) == n_layers else [f"layers {format_hops(tuple(layers))}"]
        return ", ".join([self.kind, *self.reading.words, *some])


class Recipe(Spec):
    """How every method is trained, validated and tested."""

    steps: int = Field(default=300, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=32, ge=1, description="Examples per step.")
    micro_batch: int = Field(default=8, ge=1, description="Examples per pass; batch_size is a multiple of it.")
    lr: tuple[float, ...] = Field(
        default=(1e-5, 3e-5, 1e-4), description="Peak learning rates, of which validation chooses one per method."
    )
    tune_seeds: int = Field(default=1, ge=1, le=1000, description="Seeds to choose by; they are not reported.")
    gate_lr: float = Field(default=1e-2, gt=0, description="Peak learning rate of gates, the same for all methods.")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of linear warm-up, before the cosine to zero.")
    weight_decay: float = Field(default=0.01, ge=0, description="Of matrices.")
    clip_norm: float = Field(default=1.0, gt=0, description="Largest gradient norm.")
    n_val: int = Field(default=200, ge=1, description="Largest number of validation examples per hop.")
    n_test: int = Field(default=500, ge=1, description="Largest number of examples per hop of each test split.")
    view: Literal["text", "chat"] = Field(
        default="text", description="The plain prompt, as lm-eval asks; or messages in the template of the tokenizer."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.batch_size % self.micro_batch:
            raise ValueError(f"batch_size must be a multiple of micro_batch {self.micro_batch}, got {self.batch_size}")
        if not self.lr or not 0 < min(self.lr) <= max(self.lr) <= _LARGEST_LR or len(set(self.lr)) < len(self.lr):
            raise ValueError(
                f"lr must be one or more different rates above 0 and at most {_LARGEST_LR:g}, got {list(self.lr)}"
            )
        if self.gate_lr > _LARGEST_LR:
            raise ValueError(f"gate_lr must be at most {_LARGEST_LR:g}, got {self.gate_lr:g}")
        return self


def recipe_from(settings: Config) -> tuple[Config, Config]:
    """Settings of the recipe, ready for `validate`, and the others."""
    own = {key: value for key, value in settings.items() if key in Recipe.model_fields}
    if "micro_batch" not in own and isinstance(size := own.get("batch_size"), int):
        own["micro_batch"] = next(n for n in range(min(size, 8), 0, -1) if size % n == 0) if size > 0 else 1
    if "lr" in own:
        rates = own["lr"] if isinstance(own["lr"], list) else [own["lr"]]
        own["lr"] = tuple(float(rate) if type(rate) is int else rate for rate in rates)
    return own, {key: value for key, value in settings.items() if key not in own}


def methods_from(texts: Sequence[str], orders: Sequence[int], config: PretrainedConfig) -> list[Method]:
    """The methods of a command line.

    Args:
        texts: Each `untouched`, `standard`, or words such as `order=2 gate=true layers=last-third`.
        orders: With orders and no texts: untouched, standard, and each order with and without gates.
        config: That of the model.

    Raises:
        ConfigError: An option is not possible, or the model does not have what the reading needs.
        UsageError: A text cannot be read, or a method is given twice.
    """
    if not texts:
        gates = ("true", "false")
        texts = [UNTOUCHED, STANDARD, *(f"order={order} gate={gate}" for order in orders for gate in gates)]
    made = [_method(text, config) for text in texts]
    for place, method in enumerate(made):
        if method in made[:place]:
            raise UsageError(f"--method '{texts[place]}' is given twice; omit one")
    return made


def _method(text: str, config: PretrainedConfig) -> Method:
    words = text.split()
    if text in (UNTOUCHED, STANDARD):
        return Method(kind=text)
    if not words or "=" not in words[0]:
        known = (UNTOUCHED, STANDARD, "order=2 gate=true layers=last-third")
        raise UsageError(f"--method: {unknown_name('method', text, known)}")
    values = parse_settings(words, option=f"--method '{text}':")
    if (layers := values.get("layers", 0)) is None:
        raise ConfigError(f"--method '{text}': layers= has no value; omit it for all layers")
    if type(order := values.get("order")) is int and order < 2:
        raise ConfigError(f"--method '{text}': order must be 2 or more; order 1 is the method standard")
    gate, layers = values.pop("gate", False), values.pop("layers", None)
    try:
        if type(gate) is not bool:
            raise ConfigError(f"gate must be true or false, got {gate!r}")
        numbers = _layers(layers, config.num_hidden_layers)
        reading = make_reading(config, values, numbers, gate=gate)
    except ConfigError as error:
        raise ConfigError(f"--method '{text}': {str(error).removeprefix(f'{WHERE}: ')}") from error
    return Method(kind="nexus", reading=reading)


def _layers(value: Any, n_layers: int) -> list[Any] | None:
    """The numbers of layers, from 0; None means all."""
    if value is None or isinstance(value, list):
        return value
    if value in _LAST:
        return list(range(n_layers - max(1, n_layers // _LAST[value]), n_layers))
    first, dash, last = str(value).partition("-")
    if dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= 10_000:
        return list(range(int(first), int(last) + 1))
    if type(value) is not int:
        raise ConfigError(f"layers must be such as 20-29, 0,5 or {', '.join(_LAST)}, got {value!r}")
    return [value]
