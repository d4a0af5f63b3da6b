"""The help of commands: options in groups, possible values, examples; no line is cut, at any width."""

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from nexus_bench.cli.arguments import as_options
from nexus_bench.cli.examples import EXAMPLES

_OPTIONS, _GENERAL = "Options", "General"
_LAST = ("Options", "General")  # groups of options that are not named, and what every command has
_OF_ALL = ("help", "as_json", "quiet")


class Command(TyperCommand):
    """A command whose help is in groups and ends with examples."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments, also those that are said in another way."""
        return super().parse_args(ctx, args if ctx.resilient_parsing else as_options(self, args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The words of the command, then its options."""
        return [*(_word(param) for param in self.params if param.param_type_name == "argument"), "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


class CommandGroup(TyperGroup):
    """A command with commands in groups."""

    suggest_commands = True

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            if not command.hidden:
                summary = (command.help or "").strip().partition("\n")[0].rstrip(".")
                groups.setdefault(getattr(command, "rich_help_panel", None) or "Commands", []).append((name, summary))
        _write(formatter, groups)
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples."""
        _write_examples(ctx, formatter)


def _write_options(command: Any, ctx: Any, formatter: Any) -> None:
    groups: dict[str, list[tuple[str, str]]] = {}
    for param in command.get_params(ctx):
        if getattr(param, "hidden", False):
            continue
        if param.param_type_name == "argument":
            groups.setdefault("Arguments", []).append((_word(param), param.help or ""))
            continue
        group = _GENERAL if param.name in _OF_ALL else param.rich_help_panel or _OPTIONS
        names = ", ".join(sorted(param.opts, key=len))
        groups.setdefault(group, []).append((f"{names} {_value(param)}".rstrip(), f"{param.help}{_default(param)}"))
    ordered = {name: rows for name, rows in groups.items() if name not in _LAST}
    _write(formatter, ordered | {name: groups[name] for name in _LAST if name in groups})


def _word(param: Any) -> str:
    """What stands for a word of the command."""
    return str(param.metavar or param.name.upper())


def _value(param: Any) -> str:
    """What stands for the value of an option."""
    if param.is_flag:
        return ""
    if param.metavar:
        return str(param.metavar)
    annotation = str(param.type_descriptor.annotation)
    return next(
        (shown for kind, shown in (("int", "N"), ("float", "X"), ("Path", "PATH")) if kind in annotation), "TEXT"
    )


def _default(param: Any) -> str:
    is_told = param.default is not None and not param.is_flag and param.show_default
    return f" [default: {param.default}]" if is_told else ""


def _write(formatter: Any, groups: dict[str, list[tuple[str, str]]]) -> None:
    for heading, rows in groups.items():
        with formatter.section(typer.style(heading, bold=True)):
            formatter.write_dl(rows, col_max=26)


def _write_examples(ctx: Any, formatter: Any) -> None:
    words = ctx.command_path.split()
    lines = EXAMPLES.get(" ".join(words[1:]), ())
    if lines:
        with formatter.section(typer.style("Examples", bold=True)):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{words[0]} {line}\n")
