"""The YAML files that come with nexus-bench: tasks and suites."""

from pathlib import Path

from nexus_bench.errors import ConfigError, unknown_name
from nexus_bench.io.config import Config, read_config


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
