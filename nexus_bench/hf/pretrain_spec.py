"""What a pretraining run is told: the model, the text, the recipe; and how it is carried out, which changes nothing."""

from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.errors import ConfigError, UsageError, unknown_name
from nexus_bench.io.config import Config
from nexus_bench.io.entries import Spec, validate

WHERE = "pretrain"
SHAPE = ("num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size")
_MADE = ("nexus", "shape", "content_sha256")  # of the values below, not given
_LARGEST = {"num_hidden_layers": 1_000}


class PretrainSpec(Spec):
    """All that the weights of a run depend on."""

    arch: str
    attention: Literal["standard", "nexus"] = "standard"
    nexus: NexusOptions | None = Field(default=None, description="The reading of the nest.")
    layers: list[int] | None = Field(default=None, description="Nested layers, from 0; null: all of them.")
    shape: dict[str, int] = Field(default={}, description="Sizes that differ from those of the arch.")
    text: list[str] = Field(default=[], description="Files, folders or datasets of transformers' `datasets`.")
    held_out: list[str] = Field(default=[], description="Text that is only evaluated.")
    held_out_share: float = Field(
        default=0.01, gt=0, lt=1, description="Without `held_out`: the share of `text` that is, document by document."
    )
    documents: Literal["file", "blank_line", "line"] = Field(
        default="file", description="What a document of a text file is: all of it, or what a blank line or a line ends."
    )
    tokenizer: str | None = Field(default=None, description="A folder, a file or a name; null: trained on `text`.")
    vocab_size: int = Field(default=16_384, ge=260, le=1_000_000, description="Of a tokenizer that is trained.")
    task: Config | None = Field(default=None, description="A task whose English is mixed in.")
    english: Config | None = Field(default=None, description="How the task is told; null: as `export` tells it.")
    ask: Literal["one", "all"] = Field(
        default="one", description="What a document of the task asks: one question, or all of its graph."
    )
    task_share: float = Field(default=0.3, gt=0, le=1, description="Its share of the tokens.")
    derived_share: float = Field(
        default=0.0, ge=0, le=1, description="Of how many of its graphs the answers are derived in sentences."
    )
    attend: Literal["sequence", "document"] = Field(
        default="sequence", description="What a token sees: all before it in its sequence, or in its document."
    )
    seq_len: int = Field(default=2048, ge=8, le=1_000_000, description="Tokens of a sequence.")
    batch_size: int = Field(default=64, ge=1, le=1_000_000, description="Sequences of a step, on all devices together.")
    tokens: int | None = Field(default=None, ge=1, description="Tokens to train on; null: each of them once.")
    lr: float = Field(gt=0, description="Peak learning rate.")
    warmup: float = Field(default=0.01, ge=0, lt=1, description="Share of the steps in which it rises.")
    final: float = Field(default=0.1, ge=0, le=1, description="Share of the peak to which its cosine falls.")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0, description="Of matrices, not of biases and norms.")
    clip: float = Field(default=1.0, gt=0, description="Largest norm of the gradient.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of the weights and of the order of the sequences.")

    @model_validator(mode="after")
    def _a_task_is_told_in_one_way(self) -> "PretrainSpec":
        of_a_task = {"ask": self.ask != "one", "derived_share": self.derived_share > 0}
        if self.task is None and (named := [name for name, is_set in of_a_task.items() if is_set]):
            raise ValueError(f"{named[0]} is of a task that is mixed in; add --task")
        if self.derived_share and (self.english or {}).get("target") == "steps":
            raise ValueError("target=steps derives every answer; leave it or derived_share out")
        if self.ask == "all" and (varied := sorted({"question", "sentences"} & set(self.english or {}))):
            raise ValueError(f"ask=all tells the facts once, before all questions; leave out {' and '.join(varied)}")
        return self

    @property
    def label(self) -> str:
        """The model in a word that is safe as the name of a folder."""
        if self.nexus is None:
            return "standard"
        usual = NexusOptions()
        chosen = self.nexus.model_dump().items()
        others = [str(value) for key, value in chosen if key != "order" and value != getattr(usual, key)]
        return "-".join([f"order{self.nexus.order}", *others])


class RunOptions(Spec):
    """How a run is carried out; it changes no result by more than rounding."""

    micro_batch_size: int | None = Field(
        default=None, ge=1, description="Sequences at once on a device; null: the largest part of its share up to 16."
    )
    log_every: int = Field(default=10, ge=1, description="Steps between rows of log.csv.")
    evaluations: int = Field(default=10, ge=1, description="How often the held-out text is evaluated.")
    save_every: int | None = Field(default=None, ge=1, description="Steps between checkpoints; null: 20 in a run.")
    samples: int = Field(default=2, ge=0, le=100, description="Texts that are written at every evaluation.")
    compile: Literal["auto", "yes", "no"] = Field(default="auto", description="torch.compile; auto: on a GPU.")


class PretrainRequest(NamedTuple):
    """A run and how it is carried out."""

    spec: PretrainSpec
    running: RunOptions


def task_settings(entry: Config) -> Config:
    """Those of the settings that `pretrain` does not have itself, so that they are of its task."""
    own = {name for kind in _kinds() for name in kind}
    return {key: value for key, value in entry.items() if key not in own}


def make_request(entry: Config, *, lr_of_arch: float) -> PretrainRequest:
    """Validate the values of a run: sizes of the model, options of the nest, the recipe, how it is carried out.

    Args:
        entry: Names and values, as `--set` has them, and `arch`.
        lr_of_arch: Peak learning rate where `lr` is not given.

    Raises:
        ConfigError: A key is unknown or a value is not possible.
        UsageError: An option of the nest is given for the standard model.
    """
    options, shape, running, rest = _divided(entry)
    attention = rest.get("attention", "standard")
    nexus: Any = None
    if attention == "nexus":
        nexus = validate(NexusOptions, options, where=WHERE)
    elif options or rest.get("layers") is not None:
        named = ", ".join([*options, *(["layers"] if rest.get("layers") is not None else [])])
        raise UsageError(f"{named}: the attention is {attention}; add --attention nexus")
    for key, value in shape.items():
        largest = _LARGEST.get(key, 65_536 * 4)
        if type(value) is not int or not 1 <= value <= largest:
            raise ConfigError(f"{WHERE}: {key} must be a whole number from 1 to {largest:,}, got {value!r}")
    if isinstance(rest.get("layers"), int):
        rest["layers"] = [rest["layers"]]
    spec = validate(PretrainSpec, {"lr": lr_of_arch, **rest, "nexus": nexus, "shape": shape}, where=WHERE)
    return PretrainRequest(spec, validate(RunOptions, running, where=WHERE))


def _divided(entry: Config) -> tuple[Config, Config, Config, Config]:
    kinds = _kinds()
    for key in entry:
        if not any(key in kind for kind in kinds):
            raise ConfigError(f"{WHERE}: {unknown_name('key', key, [name for kind in kinds for name in kind])}")
    options, shape, running, rest = ({k: v for k, v in entry.items() if k in kind} for kind in kinds)
    return options, shape, running, rest


def _kinds() -> tuple[tuple[str, ...], ...]:
    """Names of settings: of the nest, of the shape, of how it is carried out, of the rest."""
    rest = tuple(key for key in PretrainSpec.model_fields if key not in _MADE)
    return tuple(NexusOptions.model_fields), SHAPE, tuple(RunOptions.model_fields), rest
