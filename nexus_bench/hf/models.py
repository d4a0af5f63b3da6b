"""The model classes: those of transformers, with a configuration that says which layers are nested and how.

Importing this module registers them: `AutoModelForCausalLM.from_pretrained` then knows what `save_pretrained` wrote.
"""

from typing import Any, NamedTuple, cast

from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    initialization,
)
from transformers.conversion_mapping import get_checkpoint_conversion_mapping, register_checkpoint_conversion_mapping
from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXAttention
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention

from nexus_bench.hf.attention import NexusAttention, NexusGPTNeoXAttention, NexusLlamaAttention, NexusQwen2Attention
from nexus_bench.hf.cache import unfit
from nexus_bench.hf.reading import Reading, check_fit
from nexus_bench.io.entries import validate


class NexusModel(PreTrainedModel):
    """What the model classes have in common: they nest the layers that their configuration names."""

    def __init__(self, config: PretrainedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__(config, *args, **kwargs)
        nest_layers(self)

    def initialize_weights(self) -> None:
        """Fill what was not loaded; a stock file has no gates."""
        super().initialize_weights()
        for module in self.modules():
            if isinstance(module, NexusAttention) and module.gate is not None:
                initialization.zeros_(module.gate)

    def init_continuous_batching(self, *given: Any, **more: Any) -> Any:
        """Refused of a nested model before it starts: the library's thread would drop the error, and all answers.

        Raises:
            ConfigError: A layer is nested.
        """
        if any(isinstance(module, NexusAttention) for module in self.modules()):
            raise unfit("a paged cache")
        return super().init_continuous_batching(*given, **more)


class NexusLlamaConfig(LlamaConfig):
    """Of a Llama model; `nexus` holds a `Reading`, or nothing."""

    model_type = "nexus_llama"
    nexus: dict[str, Any] | None = None


class NexusLlamaForCausalLM(NexusModel, LlamaForCausalLM):
    """A Llama model with Nexus attention."""

    config_class = NexusLlamaConfig


class NexusQwen2Config(Qwen2Config):
    """Of a Qwen2 model; `nexus` holds a `Reading`, or nothing."""

    model_type = "nexus_qwen2"
    nexus: dict[str, Any] | None = None


class NexusQwen2ForCausalLM(NexusModel, Qwen2ForCausalLM):
    """A Qwen2 model with Nexus attention."""

    config_class = NexusQwen2Config


class NexusGPTNeoXConfig(GPTNeoXConfig):
    """Of a GPT-NeoX model; `nexus` holds a `Reading`, or nothing."""

    model_type = "nexus_gpt_neox"
    nexus: dict[str, Any] | None = None


class NexusGPTNeoXForCausalLM(NexusModel, GPTNeoXForCausalLM):
    """A GPT-NeoX model with Nexus attention."""

    config_class = NexusGPTNeoXConfig


class ModelClasses(NamedTuple):
    """The classes of a family of language models: those of transformers, and those with nested attention.

    Attributes:
        model: The stock model.
        attention: Its attention module.
        nexus_config: Ours.
        nexus_model: Ours.
        nexus_attention: Ours.
    """

    model: type[PreTrainedModel]
    attention: type[nn.Module]
    nexus_config: type[PretrainedConfig]
    nexus_model: type[NexusModel]
    nexus_attention: type[NexusAttention]


FAMILIES = (
    ModelClasses(
        GPTNeoXForCausalLM, GPTNeoXAttention, NexusGPTNeoXConfig, NexusGPTNeoXForCausalLM, NexusGPTNeoXAttention
    ),
    ModelClasses(LlamaForCausalLM, LlamaAttention, NexusLlamaConfig, NexusLlamaForCausalLM, NexusLlamaAttention),
    ModelClasses(Qwen2ForCausalLM, Qwen2Attention, NexusQwen2Config, NexusQwen2ForCausalLM, NexusQwen2Attention),
)


def nest_layers(model: PreTrainedModel) -> None:
    """Nest the attention of the layers that the configuration of a model names; at order 1 there is nothing to do.

    Raises:
        ConfigError: The configuration holds no reading, or one that does not fit.
    """
    if model.config.nexus is None:
        return
    reading = validate(Reading, model.config.nexus, where="nexus in the configuration of the model")
    check_fit(reading, model.config)
    if reading.options.order == 1:
        return
    (family,) = (family for family in FAMILIES if isinstance(model, family.model))
    for module in list(model.modules()):
        if isinstance(module, family.attention) and module.layer_idx in reading.layers:
            module.__class__ = family.nexus_attention
            cast(NexusAttention, module).nest(reading.options, gated=reading.gate)


def _register() -> None:
    for family in FAMILIES:
        AutoConfig.register(family.nexus_config.model_type, family.nexus_config, exist_ok=True)
        AutoModelForCausalLM.register(family.nexus_config, family.nexus_model, exist_ok=True)
        # Names in stock files are translated by the name of the class: without this, one gets random weights in silence
        renamed = get_checkpoint_conversion_mapping(family.model.__name__)
        if renamed is not None:
            register_checkpoint_conversion_mapping(family.nexus_model.__name__, renamed, overwrite=True)


_register()
