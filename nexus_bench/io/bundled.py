"""The YAML files that come with nexus-bench: tasks, suites, reproductions; this module alone knows where they are."""

from importlib import resources
from pathlib import Path

from nexus_bench.errors import ConfigError, unknown_name
from nexus_bench.io.config import Config, read_config

PACKAGE = Path(str(resources.files("nexus_bench")))
_FOLDERS = {"task": "", "suite": "suites", "reproduction": "reproductions"}  # below tasks/


def bundled(kind: str) -> dict[str, Path]:
    """The YAML files that come with nexus-bench, by name.

    Args:
        kind: `task`, `suite` or `reproduction`.
    """
    installed = PACKAGE / "tasks"  # in a checkout `tasks/` is at the top level instead
    root = installed if installed.is_dir() else PACKAGE.parent / "tasks"
    return {path.stem: path for path in sorted((root / _FOLDERS[kind]).glob("*.yaml"))}


def read_bundled(kind: str, name: str) -> Config:
    """Read one of the bundled files by name.

    Raises:
        ConfigError: There is none of that name; the message names the closest one.
    """
    files = bundled(kind)
    if name not in files:
        raise ConfigError(unknown_name(kind, name, files))
    return read_config(files[name])
