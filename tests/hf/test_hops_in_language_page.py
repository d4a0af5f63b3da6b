"""The page of hops in language tells what its kept runs say."""

import itertools
import json
import re
from math import comb, inf
from pathlib import Path
from typing import Any

import pytest

from nexus_bench import dataset
from nexus_bench.analysis.intervals import t_interval
from nexus_bench.io.config import read_config
from tests.paths import EXAMPLES, ROOT

PAGE = (ROOT / "docs" / "hops_in_language.md").read_text()
ALONE, SWEEP = EXAMPLES / "pretrain-tasks", EXAMPLES / "pretrain-sweep"
DERIVED = EXAMPLES / "pretrain-derived"
IN_ORDER = [f"{task}{which}" for task in ("pointer_chase", "variable_chain") for which in ("", "-rate3e-3", "-1hop")]
MODELS = {"standard": "standard", "order 2": "order2", "order 3": "order3"}
OPTIONS = {
    "pointer_chase": {"n_nodes": 9, "n_queries": 6},
    "variable_chain": {"n_queries": 3},
    "kinship": {"n_sets": 2},
}
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
            assert {key: spec["task"]["params"][key] for key in OPTIONS[task]} == OPTIONS[task]
            assert summary["steps"] * 1024 * 16 == tokens
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
    assert sum(x > 0.5 for x in answers[1]) == 8 and "the first on eight runs of nine, the second on one" in told
    alone = [s for run, s in runs.items() if run.match("alone/pointer_chase-*")]
    steps = sorted(min(s[f"pointer_chase_hop{hop}"]["derived"] for hop in (1, 2, 3)) for s in alone)
    assert steps[0] < 0.9 and f"on all runs but one ({short(steps[1])} at least)" in told
    begun = {
        model: [first[DERIVED / "alone" / f"variable_chain-{model}-seed{n}"]["derived"] > 0.9 for n in (0, 1)]
        for model in MODELS.values()
    }
    assert begun == {"standard": [False] * 2, "order2": [True] * 2, "order3": [True] * 2}
    assert f"four of four against none of two, p = {short(1 / comb(6, 2))} by Fisher's exact test" in told
    of_chain = {
        run.name: [s[f"variable_chain_hop{hop}"]["derived"] for hop in (1, 2, 3)]
        for run, s in runs.items()
        if run.match("alone/variable_chain-*")
    }
    second, third = (
        ", ".join(map(short, of_chain[f"variable_chain-{one}"])) for one in ("order2-seed1", "order3-seed0")
    )
    assert f"one run of order 2 has {and_last(second)}, which is chance, and one of order 3 {and_last(third)}." in told
    with_steps = first[DERIVED / "alone" / "pointer_chase-standard-98M-1e-3"]["acc"]
    without = kept(SWEEP / "pointer_chase")[2]["pointer_chase_hop1"]["acc"]
    assert f"in {short(with_steps)} where half of the graphs are told with their steps" in told
    assert f"and in {short(without)} where none is" in told
    begun_alone = [s["pointer_chase_hop1"]["acc"] > 0.2 for s in alone]
    assert (len(begun_alone), begun_alone.count(False)) == (12, 2)
    assert "Of the twelve runs with steps in the table two have not begun with it." in told


def and_last(listed: str) -> str:
    return " and ".join(listed.rsplit(", ", 1))


def test_what_is_above_chance_beside_prose_is_named() -> None:
    told, p = " ".join(PAGE.split()), {}
    for run in (DERIVED / "mixed").iterdir():
        if (task := run.name.split("-")[0]) == "pointer_chase":
            continue
        scores = kept(run)[2]
        for hop in (1, 2, 3):
            one = scores[f"{task}_hop{hop}"]
            p[run.name, "answer", hop] = at_least(one)
            p[run.name, "steps", hop] = at_least({**one, "acc": one["derived"], "n": one["n_derived"]})
    (least, smallest), (_, next_one), *_ = sorted(p.items(), key=lambda one: one[1])
    assert least == ("variable_chain-standard-seed2", "steps", 3) and next_one * (len(p) - 1) > 1
    first, second, third = (
        short(kept(DERIVED / "mixed" / least[0])[2][f"variable_chain_hop{hop}"]["derived"]) for hop in (1, 2, 3)
    )
    assert f"seed 2 of the standard model ({third}, with {first} at 1 hop and {second} at 2" in told
    assert f"Holm over the {len(p)} figures of the two: p = {short(smallest * len(p))}, and no other is below 1" in told


def test_the_commands_ask_as_many_questions_as_the_tables_tell() -> None:
    (answers,) = re.findall(r"^nexus-bench export .* --out answers$", PAGE, flags=re.MULTILINE)
    assert "--n 1000 " in answers and "1,000 that ask for the answer" in " ".join(PAGE.split())


def test_what_nests_cost_more() -> None:
    def times(folder: str, task: str) -> list[str]:
        counts = [
            kept(DERIVED / folder / f"{task}-{model}-seed0")[1]["flops_per_token"]
            for model in ("standard", "order2", "order3")
        ]
        return [f"{count / counts[0]:.1f}" for count in counts[1:]]

    alone, beside = times("alone", "variable_chain"), times("mixed", "variable_chain")
    assert times("mixed", "pointer_chase") == beside
    told = f"take {' and '.join(alone)} times the operations per token here (beside prose {' and '.join(beside)})"
    assert told in " ".join(PAGE.split())


def test_who_knows_one_hop_of_pointer_chase_can_rule_its_name_out_at_two() -> None:
    assert "above 1/7 = .143" in PAGE and "all graphs are rings of 9" in " ".join(PAGE.split())
    for item in itertools.islice(dataset("pointer_chase", hops="1-3", **OPTIONS["pointer_chase"]), 60):
        after = dict(item.facts.tolist())
        path = [next(iter(after))]
        while (reached := after[path[-1]]) not in path:
            path.append(reached)
        assert len(path) == 9 and reached == path[0]


def test_nests_are_not_seen_to_predict_prose_better() -> None:
    def apart(model: str) -> list[float]:
        losses = {
            (task, one, n): kept(DERIVED / "mixed" / f"{task}-{one}-seed{n}")[1]["held_out_loss"]
            for task in ("pointer_chase", "variable_chain")
            for one in ("standard", model)
            for n in (0, 1, 2)
        }
        return [loss - losses[task, "standard", n] for (task, one, n), loss in losses.items() if one == model]

    second, third = apart("order2"), apart("order3")
    assert f"by {interval(second)} and {interval(third)} in the mean (95% t-intervals of six pairs)" in " ".join(
        PAGE.split()
    )
    most = max(map(abs, second + third))
    assert f"and by {short(most)} at most." in " ".join(PAGE.split())


def interval(differences: list[float]) -> str:
    assert len(differences) == 6
    mean, low, high = t_interval(differences, bounds=(-inf, inf))
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]".replace("0.", ".")


def at_least(asked: dict[str, Any]) -> float:
    """How likely chance answers as many."""
    n, chance = asked["n"], asked["chance"]
    return sum(comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(round(asked["acc"] * n), n + 1))
