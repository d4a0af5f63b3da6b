"""The contract of an attention mechanism.

Axis letters: b batch, n positions, d width of the model.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from jaxtyping import Float
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from nexus_bench.attention.layout import Layout
from nexus_bench.registry.table import Registry

__all__ = ["ATTENTIONS", "Attention", "AttentionOptions", "Layout", "Mechanism"]


class AttentionOptions(BaseModel):
    """The choices a mechanism offers, with their defaults; a mechanism without choices uses this class."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    always_named: ClassVar[tuple[str, ...]] = ()  # options that the name of a model contains even at their default
    later: ClassVar[tuple[str, ...]] = ()  # options that version 1 of the mechanism did not have yet

    def given(self) -> dict[str, Any]:
        """The options as a model holds them: a later one that is at its default would rename cells of earlier runs."""
        usual = type(self)().model_dump()
        values = self.model_dump()
        return {k: v for k, v in values.items() if k not in self.later or v != usual[k]}


OptionsT = TypeVar("OptionsT", bound=AttentionOptions)


class Mechanism(nn.Module, ABC, Generic[OptionsT]):
    """What suites name under `attention`: an attention, or a whole model (`nexus_bench.model.contract.Model`).

    A mechanism is an ordinary module: it makes its parameters in `__init__` with PyTorch's usual
    initialisation, which the engine runs under the seed of the cell. What it cannot do it says here: suites are
    refused what it does not take, and it is tested for the rest.

    Attributes:
        name: What suites call it.
        version: Raised by hand when the same options give other outputs.
        Options: Its own choices.
        takes_sets: Positions may be a set, of which everybody sees the same keys; False if it needs an order, as
            recurrences do. `encoding: fact` is a set.
        takes_sequences: A position can be kept from seeing later ones. `encoding: flat` and `sequence` are sequences.
        takes_rope: Queries and keys may be rotary; False if scores of rotated vectors would not depend on distance
            alone.
        is_equivariant: Without rotary positions, another order of the positions of a set gives the same outputs in
            that order.
        stacks: `torch.func.vmap` can map it over its parameters; False trains every cell by itself.
        reference: The module with its definition written out, for mechanisms of other packages (`naive`).
    """

    name: ClassVar[str]
    version: ClassVar[int]
    Options: ClassVar[type[AttentionOptions]] = AttentionOptions
    takes_sets: ClassVar[bool] = True
    takes_sequences: ClassVar[bool] = True
    takes_rope: ClassVar[bool] = True
    is_equivariant: ClassVar[bool] = True
    stacks: ClassVar[bool] = True
    reference: ClassVar[str | None] = None

    @classmethod
    def own_options(cls, values: Mapping[str, Any]) -> OptionsT:
        """Its options among values of which some belong to others, as in a hybrid.

        Raises:
            ValidationError: One of its own is not allowed.
        """
        own: OptionsT = cls.Options.model_validate({k: v for k, v in values.items() if k in cls.Options.model_fields})  # type: ignore[assignment]
        return own

    @classmethod
    def layers(cls) -> tuple[type["Mechanism[Any]"], ...]:
        """The mechanisms of layers, which take turns; more than one in a hybrid."""
        return (cls,)

    @classmethod
    def takes(cls, layout: Layout) -> bool:
        """Whether it says that it can compute with a layout."""
        is_set, is_sequence = not layout.causal or layout.n_keys is not None, layout.causal
        refused = (is_set and not cls.takes_sets, is_sequence and not cls.takes_sequences)
        return not any((*refused, layout.rope and not cls.takes_rope))

    @classmethod
    def check(cls, d_model: int, options: OptionsT) -> None:
        """Refuse impossible combinations of options and width before anything is built.

        Raises:
            ValueError: The message names the option, what is allowed at this width, and what was given.
        """


class Attention(Mechanism[OptionsT]):
    """Mixes information between positions.

    Args:
        d_model: Width of the positions.
        n_heads: Heads; divides d_model.
        options: The mechanism's own choices.
    """

    def __init__(self, d_model: int, n_heads: int, options: OptionsT) -> None:
        super().__init__()
        self.d_model = d_model
        self.n_heads = n_heads
        self.options = options

    @classmethod
    def build(cls, d_model: int, n_heads: int, **options: object) -> Self:
        """A module with options given by name, for use in other code.

        Raises:
            ValueError: An option is unknown or not allowed, or n_heads does not divide d_model.
        """
        for name, size in (("d_model", d_model), ("n_heads", n_heads)):
            if type(size) is not int or size < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {size!r}")
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model ({d_model}), got {n_heads}")
        made: Any = cls.Options.model_validate(options)
        cls.check(d_model, made)
        return cls(d_model, n_heads, made)

    def uncounted_flops(self, n: int) -> int:
        """Floating-point operations of one forward pass of one sequence of n positions that PyTorch does not count.

        PyTorch counts matrix products, attention and triangular solves. A kernel or a scan of its own counts itself.
        """
        return 0

    @abstractmethod
    def forward(self, x: Float[Tensor, "b n d"], layout: Layout) -> Float[Tensor, "b n d"]:
        """Mix the positions of x; the block has normalised x and adds the residual."""


class Attentions(Registry[type[Mechanism[Any]]]):
    """The mechanisms by name; names joined by `+` are a hybrid, whose layers take turns."""

    def get(self, name: str) -> type[Mechanism[Any]]:
        """Look a mechanism up.

        Raises:
            ConfigError: As `Registry.get`.
        """
        if "+" not in name:
            return super().get(name)
        if name not in self._hybrids:
            self._hybrids[name] = _hybrid(name, [super(Attentions, self).get(part) for part in name.split("+")])
        return self._hybrids[name]

    _hybrids: ClassVar[dict[str, type[Mechanism[Any]]]] = {}


def _hybrid(name: str, kinds: Sequence[type[Mechanism[Any]]]) -> type[Mechanism[Any]]:
    """The mechanism that stands for several: it has the options of all, and takes what all take."""
    options = tuple(dict.fromkeys(layer.Options for layer in kinds if layer.Options is not AttentionOptions))
    named = {key: tuple(n for own in options for n in getattr(own, key)) for key in ("always_named", "later")}

    class Hybrid(Mechanism[Any]):
        __doc__ = f"Layers take turns: {', '.join(layer.name for layer in kinds)}."
        version = sum(layer.version for layer in kinds)
        Options = type("Options", options or (AttentionOptions,), named | {"__module__": __name__})
        takes_sets = all(layer.takes_sets for layer in kinds)
        takes_sequences = all(layer.takes_sequences for layer in kinds)
        takes_rope = all(layer.takes_rope for layer in kinds)
        is_equivariant = all(layer.is_equivariant for layer in kinds)
        stacks = all(layer.stacks for layer in kinds)

        @classmethod
        def layers(cls) -> tuple[type[Mechanism[Any]], ...]:
            return tuple(kinds)

        @classmethod
        def check(cls, d_model: int, options: AttentionOptions) -> None:
            for layer in kinds:
                layer.check(d_model, layer.own_options(options.model_dump()))

    Hybrid.name = name
    return Hybrid


ATTENTIONS = Attentions(
    "attention",
    package="nexus_bench.attention",
    group="nexus_bench.attentions",
    requires=("name", "version", "Options"),
)
