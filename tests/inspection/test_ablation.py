"""Attention taken away: what the answer becomes, against weights set by hand that need it."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nexus_bench.data.law import Law
from nexus_bench.data.splits import HeldOut
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.inspection.ablation import _mean_ablated, answers_without
from nexus_bench.inspection.pointing import walk
from nexus_bench.inspection.recording import answer_with, record
from nexus_bench.model.batch import Batch, to_batch
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import stream
from tests.small import chase, small_law, untrained
from tests.walkers import walk_both_ways, walker

ALLOWED = torch.ones(1, 5, dtype=torch.bool)


def made(encoding: str = "fact", **entry: Any) -> tuple[Transformer, Batch, Generator, Examples]:
    law = small_law()
    examples = law.sample(3, stream("mean_ablated"))
    model = untrained(law, encoding=encoding, **entry)
    return model, to_batch(examples, law.schema, encoding, torch.device("cpu")), law, examples


def ablated(weights: list[float], fact: list[int], allowed: torch.Tensor = ALLOWED) -> list[float]:
    is_fact = torch.tensor([[[key in fact for key in range(allowed.shape[1])]]])
    found: list[float] = _mean_ablated(torch.tensor(weights)[None, None, None], is_fact, allowed)[0, 0, 0].tolist()
    return found


def test_a_fact_gets_the_mean_of_the_others_and_all_sums_to_one() -> None:
    assert ablated([0.6, 0.1, 0.1, 0.1, 0.1], [0]) == pytest.approx([0.2] * 5)
    assert ablated([0.0, 0.4, 0.3, 0.2, 0.1], [0]) == pytest.approx([0.2, 0.32, 0.24, 0.16, 0.08])
    assert ablated([1.0, 0.0, 0.0, 0.0, 0.0], [0]) == pytest.approx([0.2] * 5), "nothing is left to tell others by"
    assert ablated([0.5, 0.2, 0.2, 0.1, 0.0], []) == pytest.approx([0.5, 0.2, 0.2, 0.1, 0.0])


def test_a_fact_of_several_tokens_is_mean_ablated_as_one_and_later_ones_stay_unseen() -> None:
    assert ablated([0.4, 0.3, 0.1, 0.1, 0.1], [0, 1]) == pytest.approx([0.2] * 5)
    earlier = torch.tensor([[True, True, True, False, False]])
    assert ablated([0.6, 0.2, 0.2, 0.0, 0.0], [0], earlier) == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0])


def test_of_pairs_those_with_the_fact_in_either_place_are_mean_ablated() -> None:
    pairs = torch.tensor([[0.3, 0.3, 0.3], [0.0, 0.02, 0.02], [0.0, 0.02, 0.04]])
    is_fact = torch.tensor([[[True, False, False]]])
    found = _mean_ablated(pairs.reshape(1, 1, 1, 9), is_fact, torch.ones(1, 3, dtype=torch.bool)).reshape(3, 3)
    others = torch.tensor([[0.025] * 3, [0.025, 0.02, 0.02], [0.025, 0.02, 0.04]])
    torch.testing.assert_close(found, others / others.sum())


def test_an_answer_is_that_of_the_model_with_the_changed_map() -> None:
    """One standard layer, computed again step by step."""
    model, batch, _, _ = made(attention="standard")
    fact = torch.tensor([[0, 3, -1, 6, 2]] * 3)
    block = model.blocks[0]
    with torch.no_grad():
        x = F.pad(model.table(batch.tokens).flatten(2), (0, model.unused_width))
        q, k, v = (block.attention.projections.project(block.attention_norm(x), letter)[0] for letter in "qkv")
        weights = (q @ k[:, :, :7].transpose(2, 3) / 2).softmax(dim=-1)
        for graph in range(3):
            for query, target in enumerate(fact[graph].tolist()):
                row = weights[graph, :, 7 + query]
                if target >= 0:
                    row[:, target] = (row.sum(dim=-1) - row[:, target]) / 6
                    row /= row.sum(dim=-1, keepdim=True)
        x = x + block.attention.out((weights @ v[:, :, :7]).transpose(1, 2).flatten(2))
        x = x + block.mlp(block.mlp_norm(x))
        expected = model.readout(model.norm(x))[:, 7:].argmax(dim=-1)
    assert torch.equal(answers_without(model, batch, number=0, fact=fact, width=1), expected)


@pytest.mark.parametrize("encoding", ["fact", "flat"])
@pytest.mark.parametrize(
    "entry",
    [
        {"attention": "nexus", "order": 3},
        {"attention": "nexus", "order": 2, "share": "unshared"},
        {"attention": "nexus", "order": 2, "inner": "direct", "position": "rope"},
        {"attention": "diffusion"},
        {"attention": "strassen"},
        {"attention": "triangular"},
        {"attention": "standard", "n_layers": 2, "n_loops": 2},
    ],
)
def test_maps_put_back_as_they_were_change_nothing_and_others_do(entry: dict[str, Any], encoding: str) -> None:
    model, batch, _, _ = made(encoding, **entry)
    with torch.no_grad():
        untouched = model(batch)
    torch.testing.assert_close(answer_with(model, batch, lambda number, weights: weights), untouched)
    seen: list[int] = []

    def shifted(number: int, weights: torch.Tensor) -> torch.Tensor:
        seen.append(number)
        return weights.roll(1, dims=-1)

    assert not torch.allclose(answer_with(model, batch, shifted), untouched, atol=1e-4)
    assert sorted(set(seen)) == list(range(len(record(model, batch)))), "every pass of `record` can be changed"


@pytest.mark.parametrize(
    ("order", "refine", "needed"),
    [(2, "q", {1: 1, 2: 2}), (3, "q", {1: 1, 2: 2, 3: 3}), (2, "qk", {1: 1, 2: 3})],
)
def test_a_walk_needs_the_fact_that_each_level_points_at_and_no_other(
    order: int, refine: str, needed: dict[int, int]
) -> None:
    hop = max(needed.values())
    task = chase(hop)
    model = walk_both_ways(walker(task, attention="nexus", order=order, refine=refine)).eval()
    held = HeldOut(Law(task), task.sample(11, stream("needed")))
    walked = walk(model, held, task.schema, encoding="fact", hop=hop, n_examples=53, example=0)
    assert walked.accuracy == 1
    left = {(r["level"], r["step"]): r["mean_ablated"] for r in walked.rows if r["mean_ablated"] is not None}
    assert len(left) == order * hop
    for (level, step), accuracy in left.items():
        assert accuracy < 0.3 if needed[level] == step else accuracy == 1, (level, step)


def test_queries_without_a_fact_to_level_stay_as_they_are() -> None:
    model, batch, _, examples = made(attention="nexus", order=2)
    with torch.no_grad():
        untouched = model(batch).argmax(dim=-1)
    nothing = torch.full(examples.answer.shape, -1)
    assert torch.equal(answers_without(model, batch, number=1, fact=nothing, width=1), untouched)
    some = nothing.clone()
    some[1, 2] = 4
    same = answers_without(model, batch, number=1, fact=some, width=1) == untouched
    assert np.delete(same.numpy().ravel(), 1 * 5 + 2).all()
