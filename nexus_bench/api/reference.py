"""The reference of the Python API, from docstrings: `python -m nexus_bench.api.reference > docs/api.md`."""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from nexus_bench.api import examples, inspection, run, shown, stream, training

_HEAD = """# Python API

Written by `python -m nexus_bench.api.reference > docs/api.md` from the docstrings. Notebooks: [a first
study](first_study.ipynb), [an attention of your own](own_attention.ipynb).

```python
import nexus_bench as nb

run = nb.train(
    task="pointer_chase", attention=["standard", "nexus"], order=[2, 3], hops="1-3", n_nodes=12, hop_ood=4, seeds=3
)
run.results  # a pandas frame with a row per cell, split and hop
run.plot("accuracy_by_hop")  # shows itself in a notebook; .save("a.svg")
```

`Hops` are a number, a text as `"1-5"` or `"1,2,4"`, or a list of numbers. Mistakes raise `nb.NexusBenchError` with one
line that says what to do; its subclasses are those of the exit codes ([ci](ci.md)). Names on this page stay: one that
changes is kept for a release under its old name, with a warning.
"""
_SECTIONS = {
    "Train and look": (training.train, run.open, run.Run, inspection.Inspection, shown.Figure, shown.ReportView),
    "Examples": (
        *(examples.dataset, stream.ItemStream, stream.Item, examples.score_answer, examples.generate),
        *(examples.load, examples.LoadedDataset, examples.show, examples.Shown),
    ),
    "Errors": (examples.NexusBenchError,),
}
_PARTS = ("Args", "Returns", "Raises", "Attributes")


def reference_page() -> str:
    """The page, every public name once."""
    parts = [_HEAD]
    for title, things in _SECTIONS.items():
        parts.append(f"## {title}\n")
        for thing in things:
            parts += _described(thing)
    return "\n".join(parts)


def _described(thing: Any) -> Iterator[str]:
    yield f"### nb.{thing.__name__}\n"
    if not inspect.isclass(thing):
        yield f"```python\n{_signature(thing, 'nb.')}\n```\n"
        yield _as_markdown(inspect.getdoc(thing) or "")
        return
    yield _as_markdown(re.sub(r"\nArgs:\n(    .*\n?)+", "", inspect.getdoc(thing) or ""))  # functions make them
    for name, member in vars(thing).items():
        if isinstance(member, property) and not name.startswith("_"):
            yield f"#### {thing.__name__}.{name}\n"
            yield _as_markdown(inspect.getdoc(member) or "")
        elif inspect.isfunction(member) and not name.startswith("_") and member.__module__ == thing.__module__:
            yield f"#### {thing.__name__}.{name}\n"
            yield f"```python\n{_signature(member, '.')}\n```\n"
            yield _as_markdown(inspect.getdoc(member) or "")


def _signature(function: Callable[..., Any], before: str) -> str:
    """The call as the source writes it, which is the same in every version of Python."""
    made = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(made, ast.FunctionDef)
    given = made.args
    given.args = [argument for argument in given.args if argument.arg != "self"]
    arguments = _arguments(given)
    returns = "" if made.returns is None else f" -> {_plain(ast.unparse(made.returns))}"
    line = f"{before}{made.name}({', '.join(arguments)}){returns}"
    if len(line) <= 100:
        return line
    lines = "".join(f"    {argument},\n" for argument in arguments)
    return f"{before}{made.name}(\n{lines}){returns}"


def _arguments(given: ast.arguments) -> list[str]:
    first = len(given.args) - len(given.defaults)
    defaults = [None] * first + list(given.defaults)
    found = [_argument(*pair) for pair in zip(given.args, defaults, strict=True)]
    found += ["*"] if given.kwonlyargs else []
    found += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return found + ([f"**{_argument(given.kwarg, None)}"] if given.kwarg else [])


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    typed = (
        argument.arg if argument.annotation is None else f"{argument.arg}: {_plain(ast.unparse(argument.annotation))}"
    )
    return typed if default is None else f"{typed} = {ast.unparse(default)}"


def _plain(annotation: str) -> str:
    """Without the quotes around types that are imported late."""
    return annotation.strip("'\"")


def _as_markdown(text: str) -> str:
    """A docstring as Markdown: its parts as lists."""
    lines: list[str] = []
    in_part = False
    for line in text.splitlines():
        if line.rstrip(":") in _PARTS and line.endswith(":"):
            lines += [f"{line.rstrip(':')}:", ""]
            in_part = True
        elif in_part and (found := re.match(r"    (\w[\w.]*): (.+)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        elif in_part and line.startswith("    "):
            is_more = lines[-1].startswith(("- ", "  "))
            lines.append(("  " if is_more else "") + line.strip())
        else:
            in_part = in_part and not line
            lines.append(line)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    print(reference_page(), end="")
