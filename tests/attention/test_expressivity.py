"""What each mechanism can do at all: weights set by hand that solve pointer_chase; see docs/expressivity.md."""

import pytest
import torch

from nexus_bench.generators.base import Generator
from tests.small import chase
from tests.walkers import (
    ANCHOR,
    GAIN,
    SHARPNESS,
    accuracy,
    blocks,
    point_back,
    set_projections,
    walk_both_ways,
    walk_by_one_head,
    walk_forwards,
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


@pytest.mark.parametrize("attention", ["strassen", "two_simplicial"])
def test_third_order_attention_walks_two_hops_in_one_pass(attention: str) -> None:
    solves_only(2, lambda task: compose(attention, task))


def compose(attention: str, task: Generator):  # type: ignore[no-untyped-def]
    """One head: the pair (j, k) such that j starts at the start, and k where j ends."""
    model = walker(task, attention=attention, n_heads=1)
    w = model.table.weight.shape[1]
    all_ones = torch.ones(w, w)  # one-hot in, ones out
    s, d, both = blocks(ss=1, width=w), blocks(dd=1, width=w), blocks(ss=1, dd=1, width=w)
    to_ones = torch.kron(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), all_ones)  # from S, in D
    from_s = torch.kron(torch.tensor([[1.0, 0.0], [0.0, 0.0]]), all_ones)
    if attention == "strassen":
        scores = {"f": SHARPNESS * s, "g": SHARPNESS * both, "h": SHARPNESS * blocks(sd=1, width=w)}
    else:
        scores = {"q": SHARPNESS * (s + to_ones), "k": both, "l": from_s + blocks(sd=1, width=w)}
    set_projections(model, **scores, v=to_ones, w=GAIN * d, o=GAIN * both)
    return model
