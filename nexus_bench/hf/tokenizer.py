"""Tokenizers: one that is given, or byte-level BPE trained on the text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from nexus_bench.errors import ConfigError, StorageError
from nexus_bench.hf.library import quiet
from nexus_bench.hf.pretrain_spec import PretrainSpec

END_OF_TEXT = "<|endoftext|>"
_OF_A_FOLDER = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def train_tokenizer(documents: Iterator[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE with the end-of-text token, its token 0; normalised to NFC, as Pythia's tokenizer is.

    Args:
        documents: What it is trained on.
        vocab_size: Tokens at most; short text has fewer.
    """
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(documents, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT)


def load_tokenizer(name: str) -> Any:
    """A tokenizer with an end-of-text token.

    Args:
        name: A file `tokenizer.json`, a folder with a tokenizer, or a name on the hub.

    Raises:
        ConfigError: There is none, it cannot be read, or it has no end-of-text token.
        StorageError: It is neither here nor can be downloaded.
    """
    path = Path(name)
    if path.is_dir() and not any((path / file).is_file() for file in _OF_A_FOLDER):
        raise ConfigError(f"{name}: holds no tokenizer; give a folder with tokenizer.json")
    with quiet():
        try:
            if path.is_file():
                found = PreTrainedTokenizerFast(tokenizer_file=name)
            else:
                found = AutoTokenizer.from_pretrained(name, local_files_only=path.is_dir())
        except Exception as error:  # the libraries raise what their parts raise, in Rust too
            if path.exists():
                raise ConfigError(f"{name}: is no tokenizer that transformers can read") from error
            raise StorageError(f"{name}: is no file or folder here, and cannot be downloaded; give a folder") from error
    if found.eos_token_id is None and END_OF_TEXT in found.get_vocab():
        found.eos_token = found.bos_token = END_OF_TEXT
    if found.eos_token_id is None:
        raise ConfigError(f"{name}: the tokenizer has no end-of-text token; give one that knows {END_OF_TEXT}")
    return found


def vocabulary_of(spec: PretrainSpec) -> int:
    """How many tokens a run's tokenizer knows; one that is still to be trained may know fewer."""
    return spec.vocab_size if spec.tokenizer is None else len(load_tokenizer(spec.tokenizer))
