"""A disk that fills up while a run is trained: one line, nothing lost, and the same bytes once there is room."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus_bench.experiment.run_folder import RunFolder
from nexus_bench.io.read_results import read_results
from nexus_bench.report.charts import figures
from nexus_bench.report.charts.plotting import Picture, RenderedFigure
from tests.conftest import Command
from tests.small import TINY

TIMED = ("timing.csv", "result.json", "seal.json")  # seconds, and the hashes of what holds seconds
LINE = ["train", "suite.yaml", "--executor", "inline", "--seeds", "1", "--out"]


@pytest.fixture
def train(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports_made_once: None
) -> Callable[[str], tuple[int, list[str]]]:
    """Train a small suite into a folder: the exit code, and the lines on stderr."""
    monkeypatch.setattr(
        figures,
        "render",
        lambda figure, *, name, caption: Picture(name, caption, lambda: RenderedFigure(b"p", "<svg></svg>")),
    )
    (tmp_path / "suite.yaml").write_text(TINY)

    def call(out: str) -> tuple[int, list[str]]:
        done = command(*LINE, out)
        return done.returncode, done.stderr.splitlines()

    return call


def content(run: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(run)): path for path in run.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if path.name not in TIMED}


class Disk:
    """Writes of whole files are counted; from some moment on, those of some files find no room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_written, self.is_full = 0, lambda name, number: False
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name  # of the unfinished file
        self.n_written += 1
        if self.is_full(name, self.n_written):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    return Disk(monkeypatch)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *(("spec.yaml", 5), ("env.json", 5), ("seal.json", 5)),
        *(("newest", 0), (".safetensors", 7), ("result.json", 7), ("progress.json", 0)),
        *(("results.csv", 5), ("curve.csv", 5), ("timing.csv", 5)),
        *(("report.csv", 5), ("report.md", 5), ("report.html", 5), (".png", 5)),
    ],
)
def test_a_file_that_finds_no_room_is_told_and_loses_nothing(
    name: str, code: int, train: Callable[[str], tuple[int, list[str]]], disk: Disk, command: Command
) -> None:
    assert train("whole")[0] == 0
    disk.is_full = lambda written, number: f"{name}." in written
    found, errors = train("run")
    disk.is_full = lambda written, number: False
    assert found == code, errors
    assert len([line for line in errors if line.startswith("error: ")]) == (code != 0)
    assert code == 0 or "No space left on device; free some space" in "".join(errors)
    assert not list(Path("run").rglob("*.begun"))
    assert command("status", "run").returncode == (5 if name in ("spec.yaml", "seal.json") else 0)
    assert train("run")[0] == 0
    assert content(Path("run")) == content(Path("whole"))


@pytest.mark.slow
def test_a_disk_that_is_full_from_any_moment_on_loses_nothing(
    train: Callable[[str], tuple[int, list[str]]], disk: Disk
) -> None:
    """Every third moment."""
    assert train("whole")[0] == 0
    n_writes = disk.n_written
    assert n_writes > 30
    for moment in range(1, n_writes, 3):
        disk.n_written = 0
        disk.is_full = lambda written, number, moment=moment: number >= moment
        code, errors = train(f"run {moment}")
        if disk.n_written < moment:  # how often a run saves beside its training depends on the clock: it was never full
            assert code == 0 and moment > 30
            break
        assert code in (5, 7), errors
        assert len([line for line in errors if line.startswith("error: ")]) == 1
        kept = {name: data for name, data in content(Path(f"run {moment}")).items() if "model.safetensors" in name}
        disk.is_full = lambda written, number: False
        assert train(f"run {moment}")[0] == 0
        now = content(Path(f"run {moment}"))
        assert now == content(Path("whole")), moment
        assert kept.items() <= now.items()


def test_saved_states_that_a_kill_left_after_the_last_record_are_removed(
    train: Callable[[str], tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: RunFolder, folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "drop_checkpoints", killed)
        train("run")
    assert list(Path("run/checkpoints").rglob("newest"))
    assert train("run")[0] == 0
    assert not Path("run/checkpoints").exists()


@pytest.mark.parametrize("deleted", ["*/*/newest", "*/*/*", "*/*"])
def test_what_a_kill_left_of_saved_states_while_they_were_deleted_is_removed(
    deleted: str, train: Callable[[str], tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of rows that ended, an empty pack, and a job without packs."""

    def killed(self: RunFolder, folder: Path) -> None:
        for path in self.all_checkpoints.glob(deleted):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in self.all_checkpoints.rglob("previous"):
            path.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "drop_checkpoints", killed)
        train("run")
    assert list(Path("run/checkpoints").iterdir())
    assert train("run")[0] == 0
    assert not Path("run/checkpoints").exists()


def test_a_saved_state_that_cannot_be_replaced_is_told_and_training_goes_on(
    train: Callable[[str], tuple[int, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def refused(self: Path, target: Path) -> Path:
        if self.name == "newest":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    code, errors = train("run")
    assert code == 0, errors
    said = "newest: cannot be written: Permission denied; make its folder writable; training goes on, and cannot be"
    assert said in "".join(errors)
    assert set(read_results(Path("run"))["status"]) == {"trained"}


def test_files_that_may_not_grow_fail_every_cell_and_are_told(tmp_path: Path) -> None:
    """A limit on the size of files, in a process of its own: weights no longer fit, nor does the page.

    Python would leave cut bytecode behind, which no later process can import; so this one writes none.
    """
    (tmp_path / "suite.yaml").write_text(TINY)
    line = [sys.executable, "-m", "nexus_bench", "train", "suite.yaml", "--executor", "inline"]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))

    without = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, preexec_fn=limit, env=without)
    assert done.returncode == 7, done.stderr
    assert done.stderr.count("File too large; free some space; training goes on, and cannot be resumed from here") == 4
    assert done.stderr.count("model.safetensors: cannot be written: File too large; free some space") == 4
    assert done.stderr.splitlines()[-1].startswith("error: 4 of 4 cells failed, for the reasons above")
    assert not list(tmp_path.rglob(".newest*"))
    assert set(read_results(tmp_path / "runs/tiny")["status"]) == {"failed"}
    again = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
