"""The contract of every registered attention, and what mechanisms owe to each other."""

from dataclasses import replace

import pytest
import torch

from nexus_bench.attention import promises
from nexus_bench.attention.base import ATTENTIONS, Attention
from nexus_bench.attention.layout import Layout, rotate
from nexus_bench.attention.promise_inputs import BLOCKS, D_MODEL, LAYOUTS, positions
from nexus_bench.attention.promises import PROMISES, NotAsked

D = D_MODEL
NESTED = [
    {"order": 3, "inner": inner, "refine": refine, "share": share}
    for inner in ("reproject", "direct")
    for refine in ("q", "k", "qk")
    for share in ("shared", "unshared")
] + [
    {"order": 3, **reading}
    for reading in (
        {"inner": "direct", "compare": "self"},
        {"inner": "direct", "compare": "mirrored", "mix": "last"},
        {"inner": "direct", "compare": "mirrored", "norm_over": "width"},
        {"inner": "direct", "compare": "half_mirrored", "refine": "qkv"},
        {"inner": "output", "compare": "qk"},
        {"inner": "output", "compare": "mirrored", "mix": "last", "share": "inner"},
        {"compare": "self", "refine": "qkv"},
        {"compare": "mirrored", "mix": "last", "refine": "qkv", "norm_over": "head"},
        {"compare": "half_mirrored", "inner_out": True},
        {"refine": "qkv", "share": "unshared", "inner": "direct"},
        {"share": "inner"},
    )
]
SHARED = [reading for reading in NESTED if reading.get("share", "shared") == "shared"]
_NAMES = [name for name in ATTENTIONS.names() if issubclass(ATTENTIONS.get(name), Attention)]  # no whole models
CASES = [(name, {}) for name in _NAMES] + [("nexus", options) for options in NESTED]
CASES += [("delta_net", {"n_householder": 3, "eigenvalues": "signed", "gated": True}), ("tree", {"folds": 3})]


def make(name: str, **options: object) -> Attention:
    return promises.make(ATTENTIONS.get(name), options)


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def attention(request: pytest.FixtureRequest) -> Attention:
    name, options = request.param
    return make(name, **options)


@pytest.mark.parametrize("promise", [name for name in PROMISES if "reference" not in name])  # test_references.py
def test_every_mechanism_keeps_what_it_promises(promise: str, attention: Attention) -> None:
    try:
        PROMISES[promise](attention)
    except NotAsked as reason:
        pytest.skip(str(reason))


def test_turning_keeps_lengths_and_leaves_an_odd_channel() -> None:
    x = positions().reshape(1, 1, -1, 9)
    turned = rotate(x, torch.arange(x.shape[2]))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[..., 8], x[..., 8]) and torch.equal(turned[:, :, 0], x[:, :, 0])


@pytest.mark.parametrize("layout", [*LAYOUTS, Layout(rope=True), replace(BLOCKS[1], rope=True)], ids=str)
@pytest.mark.parametrize("reading", [{}, *NESTED], ids=lambda reading: "-".join(map(str, reading.values())))
def test_nexus_of_order_1_is_standard_attention_bit_for_bit(layout: Layout, reading: dict[str, object]) -> None:
    standard, nexus = make("standard").float(), make("nexus", **{**reading, "order": 1}).float()
    assert nexus.state_dict().keys() == standard.state_dict().keys()
    assert all(torch.equal(weight, standard.state_dict()[name]) for name, weight in nexus.state_dict().items())
    x = positions().float()
    assert torch.equal(standard(x, layout), nexus(x, layout))


def test_diffusion_to_the_first_power_without_teleport_is_standard_attention() -> None:
    x = positions().float()
    diffusion = make("diffusion", powers=1, alpha=0.0).float()
    assert torch.equal(make("standard").float()(x, Layout()), diffusion(x, Layout()))


