"""The note on accuracy far below chance, and why it is true."""

import numpy as np
import pandas as pd

from nexus_bench.analysis.summary import accuracy_by_hop
from nexus_bench.experiment.run_folder import open
from nexus_bench.experiment.suite import suite_of
from nexus_bench.inspection.predictions import predict
from nexus_bench.inspection.run_data import RunData
from nexus_bench.io.columns import HOP_OOD, TEST
from nexus_bench.io.read_results import read_results
from nexus_bench.report.tables import names_of
from nexus_bench.report.words.notes import below_chance_note
from tests.paths import EXAMPLES

QUICK = EXAMPLES / "quick"


def rows() -> pd.DataFrame:
    results = read_results(QUICK)
    return results[results["split"].isin([TEST, HOP_OOD])]


def told(of: pd.DataFrame) -> str:
    return " ".join(below_chance_note(of, names_of(accuracy_by_hop(of)), [1, 2, 3]))


def test_models_far_below_chance_at_hops_without_training_are_told() -> None:
    assert told(rows()).startswith("Less than half of chance: nexus, order 3, refine qk at 4 hops. Chance is a guess")
    assert told(rows()[rows()["hop"] < 4]) == ""
    few = rows().assign(n_examples=100)  # 9 right guesses by chance, of each of 3 seeds
    assert told(few) == ""


def test_questions_without_choices_have_no_chance_to_be_below() -> None:
    assert told(rows().assign(chance=pd.NA).astype({"chance": "Float64"})) == ""
    assert told(rows().assign(chance=rows()["chance"].where(rows()["hop"] < 4))) == ""


def test_where_every_hop_was_trained_the_note_does_not_say_that_one_was_not() -> None:
    wrong = rows()[rows()["split"] == TEST].assign(accuracy=0.0)
    assert told(wrong) == ""
    standard = wrong["model"].str.startswith("standard")
    unsure = wrong[standard].assign(curriculum="adaptive")
    assert "standard at 1-3 hops. " in told(unsure)
    assert "standard at 1 hop. " in told(unsure[unsure["hop"] == 1])


def test_at_a_hop_without_training_the_answer_is_that_of_a_hop_with_training() -> None:
    folder = open(QUICK)
    (cell,) = (cell for cell in suite_of(folder).cells if folder.cells.weights(cell.cell_id).is_file())
    data = RunData(folder, None)
    held, schema = data.held_out(cell, HOP_OOD), data.source(cell).law.schema
    answers = predict(cell, data.model(cell, HOP_OOD, "cpu"), held, schema, split=HOP_OOD)["prediction"]
    assert set(held.examples.hop.ravel()) == {4}
    node = held.examples.query[:, :, 0]
    for _ in range(3):
        edge = (held.examples.facts[:, None, :, 0] == node[:, :, None]).argmax(axis=2)
        node = np.take_along_axis(held.examples.facts[:, :, 1], edge, axis=1)
    symbols = np.array([held.law.symbol(schema.answer, index) for index in range(schema.n_classes)])
    assert (symbols[node.ravel()] == answers.to_numpy()).mean() > 0.9
