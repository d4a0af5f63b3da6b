"""The contract of every registered task family."""

import numpy as np
import pytest

from nexus_bench.bench.generators import entry_for_hops
from nexus_bench.data.law import Law
from nexus_bench.data.show import as_text, show_example
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.io.bundled import bundled
from nexus_bench.model.spec import ModelSpec
from nexus_bench.shortcuts.rules import score_shortcuts
from nexus_bench.streams import permutations, stream
from nexus_bench.training.spec import TrainSpec

FAMILIES = GENERATORS.names()


@pytest.fixture(params=FAMILIES)
def generator(request: pytest.FixtureRequest) -> Generator:
    return make_task({"task": request.param}, where="test").generator()


def test_every_family_has_a_yaml_and_every_yaml_a_family() -> None:
    assert tuple(bundled("task")) == GENERATORS.own_names()


def test_arrays_have_the_declared_shapes_and_ranges(generator: Generator) -> None:
    examples = generator.sample(23, stream("contract"))
    schema, n_queries = generator.schema, generator.n_queries
    assert examples.facts.shape == (23, generator.n_facts, len(schema.fact))
    assert examples.query.shape == (23, n_queries, len(schema.query))
    assert examples.answer.shape == examples.hop.shape == (23, n_queries)
    assert {array.dtype for array in examples} == {np.dtype(np.int32)}
    for array, roles in ((examples.facts, schema.fact), (examples.query, schema.query)):
        for column, role in enumerate(roles):
            values = array[:, :, column]
            assert 0 <= values.min() and values.max() < schema.vocabularies[role.vocabulary], role
    assert 0 <= examples.answer.min() and examples.answer.max() < schema.n_classes
    assert set(np.unique(examples.hop)) == set(generator.hops)


def test_queries_of_a_graph_are_distinct(generator: Generator) -> None:
    for query in generator.sample(50, stream("distinct")).query:
        assert len({tuple(row) for row in query.tolist()}) == len(query)


def test_the_solver_derives_answers_and_hops_from_the_facts_alone(generator: Generator) -> None:
    examples = generator.sample(31, stream("derivation"))
    solution = generator.solve(examples.facts, examples.query)
    assert (solution.answer == examples.answer).all()
    assert (solution.hop == examples.hop).all()
    for queries in solution.rows:
        for rows in queries:
            derivation = rows[rows >= 0]
            assert len(derivation) == len(set(derivation.tolist()))


def test_the_solver_survives_facts_that_are_never_drawn(generator: Generator) -> None:
    examples = generator.sample(60, stream("off the law"))
    order = permutations(stream("ends"), 60, generator.n_facts)
    facts = examples.facts.copy()
    facts[:, :, -1] = np.take_along_axis(facts[:, :, -1], order, axis=1)
    solution = generator.solve(facts, examples.query[::-1])
    assert {array.dtype for array in solution} == {np.dtype(np.int32)}
    assert solution.answer.min() >= -1 and solution.answer.max() < generator.schema.n_classes
    assert solution.rows.min() >= -1 and solution.rows.max() < generator.n_facts


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAMILIES)
def test_a_million_labels_and_hops_agree_with_the_solver(name: str) -> None:
    try:
        generator = make_task(entry_for_hops(name, (1, 2, 3, 4, 5, 6)), where="test").generator()
    except ConfigError:
        generator = make_task({"task": name}, where="test").generator()  # a family of few hops
    n_examples = 0
    while n_examples < 1_000_000:
        examples = generator.sample(2048, stream("million", name, n_examples))
        solution = generator.solve(examples.facts, examples.query)
        assert (solution.answer == examples.answer).all() and (solution.hop == examples.hop).all()
        n_examples += examples.answer.size


def test_the_same_stream_gives_the_same_examples(generator: Generator) -> None:
    first, second = (generator.sample(19, stream("again")) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_ceilings_are_probabilities_and_rise_above_chance(generator: Generator) -> None:
    for hop in range(1, generator.largest_hop + 1):
        assert 0 < generator.chance(hop) <= generator.partial_input(hop) <= 1


def test_parameters_have_names_of_their_own(generator: Generator) -> None:
    """`--set` finds a value by its name alone."""
    taken = {*TaskSpec.model_fields, *ModelSpec.model_fields, *TrainSpec.model_fields, "suite", "seeds"}
    assert not taken & set(generator.Params.model_fields)


def test_a_fact_of_the_derivation_ends_in_the_drawn_chain(generator: Generator) -> None:
    examples = generator.sample(9, stream("chain"))
    for graph in range(9):
        shown = show_example(Law(generator), examples, graph=graph)
        rows = generator.solve(examples.facts[graph : graph + 1], examples.query[graph : graph + 1]).rows[0, 0]
        for row in rows[rows >= 0]:
            assert shown.facts[row].split(" -")[-1].split("> ")[-1] in shown.chain


def test_shortcuts_apply_to_every_family(generator: Generator) -> None:
    fit, score = generator.sample(40, stream("fit")), generator.sample(40, stream("score"))
    scores = score_shortcuts(fit, score, generator.schema)
    assert all(0 <= accuracy <= 1 for by_hop in scores.values() for accuracy in by_hop.values())
    assert set(scores["majority_class"]) == set(generator.hops)


def test_an_example_can_be_shown(generator: Generator) -> None:
    shown = show_example(Law(generator), generator.sample(1, stream("show")))
    assert len(shown.facts) == generator.n_facts
    assert shown.chain.count("-> ") + shown.chain.count(" <-") == shown.hop
    assert len(shown.tokens) == len(shown.flat.split())
    assert shown.chain in as_text(shown)
