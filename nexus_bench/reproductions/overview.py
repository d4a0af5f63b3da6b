"""The page of all reproductions: `python -m nexus_bench.reproductions.overview > docs/reproductions.md`."""

from collections.abc import Iterator
from pathlib import Path

from nexus_bench.io.escapes import markdown
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import RESULTS
from nexus_bench.reproductions.claim_page import HEADS, cells, described, table, told_flops
from nexus_bench.reproductions.listed import NOT_JUDGED, AtScale, listed
from nexus_bench.reproductions.run import PAGE, judge_folder
from nexus_bench.reproductions.spec import Reproduction, bundled_reproductions, read_reproduction
from nexus_bench.reproductions.verdict import RULE

_HEAD = """# Reproductions

Written by `python -m nexus_bench.reproductions.overview > docs/reproductions.md` from `tasks/reproductions/` and the
runs that are kept. Results that others published are trained again here, and what they claim is compared with what is
measured. Nothing is tuned on the test split. Every departure from a source is listed; where its set-up could not be
found, that is listed as *not stated*.

```
nexus-bench reproduce                                     # all: source, claim, operations, state here
nexus-bench reproduce hops-alone                          # train the small scale, judge it
nexus-bench reproduce delta-s3 --scale published          # the published scale, for a GPU
nexus-bench reproduce delta-s3 --check runs/reproductions/delta-s3/small    # judge a run; train nothing
nexus-bench reproduce mine.yaml -o runs/mine              # one of your own
```

The run is an ordinary run folder, `runs/reproductions/NAME/SCALE` unless `--out` names another: the same command goes
on after a stop, and `nexus-bench report`, `eval` and `inspect` read it. Beside the report stand `reproduction.md` and
`reproduction.csv` ([columns](columns.md)), the same bytes for the same results. Runs that come with nexus-bench have no
weights: without `--out` the command judges them. A claim that does not hold is a result
and no error: the exit code is 0 whatever the verdict, 7 if cells failed, 2 if a folder holds another run.
"""
_ADD = """## Add a reproduction

One file in `tasks/reproductions/`, or anywhere else, given by its path:

| key | what it holds |
|---|---|
| `reproduction` | the name, also of its folder below `runs/reproductions` |
| `source` | `title`, `authors`, `arxiv`, `where` (sections, figures), `code` (address, or omitted), `licence` |
| `claim` | what the source claims, in a sentence |
| `departures` | what is not as in the source, at both scales |
| `scales` | `small`, minutes on a laptop, and `published`, for a GPU; one of them is enough |

A scale holds `about` (how long, where), `flops` (operations, as `--json` prints them, or omitted), `departures` of its
own, `suite` (a [suite](suites.md) without its name), `ask`, `checks` and `found`. `ask` lists questions to the trained
models, as `nexus-bench eval` has them: `cells`, `hops`, `n_facts`, `n`, `loops`, `trained`, `settings`. A check is a
sentence of the claim (`claim`), a `measure` (`accuracy` or `loss`, means over `hops`, or hop `reach`), and `figures`. A
figure has `where`, columns and options of results.csv that select the rows of one model, setting and split (`test` if
none is named), and one relation:

| relation | it holds for |
|---|---|
| `equals: 4, within: 1` | means from 3 to 5 |
| `at_least: 0.95` | means of .95 or more; with `within: 0.01`, of .94 or more |
| `at_most: 0.3` | means of .3 or less, likewise |
| `above: {n_layers: 2}, by: 0.05` | means .05 or more above those of the rows that differ from `where` in this |
| `near: {n_loops: 1}, within: 0.05` | means at most .05 away from those |
| `not_below: {n_loops: 1}, within: 0.05` | means at most .05 below those |

`where` and `hops` of a check are those of all its figures. `nexus-bench reproduce mine.yaml` first checks that every
figure selects rows that the suite will give: all seeds and recipes of a model (of several learning rates the best on
validation is judged), and where two are compared, the same hops. Decide the checks before anything is trained; `found`
is a list of sentences, written afterwards: why it came out so, as far as that is known.
"""


def overview() -> str:
    """The page: all reproductions with their runs as far as they are kept, the rule, how to add one."""
    found = [read_reproduction(name) for name in bundled_reproductions()]
    lines = [_HEAD, *_summary(found), "", "## When a claim holds", "", RULE]
    for reproduction in found:
        lines += _section(reproduction)
    return "\n".join([*lines, _ADD])


def _summary(found: list[Reproduction]) -> Iterator[str]:
    """Every reproduction and scale in a line."""
    rows = []
    for reproduction in found:
        for at in listed(reproduction).scales:
            flops = "" if at.flops is None else f"{at.flops:.1e}"
            rows.append([reproduction.reproduction, at.scale, str(at.n_cells), flops, _kept(at)])
    yield from table(("name", "scale", "cells", "operations", "verdict"), rows)


def _section(reproduction: Reproduction) -> Iterator[str]:
    yield f"## {reproduction.reproduction}\n"
    yield from described(reproduction)
    yield from (f"- Departure: {markdown(line)}" for line in reproduction.departures)
    for at in listed(reproduction).scales:
        scale = reproduction.scale(at.scale)
        yield f"\n**{at.scale}**: {markdown(scale.about)} {at.n_cells} cells. {told_flops(at.flops)}\n"
        yield from (f"- Departure: {markdown(line)}" for line in scale.departures)
        if scale.departures:
            yield ""
        if _kept(at):
            yield from _judged(reproduction, at)
            yield from ["", *(f"- Why: {markdown(line)}" for line in scale.found)] if scale.found else []
        else:
            yield from (f"{n}. {markdown(check.claim)}" for n, check in enumerate(scale.checks, 1))
    yield ""


def _judged(reproduction: Reproduction, at: AtScale) -> Iterator[str]:
    """The figures of a run that is kept."""
    outcome = judge_folder(reproduction, at.scale, Path(at.folder))
    yield f"[{outcome.verdict}](../{at.folder}/{PAGE}):\n"
    yield from table(HEADS, map(cells, outcome.figures))


def _kept(at: AtScale) -> str:
    """The verdict of the run that is kept; nothing if there is none."""
    return "" if at.state in NOT_JUDGED or not is_there(Path(at.folder) / RESULTS) else at.state


if __name__ == "__main__":
    print(overview(), end="")
