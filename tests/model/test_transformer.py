import numpy as np
import pytest
import torch

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.attention.layout import Layout
from nexus_bench.data.encodings import ENCODINGS, PAD, table_size
from nexus_bench.data.task import make_task
from nexus_bench.generators.base import Examples, Generator, Role, Schema
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.model.batch import to_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.costs import cost_of
from nexus_bench.model.scoring import score
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import integers, stream
from tests.families import GRAPHS
from tests.small import CPU, cell


def build(task: Generator, **entry: object) -> tuple[Transformer, ModelSpec]:
    spec = make_model({"attention": "nexus", "d_model": 18, "n_heads": 3, **entry}, where="test")
    return build_model(spec, task.schema, seq_len=40, seed=0), spec


def scores(model: Transformer, examples: Examples, task: Generator, spec: ModelSpec) -> torch.Tensor:
    batch = to_batch(examples, task.schema, spec.encoding, CPU)
    out: torch.Tensor = model(batch)
    return out.detach()


def test_fact_encoding_is_one_position_a_fact_and_one_a_query(small_task: Generator) -> None:
    examples = Examples(
        *(np.array(a, dtype=np.int32) for a in ([[[4, 9], [9, 2]]], [[[4, 2], [9, 1]]], [[2, 2]], [[2, 1]]))
    )
    encoded = ENCODINGS["fact"](examples, small_task.schema)
    first_hop = PAD + 1 + 33  # node names come first in the table, then hops
    assert encoded.tokens.tolist() == [[[5, 10], [10, 3], [5, first_hop + 2], [10, first_hop + 1]]]
    assert encoded.read_at.tolist() == [[2, 3]]
    assert (encoded.n_keys, encoded.causal) == (2, False)


def test_flat_encoding_is_one_token_a_symbol_read_at_each_querys_last(small_task: Generator) -> None:
    examples = Examples(
        *(np.array(a, dtype=np.int32) for a in ([[[4, 9], [9, 2]]], [[[4, 2], [9, 1]]], [[2, 2]], [[2, 1]]))
    )
    encoded = ENCODINGS["flat"](examples, small_task.schema)
    assert encoded.tokens[0, :, 0].tolist() == [5, 10, 10, 3, 5, 36, 10, 35]
    assert encoded.read_at.tolist() == [[5, 7]]
    assert (encoded.n_keys, encoded.causal) == (None, True)
    assert (encoded.n_shared, encoded.block) == (4, 2)
    assert to_batch(examples, small_task.schema, "flat", CPU).seq_len == 6, "the facts and one query"


def test_a_sequence_is_one_token_a_position_read_at_each_and_padded_at_its_end() -> None:
    schema = Schema(fact=(Role("token", "digit"),), query=(), answer="sum", vocabularies={"sum": 5, "digit": 5})
    facts = np.array([[[3], [0], [4]], [[2], [NOTHING], [NOTHING]]], dtype=np.int32)
    answer = np.array([[NOTHING, 1, 4], [2, NOTHING, NOTHING]], dtype=np.int32)
    examples = Examples(facts, np.empty((2, 3, 0), dtype=np.int32), answer, (answer != NOTHING).astype(np.int32))
    batch = to_batch(examples, schema, "sequence", CPU)
    assert batch.tokens[..., 0].tolist() == [[9, 6, 10], [8, PAD, PAD]]
    assert batch.read_at.tolist() == [[0, 1, 2]] * 2 and batch.length.tolist() == [3, 1]
    assert batch.is_labelled.tolist() == [[False, True, True], [True, False, False]]
    assert (batch.layout.causal, batch.layout.n_keys, batch.layout.n_shared) == (True, None, None)


def test_what_pads_a_sequence_changes_no_answer_before_it() -> None:
    schema = Schema(fact=(Role("token", "digit"),), query=(), answer="digit", vocabularies={"digit": 5})
    spec = make_model({"attention": "nexus", "order": 2, "encoding": "sequence", "d_model": 16}, where="test")
    model = build_model(spec, schema, seq_len=6, seed=0).double()
    facts = integers(stream("pad"), 4, 6, high=5)[:, :, None]
    whole = Examples(facts, np.empty((4, 6, 0), dtype=np.int32), facts[..., 0], np.ones((4, 6), dtype=np.int32))
    padded = facts.copy()
    padded[:, 3:] = NOTHING
    ours, theirs = (model(to_batch(whole._replace(facts=f), schema, "sequence", CPU)) for f in (padded, facts))
    torch.testing.assert_close(ours[:, :3], theirs[:, :3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("encoding", ["fact", "flat"])
def test_every_query_gets_a_score_for_every_class(encoding: str, small_task: Generator) -> None:
    model, spec = build(small_task, encoding=encoding)
    out = scores(model, small_task.sample(4, stream("model")), small_task, spec)
    assert out.shape == (4, 5, 33)
    assert out.isfinite().all()


@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_query_is_answered_without_looking_at_other_queries(n_layers: int, small_task: Generator) -> None:
    model, spec = build(small_task, order=3, n_layers=n_layers)
    examples = small_task.sample(4, stream("model"))
    changed = examples._replace(query=examples.query.copy())
    changed.query[:, 2] = examples.query[:, 0]
    before, after = scores(model, examples, small_task, spec), scores(model, changed, small_task, spec)
    others = [0, 1, 3, 4]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-5)
    torch.testing.assert_close(after[:, 2], before[:, 0], rtol=0, atol=1e-5)


def test_the_order_of_the_facts_does_not_matter_in_the_fact_encoding(small_task: Generator) -> None:
    model, spec = build(small_task)
    examples = small_task.sample(4, stream("model"))
    shuffled = examples._replace(facts=examples.facts[:, ::-1].copy())
    before, after = scores(model, examples, small_task, spec), scores(model, shuffled, small_task, spec)
    torch.testing.assert_close(before, after, rtol=0, atol=1e-5)


def flat(task: Generator, name: str, position: str) -> tuple[Transformer, ModelSpec]:
    shape = {"encoding": "flat", "position": position, "n_layers": 2, "n_loops": 2}
    model, spec = build(task, attention=name, **shape)
    return model.double(), spec


POSITIONS = [
    (name, position)
    for name in ATTENTIONS.names()
    for position in ("none", "learned", "rope")
    if position != "rope" or ATTENTIONS.get(name).takes_rope
]


@pytest.mark.parametrize(("name", "position"), POSITIONS)
def test_a_flat_query_gets_what_it_gets_alone(name: str, position: str, small_task: Generator) -> None:
    model, spec = flat(small_task, name, position)
    examples = small_task.sample(2, stream("alone"))
    together = scores(model, examples, small_task, spec)
    alone = scores(model, examples.one_query_per_graph(), small_task, spec)
    torch.testing.assert_close(together.flatten(0, 1), alone[:, 0], rtol=0, atol=1e-12)
    batch = to_batch(examples.one_query_per_graph(), small_task.schema, "flat", CPU)
    plain = model(batch._replace(layout=Layout(causal=True)))  # one query is one causal sequence
    torch.testing.assert_close(plain, alone, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "position"), POSITIONS)
