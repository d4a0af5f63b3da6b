"""Products in parts: the same products, cut only where that keeps more of a GPU busy."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from nexus_bench.training.long_products import LongProducts, in_parts, n_parts


@pytest.mark.parametrize(
    ("s", "m", "k", "n"), [(6, 128, 4096, 384), (1, 5, 1024, 7), (300, 8, 4096, 8), (2, 3, 100, 4)]
)
def test_a_product_in_parts_is_the_product(s: int, m: int, k: int, n: int) -> None:
    a, b = torch.randn(s, k, m, dtype=torch.float64).transpose(1, 2), torch.randn(s, k, n, dtype=torch.float64)
    torch.testing.assert_close(in_parts(a, b), torch.bmm(a, b))


def test_sums_are_cut_only_where_results_are_few_and_sums_long() -> None:
    assert n_parts(6, 128, 4096, 384) > 1
    assert n_parts(256, 128, 4096, 384) == 1, "busy already"
    assert n_parts(6, 128, 384, 128) == 1, "too short"
    assert n_parts(6, 128, 4095, 384) == 1, "cannot be halved"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_pass_replaces_what_gains_and_nothing_else() -> None:
    def two(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return torch.bmm(torch.bmm(a.transpose(1, 2), b), c)

    example = torch.randn(2, 1024, 16), torch.randn(2, 1024, 8), torch.randn(2, 8, 4)
    traced = make_fx(two, tracing_mode="fake")(*example)
    LongProducts()(traced.graph)
    traced.recompile()
    shapes = [
        tuple(node.args[0].meta["val"].shape)  # type: ignore[union-attr]
        for node in traced.graph.find_nodes(op="call_function", target=torch.ops.aten.bmm.default)
    ]
    assert shapes == [(8, 16, 256), (2, 16, 8)]
    torch.testing.assert_close(traced(*example), two(*example), rtol=1e-4, atol=1e-4)
