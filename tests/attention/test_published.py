"""Mechanisms of others against the published code of their authors: outputs and gradients.

It needs the extra `references`. The published forms compute in float32.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nexus_bench.attention.delta_former import corrected
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import attend, logits, mask
from nexus_bench.attention.path import path_scores
from nexus_bench.attention.recurrence import decays, delta_rule, linear_rule, unit
from nexus_bench.attention.tree import attend_chains
from nexus_bench.attention.triangular import attend_triangles

pytestmark = pytest.mark.filterwarnings("ignore:Triton is not supported")
B, H, N, E = 2, 3, 9, 4  # batch, heads, positions, width of a head
SEQUENCE = Layout(causal=True)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def sides(n_steps: int = 1) -> list[Tensor]:
    """Queries, keys of length 1, and values; keys and values have steps."""
    q, k, v = (random(B, H, n, E, seed=seed) for seed, n in enumerate((N, N * n_steps, N * n_steps)))
    return [unit(q), unit(k), v]


def agree(ours: Callable[..., Tensor], theirs: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    """The same outputs, and the same gradient of each input."""
    found = []
    for function in (ours, theirs):
        given = [one.clone().requires_grad_() for one in inputs]
        out = function(*given)
        (out * random(*out.shape, seed=99)).sum().backward()
        found.append([out.detach(), *(one.grad for one in given)])
    for own, published in zip(*found, strict=True):
        torch.testing.assert_close(own, published, rtol=1e-4, atol=1e-5)


def by_position(*parts: Tensor) -> list[Tensor]:
    """Heads behind positions, as the published forms have them."""
    return [part.transpose(1, 2) for part in parts]


def test_linear_attention() -> None:
    published = pytest.importorskip("fla.ops.linear_attn.naive").naive_recurrent_linear_attn
    q, k, v = (F.elu(part) + 1 for part in sides())

    def ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = mask(q @ k.transpose(-1, -2), SEQUENCE, value=0.0)
        return scores @ v / scores.sum(dim=-1, keepdim=True)

    def theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return published(*by_position(q, k, v), normalize=True)[0].transpose(1, 2)

    agree(ours, theirs, [q, k, v])


def test_delta_rule() -> None:
    published = pytest.importorskip("fla.ops.delta_rule.naive").delta_rule_recurrence
    kept = decays(torch.zeros(B, N, H), SEQUENCE)
    agree(
        lambda q, k, v, beta: delta_rule(q * E**-0.5, k, v, beta.sigmoid(), kept),
        lambda q, k, v, beta: published(q, k, v, beta.sigmoid())[0],
        [*sides(), random(B, H, N, seed=5)],
    )


@pytest.mark.parametrize("n_steps", [1, 2, 3])
@pytest.mark.parametrize("largest", [1, 2])
def test_gated_delta_product(n_steps: int, largest: int) -> None:
    published = pytest.importorskip("fla.ops.gated_delta_product.naive").naive_recurrent_gated_delta_product

    def theirs(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, gate: Tensor) -> Tensor:
        strength = largest * beta.sigmoid().transpose(1, 2)
        told = published(*by_position(q, k, v), F.logsigmoid(gate), strength, E**-0.5, num_householder=n_steps)
        return told[0].transpose(1, 2)

    agree(
        lambda q, k, v, beta, gate: delta_rule(
            q * E**-0.5, k, v, largest * beta.sigmoid(), decays(F.logsigmoid(gate), SEQUENCE)
        ),
        theirs,
        [*sides(n_steps), random(B, H, N * n_steps, seed=5), random(B, N, H, seed=6)],
    )


def test_the_state_space_of_mamba2() -> None:
    published = pytest.importorskip("fla.ops.simple_gla.naive").naive_recurrent_simple_gla

    def theirs(q: Tensor, k: Tensor, v: Tensor, gate: Tensor) -> Tensor:
        return published(*by_position(q, k, v), F.logsigmoid(gate), scale=1.0)[0].transpose(1, 2)

    agree(
        lambda q, k, v, gate: linear_rule(q, k, v, decays(F.logsigmoid(gate), SEQUENCE)),
        theirs,
        [*sides(), random(B, N, H, seed=6)],
    )


def test_path_attention() -> None:
    published = pytest.importorskip("fla.ops.path_attn.naive").naive_path_attn

    def ours(q: Tensor, k: Tensor, v: Tensor, w: Tensor, beta: Tensor) -> Tensor:
        scores = mask(path_scores(q, k, unit(w), 2 * beta.sigmoid(), SEQUENCE) * E**-0.5, SEQUENCE)
        return scores.softmax(dim=-1) @ v

    def theirs(q: Tensor, k: Tensor, v: Tensor, w: Tensor, beta: Tensor) -> Tensor:
        strength = 2 * beta.sigmoid().transpose(1, 2)
        no_gate = torch.zeros(B, N, H)
        return published(*by_position(q, k, v, unit(w)), strength, no_gate, E**-0.5, chunk_size=4).transpose(1, 2)

    agree(ours, theirs, [*sides(), random(B, H, N, E, seed=7), random(B, H, N, seed=5)])


def test_delta_former() -> None:
    published = pytest.importorskip("fla.ops.deltaformer.naive").naive_deltaformer_attn
    agree(
        lambda q, k, v, beta: attend(q, k, corrected(q, k, v, beta.sigmoid(), SEQUENCE), SEQUENCE),
        lambda q, k, v, beta: published(*by_position(q, k, v), beta.sigmoid().transpose(1, 2)).transpose(1, 2),
        [*sides(), random(B, H, N, seed=5)],
    )


def test_forgetting_attention() -> None:
    published = pytest.importorskip("fla.ops.forgetting_attn.naive").naive_forgetting_attn

    def ours(q: Tensor, k: Tensor, v: Tensor, gate: Tensor) -> Tensor:
        total = SEQUENCE.summed(F.logsigmoid(gate)).transpose(1, 2)
        return (mask(logits(q, k, SEQUENCE), SEQUENCE) + total[..., :, None] - total[..., None, :]).softmax(dim=-1) @ v

    def theirs(q: Tensor, k: Tensor, v: Tensor, gate: Tensor) -> Tensor:
        return published(*by_position(q, k, v), F.logsigmoid(gate)).transpose(1, 2)

    agree(ours, theirs, [*sides(), random(B, N, H, seed=6)])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("folds", [2, 3, 4])
def test_tree_attention(folds: int, causal: bool) -> None:
    """The published module with weights of its own, and our chains on its projections."""
    published = pytest.importorskip("poly_attention.n_poly_attention").NPolyAttention
    torch.manual_seed(0)
    module = published(dim=H * E, order=folds, heads=H, dim_head=E, causal=causal)

    def ours(x: Tensor) -> Tensor:
        split = lambda part: part.reshape(B, N, H, E).transpose(1, 2)  # noqa: E731
        queries, values = [split(module.to_q(x))], []
        for place, layer in enumerate(module.to_kvs):
            query, *value = layer(x).chunk(2 if place else 1, dim=-1)
            queries.append(split(query))
            values += [split(one) for one in value]
        queries = [norm(query) for norm, query in zip(module.q_norms, queries, strict=True)]
        mixed = attend_chains(queries, values, Layout(causal=causal))
        out: Tensor = module.to_out(mixed.transpose(1, 2).flatten(2))
        return out

    agree(ours, lambda x: module(x), [random(B, N, H * E, seed=3)])


def test_triangular_attention() -> None:
    """Its equation for whole states of pairs; the authors' code, which agrees to 1e-12 of its values, is no package."""
    first, second = (random(B, N, H * E, seed=seed) for seed in (1, 2))
    weights = [random(H * E, H * E, seed=seed) / (H * E) ** 0.5 for seed in (3, 4, 5, 6)]

    def ours(first: Tensor, second: Tensor, *weights: Tensor) -> Tensor:
        sides = [[(of @ w).unflatten(-1, (H, E)).transpose(1, 2) for w in weights] for of in (first, second)]
        return attend_triangles(*sides, Layout())

    def theirs(first: Tensor, second: Tensor, *weights: Tensor) -> Tensor:
        states = first[:, :, None] + second[:, None]
        q, k, v, w = ((states @ weight).unflatten(-1, (H, E)) for weight in weights)
        shares = (torch.einsum("xilhe,xljhe->xhilj", q, k) / E**0.5).softmax(dim=3)
        return torch.einsum("xhilj,xilhe,xljhe->xhije", shares, v, w)

    agree(ours, theirs, [first, second, *weights])
