"""Attention maps seen from outside, and where they point, against weights set by hand that are known to walk."""

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from nexus_bench import cli
from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions, Layout, merge_heads, split_heads
from nexus_bench.columns import ATTENTION_COLUMNS, WALK_COLUMNS
from nexus_bench.csv_tables import read_csv
from nexus_bench.data.splits import HeldOut
from nexus_bench.errors import ConfigError, UsageError
from nexus_bench.evaluate import to_batch
from nexus_bench.generators.base import GENERATORS, Generator
from nexus_bench.inspection.pictures import _layout, graph_picture
from nexus_bench.inspection.recording import Pass, record
from nexus_bench.inspection.walk import Walk, split_with, walk
from nexus_bench.model import Transformer, build_model
from nexus_bench.show import fact_ends
from nexus_bench.spec import make_model
from nexus_bench.streams import stream
from nexus_bench.task import make_task
from tests import naive
from tests.conftest import Command, assert_fails
from tests.test_expressivity import chase
from tests.walkers import walk_both_ways, walk_by_one_head, walker

BACKWARDS, FORWARDS = 1, 2  # the heads of `walk_both_ways`


def made(law: Generator, **entry: Any) -> Transformer:
    spec = make_model({"d_model": 12, "n_heads": 3} | entry, where="test")
    return build_model(spec, law.schema, seq_len=99, seed=0).eval()


def passes_of(law: Generator, encoding: str = "fact", **entry: Any) -> list[Pass]:
    model = made(law, encoding=encoding, **entry)
    batch = to_batch(law.sample(2, stream("passes")), law.schema, encoding, torch.device("cpu"))
    return record(model, batch)


@pytest.fixture
def law() -> Generator:
    task = {"task": "pointer_chase", "hops": [1, 2], "n_nodes": 7, "n_queries": 5}
    return make_task(task, where="test").generator()


@pytest.mark.parametrize("encoding", ["fact", "flat"])
@pytest.mark.parametrize("name", ATTENTIONS.names())
def test_every_mechanism_shows_maps_and_computes_what_it_computes(name: str, encoding: str, law: Generator) -> None:
    model = made(law, attention=name, encoding=encoding)
    batch = to_batch(law.sample(2, stream("every")), law.schema, encoding, torch.device("cpu"))
    with torch.no_grad():
        before = model(batch.tokens, batch.read_at, batch.layout)
        passes = record(model, batch)
        after = model(batch.tokens, batch.read_at, batch.layout)
    assert torch.equal(before, after)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    n, n_keys = batch.tokens.shape[1], batch.layout.n_keys or batch.tokens.shape[1]
    for one in passes:
        assert one.weights.shape[0] == 2 and one.weights.shape[1] % 3 == 0 and one.weights.shape[2:] == (n, n_keys)
        torch.testing.assert_close(one.weights.sum(dim=-1), torch.ones(one.weights.shape[:3]))
        if encoding == "flat":
            assert one.weights.triu(1).abs().max() == 0, "no position looks at a later one"


def test_a_map_is_the_softmax_of_scaled_products(law: Generator) -> None:
    model = made(law, attention="standard")
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
    model = made(law, attention="standard", encoding=encoding, position=position)
    batch = to_batch(law.sample(2, stream("naive")), law.schema, encoding, torch.device("cpu"))
    (only,) = record(model, batch)
    block = model.blocks[0]
    x = block.attention_norm(torch.nn.functional.pad(model.table(batch.tokens).flatten(2), (0, model.unused_width)))
    layout = dataclasses.replace(batch.layout, rope=position == "rope")
    for graph in range(2):
        q, k = naive._project(block.attention, x[graph].detach(), "qk")
        for head in range(3):
            expected = naive._weights(q[head].double(), k[head].double(), layout)[:, : only.weights.shape[-1]]
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
    model = made(law, attention="standard")
    batch = to_batch(law.sample(2, stream("own")), law.schema, "fact", torch.device("cpu"))
    own = with_attention(model, OwnSoftmax(12, 3, AttentionOptions()))
    assert [one.weights.shape for one in record(own, batch)] == [(2, 1, 12, 7)]
    with pytest.raises(UsageError, match="attention 'averaging' has no map to look at"):
        record(with_attention(model, Averaging(12, 3, AttentionOptions())), batch)


