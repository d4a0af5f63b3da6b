"""GPU kernels against attention written out in float64, in values and in every gradient.

The same cases run on a CUDA device, and on a CPU in Triton's interpreter. That multiplies the bits of bfloat16 as whole
numbers, so float16, which takes the same way through a kernel, stands in for it; and all its products are exact.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from nexus_bench.attention.kernels import short
from nexus_bench.attention.kernels.short import LONGEST, attend_short, is_short
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive.parts import passes
from nexus_bench.attention.parts import attend
from tests.paths import ROOT

ON_GPU = pytest.param("cuda", marks=pytest.mark.gpu)
INTERPRETED = pytest.param("cpu", marks=pytest.mark.interpreted)
TYPES = [
    pytest.param("cuda", torch.float32, 2e-5, marks=pytest.mark.gpu),
    pytest.param("cuda", torch.bfloat16, 6e-2, marks=pytest.mark.gpu),
    pytest.param("cpu", torch.float32, 2e-5, marks=pytest.mark.interpreted),
    pytest.param("cpu", torch.float16, 6e-3, marks=pytest.mark.interpreted),
]
SIZES = [(1, 16, 16), (2, 1, 3), (13, 11, 22), (17, 32, 32), (33, 5, 64)]  # n, e, f
LAYOUTS = [Layout(), Layout(causal=True), Layout(n_keys=7), Layout(causal=True, n_keys=7)]
BLOCKS = [
    Layout(n_shared=5, block=3),
    Layout(n_shared=1),
    Layout(True, n_shared=13, block=2),
    Layout(n_keys=11, n_shared=7, block=3),
    Layout(True, n_keys=11, n_shared=7, block=3),
]


@pytest.fixture(autouse=True)
def exact_products() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def drawn(*shape: int, b: int = 2, h: int = 3, seed: int = 0) -> Tensor:
    """Heads as projections leave them: positions lie before heads in memory."""
    *others, n, width = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*others, b, n, h, width, generator=generator, dtype=torch.float64).transpose(-3, -2)


def with_gradients(function: Any, inputs: list[Tensor]) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs]
    out = function(*inputs)
    numbers = torch.linspace(0.5, 1.5, out.numel(), device=out.device, dtype=out.dtype).reshape(out.shape)
    (out * numbers).sum().backward()
    return [out.detach(), *(x.grad for x in inputs)]  # type: ignore[misc]


def by_kernel(layout: Layout) -> Any:
    """One pass by the kernel, without asking where it runs."""
    return lambda q, k, v: attend_short(
        q, layout.keys(k), layout.keys(v), causal=layout.causal, n_shared=layout.n_shared, block=layout.block
    )


def written_out(layout: Layout) -> Any:
    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.stack([torch.stack(passes(*(list(x) for x in one), layout)) for one in zip(q, k, v, strict=True)])

    return attention


def assert_same(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double().cpu(), theirs, rtol=tolerance, atol=tolerance)


def assert_written_out(layout: Layout, inputs: list[Tensor], tolerance: float) -> None:
    rounded = [x.double().cpu() for x in inputs]
    assert_same(with_gradients(by_kernel(layout), inputs), with_gradients(written_out(layout), rounded), tolerance)


def test_kernels_compute_what_they_should_in_the_interpreter_of_triton() -> None:
    """In a process of its own: Triton asks for the interpreter when it is imported."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("needs Triton, which is installed on Linux only")
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "interpreted", __file__]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(("device", "dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_pass_is_attention(
    size: tuple[int, int, int], layout: Layout, device: str, dtype: torch.dtype, tolerance: float
) -> None:
    n, e, f = size
    inputs = [drawn(n, width, seed=seed).to(device, dtype) for seed, width in enumerate((e, e, f))]
    assert_written_out(layout, inputs, tolerance)


@pytest.mark.parametrize(("device", "dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("n", [17, 29])
@pytest.mark.parametrize("layout", BLOCKS, ids=str)
def test_blocks_do_not_see_each_other(
    layout: Layout, n: int, device: str, dtype: torch.dtype, tolerance: float
) -> None:
    assert_written_out(layout, [drawn(n, 16, seed=seed).to(device, dtype) for seed in range(3)], tolerance)


@pytest.mark.parametrize(("device", "dtype", "tolerance"), TYPES)
@pytest.mark.parametrize("layout", [Layout(causal=True), Layout(True, n_keys=101, n_shared=40, block=7)], ids=str)
def test_the_longest_sequences_are_right(layout: Layout, device: str, dtype: torch.dtype, tolerance: float) -> None:
    inputs = [drawn(LONGEST, 64, b=1, h=1, seed=seed).to(device, dtype) for seed in range(3)]
    assert_written_out(layout, inputs, tolerance)


@pytest.mark.parametrize("device", [ON_GPU, INTERPRETED])
def test_scores_beyond_the_range_of_the_exponential_are_right(device: str) -> None:
    inputs = [drawn(17, 16, seed=seed).to(device, torch.float32) for seed in range(3)]
    assert_written_out(Layout(), [100 * inputs[0], *inputs[1:]], 5e-4)


@pytest.mark.parametrize("device", [ON_GPU, INTERPRETED])
def test_faster_products_are_the_same_within_their_rounding(device: str) -> None:
    torch.set_float32_matmul_precision("high")
    inputs = [drawn(17, 16, seed=seed).to(device, torch.float32) for seed in range(3)]
    assert_written_out(Layout(causal=True), inputs, 1e-2)


@pytest.mark.parametrize("device", [ON_GPU, INTERPRETED])
@pytest.mark.parametrize("layout", [Layout(), Layout(n_shared=7, block=2)], ids=str)
def test_stacked_models_are_a_longer_batch(layout: Layout, device: str) -> None:
    """Also where they share an input, or are stacked along another axis."""
    q, k, v = (drawn(5, 17, 16, seed=seed).to(device, torch.float32) for seed in range(3))
    stacked = torch.func.vmap(by_kernel(layout), in_dims=(0, None, 1))
    together = with_gradients(stacked, [q, k[0], v.transpose(0, 1)])

    def one_by_one(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.stack([by_kernel(layout)(own_q, k, own_v) for own_q, own_v in zip(q, v.unbind(1), strict=True)])

    alone = with_gradients(one_by_one, [q, k[0], v.transpose(0, 1)])
    assert torch.equal(together[0], alone[0])
    for ours, theirs in zip(together, alone, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("device", [ON_GPU, INTERPRETED])
def test_the_compiler_is_told_the_truth_about_a_pass(device: str) -> None:
    """Shapes, memory order and gradients of the stand-in for the kernel."""
    inputs = [drawn(13, width, seed=width).to(device, torch.float32).requires_grad_() for width in (11, 11, 22)]
    torch.library.opcheck(short._attention, (*inputs, True, 5, 3))
    plain = [x.detach() for x in (*inputs, drawn(13, 22).to(device, torch.float32))]
    torch.library.opcheck(short._gradients, (*plain, True, 5, 3))


@pytest.mark.gpu
def test_the_pass_of_every_mechanism_takes_the_kernel_where_it_can_and_is_the_same_beyond() -> None:
    for n in (LONGEST, LONGEST + 1):
        x = drawn(n, 16)
        q = x.to("cuda", torch.float32)
        assert is_short(q, q, q) == (n <= LONGEST)
        for layout in [*LAYOUTS, *BLOCKS, Layout(rope=True)]:
            expected = attend(x, x, x, layout)
            torch.testing.assert_close(attend(q, q, q, layout).double().cpu(), expected, rtol=1e-4, atol=1e-4)
