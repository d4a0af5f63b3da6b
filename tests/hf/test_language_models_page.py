"""The page of language models tells of models of tasks alone what their kept runs say."""

import json
import re

from nexus_bench.io.config import read_config
from tests.paths import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "language_models.md").read_text().split("**Tasks alone.**")[1]
RUNS = EXAMPLES / "pretrain-tasks"
IN_ORDER = [f"{task}{which}" for task in ("pointer_chase", "variable_chain") for which in ("", "-rate3e-3", "-1hop")]


def test_the_table_of_tasks_alone() -> None:
    assert sorted(IN_ORDER) == sorted(path.name for path in RUNS.iterdir())
    lines = [line for line in PAGE.split("```")[0].splitlines() if re.search(r"\| [13]e-3 \|", line)]
    for name, line in zip(IN_ORDER, lines, strict=True):
        spec, summary, scores = (
            read_config(RUNS / name / "spec.yaml"),
            json.loads((RUNS / name / "summary.json").read_text()),
            json.loads((RUNS / name / "scores.json").read_text()),
        )
        task, n_hops = spec["task"], len(spec["task"]["hops"])
        told = [scores.get(f"{task['task']}_hop{hop}") for hop in (1, 2, 3)]
        assert [one is not None and one["n"] == 1000 for one in told] == [hop <= n_hops for hop in (1, 2, 3)]
        figures = [one and f"{one['acc']:.3f}".removeprefix("0") for one in told]
        chance = {"pointer_chase": ".091", "variable_chain": ".25"}[task["task"]]
        loss = f"{summary['held_out_loss']:.3f}".removeprefix("0")
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:] == [f"{spec['lr'] * 1000:.0f}e-3", *(one or "" for one in figures), chance, loss], name
        assert (summary["tokens"], summary["steps"], spec["attend"], spec["seed"]) == (
            196_608_000,
            12_000,
            "document",
            0,
        )
        assert n_hops == (1 if "-1hop" in name else 3) and spec["nexus"] is None
