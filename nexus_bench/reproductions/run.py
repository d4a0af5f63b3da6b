"""The run folder of a reproduction: its questions are asked, its state is told, its claim is judged and written."""

from collections.abc import Callable
from pathlib import Path

from nexus_bench.errors import UsageError
from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.experiment.run_folder import open as open_run
from nexus_bench.experiment.suite import Suite, suite_of
from nexus_bench.experiment.trained_cells import selected
from nexus_bench.inspection.extrapolation import ask
from nexus_bench.io.columns import REPRODUCTION_COLUMNS
from nexus_bench.io.config import parse_yaml, to_yaml
from nexus_bench.io.csv_files import to_csv
from nexus_bench.io.files import write_atomic
from nexus_bench.io.packed import is_there
from nexus_bench.io.read_results import SPEC, read_results
from nexus_bench.model.costs import cost_of
from nexus_bench.reproductions.claim_page import to_markdown
from nexus_bench.reproductions.judge import JudgedClaim, judge
from nexus_bench.reproductions.spec import Reproduction

NOT_RUN, RUNNING, UNFINISHED, OTHER = "not run", "running", "unfinished", "of other settings"  # states without verdict
PAGE, TABLE = "reproduction.md", "reproduction.csv"


def ask_all(
    reproduction: Reproduction, scale: str, folder: RunFolder, *, device: str, on_split: Callable[[str], None]
) -> int:
    """Ask the trained cells of a run what the reproduction asks; what was asked before is kept.

    Args:
        reproduction: The reproduction.
        scale: Which of its scales was trained.
        folder: The run folder.
        device: `cpu` or `cuda`.
        on_split: Called with the name of each split before it is asked.

    Returns:
        How many cells were newly asked, over all splits.

    Raises:
        CorruptArtefactError: Weights or results are damaged.
        StorageError: The disk is full or the folder cannot be written.
    """
    n_new = 0
    suite = suite_of(folder)
    for one in reproduction.scale(scale).ask:
        cells = [c for c in selected(suite.cells, one.cells) if folder.cells.finished(c.cell_id)]
        if not cells:
            continue  # all failed
        on_split(one.question.split)
        n_new += ask(folder, cells, one.question, data=None, device=device, on_cell=lambda: None)
    return n_new


def judge_folder(reproduction: Reproduction, scale: str, path: Path) -> JudgedClaim:
    """Judge the claim on the results of a run folder; nothing is trained or written.

    Raises:
        ConfigError: A figure selects nothing, or too much.
        CorruptArtefactError: A file of it is damaged.
        StorageError: It is not a run folder, or cannot be read.
        UsageError: It holds a run of something else, or no finished cell.
    """
    folder = open_run(path)
    if not _is_of(reproduction, scale, folder):
        raise UsageError(
            f"{path}: is not a run of {reproduction.reproduction} at the scale {scale}, or was trained with other "
            f"settings; train it with `{reproduction.command(scale)} -o FOLDER`"
        )
    return judge(reproduction, scale, read_results(path))


def write(reproduction: Reproduction, scale: str, outcome: JudgedClaim, folder: Path) -> list[Path]:
    """Write reproduction.md and reproduction.csv: the same bytes for the same results.

    Raises:
        StorageError: The folder cannot be written.
    """
    texts = {
        PAGE: to_markdown(reproduction, scale, outcome, told_cost(reproduction, scale)),
        TABLE: to_csv((one.row for one in outcome.figures), REPRODUCTION_COLUMNS),
    }
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return [folder / name for name in texts]


def is_kept(reproduction: Reproduction, scale: str, path: Path) -> bool:
    """Whether a folder is a copy of a finished run, without the folder of its cells: there is nothing to train.

    Raises:
        CorruptArtefactError: A file of the run is damaged.
    """
    folder = RunFolder(path)
    if folder.cells.path.exists() or not (path / SPEC).is_file() or not is_there(folder.results_csv):
        return False
    return _is_of(reproduction, scale, folder) and not judge_folder(reproduction, scale, path).n_missing


def state_of(reproduction: Reproduction, scale: str, path: Path) -> str:
    """The state of a run: `not run`, `running`, `unfinished`, `of other settings`, or the verdict.

    Raises:
        CorruptArtefactError: A file of the run is damaged.
    """
    folder = RunFolder(path)
    if not (path / SPEC).is_file():
        return NOT_RUN
    if not _is_of(reproduction, scale, folder):
        return OTHER
    if folder.is_written_to():
        return RUNNING
    if not is_there(folder.results_csv):
        return UNFINISHED
    outcome = judge_folder(reproduction, scale, path)
    return UNFINISHED if outcome.n_missing else outcome.verdict


def told_cost(reproduction: Reproduction, scale: str) -> float | None:
    """The operations of a scale, as its file has them, or else counted."""
    told = reproduction.scale(scale).flops
    return flops_of(reproduction.suite(scale)) if told is None else told


def flops_of(suite: Suite) -> float | None:
    """Floating-point operations of all training steps of a suite, if no cell ends early; None if one is not counted."""
    later = [choice.trials[0][0] for choice in suite.choices for _ in suite.seeds]  # with the recipes that are chosen
    flops = 0.0
    for cell in (*suite.cells, *later):
        compute = cost_of(cell.model, cell.task).compute
        if compute is None:
            return None
        flops += cell.train.steps * cell.train.batch_size * compute
    return flops


def _is_of(reproduction: Reproduction, scale: str, folder: RunFolder) -> bool:
    """Whether a run was trained from the suite of this scale; its summary may differ."""
    config = parse_yaml(to_yaml(reproduction.suite_config(scale)), where=SPEC)
    return bool(folder.read_spec() | {"summary": ""} == config | {"summary": ""})
