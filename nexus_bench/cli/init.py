"""`nexus-bench init`: a suite of one's own, with a comment on everything that can be changed."""

import shlex
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from nexus_bench.cli.choices import attentions, tasks
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson
from nexus_bench.cli.words import split_commas
from nexus_bench.errors import ConfigError, UsageError, unknown_name
from nexus_bench.io.config import LONGEST_NAME, NOT_IN_NAMES
from nexus_bench.io.files import write_atomic

_ORDER = "\n    order: [2, 3]                # each value is a model; order 1 is standard attention"
_FACT = "  # encoding: fact               # or flat: a causal sequence of tokens"
_FLAT = "  encoding: flat                 # a causal sequence of tokens: an attention below needs an order"
_TEMPLATE = Path(__file__).parent / "templates" / "suite.yaml.txt"


def init(
    file: Annotated[
        Path, typer.Argument(readable=False, metavar="[FILE]", help="The file to write; default mine.yaml.")
    ] = Path("mine.yaml"),
    task: Annotated[
        str, typer.Option(metavar="TASKS", help="Its tasks: reachable or reachable,ancestor.", autocompletion=tasks)
    ] = "pointer_chase",
    attention: Annotated[
        str, typer.Option(metavar="NAMES", help="Its attentions, besides standard.", autocompletion=attentions)
    ] = "nexus",
    hops: Annotated[
        str, typer.Option(metavar="HOPS", show_default=False, help="Hop counts to train: 3, 1-5 or 1,2,4.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a suite to change and train.

    A YAML file with a comment on every value that is often changed.
    """
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.experiment.suite import make_suite
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.io.config import parse_yaml

    if file.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{file}: a suite is a .yaml file; write `nexus-bench init {shlex.quote(f'{file}.yaml')}`")
    if file.exists():
        raise UsageError(f"{file}: exists already, and is kept; choose another name")
    for name in (names := split_commas([task])):
        if name not in GENERATORS.names():
            raise ConfigError(unknown_name("task", name, GENERATORS.names()))
    if not names:
        raise UsageError("--task is empty; give a name, or omit it")
    others = [name for name in split_commas([attention]) if name != "standard"]
    for name in others:
        if name not in ATTENTIONS.names():
            raise ConfigError(unknown_name("attention", name, ATTENTIONS.names()))
    models = [f"  - attention: {name}{_ORDER if name == 'nexus' else ''}" for name in others]
    suite = NOT_IN_NAMES.sub("-", file.stem).lstrip("-._")[:LONGEST_NAME] or "mine"
    needs_order = not all(ATTENTIONS.get(name).takes_sets for name in others)
    values = {
        "suite": suite,
        "tasks": "\n".join(_entry(name, hops) for name in names),
        "encoding": _FLAT if needs_order else _FACT,
        "models": "\n".join(models),
        "compared": f"{others[0]}, order 2" if others[:1] == ["nexus"] else others[0] if others else "nexus",
        "file": file,
    }
    text = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(values)
    make_suite(parse_yaml(text, where=str(file)), str(file))  # what cannot be trained is not written
    write_atomic(file, text)
    if as_json:
        print_document("init", file=file)
    else:
        typer.echo(f"{file}\nnext: nexus-bench train {shlex.quote(str(file))} --dry-run")


def _entry(task: str, hops: str) -> str:
    """The entry of a task, with its parameters and their defaults as comments."""
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.generators.defaults import task_defaults

    defaults = task_defaults(task)
    lines = [f"  - task: {task}", f"    hops: {hops or defaults['hops']}"]
    for name, field in GENERATORS.get(task).Params.model_fields.items():
        default = defaults.get(name, field.default)
        setting = f"    # {name}: {'null' if default is None else default}"
        lines.append(f"{setting:<33}# {field.description}" if field.description else setting)
    return "\n".join(lines)
