"""Mechanisms as modules in other code."""

import inspect
import re

import pytest
import torch

import nexus_bench.attention
from nexus_bench.attention import ATTENTIONS, Attention, Layout, Nexus, Standard
from tests.paths import ROOT

NAMES = [name for name in ATTENTIONS.own_names() if issubclass(ATTENTIONS.get(name), Attention)]


def test_the_example_of_the_docs_runs() -> None:
    page = (ROOT / "docs" / "attention.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert isinstance(names["y"], torch.Tensor) and names["y"].shape == (8, 100, 64)


@pytest.mark.parametrize("name", NAMES)
def test_every_mechanism_is_built_by_name_and_needs_no_layout_for_a_set(name: str) -> None:
    mechanism = ATTENTIONS.get(name)
    assert issubclass(mechanism, Attention)
    attention = mechanism.build(16, 2)
    assert inspect.signature(attention.forward).parameters["layout"].default == Layout()
    x = torch.randn(2, 5, 16)
    if mechanism.takes_sets:
        assert torch.equal(attention(x), attention(x, Layout()))
    assert attention(x, Layout(causal=True)).shape == x.shape


def test_every_mechanism_can_be_imported_from_one_place() -> None:
    classes = {ATTENTIONS.get(name) for name in NAMES}
    exported = {getattr(nexus_bench.attention, name) for name in nexus_bench.attention.__all__}
    assert classes <= exported


def test_it_is_an_ordinary_module() -> None:
    """Its weights come from the generator of the caller, and are saved and trained as those of others."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(Nexus.build(16, 2, order=3))
    again = Nexus.build(16, 2, order=3)
    again.load_state_dict(made[0].state_dict())
    x = torch.randn(2, 5, 16)
    assert torch.equal(made[0](x), made[1](x)) and torch.equal(made[0](x), again(x))
    assert torch.nn.Sequential(torch.nn.LayerNorm(16), again)(x).shape == x.shape


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": 0}, "order"),
        ({"ordre": 2}, "ordre"),
        ({"share": "unshared", "order": 24}, "order must be 1 to"),
        ({"compare": "mirrored", "refine": "q"}, "compare must be"),
    ],
)
def test_options_that_are_not_allowed_are_value_errors(options: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Nexus.build(16, 2, **options)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match=r"n_heads must divide d_model \(16\), got 3"):
        Standard.build(16, 3)
    for sizes, said in (
        ((16, 0), "n_heads must be a whole number from 1, got 0"),
        ((-16, 2), "d_model must be a whole"),
    ):
        with pytest.raises(ValueError, match=said):
            Standard.build(*sizes)
