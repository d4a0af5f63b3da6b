"""Training from Python: a suite, or a grid of tasks and attentions, into a run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus_bench.api.run import Run
from nexus_bench.api.values import Hops, plain, without_none
from nexus_bench.errors import FailedCellsError, UsageError

if TYPE_CHECKING:
    from nexus_bench.experiment.suite import Suite


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
        suite: A YAML file, the name of a bundled suite, or what such a file holds; None takes `quick`.
        task: Tasks in the place of those of the suite.
        attention: Attentions in the place of the models of the suite; without `order`, `standard` is added.
        order: The attention orders, of attentions that have one.
        hops: Hop counts in training: `3`, `"1-5"`, `"1,2,4"` or a list.
        seeds: How many seeds, or a list of them.
        data: A dataset folder from `generate`, instead of a task.
        out: The run folder; None takes one under `runs`, named for the suite.
        device: `auto`, `cpu` or `cuda`.
        mode: `auto`, `single`, `deterministic`, `tf32` or `bfloat16`.
        executor: `process`: in processes, one per core; `inline`: in this one; `dask`; `auto`: in processes, unless a
            task or an attention was defined where these cannot import it, as in a notebook. Scripts need no
            `if __name__ == "__main__"`.
        workers: Processes; None takes one per core, or 4 on each GPU.
        quiet: Show only failures.
        settings: Any value of the suite by name, as `steps=500` or `lr=[1e-3, 3e-3]`; a list is an axis of the grid.

    Returns:
        The run.

    Raises:
        ConfigError: A name or a value is not allowed.
        CorruptArtefactError: The run folder or the dataset is damaged.
        FailedCellsError: Some cells failed; the others are kept.
        StorageError: The folder cannot be written.
        UsageError: Arguments contradict each other, or the folder holds something else.
    """
    from nexus_bench.experiment.environment import known_here_alone
    from nexus_bench.experiment.execution import choose_execution
    from nexus_bench.experiment.plan import make_plan
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.experiment.train import train as train_plan

    given = without_none(order=order, hops=hops, seeds=seeds)
    if repeated := sorted(set(settings) & {"suite"}):
        raise UsageError(f"{repeated[0]} names the run; give a mapping or a file with another name")
    data_folder = None if data is None else Path(data)
    grid = _suite(suite, task=_names(task), attention=_names(attention), data=data_folder, settings=settings | given)
    folder = RunFolder(Path("runs") / grid.name if out is None else Path(out))
    plan = make_plan(grid, folder)
    is_here_alone = known_here_alone(plan.to_do)
    if executor == "auto":
        executor = "inline" if workers == 1 or is_here_alone else "process"
    if executor != "inline" and is_here_alone:
        raise UsageError(
            "other processes cannot import a task or an attention that only this program defines; omit executor, or "
            "put it into a package (`nexus-bench new`)"
        )
    execution = choose_execution(
        mode=mode, device=device, executor=executor, n_workers=workers, stack=None, scheduler=None
    )
    trained = train_plan(plan, folder, execution, data=data_folder, quiet=quiet)
    if trained.failures:
        n = f"{len(trained.failures)} of {len(trained.titles)} cells failed; the first: {trained.failures[0].reason}"
        raise FailedCellsError(f"{n}; nexus_bench.open({str(folder.path)!r}) has the others, the same call tries again")
    return Run(folder.path)


def _suite(
    suite: str | Path | Mapping[str, Any] | None,
    *,
    task: str | None,
    attention: str | None,
    data: Path | None,
    settings: Mapping[str, Any],
) -> "Suite":
    from nexus_bench.experiment.suite import apply_settings, make_suite, select_suite

    changed: dict[str, Any] = plain(settings)
    if isinstance(suite, Mapping):
        if task or attention or data:
            raise UsageError("a suite that is a mapping holds its tasks and models; omit task, attention and data")
        where = "suite"
        return make_suite(apply_settings(plain(suite), changed, where), where)
    named = None if suite is None else str(suite)
    return make_suite(*select_suite(named, task=task, attention=attention, data=data, settings=changed))


def _names(names: str | Sequence[str] | None) -> str | None:
    """Names as a command line writes them."""
    return names if names is None or isinstance(names, str) else ",".join(names)
