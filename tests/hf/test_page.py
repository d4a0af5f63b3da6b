"""What `docs/pretrained_models.md` says is so."""

import re
from pathlib import Path
from typing import Any

import pytest
from transformers import DynamicCache

from nexus_bench.hf import apply_nexus
from tests.hf.tiny import D_HEAD, N_GROUPS, N_HEADS, logits, stock, tokens
from tests.paths import ROOT

PAGE = (ROOT / "docs" / "pretrained_models.md").read_text()
KEPT = re.findall(r"^\| (default|`(?:inner|compare|mix|refine) .*?) \| (.*? g) \|$", PAGE, flags=re.MULTILINE)


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    exec(example, {})
    assert (tmp_path / "nested" / "config.json").is_file()


def test_the_table_of_caches_is_read() -> None:
    assert len(KEPT) == 11


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("reading, formula", KEPT)
def test_a_cache_keeps_what_the_table_says(reading: str, formula: str, order: int) -> None:
    options: Any = dict(word.split() for word in re.findall(r"`(.*?)`", reading))
    model = apply_nexus(stock(num_hidden_layers=1), order, **options)
    cache = DynamicCache(config=model.config)
    logits(model, tokens(5, batch=1), cache=cache)
    (layer,) = cache.layers
    kept = sum(x.numel() for x in (layer.keys, layer.values, *layer.slots.values()))
    product = re.sub(r"(?<=[\w)]) (?=[mgh])", " * ", formula)
    assert kept == 5 * D_HEAD * eval(product, {"m": order, "h": N_HEADS, "g": N_GROUPS})
