"""results.csv as it is read back: its types, and what damage is told."""

from pathlib import Path

import pytest

from nexus_bench.errors import CorruptArtefactError, StorageError, UsageError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.columns import COLUMNS
from nexus_bench.io.read_results import read_results
from nexus_bench.io.seal import replace_sealed
from tests.paths import EXAMPLES


def test_results_have_the_stated_columns_and_types() -> None:
    frame = read_results(EXAMPLES / "quick")
    assert list(frame.columns) == [column.name for column in COLUMNS]
    types = {column.name: column.dtype for column in COLUMNS}
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == types
    assert ((frame["n_correct"] / frame["n_examples"] - frame["accuracy"]).abs() < 1e-6).all()


def less_accurate(text: str) -> str:
    """The fifth row a thousandth less accurate."""
    lines = text.splitlines(keepends=True)
    at = lines[0].split(",").index("accuracy")
    fields = lines[5].split(",")
    fields[at] = f"{float(fields[at]) - 0.001:.6g}"
    return "".join([*lines[:5], ",".join(fields), *lines[6:]])


def too_many_right(text: str) -> str:
    """The fifth row with more answers right than were asked."""
    lines = text.splitlines(keepends=True)
    names, fields = lines[0].rstrip().split(","), lines[5].split(",")
    at, n = names.index("n_correct"), int(fields[names.index("n_examples")])
    fields[at], fields[names.index("accuracy")] = str(2 * n), "2.0"
    return "".join([*lines[:5], ",".join(fields), *lines[6:]])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text[: len(text) // 2], "is truncated"),
        (lambda text: text.replace("accuracy", "acuracy", 1), "lacks the columns accuracy"),
        (lambda text: text.replace(",1024,", ",many,", 1), "is truncated or edited"),
        (lambda text: "", "is truncated or edited"),
        (
            lambda text: text.splitlines(keepends=True)[0],
            "has no rows: no cell is done, or it is truncated; make it again$",
        ),
        (
            lambda text: text + text.splitlines(keepends=True)[-1],
            r"\d+: was edited: the cell has two rows of this spl",
        ),
        (
            lambda text: "".join(line for i, line in enumerate(text.splitlines(keepends=True)) if i != 5),
            r"\d+: was edited: the cell lacks a hop of this split",
        ),
        (too_many_right, "6: was edited: n_correct is not from 0 to n_examples"),
        (less_accurate, "6: was edited: accuracy is not n_correct / n_examples"),
    ],
)
def test_damaged_results_are_named(edit: object, message: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "quick" / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(edit(text))  # type: ignore[operator]
    with pytest.raises(CorruptArtefactError, match=rf"results\.csv: ?{message}"):
        read_results(tmp_path)


def with_value(text: str, column: str, value: str, rows: slice) -> str:
    """A table with this value in some rows."""
    head, *lines = text.splitlines()
    at = head.split(",").index(column)
    changed = [",".join(value if i == at else field for i, field in enumerate(line.split(","))) for line in lines[rows]]
    lines[rows] = changed
    return "\n".join([head, *lines, ""])


@pytest.mark.parametrize("rows", [slice(6, 7), slice(None)])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("n_facts", "6.5"), ("n_correct", "3.5"), ("seed", "0.5"), ("seed", ""), ("hop", "1e30"), ("hop", "9" * 23)),
        *(("hop", ""), ("hop", "-1"), ("task", "../../x"), ("task", ""), ("train_hops", ""), ("train_hops", "zz")),
        *(("vocab_size", ""), ("status", "zzz"), ("status", ""), ("chance", "7"), ("accuracy", ""), ("split", "../x")),
        *(("model", "[/x]"), ("model", "$\\frac{$"), ("model", "\x1b[31mx"), ("suite", ""), ("encoding", "")),
    ],
)
def test_an_impossible_value_is_told_in_one_line(column: str, value: str, rows: slice, tmp_path: Path) -> None:
    text = (EXAMPLES / "quick" / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(with_value(text, column, value, rows))
    with pytest.raises(CorruptArtefactError, match=r"results\.csv: ?(\d+: was edited|is truncated or edited)") as told:
        read_results(tmp_path)
    assert "\n" not in str(told.value)


def test_a_later_evaluation_may_be_named_for_any_setting(tmp_path: Path) -> None:
    text = (EXAMPLES / "quick" / "results.csv").read_text()
    rows = [line for line in text.splitlines() if ",test," in line]
    later = "\n".join(rows).replace(",test,", ",eval_n_nodes=17_n5,")
    (tmp_path / "results.csv").write_text(f"{text}{later}\n")
    assert "eval_n_nodes=17_n5" in set(read_results(tmp_path)["split"])


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, "") for name in ("steps", "lr", "n_layers", "n_params", "order", "curriculum")),
        *((name, "77") for name in ("n_facts", "task_version", "mlp_ratio", "reuse")),
        *((name, "x=1") for name in ("task_options", "attention_options", "recipe_options")),
    ],
)
def test_a_cell_with_two_values_of_a_setting_is_told(column: str, value: str, tmp_path: Path) -> None:
    text = (EXAMPLES / "quick" / "results.csv").read_text()
    (tmp_path / "results.csv").write_text(with_value(text, column, value, slice(1, 2)))
    with pytest.raises(CorruptArtefactError, match=rf"was edited: the cell has two values of {column}"):
        read_results(tmp_path)


def test_a_column_that_older_files_lack_is_read_as_empty_and_checked_where_it_is(tmp_path: Path) -> None:
    header, *rows = (EXAMPLES / "quick" / "results.csv").read_text().splitlines()
    assert "model_options" not in header and read_results(EXAMPLES / "quick")["model_options"].isna().all()
    newer = [f"{header},model_options", f"{rows[0]},inject=true", *(f"{row}," for row in rows[1:])]
    (tmp_path / "results.csv").write_text("\n".join(newer) + "\n")
    with pytest.raises(CorruptArtefactError, match="was edited: the cell has two values of model_options"):
        read_results(tmp_path)


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StorageError, match="is not a run folder; make one with `nexus-bench train`"):
            read_results(folder)
    replace_sealed(tmp_path, {"spec.yaml": "suite: s\n"})
    with pytest.raises(UsageError, match=r"no cell is finished yet; `nexus-bench train .*` goes on with it$"):
        read_results(tmp_path)


def test_a_retrofit_without_results_goes_on_with_its_own_command(tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"spec.yaml": "suite: s\nretrofit:\n  model: m\n"})
    with pytest.raises(UsageError, match=r"no cell is finished yet; the same `nexus-bench retrofit` goes on with it$"):
        read_results(tmp_path)


def test_a_spec_that_cannot_be_read_is_told_by_every_reader(tmp_path: Path) -> None:
    replace_sealed(tmp_path, {"spec.yaml": "suite: s\n  models: [\n"})
    for read in (RunFolder(tmp_path).read_spec, lambda: RunFolder(tmp_path).check("s")):
        with pytest.raises(CorruptArtefactError, match=r"spec\.yaml:2: .*; the file was edited after train wrote it"):
            read()
