"""A leaderboard over many runs: a page that needs no network, and what models answered as JSON beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nexus_bench.io.files import keep_others, to_json, write_atomic
from nexus_bench.report.leaderboard.boards import boards_of
from nexus_bench.report.leaderboard.leaderboard_page import sentences, to_page
from nexus_bench.report.leaderboard.standings import Setting, Standing, gather, run_names

EXAMPLES, PAGE = "examples.json", "index.html"
_FILES: dict[str, str | None] = {EXAMPLES: '{\n  "examples"', PAGE: None}


class Leaderboard(NamedTuple):
    """A leaderboard, and its files if there was a folder to write them to.

    Attributes:
        settings: What is comparable.
        standings: The numbers.
        finding: What the page begins with.
        files: The files.
        n_bytes: Their size.
    """

    settings: list[Setting]
    standings: list[Standing]
    finding: list[str]
    files: list[Path]
    n_bytes: int


def leaderboard(
    runs: Sequence[Path],
    out: Path | None = None,
    *,
    examples: Sequence[Mapping[str, Any]] = (),
    notes: Sequence[str] = (),
) -> Leaderboard:
    """All models of several runs, mechanisms by families, from their results.csv.

    Args:
        runs: Run folders; those of `pretrain` are left out, and the page says so.
        out: Folder of the page; without it nothing is written.
        examples: What models answered, as `inspection.answered_examples` gives it.
        notes: Further sentences on what is not shown, without a full stop.

    Raises:
        ConfigError: A run is of an older format, or has no row of the test split.
        CorruptArtefactError: A file of a run is missing, truncated or edited.
        StorageError: A folder is not a run folder, or `out` cannot be written.
        UsageError: There is no run, one is given twice, or `out` holds something else.
    """
    keep_others(out, _FILES)
    gathered = gather(runs)
    told = sentences(gathered, boards_of(gathered), notes)
    texts: dict[str, str] = {}
    if out is not None:
        named = dict(zip(run_names(runs), runs, strict=True))
        texts = {EXAMPLES: to_json({"examples": list(examples)})}
        texts[PAGE] = to_page(gathered, named, examples, notes, out=out)
        for name, text in texts.items():
            write_atomic(out / name, text)
    files = [] if out is None else [out / name for name in (PAGE, EXAMPLES)]
    return Leaderboard(gathered.settings, gathered.standings, told, files, sum(len(t.encode()) for t in texts.values()))
