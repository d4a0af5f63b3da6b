"""Configuration as text: strict YAML, `key=value` settings, hop ranges, and the bundled files of `tasks/`.

The YAML is the JSON-like core of YAML 1.2: no tags, no anchors, no duplicate keys, and `no`, `010` and
`12:30` are strings, while `1e-3` is a number.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from nexus_bench.errors import ConfigError, StorageError, UsageError, unknown_name

Config = dict[str, Any]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SCALARS = {
    "null": (re.compile(r"null|~|"), "n~\0"),
    "bool": (re.compile(r"true|false"), "tf"),
    "int": (re.compile(r"[-+]?(0|[1-9][0-9]*)"), "-+0123456789"),
    "float": (re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?"), "-+.0123456789"),
}


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without YAML 1.1's surprises."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name is PyYAML's

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
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is not a word", problem_mark=key_node.start_mark)
            if key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"key '{key}' stands twice; keep one", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


for _tag, (_pattern, _first) in _SCALARS.items():
    _StrictLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern.pattern})$"), ["" if c == "\0" else c for c in _first]
    )


def parse_yaml(text: str, *, where: str) -> Any:
    """Read strict YAML.

    Args:
        text: The YAML.
        where: What to call the text in an error message, such as its path.

    Raises:
        ConfigError: It is not valid, or uses what strict YAML leaves out.
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
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text") from error
    config = parse_yaml(text, where=str(path))
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines, got {type(config).__name__}")
    return config


def bundled(kind: str) -> dict[str, Path]:
    """The YAML files that come with nexus-bench, by name.

    Args:
        kind: `task` or `suite`.
    """
    package = Path(__file__).parent.parent
    root = package / "tasks"  # in an installed copy; in a checkout it stands beside the package
    root = root if root.is_dir() else package.parent / "tasks"
    folder = root / "suites" if kind == "suite" else root
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_bundled(kind: str, name: str) -> Config:
    """Read one of the bundled files by name.

    Raises:
        ConfigError: There is none of that name; the message names the closest one.
    """
    files = bundled(kind)
    if name not in files:
        raise ConfigError(unknown_name(kind, name, files))
    return read_config(files[name])


def parse_settings(settings: list[str]) -> Config:
    """Read `key=value` settings; a value is YAML, and `1,2,3` is a list.

    Raises:
        UsageError: A setting is malformed or given twice.
    """
    config: Config = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise UsageError(f"--set must be key=value, got '{setting}'")
        if key in config:
            raise UsageError(f"--set {key} is given twice; keep one")
        is_list = "," in text and not text.lstrip().startswith(("[", '"', "'"))
        config[key] = parse_yaml(f"[{text}]" if is_list else text, where=f"--set {key}")
    return config


def parse_hops(value: Any) -> tuple[int, ...]:
    """Read hop counts: `3`, `"1-5"`, `"1,2,4"` or a list of integers.

    Returns:
        Ascending distinct hop counts.

    Raises:
        ConfigError: It is none of these, or a hop count is below 1.
    """
    expected = "write hops as 3, 1-5 or 1,2,4"
    if isinstance(value, list | tuple) and all(type(item) is int for item in value):
        hops = list(value)
    elif type(value) is int:
        hops = [value]
    elif isinstance(value, str):
        hops = []
        for part in value.split(","):
            match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
            if match is None:
                raise ConfigError(f"cannot read hops '{value}'; {expected}")
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise ConfigError(f"hops '{value}' run backwards; {expected}")
            if last > 10_000:
                raise ConfigError(f"hops must be at most 10000, got {last}")
            hops.extend(range(first, last + 1))
    else:
        raise ConfigError(f"cannot read hops {value!r}; {expected}")
    if not hops:
        raise ConfigError(f"hops are empty; {expected}")
    if min(hops) < 1:
        raise ConfigError(f"hops must be 1 or more, got {min(hops)}; {expected}")
    if len(set(hops)) < len(hops):
        raise ConfigError(f"hops {value} name a hop twice; {expected}")
    return tuple(sorted(hops))


def format_hops(hops: tuple[int, ...]) -> str:
    """Hop counts as text: `3`, `1-5` or `1,2,4`."""
    if len(hops) > 1 and hops == tuple(range(hops[0], hops[-1] + 1)):
        return f"{hops[0]}-{hops[-1]}"
    return ",".join(str(hop) for hop in hops)


def counted(n: int, noun: str) -> str:
    """A number of things as text: `1 hop`, `2,000 hops`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def check_name(name: Any, *, what: str) -> str:
    """A name that is safe as a folder name.

    Raises:
        ConfigError: It could leave its folder, as `../x` would, or is not a name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 100:
        raise ConfigError(
            f"{what} must be letters, digits, '.', '_' and '-', and begin with a letter or digit, got {name!r}"
        )
    return name
