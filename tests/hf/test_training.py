"""Nested models are trained as others are: checkpointing, compilation, adapters."""

from typing import Any

import pytest
import torch
from torch import nn

from nexus_bench.hf import apply_nexus
from tests.hf.tiny import FAMILIES, READINGS, logits, stock, tokens


def gradients(model: Any) -> dict[str, torch.Tensor]:
    model.train()
    model(tokens(), labels=tokens()).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.filterwarnings("ignore::FutureWarning")  # it has another name from 6 on, which 5.17 does not know
@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_checkpointing_changes_no_gradient(family: str, reading: dict[str, Any]) -> None:
    plain, checkpointed = (apply_nexus(stock(family), gate=True, **reading) for _ in range(2))
    for model in (plain, checkpointed):
        for name, parameter in model.named_parameters():
            if name.endswith("gate"):
                nn.init.constant_(parameter, 0.3)
    checkpointed.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    expected, found = gradients(plain), gradients(checkpointed)
    assert set(found) == set(expected) == {name for name, _ in plain.named_parameters()}
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("reading", READINGS[3::2], ids=str)
def test_a_compiled_model_is_one_graph_with_the_same_logits(reading: dict[str, Any]) -> None:
    model = apply_nexus(stock("qwen2"), **reading)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        found = compiled(tokens(), use_cache=False).logits
    torch.testing.assert_close(found, logits(model, tokens()), rtol=0, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_compiles_with_gates_also_the_step_of_a_fixed_cache(family: str) -> None:
    from transformers import StaticCache

    model, ids = apply_nexus(stock(family), 3, inner="direct", compare="mirrored", gate=True), tokens()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    cache = StaticCache(config=model.config, max_cache_len=16)
    pieces = [logits(model, ids[:, :7], cache=cache)]
    pieces += [logits(compiled, ids[:, at : at + 1], cache=cache) for at in range(7, 11)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), logits(model, ids, use_cache=False), rtol=0, atol=1e-4)
    torch.compiler.reset()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_in_the_place_of_a_linear_module_acts_at_every_level(family: str) -> None:
    """As adapters are put in by their libraries: under the name of the module."""
    model = apply_nexus(stock(family), 3)
    calls: dict[str, int] = {}
    names = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and ".1." in n and "att" in n]
    assert names == [
        n for n, m in stock(family).named_modules() if isinstance(m, nn.Linear) and ".1." in n and "att" in n
    ]

    class Counted(nn.Module):
        def __init__(self, name: str, inside: nn.Module) -> None:
            super().__init__()
            self.name, self.inside = name, inside

        def forward(self, x: torch.Tensor) -> Any:
            calls[self.name] = calls.get(self.name, 0) + 1
            return self.inside(x)

    for name in names:
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, Counted(own, model.get_submodule(name)))
    logits(model, tokens())
    once = {"query_key_value": 3, "dense": 1}
    assert calls == (once if family == "gpt_neox" else {"q_proj": 3, "k_proj": 3, "v_proj": 1, "o_proj": 1})


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_packed_projection_gives_the_same_whole_as_in_part(reading: dict[str, Any]) -> None:
    """With a hook on it, it is called as a whole at every level."""
    model = apply_nexus(stock("gpt_neox"), **reading)
    expected = logits(model, tokens())
    calls = []
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.out_features == 3 * module.in_features:
            module.register_forward_hook(lambda *told: calls.append(told[2].shape[-1]))
    torch.testing.assert_close(logits(model, tokens()), expected, rtol=0, atol=1e-5)
    n_layers = model.config.num_hidden_layers
    assert len(calls) == n_layers if reading.get("inner") in ("direct", "output") else len(calls) > n_layers


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT uses names that go away with transformers 6
@pytest.mark.parametrize("family", FAMILIES)
def test_low_rank_adapters_train_are_saved_loaded_and_merged(family: str, tmp_path: Any) -> None:
    peft = pytest.importorskip("peft")
    targets = ["query_key_value"] if family == "gpt_neox" else ["q_proj", "k_proj", "v_proj"]
    adapted = peft.get_peft_model(apply_nexus(stock(family), 3), peft.LoraConfig(target_modules=targets, r=2))
    found = gradients(adapted)
    assert found and all("lora" in name for name in found)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            nn.init.constant_(parameter, 0.05)
    adapted.eval()
    expected = logits(adapted, tokens())
    assert not torch.allclose(expected, logits(apply_nexus(stock(family), 3), tokens()), atol=1e-3)
    adapted.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(apply_nexus(stock(family), 3), tmp_path).eval()
    torch.testing.assert_close(logits(again, tokens()), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits(again.merge_and_unload(), tokens()), expected, rtol=0, atol=1e-3)
