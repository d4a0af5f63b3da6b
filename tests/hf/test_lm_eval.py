"""The Language Model Evaluation Harness evaluates nested models, from memory and from a folder."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from nexus_bench.hf import apply_nexus
from tests.hf.tiny import logits, stock


@pytest.mark.slow
def test_the_harness_scores_a_nested_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({"<eos>": 0, "a": 1, "b": 2, "c": 3, "d": 4}, unk_token="<eos>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<eos>", eos_token="<eos>", pad_token="<eos>")
    model = apply_nexus(stock(vocab_size=5, eos_token_id=0))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = [("a b", " c d"), ("d", " a")]  # of two lengths: one is padded
    expected = []
    for ids, first in ([1, 2, 3, 4], 2), ([4, 1], 1):
        told = logits(model, torch.tensor([ids]))[0].log_softmax(-1)
        expected.append(sum(told[at - 1, ids[at]].item() for at in range(first, len(ids))))
    requests = [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(asked)]
    for given in (model, str(tmp_path)):
        harness = HFLM(pretrained=given, tokenizer=tokenizer, backend="causal", batch_size=2, device="cpu")
        found = [score for score, _ in harness.loglikelihood(requests, disable_tqdm=True)]
        assert found == pytest.approx(expected, abs=1e-4)
