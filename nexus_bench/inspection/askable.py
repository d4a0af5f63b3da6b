"""Whether a model takes a question: as many positions as it needs, and loops. Known before it is trained."""

from collections.abc import Sequence

import torch

from nexus_bench.data.law import Law
from nexus_bench.errors import ConfigError
from nexus_bench.inspection.question import EvaluationRequest
from nexus_bench.model.batch import to_batch
from nexus_bench.model.build import build_model, model_class
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import stream
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.titles import titles_of


def check_askable(cell: CellSpec, question: EvaluationRequest, law: Law, *, suite: Sequence[CellSpec]) -> None:
    """Refuse a question of a file, `ask` of a reproduction, that the model of a cell will not take, trained or not.

    Args:
        cell: The cell.
        question: What it is asked.
        law: The result of `further_law`.
        suite: All cells of its suite, by which error messages name it.

    Raises:
        ConfigError: It lacks positions or loops.
    """
    title = f"ask: {titles_of(suite)[cell.cell_id]}"
    check_loops(cell, question, title=title, keys=("loops", "cells"))
    laws = cell.task.laws().values()
    seq_len = max(_seq_len(one, cell) for one in laws)
    with torch.device("meta"):
        model = build_model(cell.model, cell.task.law().schema, seq_len=seq_len, seed=0)
    check_length(model.longest, _seq_len(law, cell), title=title)


def check_loops(
    cell: CellSpec, question: EvaluationRequest, *, title: str, keys: tuple[str, str] = ("--loops", "--cell")
) -> None:
    """Refuse other loops than in training where there were none.

    Args:
        cell: The cell.
        question: What it is asked.
        title: The cell in error messages.
        keys: What asks for loops, and what chooses cells, in error messages.

    Raises:
        ConfigError: The model is not looped.
    """
    is_looped = cell.model.n_loops > 1 and issubclass(model_class(cell.model), Transformer)
    if question.n_loops is not None and not is_looped:
        raise ConfigError(f"{title}: {keys[0]} asks models that were trained with loops; choose them by {keys[1]}")


def check_length(longest: int | None, needed: int, *, title: str) -> None:
    """Check that learned positions are enough.

    Args:
        longest: As many as the model has; None if it takes any length.
        needed: As many as the sequences of the question have.
        title: The cell in error messages.

    Raises:
        ConfigError: The sequences are longer than the number of learned positions.
    """
    if longest is not None and needed > longest:
        raise ConfigError(
            f"{title}: learned {longest} positions, {needed} are needed; use fewer facts, or train with position "
            "none or rope"
        )


def _seq_len(law: Law, cell: CellSpec) -> int:
    one = law.sample(1, stream("askable"))
    return to_batch(one, cell.task.law().schema, cell.model.encoding, torch.device("cpu")).seq_len
