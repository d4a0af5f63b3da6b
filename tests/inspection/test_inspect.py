"""What `inspect` draws and writes."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from nexus_bench import cli
from nexus_bench.data.show import Arrow, arrow_of
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import make_task
from nexus_bench.inspection.pictures import _draw_graph, _layout, graph_picture
from nexus_bench.inspection.pointing import walk
from nexus_bench.io.columns import ATTENTION_COLUMNS, WALK_COLUMNS
from nexus_bench.io.csv_files import read_csv
from nexus_bench.streams import stream
from tests.conftest import Command, assert_fails
from tests.families import GRAPHS, up_to_hops
from tests.small import untrained


@pytest.mark.parametrize("name", GRAPHS)
def test_every_family_can_be_drawn(name: str) -> None:
    entry = up_to_hops(name, 2)
    hop = max(entry["hops"])  # type: ignore[call-overload]
    law = make_task(entry | {"hops": [hop]}, where="test").law()
    held = HeldOut(law, law.sample(2, stream("drawn")))
    model = untrained(law, attention="standard", d_model=24, n_heads=1)
    walked = walk(model, held, law.schema, encoding="fact", hop=hop, n_examples=5, example=1)
    drawn = graph_picture(law, walked.example, title=name)
    assert drawn.name == "inspect_graph" and "level 1, head 1" in drawn.svg
    places = list(_layout([arrow_of(law, fact)[:2] for fact in walked.example.facts])[0].values())
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(places) for b in places[:i]]
    assert min(apart) > 0.1, "no name stands on another"


def test_a_fact_from_a_name_to_itself_is_a_circle() -> None:
    arrows = [Arrow("a", "a", ""), Arrow("a", "b", ""), Arrow("b", "b", "")]
    at, panel = _layout([arrow[:2] for arrow in arrows])
    axes = Figure().subplots()
    _draw_graph(axes, arrows, at, np.array([0.2, 0.3, 0.5]), [0, 1], start="a", panel=panel)
    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(circles) == 3, "one a loop, and one marks that on the path"
    middles = np.array([circle.center for circle in circles])
    assert np.hypot(*(middles - at["a"]).T)[:2].max() < np.hypot(*(middles[0] - at["b"])), "beside its own name"


@pytest.mark.parametrize(
    ("ends", "order"),
    [
        ([("c", "a"), ("b", "c"), ("a", "b")], "abc"),
        ([("c", "b"), ("d", "b"), ("a", "c")], "acbd"),
        ([("x", "y"), ("b", "a"), ("c", "b")], "cba xy"),
    ],
)
def test_cycles_and_chains_stand_clockwise_on_one_circle(ends: list[tuple[str, str]], order: str) -> None:
    at, _ = _layout(ends)
    assert {round(np.hypot(*place), 9) for place in at.values()} == {1}
    angle = {name: (np.pi / 2 - np.arctan2(y, x)) % (2 * np.pi) for name, (x, y) in at.items()}
    assert "".join(sorted(at, key=lambda name: round(angle[name], 9))) == order.replace(" ", "")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected") / "run"
    task = "--task pointer_chase --hops 1-2 --set n_nodes=7 --set n_test=23 --set n_val=3 --set d_model=12".split()
    line = [
        "train",
        *task,
        "--attention",
        "nexus",
        "--order",
        "2",
        "--set",
        "steps=3",
        "--seeds",
        "2",
        "--executor",
        "inline",
    ]
    assert cli.run([*line, "--quiet", "--out", str(folder)]) == 0
    return folder


def test_inspect_writes_tables_and_pictures(run: Path, command: Command) -> None:
    first = command("inspect", str(run), "--cell", "seed 1", "--out", "a")
    assert first.returncode == 0, first.stderr
    assert re.search(
        r"^from the query, some head of level i points at hop i \(by chance 0\.\d\d\): 0\.\d\d, 0\.\d\d$",
        first.stdout,
        re.M,
    )
    assert re.search(r"^or away from it, giving .*: 0\.\d\d, 0\.\d\d$", first.stdout, re.M)
    assert command("inspect", str(run), "--cell", "seed 1", "--hops", "2", "--out", "b").returncode == 0
    names = {"walk.csv", "attention.csv"} | {
        f"inspect_{name}.{suffix}" for name in ("graph", "maps", "walk") for suffix in ("png", "svg")
    }
    assert {path.name for path in Path("a").iterdir()} == names
    assert all(Path("a", name).read_bytes() == Path("b", name).read_bytes() for name in names)
    walked, weights = read_csv(Path("a/walk.csv"), WALK_COLUMNS), read_csv(Path("a/attention.csv"), ATTENTION_COLUMNS)
    assert len(walked) == 2 * 3 * (2 + 3)  # levels, two heads and any of them, hops and steps
    assert len(weights) == 2 * 2 * (1 + 7) * 7  # levels, heads, what looks, facts
    sums = weights.groupby(["level", "head", "source"])["weight"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), abs=1e-5)
    assert sorted(weights["hop_of_fact"].dropna().unique()) == [1, 2]


def test_inspect_writes_beside_the_run_by_default(run: Path, command: Command) -> None:
    assert command("inspect", str(run), "--cell", "seed 0", "--hops", "1", "--n", "3").returncode == 0
    (folder,) = (run / "inspect").iterdir()
    assert folder.name.endswith("-hops1")
    assert set(pd.read_csv(folder / "walk.csv")["n"]) == {3}


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("inspect {run}", 2, "select one cell with --cell"),
        ("inspect {run} --cell nobody", 2, "no trained cell is 'nobody'"),
        ("inspect {run} --cell seed.1 --hops 3", 3, "the cell was tested at hops 1-2, got 3"),
        ("inspect {run} --cell seed.1 --example 999", 3, "examples of 2 hops, numbered from 0; got 999"),
        ("inspect nowhere", 5, "is not a run folder"),
        ("inspect {run} --cell seed.1 --out {run}/results.csv", 5, "cannot be written"),
    ],
)
def test_wrong_lines_are_told(line: str, code: int, message: str, run: Path, command: Command) -> None:
    words = [word.replace("seed.1", "seed 1") for word in line.format(run=run).split()]
    assert_fails(command(*words), code, message)
