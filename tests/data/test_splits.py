import itertools

import numpy as np
import pytest

from nexus_bench.data.digests import sha256_of
from nexus_bench.data.law import Law
from nexus_bench.data.splits import BLOCK_GRAPHS, Splits, world_ids, worlds_of
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator, Role, Schema, Solution, TaskParams
from nexus_bench.streams import Int, integers, permutations, stream

GOLDEN = {  # pointer_chase version 1, hops 1-3, 11 nodes, seed 7
    "train": "200ef0a894eb679d5765e4e3fdd63a84bbddbee732fafd59e9bc422ca6934a9b",
    "val": "86ac011222bd800b6c20af7b30a50ed114c08d1b7bd40d8eddcc2887b483ad09",
    "test": "9f33dfcdbd911d9a71b67f900da4229cbe0ebe4b23d5e3ca3bfb6c8a337bad2a",
}

GOLDEN_WORDS = [14758022725186672414, 13553001915951669908]


def worlds(examples: Examples) -> set[frozenset[tuple[int, ...]]]:
    return {frozenset(tuple(fact) for fact in facts) for facts in examples.facts.tolist()}


class TwoTokens(Generator[TaskParams]):
    """The sequence 0, 1; the answer at each token is the token."""

    name, version, Params = "two_tokens", 1, TaskParams
    max_hop = n_worlds = 1
    n_facts = 2
    schema = Schema((Role("token", "token"),), (), "token", {"token": 2})

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        tokens = np.tile(np.arange(2, dtype=np.int32), (n_graphs, 1))
        return Examples(tokens[:, :, None], tokens[:, :, None][:, :, :0], tokens, np.ones_like(tokens))

    def solve(self, facts: Int, query: Int) -> Solution:
        return Solution(facts[:, :, 0], np.ones_like(facts[:, :, 0]), np.arange(2, dtype=np.int32)[None, :, None])

    def advice_for_hop(self, hop: int) -> str:
        return ""

    def chance(self, hop: int) -> float:
        return 1 / 2

    partial_input = chance


@pytest.fixture
def crowded() -> Generator:
    """20 distinct worlds alone: cycles over three of five names, in two directions."""
    entry = {"task": "pointer_chase", "hops": 1, "n_nodes": 3, "vocab_size": 5}
    return make_task(entry, where="test").generator()


def test_bytes_are_the_golden_ones() -> None:
    generator = make_task({"task": "pointer_chase", "hops": "1-3", "n_nodes": 11}, where="test").generator()
    splits = Splits({"iid": Law(generator)}, seed=7, n_val=13, n_test=17)
    assert {
        "train": sha256_of(splits.train(0, 1100)),
        "val": sha256_of(splits.held_out["val"].examples),
        "test": sha256_of(splits.held_out["test"].examples),
    } == GOLDEN


def test_reserved_worlds_never_occur_in_training(crowded: Generator) -> None:
    splits = Splits({"iid": Law(crowded)}, seed=0, n_val=2, n_test=6)
    train = worlds(splits.train(0, 5 * BLOCK_GRAPHS))
    assert crowded.n_worlds == 20
    assert not worlds(splits.held_out["test"].examples) & worlds(splits.held_out["val"].examples)
    assert not worlds(splits.held_out["test"].examples) & train
    assert not worlds(splits.held_out["val"].examples) & train
    assert len(train) == 20 - len(worlds(splits.held_out["test"].examples)) - len(
        worlds(splits.held_out["val"].examples)
    ), "and every other world does"


def test_a_world_space_too_small_for_its_splits_is_an_error(crowded: Generator) -> None:
    with pytest.raises(
        ConfigError, match="too few distinct graphs: 11 of validation and test need 22, there are 20; lower"
    ):
        Splits({"iid": Law(crowded)}, seed=0, n_val=5, n_test=6)


