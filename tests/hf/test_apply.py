"""What becomes of a model: weights stay, order 1 and closed gates compute what it computed, misfits are refused."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaForCausalLM

from nexus_bench.errors import ConfigError
from nexus_bench.hf import apply_nexus, describe
from tests.hf.tiny import FAMILIES, READINGS, logits, stock, tokens


@pytest.mark.parametrize("family", FAMILIES)
def test_order_1_is_the_untouched_model(family: str) -> None:
    assert torch.equal(logits(apply_nexus(stock(family), 1), tokens()), logits(stock(family), tokens()))


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_gate_no_weight_is_added_and_names_stay(family: str, reading: dict[str, Any]) -> None:
    before = stock(family)
    after = apply_nexus(stock(family), **reading)
    assert not torch.allclose(logits(after, tokens()), logits(before, tokens()), atol=1e-3)
    assert list(after.state_dict()) == list(before.state_dict())
    assert [type(m) for m in after.modules() if isinstance(m, torch.nn.Linear)] == [
        type(m) for m in before.modules() if isinstance(m, torch.nn.Linear)
    ]


@pytest.mark.parametrize("kind, dtype", [("sdpa", torch.float32), ("eager", torch.float32), ("sdpa", torch.bfloat16)])
@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_closed_gates_compute_bit_for_bit_what_the_model_did(
    family: str, reading: dict[str, Any], kind: str, dtype: torch.dtype
) -> None:
    before = stock(family, attn_implementation=kind).to(dtype)
    after = apply_nexus(stock(family, attn_implementation=kind).to(dtype), gate=True, **reading)
    assert torch.equal(logits(after, tokens()), logits(before, tokens()))
    assert after.num_parameters() == before.num_parameters() + 3


@pytest.mark.parametrize("family", FAMILIES)
def test_gates_are_trained_and_open_ones_are_the_literal_reading(family: str) -> None:
    gated, literal = apply_nexus(stock(family), 3, gate=True).double(), apply_nexus(stock(family), 3).double()
    gated(tokens(), labels=tokens()).loss.backward()
    gates = {name: p for name, p in gated.named_parameters() if name.endswith("gate")}
    assert len(gates) == 3 and all(p.numel() == 1 and p.grad.abs().item() > 0 for p in gates.values())
    for gate in gates.values():
        torch.nn.init.ones_(gate)
    torch.testing.assert_close(logits(gated, tokens()), logits(literal, tokens()), rtol=0, atol=1e-10)


def test_gated_and_literal_are_different_methods() -> None:
    names = [describe(stock()), describe(apply_nexus(stock())), describe(apply_nexus(stock(), gate=True))]
    names += [describe(apply_nexus(stock(), 3, layers=[-1, 0], combine="none", gate=True))]
    assert names == [
        "standard",
        "nexus (order 2, refine qk)",
        "nexus (order 2, refine qk, gated)",
        "nexus (order 3, combine none, refine qk, gated), layers 0, 2",
    ]


def test_only_the_layers_that_are_named_are_nested() -> None:
    model = apply_nexus(stock(), layers=[-1], gate=True)
    assert [n for n, _ in model.named_parameters() if n.endswith("gate")] == ["model.layers.2.self_attn.gate"]
    outer = [type(m).__name__ for m in model.modules() if hasattr(m, "q_proj")]
    assert outer == ["LlamaAttention", "LlamaAttention", "NexusLlamaAttention"]


def test_another_model_with_the_same_configuration_is_left_alone() -> None:
    first = stock()
    second = LlamaForCausalLM(first.config)
    apply_nexus(first, gate=True)
    assert describe(second) == "standard" and second.config.model_type == "llama"
    assert {id(m.config) for m in first.modules() if hasattr(m, "config")} == {id(first.config)}


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_eager_and_sdpa_agree(family: str, reading: dict[str, Any]) -> None:
    models = [apply_nexus(stock(family, attn_implementation=a), **reading).double() for a in ("eager", "sdpa")]
    torch.testing.assert_close(
        *(logits(model, tokens()) for model in models), rtol=0, atol=1e-5
    )  # a softmax in float32


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_later_token_cannot_change_an_earlier_logit(family: str, reading: dict[str, Any]) -> None:
    model, ids = apply_nexus(stock(family), **reading), tokens()
    changed = ids.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 61
    assert torch.equal(logits(model, ids)[:, :6], logits(model, changed)[:, :6])
    assert not torch.allclose(logits(model, ids)[:, 6:], logits(model, changed)[:, 6:])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("attn_implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_padded_sequence_gets_what_it_gets_alone(
    reading: dict[str, Any], attn_implementation: str, side: str
) -> None:
    model = apply_nexus(stock("qwen2", attn_implementation=attn_implementation), **reading)
    ids, own = tokens(), slice(4, None) if side == "left" else slice(0, 7)
    mask = torch.ones_like(ids)
    mask[1] = 0
    mask[1, own] = 1
    padded = logits(model, ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0))
    assert padded.isfinite().all()
    torch.testing.assert_close(padded[1:, own], logits(model, ids[1:, own]), rtol=0, atol=1e-4)
    torch.testing.assert_close(padded[:1], logits(model, ids[:1]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "sizes, given, reason",
    [
        ({}, {"order": 0}, "order: input should be greater than or equal to 1, got 0"),
        ({}, {"compare": "mirror"}, "compare: input should be 'qk', 'self', 'mirrored' or 'half_mirrored', got 'mirr"),
        ({}, {"compare": "mirrored", "refine": "q"}, "compare must be qk or self with refine q"),
        ({}, {"share": "inner"}, "share must be shared, which adds no weights to the model, got inner"),
        ({}, {"combin": "none"}, "unknown key 'combin'; did you mean 'combine'"),
        ({}, {"layers": [3]}, "layers must be 0 to 2, or -1 to -3, got 3"),
        ({}, {"layers": []}, r"layers must name one or more of 0 to 2, got \[\]"),
        ({}, {"layers": 1}, r"layers must be a list of numbers, such as \[0, 2\], got 1"),
        ({}, {"layers": "last-third"}, r"layers must be a list of numbers, such as \[0, 2\], got 'last-third'"),
        ({}, {"gate": 1}, "gate must be True or False, got 1"),
        ({}, {"order": 1, "gate": True}, "gate must be false at order 1"),
        ({"head_dim": 8}, {}, r"inner must be direct or output where heads do not fill .*\(6 x 8 against 60\)"),
        (
            {"layer_types": ["full_attention", "sliding_attention", "full_attention"], "sliding_window": 4},
            {},
            "layers must have full attention, got layer 1 with sliding_attention; name other layers",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_one_line(sizes: dict[str, Any], given: dict[str, Any], reason: str) -> None:
    model = stock("qwen2" if "layer_types" in sizes else "llama", **sizes, **_windows(sizes))
    with pytest.raises(ConfigError, match=f"^apply_nexus: {reason}") as refused:
        apply_nexus(model, **given)
    assert "\n" not in str(refused.value)
    assert describe(model) == "standard" and not type(model).__name__.startswith("Nexus")


def _windows(sizes: dict[str, Any]) -> dict[str, Any]:
    return {"use_sliding_window": True} if "layer_types" in sizes else {}


def test_heads_that_do_not_fill_the_width_can_be_mixed_themselves() -> None:
    model = apply_nexus(stock(head_dim=8), inner="direct")
    assert logits(model, tokens()).isfinite().all()


def test_another_family_is_refused_with_a_list_of_those_known() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=11))
    with pytest.raises(
        ConfigError, match=r"unknown model 'GPT2LMHeadModel'; known: GPTNeoXForCausalLM, LlamaForC.*Qwen2F"
    ):
        apply_nexus(model)


def test_a_nested_model_is_not_nested_again() -> None:
    with pytest.raises(ConfigError, match=r"already has Nexus attention: nexus \(order 2, refine qk\); load it anew"):
        apply_nexus(apply_nexus(stock()))


def test_the_package_itself_does_not_import_transformers() -> None:
    code = "import nexus_bench, nexus_bench.cli, nexus_bench.attention, sys; assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
