"""What a cell is trained and scored on is whole before training begins."""

from pathlib import Path

import pytest

from tests.conftest import Command, assert_fails

SPARSE = "train --task pointer_chase --hops 1-5 --attention standard --set n_queries=1 --set n_nodes=16 --set steps=5"
QUIET = "--seeds 1 --executor inline --quiet"


@pytest.mark.parametrize(
    ("settings", "split", "size"), [("--set n_val=4", "val", "n_val"), ("--set n_test=4", "test", "n_test")]
)
@pytest.mark.parametrize("curriculum", ["none", "adaptive"])
def test_a_split_that_lacks_a_hop_is_refused_before_training(
    command: Command, settings: str, split: str, size: str, curriculum: str
) -> None:
    ran = command(*f"{SPARSE} {settings} --set curriculum={curriculum} {QUIET} --out r".split())
    assert ran.returncode == 3
    assert f"pointer_chase, seed 0: split '{split}' has no example of hop " in ran.stderr
    assert ran.stderr.rstrip().endswith(f"among its 4 queries; raise {size} from 4")
    assert not Path("r").exists()


def test_every_seed_is_checked_before_the_first_is_trained(command: Command) -> None:
    """With 14 graphs of one query, seed 1 has all five hops in validation, and seed 3 has not."""
    ran = command(*f"{SPARSE} --set n_val=14 --set seeds=1,3 --executor inline --quiet --out r".split())
    assert ran.returncode == 3 and "pointer_chase, seed 3: split 'val' has no example of hop" in ran.stderr
    assert not Path("r").exists()


def test_a_dataset_that_lacks_a_hop_is_refused(command: Command) -> None:
    made = command(*"gen --task pointer_chase --hops 1-5 --n 50 --set n_queries=1 --set n_val=4 --out d -q".split())
    assert made.returncode == 0
    ran = command(*f"train --attention standard --data d --set steps=5 {QUIET} --out r".split())
    assert ran.returncode == 3 and ran.stderr.startswith("error: d: split 'val' has no example of hop")


def test_a_task_with_too_few_worlds_is_refused_by_the_plan(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus_bench.experiment.sources.Splits", None)  # nothing need be drawn
    line = "train --task pointer_chase --attention standard --hops 1 n_nodes=3 vocab_size=5 --out run"
    reason = "pointer_chase: too few distinct graphs: 1,280 of validation and test need 2,560, there are 20; lower n_"
    for more in ("--dry-run", ""):
        assert_fails(command(*line.split(), *more.split(), "--quiet"), 3, reason)
    assert not Path("run").exists()
