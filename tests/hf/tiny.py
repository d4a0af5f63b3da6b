"""Language models of three families with random weights, as small as they get."""

import inspect
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

transformers.logging.set_verbosity_error()

FAMILIES = ("gpt_neox", "llama", "qwen2")  # keys and values are grouped in the latter two
N_VOCABULARY, N_HEADS, N_GROUPS, D_HEAD = 61, 6, 2, 10
CACHE = "cache" if "cache" in inspect.signature(LlamaModel.forward).parameters else "past_key_values"  # from 5.24 on
READINGS: tuple[dict[str, Any], ...] = (  # each keeps other things in a cache
    {},
    {"order": 3, "combine": "none", "mix": "last", "refine": "qkv"},
    {"refine": "q", "inner_out": True},
    {"order": 3, "inner": "direct", "compare": "mirrored", "mix": "last"},
    {"inner": "direct", "compare": "self", "combine": "residual"},
    {"order": 3, "compare": "mirrored", "mix": "last", "refine": "qkv", "norm_over": "head"},
    {"inner": "output", "compare": "half_mirrored"},
)


def stock(family: str = "llama", **sizes: Any) -> PreTrainedModel:
    """A model whose logits depend on every weight: layers of the usual initialisation hardly change what they get."""
    settings = {"vocab_size": N_VOCABULARY, "hidden_size": N_HEADS * D_HEAD, "intermediate_size": 37}
    settings |= {"num_hidden_layers": 3, "num_attention_heads": N_HEADS, "max_position_embeddings": 64}
    settings |= {"eos_token_id": None, "bos_token_id": None, "pad_token_id": None, "initializer_range": 0.13}
    if family != "gpt_neox":
        settings["num_key_value_heads"] = N_GROUPS
    model, config = {
        "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig),
        "llama": (LlamaForCausalLM, LlamaConfig),
        "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    }[family]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        made: PreTrainedModel = model(config(**{**settings, **sizes})).eval()
    return made


def tokens(n: int = 11, batch: int = 2) -> Tensor:
    return torch.randint(0, N_VOCABULARY, (batch, n), generator=torch.Generator().manual_seed(7))


@torch.no_grad()
def logits(model: PreTrainedModel, ids: Tensor, *, cache: Any = None, **given: Any) -> Tensor:
    found: Tensor = model(ids, **given, **({} if cache is None else {CACHE: cache})).logits
    return found
