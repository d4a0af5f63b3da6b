"""Which readings of the nest go together, what is said of those that do not, and what weights they have."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from nexus_bench.attention import levels
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.nexus import Nexus
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.parts import attend

D, H = 18, 3
REFUSED = [
    ({"compare": "mirrored", "refine": "q"}, "compare must be qk or self with refine q"),
    ({"compare": "half_mirrored", "refine": "q"}, "compare must be qk or self with refine q"),
    ({"norm_over": "head", "combine": "none"}, "norm_over must be unset with combine none"),
    ({"norm_over": "width", "combine": "residual"}, "norm_over must be unset with combine residual"),
    ({"inner_out": True, "inner": "direct"}, "inner_out must be false with inner direct"),
    ({"inner_out": True, "inner": "output"}, "inner_out must be false with inner output"),
    ({"share": "inner", "inner": "direct"}, "share must be shared or unshared with inner direct"),
    ({"share": "inner", "inner": "output", "refine": "qkv"}, "share must be shared or unshared with inner output"),
    ({"share": "unshared", "inner": "output"}, "inner must be reproject or direct with share unshared"),
    ({"share": "unshared", "compare": "self"}, "compare must be qk with share unshared"),
    ({"share": "unshared", "mix": "last"}, "mix must be first with share unshared"),
    ({"share": "unshared", "inner_out": True}, "inner_out must be false with share unshared"),
]


@pytest.mark.parametrize("options, reason", REFUSED, ids=str)
def test_a_combination_that_means_nothing_is_refused_in_one_line(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        NexusOptions.model_validate(options)
    (error,) = refused.value.errors()
    assert error["msg"].startswith(f"Value error, {reason}") and "\n" not in error["msg"]


@pytest.mark.parametrize("options, _", REFUSED, ids=str)
def test_each_value_of_a_refused_combination_is_allowed_by_itself(options: dict[str, object], _: str) -> None:
    for name, value in options.items():
        NexusOptions.model_validate({name: value})


def test_readings_at_their_defaults_leave_the_names_of_cells_alone() -> None:
    assert set(NexusOptions().given()) == {"order", "inner", "combine", "refine", "share"}
    assert NexusOptions(compare="mirrored").given() == {**NexusOptions().given(), "compare": "mirrored"}


@pytest.mark.parametrize(
    "order, inner, refine, matrices",
    [
        (1, "reproject", "qk", 4),
        (2, "reproject", "qk", 7),
        (4, "reproject", "qkv", 7),
        (3, "output", "qk", 5),
        (3, "output", "q", 6),
    ],
)
def test_inner_levels_that_share_weights_add_one_set(order: int, inner: str, refine: str, matrices: int) -> None:
    nexus = make(order=order, share="inner", inner=inner, refine=refine)
    assert sum(p.numel() for p in nexus.parameters()) == matrices * D * D


@pytest.mark.parametrize("refine", ["q", "qk", "qkv"])
def test_inner_weights_equal_to_the_outer_ones_are_shared(refine: str) -> None:
    shared, apart = make(order=3, refine=refine), make(order=3, share="inner", refine=refine)
    x = torch.randn(2, 7, D, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        apart.inner_projections.packed.weight.copy_(apart.projections.packed.weight)
    torch.testing.assert_close(apart(x, Layout()), shared(x, Layout()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "reading, passes",
    [
        ({}, 2),
        ({"refine": "qkv", "mix": "last"}, 2),
        ({"compare": "mirrored"}, 4),
        ({"compare": "half_mirrored"}, 6),  # each over half of the heads
        ({"compare": "self", "refine": "qkv"}, 5),  # values are refined at the last level only
        ({"inner": "output"}, 2),
        ({"inner": "direct", "compare": "mirrored"}, 4),
    ],
    ids=str,
)
def test_two_levels_take_a_pass_for_each_pair_that_is_compared(
    reading: dict[str, object], passes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []

    def count(q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Tensor:
        counted.append(1)
        return attend(q, k, v, layout)

    monkeypatch.setattr(levels, "attend", count)
    make(order=3, **reading)(torch.randn(2, 7, D, dtype=torch.float64), Layout())
    assert len(counted) == passes


def make(**options: object) -> Nexus:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        return Nexus(D, H, NexusOptions.model_validate(options)).double()
