"""Nested models are saved and loaded as every model of transformers is."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, PretrainedConfig

from nexus_bench import hf
from nexus_bench.errors import ConfigError
from nexus_bench.hf import apply_nexus, describe
from tests.hf.tiny import FAMILIES, READINGS, logits, stock, tokens

MODELS: dict[str, Any] = {
    "gpt_neox": hf.NexusGPTNeoXForCausalLM,
    "llama": hf.NexusLlamaForCausalLM,
    "qwen2": hf.NexusQwen2ForCausalLM,
}


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_is_loaded_by_its_name(family: str, gate: bool, tmp_path: Path) -> None:
    model = apply_nexus(stock(family), 3, layers=[0, 2], compare="mirrored", gate=gate)
    for name, parameter in model.named_parameters():
        if name.endswith("gate"):
            torch.nn.init.constant_(parameter, 0.5)
    model.save_pretrained(tmp_path)
    loaded, told = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    assert type(loaded) is type(model) is MODELS[family] and describe(loaded) == describe(model)
    assert torch.equal(logits(loaded, tokens()), logits(model, tokens()))


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_reading_is_saved_whole(reading: dict[str, Any], tmp_path: Path) -> None:
    apply_nexus(stock(), **reading).save_pretrained(tmp_path)
    assert describe(AutoModelForCausalLM.from_pretrained(tmp_path)) == describe(apply_nexus(stock(), **reading))


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stock_checkpoint_fills_every_weight(family: str, gate: bool, tmp_path: Path) -> None:
    stock(family).save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert ("embed_out.weight" in file.keys()) == (family == "gpt_neox")  # as published files name it
    config = apply_nexus(stock(family), gate=gate).config
    loaded, told = MODELS[family].from_pretrained(tmp_path, config=config, output_loading_info=True)
    missing = {key for key in told["missing_keys"] if not key.endswith(".gate")}
    assert not missing and not told["unexpected_keys"] and len(told["missing_keys"]) == (3 if gate else 0)
    expected = stock(family) if gate else apply_nexus(stock(family))
    assert torch.equal(logits(loaded, tokens()), logits(expected, tokens()))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_configuration_without_a_reading_is_the_stock_model(family: str) -> None:
    config: PretrainedConfig = MODELS[family].config_class(**stock(family).config.to_diff_dict())
    model = MODELS[family](config).eval()
    model.load_state_dict(stock(family).state_dict())
    assert describe(model) == "standard"
    assert torch.equal(logits(model, tokens()), logits(stock(family), tokens()))


def test_a_configuration_that_was_edited_wrongly_is_refused_in_one_line(tmp_path: Path) -> None:
    apply_nexus(stock()).save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["nexus"]["layers"] = [7]
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match=r"layers must name one or more of 0 to 2, got \[7\]"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
