"""Training from Python: a suite, or a grid of tasks and attentions, into a run folder."""

import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nexus_bench.api import values
from nexus_bench.api.run import Run
from nexus_bench.api.values import OF_COMMAND, Hops, in_python, plain
from nexus_bench.errors import FailedCellsError, NexusBenchError, UsageError, own_name
from nexus_bench.io.config import without_none
from nexus_bench.io.files import sha256

if TYPE_CHECKING:
    from nexus_bench.experiment.execution import Execution
    from nexus_bench.experiment.plan import RunPlan
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.experiment.suite import Suite
    from nexus_bench.experiment.train import TrainOutcome


@in_python()
def train(
    suite: str | Path | Mapping[str, Any] | None = None,
    *,
    task: str | Sequence[str] | None = None,
    attention: str | Sequence[str] | None = None,
    order: int | Sequence[int] | None = None,
    hops: Hops | None = None,
    seeds: int | Sequence[int] | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    mode: str = "auto",
    executor: str = "auto",
    workers: int | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train every model of a grid on every task, and report it, as `nexus-bench train` does.

    The same call again keeps what is done and goes on with the rest, also after an interrupt.

    Args:
        suite: A YAML file, the name of a bundled suite or of a task, or what such a file holds; None takes `quick`.
        task: Tasks in the place of those of the suite.
        attention: Attentions in the place of the models of the suite; without `order`, `standard` is added.
        order: The attention orders, of attentions that have one.
        hops: Hop counts in training: `3`, `"1-5"`, `"1,2,4"` or a list.
        seeds: How many seeds, or a list of them.
        data: A dataset folder from `generate`, instead of a task.
        out: The run folder; None takes one under `runs`, named for the suite. If that holds a study of other
            settings, it stays as it is, and this one gets a folder beside it, which one line tells. A grid that only
            grows, as by more seeds, goes on in its folder; of fewer seeds these are trained, and the others kept.
        device: `auto`, `cpu` or `cuda`.
        mode: `auto`, `single`, `deterministic`, `tf32` or `bfloat16`.
        executor: `process`: in processes, one per core; `inline`: in this one; `dask`; `auto`: in processes, unless a
            task or an attention was defined where these cannot import it, as in a notebook. Scripts need no
            `if __name__ == "__main__"`.
        workers: Processes; None takes one per core, or up to 8 on each GPU.
        quiet: Show only failures.
        settings: Any value of the suite by name, as `steps=500` or `lr=[1e-3, 3e-3]`; a list is an axis of the grid.
            `comparisons=[{"model": "nexus, order 2", "baseline": "standard"}]` declares before training what will be
            tested; 1 comparison needs 6 seeds, 2 need 7. Names are parts of those in `results["model"]`.

    Returns:
        The run.

    Raises:
        ConfigError: A name or a value is not allowed.
        CorruptArtefactError: The run folder or the dataset is damaged.
        FailedCellsError: Some cells failed; the others are kept.
        StorageError: The folder cannot be written.
        UsageError: Arguments contradict each other, or the folder holds something else.
    """
    given = without_none(order=order, hops=hops, seeds=seeds)
    if "suite" in settings:
        raise UsageError("suite names the run; give a mapping or a file with another name")
    for name in settings:
        if (here := own_name(name).name) in OF_COMMAND:
            option = "--" + here.replace("_", "-")
            raise UsageError(f"{name} is no argument; `nexus-bench train {option}` has it, or omit it")
    data = values.path_or_none("data", data)
    grid = select(suite, task=task, attention=attention, data=data, settings=settings | given)
    if out is None:
        grid, out = place(grid, suite, chooses="out=", quiet=quiet)
    prepared = prepare(grid, data=data, out=out, device=device, mode=mode, executor=executor, workers=workers)
    trained = prepared.train(quiet=quiet)
    if trained.failures:
        n = f"{len(trained.failures)} of {len(trained.titles)} cells failed; the first: {trained.failures[0].reason}"
        raise FailedCellsError(
            f"{n}; nexus_bench.open({str(trained.folder.path)!r}) has the others, the same call tries again"
        )
    return Run(trained.folder.path)


class Placed(NamedTuple):
    """A study and its folder.

    Attributes:
        grid: The study; where the folder holds it with more seeds, that one, of which only the asked seeds are trained.
        path: The run folder.
    """

    grid: "Suite"
    path: Path


def place(grid: "Suite", suite: Any, *, chooses: str, quiet: bool) -> Placed:
    """The folder of a study that is given none: its name's, unless that would lose rows which another study shows.

    What cannot be read is no other study: what is wrong there is told when this one is planned.

    Args:
        grid: The study.
        suite: What it was asked for by; a run folder is gone on with.
        chooses: What chooses a folder, as the caller writes it.
        quiet: Do not tell that it is another folder, or has more seeds.
    """
    from nexus_bench.experiment.ad_hoc_suite import run_named
    from nexus_bench.experiment.suite import make_suite
    from nexus_bench.io.config import read_config
    from nexus_bench.io.read_results import SPEC

    def content(suite: "Suite") -> set[str]:
        declared = f"comparisons {suite.config.get('comparisons')}"  # before training, so others are another study
        return {cell.cell_id for cell in suite.cells} | {f"seed {seed}" for seed in suite.seeds} | {declared}

    def has_more_seeds(held: "Suite") -> bool:
        asked = [cell for cell in held.cells if cell.seed in grid.seeds]
        return asked == list(grid.cells) and content(grid) < content(held)

    named = (run_named(str(suite)) if isinstance(suite, str | Path) else None) or Path("runs") / grid.name
    own = named.with_name(f"{named.name}-{sha256(' '.join(sorted(content(grid))).encode())[:6]}")
    note = ""
    for path in (named, *sorted(named.parent.glob(f"{glob.escape(named.name)}-*")), own):
        try:
            config = read_config(path / SPEC) if (path / SPEC).is_file() else None
            if config is not None and config.get("suite") != grid.name:
                continue  # of a name that begins alike
            held = None if config is None else make_suite(config, str(path))
        except NexusBenchError:
            held = None
        if held is not None and has_more_seeds(held):
            note = f"{path} holds this study with {len(held.seeds)} seeds, and keeps them; of these "
            note += f"{len(grid.seeds)} {'is' if len(grid.seeds) == 1 else 'are'} trained, if need be"
            grid = held._replace(notes=grid.notes, asked=grid.seeds)
            break
        if (held is None and path in (named, own)) or (held is not None and content(held) <= content(grid)):
            break
    if path != named and not note:
        note = f"{named} holds a study of other settings, which is kept; this one goes into {path}"
    if note and not quiet:
        print(f"{note} ({chooses} chooses another)", file=sys.stderr)
    return Placed(grid, path)


class Prepared(NamedTuple):
    """A training that can begin: nothing is written yet.

    Attributes:
        plan: What is done, and what is to do.
        folder: The run folder.
        execution: Mode, device and executor.
        data: The dataset folder that it is trained on, if any.
    """

    plan: "RunPlan"
    folder: "RunFolder"
    execution: "Execution"
    data: Path | None

    def train(self, *, quiet: bool, log_every: int | None = None, loggers: Sequence[str] = ()) -> "TrainOutcome":
        """As `experiment.train.train`."""
        from nexus_bench.experiment.train import train

        return train(
            self.plan,
            self.folder,
            self.execution,
            data=self.data,
            quiet=quiet,
            log_every=log_every,
            loggers=loggers,
        )


def select(
    suite: str | Path | Mapping[str, Any] | None,
    *,
    task: str | Sequence[str] | None,
    attention: str | Sequence[str] | None,
    data: Path | None,
    settings: Mapping[str, Any],
) -> "Suite":
    """The grid that a call of `train` or a command line asks for; the arguments are those of `train`.

    Raises:
        ConfigError: A name or a value is not allowed.
        UsageError: Arguments contradict each other.
    """
    from nexus_bench.experiment.ad_hoc_suite import no_longer_further, without_baseline
    from nexus_bench.experiment.suite import apply_settings, make_suite, select_suite

    tasks, attentions = values.names("task", task), values.names("attention", attention)
    changed: dict[str, Any] = plain(settings)
    if isinstance(suite, Mapping):
        if tasks or attentions or data:
            raise UsageError("a suite that is a mapping holds its tasks and models; omit task, attention and data")
        where = "suite"
        return make_suite(apply_settings(plain(suite), changed, where), where)
    named = None if suite is None else str(values.path("suite", suite))
    selected = select_suite(named, task=tasks, attention=attentions, data=data, settings=changed)
    grid, config = make_suite(*selected), selected.config
    notes = without_baseline(config["models"], attentions) if "order" in changed else ()
    if "hops" in changed:
        others = {key: value for key, value in changed.items() if key != "hops"}
        before = select_suite(named, task=tasks, attention=attentions, data=data, settings=others)
        notes += no_longer_further(before.config, config)
    return grid._replace(notes=notes)


def prepare(
    grid: "Suite",
    *,
    data: Path | None,
    out: str | Path | None,
    device: str,
    mode: str,
    executor: str,
    workers: int | None,
    stack: int | None = None,
    scheduler: str | None = None,
) -> Prepared:
    """Plan the training of a grid in its folder; the arguments are those of `train` and `nexus-bench train`.

    Raises:
        ConfigError: The folder holds a run of an older format.
        CorruptArtefactError: A file in the folder was edited.
        UsageError: A name is unknown, arguments contradict each other, or the folder holds something else.
    """
    from nexus_bench.experiment.environment import known_here_alone
    from nexus_bench.experiment.execution import choose_execution
    from nexus_bench.experiment.plan import make_plan
    from nexus_bench.experiment.run_folder import RunFolder

    names = {"device": device, "mode": mode, "executor": executor}
    for name, value in names.items():
        values.text(name, value)
    n_workers = values.whole_or_none("workers", workers, least=1, most=1_000)
    folder = RunFolder(Path("runs") / grid.name if out is None else values.path("out", out))
    plan = make_plan(grid, folder)
    is_here_alone = known_here_alone(plan.to_do)
    if executor == "auto":
        executor = "inline" if n_workers == 1 or is_here_alone else "process"
    if executor != "inline" and is_here_alone:
        raise UsageError(
            "other processes cannot import a task or an attention that only this program defines; omit executor, or "
            "put it into a package (`nexus-bench new`)"
        )
    execution = choose_execution(
        mode=mode, device=device, executor=executor, n_workers=n_workers, stack=stack, scheduler=scheduler
    )
    return Prepared(plan, folder, execution, data)