@pytest.mark.parametrize("query", [0, 3])
def test_a_flat_query_changes_no_other_answer(name: str, position: str, query: int, small_task: Generator) -> None:
    model, spec = flat(small_task, name, position)
    examples = small_task.sample(2, stream("model"))
    changed = examples._replace(query=examples.query.copy())
    changed.query[:, query] = examples.query[:, 2]
    before, after = scores(model, examples, small_task, spec), scores(model, changed, small_task, spec)
    others = [at for at in range(5) if at != query]
    assert torch.equal(before[:, others], after[:, others])
    assert not torch.allclose(before[:, query], after[:, query])
    torch.testing.assert_close(after[:, query], before[:, 2], rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", GRAPHS)
def test_a_flat_query_of_every_family_gets_what_it_gets_alone(family: str) -> None:
    task = make_task({"task": family}, where="test").generator()
    one = task.sample(1, stream("alone"))
    spec = make_model({"attention": "standard", "encoding": "flat", "n_layers": 2}, where="test")
    model = build_model(spec, task.schema, seq_len=to_batch(one, task.schema, "flat", CPU).seq_len, seed=0).double()
    alone = scores(model, one.one_query_per_graph(), task, spec)
    torch.testing.assert_close(scores(model, one, task, spec)[0], alone[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("encoding", "n_positions"), [("fact", 11 + 5), ("flat", 2 * 11 + 2)])
def test_a_model_learns_a_position_for_each_place_of_its_sequences(
    encoding: str, n_positions: int, small_task: Generator
) -> None:
    model = cell(encoding=encoding, position="learned").model
    task = make_task({"task": "pointer_chase", "hops": [1, 2, 3], "n_nodes": 11, "n_queries": 5}, where="test")
    batch = to_batch(small_task.sample(1, stream("places")), small_task.schema, encoding, CPU)
    assert batch.seq_len == n_positions
    plain = cost_of(model.model_copy(update={"position": "none"}), task).parameters
    assert cost_of(model, task).parameters - plain == n_positions * 16


def test_parameters_and_initial_weights_do_not_depend_on_order(small_task: Generator) -> None:
    models = [build(small_task, order=order)[0] for order in (1, 2, 4)] + [build(small_task, attention="standard")[0]]
    first = models[0].state_dict()
    for model in models[1:]:
        weights = model.state_dict()
        assert weights.keys() == first.keys()
        assert all(torch.equal(weights[name], first[name]) for name in first)


def test_loops_reuse_the_same_parameters_and_layers_do_not(small_task: Generator) -> None:
    one, looped, deep = (build(small_task, **e)[0] for e in ({}, {"n_loops": 3}, {"n_layers": 3}))
    count = [sum(p.numel() for p in model.parameters()) for model in (one, looped, deep)]
    assert count[0] == count[1] < count[2]
    examples = small_task.sample(4, stream("model"))
    spec = make_model({"attention": "nexus"}, where="test")
    assert not torch.allclose(scores(one, examples, small_task, spec), scores(looped, examples, small_task, spec))


def test_building_a_model_keeps_the_callers_random_state(small_task: Generator) -> None:
    before = torch.random.get_rng_state()
    build(small_task)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_table_holds_every_vocabulary_and_the_pad(small_task: Generator) -> None:
    assert table_size(small_task.schema) == 1 + 33 + 4


def test_scores_count_right_answers_by_hop(small_task: Generator) -> None:
    """A model that always answers class 8: what is right can be counted by hand."""
    model, spec = build(small_task)
    with torch.no_grad():
        model.readout.weight.zero_()
        model.readout.bias.zero_()
        model.readout.bias[8] = 100.0
    examples = small_task.sample(300, stream("score"))
    for hop, at in score(model, examples, small_task.schema, spec.encoding).items():
        answers = examples.answer[examples.hop == hop]
        assert (at.n_examples, at.n_correct) == (answers.size, int((answers == 8).sum()))
        assert at.loss == pytest.approx(100.0 * (answers != 8).mean())
