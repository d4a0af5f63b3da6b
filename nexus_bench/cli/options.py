"""Options that several commands share."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import DEVICES, EXECUTORS, MODES, one_of, runs, tasks
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.io.config import LARGEST, as_whole

Task = Annotated[
    Optional[str],
    typer.Option("--task", metavar="TASK", help="The task; `nexus-bench list tasks` has all.", autocompletion=tasks),
]
Run = Annotated[Path, typer.Argument(readable=False, metavar="RUN", help="A run folder.", autocompletion=runs)]
Hops = Annotated[Optional[str], typer.Option(metavar="HOPS", help="Hop counts: 3, 1-5 or 1,2,4.")]
Settings = Annotated[
    Optional[list[str]],
    typer.Option("--set", metavar="KEY=VALUE", help="Set a value; the same as the bare word key=value."),
]
Out = Annotated[
    Optional[Path],
    typer.Option(
        "--out", "-o", readable=False, metavar="FOLDER", help="Output folder; default under runs/, or the run's own."
    ),
]
Data = Annotated[Optional[Path], typer.Option(readable=False, metavar="FOLDER", help="A dataset folder from `gen`.")]
TrainedOn = Annotated[
    Optional[Path],
    typer.Option("--data", readable=False, metavar="FOLDER", help="The dataset of a run with `train --data`."),
]
Device = Annotated[str, one_of(DEVICES, help="Where to compute.", checked_as="device")]
HOW = "How to run"  # a group in the help
Mode = Annotated[str, one_of(MODES, help="Engine.", panel=HOW, checked_as="mode")]
Executor = Annotated[str, one_of(EXECUTORS, help="Where jobs run.", panel=HOW, checked_as="executor")]
Workers = Annotated[
    Optional[int],
    typer.Option(
        min=1, max=1_000, metavar="N", help="Processes: one per core, or up to 8 on each GPU.", rich_help_panel=HOW
    ),
]
_LARGEST_LENGTH = 1_000_000
Seed = Annotated[int, typer.Option(min=0, max=LARGEST, help="Seed of the examples.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def hops_of(text: str | None, *, option: str = "--hops") -> list[int] | None:
    """The hop counts of an option.

    Raises:
        UsageError: They cannot be read.
    """
    from nexus_bench.io.hops import parse_hops

    try:
        return None if text is None else list(parse_hops(text))
    except ConfigError as error:
        raise UsageError(f"{option}: {error}") from error


def positive_numbers(text: str, *, option: str, what: str, least: int = 1) -> list[int]:
    """The numbers of an option, such as `2` or `1,2,3`.

    Raises:
        UsageError: They are not whole numbers from the least to a million.
    """
    numbers: list[int] = []
    with suppress(ValueError):  # what is no number leaves none
        numbers = [as_whole(float(word)) for word in text.split(",")]
    if not numbers or not all(type(number) is int and least <= number <= _LARGEST_LENGTH for number in numbers):
        raise UsageError(f"{option}: write {what}, each {least} to {_LARGEST_LENGTH:,}, got {text}")
    return numbers
