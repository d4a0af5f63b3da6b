"""The file `tasks/<name>.yaml` of a family: its summary, defaults of its parameters, and its English sentences."""

import inspect
from pathlib import Path

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS
from nexus_bench.io.bundled import bundled
from nexus_bench.io.config import Config, read_config


def defaults_file(name: str) -> Path:
    """The YAML file of a family; for a family of another package, the one next to its module.

    Raises:
        ConfigError: There is no such file.
    """
    path = bundled("task").get(name)
    if path is None:
        path = Path(inspect.getfile(GENERATORS.get(name))).with_name(f"{name}.yaml")
        if not path.is_file():
            raise ConfigError(
                f"task '{name}' has neither tasks/{name}.yaml nor {path}; write one with its defaults, and have its "
                "package include it"
            )
    return path


def task_defaults(name: str) -> Config:
    """The whole content of the file, including its `summary` and its `text`.

    Raises:
        ConfigError: There is no such file, or it belongs to another task.
    """
    path = defaults_file(name)
    defaults = read_config(path)
    if defaults.get("task") != name:
        raise ConfigError(f"{shown_file(name)}: must say `task: {name}`, got {defaults.get('task')!r}")
    return defaults


def shown_file(name: str) -> str:
    """The path of the file as error messages show it."""
    return f"tasks/{name}.yaml" if name in bundled("task") else str(defaults_file(name))