def test_every_argument_of_fused_attention_counts(law: Generator) -> None:
    model = with_attention(made(law, attention="standard"), ByKeyword(12, 3, AttentionOptions()))
    batch = to_batch(law.sample(2, stream("keyword")), law.schema, "fact", torch.device("cpu"))
    (only,) = record(model, batch)
    x = model.blocks[0].attention_norm(model.table(batch.tokens).flatten(2))
    for head in range(3):
        scores = x[..., 4 * head : 4 * head + 4] @ x[:, :7, :4].transpose(1, 2) * 0.7 + bias(12, 7)
        torch.testing.assert_close(only.weights[:, head], scores.softmax(dim=-1))


def test_a_model_that_fails_keeps_no_hooks(law: Generator) -> None:
    model = with_attention(made(law, attention="standard"), Failing(12, 3, AttentionOptions()))
    batch = to_batch(law.sample(2, stream("fails")), law.schema, "fact", torch.device("cpu"))
    with pytest.raises(RuntimeError, match="stopped"):
        record(model, batch)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def watched(hop: int, n_examples: int = 101, **entry: Any) -> Walk:
    task = chase(hop)
    model = walk_both_ways(walker(task, **entry)).eval()
    held = HeldOut(task, task.sample(37, stream("watched")))
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
    model = made(law, attention="nexus", order=2)
    walked = walk(model, HeldOut(law, examples), law.schema, encoding="fact", hop=2, n_examples=50, example=49)
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
    model = made(law, attention="standard")
    walked = walk(model, HeldOut(law, examples), law.schema, encoding="fact", hop=2, n_examples=50, example=0)
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


def test_an_example_whose_hop_has_no_fact_is_left_out() -> None:
    task = make_task({"task": "k_hop_induction", "hops": [2]}, where="test")
    law = task.generator()
    examples = law.sample(31, stream("absent"))
    n_rows = (law.solve(examples.facts, examples.query).rows >= 0).sum(axis=2)
    assert (n_rows == 1).any(), "some hops look for what is absent"
    model = made(law, attention="standard", d_model=24)
    walked = walk(model, HeldOut(law, examples), law.schema, encoding="fact", hop=2, n_examples=999, example=0)
    assert walked.n_examples == (n_rows == 2).sum()


def test_tokens_of_a_fact_are_summed_and_its_last_one_looks(law: Generator) -> None:
    examples = law.sample(3, stream("flat"))
    model = made(law, attention="standard", encoding="flat")
    walked = walk(model, HeldOut(law, examples), law.schema, encoding="flat", hop=1, n_examples=1, example=0)
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
    laws = task.generators()
    held = {
        name: HeldOut(law, law.sample(1, stream("s")))
        for name, law in (("test", laws["iid"]), ("hop_ood", laws["hop_ood"]))
    }
    assert split_with(held, 2) is held["test"] and split_with(held, 4) is held["hop_ood"]
    with pytest.raises(ConfigError, match="the cell was tested at hops 1,2,4, got 3"):
        split_with(held, 3)


@pytest.mark.parametrize("name", GENERATORS.names())
def test_every_family_can_be_drawn(name: str) -> None:
    task = make_task({"task": name, "hops": [2]}, where="test")
    law = task.generator()
    held = HeldOut(law, law.sample(2, stream("drawn")))
    model = made(law, attention="standard", d_model=24, n_heads=1)
    walked = walk(model, held, law.schema, encoding="fact", hop=2, n_examples=5, example=1)
    drawn = graph_picture(law, walked.example, title=name)
    assert drawn.name == "inspect_graph" and "level 1, head 1" in drawn.svg
    places = list(_layout([fact_ends(law, fact) for fact in walked.example.facts])[0].values())
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for i, a in enumerate(places) for b in places[:i]]
    assert min(apart) > 0.1, "no name stands on another"


