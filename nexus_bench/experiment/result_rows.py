"""The rows of results.csv of a cell: every split scored; `references` adds chance and shortcuts to compare with."""

from typing import NamedTuple

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import law_of
from nexus_bench.experiment.records import CellResult
from nexus_bench.io.columns import COLUMNS, FAILED, HOP_OOD, PATTERN_OOD, SIZE_OOD, TEST, VAL, Row
from nexus_bench.io.config import Config
from nexus_bench.io.options import OPTION_COLUMNS, options_text
from nexus_bench.model.costs import Cost
from nexus_bench.model.places import binned
from nexus_bench.model.scoring import AnswerScores, HopScore, answer, by_hop
from nexus_bench.shortcuts.references import task_columns
from nexus_bench.training.loop import TrainingOutcome
from nexus_bench.training.recipe import Point
from nexus_bench.training.row import CellSource
from nexus_bench.training.spec import CellSpec
from nexus_bench.version import __version__

_STEADY_ACCURACY = 0.95  # threshold of `steps_to_95`
_HAVE_COLUMNS = {column.name for column in COLUMNS}
_ORDER = (VAL, TEST, HOP_OOD, SIZE_OOD, PATTERN_OOD)  # order of the splits in results.csv


def failed_result(cell: CellSpec, mode: str) -> CellResult:
    """A cell without figures: its rows say `failed`, and measure nothing."""
    laws = cell.task.laws()
    rows = [
        describe(cell, mode) | {"split": split, "hop": hop, "n_facts": law.family.n_facts, "status": FAILED}
        for split, law in ((split, law_of(split, laws)) for split in _ORDER if split in (VAL, TEST, *laws))
        for hop in law.family.hops
    ]
    return CellResult(cell.cell_id, rows, [], {}, b"")


class CellRows(NamedTuple):
    """The scores of a cell.

    Attributes:
        rows: Rows of results.csv.
        places: Rows of places.csv; none but of sequences.
    """

    rows: list[Row]
    places: list[Row]


def result_rows(cell: CellSpec, mode: str, source: CellSource, ending: TrainingOutcome, cost: Cost) -> CellRows:
    """The rows of a trained cell without references: every split by hop, validation first; places of all others."""
    common = describe(cell, mode) | {
        "n_params": sum(p.numel() for p in ending.model.parameters()),
        "flops_per_step": None if cost.compute is None else cost.compute * cell.train.batch_size,
        "status": ending.status,
        "steps_done": ending.curve[-1].step,
    }
    rows, places = [], []
    for split in sorted(source.held_out, key=_ORDER.index):
        law, examples = source.held_out[split]
        answered = answer(ending.model, examples, source.law.schema, cell.model.encoding)
        rows += [
            common
            | {"split": split, "hop": hop, "n_facts": law.family.n_facts}
            | _measured(at)
            | {"steps_to_95": _steps_to(ending.curve, hop)}
            for hop, at in by_hop(*answered, examples.hop).items()
        ]
        if split != VAL:
            places += place_rows(common, split, answered, source.held_out[split])
    return CellRows(rows, places)


def further_rows(
    trained: Row, split: str, held: HeldOut, answered: AnswerScores, references: dict[int, Row]
) -> CellRows:
    """The rows of a later evaluation of saved weights.

    Args:
        trained: Any row of the cell.
        split: The name of the split.
        held: The examples.
        answered: What the model makes of them.
        references: Chance, shortcut and partial-input ceiling by hop.
    """
    same = trained | {"split": split, "n_facts": held.law.family.n_facts, "steps_to_95": None, "version": __version__}
    scores = by_hop(*answered, held.examples.hop)
    rows = [same | {"hop": hop} | _measured(at) | references[hop] for hop, at in scores.items()]
    return CellRows(rows, place_rows(trained, split, answered, held))


def place_rows(cell: Row, split: str, answered: AnswerScores, held: HeldOut) -> list[Row]:
    """Rows of places.csv; none if the examples are no sequences.

    Args:
        cell: Any row of the cell.
        split: The name of the split.
        answered: What the model makes of them.
        held: The examples.
    """
    if cell["encoding"] != "sequence":
        return []
    same = {name: cell[name] for name in ("cell_id", "model", "seed")} | {"split": split}
    return [
        same | one._asdict() | {"accuracy": one.n_correct / one.n_examples}
        for one in binned(answered.hit, held.examples)
    ]


def describe(cell: CellSpec, mode: str) -> Row:
    """The columns of a cell that are known before it is trained."""
    task, model, recipe = cell.task, cell.model, cell.train
    return {
        "cell_id": cell.cell_id,
        **task_columns(task),
        "encoding": model.encoding,
        "attention": model.attention,
        "attention_version": ATTENTIONS.get(model.attention).version,
        **{name: model.options.get(name) for name in OPTION_COLUMNS},
        "order": model.options.get("order", 1),
        "position": model.position,
        "mask": "facts" if model.encoding == "fact" else "causal",
        **{name: getattr(model, name) for name in ("n_layers", "n_loops", "d_model", "n_heads", "mlp_ratio")},
        **{name: getattr(recipe, name) for name in ("lr", "batch_size", "steps")},
        "reuse": getattr(recipe, "reuse", 1),
        "curriculum": recipe.curriculum,
        "mode": mode,
        "seed": cell.seed,
        "version": __version__,
        "model": cell.label,
        "attention_options": _beside(model.options, set(OPTION_COLUMNS)),
        "recipe_options": _beside(recipe.given(), _HAVE_COLUMNS),
        "model_options": options_text(model.later()),
    }


def _beside(values: Config, columns: set[str]) -> str | None:
    """The values that have no column, as text."""
    return options_text({key: value for key, value in values.items() if key not in columns})


def _measured(at: HopScore) -> Row:
    return {"n_examples": at.n_examples, "n_correct": at.n_correct, "accuracy": at.accuracy, "loss": at.loss}


def _steps_to(curve: list[Point], hop: int) -> int | None:
    reached: int | None = None
    for point in curve:
        if hop not in point.scores or point.scores[hop].accuracy < _STEADY_ACCURACY:
            reached = None
        elif reached is None:
            reached = point.step
    return reached
