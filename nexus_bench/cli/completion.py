"""Completion of a shell that is named, as in `--show-completion zsh`; Typer itself takes the one that it runs in."""

from collections.abc import Sequence

import typer

from nexus_bench.errors import UsageError, unknown_name

_OPTIONS = ("--show-completion", "--install-completion")


def complete_named_shell(arguments: Sequence[str]) -> bool:
    """Print or install what completes commands in a shell, if one is named.

    Returns:
        Whether that is what was asked for.

    Raises:
        UsageError: There is none for this shell.
    """
    if len(arguments) != 2 or arguments[0] not in _OPTIONS:
        return False
    from typer._completion_shared import Shells, get_completion_script, install

    option, shell = arguments
    if shell not in (known := [one.value for one in Shells]):
        raise UsageError(unknown_name("shell", shell, known))
    name, variable = "nexus-bench", "_NEXUS_BENCH_COMPLETE"
    if option == "--show-completion":
        typer.echo(get_completion_script(prog_name=name, complete_var=variable, shell=shell))
    else:
        _, path = install(shell=shell, prog_name=name, complete_var=variable)
        typer.echo(f"{shell} completion installed in {path}; it takes effect in a new terminal")
    return True
