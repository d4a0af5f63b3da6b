"""Where attention points along the path, against weights set by hand that are known to walk."""

from typing import Any

import numpy as np
import pytest
import torch

from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator, Solution
from nexus_bench.generators.pointer_chase import PointerChase, PointerChaseParams
from nexus_bench.inspection.pointing import Walk, split_with, walk
from nexus_bench.inspection.recording import record
from nexus_bench.model.batch import to_batch
from nexus_bench.streams import Int, stream
from tests.small import chase, small_law, untrained
from tests.walkers import walk_both_ways, walker

BACKWARDS, FORWARDS = 1, 2  # the heads of `walk_both_ways`


@pytest.fixture
def law() -> Generator:
    return small_law()


def watched(hop: int, n_examples: int = 101, **entry: Any) -> Walk:
    task = chase(hop)
    model = walk_both_ways(walker(task, **entry)).eval()
    held = HeldOut(Law(task), task.sample(37, stream("watched")))
    return walk(model, held, task.schema, encoding="fact", hop=hop, n_examples=n_examples, example=7)


def shares(walked: Walk, source: str, *, level: int, head: int) -> dict[int, float]:
    rows = [row for row in walked.rows if (row["source"], row["level"], row["head"]) == (source, level, head)]
    return {row["step"]: row["pointed"] for row in rows}


@pytest.mark.parametrize("order", [2, 3, 4])
def test_level_i_of_a_nest_that_refines_queries_points_at_hop_i(order: int) -> None:
    walked = watched(order, attention="nexus", order=order, refine="q")
    for level in range(1, order + 1):
        pointed = shares(walked, "query", level=level, head=FORWARDS)
        assert pointed == {hop: float(hop == level) for hop in range(1, order + 1)}
        assert all(share < 0.2 for share in shares(walked, "query", level=level, head=BACKWARDS).values())


@pytest.mark.parametrize("share", ["shared", "unshared"])
def test_a_nest_that_refines_both_sides_jumps_while_its_facts_walk_both_ways(share: str) -> None:
    walked = watched(3, attention="nexus", order=2, refine="qk", share=share)
    assert shares(walked, "query", level=1, head=FORWARDS) == {1: 1, 2: 0, 3: 0}
    assert shares(walked, "query", level=2, head=FORWARDS) == {1: 0, 2: 0, 3: 1}
    assert shares(walked, "fact", level=1, head=FORWARDS) == {-2: 0, -1: 0, 0: 0, 1: 1, 2: 0}
    assert shares(walked, "fact", level=1, head=BACKWARDS) == {-2: 0, -1: 1, 0: 0, 1: 0, 2: 0}


def test_shares_and_masses_are_over_the_examples_that_could_have_them() -> None:
    walked = watched(3, n_examples=101, attention="nexus", order=3, refine="q")
    assert walked.n_examples == 101
    by_step = {(row["source"], row["step"]): row["n"] for row in walked.rows}
    assert {step: n for (source, step), n in by_step.items() if source == "query"} == {1: 101, 2: 101, 3: 101}
    assert {step: n for (source, step), n in by_step.items() if source == "fact"} == {
        -2: 101,
        -1: 202,
        0: 303,
        1: 202,
        2: 101,
    }
    sharp = [row for row in walked.rows if row["pointed"] == 1 and row["head"]]
    assert sharp and all(row["mass"] > 0.99 for row in sharp)
    assert {row["chance"] for row in walked.rows if row["head"]} == {1 / 12}
    assert all(row["chance"] == pytest.approx(1 - (11 / 12) ** 2) for row in walked.rows if not row["head"])


def test_counts_agree_with_a_loop_over_examples(law: Generator) -> None:
    examples = law.sample(41, stream("loop"))
    model = untrained(law, attention="nexus", order=2)
    walked = walk(model, HeldOut(Law(law), examples), law.schema, encoding="fact", hop=2, n_examples=50, example=49)
    batch = to_batch(examples, law.schema, "fact", torch.device("cpu"))
    last = record(model, batch)[1].weights.numpy()
    rows = law.solve(examples.facts, examples.query).rows
    found = {(source, step): [] for source, steps in (("query", (1, 2)), ("fact", (-1, 0, 1))) for step in steps}
    for graph, query in np.argwhere(examples.hop == 2)[:50]:
        path = rows[graph, query, :2]
        for hop in (1, 2):
            weights = last[graph, 2, 7 + query]
            found["query", hop].append((weights.argmax() == path[hop - 1], weights[path[hop - 1]]))
        for place, looking in enumerate(path):
            for other, fact in enumerate(path):
                weights = last[graph, 2, looking]
                found["fact", other - place].append((weights.argmax() == fact, weights[fact]))
    third = [row for row in walked.rows if (row["level"], row["head"]) == (2, 3)]
    assert len(third) == len(found)
    for row in third:
        seen = found[row["source"], row["step"]]
        assert row["n"] == len(seen)
        assert (row["pointed"], row["mass"]) == pytest.approx(tuple(np.mean(seen, axis=0)), abs=1e-6)
    assert walked.example.path == rows[tuple(np.argwhere(examples.hop == 2)[49])][:2].tolist()
    assert (walked.example.facts == examples.facts[np.argwhere(examples.hop == 2)[49][0]]).all()


