"""What one cell of a grid is: frozen, validated, and named by its content.

The classes here hold the only default of each value, except a task's parameters, whose defaults stand in
`tasks/<name>.yaml`.
"""

import hashlib
import json
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from nexus_bench.attention.base import ATTENTIONS, AttentionOptions
from nexus_bench.config import Config, explain, format_hops, parse_hops, read_bundled
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.registry import unknown_name
from nexus_bench.splits import BLOCK_GRAPHS

FORMAT_VERSION = 1  # raised by hand when the same spec gives other results

Hops = Annotated[tuple[int, ...], BeforeValidator(parse_hops)]
SpecT = TypeVar("SpecT", bound=BaseModel)


class Spec(BaseModel):
    """Frozen, strict about types, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TaskSpec(Spec):
    """A task at one setting: which generator, which hops, how much held-out data."""

    task: str
    hops: Hops
    params: dict[str, Any] = Field(description="Every parameter of the generator.")
    n_val: int = Field(default=256, ge=1, description="Validation graphs.")
    n_test: int = Field(default=1024, ge=1, description="Test graphs.")
    content_sha256: str | None = Field(default=None, description="Of the dataset folder to train on; None: a stream.")

    def generator(self) -> Generator[Any]:
        """The generator at these parameters."""
        family = GENERATORS.get(self.task)
        return family(family.Params.model_validate(self.params), self.hops)


class ModelSpec(Spec):
    """The shape of a transformer and its attention."""

    attention: str
    options: dict[str, Any] = Field(description="Every option of the attention.")
    encoding: Literal["fact", "flat"] = Field(default="fact", description="How examples become positions.")
    position: Literal["none", "learned"] = Field(description="Position embedding.")
    n_layers: int = Field(default=1, ge=1, description="Blocks, each with weights of its own.")
    n_loops: int = Field(default=1, ge=1, description="How often the stack of blocks is applied.")
    d_model: int = Field(default=64, ge=2, description="Width of the residual stream.")
    n_heads: int = Field(default=2, ge=1, description="Attention heads; d_head is d_model / n_heads.")
    mlp_ratio: int = Field(default=4, ge=1, description="Hidden width of the MLP over d_model.")

    @model_validator(mode="before")
    @classmethod
    def _position_suits_encoding(cls, values: Config) -> Config:
        usual = "learned" if values.get("encoding") == "flat" else "none"  # facts are a set, tokens a sequence
        return {"position": usual} | values

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelSpec":
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model ({self.d_model}) must be divisible by n_heads ({self.n_heads})")
        return self

    @property
    def label(self) -> str:
        """The model in a few words: the attention, and whatever is not the default."""
        options = ATTENTIONS.get(self.attention).Options()
        parts = [self.attention]
        parts += [
            f"{k} {v}" for k, v in self.options.items() if k in options.always_named or v != getattr(options, k)
        ]
        for name, field in ModelSpec.model_fields.items():
            value = getattr(self, name)
            if not field.is_required() and value != field.default:
                parts.append(f"{name} {value}" if field.annotation is int else str(value))
        return ", ".join(parts)


class TrainSpec(Spec):
    """How a model is trained."""

    steps: int = Field(default=3000, ge=1, description="Optimiser steps.")
    batch_size: int = Field(default=32, ge=1, description="Graphs a step, each with all of its queries.")
    lr: float = Field(default=3e-3, gt=0, description="Peak learning rate of AdamW.")
    warmup_steps: int = Field(default=100, ge=0, description="Linear warm-up, before the cosine to zero.")
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=1.0, gt=0, description="Largest gradient norm.")
    eval_every: int = Field(default=250, ge=1, description="Steps between evaluations on validation.")
    stop_when_solved: bool = Field(default=True, description="Stop once validation stays solved.")


class CellSpec(Spec):
    """One training run: a task, a model, a recipe, a seed."""

    task: TaskSpec
    model: ModelSpec
    train: TrainSpec
    seed: int = Field(ge=0)

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits that name the cell by its content."""
        versions = {
            "format": FORMAT_VERSION,
            "block_graphs": BLOCK_GRAPHS,
            "task": GENERATORS.get(self.task.task).version,
            "attention": ATTENTIONS.get(self.model.attention).version,
        }
        content = json.dumps([versions, self.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def title(self) -> str:
        """The cell in a few words."""
        return f"{self.task.task} hops {format_hops(self.task.hops)} | {self.model.label} | seed {self.seed}"


class Keys(NamedTuple):
    """The keys that may stand in the YAML entry of a task or a model, own ones first."""

    own: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Both kinds."""
        return self.own + self.extra


def task_keys(task: str) -> Keys:
    """What a task entry may say: the generator's parameters and the fields of TaskSpec."""
    return Keys(tuple(GENERATORS.get(task).Params.model_fields), ("hops", "n_val", "n_test"))


def model_keys(attention: str) -> Keys:
    """What a model entry may say: the attention's options and the fields of ModelSpec."""
    shape = tuple(name for name in ModelSpec.model_fields if name not in ("attention", "options"))
    return Keys(tuple(ATTENTIONS.get(attention).Options.model_fields), shape)


def make_task(entry: Config, *, where: str) -> TaskSpec:
    """Validate a task entry, over the defaults of `tasks/<name>.yaml`.

    Args:
        entry: `task`, and any of its parameters, `hops`, `n_val`, `n_test`.
        where: What to name in an error message.

    Raises:
        ConfigError: A name or a key is unknown, or a value is not allowed.
    """
    name = _name_in(entry, "task", where)
    keys = task_keys(name)
    merged = {k: v for k, v in read_bundled("task", name).items() if k != "summary"} | entry
    params, rest = _divide(merged, keys, "task", where)
    family = GENERATORS.get(name)
    checked = validate(family.Params, params, where=f"{where}: {name}", known=keys.all)
    spec = validate(TaskSpec, {**rest, "params": checked.model_dump()}, where=f"{where}: {name}", known=keys.all)
    try:
        spec.generator()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return spec


def make_model(entry: Config, *, where: str) -> ModelSpec:
    """Validate a model entry.

    Args:
        entry: `attention`, and any of its options and of the fields of ModelSpec.
        where: What to name in an error message.

    Raises:
        ConfigError: A name or a key is unknown, or a value is not allowed.
    """
    name = _name_in(entry, "attention", where)
    keys = model_keys(name)
    options, rest = _divide(entry, keys, "attention", where)
    mechanism = ATTENTIONS.get(name)
    checked: AttentionOptions = validate(mechanism.Options, options, where=f"{where}: {name}", known=keys.all)
    return validate(ModelSpec, {**rest, "options": checked.model_dump()}, where=f"{where}: {name}", known=keys.all)


def validate(model: type[SpecT], values: Config, *, where: str, known: tuple[str, ...] = ()) -> SpecT:
    """Make a pydantic object, or say in one line why not.

    Raises:
        ConfigError: A key is unknown, missing, or has a value that is not allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, where=where, known=known or tuple(model.model_fields))) from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _name_in(entry: Config, kind: str, where: str) -> str:
    name = entry.get(kind)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: every entry needs a `{kind}`, got {name!r}")
    return name


def _divide(entry: Config, keys: Keys, kind: str, where: str) -> tuple[Config, Config]:
    own = {key: value for key, value in entry.items() if key in keys.own}
    rest = {key: value for key, value in entry.items() if key not in keys.own}
    unknown = [key for key in rest if key not in (kind, *keys.extra)]
    if unknown:
        raise ConfigError(f"{where}: {entry[kind]}: {unknown_name('key', unknown[0], keys.all)}")
    return own, rest
