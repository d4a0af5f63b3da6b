"""What other tools call a thing, or what is said twice or with spaces, is answered by the command that works."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from nexus_bench.experiment import suite as suites
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.config import Config
from nexus_bench.io.read_results import read_results
from tests.conftest import Command, assert_fails, without_start
from tests.small import TINY


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train --task reachable --task kinship", "--task is given twice; .* commas: --task reachable,kinship$"),
        ("train --attention=nexus --attention tree", "commas: --attention nexus,tree$"),
        ("train --lr 1e-3 --lr 3e-3", "commas: --lr 1e-3,3e-3$"),
        ("train --lr 1e-3 lr=3e-3", "commas: --lr 1e-3,3e-3$"),
        ("train --seeds 1 --seeds 2", "commas: --seeds 1,2$"),
        ("gen --hops 1 --hops 3", "commas: --hops 1,3$"),
        ("gen --hops 2 --hops 2", "--hops is given twice; keep one$"),
        ("status --run a --run b", "--run is given twice; keep one$"),
        ("train steps=3 steps=4", "commas: --steps 3,4$"),
        ("retrofit m --task kinship --steps 2 --set steps=0", "--steps 2 and --set steps=0 are both given; keep one$"),
        ("retrofit m --set=steps=3 steps=2", "--steps 2 and --set steps=3 are both given; keep one$"),
        ("train --steps 3 --set steps=4", "--steps 3 and --set steps=4 are both given; keep one$"),
        ("train --batch-size 3 --set batch_size=4", "--batch-size 3 and --set batch_size=4 are both given; keep one$"),
        ("train --hops 1-3 --set hops=1", "--hops 1-3 and --set hops=1 are both given; keep one$"),
        ("show kinship --hops 3 --set hops=2", "--hops 3 and --set hops=2 are both given; keep one$"),
        ("gen kinship --n-test 8 --set n_test=9", "--n-test 8 and --set n_test=9 are both given; keep one$"),
        ("train --set steps=3 --set steps=4", "--set steps is given twice; keep one$"),
        ("train lr = 1e-3", "write lr=1e-3$"),
        ("train lr =1e-3", "write lr=1e-3$"),
        ("train lr= 1e-3", "write lr=1e-3$"),
        ("train steps: 10", "write steps=10$"),
        ("train steps:10", "write steps=10$"),
        ("train lr=1e-3 3e-3", "commas: --lr 1e-3,3e-3$"),
        ("train d_model=8, 16", "commas: d_model=8,16$"),
        ("train --lr 1e-3 3e-3 4e-3", "commas: --lr 1e-3,3e-3,4e-3$"),
        ("train quick reachable", "write `nexus-bench train quick --task reachable`"),
        ("train reachable,kinship quick", "write `nexus-bench train quick --task reachable,kinship`"),
        ("train reachable tree", "write `nexus-bench train --task reachable --attention tree`"),
        ("train --model nexus", "write --attention nexus$"),
        ("train --learning-rate 1e-3", "write --lr 1e-3$"),
        ("train --layers=2", "write n_layers=2$"),
        ("train --heads 4", "write n_heads=4$"),
        ("train --gpus 2", "write --device cuda$"),
        ("train --bs 64", "write --batch-size 64$"),
        ("train --precision bf16", "write --mode bfloat16$"),
        ("train --wandb", "write --logger wandb$"),
        ("train --output-dir x", "write --out x$"),
        ("train --epochs 3", "write --steps N$"),
        ("train -m lr=1e-3,3e-3", "no option -m; lists with commas span a grid"),
        ("train --resume", "the same command goes on"),
        ("gen --n-train 5", "write --n 5$"),
        ("show --task", "as in `nexus-bench show --task kinship --seed 7`"),
        ("compare --new a b", "--new comes with --base; give both$"),
    ],
)
def test_a_likely_line_is_answered_by_what_to_write(line: str, message: str, command: Command) -> None:
    done = command(*line.split())
    assert_fails(done, 2, "error: ")
    assert re.search(message, done.stderr.strip()), done.stderr


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("train model=nexus", 3, "did you mean 'attention'?"),
        ("train layers=2", 3, "did you mean 'n_layers'?"),
        ("train taks=kinship", 3, "did you mean 'task'?"),
        ("train --data .", 5, ".: is not a dataset; make a dataset with `nexus-bench gen --out FOLDER`"),
        ("train --seeds 3-1", 3, "got '3-1'"),
    ],
)
def test_a_likely_setting_is_answered_by_its_name_here(line: str, code: int, message: str, command: Command) -> None:
    assert_fails(command(*line.split()), code, message)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("attention=nexus task=kinship", "--attention nexus --task kinship"),
        ("+steps=10 ++train.lr=1e-2 d-model=8", "steps=10 lr=1e-2 d_model=8"),
        ("--order 1-3 --seeds 0-2", "--order 1,2,3 --seeds 0,1,2"),
        (["--order", "1 2 3"], "order=1,2,3"),
        ("--set order=1,2-3", "order=1,2,3"),
        ("-q --task reachable -o x", "-q reachable out=x"),
    ],
)
def test_what_can_only_mean_one_thing_is_read(line: str | list[str], same: str, command: Command) -> None:
    words = line if isinstance(line, list) else line.split()
    done, other = (command("train", *given, "--print-config") for given in (words, same.split()))
    assert (done.returncode, done.stdout) == (0, other.stdout)


def test_a_whole_number_can_be_written_as_a_power_of_ten(command: Command) -> None:
    lines = ("--steps 1e1 --batch-size 4e0", "--steps 10 --batch-size 4")
    plans = [command(*f"train --dry-run --json --seeds 1 order=2 {line}".split()).stdout for line in lines]
    ids = [re.findall(r'"cell_id": "(\w+)"', plan) for plan in plans]
    assert ids[0] == ids[1] != []
    assert_fails(command("train", "--steps", "1.5"), 3, "steps: input should be a valid integer, got 1.5")


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("status --run runs/tiny", "status runs/tiny"),
        ("eval --run runs/tiny hops=9-8", "eval runs/tiny --hops 9-8"),
        ("verify --data=nowhere", "verify nowhere"),
        ("compare --new a --base runs/tiny", "compare runs/tiny a"),
        ("inspect n=0 --run runs/tiny", "inspect runs/tiny n=0"),
    ],
)
def test_arguments_can_be_given_as_options(line: str, same: str, command: Command) -> None:
    one, other = command(*line.split()), command(*same.split())
    assert (one.returncode, one.stdout, one.stderr) == (other.returncode, other.stdout, other.stderr)
    assert "No such option" not in one.stderr


@pytest.mark.parametrize("group", ["new", "bench"])
def test_a_group_without_a_command_prints_its_help(group: str, command: Command) -> None:
    done = command(group)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"Usage: nexus-bench {group}")
    assert "\\n" not in done.stdout and "\x1b" not in done.stdout


def test_commands_for_each_of_a_list_work(command: Command) -> None:
    said = command("show", "reachable,kinship").stderr
    for line in re.findall("`nexus-bench (.*?)`", said):
        assert command(*shlex.split(line)).returncode == 0, line
    assert len(re.findall("`", said)) == 4


def test_further_hops_that_are_trained_are_left_out_and_this_is_said(command: Command) -> None:
    line = "train quick --dry-run --seeds 1 --steps 1 order=2".split()
    done = command(*line, "--hops", "1-4")
    assert done.returncode == 0
    assert "further hops (hop_ood): none; the suite has 4, of which some are trained now" in done.stdout
    assert "further hops" not in command(*line, "--hops", "1-2").stdout
    assert_fails(command(*line, "--hops", "1-4", "hop_ood=4"), 3, "hop_ood must hold hops that are not trained, got 4")


def test_orders_without_a_baseline_say_how_one_is_added(command: Command) -> None:
    line = "train --dry-run --steps 1 --seeds 1 --order 2 --attention".split()
    said = command(*line, "nexus").stdout
    assert "no baseline is trained; attention=standard,nexus adds it" in said
    assert "no baseline" not in command(*line, "standard,nexus").stdout


def test_a_changed_suite_loses_its_summary(command: Command) -> None:
    assert "summary" in command("train", "quick", "--print-config").stdout
    assert "summary" not in command(*"train quick n_layers=3 --print-config".split()).stdout


def test_a_run_folder_goes_on_and_other_settings_get_a_folder_beside_it(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    train = "train --executor inline order=1 --seeds 1".split()
    assert command(*train, "tiny.yaml").returncode == 0
    kept = Path("runs/tiny/results.csv").read_bytes()
    again = command("train", "runs/tiny", "--executor", "inline")
    assert without_start(again.stderr) == "2 of 2 cells are already done\n"
    other = command(*train, "tiny.yaml", "--steps", "10", "--quiet")
    assert other.returncode == 0 and "runs/tiny holds a study of other settings, which is kept" in other.stderr
    assert Path("runs/tiny/results.csv").read_bytes() == kept and len(list(Path("runs").iterdir())) == 2
    more = command("train", "runs/tiny", "--executor", "inline", "--seeds", "2")
    assert more.returncode == 0 and "\n2 of 4 cells are already done\n" in more.stderr
    assert_fails(command("status", "tiny"), 5, "tiny: is not a run folder; did you mean runs/tiny?")
    assert_fails(
        command("report", "runs"), 5, "runs: is not a run folder; give one of those in it: runs/tiny, runs/tiny-"
    )


def test_a_dataset_in_the_place_of_a_suite_is_named_as_one(command: Command) -> None:
    assert command(*"gen --hops 1 --n 3 --n-test 3 --out d".split()).returncode == 0
    assert_fails(command("train", "d"), 2, "d: is a dataset; write `nexus-bench train --data d`")


def test_help_is_also_a_word(command: Command) -> None:
    assert command("train", "help").stdout == command("train", "-h").stdout != ""


def test_completion_is_that_of_the_shell_that_is_named(command: Command) -> None:
    assert "#compdef nexus-bench" in command("--show-completion", "zsh").stdout
    assert "complete --command nexus-bench" in command("--show-completion", "fish").stdout
    assert_fails(command("--show-completion", "zhs"), 2, "unknown shell 'zhs'; did you mean 'zsh'?")


def test_of_an_option_with_one_value_the_last_counts(command: Command) -> None:
    """So a script can add to a line."""
    last = command("show", "kinship", "--seed", "1", "--seed", "2")
    assert last.returncode == 0 and last.stdout == command("show", "kinship", "--seed", "2").stdout


def test_fewer_seeds_of_a_run_train_nothing_else_and_lose_no_row(command: Command) -> None:
    Path("tiny.yaml").write_text(TINY)
    train = "train tiny.yaml --executor inline order=1 --seeds".split()
    assert command(*train, "3").returncode == 0
    kept = {path: path.read_bytes() for path in Path("runs/tiny").rglob("*.csv")}
    again = command(*train, "1")
    told = "runs/tiny holds this study with 3 seeds, and keeps them; of these 1 is trained, if need be (--out chooses"
    assert again.returncode == 0 and told in again.stderr and "6 of 6 cells are already done\n" in again.stderr
    assert {path: path.read_bytes() for path in Path("runs/tiny").rglob("*.csv")} == kept
    assert command(*train, "1,0").returncode == 0
    assert {path: path.read_bytes() for path in Path("runs/tiny").rglob("*.csv")} == kept, "in any order"
    assert [path.name for path in Path("runs").iterdir()] == ["tiny"]
    shutil.rmtree("runs/tiny/cells")
    Path("runs/tiny/cells").mkdir()  # else it is a copy, which is restored
    planned = command(*train, "0,2", "--dry-run").stdout
    assert [line.split()[-1] for line in planned.splitlines()].count("left") == 2 and "4 of 6 cells to train" in planned
    folder = RunFolder(Path("runs/tiny"))
    left = [cell.cell_id for cell in suites.suite_of(folder).cells if cell.seed == 1]
    folder.cells.save_failure(left[0], "no such luck")
    assert command(*train, "0,2").returncode == 0
    results = read_results(Path("runs/tiny"))
    assert set(results[results["status"] == "failed"]["cell_id"]) == {left[0]} and set(results["seed"]) == {0, 1, 2}
    assert len(list(Path("runs/tiny/cells").glob("*/result.json"))) == 4
    assert "seeds: 3" in Path("runs/tiny/spec.yaml").read_text()


def test_a_run_of_a_suite_whose_name_begins_alike_is_not_read(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def noted(config: Config, where: str) -> suites.Suite:
        made.append(where)
        return make(config, where)

    make = suites.make_suite
    Path("tiny.yaml").write_text(TINY)
    train = "train tiny.yaml --executor inline --quiet order=1".split()
    assert command(*train).returncode == 0
    assert command(*train, "suite=tiny-2").returncode == 0
    monkeypatch.setattr(suites, "make_suite", noted)
    assert command(*train, "steps=10", "--dry-run").returncode == 0
    assert "runs/tiny" in made and "runs/tiny-2" not in made
