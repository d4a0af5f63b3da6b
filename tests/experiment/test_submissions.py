"""A submitted run is accepted as it was trained, and refused if anything in it was changed, left out or invented."""

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from nexus_bench.errors import CheckFailedError, ConfigError, CorruptArtefactError, NexusBenchError, StorageError
from nexus_bench.experiment.submissions import check_submission
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.csv_files import rows_of, to_csv
from nexus_bench.io.read_results import read_results
from nexus_bench.io.seal import replace_sealed
from tests.packs import pack
from tests.paths import EXAMPLES, ROOT

FILES = ("results.csv", "curve.csv", "timing.csv", "spec.yaml", "env.json", "seal.json")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of nine cells, without weights."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in FILES:
        shutil.copy(EXAMPLES / "quick" / name, folder)
    return folder


def resealed(run: Path, results: pd.DataFrame) -> None:
    """The run with other results, under a seal that holds: as somebody does who computes all hashes again."""
    replace_sealed(run, {"results.csv": to_csv(rows_of(results), COLUMNS)})


def test_a_run_as_it_was_trained_is_accepted(run: Path) -> None:
    found = check_submission(run)
    assert (found.tasks, found.n_models, found.n_cells, found.n_failed) == (["pointer_chase"], 3, 9, 0)
    resealed(run, read_results(run))
    assert check_submission(run) == found, "so that what is refused below is not refused for its seal"


def test_a_row_of_a_packed_table_that_is_not_of_its_cell_is_told_of_the_file_that_is_there(run: Path) -> None:
    results = read_results(run)
    results["flops_per_step"] -= 1
    resealed(run, results)
    pack(run / "results.csv")
    with pytest.raises(CorruptArtefactError, match=r"results\.csv\.gz: .*: flops_per_step is "):
        check_submission(run)
    results.loc[results["cell_id"] == results["cell_id"].iloc[-1], "cell_id"] = "0" * 16
    resealed(run, pd.concat([read_results(run), results[results["cell_id"] == "0" * 16]]))
    pack(run / "results.csv")
    with pytest.raises(CorruptArtefactError, match=r"results\.csv\.gz: has cell 0{16}, which is not of its suite"):
        check_submission(run)


def test_a_run_of_sequences_that_were_read_at_every_place_is_accepted(tmp_path: Path) -> None:
    kept, run = ROOT / "runs" / "reproductions" / "path-star" / "small", tmp_path / "kept"
    assert check_submission(kept).n_cells == 6, "its tables are packed"
    run.mkdir()
    for path in kept.glob("*.*"):
        content = path.read_bytes()
        (run / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    assert check_submission(run).n_cells == 6
    results = read_results(run)
    results["flops_per_step"] -= 1
    resealed(run, results)
    with pytest.raises(CorruptArtefactError, match="flops_per_step is "):
        check_submission(run)


def test_an_edited_number_is_refused(run: Path) -> None:
    path = run / "results.csv"
    row = next(line for line in path.read_text().splitlines() if ",test,2," in line)
    n, right, accuracy = row.split(",test,2,")[1].split(",")[:3]
    better = row.replace(f",{n},{right},{accuracy},", f",{n},{n},1.0,")
    assert better != row
    path.write_text(path.read_text().replace(row, better))
    with pytest.raises(CorruptArtefactError, match=r"results\.csv: was edited or cut: other rows of cell \w{16}"):
        check_submission(run)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(CorruptArtefactError, match=f"{name}.*is missing"):
        check_submission(run)


def test_missing_cells_and_hops_are_refused(run: Path) -> None:
    results = read_results(run)
    first = results["cell_id"].iloc[0]
    resealed(run, results[results["cell_id"] != first])
    with pytest.raises(
        CheckFailedError,
        match=r"mine: lacks 1 cell of its suite, such as pointer_chase hops 1-3 \| standard \| seed 0;",
    ):
        check_submission(run)
    resealed(run, results[~((results["cell_id"] == first) & (results["split"] == "hop_ood"))])
    with pytest.raises(CheckFailedError, match=r"\| standard \| seed 0: split hop_ood lacks hop 4; submit"):
        check_submission(run)


def test_failed_cells_are_accepted_as_failed(run: Path) -> None:
    results = read_results(run)
    is_first = results["cell_id"] == results["cell_id"].iloc[0]
    numbers = ["n_examples", "n_correct", "accuracy", "chance", "shortcut", "partial_input", "loss", "steps_to_95"]
    results.loc[is_first, [*numbers, "n_params", "flops_per_step", "steps_done", "shortcut_name"]] = pd.NA
    results.loc[is_first, "status"] = "failed"
    resealed(run, results)
    assert check_submission(run).n_failed == 1


def test_cells_of_another_suite_are_refused(run: Path) -> None:
    results = read_results(run)
    one = results[results["cell_id"] == results["cell_id"].iloc[0]].assign(cell_id="0123456789abcdef", seed=77)
    resealed(run, pd.concat([results, one]))
    with pytest.raises(CorruptArtefactError, match="has cell 0123456789abcdef, which is not of its suite"):
        check_submission(run)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("n_params", 5000, "n_params is 5000, but the suite comes to 52472"),
        ("flops_per_step", 1, "flops_per_step is 1, but the suite comes to 163381248"),
        ("model", "mine", "model is mine, but the suite comes to standard"),
        ("seed", 7, "seed is 7, but the suite comes to 0"),
        ("partial_input", 0.5, r"hop 1: partial_input is 0\.5, but the suite comes to 0\.09"),
        ("chance", 0.01, r"hop 1: chance is 0\.01, but the suite comes to 0\.09"),
    ],
)
def test_what_can_be_computed_again_is(run: Path, column: str, value: object, told: str) -> None:
    results = read_results(run)
    results.loc[results["cell_id"] == results["cell_id"].iloc[0], column] = value
    resealed(run, results)
    with pytest.raises(CorruptArtefactError, match=told):
        check_submission(run)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("pointer_chase", "pointer_chaos", "unknown task 'pointer_chaos'; did you mean 'pointer_chase'"),
        ("attention: nexus", "attention: nexsu", "unknown attention 'nexsu'; did you mean 'nexus'"),
    ],
)
def test_an_unknown_task_or_attention_is_refused(run: Path, old: str, new: str, told: str) -> None:
    text = (run / "spec.yaml").read_text()
    assert old in text
    replace_sealed(run, {"spec.yaml": text.replace(old, new)})
    with pytest.raises(ConfigError, match=told):
        check_submission(run)


@pytest.mark.parametrize("where", ["nowhere", "README.md"])
def test_what_is_no_run_is_refused(tmp_path: Path, where: str) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(NexusBenchError, match=where) as raised:
        check_submission(tmp_path / where)
    assert isinstance(raised.value, StorageError | CorruptArtefactError)
