"""The tables of a run folder, read and checked: all that reports and comparisons need from a run."""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.io.columns import (
    COLUMNS,
    CURVE_COLUMNS,
    FAILED,
    FORMAT_VERSION,
    PLACE_COLUMNS,
    SCORED,
    TEST,
    VAL,
    Column,
    columns_of,
)
from nexus_bench.io.config import read_config
from nexus_bench.io.csv_files import read_csv
from nexus_bench.io.escapes import CONTROL
from nexus_bench.io.files import read_bytes, read_json
from nexus_bench.io.hops import parse_hops
from nexus_bench.io.packed import is_there, open_table, where_kept
from nexus_bench.io.seal import SEAL, check_sealed

RESULTS, CURVES, TIMING = "results.csv", "curve.csv", "timing.csv"  # files of a run folder
PLACES = "places.csv"  # of runs with tasks of sequences
SPEC, ENVIRONMENT = "spec.yaml", "env.json"
DAYS = ("first_day", "last_day")  # of an entry of env.json: when it was used, in UTC
MADE_AGAIN = (RESULTS, CURVES, TIMING, PLACES)  # the tables, which `train` writes from the records of cells
PRETRAIN, RETROFIT = "pretrain", "retrofit"  # commands whose runs are not of a suite
_READERS = {  # what such a run lacks, and what reads it
    PRETRAIN: "which has no cells; `losses` and `lm` read it",
    RETROFIT: "which has no suite; `report`, `open`, `leaderboard` and `compare` read it",
}
LOG = "log.csv"  # of a run of `pretrain`

_ROUNDING = 1e-5  # of an accuracy with six significant digits
_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]*([+][A-Za-z0-9][A-Za-z0-9_.-]*)*")  # a hybrid joins names by +
_NAMES = ("suite", "task", "encoding", "attention")
_SPLIT = re.compile(r"[^$\\<>|`/]+")  # as eval_n_nodes=17, which is also the name of a file
_LABEL = re.compile(r"[^$\\<>|`\[\]]+")  # of a model: no markup
_STATUSES = ("trained", "solved", "given_up", FAILED, SCORED)
_ALWAYS = (*_NAMES, "split", "model", "train_hops", "n_facts", "vocab_size", "seed", "hop", "status")  # never missing
_OF_CELL = (  # the same in all rows of a cell
    *("suite", "task", "encoding", "train_hops", "vocab_size", "distractors", "attention", "order", "position"),
    *("mask", "n_layers", "n_loops", "d_model", "n_heads", "lr", "batch_size", "n_queries", "steps", "mode", "seed"),
    *("n_params", "flops_per_step", "status", "curriculum", "model", "task_version", "mlp_ratio", "reuse"),
    *("attention_options", "recipe_options", "model_options"),
)


def check_run(run: Path, *, may_lack: Container[str] = ()) -> None:
    """Check the format of a run folder, and everything in it that is sealed.

    Of a run that is kept elsewhere, results.csv alone is enough, with its seal or without one.

    Args:
        run: The folder.
        may_lack: Files that may be missing, since the caller writes them.

    Raises:
        ConfigError: It is of an older format, or a run of `pretrain`.
        CorruptArtefactError: A file is missing, or is not what nexus-bench wrote.
        StorageError: A file cannot be read.
    """
    if is_sealed(run):
        names = (*MADE_AGAIN, SPEC, ENVIRONMENT)
        is_alone = [name for name in names if is_there(run / name)] == [RESULTS]
        check_sealed(run, (RESULTS,) if is_alone else names, may_lack=may_lack)
        check_format(run)
        return
    check_format(run)
    if (run / SPEC).exists() or (run / ENVIRONMENT).exists():
        if command_of(run) == PRETRAIN:
            raise of_no_suite(run, PRETRAIN)
        raise CorruptArtefactError(f"{run / SEAL}: is missing; restore it, or train into another folder")


def command_of(run: Path) -> str | None:
    """The command that wrote a run folder, if its runs are not of a suite: PRETRAIN or RETROFIT; else None."""
    spec = {}
    if (run / SPEC).is_file():
        with suppress(ConfigError):  # whoever needs it says what is wrong
            spec = read_config(run / SPEC)
    if RETROFIT in spec:
        return RETROFIT
    is_other = "suite" in spec or is_there(run / RESULTS)
    return PRETRAIN if not is_other and ("arch" in spec or is_there(run / LOG)) else None


