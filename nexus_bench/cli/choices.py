"""Values that an option can have: shown in the help, and completed by the shell, without PyTorch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from nexus_bench.errors import UsageError, unknown_name

ATTENTIONS = (
    "delta_former", "delta_net", "differential", "diffusion", "forgetting", "gated", "linear", "mamba2", "nexus",
    "path", "standard", "strassen", "talking_heads", "tree", "triangular", "two_simplicial",
)  # fmt: skip
# Those of the package itself; the registry, which has all, imports PyTorch
DEVICES = ("auto", "cpu", "cuda")
DATA_FORMATS = ("npz", "jsonl", "csv", "parquet", "text", "chat")
MODES = ("auto", "single", "deterministic", "tf32", "bfloat16")
EXECUTORS = ("process", "inline", "dask")
LOGGERS = ("csv", "tensorboard", "wandb", "mlflow")


def one_of(
    values: Sequence[str], *names: str, help: str, panel: str | None = None, checked_as: str | None = None
) -> Any:
    """An option with few possible values.

    Args:
        values: The values.
        names: Names of the option, such as `--format`; without any, that of the parameter.
        help: What it is for.
        panel: Its group in the help.
        checked_as: What a value is, such as `mode`: another one is refused before the command begins, so before PyTorch
            is imported. None: what is wrong is said by whoever uses the value.
    """

    def check(value: str) -> str:
        check_known(checked_as or "", [value], values)
        return value

    return typer.Option(
        *names,
        metavar=f"[{'|'.join(values)}]",
        help=help,
        autocompletion=_listed(values),
        rich_help_panel=panel,
        callback=check if checked_as else None,
    )


def check_known(kind: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a value that is none of an option.

    Args:
        kind: What a value is, such as `logger`.
        given: Values that were given.
        known: Those that there are.

    Raises:
        UsageError: One is unknown.
    """
    for value in given:
        if value not in known:
            raise UsageError(unknown_name(kind, value, known))


def tasks(incomplete: str) -> list[str]:
    """The tasks that a list with commas can go on with."""
    from nexus_bench.generators.base import GENERATORS

    return _continued(GENERATORS.names(), incomplete)


def attentions(incomplete: str) -> list[str]:
    """The attentions that a list with commas can go on with."""
    return _continued(ATTENTIONS, incomplete)


def loggers(incomplete: str) -> list[str]:
    """The loggers that a list with commas can go on with."""
    return _continued(LOGGERS, incomplete)


def suites(incomplete: str) -> list[str]:
    """The bundled suites, the tasks, and suite files here."""
    from nexus_bench.io.bundled import bundled

    own = [path.name for pattern in ("*.yaml", "*.yml") for path in sorted(Path().glob(pattern))]
    return [*_continued([*bundled("suite"), *own], incomplete), *tasks(incomplete)]


def reproductions(incomplete: str) -> list[str]:
    """The bundled reproductions."""
    from nexus_bench.io.bundled import bundled

    return [name for name in bundled("reproduction") if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """The run folders below runs/."""
    tables = [*Path("runs").glob("**/results.csv"), *Path("runs").glob("**/results.csv.gz")]
    found = sorted({path.parent.as_posix() for path in tables})
    return [name for name in found if name.startswith(incomplete)]


def _listed(values: Sequence[str]) -> Callable[[str], list[str]]:
    return lambda incomplete: _continued(values, incomplete)


def _continued(names: Sequence[str], incomplete: str) -> list[str]:
    before, comma, begun = incomplete.rpartition(",")
    return [before + comma + name for name in names if name.startswith(begun)]
