"""What the trained models of several runs answered to a few test examples of each hop, for people to browse."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nexus_bench.data.law import Law
from nexus_bench.data.show import show_example, show_sequence
from nexus_bench.data.splits import HeldOut
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.run_folder import RunFolder, open
from nexus_bench.experiment.suite import suite_of
from nexus_bench.inspection.predictions import predict
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import HOP_OOD, TEST
from nexus_bench.io.hops import format_hops
from nexus_bench.io.packed import is_there
from nexus_bench.io.plurals import counted
from nexus_bench.io.read_results import RESULTS, SPEC, read_results
from nexus_bench.report.build import shown_cells
from nexus_bench.training.spec import CellSpec

_SPLITS = (TEST, HOP_OOD)

_Place = tuple[str, str, int, int]  # of an example: task and seed, split, graph, query


class AnsweredExamples(NamedTuple):
    """Examples with the answers to them, and what could not be asked, in sentences without a full stop.

    Attributes:
        examples: Each with `task` (at its size, in words), `hop`, `facts`, `query`, `answer` (the right one), `chain`
            (the facts that derive it) and `answers`: `run`, `model`, `seed`, `prediction`, `rank` and `probability` (of
            the right answer).
        notes: On runs without weights.
    """

    examples: list[dict[str, Any]]
    notes: list[str]


def answered_examples(runs: Mapping[str, Path], n: int) -> AnsweredExamples:
    """Ask trained models the first examples of each hop in their test split.

    Of each task a run answers with one seed: that of which it keeps most models. Models trained on the same task and
    seed are asked the same examples, whichever run they are of. Only recipes that a report shows are asked.

    Args:
        runs: Name -> run folder.
        n: Examples of each hop.

    Raises:
        CorruptArtefactError: Weights are damaged.
    """
    found: dict[_Place, dict[str, Any]] = {}
    titles: dict[str, str] = {}  # task and seed -> in words
    notes, without = [], []
    for name, run in runs.items() if n else ():
        kept = _kept(run)
        streamed = [cell for cell in kept if cell.task.content_sha256 is None]
        if len(streamed) < len(kept):
            notes.append(f"{name} was trained on a dataset, so its models are asked no examples")
        elif not kept and is_there(run / RESULTS):
            without.append(name)
        if not streamed:
            continue
        data = RunData(RunFolder(run), None)
        for cell in _of_one_seed(streamed):
            key, title = cell.source_key, _title(cell, data.source(cell).law)
            n_same = sum(other.startswith(title) for other in titles.values())
            task = titles.setdefault(key, title + (f" ({n_same + 1})" if n_same else ""))
            for place, shown, answer in _asked(data, cell, n):
                example = found.setdefault(place, {"task": task} | shown | {"answers": []})
                example["answers"].append({"run": name, "model": cell.label, "seed": cell.seed} | answer)
    if without:
        notes.append(
            f"No answers of {', '.join(without)}: {'it keeps' if len(without) == 1 else 'they keep'} no weights"
        )
    order = list(titles)
    places = sorted(found, key=lambda place: (order.index(place[0]), found[place]["hop"], place[1:]))
    return AnsweredExamples([found[place] for place in places], notes)


def _kept(run: Path) -> list[CellSpec]:
    """The cells of a run that its report shows and whose weights are here."""
    if not (run / SPEC).is_file() or not any(run.glob("cells/*/model.safetensors")):
        return []
    folder = open(run)
    try:
        suite = suite_of(folder)
    except ConfigError:  # a run of `retrofit`, or of tasks or attentions that are not here
        return []
    shown = shown_cells(read_results(run))
    here = (cell for cell in suite.cells if cell.cell_id in shown and folder.cells.finished(cell.cell_id))
    return [cell for cell in here if folder.cells.weights(cell.cell_id).is_file()]


def _of_one_seed(cells: Sequence[CellSpec]) -> list[CellSpec]:
    """Of each task the cells of the seed that has most, of several the smallest."""
    chosen: list[CellSpec] = []
    for task in dict.fromkeys(cell.task.model_dump_json() for cell in cells):
        own = [cell for cell in cells if cell.task.model_dump_json() == task]
        seeds = [cell.seed for cell in own]
        best = max(sorted(set(seeds)), key=seeds.count)
        chosen += [cell for cell in own if cell.seed == best]
    return chosen


def _asked(data: RunData, cell: CellSpec, n: int) -> Iterator[tuple[_Place, dict[str, Any], dict[str, Any]]]:
    """The place and text of each example, and the answer of a cell to it."""
    source, model = data.source(cell), data.model(cell, TEST, "cpu")
    for split in _SPLITS:
        if split not in source.held_out:
            continue
        law, examples = source.held_out[split]
        places = [
            (int(graph), int(query))
            for hop in np.unique(examples.hop[examples.hop > 0])
            for graph, query in np.argwhere(examples.hop == hop)[:n]
        ]
        graphs = sorted({graph for graph, _ in places})
        few = HeldOut(law, examples.take(np.array(graphs)))
        frame = predict(cell, model, few, source.law.schema, split=split).set_index(["graph", "query"])
        for graph, query in places:
            told: Any = frame.loc[(graphs.index(graph), query)]
            if law.schema.is_sequence:
                shown = show_sequence(law, examples, graph=graph, place=query)
            else:
                shown = show_example(law, examples, graph=graph, query=query)
            yield (
                (cell.source_key, split, graph, query),
                {name: getattr(shown, name) for name in ("hop", "facts", "query", "answer", "chain")},
                {
                    "prediction": str(told["prediction"]),
                    "rank": int(told["rank"]),
                    "probability": round(float(told["probability"]), 3),
                },
            )


def _title(cell: CellSpec, law: Law) -> str:
    size = counted(law.family.n_facts, "token" if law.schema.is_sequence else "fact")
    trained = f"trained on hops {format_hops(cell.task.hops)}, seed {cell.seed}"
    return f"{cell.task.task}, {size}, {trained}"
