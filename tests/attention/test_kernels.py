"""The GPU kernel for short sequences against attention in float64, in values and in every gradient."""

import pytest
import torch
from torch.nn import functional as F

from nexus_bench.attention.kernels.short import LONGEST, attend_short, is_short
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import attend

pytestmark = pytest.mark.gpu
SIZES = [(1, 1, 16, 16), (17, 17, 32, 32), (LONGEST, LONGEST, 64, 64)]  # n, k, e, f
CASES = [(size, causal) for size in SIZES for causal in (False, True)] + [((13, 7, 11, 22), False)]
LAYOUTS = [Layout(), Layout(causal=True), Layout(n_keys=7), Layout(causal=True, n_keys=7), Layout(rope=True)]
BLOCKS = [Layout(n_shared=5, block=3), Layout(True, n_shared=13, block=2), Layout(n_keys=11, n_shared=7, block=3)]


@pytest.fixture(autouse=True)
def exact_products() -> None:
    assert torch.cuda.is_available(), "make test-gpu needs a CUDA device"
    torch.set_float32_matmul_precision("highest")


def drawn(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def with_gradients(function, inputs: list[torch.Tensor]) -> list[torch.Tensor]:  # type: ignore[no-untyped-def]
    inputs = [x.clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    (
        out * torch.linspace(0.5, 1.5, out.numel(), device=out.device, dtype=out.dtype).reshape(out.shape)
    ).sum().backward()
    return [out.detach(), *(x.grad for x in inputs)]  # type: ignore[list-item]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 6e-2)])
@pytest.mark.parametrize(("size", "causal"), CASES)
def test_agrees_with_float64(
    size: tuple[int, int, int, int], causal: bool, dtype: torch.dtype, tolerance: float
) -> None:
    n, k, e, f = size
    inputs = [drawn(2, 3, n, e), drawn(2, 3, k, e), drawn(2, 3, k, f)]
    on_gpu = [x.to("cuda", dtype) for x in inputs]
    assert is_short(*on_gpu)
    found = with_gradients(lambda q, k, v: attend_short(q, k, v, causal=causal), on_gpu)
    rounded = [x.double().cpu() for x in on_gpu]
    expected = with_gradients(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal), rounded)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double().cpu(), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", [17, 29, LONGEST])
@pytest.mark.parametrize("layout", BLOCKS, ids=str)
def test_blocks_do_not_see_each_other(layout: Layout, n: int) -> None:
    inputs = [drawn(2, 3, n, 16) for _ in range(3)]
    found = with_gradients(lambda q, k, v: attend(q, k, v, layout), [x.to("cuda", torch.float32) for x in inputs])
    expected = with_gradients(lambda q, k, v: attend(q, k, v, layout), inputs)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double().cpu(), theirs, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("blocks", [{}, {"n_shared": 7, "block": 2}])
def test_stacked_models_are_a_longer_batch(blocks: dict[str, int]) -> None:
    q, k, v = (drawn(5, 2, 3, 17, 16).to("cuda", torch.float32) for _ in range(3))
    together = torch.func.vmap(lambda q, k, v: attend_short(q, k, v, causal=False, **blocks))(q, k, v)
    alone = torch.stack([attend_short(*parts, causal=False, **blocks) for parts in zip(q, k, v, strict=True)])
    assert torch.equal(together, alone)


def test_the_pass_of_every_mechanism_takes_the_kernel_where_it_can_and_is_the_same_beyond() -> None:
    for n in (LONGEST, LONGEST + 1):
        x = drawn(2, 3, n, 16)
        q = x.to("cuda", torch.float32)
        assert is_short(q, q, q) == (n <= LONGEST)
        for layout in [*LAYOUTS, *BLOCKS]:
            expected = attend(x, x, x, layout)
            torch.testing.assert_close(attend(q, q, q, layout).double().cpu(), expected, rtol=1e-4, atol=1e-4)
