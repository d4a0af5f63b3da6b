"""Which installed package a task family or an attention mechanism came from."""

import re
from importlib.metadata import Distribution
from typing import Any, NamedTuple

from nexus_bench.registry import Registry
from nexus_bench.version import LICENCE, __version__

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+() -]{0,60}")  # of a licence, as SPDX has them; not a whole text


class Origin(NamedTuple):
    """The package of a class.

    Attributes:
        package: Its name; of a module that no entry point brought, the name of the module.
        version: Its version; None if it is not installed.
        licence: Its licence as its metadata gives it; None if it gives none.
    """

    package: str
    version: str | None
    licence: str | None


def origin_of(registry: Registry[Any], name: str) -> Origin:
    """The package that a class came from.

    Raises:
        ConfigError: No class has the name.
    """
    if registry.is_own(name):
        return Origin("nexus-bench", __version__, LICENCE)
    distribution = registry.distribution(name)
    if distribution is None:
        return Origin(registry.get(name).__module__.split(".")[0], None, None)
    return Origin(distribution.metadata["Name"], distribution.version, _licence(distribution))


def _licence(distribution: Distribution) -> str | None:
    """The licence expression, else the short name of older metadata, else the classifier."""
    known = {key: distribution.metadata.get_all(key) or [] for key in ("License-Expression", "License", "Classifier")}
    classified = [line.split(" :: ")[-1] for line in known["Classifier"] if line.startswith("License ::")]
    for found in (*known["License-Expression"], *known["License"], *classified):
        if _IDENTIFIER.fullmatch(found):
            return str(found).removesuffix(" License")
    return None
