"""The audit measures guesses; the ceilings of every family hold."""

import numpy as np
import pytest

from nexus_bench.bench.generators import entry_for_hops
from nexus_bench.data.task import make_task
from nexus_bench.errors import CheckFailedError
from nexus_bench.generators.base import GENERATORS, Examples, Generator
from nexus_bench.generators.pointer_chase import PointerChase, PointerChaseParams
from nexus_bench.shortcuts.audit import audit, hide_a_fact
from nexus_bench.shortcuts.fitted import facts_only, symbol_counts
from nexus_bench.streams import stream
from tests.conftest import Command


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS.names())
def test_no_guess_beats_what_a_family_declares(name: str) -> None:
    generator = make_task(entry_for_hops(name, (1, 2, 3, 4, 5, 6)), where="test").generator()
    beaten = [row for row in audit(generator, n_examples=24_000, seed=1) if row.beats]
    assert not beaten


def test_an_audit_has_every_guess_at_every_hop_it_applies_to() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3"}, where="test").generator()
    rows = audit(generator, n_examples=3000, seed=0)
    at = {hop: [row.guess for row in rows if row.hop == hop] for hop in (1, 2, 3)}
    assert at[1] == [
        "majority_class",
        "most_frequent_symbol",
        "last_symbol",
        "best_place",
        "beside_start",
        "facts_only",
        "partial_input",
    ]
    assert at[2] == at[3] == [*at[1][:-1], "symbol_counts", "successor", "partial_input"]
    assert sum(row.n_examples for row in rows if row.guess == "last_symbol") == 3008  # 188 graphs of 16 queries
    for row in rows:
        assert row.low <= row.accuracy <= row.high and row.ceiling == (
            generator.partial_input(row.hop) if row.guess == "partial_input" else generator.chance(row.hop)
        )


class Leaky(PointerChase):
    """Puts the fact that holds the answer last."""

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        examples = super().sample(n_graphs, rng)
        is_last = examples.facts[:, :, 1] == examples.answer
        order = np.argsort(is_last, axis=1, kind="stable")
        return examples._replace(facts=np.take_along_axis(examples.facts, order[:, :, None], axis=1))


class Boastful(PointerChase):
    """Declares ceilings below what is possible."""

    def partial_input(self, hop: int) -> float:
        return 0.01


def params() -> PointerChaseParams:
    return PointerChaseParams(n_nodes=12, vocab_size=36, n_queries=1)


def test_a_family_that_leaks_the_answer_by_its_place_is_caught() -> None:
    rows = audit(Leaky(params(), (2,)), n_examples=2000, seed=0)
    beaten = {row.guess: row.accuracy for row in rows if row.beats}
    assert beaten["last_symbol"] == beaten["best_place"] == 1.0


def test_a_ceiling_that_is_too_low_is_caught() -> None:
    rows = audit(Boastful(params(), (2,)), n_examples=2000, seed=0)
    assert [row.guess for row in rows if row.beats] == ["partial_input"]


def test_the_command_exits_6_and_names_the_guess(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command("audit", "pointer_chase", "--hops", "1-2", "--n", "2000").returncode == 0
    monkeypatch.setattr(PointerChase, "chance", lambda self, hop: 0.001)
    failed = command("audit", "pointer_chase", "--hops", "1-2", "--n", "2000")
    assert failed.returncode == 6
    assert "above its ceiling of 0.001" in failed.stderr and failed.stderr.count("\n") == 1
    assert "BEATS IT" in failed.stdout


def test_hiding_a_fact_keeps_every_other_and_leaves_the_answer_to_chance() -> None:
    generator = PointerChase(params(), (3,))
    examples = generator.sample(4000, stream("hide"))
    before = examples.facts.copy()
    for step in range(3):
        hidden = hide_a_fact(generator, examples, step, stream("redraw", step))
        right = (hidden.answer == examples.answer[:, 0]).mean()
        assert hidden.is_hidden.all()
        assert right == pytest.approx(1 / 10, abs=0.02)  # the ends of the 12 facts, less the 2 others of the path
    assert (examples.facts == before).all()


def test_one_query_per_graph_keeps_each_query_with_its_facts() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3", "n_queries": 5}, where="test").generator()
    single = generator.sample(7, stream("single")).one_query_per_graph()
    assert single.facts.shape == (35, 16, 2) and single.query.shape == (35, 1, 2)
    solution = generator.solve(single.facts, single.query)
    assert (solution.answer == single.answer).all()


def in_degree_tells(n_graphs: int, key: str) -> Examples:
    """The answer is the one node that two facts lead to; names are new in every graph."""
    generator = PointerChase(params(), (2,))
    examples = generator.sample(n_graphs, stream(key))
    graphs = np.arange(n_graphs)
    examples.facts[graphs, 0, 1] = examples.facts[graphs, 1, 1]
    return examples._replace(answer=examples.facts[:, 1, 1][:, None])


@pytest.mark.parametrize("guess", [facts_only, symbol_counts])
def test_learned_guesses_find_an_answer_that_its_surroundings_give_away(guess: object) -> None:
    schema = PointerChase(params(), (2,)).schema
    fit, score = in_degree_tells(800, "fit"), in_degree_tells(400, "score")
    assert (guess(fit, score, schema) == score.answer).mean() > 0.99  # type: ignore[operator]


def test_labels_that_the_family_does_not_solve_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    law = make_task({"task": "pointer_chase", "hops": [1]}, where="test").generator()
    drawn = type(law).sample

    def wrong(self: Generator, n_graphs: int, rng: np.random.Generator) -> Examples:
        examples = drawn(self, n_graphs, rng)
        examples.answer[0, 0] = (examples.answer[0, 0] + 1) % 48
        return examples

    monkeypatch.setattr(type(law), "sample", wrong)
    with pytest.raises(CheckFailedError, match=r"pointer_chase: 1 of 1[\d,]+ labels are not what `solve` derives"):
        audit(law, n_examples=1000, seed=0)
