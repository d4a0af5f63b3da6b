"""Names that were changed: the one list, and the old names read as the new ones until it ends, with a warning.

Columns are not here: a changed column raises the format of run folders (`docs/versions.md`).
"""

import warnings
from typing import Any, NamedTuple

KEY, OPTION, COMMAND, PYTHON = "key", "option", "command", "name of the Python API"


class Rename(NamedTuple):
    """A changed name.

    Attributes:
        kind: KEY of YAML and of `--set`, OPTION such as `--seeds`, COMMAND, or PYTHON.
        old: What is still read.
        new: What it is now.
        ends: The first version that no longer reads it.
    """

    kind: str
    old: str
    new: str
    ends: str


RENAMES: list[Rename] = []  # remove one when its version comes


class RenamedWarning(DeprecationWarning):
    """An old name was read as the new one."""


def present_name(kind: str, name: str) -> str:
    """The name that holds today; an old one is told by a `RenamedWarning`."""
    for rename in RENAMES:
        if (rename.kind, rename.old) == (kind, name):
            said = f"the {kind} {rename.old} is now {rename.new}; the old name ends with version {rename.ends}"
            warnings.warn(said, RenamedWarning, stacklevel=3)
            return rename.new
    return name


def with_present_keys(config: Any) -> Any:
    """YAML data whose keys have the names that hold today, at every depth."""
    if not any(rename.kind == KEY for rename in RENAMES):
        return config
    if isinstance(config, dict):
        return {present_name(KEY, str(key)): with_present_keys(value) for key, value in config.items()}
    return [with_present_keys(item) for item in config] if isinstance(config, list) else config


def with_present_words(arguments: list[str]) -> list[str]:
    """A command line whose command and options have the names that hold today."""
    words = [present_name(COMMAND, word) if at == 0 else word for at, word in enumerate(arguments)]
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option.startswith("--"):
            words[at] = present_name(OPTION, option) + equals + value
    return words
