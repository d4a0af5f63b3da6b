"""A task at one setting: which family, which hops, how much held-out data."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nexus_bench.config import Config, bundled, parse_hops, read_bundled
from nexus_bench.entry import Keys, Spec, divide, name_in, validate
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator

Hops = Annotated[tuple[int, ...], BeforeValidator(parse_hops)]


class TaskSpec(Spec):
    """A task at one setting. Defaults of the parameters stand in `tasks/<name>.yaml`."""

    task: str
    hops: Hops
    params: Config = Field(description="Every parameter of the generator.")
    n_val: int = Field(default=256, ge=1, description="Validation graphs.")
    n_test: int = Field(default=1024, ge=1, description="Test graphs.")
    content_sha256: str | None = Field(default=None, description="Of the dataset trained on; None: an endless stream.")

    def generator(self) -> Generator[Any]:
        """The generator at these parameters."""
        family = GENERATORS.get(self.task)
        return family(family.Params.model_validate(self.params), self.hops)


def task_keys(name: str) -> Keys:
    """What a task entry may say: the generator's parameters and the fields of TaskSpec."""
    shared = tuple(field for field in TaskSpec.model_fields if field not in ("task", "params"))
    return Keys(tuple(GENERATORS.get(name).Params.model_fields), shared)


def task_defaults(name: str) -> Config:
    """What `tasks/<name>.yaml` says, its summary included.

    Raises:
        ConfigError: There is no such file, it is another task's, or has a key that the task lacks.
    """
    file = f"tasks/{name}.yaml"
    if name not in bundled("task"):
        raise ConfigError(f"task '{name}' has no {file}; write one with its defaults")
    defaults = read_bundled("task", name)
    if defaults.get("task") != name:
        raise ConfigError(f"{file}: must say `task: {name}`, got {defaults.get('task')!r}")
    divide({key: value for key, value in defaults.items() if key != "summary"}, task_keys(name), "task", where=file)
    return defaults


def make_task(entry: Config, *, where: str) -> TaskSpec:
    """Validate a task entry, over the defaults of `tasks/<name>.yaml`.

    Args:
        entry: `task`, and any of its parameters and of the fields of TaskSpec.
        where: What to name in an error message.

    Raises:
        ConfigError: A name or a key is unknown, or a value is not allowed.
    """
    name = name_in(entry, "task", where=where)
    family = GENERATORS.get(name)
    defaults = {key: value for key, value in task_defaults(name).items() if key != "summary"}
    own, shared = divide(defaults | entry, task_keys(name), "task", where=where)
    params = validate(family.Params, own, where=f"{where}: {name}")
    spec = validate(TaskSpec, {**shared, "params": params.model_dump()}, where=f"{where}: {name}")
    try:
        spec.generator()
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return spec
