"""Whoever reads a run while it is trained is told what there is, and never that somebody edited it."""

import contextlib
import io
from pathlib import Path

import pytest

from nexus_bench import cli
from nexus_bench.report.charts import figures
from nexus_bench.report.charts.plotting import Picture, RenderedFigure
from tests.conftest import Command
from tests.small import TINY


@pytest.mark.slow
@pytest.mark.usefixtures("reports_made_once")
@pytest.mark.parametrize(
    "reader",
    [
        "status run",
        "report run --format csv",
        "compare run run --out compared --json",
        "predictions run --cell standard --out predicted --json",
    ],
)
def test_a_reader_between_any_two_writes_accuses_nobody(
    reader: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice: the second run trains a cell that was deleted, and replaces every table."""
    monkeypatch.setattr(
        figures,
        "render",
        lambda figure, *, name, caption: Picture(name, caption, lambda: RenderedFigure(b"p", "<svg></svg>")),
    )
    (tmp_path / "suite.yaml").write_text(TINY)
    train = ["train", "suite.yaml", "--executor", "inline", "--seeds", "1", "--quiet", "--out", "run"]
    codes: list[int] = []
    accused: list[str] = []
    renames, is_reading = Path.replace, False

    def read() -> None:
        error = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
            codes.append(cli.run(reader.split()))
        if codes[-1] not in (0, 2) and Path("run/spec.yaml").exists():
            accused.append(error.getvalue())

    def replace(path: Path, target: Path) -> Path:
        nonlocal is_reading
        new = renames(path, target)
        if not is_reading and target.parts[0] == "run":
            is_reading = True
            read()
            is_reading = False
        return new

    monkeypatch.setattr(Path, "replace", replace)
    assert command(*train).returncode == 0
    newest = max(Path("run/cells").iterdir(), key=lambda cell: (cell / "result.json").stat().st_mtime_ns)
    for path in newest.iterdir():
        path.unlink()
    assert command(*train).returncode == 0
    assert not accused, accused[0]
    assert codes.count(0) > 5
