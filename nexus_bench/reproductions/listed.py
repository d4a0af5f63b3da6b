"""What is told of a reproduction in a list: source, claim, and of each scale its cost and its state here."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from nexus_bench.errors import NexusBenchError
from nexus_bench.reproductions.run import NOT_RUN, OTHER, RUNNING, UNFINISHED, state_of, told_cost
from nexus_bench.reproductions.spec import Reproduction

NOT_JUDGED = (NOT_RUN, RUNNING, UNFINISHED, OTHER)  # states that are no verdict


class AtScale(NamedTuple):
    """A scale of a reproduction.

    Attributes:
        scale: `small` or `published`.
        about: How long it takes and where.
        n_cells: Cells that are trained, with those of tuning.
        flops: Floating-point operations of all training steps if no cell ends early; None if they cannot be counted.
        folder: Where its run is looked for.
        state: `not run`, `running`, `unfinished`, `of other settings`, `unreadable: ...`, or the verdict of the run.
    """

    scale: str
    about: str
    n_cells: int
    flops: float | None
    folder: str
    state: str


class Listed(NamedTuple):
    """A reproduction.

    Attributes:
        name: Its name.
        claim: What the source claims.
        source: Authors, title, and where in it.
        arxiv: The identifier of the source.
        code: Address of public code.
        scales: Its scales.
    """

    name: str
    claim: str
    source: str
    arxiv: str
    code: str | None
    scales: list[AtScale]


def listed(reproduction: Reproduction, folders: Mapping[str, Path] | None = None) -> Listed:
    """What is told of a reproduction.

    Args:
        reproduction: The reproduction.
        folders: Scale -> folder of its run; None lists all scales, each with its usual folder.

    Raises:
        ConfigError: A suite of it is not valid.
    """
    where = folders or {scale: reproduction.folder(scale) for scale in reproduction.scales}
    source = reproduction.source
    told = f"{source.authors}, {source.title}, {source.where}"
    scales = [_at(reproduction, scale, path) for scale, path in where.items()]
    return Listed(reproduction.reproduction, reproduction.claim, told, source.arxiv, source.code, scales)


def _at(reproduction: Reproduction, scale: str, path: Path) -> AtScale:
    suite = reproduction.suite(scale)
    try:
        state = state_of(reproduction, scale, path)
    except NexusBenchError as error:
        state = f"unreadable: {error}"
    n_cells = len(suite.cells) + suite.n_later
    about = reproduction.scale(scale).about
    return AtScale(scale, about, n_cells, told_cost(reproduction, scale), path.as_posix(), state)
