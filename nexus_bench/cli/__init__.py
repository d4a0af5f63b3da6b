"""The command line: parse the arguments, call one function, print what it returns."""

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from nexus_bench.cli import (
    bench,
    compare,
    contract,
    data,
    external_models,
    init,
    inspection,
    language_models,
    lists,
    new,
    reports,
    reproduce,
    retrofit,
    runs,
    training,
)
from nexus_bench.cli.completion import complete_named_shell
from nexus_bench.cli.help import Command, CommandGroup
from nexus_bench.cli.mistakes import mistake
from nexus_bench.cli.torchrun import is_told_beside
from nexus_bench.errors import ConfigError, NexusBenchError, StorageError, UsageError, blame
from nexus_bench.io.escapes import markdown, visible
from nexus_bench.io.files import unwritable
from nexus_bench.io.renames import RenamedWarning, with_present_words
from nexus_bench.version import __version__

app = typer.Typer(
    cls=CommandGroup,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="How many reasoning hops can one attention layer make, as a function of attention order?",
)


def main() -> NoReturn:
    """Run the command line and exit with its exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    _open_streams()
    try:
        code = run(sys.argv[1:])
        code = _flushed(code)
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    os._exit(code)  # everything is written; a regular exit would spend a second on unloading PyTorch


def run(arguments: list[str]) -> int:
    """Run one command.

    Returns:
        The exit code; errors are printed as one line on stderr.
    """
    try:
        with _renames_told():
            if complete_named_shell(arguments):
                return 0
            code = app(with_present_words(arguments), prog_name="nexus-bench", standalone_mode=False)
    except NexusBenchError as error:
        return _fail(str(error), error.exit_code, is_told=error.is_told)
    except typer.TyperException as error:
        return _fail(mistake(error, arguments), UsageError.exit_code)
    except _StoppedError:
        raise
    except (Exception, SystemExit) as error:
        if _terminated:  # a library, such as a compiler, made an error of its own of being stopped
            raise _StoppedError(128 + _terminated[0]) from error
        if _is_out_of_memory(error):
            return _fail("out of memory; ask for less, or use a machine with more", StorageError.exit_code)
        if (blamed := blame(error)) is not None:
            return _fail(blamed, ConfigError.exit_code)
        if isinstance(error, OSError):  # what a module expects to go wrong with its own files, it says itself
            named = f"{error.filename}: {error.strerror}; use another place"
            return _fail(named if error.filename else _lost(error), StorageError.exit_code)
        if is_told_beside():  # it lost the process that failed
            return 1
        raise
    return code if isinstance(code, int) else 0


@contextmanager
def _renames_told() -> Iterator[None]:
    """Old names are told in one line on stderr."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", RenamedWarning)
        show = warnings.showwarning

        def tell(message: Warning | str, *details: Any, **more: Any) -> None:
            if isinstance(message, RenamedWarning):
                typer.echo(f"warning: {visible(str(message))}", err=True)
            else:
                show(message, *details, **more)

        warnings.showwarning = tell
        yield


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"nexus-bench {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {
        "train": training.train,
        "reproduce": reproduce.reproduce,
        "init": init.init,
        "list": lists.list_,
        "match": training.match,
    },
    "Look at runs": {
        "runs": runs.runs,
        "status": runs.status,
        "open": runs.open_,
        "report": reports.report,
        "leaderboard": reports.leaderboard,
        "eval": inspection.evaluate,
        "inspect": inspection.inspect,
        "predictions": inspection.predictions,
    },
    "Data": {
        "show": data.show,
        "gen": data.gen,
        "verify": data.verify,
        "audit": data.audit,
    },
    "Language models": {
        "export": external_models.export,
        "lm": language_models.lm,
        "score": external_models.score,
        "pretrain": language_models.pretrain,
        "losses": language_models.losses,
        "retrofit": retrofit.retrofit,
    },
    "Check and extend": {
        "compare": compare.compare,
        "check": contract.check,
    },
    "Maintain": {
        "schema": reports.schema,
        "gallery": data.gallery,
    },
}
for panel, commands in _PANELS.items():
    for name, command in commands.items():
        app.command(name=name, cls=Command, rich_help_panel=panel)(command)
timing = typer.Typer(cls=CommandGroup, help="Measure speed.", rich_markup_mode=None)
timing.callback(invoke_without_command=True)(bench.bench)
timing.command(name="gen", cls=Command)(bench.bench_gen)
timing.command(name="attention", cls=Command)(bench.bench_attention)
timing.command(name="train", cls=Command)(bench.bench_train)
app.add_typer(timing, name="bench", rich_help_panel="Maintain")
beginning = typer.Typer(cls=CommandGroup, help="Begin a package of your own.", rich_markup_mode=None)
beginning.callback(invoke_without_command=True)(new.new)
beginning.command(name="attention", cls=Command)(new.new_attention)
beginning.command(name="task", cls=Command)(new.new_task)
app.add_typer(beginning, name="new", rich_help_panel="Check and extend")


class _StoppedError(SystemExit):
    """SIGTERM came."""


def _terminate(number: int, frame: FrameType | None) -> None:
    _terminated.append(number)
    raise _StoppedError(128 + number)


_terminated: list[int] = []  # signals that came


class _Stdout(io.FileIO):
    """Standard output; what a reader that is gone, as `head` soon is, does not take is dropped."""

    def write(self, data: Any) -> int:
        """Write, or drop; other faults are raised."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


class _Stderr(_Stdout):
    """Standard error; what it does not take is dropped: there is no other place to say so, and training goes on."""

    def write(self, data: Any) -> int:
        """Write, or drop."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _open_streams() -> None:
    """Let a command end with its own exit code, whatever its caller did to the standard streams.

    Those that it closed are opened: else the next file that is opened would become one of them.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, so this one
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    for name, kind in (("stdout", _Stdout), ("stderr", _Stderr)):
        old = getattr(sys, name)
        buffer = io.BufferedWriter(kind(old.fileno(), "w", closefd=False))
        by_line = kind is _Stderr or old.isatty()
        setattr(sys, name, io.TextIOWrapper(buffer, old.encoding, "backslashreplace", line_buffering=by_line))


def _flushed(code: int) -> int:
    """The exit code, once everything is written to stdout."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return code or _fail(_lost(error), StorageError.exit_code)
    return code


def _lost(error: OSError) -> str:
    return str(unwritable("standard output", error, "use another place"))


def _is_out_of_memory(error: BaseException) -> bool:
    """Python's, PyTorch's on a GPU, and PyTorch's on a CPU, which is a RuntimeError like any other."""
    known = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return known or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))


def _fail(message: str, code: int, *, is_told: bool = False) -> int:
    """Print an error as one line, whatever the names in it hold, and on the page of CI unless it is told there.

    Of the processes that torchrun started one prints it.
    """
    from nexus_bench.report.ci import github_lines, github_summary

    if is_told_beside():
        return code
    if not is_told:
        with suppress(StorageError):
            github_lines("error", [("nexus-bench", message)])
            github_summary(f"**nexus-bench ended with exit code {code}**: {markdown(visible(message))}")
    typer.echo(f"error: {visible(message)}", err=True)
    return code
