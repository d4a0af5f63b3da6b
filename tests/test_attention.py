"""The contract of every registered attention, and Nexus against a naive reference."""

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from nexus_bench.attention.base import ATTENTIONS, Attention, Mask
from nexus_bench.attention.nexus import Nexus
from nexus_bench.spec import ModelSpec, TrainSpec
from nexus_bench.task import TaskSpec

B, H, N, E = 2, 3, 7, 5  # batch, heads, positions, width of a head
D = H * E
MASKS = [Mask(), Mask(causal=True), Mask(n_keys=4), Mask(causal=True, n_keys=5)]
COMBINES = ("residual_norm", "residual", "norm", "none")


def make(name: str, **options: object) -> Attention:
    mechanism = ATTENTIONS.get(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        return mechanism(D, H, mechanism.Options.model_validate(options)).double()


def positions(*, requires_grad: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(B, N, D, dtype=torch.float64, generator=generator).requires_grad_(requires_grad)


@pytest.fixture(params=ATTENTIONS.names())
def attention(request: pytest.FixtureRequest) -> Attention:
    return make(request.param)


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_output_has_the_shape_of_the_input_and_gradients_are_finite(attention: Attention, mask: Mask) -> None:
    x = positions(requires_grad=True)
    out = attention(x, mask)
    assert out.shape == (B, N, D)
    out.square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in attention.parameters())


def test_future_position_cannot_change_past_output(attention: Attention) -> None:
    x = positions()
    changed = x.clone()
    changed[:, 5] += 3.0
    before, after = attention(x, Mask(causal=True)), attention(changed, Mask(causal=True))
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_position_that_is_no_key_changes_only_its_own_output(attention: Attention) -> None:
    x = positions()
    changed = x.clone()
    changed[:, 5] += 3.0
    before, after = attention(x, Mask(n_keys=4)), attention(changed, Mask(n_keys=4))
    others = [0, 1, 2, 3, 4, 6]
    torch.testing.assert_close(before[:, others], after[:, others], rtol=0, atol=1e-12)
    assert not torch.allclose(before[:, 5], after[:, 5])


def test_without_a_mask_permuted_positions_give_permuted_outputs(attention: Attention) -> None:
    order = torch.tensor([3, 6, 0, 2, 5, 1, 4])
    x = positions()
    torch.testing.assert_close(attention(x, Mask())[:, order], attention(x[:, order], Mask()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_nexus_of_order_1_is_standard_attention_bit_for_bit(mask: Mask) -> None:
    standard, nexus = make("standard").float(), make("nexus", order=1).float()
    nexus.load_state_dict(standard.state_dict())
    x = positions().float()
    assert torch.equal(standard(x, mask), nexus(x, mask))


def test_parameters_do_not_grow_with_order() -> None:
    counts = {sum(p.numel() for p in make("nexus", order=order).parameters()) for order in (1, 2, 3, 4)}
    assert counts == {4 * D * D}
    assert counts == {sum(p.numel() for p in make("standard").parameters())}


def naive(x: Tensor, module: Nexus, mask: Mask) -> Tensor:
    """Nexus from its definition: loops over examples, heads and positions, one level after the other."""
    w_q, w_k, w_v = module.projections.qkv.weight.split(D)
    options = module.options

    def passes(q_from: Tensor, k_from: Tensor, value_from: Tensor) -> Tensor:
        rows = []
        for i in range(N):
            heads = []
            for h in range(H):
                part = slice(h * E, (h + 1) * E)
                allowed = [
                    j for j in range(N) if (not mask.causal or j <= i) and (mask.n_keys is None or j < mask.n_keys)
                ]
                query = w_q[part] @ q_from[i]
                scores = torch.stack([query @ (w_k[part] @ k_from[j]) / math.sqrt(E) for j in allowed])
                weights = scores.exp() / scores.exp().sum()
                heads.append(
                    sum(weight * (w_v[part] @ value_from[j]) for weight, j in zip(weights, allowed, strict=True))
                )
            rows.append(torch.cat(heads))  # type: ignore[arg-type]
        return torch.stack(rows)

    def joined(inner: Tensor, x_one: Tensor) -> Tensor:
        z = inner + x_one if "residual" in options.combine else inner
        if "norm" in options.combine:
            z = z / (z.square().mean(dim=1, keepdim=True) + torch.finfo(z.dtype).eps).sqrt()
        return z

    outputs = []
    for x_one in x:
        z = x_one
        for _ in range(options.order - 1):
            q_from = z if "q" in options.refine else x_one
            k_from = z if "k" in options.refine else x_one
            z = joined(passes(q_from, k_from, x_one), x_one)
        q_from = z if "q" in options.refine else x_one
        k_from = z if "k" in options.refine else x_one
        outputs.append(passes(q_from, k_from, x_one) @ module.projections.out.weight.T)
    return torch.stack(outputs)


def formulations() -> Iterator[dict[str, object]]:
    for order in (1, 2, 3, 4):
        yield {"order": order}
    for combine in COMBINES:
        for refine in ("q", "k", "qk"):
            yield {"order": 3, "combine": combine, "refine": refine}


@pytest.mark.parametrize("options", list(formulations()), ids=str)
@pytest.mark.parametrize("mask", MASKS, ids=str)
def test_nexus_agrees_with_the_naive_reference_in_values_and_gradients(options: dict[str, object], mask: Mask) -> None:
    module = make("nexus", **options)
    assert isinstance(module, Nexus)
    weigh = torch.randn(B, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(9))
    found = []
    for function in (lambda x: module(x, mask), lambda x: naive(x, module, mask)):
        module.zero_grad()
        x = positions(requires_grad=True)
        out = function(x)
        (out * weigh).sum().backward()
        found.append([out.detach(), x.grad, *(p.grad.clone() for p in module.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) == 4
    for fused, reference in zip(*found, strict=True):
        torch.testing.assert_close(fused, reference, rtol=0, atol=1e-9)


def test_every_order_computes_something_else() -> None:
    x = positions()
    outputs = [make("nexus", order=order)(x, Mask()) for order in (1, 2, 3, 4)]
    for i, first in enumerate(outputs):
        for second in outputs[i + 1 :]:
            assert (first - second).abs().max() > 1e-4


def test_mask_as_a_matrix_is_the_stated_one() -> None:
    assert Mask(causal=True, n_keys=2).allowed(3).tolist() == [[True, False], [True, True], [True, True]]
    assert Mask().allowed(2).tolist() == [[True, True], [True, True]]


def test_options_have_defaults_and_names_of_their_own(attention: Attention) -> None:
    """`--set` finds a value by its name alone."""
    taken = {*TaskSpec.model_fields, *ModelSpec.model_fields, *TrainSpec.model_fields, "suite", "seeds"}
    assert not taken & set(attention.Options.model_fields)
    assert attention.Options().model_dump() is not None
