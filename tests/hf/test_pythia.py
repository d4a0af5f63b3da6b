"""Pythia's shapes, weights and costs."""

import math
from typing import Any

import pytest
import torch
from transformers import GPTNeoXForCausalLM

from nexus_bench.errors import ConfigError
from nexus_bench.hf import describe
from nexus_bench.hf.loop import Losses
from nexus_bench.hf.pythia import ARCHS, build, cost_of, equal_in_compute, make_config
from tests.hf.pretraining import SHAPE, spec_of

PUBLISHED = {  # total parameters, as Pythia's model cards give them
    "pythia-14m": 14_067_712,
    "pythia-31m": 30_494_720,
    "pythia-70m": 70_426_624,
    "pythia-160m": 162_322_944,
    "pythia-410m": 405_334_016,
    "pythia-1b": 1_011_781_632,
}


def config(spec: Any, n_tokens: int = 300) -> Any:
    return make_config(spec, n_tokens=n_tokens, end_of_text=0)


def test_every_arch_has_as_many_parameters_as_published() -> None:
    found = {arch: cost_of(spec_of(arch), config(spec_of(arch), 50_277)).parameters for arch in ARCHS}
    assert found == PUBLISHED


@pytest.mark.parametrize("nest", [{}, {"attention": "nexus", "order": 3, "compare": "mirrored"}])
def test_documents_of_a_sequence_that_do_not_see_each_other_are_as_alone(nest: dict[str, Any]) -> None:
    spec = spec_of(**SHAPE, **nest)
    model = build(spec, config(spec)).double().eval()
    first, second, third = ([*range(at, at + n), 0] for at, n in ((5, 4), (7, 0), (3, 6)))
    joined = torch.tensor([[*first, *second, *third], [*third, *second, *first]])
    labels = joined.roll(-1, 1)
    apart = sum(
        Losses(model)(torch.tensor([one]), labels[:1, at : at + len(one)])
        for one, at in ((first, 0), (second, len(first)), (third, len(first) + len(second)))
    )
    torch.testing.assert_close(Losses(model, 0)(joined[:1], labels[:1]), apart)
    assert not torch.isclose(Losses(model)(joined[:1], labels[:1]), apart)
    both = Losses(model, 0)(joined, labels)
    torch.testing.assert_close(both, apart + Losses(model, 0)(joined[1:], labels[1:]))


@pytest.mark.parametrize("seq_len", [64, 2048])
def test_the_cost_of_the_standard_model_is_that_of_the_formula(seq_len: int) -> None:
    spec = spec_of("pythia-70m", seq_len=seq_len)
    d, layers, rows = 512, 6, 50_304
    assert (
        cost_of(spec, config(spec, 50_277)).flops_per_token
        == 6 * (12 * layers * d**2 + rows * d) + 12 * layers * d * seq_len
    )


def test_a_nest_costs_its_passes() -> None:
    """An inner pass of the default: queries and keys of the output are projected once more, from one mixed input."""
    d, layers, n = 512, 6, 2048
    flat, nested = (spec_of("pythia-70m", **o) for o in ({}, {"attention": "nexus", "order": 2}))
    more = cost_of(nested, config(nested)).flops_per_token - cost_of(flat, config(flat)).flops_per_token
    assert more == layers * (
        6 * 2 * d * d + 12 * d * n
    )  # queries and keys of the packed projection, and one more attention


def test_a_standard_model_of_equal_compute_is_the_closest_in_whole_heads() -> None:
    nested = spec_of("pythia-70m", attention="nexus", order=3)
    wanted = cost_of(nested, config(nested, 50_277)).flops_per_token
    sizes = equal_in_compute(nested, n_tokens=50_277)
    assert sizes == {"hidden_size": 704, "num_attention_heads": 11, "intermediate_size": 2816}

    def off_by(heads: int) -> float:
        wide = spec_of("pythia-70m", hidden_size=64 * heads, num_attention_heads=heads)
        return abs(cost_of(wide, config(wide, 50_277)).flops_per_token - wanted)

    assert off_by(11) == min(off_by(heads) for heads in range(10, 13))


