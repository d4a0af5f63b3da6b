"""The same said in several ways is the same: words and options, `key=value` and `--set`, lists with commas."""

import json
from pathlib import Path

import pytest

from nexus_bench.cli.words import read_words
from tests.conftest import Command, assert_fails
from tests.small import TINY


def config_of(command: Command, line: str) -> dict[str, object]:
    done = command(*f"train {line} --print-config --json".split())
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["config"])


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("quick steps=7 d_model=8", "quick --set steps=7 --set d_model=8"),
        ("steps=7 quick lr=1e-2,1e-3", "--suite quick --steps 7 --lr 1e-2,1e-3"),
        ("quick train.batch_size=4 model.d_model=8 task.n_nodes=13", "--batch-size 4 d_model=8 n_nodes=13"),
        ("reachable", "--task reachable"),
        ("reachable,kinship --order 1,2", "--task reachable,kinship order=1,2"),
        ("--seeds 0,2,5", "seeds=0,2,5"),
        ("--attention nexus", "--attention standard,nexus suite=quick-nexus"),
    ],
)
def test_train_says_the_same_in_several_ways(line: str, same: str, command: Command) -> None:
    assert config_of(command, line) == config_of(command, same)


def test_options_reach_the_recipe(command: Command) -> None:
    config = config_of(command, "quick --steps 7 --lr 1e-2,1e-3 --batch-size 4 --seeds 5")
    assert (config["train"], config["seeds"]) == ({"steps": 7, "lr": [1e-2, 1e-3], "batch_size": 4}, 5)


def test_a_printed_config_is_a_suite_that_trains_the_same(command: Command) -> None:
    printed = command(*"train reachable --attention nexus,tree n_chains=3 --steps 7 --print-config".split()).stdout
    assert printed.startswith("suite: reachable-nexus-tree\n") and not Path("runs").exists()
    Path("again.yaml").write_text(printed)
    assert command(*"train again.yaml --print-config".split()).stdout == printed


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("show kinship --hops 2", "show --task kinship --hops 2"),
        ("show group_word group=A_5", "show --set group=A_5 --task group_word"),
        ("match pointer_chase --attention nexus", "match --task pointer_chase --attention nexus"),
        (
            "bench gen --hops 1 --json --seconds 0.01 nowhere,kinship",
            "bench gen --hops 1 --seconds 0.01 nowhere kinship",
        ),
        ("check gated,pointer_chase hops=1", "check gated pointer_chase --set hops=1"),
        ("gen kinship -n 3 --hops 1 n_test=2 -o d", "gen --task kinship --n 3 --hops 1 --n-test 2 --out d"),
    ],
)
def test_commands_say_the_same_in_several_ways(line: str, same: str, command: Command) -> None:
    one, other = command(*line.split()), command(*same.split())
    assert (one.returncode, one.stderr) == (other.returncode, other.stderr)
    assert sorted(one.stdout.splitlines()) == sorted(other.stdout.splitlines())
    assert one.stdout or "unknown task 'nowhere'" in one.stderr


def test_a_path_with_an_equals_sign_is_no_setting() -> None:
    assert read_words(["runs/lr=1/spec.yaml", "./a=b", "lr=1"]) == (["runs/lr=1/spec.yaml", "./a=b"], ["lr=1"])


def test_init_writes_a_suite_that_trains_and_whose_comments_are_defaults(command: Command) -> None:
    made = command(*"init own.yaml --task reachable,pointer_chase --attention nexus,tree --hops 1-2".split())
    assert made.stdout == "own.yaml\nnext: nexus-bench train own.yaml --dry-run\n"
    planned = json.loads(command(*"train own.yaml --print-config --json".split()).stdout)
    assert (planned["suite"], planned["n_cells"]) == ("own", 2 * 4 * 3)
    text = Path("own.yaml").read_text()
    told = [line for line in text.splitlines() if line.startswith(("  # ", "    # "))]
    assert len(told) > 10
    changed = [line.replace("# ", "", 1) if line in told else line for line in text.splitlines()]
    Path("all.yaml").write_text("\n".join(changed))
    plan = "--dry-run --json --executor inline --steps 1".split()
    plans = [json.loads(command("train", file, *plan).stdout)["cells"] for file in ("own.yaml", "all.yaml")]
    assert [cell["cell_id"] for cell in plans[0]] == [cell["cell_id"] for cell in plans[1]]
    again = command("init", "own.yaml")
    assert again.returncode == 2 and "own.yaml: exists already, and is kept" in again.stderr
    assert Path("own.yaml").read_text() == text


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--hops 3-1", 3, "a b.yaml: pointer_chase: hops '3-1' run backwards"),
        ("--hops 1-99", 3, "hops must be in"),
        ("--attention nexuss", 3, "unknown attention 'nexuss'; did you mean 'nexus'?"),
        ("--task ,", 2, "--task is empty"),
        ("--task reachable,reachable", 3, "the grid holds the same cell twice"),
    ],
)
def test_init_writes_no_suite_that_cannot_be_trained(command: Command, words: str, code: int, message: str) -> None:
    assert_fails(command("init", "a b.yaml", *words.split()), code, message)
    assert not Path("a b.yaml").exists()


def test_init_writes_the_encoding_that_an_attention_needs_and_a_command_that_can_be_pasted(command: Command) -> None:
    made = command("init", "a b.yaml", "--attention", "mamba2")
    assert made.stdout.splitlines()[1] == "next: nexus-bench train 'a b.yaml' --dry-run"
    planned = json.loads(command("train", "a b.yaml", "--print-config", "--json").stdout)
    assert planned["config"]["model"]["encoding"] == "flat"


def test_runs_lists_what_is_there_and_how_far_it_is(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    assert command("runs").stderr == "no runs below runs; `nexus-bench train quick` makes one\n"
    assert command(*"train tiny.yaml --executor inline -q -o runs/x/whole".split()).returncode == 0
    assert command(*"train tiny.yaml --executor inline -q -o runs/half order=2 --seeds 1".split()).returncode == 0
    spec = Path("runs/half/spec.yaml")
    assert command(*"train tiny.yaml --executor inline -q -o runs/odd --seeds 1".split()).returncode == 0
    spec = Path("runs/odd/results.csv")
    spec.write_text(spec.read_text()[:-30])
    found = {run["path"]: run for run in json.loads(command("runs", "--json").stdout)["runs"]}
    whole, odd = found["runs/x/whole"], found["runs/odd"]
    assert (whole["state"], whole["n_cells"], whole["n_planned"], whole["suite"]) == ("done", 4, 4, "tiny")
    assert whole["n_bytes"] == sum(p.stat().st_size for p in Path("runs/x/whole").rglob("*") if p.is_file())
    assert odd["state"] == "unreadable" and "results.csv" in odd["problem"]
    shown = command("runs").stdout
    assert "runs/x/whole" in shown and "4 of 4" in shown and odd["problem"] in shown


def test_a_new_suite_shows_how_a_comparison_is_declared_and_it_can_be(command: Command) -> None:
    assert command("init", "own.yaml").returncode == 0
    text = Path("own.yaml").read_text()
    assert "a comparison of models needs 6, more of them 7 to 10" in text
    shown = '# comparisons:\n#   - {model: "nexus, order 2", baseline: standard}\n'
    assert shown in text
    Path("own.yaml").write_text(text.replace(shown, shown.replace("# ", "").replace("#", "")))
    done = command(*"train own.yaml --dry-run".split())
    assert done.returncode == 0 and done.stdout.endswith(
        "1 declared comparison needs 6 seeds; with 3 none can be shown\n"
    )
    assert "[default: ]" not in command("init", "-h").stdout
