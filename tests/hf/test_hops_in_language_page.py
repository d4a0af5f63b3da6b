"""The page of hops in language tells what its kept runs say."""

import json
import re
from math import comb
from pathlib import Path
from typing import Any

import pytest

from nexus_bench.io.config import read_config
from tests.paths import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "hops_in_language.md").read_text()
ALONE, SWEEP = EXAMPLES / "pretrain-tasks", EXAMPLES / "pretrain-sweep"
DERIVED = EXAMPLES / "pretrain-derived"
IN_ORDER = [f"{task}{which}" for task in ("pointer_chase", "variable_chain") for which in ("", "-rate3e-3", "-1hop")]
MODELS = {"standard": "standard", "order 2": "order2", "order 3": "order3"}
CHANCE = {"pointer_chase": [0.125] * 3, "variable_chain": [0.25] * 3, "kinship": [1 / 8, 1 / 22, 1 / 31]}


def kept(run: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a run was, how it ended, and what it answered."""
    summary, scores = (json.loads((run / f"{name}.json").read_text()) for name in ("summary", "scores"))
    return read_config(run / "spec.yaml"), summary, scores


def short(figure: float) -> str:
    """As the page writes figures."""
    return f"{figure:.3f}".removeprefix("0")


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_of_tasks_alone() -> None:
    assert sorted(IN_ORDER) == sorted(path.name for path in ALONE.iterdir())
    part = PAGE.split("**Alone.**")[1].split("```")[0]
    lines = [line for line in part.splitlines() if re.search(r"\| [13]e-3 \|", line)]
    for name, line in zip(IN_ORDER, lines, strict=True):
        spec, summary, scores = kept(ALONE / name)
        task, n_hops = spec["task"], len(spec["task"]["hops"])
        told = [scores.get(f"{task['task']}_hop{hop}") for hop in (1, 2, 3)]
        assert [one is not None and one["n"] == 1000 for one in told] == [hop <= n_hops for hop in (1, 2, 3)]
        figures = [short(one["acc"]) if one else "" for one in told]
        chance = {"pointer_chase": ".091", "variable_chain": ".25"}[task["task"]]
        wanted = [f"{spec['lr'] * 1000:.0f}e-3", *figures, chance, short(summary["held_out_loss"])]
        assert cells_of(line)[1:] == wanted, name
        how = (summary["tokens"], summary["steps"], spec["attend"], spec["seed"])
        assert how == (196_608_000, 12_000, "document", 0)
        assert n_hops == (1 if "-1hop" in name else 3) and spec["nexus"] is None


def test_the_table_of_every_family_told_alone() -> None:
    part = PAGE.split("**Every family that has English, alone.**")[1].split("```")[0]
    lines = {cells_of(line)[0]: cells_of(line)[1:] for line in part.splitlines() if line.startswith("| `")}
    assert len(lines) == len(list(SWEEP.iterdir()))
    beyond_chance = {}
    for run in SWEEP.iterdir():
        spec, summary, scores = kept(run)
        task = spec["task"]["task"]
        options, *figures, loss = lines[
            f"`{task}`" + {"pythia-14m": "", "pythia-70m": ", Pythia-70M's shape"}[spec["arch"]]
        ]
        given = dict(word.split("=") for word in options.strip("`").split())
        assert {name: str(spec["task"]["params"][name]) for name in given} == given
        asked = [scores[f"{task}_hop{hop}"] for hop in (1, 2, 3)]
        assert figures == [f"{short(one['acc'])} ({short(one['chance']).replace('1.000', '1')})" for one in asked]
        assert loss == short(summary["held_out_loss"])
        how = (
            summary["tokens"],
            summary["steps"],
            spec["attend"],
            spec["ask"],
            spec["lr"],
            spec["seed"],
            spec["nexus"],
        )
        assert how == (98_304_000, 6_000, "document", "all", 1e-3, 0, None)
        beyond_chance |= {(run.name, hop): at_least(one) for hop, one in enumerate(asked, start=1) if one["chance"] < 1}
    ((name, hop), p) = min(beyond_chance.items(), key=lambda one: one[1])
    told = " ".join(part.split())
    assert f"The least likely by chance is {name}'s at {hop} hop (one-sided exact binomial test, p = {short(p)}" in told
    assert f"the lowest of the {len(beyond_chance)} figures" in told and p * len(beyond_chance) > 0.05


def figures_of(task: str, runs: list[Path]) -> list[str]:
    """The cells of a row of runs: steps, then answers, at 1 to 3 hops."""
    asked = [[kept(run)[2][f"{task}_hop{hop}"] for hop in (1, 2, 3)] for run in runs]
    return [
        ", ".join(short(scores[hop][how]).replace("1.000", "1") for scores in asked)
        for how in ("derived", "acc")
        for hop in range(3)
    ]


def rows_of(heading: str) -> list[list[str]]:
    part = PAGE.split(heading)[1].split("\n## ")[0]
    return [cells_of(line) for line in part.splitlines() if line.startswith("| `")]


ROWS = {  # the runs of a row, with tokens, rate and seed: by folder, and by what its label says behind the task
    ("mixed", ""): [(f"seed{n}", 196_608_000, 1e-3, n) for n in (0, 1, 2)],
    ("mixed", "164 M, rate 2e-3"): [("164M-2e-3", 163_840_000, 2e-3, 0)],
    ("alone", "98 M"): [("98M-1e-3", 98_304_000, 1e-3, 0), ("98M-2e-3", 98_304_000, 2e-3, 0)],
    ("alone", "197 M"): [(f"seed{n}", 196_608_000, 2e-3, n) for n in (0, 1)],
}


@pytest.mark.parametrize(
    "folder, heading", [("mixed", "## Steps and answers beside prose"), ("alone", "## The same told alone")]
)
def test_the_tables_of_steps(folder: str, heading: str) -> None:
    told: set[Path] = set()
    for label, model, *figures in rows_of(heading):
        task, _, more = label.replace("`", "").partition(", ")
        runs = {DERIVED / folder / f"{task}-{MODELS[model]}-{which}": how for which, *how in ROWS[folder, more]}
        assert figures == figures_of(task, list(runs)), label
        for run, (tokens, rate, seed) in runs.items():
            spec, summary, scores = kept(run)
            order = 1 if spec["nexus"] is None else spec["nexus"]["order"]
            assert (spec["task"]["task"], order) == (task, {"standard": 1, "order 2": 2, "order 3": 3}[model])
            assert (summary["tokens"], spec["lr"], spec["seed"]) == (tokens, rate, seed)
            assert (spec["derived_share"], spec["attend"], spec["ask"]) == (0.5, "document", "all")
            assert bool(spec["text"]) == (folder == "mixed") and (not spec["text"] or spec["task_share"] == 0.75)
            for hop, chance in zip((1, 2, 3), CHANCE[task], strict=True):
                asked = scores[f"{task}_hop{hop}"]
                assert asked["n_derived"] == 500 and abs(asked["chance"] - chance) < 1e-6
                assert 670 <= asked["n"] <= 690 if task == "kinship" else asked["n"] == 1000
        told |= set(runs)
    assert told == set((DERIVED / folder).iterdir())


def test_sentences_on_steps_hold() -> None:
    told = " ".join(PAGE.split())
    runs = {run: kept(run)[2] for run in (*(DERIVED / "mixed").iterdir(), *(DERIVED / "alone").iterdir())}
    first = {run: scores[f"{run.name.split('-')[0]}_hop1"] for run, scores in runs.items()}
    assert all(one["derived"] > 0.9 for one in first.values() if one["acc"] > 0.5), "answers never before the steps"
    mixed = [s for run, s in runs.items() if run.match("mixed/pointer_chase-*")]
    steps = sorted(min(s[f"pointer_chase_hop{hop}"]["derived"] for hop in (1, 2, 3)) for s in mixed)
    assert steps[0] < 0.9 and f"on eight runs of nine ({short(steps[1])} at least)" in told
    answers = {hop: sorted(s[f"pointer_chase_hop{hop}"]["acc"] for s in mixed) for hop in (1, 2, 3)}
    assert sum(x >= 0.8 for x in answers[1]) == 7 and "At 1 hop seven runs of nine have .8 or more" in told
    assert answers[2][-2] < 0.2 and f"at 2 hops one has begun (order 3, {short(answers[2][-1])})" in told
    assert answers[3][-1] < 0.2 and "at 3 hops none" in told
    alone = [s for run, s in runs.items() if run.match("alone/pointer_chase-*")]
    steps = sorted(min(s[f"pointer_chase_hop{hop}"]["derived"] for hop in (1, 2, 3)) for s in alone)
    assert steps[0] < 0.9 and f"on all runs but one ({short(steps[1])} at least)" in told
    begun = {
        model: [first[DERIVED / "alone" / f"variable_chain-{model}-seed{n}"]["derived"] > 0.9 for n in (0, 1)]
        for model in MODELS.values()
    }
    assert begun == {"standard": [False] * 2, "order2": [True] * 2, "order3": [True] * 2}
    assert f"four of four against none of two, p = {short(1 / comb(6, 2))} by Fisher's exact test" in told
    with_steps = first[DERIVED / "alone" / "pointer_chase-standard-98M-1e-3"]["acc"]
    without = kept(SWEEP / "pointer_chase")[2]["pointer_chase_hop1"]["acc"]
    assert f"in {short(with_steps)} where half of the graphs are told with their steps" in told
    assert f"and in {short(without)} where none is" in told


def test_prose_is_predicted_no_better_by_nests() -> None:
    def apart(model: str) -> list[float]:
        losses = {
            (task, one, n): kept(DERIVED / "mixed" / f"{task}-{one}-seed{n}")[1]["held_out_loss"]
            for task in ("pointer_chase", "variable_chain")
            for one in ("standard", model)
            for n in (0, 1, 2)
        }
        return [loss - losses[task, "standard", n] for (task, one, n), loss in losses.items() if one == model]

    second, third = apart("order2"), apart("order3")
    means, most = (sum(second) / 6, sum(third) / 6), max(map(abs, second + third))
    told = f"by {means[0]:+.3f} and {means[1]:+.3f} in the mean, and by {most:.3f} at most".replace("0.", ".")
    assert told in " ".join(PAGE.split())


def at_least(asked: dict[str, Any]) -> float:
    """How likely chance answers as many."""
    n, chance = asked["n"], asked["chance"]
    return sum(comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(round(asked["acc"] * n), n + 1))