@pytest.mark.parametrize("reading", SHARED, ids=lambda reading: "-".join(map(str, reading.values())))
def test_shared_parameters_do_not_grow_with_order(reading: dict[str, object]) -> None:
    counts = {n_parameters("nexus", **{**reading, "order": order}) for order in (1, 2, 3, 4)}
    assert counts == {4 * D * D} == {n_parameters("standard")}


@pytest.mark.parametrize(
    "refine, inner, matrices",
    [("qk", "reproject", 22), ("q", "reproject", 10), ("qk", "direct", 16), ("qkv", "reproject", 40)],
)
def test_unshared_parameters_are_those_of_the_whole_tree(refine: str, inner: str, matrices: int) -> None:
    assert n_parameters("nexus", order=3, share="unshared", refine=refine, inner=inner) == matrices * D * D


def test_unshared_with_equal_weights_everywhere_is_shared() -> None:
    shared, unshared = make("nexus", order=3), make("nexus", order=3, share="unshared")
    with torch.no_grad():
        unshared.out.weight.copy_(shared.out.weight)
        for name, weight in unshared.named_parameters():
            if name.endswith("packed.weight"):
                weight.copy_(shared.projections.packed.weight)
    torch.testing.assert_close(unshared(positions(), Layout()), shared(positions(), Layout()), rtol=0, atol=1e-12)


def n_parameters(name: str, **options: object) -> int:
    return sum(p.numel() for p in make(name, **options).parameters())


def test_every_formulation_computes_something_else() -> None:
    x = positions()
    formulations = [{"order": 1}, {"order": 2}, {"order": 3, "combine": "none"}, {"order": 3, "combine": "norm"}]
    outputs = [make("nexus", **options)(x, Layout()) for options in [*formulations, *NESTED]]
    outputs += [make(name)(x, Layout()) for name in ("strassen", "two_simplicial", "diffusion")]
    for i, first in enumerate(outputs):
        for second in outputs[i + 1 :]:
            assert (first - second).abs().max() > 1e-4


def test_mask_as_a_matrix_is_the_stated_one() -> None:
    assert Layout(causal=True, n_keys=2).allowed(3).tolist() == [[True, False], [True, True], [True, True]]
    assert Layout().allowed(2).tolist() == [[True, True], [True, True]]
    causal = ["10000", "11000", "11100", "11110", "11001"]  # two shared, a block of two, and half a block
    assert ["".join(map(str, row)) for row in Layout(True, n_shared=2, block=2).allowed(5).int().tolist()] == causal
    mutual = ["1100", "1100", "1111", "1111", "1100"]
    blocks = Layout(n_keys=4, n_shared=2, block=2)
    assert ["".join(map(str, row)) for row in blocks.allowed(5).int().tolist()] == mutual


def test_blocks_have_the_places_of_one_that_follows_the_beginning() -> None:
    blocks, table = Layout(n_shared=2, block=3), torch.arange(5)
    assert blocks.by_place(table, 9).tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 2]
    assert (blocks.n_places(9), blocks.n_places(4), blocks.n_places(1)) == (5, 4, 1)
    assert blocks.by_place(table, 1).tolist() == [0]
    assert (Layout().n_places(9), Layout().by_place(table, 4).tolist()) == (9, [0, 1, 2, 3])


def test_sequences_go_on_from_what_their_blocks_share() -> None:
    x = torch.arange(1.0, 10)[None, :, None]
    blocks = Layout(causal=True, n_shared=3, block=2)
    assert blocks.before(x, 1).flatten().tolist() == [0, 1, 2, 3, 4, 3, 6, 3, 8]
    assert blocks.before(x, 2).flatten().tolist() == [0, 0, 1, 2, 3, 2, 3, 2, 3]
    assert blocks.before(x, 5).any() == Layout().before(x, 9).any() == False  # noqa: E712
    assert blocks.summed(x).flatten().tolist() == [1, 3, 6, 10, 15, 12, 19, 14, 23]
    assert Layout().summed(x).flatten().tolist() == [1, 3, 6, 10, 15, 21, 28, 36, 45]