def of_no_suite(run: Path, command: str) -> ConfigError:
    """The error for a run that is not of a suite, where one of a suite is needed.

    Args:
        run: The folder.
        command: Which wrote it, as `command_of` says.
    """
    return ConfigError(f"{run}: is a run of `nexus-bench {command}`, {_READERS[command]}")


def where_runs_are(named: Path) -> str:
    """What a user is told whose folder is no run folder: the run that was meant, those in it, or how one is made."""
    if ((meant := Path("runs") / named) / SPEC).is_file():
        return f"did you mean {meant}?"
    within = runs_within(named)
    return f"give {within}" if within else "make one with `nexus-bench train`"


def runs_within(folder: Path) -> str:
    """The first run folders in a folder, as a message names them; empty if there are none."""
    runs = sorted(str(path.parent) for path in folder.glob(f"*/{SPEC}"))
    return f"one of those in it: {', '.join(runs[:5])}" if runs else ""


def is_sealed(run: Path) -> bool:
    """Whether a run folder has a seal, so that an edit of it is found."""
    return (run / SEAL).exists()


def check_format(run: Path) -> None:
    """Refuse a run folder of an older format.

    Raises:
        ConfigError: It is of an older format; the message says what to do.
        CorruptArtefactError: env.json is damaged.
    """
    found = _format_of(run)
    if found != FORMAT_VERSION:
        raise ConfigError(
            f"{run}: is a run of format {found}, this version reads format {FORMAT_VERSION}; train it again into "
            "another folder, or read it with the version of nexus-bench that made it"
        )


def _format_of(run: Path) -> Any:
    """As env.json says; where it is missing or tables contradict it, as the tables and the records of cells show."""
    for table in (run / RESULTS, run / CURVES):
        if is_there(table):
            with open_table(table) as file:
                head = file.readline().decode("utf-8-sig", "replace")
            names = {name.strip().strip('"') for name in head.split(",")}
            if "run_id" in names and "cell_id" not in names:
                return 1
    if (run / ENVIRONMENT).is_file():
        environment = read_json(run / ENVIRONMENT)
        if not isinstance(environment, dict):
            raise CorruptArtefactError(f"{run / ENVIRONMENT}: was edited: not a JSON object; train into another folder")
        return environment.get("format", 1)
    record = next(run.glob("cells/*/result.json"), None)
    return 1 if record is not None and b'"run_id"' in read_bytes(record) else FORMAT_VERSION


def read_results(run: Path) -> pd.DataFrame:
    """results.csv of a run folder with the right types.

    Raises:
        ConfigError: It is of an older format.
        CorruptArtefactError: It is truncated or edited, or lacks columns.
        StorageError: It is not a run folder, or cannot be read.
        UsageError: No cell of the run is finished yet.
    """
    path = run / RESULTS
    check_run(run)
    if not is_there(path) and not (run / SPEC).exists():
        raise StorageError(f"{run}: is not a run folder; {where_runs_are(run)}")
    if not is_there(path):  # nor was it ever: the seal knows what was written
        raise _unfinished(run)
    frame = read_csv(path, COLUMNS)
    if frame.empty and is_sealed(run):
        raise _unfinished(run)
    again = f"`nexus-bench train {run}` writes it again" if (run / SPEC).exists() else "make it again"
    if frame.empty:
        raise CorruptArtefactError(f"{where_kept(path)}: has no rows: no cell is done, or it is truncated; {again}")
    for is_wrong, what in _faults(frame, is_sealed=is_sealed(run)):
        for row in is_wrong.index[is_wrong.fillna(False).astype(bool)]:
            raise CorruptArtefactError(f"{where_kept(path)}:{row + 2}: {what}; {again}")
    return frame


def _unfinished(run: Path) -> UsageError:
    is_retrofit = command_of(run) == RETROFIT
    again = "the same `nexus-bench retrofit`" if is_retrofit else f"`nexus-bench train {run}`"
    return UsageError(f"{run}: no cell is finished yet; {again} goes on with it")


def read_curves(run: Path, *, whole: bool = False) -> pd.DataFrame:
    """curve.csv of a run folder; without rows if there is none, as for answers of other models.

    Args:
        run: The folder.
        whole: All columns, not only those of accuracy: it is a long table.

    Raises:
        ConfigError: The run is of an older format.
        CorruptArtefactError: It is truncated, edited or lacks columns.
        StorageError: It cannot be read.
    """
    columns = CURVE_COLUMNS if whole else columns_of("cell_id", "step", "hop", "accuracy")
    return _read_or_empty(run, CURVES, columns)


