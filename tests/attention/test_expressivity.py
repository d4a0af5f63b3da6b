"""What each mechanism can do at all: weights set by hand that solve pointer_chase; see docs/expressivity.md."""

from collections.abc import Callable

import pytest
import torch

from nexus_bench.data.task import make_task
from nexus_bench.generators.base import Generator
from tests.orders import answered
from tests.rings import ring, search
from tests.small import chase
from tests.walkers import (
    ANCHOR,
    GAIN,
    SHARPNESS,
    accuracy,
    blocks,
    look_up_itself,
    point_back,
    set_projections,
    walk_alike,
    walk_both_ways,
    walk_by_one_head,
    walk_forwards,
    walk_in_the_first_head,
    walker,
)

STANDARD = {"attention": "standard", "anchor": ANCHOR}
COMBINES = ("residual_norm", "residual", "norm", "none")


def solves_only(hop: int, build, *, beyond: int = 1) -> None:  # type: ignore[no-untyped-def]
    """Every query of that hop is answered, and none, or next to none, of one more."""
    task = chase(hop, also=hop + beyond)
    found = accuracy(build(task), task)
    assert found[hop] == 1.0
    assert found[hop + beyond] < 0.05


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("refine", ["q", "k"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_nexus_that_refines_one_side_walks_order_hops(order: int, refine: str, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "refine": refine, "combine": combine}
    solves_only(order, lambda task: walk_both_ways(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("share", ["shared", "unshared"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_nexus_that_refines_both_sides_doubles_with_every_order(order: int, share: str, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "refine": "qk", "combine": combine, "share": share}
    solves_only(2**order - 1, lambda task: walk_both_ways(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_single_forward_head_walks_one_hop_at_every_order(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "refine": "qk", "combine": combine}
    solves_only(1, lambda task: walk_by_one_head(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_direct_that_refines_both_sides_is_idempotent(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "direct", "combine": combine}
    solves_only(1, lambda task: walk_forwards(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_direct_that_refines_queries_walks_order_hops(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "direct", "refine": "q", "combine": combine}
    solves_only(order, lambda task: walk_forwards(walker(task, **entry)))


@pytest.mark.parametrize("combine", ["norm", "none"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_direct_that_refines_keys_goes_two_hops_and_one_in_turn(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "direct", "refine": "k", "combine": combine, "n_heads": 1}
    solves_only(2 if order % 2 == 0 else 1, lambda task: point_back(walker(task, **entry)))


@pytest.mark.parametrize("combine", ["norm", "none"])
@pytest.mark.parametrize("mix, reaches", [("first", (1, 3, 7, 15)), ("last", (1, 3, 9))])
@pytest.mark.parametrize("compare", ["mirrored", "half_mirrored"])
def test_direct_that_mirrors_keys_joins_two_walks(
    compare: str, mix: str, reaches: tuple[int, ...], combine: str
) -> None:
    for order, hop in enumerate(reaches, start=1):
        entry = {"attention": "nexus", "order": order, "inner": "direct", "compare": compare, "mix": mix}
        solves_only(hop, lambda task, e=entry: walk_in_the_first_head(walker(task, **e, combine=combine)))


@pytest.mark.parametrize("combine", ["residual_norm", "residual"])
@pytest.mark.parametrize("mix, reaches", [("first", (1, 2, 3, 4)), ("last", (1, 2, 4, 8))])
def test_direct_that_mirrors_keys_walks_less_far_with_a_residual(
    mix: str, reaches: tuple[int, ...], combine: str
) -> None:
    for order, hop in enumerate(reaches, start=1):
        entry = {"attention": "nexus", "order": order, "inner": "direct", "compare": "mirrored", "mix": mix}
        solves_only(hop, lambda task, e=entry: walk_forwards(walker(task, **e, combine=combine)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("mix", ["first", "last"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_direct_that_compares_each_side_with_itself_walks_two_hops(order: int, mix: str, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "direct", "compare": "self", "mix": mix, "n_heads": 1}
    solves_only(2, lambda task: look_up_itself(walker(task, **entry, combine=combine)))


@pytest.mark.parametrize("combine", ["norm", "none"])
@pytest.mark.parametrize("mix", ["first", "last"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_one_output_for_both_sides_walks_two_hops(order: int, mix: str, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "output", "mix": mix, "n_heads": 1}
    solves_only(2, lambda task: point_back(walker(task, **entry, combine=combine)))


@pytest.mark.parametrize("combine", ["norm", "none"])
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_mirrored_outputs_double_with_every_order(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "inner": "output", "compare": "mirrored", "combine": combine}
    solves_only(2 ** (order - 1), lambda task: walk_forwards(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("mix, reaches", [("first", (1, 3, 7)), ("last", (1, 3, 9))])
@pytest.mark.parametrize("compare", ["qk", "mirrored", "half_mirrored"])
def test_projecting_again_reaches_as_far_whatever_is_compared(
    compare: str, mix: str, reaches: tuple[int, ...], combine: str
) -> None:
    build = walk_both_ways if compare == "qk" else walk_alike
    for order, hop in enumerate(reaches, start=1):
        entry = {"attention": "nexus", "order": order, "compare": compare, "mix": mix, "combine": combine}
        solves_only(hop, lambda task, e=entry: build(walker(task, **e)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_queries_alone_double_if_the_last_level_is_mixed(order: int, combine: str) -> None:
    entry = {"attention": "nexus", "order": order, "refine": "q", "mix": "last", "combine": combine}
    solves_only(2 ** (order - 1), lambda task: walk_forwards(walker(task, **entry)))


@pytest.mark.parametrize("combine", COMBINES)
@pytest.mark.parametrize("mix, reaches", [("first", (1, 4, 10)), ("last", (1, 4, 13))])
def test_refined_values_carry_what_was_walked(mix: str, reaches: tuple[int, ...], combine: str) -> None:
    for order, hop in enumerate(reaches, start=1):
        entry = {"attention": "nexus", "order": order, "refine": "qkv", "mix": mix, "combine": combine}
        solves_only(hop, lambda task, e=entry: walk_both_ways(walker(task, **e)))


@pytest.mark.parametrize("distractors", ["disconnected", "branches"])
def test_mirrored_keys_join_two_walks_in_a_tree_too(distractors: str) -> None:
    """Two children share a key's backward step, and each name is still in the keys of one fact only."""
    entry = {"task": "ancestor", "hops": [2, 3, 4], "distractors": distractors}
    task = make_task(entry, where="test").generator()
    for inner, build in (("direct", walk_forwards), ("reproject", walk_alike)):
        found = accuracy(build(walker(task, attention="nexus", inner=inner, compare="mirrored", combine="none")), task)
        assert (found[3], found[2] < 0.05, found[4] < 0.05) == (1.0, True, True)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(
    "reading, bound",
    [
        ({"refine": "q"}, lambda m: m),
        ({"refine": "k"}, lambda m: m),
        ({"refine": "q", "mix": "last"}, lambda m: 2 ** (m - 1)),
        ({"refine": "k", "mix": "last"}, lambda m: 2 ** (m - 1)),
        ({}, lambda m: 2**m - 1),
        ({"mix": "last"}, lambda m: 3 ** (m - 1)),
        ({"refine": "qkv"}, lambda m: 3 * 2 ** (m - 1) - 2),
        ({"mix": "last", "refine": "qkv"}, lambda m: (3**m - 1) // 2),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "bound",
)
def test_nodes_that_can_be_known_end_at_the_bound(reading: dict[str, str], bound: Callable[[int], int], order: int):  # type: ignore[no-untyped-def]
    known = answered(order, 40, causal=False, graphs=2, **reading)[:20]
    assert known == [float(hop <= bound(order)) for hop in range(1, 21)]


def test_a_causal_mask_takes_what_needs_facts_in_order() -> None:
    """Order 2 needs the third fact to come after the second; with values refined, the third to be last of three."""
    plain = answered(2, 40, causal=True, graphs=2000)
    values = answered(2, 40, causal=True, graphs=2000, refine="qkv", mix="last")
    assert (plain[:2], plain[3], values[:3], values[4]) == ([1, 1], 0, [1, 1, 1], 0)
    assert abs(plain[2] - 1 / 2) < 0.05 and abs(values[3] - 1 / 3) < 0.05
    for order in (2, 3, 4):
        assert answered(order, 40, causal=True, graphs=50)[:order] == [1.0] * order


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_descent_finds_what_is_shown_and_not_what_is_bounded() -> None:
    def best(hop: int, **reading: object) -> float:
        return search(ring(11), [hop], starts=1, restarts=16, order=2, **reading)[hop].max().item()

    assert best(3) > 0.9
    assert best(4) == pytest.approx(1 / 4, abs=0.01)  # four of 11 nodes are neither 3 ahead nor 3 behind
    assert best(3, inner="direct", combine="none") > 0.9  # not sharp: sharp attention would end at 1


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("by", ["n_layers", "n_loops"])
def test_standard_layers_double_forwards(depth: int, by: str) -> None:
    solves_only(2**depth - 1, lambda task: walk_forwards(walker(task, **STANDARD, **{by: depth})))


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("by", ["n_layers", "n_loops"])
def test_standard_layers_treble_both_ways(depth: int, by: str) -> None:
    solves_only(
        (3**depth - 1) // 2,
        lambda task: walk_both_ways(walker(task, **STANDARD, **{by: depth})),
    )


@pytest.mark.parametrize("powers", [1, 2, 3, 4, 5, 6])
def test_diffusion_walks_as_many_hops_as_powers(powers: int) -> None:
    entry = {"attention": "diffusion", "powers": powers, "alpha": 0.05}
    solves_only(powers, lambda task: walk_forwards(walker(task, **entry)))


@pytest.mark.parametrize("attention", ["strassen", "two_simplicial", "tree", "triangular"])
def test_third_order_attention_walks_two_hops_in_one_pass(attention: str) -> None:
    solves_only(2, lambda task: compose(attention, task))


def compose(attention: str, task: Generator):  # type: ignore[no-untyped-def]
    """One head: the pair, or the chain, (j, k) such that j starts at the start, and k where j ends."""
    model = walker(task, attention=attention, n_heads=1)
    w = model.table.weight.shape[1]
    all_ones = torch.ones(w, w)  # one-hot in, ones out
    s, d, both = blocks(ss=1, width=w), blocks(dd=1, width=w), blocks(ss=1, dd=1, width=w)
    to_ones = torch.kron(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), all_ones)  # from S, in D
    from_s = torch.kron(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), all_ones)
    if attention == "strassen":
        scores = {"f": SHARPNESS * s, "g": SHARPNESS * both, "h": SHARPNESS * blocks(sd=1, width=w)}
    elif attention == "tree":
        scores = {"a": SHARPNESS * s, "b": SHARPNESS * both, "c": SHARPNESS * blocks(sd=1, width=w), "d": GAIN * d}
    elif attention == "triangular":  # a state holds where i and j start, in S, and where j ends, in D
        own = model.blocks[0].attention
        names = {own.first: GAIN * s, own.second: both, own.ask: SHARPNESS * from_s, own.update: GAIN * both}
        with torch.no_grad():
            for layer, matrix in names.items():
                layer.weight.copy_(matrix.T)
        d_to_s = blocks(ds=1, width=w)
        set_projections(model, q=SHARPNESS * s, k=s, v=d_to_s, w=s, o=GAIN * d)
        return model
    else:
        scores = {"q": SHARPNESS * (s + to_ones), "k": both, "l": from_s + blocks(sd=1, width=w)}
    set_projections(model, **scores, v=to_ones, w=GAIN * d, o=GAIN * both)
    return model
