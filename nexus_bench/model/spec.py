"""What one cell of a grid is: frozen, validated, and named by its content.

The classes here hold the only default of each value.
"""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from nexus_bench.attention.base import ATTENTIONS, Attention
from nexus_bench.io.config import Config
from nexus_bench.io.entries import Keys, Spec, divide, name_in, validate

LATER = ("inject", "random_loops", "canon")  # values that came after version 0.1.0


class ModelSpec(Spec):
    """The shape of a transformer and its attention."""

    attention: str
    options: Config = Field(description="Every option of the attention.")
    encoding: Literal["fact", "flat", "sequence"] = Field(
        default="fact", description="How examples become positions; a task of sequences takes sequence alone."
    )
    position: Literal["none", "learned", "rope"] = Field(
        description="Position embedding: none, learned, or RoPE at every level."
    )
    n_layers: int = Field(default=1, ge=1, description="Blocks, each with weights of its own.")
    n_loops: int = Field(default=1, ge=1, description="How often the stack of blocks is applied.")
    inject: bool = Field(default=False, description="Every loop gets the embeddings again, added to its input.")
    random_loops: bool = Field(
        default=False, description="In training each graph is looped 1 to n_loops times, at random."
    )
    canon: Literal["", "A", "C", "D", "AC", "AD", "CD", "ACD"] = Field(
        default="",
        description="Canon layers, short causal convolutions: before the attention (A), before the MLP (C), in it (D).",
    )
    d_model: int = Field(default=64, ge=2, description="Width of the residual stream.")
    n_heads: int = Field(default=2, ge=1, description="Attention heads; d_head is d_model / n_heads.")
    mlp_ratio: int = Field(default=4, ge=1, description="Hidden width of the MLP over d_model.")

    @model_serializer(mode="wrap")
    def _given(self, usual: SerializerFunctionWrapHandler) -> Config:
        """All values, but later ones at their default: they would rename cells of earlier runs."""
        values: Config = usual(self)
        later = self.later()
        return {key: value for key, value in values.items() if key not in LATER or key in later}

    def later(self) -> Config:
        """The values that came after version 0.1.0 and are not at their default."""
        values = {name: getattr(self, name) for name in LATER}
        return {name: value for name, value in values.items() if value != ModelSpec.model_fields[name].default}

    @model_validator(mode="before")
    @classmethod
    def _position_suits_encoding(cls, values: Config) -> Config:
        return {"position": _usual_position(values.get("encoding"))} | values

    @model_validator(mode="after")
    def _attention_takes_it(self) -> "ModelSpec":
        if self.d_model % self.n_heads:
            divisors = ", ".join(str(n) for n in range(1, self.d_model + 1) if self.d_model % n == 0)
            raise ValueError(f"n_heads must divide d_model ({self.d_model}): {divisors}; got {self.n_heads}")
        if self.n_loops == 1 and (self.inject or self.random_loops):
            raise ValueError("n_loops must be at least 2 with inject or random_loops, got 1")
        if self.canon and self.encoding == "fact":
            raise ValueError(f"canon must be empty with encoding fact, whose positions have no order, got {self.canon}")
        mechanism = ATTENTIONS.get(self.attention)
        whole = [kind.name for kind in mechanism.layers() if not issubclass(kind, Attention)]
        if whole and len(mechanism.layers()) > 1:
            raise ValueError(f"{whole[0]} is a whole model and no layer of {self.attention}; omit it")
        if self.n_layers % len(mechanism.layers()):
            raise ValueError(
                f"n_layers must be a multiple of {len(mechanism.layers())} with {self.attention}, got {self.n_layers}"
            )
        if self.encoding == "fact" and not mechanism.takes_sets:
            raise ValueError(f"encoding must be flat or sequence for {self.attention}, which needs an order, got fact")
        if self.encoding != "fact" and not mechanism.takes_sequences:
            raise ValueError(
                f"encoding must be fact for {self.attention}, whose positions see all, got {self.encoding}"
            )
        if self.position == "rope" and not mechanism.takes_rope:
            raise ValueError(f"position must be none or learned for {self.attention}, got rope")
        mechanism.check(self.d_model, mechanism.Options.model_validate(self.options))
        return self

    @property
    def attention_label(self) -> str:
        """The attention in a few words: its name, and every option that is not the default."""
        usual = ATTENTIONS.get(self.attention).Options()
        named = [f"{k} {v}" for k, v in self.options.items() if k in usual.always_named or v != getattr(usual, k)]
        return ", ".join([self.attention, *named])

    @property
    def label(self) -> str:
        """The model in a few words: the attention, and every value that is not the default."""
        parts = [self.attention_label]
        for name, field in ModelSpec.model_fields.items():
            value = getattr(self, name)
            if not field.is_required() and value != field.default:
                parts.append(_told(name, value))
        if self.position != _usual_position(self.encoding):
            parts.append(f"position {self.position}")
        return ", ".join(parts)


def _told(name: str, value: Any) -> str:
    """A value that is not the default, in few words."""
    if value is True:
        return name
    return f"{name} {value}" if isinstance(value, int) or name == "canon" else str(value)


def _usual_position(encoding: str | None) -> str:
    """Facts are a set and get no positions; tokens are a sequence and get some."""
    return "learned" if encoding in ("flat", "sequence") else "none"


def model_keys(name: str) -> Keys:
    """The keys of a model entry: the options of the attention and the fields of ModelSpec."""
    shared = tuple(field for field in ModelSpec.model_fields if field not in ("attention", "options"))
    return Keys(tuple(ATTENTIONS.get(name).Options.model_fields), shared)


def make_model(entry: Config, *, where: str) -> ModelSpec:
    """Validate a model entry.

    Args:
        entry: `attention`, and any of its options and of the fields of ModelSpec.
        where: Name of the entry in error messages.

    Raises:
        ConfigError: A name or a key is unknown, or a value is not allowed.
    """
    name = name_in(entry, "attention", where=where)
    own, shared = divide(entry, model_keys(name), "attention", where=where)
    where = f"{where}: {name}"
    options = validate(ATTENTIONS.get(name).Options, own, where=where)
    return validate(ModelSpec, {**shared, "options": options.given()}, where=where)
