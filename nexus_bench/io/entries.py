"""Entries of a configuration, validated: the result is an object, or one line that says what is wrong."""

from collections.abc import Iterable
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from nexus_bench.errors import ConfigError, unknown_name
from nexus_bench.io.config import Config, as_whole
from nexus_bench.io.hops import parse_hops

SpecT = TypeVar("SpecT", bound=BaseModel)

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)  # finite numbers

_MOST_TOLD = 10  # numbers of a list in a message
# What a whole number is at most where its field has no bound of its own: more would not fit into any memory, or not end
_LARGEST = 1_000_000_000
_LARGEST_OF = {"d_model": 65_536, "n_heads": 65_536, "n_layers": 1_000, "n_loops": 10_000, "mlp_ratio": 1_000}
_LARGEST_OF |= {"batch_size": 1_000_000, "order": 1_000, "n_queries": 1_000_000}
_MEANT = {"order": "for standard attention write order=1"}  # perhaps, by one who asks for less than there is


class Spec(BaseModel):
    """Frozen, strict about types, closed to unknown keys, with finite numbers alone."""

    model_config = STRICT


class Keys(NamedTuple):
    """The keys that an entry may have.

    Attributes:
        own: Keys of the task family or the attention itself.
        shared: Keys of every entry of the kind.
        internal: Keys that nexus-bench writes itself, and nobody else.
    """

    own: tuple[str, ...]
    shared: tuple[str, ...]
    internal: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Those that a user may write."""
        return self.own + self.shared


class Divided(NamedTuple):
    """The values of an entry, own and shared ones apart."""

    own: Config
    shared: Config


def name_in(entry: Config, kind: str, *, where: str) -> str:
    """The name under the key `kind`.

    Raises:
        ConfigError: It is missing or not a word.
    """
    name = entry.get(kind)
    if not isinstance(name, str):
        raise ConfigError(f"{where}: every entry needs a name under `{kind}`, got {name!r}")
    return name


def divide(entry: Config, keys: Keys, kind: str, *, where: str) -> Divided:
    """Divide an entry's values.

    Raises:
        ConfigError: A key is neither its own nor shared; the message names the closest one.
    """
    own = {key: value for key, value in entry.items() if key in keys.own}
    shared = {key: value for key, value in entry.items() if key not in keys.own}
    for key in shared:
        if key not in (kind, *keys.shared, *keys.internal):
            raise ConfigError(f"{where}: {entry[kind]}: {unknown_name('key', key, keys.all)}")
    return Divided(own, shared)


def validate(model: type[SpecT], values: Config, *, where: str) -> SpecT:
    """Make a pydantic object, or say in one line what is wrong.

    Raises:
        ConfigError: A key is unknown, missing, or has a value that is not allowed.
    """
    for key, value in values.items():
        largest = _LARGEST_OF.get(key, _LARGEST)
        if type(value) is int and abs(value) > largest:
            raise ConfigError(f"{where}: {key} must be at most {largest}, got {value}")
    whole = {key for key, field in model.model_fields.items() if field.annotation in (int, int | None)}
    values = {key: as_whole(value) if key in whole else value for key, value in values.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_explain(error, model)}") from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault: the key, what is allowed, and the value."""
    fault = error.errors()[0]
    *outer, last = fault["loc"] or ("",)
    key = ".".join(str(part) for part in fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        place = "".join(f"{part}." for part in outer)[:-1]
        return f"{place}{': ' if place else ''}{unknown_name('key', str(last), _keys_at(model, outer))}"
    if fault["type"] == "missing":
        return f"{key} is missing"
    if fault["type"] == "value_error":
        return f"{key}: {message}" if outer else message  # of several entries, which one
    meant = f"; {_MEANT[key]}" if fault["type"] == "greater_than_equal" and key in _MEANT else ""
    several = _several(fault["input"]) if fault["type"] in ("int_type", "int_parsing") else ""
    return f"{key}: {message[0].lower()}{message[1:]}, got {fault['input']!r}{several}{meant}"


def _keys_at(model: type[BaseModel], path: Iterable[int | str]) -> tuple[str, ...]:
    """The keys of an entry within an entry, by the keys and numbers that lead to it."""
    kind: Any = model
    for part in path:
        is_entry = isinstance(kind, type) and issubclass(kind, BaseModel)
        inner = kind.model_fields[str(part)].annotation if is_entry else get_args(kind)[-1]  # of a list, of a mapping
        kind = next(one for one in get_args(inner) if one is not NoneType) if NoneType in get_args(inner) else inner
    return tuple(kind.model_fields)


def _several(text: object) -> str:
    """How to write several numbers that are given as hop counts are, such as `2-3`; empty if they are not."""
    try:
        numbers = parse_hops(text)
    except ConfigError:
        return ""
    return f"; write {list(numbers)} for several" if 1 < len(numbers) <= _MOST_TOLD else ""