def test_a_family_with_fewer_worlds_than_it_says_is_told_and_not_drawn_for_ever(
    crowded: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(crowded), "n_worlds", 10**9)
    with pytest.raises(ConfigError, match=r"graphs of val repeat reserved ones .* than its n_worlds says"):
        Splits({"iid": Law(crowded)}, seed=0, n_val=2, n_test=900)


def test_the_world_of_a_sequence_is_the_sequence_and_that_of_a_graph_the_set_of_its_facts() -> None:
    examples = TwoTokens(TaskParams(n_queries=2), (1,)).sample(1, stream("any"))
    turned = examples._replace(facts=examples.facts[:, ::-1])
    law = Law(TwoTokens(TaskParams(n_queries=2), (1,)))
    assert worlds_of(law, examples) != worlds_of(law, turned) and world_ids(examples.facts) == world_ids(turned.facts)


def test_training_graphs_do_not_depend_on_how_they_are_asked_for(small_task: Generator) -> None:
    whole = Splits({"iid": Law(small_task)}, seed=1, n_val=3, n_test=5).train(0, 2100)
    splits = Splits({"iid": Law(small_task)}, seed=1, n_val=3, n_test=5)
    edges = [0, 7, 1000, 1023, 1024, 1025, 2048, 2100]
    pieces = [splits.train(start, stop) for start, stop in itertools.pairwise(edges)]
    assert sha256_of(Examples.concatenate(pieces)) == sha256_of(whole)


def test_a_batch_is_its_slice_of_the_training_graphs(small_task: Generator) -> None:
    splits = Splits({"iid": Law(small_task)}, seed=1, n_val=3, n_test=5)
    assert sha256_of(splits.batch(29, 70)) == sha256_of(splits.train(2030, 2100))


def test_more_test_graphs_keep_the_first_ones(small_task: Generator) -> None:
    few, many = (
        Splits({"iid": Law(small_task)}, seed=1, n_val=3, n_test=n).held_out["test"].examples for n in (5, 1500)
    )
    assert sha256_of(few) == sha256_of(many.take(slice(5)))


@pytest.mark.parametrize("other", [1, 2, 43])
def test_seeds_share_no_graph(small_task: Generator, other: int) -> None:
    first, second = (
        Splits({"iid": Law(small_task)}, seed=seed, n_val=3, n_test=5).train(0, 3000) for seed in (42, other)
    )
    assert not worlds(first) & worlds(second)


def test_a_world_does_not_depend_on_the_order_of_its_facts(small_task: Generator) -> None:
    facts = small_task.sample(60, stream("worlds")).facts
    assert (world_ids(facts) == world_ids(facts[:, ::-1])).all()
    assert len(set(world_ids(facts).tolist())) == 60
    reversed_roles = world_ids(facts[:, :, ::-1])
    assert not set(reversed_roles.tolist()) & set(world_ids(facts).tolist()), "a turned edge is another fact"


def test_streams_of_different_keys_differ() -> None:
    keys = [("a", 1), ("a", "1"), (1, "a"), ("a", 1, 0), ("a1",)]
    firsts = {int(stream(*key).bit_generator.random_raw()) for key in keys}
    assert len(firsts) == len(keys)


def test_a_stream_gives_its_golden_words() -> None:
    assert stream("golden", 1).bit_generator.random_raw(2).tolist() == GOLDEN_WORDS


def test_permutations_are_uniform() -> None:
    rows = permutations(stream("permutations"), 24_000, 4)
    assert (np.sort(rows, axis=1) == np.arange(4)).all()
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == 24
    assert ((counts - 1000) ** 2 / 1000).sum() < 23 + 5 * np.sqrt(2 * 23)


def test_integers_are_uniform() -> None:
    counts = np.bincount(integers(stream("integers"), 500, 70, high=7).ravel(), minlength=7)
    assert len(counts) == 7
    assert ((counts - 5000) ** 2 / 5000).sum() < 6 + 5 * np.sqrt(2 * 6)
