"""Tables from names to classes, filled by importing every module of a package.

To add an entry, add a file: the decorator in it registers the class. The first lookup imports
all files of the package, and then the modules that other installed packages list under the entry point group.
"""

import importlib
import importlib.metadata
import itertools
import pkgutil
import re
import sys
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

from nexus_bench.errors import OTHERS, ConfigError, unknown_name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # also of folders, and of columns
_LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+() -]{0,60}")  # a name or an SPDX expression, not a whole text


class Origin(NamedTuple):
    """The installed package that a class came from.

    Attributes:
        package: Its name; of a module that no entry point brought, the name of the module.
        version: Its version; None if it is not installed.
        licence: Its licence as its metadata gives it; None if it gives none.
    """

    package: str
    version: str | None
    licence: str | None


class Named(Protocol):
    """What every registered class declares."""

    name: ClassVar[str]
    version: ClassVar[int]


EntryT = TypeVar("EntryT", bound=type[Named])


class Registry(Generic[EntryT]):
    """The classes of one kind, by name.

    Args:
        kind: What an entry is called in error messages, such as `attention`.
        package: The package whose modules register the entries.
        group: The entry point group under which other packages name modules that register theirs.
        requires: Class attributes that an entry must define.
    """

    def __init__(self, kind: str, *, package: str, group: str, requires: tuple[str, ...]) -> None:
        self._requires = requires
        self._kind = kind
        self._package = package
        self._group = group
        self._entries: dict[str, EntryT] = {}
        self._broken: dict[str, str] = {}  # name of an entry point -> what is wrong with it
        self._is_loaded = False
        OTHERS.append(self.others)

    def register(self, entry: EntryT) -> EntryT:
        """Add a class under its own `name`; used as a decorator.

        Raises:
            ConfigError: It lacks a class attribute or a method, its name is not a word, or another class already has
                the name.
        """
        for attribute in self._requires:
            if not hasattr(entry, attribute):
                where = f"{entry.__module__}.{entry.__qualname__}"
                raise ConfigError(f"{self._kind} {where} lacks the class attribute `{attribute}`; define it")
        if unwritten := sorted(getattr(entry, "__abstractmethods__", ())):
            where = f"{entry.__module__}.{entry.__qualname__}"
            raise ConfigError(f"{self._kind} {where} lacks {', '.join(unwritten)}; write what is missing")
        if not isinstance(entry.name, str) or not _NAME.fullmatch(entry.name):
            raise ConfigError(
                f"{self._kind} {entry.__module__}.{entry.__qualname__}: its name must be letters, digits, '.', '_' and "
                f"'-', at most 100, and begin with a letter or digit, got {entry.name!r}"
            )
        known = self._entries.get(entry.name)
        is_run_again = known is not None and known.__module__ == entry.__module__ == "__main__"  # a notebook's cell
        if known is not None and not is_run_again:
            raise ConfigError(
                f"{self._kind} '{entry.name}' is defined twice, in {known.__module__} and {entry.__module__}; "
                "rename one"
            )
        self._entries[entry.name] = entry
        return entry

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        self._load()
        return tuple(sorted(self._entries))

    def own_names(self) -> tuple[str, ...]:
        """The names of this package's classes, without those of others, sorted."""
        return tuple(name for name in self.names() if self.is_own(name))

    def is_own(self, name: str) -> bool:
        """Whether a class belongs to this package."""
        return self.get(name).__module__.startswith(f"{self._package}.")

    def origin(self, name: str) -> Origin | None:
        """The package that a class of another package came from; None for own ones."""
        if self.is_own(name):
            return None
        module = self.get(name).__module__.split(".")
        brought = [
            (len(_shared(module, point.module.split("."))), point.dist)
            for point in sorted(importlib.metadata.entry_points(group=self._group))
            if point.dist is not None and point.name not in self._broken and point.module.split(".")[0] == module[0]
        ]
        if not brought:
            return Origin(module[0], None, None)
        _, distribution = max(brought, key=lambda found: found[0])
        return Origin(distribution.metadata["Name"], distribution.version, _licence(distribution))

    def get(self, name: str) -> EntryT:
        """Look a class up.

        Raises:
            ConfigError: No class has the name; the message names the closest one. Or the entry point of the name is
                broken; the message says how.
        """
        if self.is_broken(name):
            raise ConfigError(f"{self._kind} '{name}': {self._broken[name]}")
        if name not in self._entries:
            raise ConfigError(unknown_name(self._kind, name, self._entries))
        return self._entries[name]

    def is_broken(self, name: str) -> bool:
        """Whether the entry point of the name cannot be imported; `get` says why."""
        self._load()
        return name in self._broken and name not in self._entries

    def others(self) -> list[tuple[str, type]]:
        """What other packages registered so far, each with its kind and name in words."""
        found = [entry for entry in self._entries.values() if not entry.__module__.startswith(f"{self._package}.")]
        return [(f"{self._kind} '{entry.name}'", entry) for entry in found]

    def _load(self) -> None:
        if self._is_loaded:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._is_loaded = True
        for point in sorted(importlib.metadata.entry_points(group=self._group)):
            before = dict(self._entries)
            try:
                point.load()
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a module of others raises, also SystemExit, is its own affair
                self._entries = before
                said = " ".join(f"{type(error).__name__}: {error}".split())
                self._broken[point.name] = (
                    f"entry point {point.name} = {point.value} of {self._group} cannot be imported ({said}); "
                    "repair or uninstall its package"
                )
                print(f"warning: {_shown(self._broken[point.name])}", file=sys.stderr)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shared(one: list[str], other: list[str]) -> list[str]:
    """The parts with which both begin."""
    return [a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def _licence(distribution: importlib.metadata.Distribution) -> str | None:
    """The licence expression, else the short name of older metadata, else the classifier."""
    known = {key: distribution.metadata.get_all(key) or [] for key in ("License-Expression", "License", "Classifier")}
    classified = [line.split(" :: ")[-1] for line in known["Classifier"] if line.startswith("License ::")]
    for found in (*known["License-Expression"], *known["License"], *classified):
        if _LICENCE.fullmatch(found):
            return str(found).removesuffix(" License")
    return None
