"""The contract of every registered attention, and what mechanisms owe to each other."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nexus_bench.attention.base import ATTENTIONS, Attention
from nexus_bench.attention.layout import Layout, rotate
from nexus_bench.data.task import TaskSpec
from nexus_bench.model.spec import ModelSpec
from nexus_bench.training.spec import TrainSpec

B, H, N, E = 2, 3, 7, 6  # batch, heads, positions, width of a head
D = H * E
BLOCKS = [Layout(causal, n_shared=3, block=2) for causal in (False, True)]
LAYOUTS = [Layout(), Layout(causal=True), Layout(n_keys=4), Layout(causal=True, n_keys=5), *BLOCKS]
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
    mechanism = ATTENTIONS.get(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        return mechanism(D, H, mechanism.Options.model_validate(options)).double()


def positions(*, requires_grad: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(B, N, D, dtype=torch.float64, generator=generator).requires_grad_(requires_grad)


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case[0], *map(str, case[1].values())]))
def attention(request: pytest.FixtureRequest) -> Attention:
    name, options = request.param
    return make(name, **options)


def with_rope(attention: Attention, layout: Layout) -> Layout:
    """The layout, rotary if the mechanism takes that; one that it does not take ends the test."""
    if not attention.takes(layout):
        pytest.skip("does not take this layout")
    return replace(layout, rope=attention.takes_rope)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_output_has_the_shape_of_the_input_and_gradients_are_finite(
    attention: Attention, layout: Layout, dtype: torch.dtype
) -> None:
    attention = attention.to(dtype)
    x = positions().to(dtype).requires_grad_()
    out = attention(x, with_rope(attention, layout))
    assert (out.shape, out.dtype) == ((B, N, D), dtype)
    out.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())


@pytest.mark.parametrize("n_keys", [None, 6])
def test_future_position_cannot_change_past_output(attention: Attention, n_keys: int | None) -> None:
    x = positions()
    changed = x.clone()
    changed[:, 5] += 3.0
    layout = with_rope(attention, Layout(causal=True, n_keys=n_keys))
    before, after = attention(x, layout), attention(changed, layout)
    torch.testing.assert_close(before[:, :5], after[:, :5], rtol=0, atol=0)
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_position_that_is_no_key_changes_only_its_own_output(attention: Attention) -> None:
    x = positions()
    changed = x.clone()
    changed[:, 5] += 3.0
    if not attention.takes(Layout(n_keys=4)):
        pytest.skip("does not take this layout")
    before, after = attention(x, Layout(n_keys=4)), attention(changed, Layout(n_keys=4))
    others = [0, 1, 2, 3, 4, 6]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, 5], after[:, 5])


@pytest.mark.parametrize("layout", BLOCKS, ids=str)
def test_a_block_gets_what_it_gets_alone(attention: Attention, layout: Layout) -> None:
    x, layout = positions(), with_rope(attention, layout)
    together = attention(x, layout)
    for own in ([3, 4], [5, 6]):
        alone = attention(x[:, [0, 1, 2, *own]], layout)
        torch.testing.assert_close(together[:, [0, 1, 2, *own]], alone, rtol=0, atol=1e-12)
    if layout.causal:
        one_sequence = attention(x[:, [0, 1, 2, 5, 6]], replace(layout, n_shared=None, block=1))
        torch.testing.assert_close(together[:, [0, 1, 2, 5, 6]], one_sequence, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layout", BLOCKS, ids=str)
@pytest.mark.parametrize("block", [[3, 4], [5, 6]])
def test_a_block_is_seen_by_itself_alone(attention: Attention, layout: Layout, block: list[int]) -> None:
    x, layout = positions(), with_rope(attention, layout)
    changed = x.clone()
    changed[:, block] += torch.tensor([[3.0], [-2.0]])
    before, after = attention(x, layout), attention(changed, layout)
    others = [at for at in range(N) if at not in block]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=0)
    assert not torch.isclose(before[:, block], after[:, block]).all(dim=-1).any()


def test_only_positions_make_the_order_matter(attention: Attention) -> None:
    if not (attention.takes(Layout()) and attention.is_equivariant):
        pytest.skip("does not say so")
    order = torch.tensor([3, 6, 0, 2, 5, 1, 4])
    x = positions()
    torch.testing.assert_close(attention(x, Layout())[:, order], attention(x[:, order], Layout()), rtol=0, atol=1e-12)
    if attention.takes_rope:
        rope = Layout(rope=True)
        assert not torch.allclose(attention(x, rope)[:, order], attention(x[:, order], rope), atol=1e-6)


def test_rotary_positions_count_by_distance_alone(attention: Attention) -> None:
    """Five positions, and the same five behind two that nobody attends to."""
    if not attention.takes(Layout(rope=True)):
        pytest.skip("takes no rotary positions, or no sets")

    class Shifted(Layout):
        def keys(self, x: Tensor) -> Tensor:
            return x[..., 2:, :]

        def allowed(self, n: int, *, device: torch.device | None = None) -> Tensor:
            return super().allowed(n, device=device)[:, 2:]

    x = positions()
    plain, shifted = attention(x[:, 2:], Layout(rope=True)), attention(x, Shifted(rope=True))
    torch.testing.assert_close(shifted[:, 2:], plain, rtol=0, atol=1e-12)


def test_turning_keeps_lengths_and_leaves_an_odd_channel() -> None:
    x = positions().reshape(1, 1, -1, 9)
    turned = rotate(x, torch.arange(x.shape[2]))
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[..., 8], x[..., 8]) and torch.equal(turned[:, :, 0], x[:, :, 0])


@pytest.mark.parametrize("layout", [Layout(n_keys=4), Layout(causal=True), BLOCKS[1]], ids=str)
def test_compiles_as_one_graph(attention: Attention, layout: Layout) -> None:
    if not attention.takes(layout):
        pytest.skip("does not take this layout")
    torch.compiler.reset()
    compiled = torch.compile(attention, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(positions(), layout), attention(positions(), layout), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("layout", [Layout(n_keys=4), Layout(causal=True), BLOCKS[1]], ids=str)
def test_models_stacked_by_vmap_equal_one_at_a_time(attention: Attention, layout: Layout) -> None:
    if not (attention.takes(layout) and attention.stacks):
        pytest.skip("does not take this layout, or no stacks")
    modules = [copy.deepcopy(attention).float() for _ in range(3)]
    for number, module in enumerate(modules):
        for parameter in module.parameters():
            parameter.data *= 1 + number / 4
    weights, buffers = torch.func.stack_module_state(modules)
    x = positions().float()

    def loss(weight: dict[str, Tensor]) -> Tensor:
        out: Tensor = torch.func.functional_call(modules[0], (weight, buffers), (x, layout))
        return out.square().mean()

    stacked, losses = torch.func.vmap(torch.func.grad_and_value(loss))(weights)
    for number, module in enumerate(modules):
        alone = module(x, layout).square().mean()
        torch.testing.assert_close(losses[number], alone.detach(), rtol=0, atol=1e-6)
        alone.backward()
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(stacked[name][number], parameter.grad, rtol=0, atol=1e-6)


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


def test_options_have_defaults_and_names_of_their_own(attention: Attention) -> None:
    """`--set` finds a value by its name alone."""
    taken = {*TaskSpec.model_fields, *ModelSpec.model_fields, *TrainSpec.model_fields, "suite", "seeds"}
    assert not taken & set(attention.Options.model_fields)
    assert attention.Options().model_dump() is not None