def test_any_head_and_the_weakest_fact_agree_with_a_loop_over_examples(law: Generator) -> None:
    examples = law.sample(41, stream("loop"))
    model = untrained(law, attention="standard")
    walked = walk(model, HeldOut(Law(law), examples), law.schema, encoding="fact", hop=2, n_examples=50, example=0)
    (only,) = record(model, to_batch(examples, law.schema, "fact", torch.device("cpu")))
    rows = law.solve(examples.facts, examples.query).rows
    chosen = np.argwhere(examples.hop == 2)[:50]
    for hop in (1, 2):
        points, avoids, walks = [], [], []
        for graph, query in chosen:
            first, second = rows[graph, query, :2]
            heads = only.weights[graph].numpy()
            points.append(any(head[7 + query].argmax() == (first, second)[hop - 1] for head in heads))
            avoids.append([head[7 + query].argmin() == (first, second)[hop - 1] for head in heads])
            walks.append(any(head[first].argmax() == second for head in heads))
        by = {(row["source"], row["head"], row["step"]): row for row in walked.rows}
        assert by["query", None, hop]["pointed"] == pytest.approx(np.mean(points))
        assert by["query", None, hop]["avoided"] == pytest.approx(np.mean(np.any(avoids, axis=1)))
        assert by["query", 3, hop]["avoided"] == pytest.approx(np.mean(avoids, axis=0)[2])
        assert by["fact", None, 1]["pointed"] == pytest.approx(np.mean(walks))
    assert all(row["mass"] is None for row in walked.rows if row["head"] is None)


class LooksInVain(PointerChase):
    """Says of every second graph that its last look-up finds no fact."""

    def solve(self, facts: Int, query: Int) -> Solution:
        solution = super().solve(facts, query)
        solution.rows[::2, :, 1] = -1
        return solution


def test_an_example_whose_hop_has_no_fact_is_left_out() -> None:
    law = LooksInVain(PointerChaseParams(n_nodes=7, vocab_size=21, n_queries=5), (2,))
    examples = law.sample(31, stream("in vain"))
    model = untrained(law, attention="standard")
    walked = walk(model, HeldOut(Law(law), examples), law.schema, encoding="fact", hop=2, n_examples=999, example=0)
    assert walked.n_examples == 15 * 5


def test_tokens_of_a_fact_are_summed_and_its_last_one_looks(law: Generator) -> None:
    examples = law.sample(3, stream("flat"))
    model = untrained(law, attention="standard", encoding="flat")
    walked = walk(model, HeldOut(Law(law), examples), law.schema, encoding="flat", hop=1, n_examples=1, example=0)
    batch = to_batch(examples, law.schema, "flat", torch.device("cpu"))
    weights = record(model, batch)[0].weights.numpy()
    graph, query = np.argwhere(examples.hop == 1)[0]
    for fact in range(7):
        pair = weights[graph, :, 14 + 2 * query + 1, 2 * fact : 2 * fact + 2].sum(axis=-1)
        assert walked.example.from_query[0][:, fact] == pytest.approx(pair)
        own = weights[graph, :, 2 * fact + 1, 2 * fact : 2 * fact + 2].sum(axis=-1)
        assert walked.example.from_facts[0][:, fact, fact] == pytest.approx(own)


def test_the_split_with_the_hop_is_looked_at() -> None:
    task = make_task({"task": "pointer_chase", "hops": [1, 2], "hop_ood": [4], "n_nodes": 13}, where="test")
    laws = task.laws()
    held = {
        name: HeldOut(law, law.sample(1, stream("s")))
        for name, law in (("test", laws["iid"]), ("hop_ood", laws["hop_ood"]))
    }
    assert split_with(held, 2) is held["test"] and split_with(held, 4) is held["hop_ood"]
    with pytest.raises(ConfigError, match="the cell was tested at hops 1,2,4, got 3"):
        split_with(held, 3)