def test_a_standard_model_of_equal_compute_keeps_the_proportion_of_its_mlp() -> None:
    shape = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 32}
    nested = spec_of(attention="nexus", order=4, seq_len=64, **shape)
    wanted = cost_of(nested, config(nested)).flops_per_token
    sizes = equal_in_compute(nested, n_tokens=50_277)
    assert sizes["intermediate_size"] == sizes["hidden_size"] / 2

    def off_by(heads: int) -> float:
        other = {"hidden_size": 16 * heads, "num_attention_heads": heads, "intermediate_size": 8 * heads}
        wide = spec_of(seq_len=64, **(shape | other))
        return abs(cost_of(wide, config(wide, 50_277)).flops_per_token - wanted)

    heads = sizes["num_attention_heads"]
    assert off_by(heads) == min(off_by(n) for n in range(4, heads + 3))


def test_weights_begin_as_those_of_pythia() -> None:
    spec = spec_of(num_hidden_layers=5, hidden_size=128, num_attention_heads=4)
    model = build(spec, config(spec, 1000))
    small, wang = math.sqrt(2 / (5 * 128)), 2 / 5 / math.sqrt(128)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert (parameter == float(name.endswith("weight"))).all(), name
        elif name.endswith("bias"):
            assert not parameter.any(), name
        else:
            wanted = wang if "attention.dense" in name or "4h_to_h" in name else small
            assert parameter.std().item() == pytest.approx(wanted, rel=0.03), name
            assert abs(parameter.mean().item()) < 0.05 * wanted


def test_every_attention_begins_with_the_same_weights_and_another_seed_with_others() -> None:
    made = [
        build(spec, config(spec)).state_dict()
        for spec in (
            spec_of(**SHAPE),
            spec_of(**SHAPE, attention="nexus", order=3, compare="mirrored"),
            spec_of(**SHAPE, seed=1),
        )
    ]
    assert list(made[0]) == list(made[1])
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert not torch.equal(made[0]["lm_head.weight"], made[2]["lm_head.weight"])


@pytest.mark.parametrize("options", [{}, {"attention": "nexus", "order": 1}], ids=str)
def test_order_1_is_the_untouched_model_of_transformers(options: dict[str, Any]) -> None:
    model = build(spec_of(**SHAPE, **options), config(spec_of(**SHAPE)))
    assert type(model) is GPTNeoXForCausalLM and describe(model) == "standard"


@pytest.mark.parametrize("options", [{}, {"attention": "nexus", "order": 2}], ids=str)
def test_attention_is_causal_without_a_mask_of_all_pairs_under_compile(options: dict[str, Any]) -> None:
    """Flash kernels take no mask."""
    seen = []

    def noted(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        seen.extend(node for node in graph.graph.nodes if "scaled_dot_product" in str(node.target))
        return graph

    spec = spec_of(**SHAPE, **options)
    model = build(spec, config(spec))
    ids = torch.arange(20).reshape(2, 10)
    compiled = torch.compile(Losses(model), backend=noted, fullgraph=True)
    with torch.no_grad():
        found = compiled(ids, ids)
        model.set_attn_implementation("eager")
        expected = torch.nn.functional.cross_entropy(model(ids).logits.flatten(0, 1), ids.flatten(), reduction="sum")
    torch.compiler.reset()
    assert len(seen) == 2 * (1 + len(options) // 2)
    for node in seen:
        assert node.kwargs["attn_mask"] is None and node.kwargs["is_causal"] is True
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("options", [{}, {"attention": "nexus", "order": 3, "compare": "mirrored"}], ids=str)
def test_a_token_sees_its_document_alone_also_in_eager_attention(options: dict[str, Any], dtype: torch.dtype) -> None:
    spec = spec_of(**SHAPE, **options)
    model = build(spec, config(spec)).to(dtype)
    end = int(model.config.eos_token_id)
    ids = torch.randint(1, 50, (2, 12), generator=torch.Generator().manual_seed(0)) + end
    ids[0, 4] = ids[0, 9] = ids[1, 6] = end
    found = {}
    with torch.no_grad():
        for kind in ("sdpa", "eager"):
            model.set_attn_implementation(kind)
            found[kind] = Losses(model, end)(ids, ids)
            whole = Losses(model)(ids, ids)
    near = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-3, "atol": 0.0}
    torch.testing.assert_close(found["eager"], found["sdpa"], **near)
    assert abs(whole - found["sdpa"]) > 10 * abs(found["eager"] - found["sdpa"]) + 1e-3, "other documents matter"


def test_a_width_whose_heads_cannot_be_rotated_is_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size must be a multiple of 8 x num_attention_heads"):
        config(spec_of(hidden_size=100, num_attention_heads=4))
