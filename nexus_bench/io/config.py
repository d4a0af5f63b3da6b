"""Configuration as text: strict YAML, and `key=value` settings.

The YAML is the JSON-like core of YAML 1.2: no tags, no anchors, no duplicate keys, and `no`, `010` and
`12:30` are strings, while `1e-3` is a number.
"""

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.io.escapes import CONTROL
from nexus_bench.io.files import read_text
from nexus_bench.io.renames import KEY, present_name, with_present_keys

Config = dict[str, Any]

LONGEST_NAME = 100  # characters
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")  # what a name that is safe as a folder name does not hold
LARGEST = 2**63 - 1  # whole number: beyond it a table does not hold it
MOST_GRAPHS = 1_000_000_000  # that one command or call draws
_LARGEST_SHORT = 1_000_000_000  # whole number that may be written as 1e9
_DEEPEST = 50  # lists and mappings in each other

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SCALARS = {
    "null": (re.compile(r"null|~|"), "n~\0"),
    "bool": (re.compile(r"true|false"), "tf"),
    "int": (re.compile(r"[-+]?(0|[1-9][0-9]*)"), "-+0123456789"),
    "float": (re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"), "-+.0123456789"),
}


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML requires this name
    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        what = "an alias (*name)" if isinstance(event, yaml.AliasEvent) else None
        if getattr(event, "anchor", None) and what is None:
            what = "an anchor (&name)"
        if getattr(event, "tag", None):
            what = "a tag (!name)"
        if what:
            raise yaml.MarkedYAMLError(
                problem=f"{what} is not allowed; write the value out", problem_mark=event.start_mark
            )
        if self._depth > _DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"values are nested more than {_DEEPEST} deep; write them flatter",
                problem_mark=event.start_mark,
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        text = super().construct_scalar(node)
        if isinstance(text, str) and (found := CONTROL.search(text)) and found[0] not in "\t\n":
            raise yaml.MarkedYAMLError(
                problem=f"text holds the control character {found[0]!a}; omit it", problem_mark=node.start_mark
            )
        return text

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        number = int(text) if len(text) <= len(str(LARGEST)) + 1 else None
        if number is None or abs(number) > LARGEST:
            raise yaml.MarkedYAMLError(
                problem=f"a whole number must be within +-{LARGEST}, got {_shortened(text)}",
                problem_mark=node.start_mark,
            )
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        text = str(self.construct_scalar(node))
        if not math.isfinite(number := float(text)):
            raise yaml.MarkedYAMLError(
                problem=f"a number must be finite, got {_shortened(text)}", problem_mark=node.start_mark
            )
        return number

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is not a word", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key}' is given twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _StrictDumper(yaml.SafeDumper):
    """What it writes, strict YAML reads back as the same: no anchors, and quotes around what looks like a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind in ("int", "float"):
    _StrictLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(_StrictLoader, f"construct_yaml_{_kind}"))
for _tag, (_pattern, _first) in _SCALARS.items():
    for _reader in (_StrictLoader, _StrictDumper):
        _reader.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}",
            re.compile(f"(?:{_pattern.pattern})$"),
            ["" if c == "\0" else c for c in _first],
        )


def to_yaml(config: Config) -> str:
    """A configuration as strict YAML, its keys in their order."""
    return yaml.dump(config, Dumper=_StrictDumper, sort_keys=False)


def parse_yaml(text: str, *, where: str) -> Any:
    """Read strict YAML.

    Args:
        text: The YAML.
        where: Name of the text in error messages, such as its path.

    Raises:
        ConfigError: It is not valid, or uses a feature that strict YAML does not allow.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


def read_config(path: Path) -> Config:
    """Read a YAML file that holds one mapping.

    Raises:
        ConfigError: The YAML is invalid or is not a mapping.
        StorageError: The file cannot be read.
    """
    config = parse_yaml(read_text(path), where=str(path))
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines, got {type(config).__name__}")
    present: Config = with_present_keys(config)
    return present


def parse_settings(settings: list[str], *, option: str = "--set") -> Config:
    """Read `key=value` settings; a value is YAML, and `1,2,3` is a list. A single `{a: 1, b: 2}` is not.

    A number such as `1e3` is a whole one.

    Args:
        settings: The settings.
        option: What messages say that they were given to.

    Raises:
        UsageError: A setting is malformed or given twice.
    """
    config: Config = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"{option} must be key=value, got '{setting}'")
        key = present_name(KEY, key)
        if key in config:
            raise UsageError(f"{option} {key} is given twice; keep one")
        is_list = "," in text and not text.lstrip().startswith(("[", '"', "'"))
        value = parse_yaml(f"[{text}]" if is_list else text, where=f"{option} {key}")
        is_mapping = is_list and len(value) == 1 and isinstance(value[0], dict)  # its commas are within
        value = value[0] if is_mapping else value
        if "." not in text:  # which says that a number need not be whole
            value = [as_whole(one) for one in value] if isinstance(value, list) else as_whole(value)
        config[key] = value
    return config


def without_none(**values: Any) -> Config:
    """Only the values that were given."""
    return {key: value for key, value in values.items() if value is not None}


def as_whole(value: Any) -> Any:
    """A number such as 1e3 as the whole number that it is; all else stays."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_SHORT else value


def _shortened(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:20]}... of {len(text)} characters"


def check_name(name: Any, *, what: str) -> str:
    """A name that is safe as a folder name.

    Raises:
        ConfigError: It could point outside its folder, as `../x` does, or is not a name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ConfigError(
            f"{what} must be letters, digits, '.', '_' and '-', at most {LONGEST_NAME}, and begin with a letter or "
            f"digit, got {name!r}"
        )
    return name
