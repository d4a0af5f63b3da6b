"""Tokens that are generated with a cache are those generated without one."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache, StaticCache
from transformers.cache_utils import QuantoQuantizedLayer

from nexus_bench.errors import ConfigError
from nexus_bench.hf import apply_nexus
from tests.hf.tiny import CACHE, FAMILIES, READINGS, logits, stock, tokens

CHUNKS = (4, 1, 1, 3, 2)
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "beam": {"num_beams": 3},
    "sampling": {"do_sample": True, "temperature": 2.0, "num_return_sequences": 2},
    "beam sampling": {"do_sample": True, "num_beams": 2},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_generation_with_a_cache_is_generation_without(reading: dict[str, Any], way: str) -> None:
    model = apply_nexus(stock("qwen2"), **reading)
    expected = generated(model, use_cache=False, **WAYS[way])
    assert torch.equal(generated(model, **WAYS[way]), expected)
    assert torch.equal(generated(model, cache_implementation="static", **WAYS[way]), expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_generates_with_both_caches(family: str) -> None:
    model = apply_nexus(stock(family), 3, compare="mirrored")
    expected = generated(model, use_cache=False)
    assert torch.equal(generated(model), expected)
    assert torch.equal(generated(model, cache_implementation="static"), expected)
    assert torch.equal(generated(model, **{CACHE: DynamicCache()}), expected)


def test_some_layers_are_nested_and_some_are_not() -> None:
    model = apply_nexus(stock(), layers=[1])
    assert torch.equal(generated(model), generated(model, use_cache=False))


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_drafts_that_are_not_accepted_leave_nothing_behind(reading: dict[str, Any]) -> None:
    """The prompt repeats itself, and the model does not: drafts come from it, and most are cropped again."""
    model, ids = apply_nexus(stock(), **reading), tokens(5, batch=1).repeat(1, 3)
    drafted = model.generate(ids, max_new_tokens=9, do_sample=False, prompt_lookup_num_tokens=4)
    assert torch.equal(drafted, model.generate(ids, max_new_tokens=9, do_sample=False, use_cache=False))


@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@pytest.mark.parametrize("kind", ["dynamic", "bare", "static"])
@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_in_chunks_gets_the_logits_of_the_whole(
    family: str, reading: dict[str, Any], kind: str, dtype: torch.dtype, within: float
) -> None:
    model, ids = apply_nexus(stock(family), **reading).to(dtype), tokens(sum(CHUNKS))
    cache = made_cache(model, kind)
    for _ in range(2):  # and again after a reset
        pieces = [logits(model, chunk, cache=cache) for chunk in ids.split(CHUNKS, dim=1)]
        whole = logits(model, ids, use_cache=False)
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=within)
        cache.reset()


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_sequences_padded_on_the_left_generate_as_they_do_alone(reading: dict[str, Any]) -> None:
    model, ids = apply_nexus(stock(), **reading), tokens()
    mask = torch.ones_like(ids)
    mask[1, :4] = 0
    both = model.generate(ids, attention_mask=mask, max_new_tokens=6, do_sample=False)
    alone = model.generate(ids[1:, 4:], max_new_tokens=6, do_sample=False)
    assert torch.equal(both[1:, 4:], alone)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_cache_can_be_repeated_and_selected_from(reading: dict[str, Any]) -> None:
    model, ids = apply_nexus(stock(), **reading), tokens()
    cache = made_cache(model, "dynamic")
    logits(model, ids[:, :8], cache=cache)
    cache.batch_repeat_interleave(2)
    cache.batch_select_indices(torch.tensor([3, 1]))
    found = logits(model, ids[[1, 0], 8:], cache=cache)
    torch.testing.assert_close(found, logits(model, ids[[1, 0]], use_cache=False)[:, 8:], rtol=0, atol=1e-4)


def test_a_cache_that_another_model_filled_is_refused() -> None:
    model, cache = stock(), DynamicCache()
    logits(model, tokens(), cache=cache)
    with pytest.raises(ConfigError, match=r"the cache was filled by another model.*; start with an empty cache"):
        logits(apply_nexus(stock()), tokens(), cache=cache)
    nested = apply_nexus(stock())
    cache = made_cache(nested, "dynamic")
    logits(nested, tokens(), cache=cache)
    with pytest.raises(ConfigError, match="the cache was filled by another model"):
        logits(apply_nexus(stock(), 3), tokens(), cache=cache)
    cache = made_cache(nested, "static")
    logits(nested, tokens(4), cache=cache)
    with pytest.raises(ConfigError, match="the cache was filled by another model"):
        logits(apply_nexus(stock(), 3), tokens(4), cache=cache)


def test_caches_that_cannot_keep_a_nest_are_refused() -> None:
    model = apply_nexus(stock())
    with pytest.raises(ConfigError, match="a DynamicCache or StaticCache of full attention, got offloaded cache"):
        logits(model, tokens(), cache=DynamicCache(config=model.config, offloading=True))
    quantised = DynamicCache(config=model.config)
    quantised.layers = [object.__new__(QuantoQuantizedLayer) for _ in quantised.layers]  # itself, it needs a package
    place = (torch.ones(1), torch.ones(1))
    with pytest.raises(ConfigError, match="got DynamicCache of QuantoQuantizedLayer"):
        model.model.layers[0].self_attn(torch.zeros(1, 1, 60), place, None, **{CACHE: quantised})
    with pytest.raises(ConfigError, match="got dict"):
        model.model.layers[0].self_attn(torch.zeros(1, 1, 60), place, None, **{CACHE: {}})


def test_a_paged_cache_is_refused_before_a_thread_starts_that_would_drop_the_error() -> None:
    model = apply_nexus(stock(), layers=[1])
    said = "a DynamicCache or StaticCache of full attention, got a paged cache"
    with pytest.raises(ConfigError, match=said):
        model.generate(tokens(), max_new_tokens=2, cache_implementation="paged")
    with pytest.raises(ConfigError, match=said):
        model.generate_batch(tokens().tolist())
    assert apply_nexus(stock(), 1).init_continuous_batching() is not None, "nothing is nested"


def generated(model: Any, **given: Any) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(13)
        found: torch.Tensor = model.generate(tokens(), **{"max_new_tokens": 9, "do_sample": False, **given})
    return found


def made_cache(model: Any, kind: str) -> Any:
    if kind == "static":
        return StaticCache(config=model.config, max_cache_len=sum(CHUNKS) + 2)
    return DynamicCache(config=model.config) if kind == "dynamic" else DynamicCache()
