"""A tiny language model in a folder, with a tokenizer that knows the words of given texts."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.hf.tiny import stock

UNKNOWN, END = "<unk>", "<eos>"
TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} . {% endfor %}"
    "{% if add_generation_prompt %}assistant {% endif %}"
)


def word_tokenizer(texts: Iterable[str], **more: Any) -> PreTrainedTokenizerFast:
    """One token a word, in the order of their first use."""
    split = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]+"), behavior="removed", invert=True)
    words = dict.fromkeys([UNKNOWN, END, "user", "assistant", "Answer", ":", "."])
    for text in texts:
        words |= dict.fromkeys(word for word, _ in split.pre_tokenize_str(text))
    found = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN))
    found.pre_tokenizer = split
    return PreTrainedTokenizerFast(tokenizer_object=found, unk_token=UNKNOWN, eos_token=END, pad_token=END, **more)


def saved_model(folder: Path, texts: Iterable[str], family: str = "llama", *, chat: bool = False, **sizes: Any) -> Path:
    tokenizer = word_tokenizer(texts, **({"chat_template": TEMPLATE} if chat else {}))
    settings = {"vocab_size": len(tokenizer), "max_position_embeddings": 256, "num_hidden_layers": 2}
    stock(family, **(settings | sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
