"""Pythia's shapes and initialisation, as models of transformers, and what a token costs.

Source: Biderman et al. 2023 (arXiv 2304.01373); layers, widths, heads, rotary share and learning rates from the
configurations that its authors trained with (EleutherAI/pythia, `models/*/pythia-*.yml`).
"""

import copy
import math
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import AttentionInterface, GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from nexus_bench.attention.flops import count_flops
from nexus_bench.errors import ConfigError, UsageError, unknown_name
from nexus_bench.hf.apply import apply_nexus
from nexus_bench.hf.pretrain_spec import PretrainSpec

_VOCABULARY_STEP = 128  # GPT-NeoX pads a vocabulary to a multiple of it: 50,277 tokens become 50,304 rows
_ROTARY_SHARE = 0.25
_COUNTED = 256  # positions on which costs are counted

# Every sequence is packed and whole, so no mask is ever needed. For an attention without a function for masks
# transformers makes none; for `sdpa`, under torch.compile, it makes one of all pairs, which flash kernels do not take.
_WHOLE_SEQUENCES = "sdpa_of_whole_sequences"
AttentionInterface.register(_WHOLE_SEQUENCES, sdpa_attention_forward)


class Arch(NamedTuple):
    """A shape of Pythia.

    Attributes:
        num_hidden_layers: Blocks.
        hidden_size: Width of the model; a block's inner layer is four times as wide.
        num_attention_heads: Attention heads.
        lr: Its peak learning rate.
    """

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    lr: float


ARCHS = {
    "pythia-14m": Arch(6, 128, 4, 1e-3),
    "pythia-31m": Arch(6, 256, 8, 1e-3),
    "pythia-70m": Arch(6, 512, 8, 1e-3),
    "pythia-160m": Arch(12, 768, 12, 6e-4),
    "pythia-410m": Arch(24, 1024, 16, 3e-4),
    "pythia-1b": Arch(16, 2048, 8, 2.5e-4),
}


def arch_of(name: str) -> Arch:
    """A shape by its name.

    Raises:
        UsageError: It is not known; the message lists those that are.
    """
    if name not in ARCHS:
        raise UsageError(unknown_name("arch", name, ARCHS))
    return ARCHS[name]