@pytest.mark.parametrize(
    ("ends", "order"),
    [
        ([("c", "a"), ("b", "c"), ("a", "b")], "abc"),
        ([("c", "b"), ("d", "b"), ("a", "c")], "acbd"),
        ([("x", "y"), ("b", "a"), ("c", "b")], "cba xy"),
    ],
)
def test_cycles_and_chains_stand_clockwise_on_one_circle(ends: list[tuple[str, str]], order: str) -> None:
    at, _ = _layout(ends)
    assert {round(np.hypot(*place), 9) for place in at.values()} == {1}
    angle = {name: (np.pi / 2 - np.arctan2(y, x)) % (2 * np.pi) for name, (x, y) in at.items()}
    assert "".join(sorted(at, key=lambda name: round(angle[name], 9))) == order.replace(" ", "")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inspected") / "run"
    task = "--task pointer_chase --hops 1-2 --set n_nodes=7 --set n_test=23 --set n_val=3 --set d_model=12".split()
    line = ["train", *task, "--attention", "nexus", "--set", "steps=3", "--seeds", "2", "--executor", "inline"]
    assert cli.run([*line, "--quiet", "--out", str(folder)]) == 0
    return folder


def test_inspect_writes_tables_and_pictures(run: Path, command: Command) -> None:
    first = command("inspect", str(run), "--cell", "seed 1", "--out", "a")
    assert first.returncode == 0, first.stderr
    assert re.search(r"^from the query, some head of level i points at hop i: 0\.\d\d, 0\.\d\d$", first.stdout, re.M)
    assert re.search(r"^or away from it, with .*: 0\.\d\d, 0\.\d\d$", first.stdout, re.M)
    assert command("inspect", str(run), "--cell", "seed 1", "--hops", "2", "--out", "b").returncode == 0
    names = {"walk.csv", "attention.csv"} | {
        f"inspect_{name}.{suffix}" for name in ("graph", "maps", "walk") for suffix in ("png", "svg")
    }
    assert {path.name for path in Path("a").iterdir()} == names
    assert all(Path("a", name).read_bytes() == Path("b", name).read_bytes() for name in names)
    walked, weights = read_csv(Path("a/walk.csv"), WALK_COLUMNS), read_csv(Path("a/attention.csv"), ATTENTION_COLUMNS)
    assert len(walked) == 2 * 3 * (2 + 3)  # levels, two heads and any of them, hops and steps
    assert len(weights) == 2 * 2 * (1 + 7) * 7  # levels, heads, what looks, facts
    sums = weights.groupby(["level", "head", "source"])["weight"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)), abs=1e-5)
    assert sorted(weights["hop_of_fact"].dropna().unique()) == [1, 2]


def test_inspect_writes_beside_the_run_by_default(run: Path, command: Command) -> None:
    assert command("inspect", str(run), "--cell", "seed 0", "--hops", "1", "--n", "3").returncode == 0
    (folder,) = (run / "inspect").iterdir()
    assert folder.name.endswith("-hops1")
    assert set(pd.read_csv(folder / "walk.csv")["n"]) == {3}


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("inspect {run}", 2, "name one cell by --cell"),
        ("inspect {run} --cell nobody", 2, "no trained cell is 'nobody'"),
        ("inspect {run} --cell seed.1 --hops 3", 3, "the cell was tested at hops 1-2, got 3"),
        ("inspect {run} --cell seed.1 --example 999", 3, "examples of 2 hops, numbered from 0; got 999"),
        ("inspect nowhere", 4, "is no run folder"),
        ("inspect {run} --cell seed.1 --out {run}/results.csv", 5, "cannot be written"),
    ],
)
def test_wrong_lines_are_told(line: str, code: int, message: str, run: Path, command: Command) -> None:
    words = [word.replace("seed.1", "seed 1") for word in line.format(run=run).split()]
    assert_fails(command(*words), code, message)
