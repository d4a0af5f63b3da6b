"""A pretrained model in a folder, or in the library's store of downloads: its configuration, tokenizer and weights."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel

from nexus_bench.errors import ConfigError, NexusBenchError, StorageError
from nexus_bench.hf.library import HUB_NAME, first_line, quiet
from nexus_bench.hf.models import FAMILIES
from nexus_bench.io.config import NOT_IN_NAMES
from nexus_bench.io.files import parse_json, read_text, sha256, sha256_of_file

_NEEDED = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_OF_TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "chat_template*")


class Pretrained(NamedTuple):
    """A pretrained model that is not loaded yet.

    Attributes:
        name: Its name, safe in names of folders.
        folder: Where its files are.
        config: Its configuration.
        tokenizer: Its tokenizer.
        sha256: Of its configuration, tokenizer and weights.
    """

    name: str
    folder: Path
    config: PretrainedConfig
    tokenizer: Any
    sha256: str

    def load(self) -> PreTrainedModel:
        """The model with its weights, in float32 on the CPU.

        Raises:
            ConfigError: The weights are not those of the configuration.
        """
        try:
            return load_whole(self.folder, dtype=torch.float32)
        except (NexusBenchError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # the library raises whatever its parts raise
            if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
                raise
            raise ConfigError(
                f"{self.folder}: the weights cannot be loaded: {first_line(error)}; get the model again"
            ) from error


def load_whole(name: str | Path, *, dtype: torch.dtype, offline: bool = False) -> PreTrainedModel:
    """A causal language model on the CPU with all of its weights; the library fills those that it lacks at random.

    Args:
        name: A folder, or the name of a model on the hub.
        dtype: Of its weights.
        offline: Look for nothing on the hub.

    Raises:
        ConfigError: The weights lack some.
    """
    with quiet():
        model, told = AutoModelForCausalLM.from_pretrained(
            name, dtype=dtype, local_files_only=offline, output_loading_info=True
        )
    if missing := sorted(told["missing_keys"]):
        raise ConfigError(f"{name}: the weights lack {missing[0]}; give the folder of a whole model")
    loaded: PreTrainedModel = model
    return loaded


def open_pretrained(name: str) -> Pretrained:
    """Find a model and read what is small of it.

    Args:
        name: A folder, or the name of a model on the hub, which is downloaded unless it was before.

    Raises:
        ConfigError: It is not a model of a known family, or lacks a file.
        StorageError: There is no such folder, or it cannot be downloaded.
    """
    folder = Path(name) if Path(name).is_dir() else _downloaded(name)
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder}: has no config.json; give a folder that save_pretrained wrote")
    try:
        told = parse_json(read_text(folder / "config.json"))
        kind = told.get("model_type")
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"{folder / 'config.json'}: is not a configuration of transformers") from error
    known = [family.model.config_class.model_type for family in FAMILIES]
    if kind in [family.nexus_config.model_type for family in FAMILIES]:
        raise ConfigError(f"{folder}: already has Nexus attention; give the model that it was made from")
    if kind not in known:
        raise ConfigError(f"{folder}: unknown family {kind!r}; known: {', '.join(sorted(known))}")
    if not any(found for pattern in _WEIGHTS for found in folder.glob(pattern)):
        raise ConfigError(f"{folder}: has no weights (model.safetensors); give a folder that save_pretrained wrote")
    with quiet():
        try:
            config = AutoConfig.from_pretrained(folder)
        except Exception as error:
            raise ConfigError(f"{folder / 'config.json'}: {first_line(error)}; get the model again") from error
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
        except Exception as error:
            raise ConfigError(
                f"{folder}: holds no tokenizer that transformers can read; give a folder with a model and its tokenizer"
            ) from error
    plain = NOT_IN_NAMES.sub("-", Path(name).resolve().name if folder == Path(name) else name).strip("-._")
    return Pretrained(plain or "model", folder, config, tokenizer, _content(folder))


def _downloaded(name: str) -> Path:
    if not HUB_NAME.fullmatch(name):
        raise StorageError(f"{name}: there is no such folder; give one that holds a model, or a name on the hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_NEEDED)))
    except Exception as error:
        raise StorageError(
            f"{name}: is no folder here, and cannot be downloaded ({type(error).__name__}); give a local folder"
        ) from error


def _content(folder: Path) -> str:
    """One hash of all files that make the model what it is."""
    patterns = ("config.json", *_WEIGHTS, *_OF_TOKENIZER)
    files = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return sha256(json.dumps([[path.name, sha256_of_file(path)] for path in files]).encode())
