"""The page of pretraining tells of models of tasks what their kept runs say."""

import json
import re
from math import comb
from pathlib import Path
from typing import Any

from nexus_bench.io.config import read_config
from tests.paths import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "pretraining.md").read_text()
ALONE, SWEEP = EXAMPLES / "pretrain-tasks", EXAMPLES / "pretrain-sweep"
IN_ORDER = [f"{task}{which}" for task in ("pointer_chase", "variable_chain") for which in ("", "-rate3e-3", "-1hop")]


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
    part = PAGE.split("**Tasks alone.**")[1].split("```")[0]
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
    part = PAGE.split("**Every family that has English told alone.**")[1].split("```")[0]
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


def test_the_trial_of_derivations() -> None:
    spec, summary, scores = kept(EXAMPLES / "pretrain-derived")
    told = " ".join(PAGE.split("**What makes facts be looked up.**")[1].split("```")[0].split())
    asked = [scores[f"pointer_chase_hop{hop}"] for hop in (1, 2, 3)]
    derived, alone = ([short(one[how]) for one in asked] for how in ("derived", "acc"))
    assert f"the right answer in {derived[0]}, {derived[1]} and {derived[2]} at 1, 2 and 3 hops (chance .125)" in told
    assert f"at chance still: {alone[0]}, {alone[1]} and {alone[2]}." in told
    assert {(one["n"], one["chance"]) for one in asked} == {(500, 0.125)}
    assert (spec["derived_share"], summary["steps"], summary["tokens"]) == (0.5, 1953, 7_999_488)


def at_least(asked: dict[str, Any]) -> float:
    """How likely chance answers as many."""
    n, chance = asked["n"], asked["chance"]
    return sum(comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(round(asked["acc"] * n), n + 1))