def make_config(spec: PretrainSpec, *, n_tokens: int, end_of_text: int) -> GPTNeoXConfig:
    """The configuration of the standard model.

    Args:
        spec: The run; its shape overrides that of its arch.
        n_tokens: Tokens that the tokenizer knows; the vocabulary is padded to a multiple of 128.
        end_of_text: The token between documents.

    Raises:
        ConfigError: The heads do not divide the width, or a quarter of a head cannot be rotated in pairs.
    """
    sizes = {**arch_of(spec.arch)._asdict(), **spec.shape}
    del sizes["lr"]
    width, heads = sizes["hidden_size"], sizes["num_attention_heads"]
    sizes.setdefault("intermediate_size", 4 * width)
    if width % (8 * heads):
        raise ConfigError(
            f"pretrain: hidden_size must be a multiple of 8 x num_attention_heads ({8 * heads}), so that a quarter of "
            f"each head is rotated in pairs, got {width}"
        )
    return GPTNeoXConfig(
        vocab_size=-(-n_tokens // _VOCABULARY_STEP) * _VOCABULARY_STEP,
        max_position_embeddings=spec.seq_len,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": _ROTARY_SHARE},
        hidden_act="gelu",
        use_parallel_residual=True,
        tie_word_embeddings=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
        **sizes,
    )


def build(spec: PretrainSpec, config: GPTNeoXConfig) -> PreTrainedModel:
    """A model with random weights, the same for every attention at equal shape and seed.

    The standard model, and order 1, is GPTNeoXForCausalLM of transformers, untouched.

    Raises:
        ConfigError: An option of the nest is not possible here.
    """
    model = GPTNeoXForCausalLM(copy.deepcopy(config))
    initialise(model, torch.Generator().manual_seed(spec.seed))
    if spec.nexus is not None and spec.nexus.order > 1:
        apply_nexus(model, layers=spec.layers, **spec.nexus.model_dump())
    model.set_attn_implementation(_WHOLE_SEQUENCES)
    return model


@torch.no_grad()
def initialise(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Fill a GPT-NeoX model as Pythia was filled; that of transformers itself draws everything from N(0, 0.02^2).

    With width d and L layers, weights are drawn from a normal distribution with mean 0 and the standard deviation

        small_init   sqrt(2 / (5 d))     embeddings, queries, keys and values, first layer of the MLP, output layer
        wang_init    2 / (L sqrt(d))     the two matrices of a block that write to the residual stream

    Biases and the shifts of norms are 0, their scales 1.

    Source: small_init is that of Nguyen and Salazar 2019 (arXiv 1910.05895), wang_init that of Mesh Transformer JAX;
    both as in EleutherAI/gpt-neox, `megatron/model/init_functions.py`, with Pythia's `init_method: small_init` and
    `output_layer_init_method: wang_init`.
    """
    width, n_layers = model.config.hidden_size, model.config.num_hidden_layers
    small, wang = math.sqrt(2 / (5 * width)), 2 / (n_layers * math.sqrt(width))
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.constant_(parameter, float(name.endswith("norm.weight")))
        else:
            writes = name.endswith(("attention.dense.weight", "dense_4h_to_h.weight"))
            parameter.normal_(0.0, wang if writes else small, generator=generator)


class Cost(NamedTuple):
    """What a model costs.

    Attributes:
        parameters: Trained numbers.
        flops_per_token: Operations of a forward and a backward pass, for each token of a sequence.
    """

    parameters: int
    flops_per_token: float


def cost_of(spec: PretrainSpec, config: GPTNeoXConfig) -> Cost:
    """Count the cost of a model; nothing is computed.

    Operations are those of matrix products, attention counted without regard to the causal mask. Of the standard model
    they are 6 for each weight of a matrix but the input table, and 12 x layers x width x sequence (Chowdhery et al.
    2022, arXiv 2204.02311, appendix B). A nest adds its passes, as the code makes them.
    """
    with torch.device("meta"):
        model = GPTNeoXForCausalLM(copy.deepcopy(config))
        if spec.nexus is not None and spec.nexus.order > 1:
            apply_nexus(model, layers=spec.layers, **spec.nexus.model_dump())
    n_parameters = sum(p.numel() for p in model.parameters())
    # Operations of n tokens are a n + b n^2: two lengths tell both
    lengths = (_COUNTED, 2 * _COUNTED)
    model.set_attn_implementation(_WHOLE_SEQUENCES)

    def step(n: int) -> None:
        ids = torch.zeros(1, n, dtype=torch.int64, device="meta")
        model(input_ids=ids, use_cache=False).logits.sum().backward()

    per_token = [count_flops(partial(step, n))[0] / n for n in lengths]
    slope = (per_token[1] - per_token[0]) / (lengths[1] - lengths[0])
    return Cost(n_parameters, per_token[0] + slope * (spec.seq_len - lengths[0]))


def equal_in_compute(spec: PretrainSpec, *, n_tokens: int) -> dict[str, Any]:
    """A standard model whose operations per token are closest to those of a nested one.

    It has as many layers, more heads of the same width, and an MLP as wide in proportion.

    Args:
        spec: The nested one.
        n_tokens: Tokens that the tokenizer knows.

    Returns:
        Values for `make_request`, in the place of those of the nest.
    """
    config = make_config(spec, n_tokens=n_tokens, end_of_text=0)
    wanted = cost_of(spec, config).flops_per_token
    d_head, layers = config.hidden_size // config.num_attention_heads, config.num_hidden_layers

    def width_of_mlp(width: int) -> int:
        return max(1, round(width * float(config.intermediate_size / config.hidden_size)))

    def off_by(n_heads: int) -> float:
        width = n_heads * d_head
        weights = layers * (4 * width**2 + 2 * width * width_of_mlp(width)) + config.vocab_size * width
        return float(6 * weights + 12 * layers * width * spec.seq_len - wanted)

    n = config.num_attention_heads
    while off_by(n + 1) < 0:
        n += 1
    n = min((n, n + 1), key=lambda n: abs(off_by(n)))
    return {"hidden_size": n * d_head, "num_attention_heads": n, "intermediate_size": width_of_mlp(n * d_head)}
