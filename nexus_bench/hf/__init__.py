"""Nexus attention in language models of transformers: in place, with caches, saved and loaded as usual.

>>> from transformers import LlamaConfig, LlamaForCausalLM
>>> from nexus_bench.hf import apply_nexus, describe
>>> sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
>>> model = LlamaForCausalLM(LlamaConfig(vocab_size=50, **sizes))
>>> describe(apply_nexus(model, order=2, combine="none"))
'nexus (order 2, combine none, refine qk)'
"""

from nexus_bench.errors import ConfigError

try:
    import transformers
except ImportError as error:
    raise ConfigError("nexus_bench.hf needs transformers 5; pip install 'nexus-bench[hf]'") from error
if int(transformers.__version__.partition(".")[0]) < 5:
    raise ConfigError(
        f"nexus_bench.hf needs transformers 5, got {transformers.__version__}; pip install 'nexus-bench[hf]'"
    )

from nexus_bench.hf.apply import apply_nexus, describe
from nexus_bench.hf.models import (
    NexusGPTNeoXConfig,
    NexusGPTNeoXForCausalLM,
    NexusLlamaConfig,
    NexusLlamaForCausalLM,
    NexusQwen2Config,
    NexusQwen2ForCausalLM,
)

__all__ = [
    "NexusGPTNeoXConfig",
    "NexusGPTNeoXForCausalLM",
    "NexusLlamaConfig",
    "NexusLlamaForCausalLM",
    "NexusQwen2Config",
    "NexusQwen2ForCausalLM",
    "apply_nexus",
    "describe",
]
