"""Attention maps seen from outside are what mechanisms compute."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import project, weights
from nexus_bench.attention.parts import merge_heads, split_heads
from nexus_bench.errors import UsageError
from nexus_bench.generators.base import Generator
from nexus_bench.inspection.recording import Pass, record
from nexus_bench.model.batch import to_batch
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import stream
from tests.small import chase, small_law, untrained
from tests.walkers import walk_by_one_head, walker

OURS = ("diffusion", "nexus", "standard", "strassen", "triangular", "two_simplicial")


def passes_of(law: Generator, encoding: str = "fact", **entry: Any) -> list[Pass]:
    model = untrained(law, encoding=encoding, **entry)
    batch = to_batch(law.sample(2, stream("passes")), law.schema, encoding, torch.device("cpu"))
    return record(model, batch)


@pytest.fixture
def law() -> Generator:
    return small_law()


@pytest.mark.parametrize("encoding", ["fact", "flat"])
@pytest.mark.parametrize("name", ATTENTIONS.names())
def test_every_mechanism_shows_maps_and_computes_what_it_computes(name: str, encoding: str, law: Generator) -> None:
    if encoding == "fact" and not ATTENTIONS.get(name).takes_sets:
        pytest.skip("takes sequences alone")
    model = untrained(law, attention=name, encoding=encoding)
    batch = to_batch(law.sample(2, stream("every")), law.schema, encoding, torch.device("cpu"))
    with torch.no_grad():
        before = model(batch)
        try:
            passes = record(model, batch)
        except UsageError as error:  # a mechanism may have no map, but says so
            assert name not in OURS and "has no map to record" in str(error)
            return
        after = model(batch)
    assert torch.equal(before, after)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    n, n_keys = batch.tokens.shape[1], batch.layout.n_keys or batch.tokens.shape[1]
    for one in passes:
        assert one.weights.shape[0] == 2 and one.weights.shape[1] % 3 == 0 and one.weights.shape[2:] == (n, n_keys)
        torch.testing.assert_close(one.weights.sum(dim=-1), torch.ones(one.weights.shape[:3]))
        if encoding == "flat":
            assert one.weights.triu(1).abs().max() == 0, "no position looks at a later one"
            for first in range(14, 24, 2):  # 7 facts and 5 queries of two tokens
                assert not one.weights[:, :, first : first + 2, 14:first].any(), "nor at other queries"


def test_a_map_is_the_softmax_of_scaled_products(law: Generator) -> None:
    model = untrained(law, attention="standard")
    batch = to_batch(law.sample(2, stream("map")), law.schema, "fact", torch.device("cpu"))
    (only,) = record(model, batch)
    block = model.blocks[0]
    x = torch.nn.functional.pad(model.table(batch.tokens).flatten(2), (0, model.unused_width))
    q, k, _ = block.attention_norm(x).matmul(block.attention.projections.packed.weight.T).chunk(3, dim=-1)
    for head in range(3):
        part = slice(4 * head, 4 * head + 4)
        scores = q[..., part] @ k[:, :7, part].transpose(1, 2) / 2  # sqrt(4)
        torch.testing.assert_close(only.weights[:, head], scores.softmax(dim=-1))


@pytest.mark.parametrize(
    ("entry", "places"),
    [
        ({"attention": "standard"}, ["level 1"]),
        (
            {"attention": "standard", "n_layers": 2, "n_loops": 2},
            ["level 1", "layer 2, level 1", "loop 2, level 1", "layer 2, loop 2, level 1"],
        ),
        ({"attention": "nexus", "order": 3}, ["level 1", "level 2", "level 3"]),
        ({"attention": "nexus", "order": 3, "inner": "direct"}, ["level 1", "level 2", "level 3"]),
        (
            {"attention": "nexus", "order": 2, "share": "unshared"},
            ["level 1, nest.inner.q", "level 1, nest.inner.k", "level 2, nest"],
        ),
        ({"attention": "diffusion", "powers": 3}, ["level 1"]),
        ({"attention": "strassen"}, ["level 1"]),
        ({"attention": "triangular"}, ["level 1"]),
    ],
)
def test_a_pass_knows_its_layer_loop_and_level(entry: dict[str, Any], places: list[str], law: Generator) -> None:
    assert [one.place.title for one in passes_of(law, **entry)] == places


@pytest.mark.parametrize(
    ("entry", "levels"),
    [
        ({"attention": "diffusion", "powers": 3}, [1]),
        ({"attention": "nexus", "order": 3, "inner": "direct"}, [1, 2, 3]),
    ],
)
def test_a_rotary_map_applied_again_is_one_pass(entry: dict[str, Any], levels: list[int], law: Generator) -> None:
    assert [one.place.level for one in passes_of(law, "flat", position="rope", **entry)] == levels


def test_levels_that_find_the_same_are_levels() -> None:
    task = chase(1)
    model = walk_by_one_head(walker(task, attention="nexus", order=3, refine="qk")).eval()
    passes = record(model, to_batch(task.sample(2, stream("same")), task.schema, "fact", torch.device("cpu")))
    assert torch.equal(passes[1].weights, passes[2].weights)
    assert [one.place.level for one in passes] == [1, 2, 3]


@pytest.mark.parametrize(("encoding", "position"), [("fact", "none"), ("flat", "rope")])
def test_maps_are_those_of_the_naive_reference(encoding: str, position: str, law: Generator) -> None:
    model = untrained(law, attention="standard", encoding=encoding, position=position)
    batch = to_batch(law.sample(2, stream("naive")), law.schema, encoding, torch.device("cpu"))
    (only,) = record(model, batch)
    block = model.blocks[0]
    x = block.attention_norm(torch.nn.functional.pad(model.table(batch.tokens).flatten(2), (0, model.unused_width)))
    layout = dataclasses.replace(batch.layout, rope=position == "rope")
    for graph in range(2):
        q, k = project(block.attention.projections, x[graph].detach(), "qk")
        for head in range(3):
            expected = weights(q[head].double(), k[head].double(), layout)[:, : only.weights.shape[-1]]
            torch.testing.assert_close(only.weights[graph, head].double(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["strassen", "two_simplicial"])
def test_pairs_show_what_each_of_their_members_gets(name: str, law: Generator) -> None:
    (only,) = passes_of(law, attention=name)
    assert only.weights.shape[1] == 2 * 3
    first, second = only.weights.chunk(2, dim=1)
    assert not torch.allclose(first, second)


class Averaging(Attention[AttentionOptions]):
    """Attends to everything alike, without a softmax."""

    name = "averaging"
    version = 1

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        return x.mean(dim=1, keepdim=True).expand_as(x)


class OwnSoftmax(Averaging):
    """Computes its map itself."""

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        weights = (x[:, None] @ layout.keys(x)[:, None].transpose(-2, -1)).softmax(dim=-1)
        return (weights @ layout.keys(x)[:, None])[:, 0]


class ByKeyword(Averaging):
    """Fused attention by keyword, one key head for all, with a mask to be added and a scale; a softmax over heads."""

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        heads = split_heads(x, 3)
        one = layout.keys(heads[:, :1])
        mixed = torch.nn.functional.scaled_dot_product_attention(
            query=heads, key=one, value=one, attn_mask=bias(x.shape[1], one.shape[-2]), scale=0.7, enable_gqa=True
        )
        return merge_heads(mixed * mixed.softmax(dim=1))


def bias(n: int, k: int) -> Tensor:
    return torch.linspace(-1, 1, n * k).reshape(n, k)


class Failing(Averaging):
    """Stops in the middle."""

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        raise RuntimeError("stopped")


def with_attention(model: Transformer, attention: nn.Module) -> Transformer:
    changed = copy.deepcopy(model)
    changed.blocks[0].attention = attention
    return changed


def test_a_mechanism_of_somebody_else_shows_its_softmax_or_is_said_to_have_none(law: Generator) -> None:
    model = untrained(law, attention="standard")
    batch = to_batch(law.sample(2, stream("own")), law.schema, "fact", torch.device("cpu"))
    own = with_attention(model, OwnSoftmax(12, 3, AttentionOptions()))
    assert [one.weights.shape for one in record(own, batch)] == [(2, 1, 12, 7)]
    with pytest.raises(UsageError, match="attention 'averaging' has no map to record"):
        record(with_attention(model, Averaging(12, 3, AttentionOptions())), batch)


def test_every_argument_of_fused_attention_counts(law: Generator) -> None:
    model = with_attention(untrained(law, attention="standard"), ByKeyword(12, 3, AttentionOptions()))
    batch = to_batch(law.sample(2, stream("keyword")), law.schema, "fact", torch.device("cpu"))
    (only,) = record(model, batch)
    x = model.blocks[0].attention_norm(model.table(batch.tokens).flatten(2))
    for head in range(3):
        scores = x[..., 4 * head : 4 * head + 4] @ x[:, :7, :4].transpose(1, 2) * 0.7 + bias(12, 7)
        torch.testing.assert_close(only.weights[:, head], scores.softmax(dim=-1))


def test_a_model_that_fails_keeps_no_hooks(law: Generator) -> None:
    model = with_attention(untrained(law, attention="standard"), Failing(12, 3, AttentionOptions()))
    batch = to_batch(law.sample(2, stream("fails")), law.schema, "fact", torch.device("cpu"))
    with pytest.raises(RuntimeError, match="stopped"):
        record(model, batch)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
