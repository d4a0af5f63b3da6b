"""Inspection of a trained cell: where its attention points, counted, drawn and written."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from nexus_bench.data.show import query_as_text
from nexus_bench.errors import UsageError
from nexus_bench.experiment.run_folder import open
from nexus_bench.experiment.sources import open_source
from nexus_bench.experiment.trained_cells import load_model, title_of, trained_cell
from nexus_bench.inspection.pictures import graph_picture, maps_picture, walk_picture
from nexus_bench.inspection.pointing import Walk, attention_rows, split_with, walk
from nexus_bench.io.columns import ATTENTION_COLUMNS, WALK_COLUMNS
from nexus_bench.io.csv_files import beginning, to_csv
from nexus_bench.io.files import keep_others, write_atomic
from nexus_bench.io.plurals import counted
from nexus_bench.model.transformer import Transformer
from nexus_bench.report.charts.plotting import Picture
from nexus_bench.training.spec import CellSpec

_PICTURES = ("inspect_graph", "inspect_maps", "inspect_walk")
_FILES: dict[str, str | None] = {
    "walk.csv": beginning(WALK_COLUMNS),
    "attention.csv": beginning(ATTENTION_COLUMNS),
    **{f"{name}.{kind}": None for name in _PICTURES for kind in ("png", "svg")},
}


class InspectionResult(NamedTuple):
    """The result of an inspection.

    Attributes:
        cell: The cell.
        hop: The hop count of the examples.
        title: Cell and hop count in a few words.
        query: The query of the drawn example, role by role.
        walk: Where attention points, and the drawn example.
        files: The tables and pictures written.
        pictures: The pictures: the graph, the attention over its facts, and where heads point.
    """

    cell: CellSpec
    hop: int
    title: str
    query: str
    walk: Walk
    files: list[Path]
    pictures: list[Picture]


def inspect(
    run: Path,
    cell: str | None = None,
    *,
    hops: int | None = None,
    n_examples: int = 1000,
    example: int = 0,
    data: Path | None = None,
    out: Path | None = None,
    on_note: Callable[[str], None] = lambda text: None,
) -> InspectionResult:
    """Draw the attention of one example at every level, and count over many where heads point along the path.

    Args:
        run: The run folder.
        cell: The cell, as for `trained_cells`; None takes the only one.
        hops: The hop count of the examples; None takes the largest trained one.
        n_examples: Largest number of examples to count over.
        example: Number of the example to draw.
        data: The dataset that the run was trained on, if any.
        out: Folder of the files; None takes a folder inside the run folder.
        on_note: Told which recipe was taken, if several fit.

    Raises:
        ConfigError: No split has such examples, or there is no example of that number.
        CorruptArtefactError: Weights or the dataset are damaged.
        StorageError: It is not a run folder, or a file cannot be written.
        UsageError: Not exactly one trained cell is selected, the mechanism has no map, or `out` holds other files.
    """
    keep_others(out, _FILES)
    folder = open(run)
    chosen = trained_cell(folder, cell, on_note=on_note)
    hop = hops or max(chosen.task.hops)
    source = open_source(chosen, data)
    held, model = split_with(source.held_out, hop), load_model(folder, chosen)
    encoding, schema = chosen.model.encoding, source.law.schema
    if not isinstance(model, Transformer) or schema.is_sequence:
        what = "a task of sequences" if schema.is_sequence else f"the model '{model.name}'"
        raise UsageError(f"{title_of(folder, chosen)}: is of {what}; inspect follows queries through a transformer")
    seen = walk(model, held, schema, encoding=encoding, hop=hop, n_examples=n_examples, example=example)
    title = f"{title_of(folder, chosen)} | {counted(hop, 'hop')}"
    drawn = seen.example
    query = query_as_text(seen.law, drawn.query)
    told = f"{title} | {query}: {drawn.answer}; answered {drawn.answered}"
    pictures = [
        graph_picture(seen.law, drawn, title=told),
        maps_picture(drawn, title=told),
        walk_picture(seen, title=title),
    ]
    files: dict[str, bytes | str] = {
        "walk.csv": to_csv(seen.rows, WALK_COLUMNS),
        "attention.csv": to_csv(attention_rows(seen.law, drawn), ATTENTION_COLUMNS),
    }
    for picture in pictures:
        files |= {f"{picture.name}.png": picture.png, f"{picture.name}.svg": picture.svg}
    target = out or run / "inspect" / f"{chosen.cell_id}-hops{hop}"
    assert files.keys() == _FILES.keys()
    for name, content in files.items():
        write_atomic(target / name, content)
    return InspectionResult(chosen, hop, title, query, seen, [target / name for name in files], pictures)
