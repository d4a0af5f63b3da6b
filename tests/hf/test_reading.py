"""A nested layer is `nexus_bench.attention.Nexus` with the same weights, in every reading that fits."""

import copy
from itertools import product
from typing import Any, get_args

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import DynamicCache

from nexus_bench.attention import Layout, Nexus, NexusOptions
from nexus_bench.hf import apply_nexus
from tests.hf.tiny import D_HEAD, N_GROUPS, N_HEADS, logits, stock, tokens

D = N_HEADS * D_HEAD
N = 7


def every_reading() -> list[NexusOptions]:
    fields = NexusOptions.model_fields
    axes = {k: get_args(fields[k].annotation) for k in ("inner", "compare", "mix", "combine", "refine")}
    axes |= {"norm_over": ("width", "head", None), "inner_out": (False, True), "order": (2, 3)}
    found = []
    for values in product(*axes.values()):
        try:
            found.append(NexusOptions.model_validate(dict(zip(axes, values, strict=True))))
        except ValidationError:
            continue
    return found


READINGS = every_reading()


def test_readings_that_fit_are_many() -> None:
    assert len(READINGS) > 1000


@pytest.mark.parametrize("rope", [False, True])
@pytest.mark.parametrize("family", ["gpt_neox", "llama", "qwen2"])
@pytest.mark.parametrize("inner", ["reproject", "direct", "output"])
def test_a_nested_layer_is_the_mechanism_of_this_package(inner: str, family: str, rope: bool) -> None:
    """Grouped keys and values are those of a layer whose heads have equal weights."""
    x = torch.randn(2, N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    readings = [r for r in READINGS if r.inner == inner]
    for reading in readings if family == "llama" and rope else readings[::7]:
        ours = apply_nexus(stock_layer(family).double(), **reading.model_dump())
        (layer,) = (m for m in ours.modules() if type(m).__name__.startswith("Nexus") and hasattr(m, "layer_idx"))
        with torch.no_grad():
            found, _ = layer(x, attention_mask=None, position_embeddings=places(rope))
            expected = with_weights_of(layer, reading)(x, Layout(causal=True, rope=rope))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12, msg=lambda m, r=reading: f"{r}: {m}")


@pytest.mark.parametrize("inner", ["reproject", "direct", "output"])
def test_with_a_cache_every_reading_gives_what_it_gives_without(inner: str) -> None:
    stocked, ids = stock(num_hidden_layers=1).double(), tokens(5)
    for reading in (r for r in READINGS if r.inner == inner and r.combine == "residual"):
        model = apply_nexus(copy.deepcopy(stocked), **reading.model_dump())
        cache = DynamicCache()
        found = torch.cat([logits(model, part, cache=cache) for part in ids.split((3, 2), dim=1)], dim=1)
        expected = logits(model, ids, use_cache=False)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10, msg=lambda m, r=reading: f"{r}: {m}")


def stock_layer(family: str) -> Any:
    given: dict[str, Any] = {"num_hidden_layers": 1}
    if family == "gpt_neox":
        given |= {"attention_bias": False, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    model = stock(family, **given)
    for name, parameter in model.named_parameters():
        if name.endswith("_proj.bias"):
            torch.nn.init.zeros_(parameter)
    return model


def places(rope: bool) -> tuple[Tensor, Tensor]:
    """Cosines and sines in float64; the library makes them in float32."""
    channel = torch.arange(D_HEAD // 2, dtype=torch.float64) / (D_HEAD // 2)
    angle = torch.arange(N, dtype=torch.float64)[:, None] * 10000.0**-channel * rope
    return angle.cos().repeat(1, 2)[None], angle.sin().repeat(1, 2)[None]


def with_weights_of(layer: Any, reading: NexusOptions) -> Nexus:
    nexus = Nexus(D, N_HEADS, reading).double()
    if hasattr(layer, "query_key_value"):
        by_head = layer.query_key_value.weight.reshape(N_HEADS, 3, D_HEAD, D)
        packed, out = by_head.transpose(0, 1).reshape(3 * D, D), layer.dense
    else:
        k, v = (
            getattr(layer, name).weight.reshape(N_GROUPS, D_HEAD, D).repeat_interleave(N_HEADS // N_GROUPS, dim=0)
            for name in ("k_proj", "v_proj")
        )
        packed, out = torch.cat([layer.q_proj.weight, k.reshape(D, D), v.reshape(D, D)]), layer.o_proj
    nexus.projections.packed.weight = torch.nn.Parameter(packed)
    nexus.out.weight = out.weight
    return nexus