def read_places(run: Path) -> pd.DataFrame:
    """places.csv of a run folder; without rows if there is none, as of tasks that are no sequences.

    Raises:
        ConfigError: The run is of an older format.
        CorruptArtefactError: It is truncated, edited or lacks columns.
        StorageError: It cannot be read.
    """
    return _read_or_empty(run, PLACES, PLACE_COLUMNS)


def _read_or_empty(run: Path, name: str, columns: Sequence[Column]) -> pd.DataFrame:
    check_run(run)
    if not is_there(run / name):
        return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in columns})
    return read_csv(run / name, columns, others=False)


def _faults(frame: pd.DataFrame, *, is_sealed: bool) -> Iterator[tuple[pd.Series, str]]:
    """For each check of a table: which rows fail it, and what is wrong with them.

    A seal says that the table is as it was written, but not by whom.
    """
    for name in frame.columns:
        if isinstance(frame[name].dtype, pd.StringDtype):
            is_wrong = _of_unique(frame[name], lambda text: bool(CONTROL.search(text)))
            yield is_wrong, f"was edited: {name} holds control characters"
    yield frame["cell_id"].isna() | frame["split"].isna(), "is truncated"
    for name in _ALWAYS:
        yield frame[name].isna(), f"was edited: {name} is missing"
    for name in _NAMES:
        yield _of_unique(frame[name], lambda text: not _NAME.fullmatch(text)), f"was edited: {name} is not a name"
    is_wrong = _of_unique(frame["split"], lambda text: not _SPLIT.fullmatch(text))
    yield is_wrong, "was edited: split is not the name of a split"
    if not is_sealed:
        is_wrong = _of_unique(frame["model"], lambda text: not _LABEL.fullmatch(text))
        yield is_wrong, "was edited: model holds markup or control characters"
    yield ~frame["status"].isin(_STATUSES), f"was edited: status is not one of {', '.join(_STATUSES)}"
    yield ~frame["train_hops"].isin(_readable_hops(frame["train_hops"])), "was edited: train_hops are not hop counts"
    for name in ("n_facts", "vocab_size", "hop"):
        yield frame[name] < 1, f"was edited: {name} is below 1"
    n, right = frame["n_examples"], frame["n_correct"]
    is_measured = frame["status"] != FAILED
    unmeasured = frame[["n_examples", "n_correct", "accuracy"]].isna().any(axis=1)
    yield is_measured & unmeasured, "was edited: n_examples, n_correct or accuracy is missing"
    yield (right < 0) | (right > n), "was edited: n_correct is not from 0 to n_examples"
    yield (right / n - frame["accuracy"]).abs() > _ROUNDING, "was edited: accuracy is not n_correct / n_examples"
    for name in ("accuracy", "chance", "shortcut", "partial_input"):
        yield (frame[name] < 0) | (frame[name] > 1), f"was edited: {name} is not from 0 to 1"
    yield frame.duplicated(["cell_id", "split", "hop"]), "was edited: the cell has two rows of this split and hop"
    own = frame[frame["split"].isin([VAL, TEST]) & (frame["status"] != SCORED)]
    for rows, names in ((frame, _OF_CELL), (own, ("n_facts", "task_options"))):
        first = rows.groupby("cell_id").transform("first")
        for name in names:
            differs = (rows[name] != first[name]) | (rows[name].isna() != first[name].isna())
            yield differs, f"was edited: the cell has two values of {name}"
    n_hops = {hops: len(parse_hops(hops)) for hops in own["train_hops"].unique()}
    n_there = own.groupby(["cell_id", "split"])["hop"].transform("size")
    yield n_there != own["train_hops"].map(n_hops), "was edited: the cell lacks a hop of this split"


def _of_unique(texts: pd.Series, is_wrong: Callable[[str], bool]) -> pd.Series:
    """Whether each text fails a check, which is made once of each text that differs; a missing one passes."""
    return texts.isin([text for text in texts.dropna().unique() if is_wrong(text)])


def _readable_hops(written: pd.Series) -> list[str]:
    readable = []
    for hops in written.unique():
        with suppress(ConfigError):
            parse_hops(hops)
            readable.append(hops)
    return readable
