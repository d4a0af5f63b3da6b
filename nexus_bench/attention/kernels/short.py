"""One attention pass over short sequences as a single GPU kernel, forward and backward.

A batch of many tiny matrix products is slow on any library: at 17 positions they took two thirds of a training step.
Here one program reads the queries, keys and values of one head of one sequence, and keeps everything else in registers.

Axis letters: b batch, h heads, n positions, k keys, e width of queries and keys, f width of values.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # PyTorch for CPUs comes without Triton
    triton = None

LONGEST = 128  # positions
_WIDEST = 64  # width of a head


def is_short(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the kernel supports these inputs."""
    return (
        triton is not None
        and q.is_cuda
        and q.dtype == k.dtype == v.dtype
        and q.dtype in (torch.float32, torch.bfloat16)
        and max(q.shape[-2], k.shape[-2]) <= LONGEST
        and max(q.shape[-1], v.shape[-1]) <= _WIDEST
    )


def attend_short(
    q: Float[Tensor, "b h n e"],
    k: Float[Tensor, "b h k e"],
    v: Float[Tensor, "b h k f"],
    *,
    causal: bool,
    n_shared: int | None = None,
    block: int = 1,
) -> Float[Tensor, "b h n f"]:
    """softmax(Q K^T / sqrt(e) + M) V; float32 products are exact or tf32, by PyTorch's setting for matrix products.

    The mask M is that of a `Layout` with the same `causal`, `n_shared` and `block`.
    """
    out: Tensor = _attention(q, k, v, causal, LONGEST if n_shared is None else n_shared, block)
    return out


@torch.library.custom_op("nexus_bench::short_attention", mutates_args=())
def _attention(q: Tensor, k: Tensor, v: Tensor, causal: bool, n_shared: int, block: int) -> Tensor:
    out = _heads_last(q, v.shape[-1])
    _launch(_forward, (q, k, v, out), causal, n_shared, block)
    return out


@_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, causal: bool, n_shared: int, block: int) -> Tensor:
    return _heads_last(q, v.shape[-1])


@torch.library.custom_op("nexus_bench::short_attention_backward", mutates_args=())
def _gradients(
    q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, causal: bool, n_shared: int, block: int
) -> tuple[Tensor, Tensor, Tensor]:
    found = tuple(_heads_last(x, x.shape[-1]) for x in (q, k, v))
    _launch(_backward, (q, k, v, d_out, *found), causal, n_shared, block)
    return found  # type: ignore[return-value]


@_gradients.register_fake
def _(
    q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, causal: bool, n_shared: int, block: int
) -> tuple[Tensor, Tensor, Tensor]:
    return tuple(_heads_last(x, x.shape[-1]) for x in (q, k, v))  # type: ignore[return-value]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    q, k, v, *ctx.mask = inputs
    ctx.save_for_backward(q, k, v)


def _pull_back(ctx: Any, d_out: Tensor) -> tuple[Tensor | None, ...]:
    d_q, d_k, d_v = _gradients(*ctx.saved_tensors, d_out, *ctx.mask)
    return d_q, d_k, d_v, None, None, None


_attention.register_autograd(_pull_back, setup_context=_keep)


@_attention.register_vmap
def _(
    info: Any, in_dims: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, n_shared: int, block: int
) -> tuple[Tensor, int]:
    """Under vmap, stacked models are one longer batch."""
    folded = [
        (x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)).flatten(0, 1)
        for x, dim in zip((q, k, v), in_dims, strict=False)
    ]
    return _attention(*folded, causal, n_shared, block).unflatten(0, (info.batch_size, -1)), 0


def _heads_last(like: Tensor, width: int) -> Tensor:
    """Memory in the order b n h width, so that merging heads copies nothing."""
    b, h, n, _ = like.shape
    return like.new_empty(b, n, h, width).transpose(1, 2)


def _launch(kernel: Any, tensors: tuple[Tensor, ...], causal: bool, n_shared: int, block: int) -> None:
    q, k, v = tensors[:3]
    exact = torch.get_float32_matmul_precision() == "highest"
    sizes = q.shape[-2], k.shape[-2], q.shape[-1], v.shape[-1]
    blocks = [max(16, 1 << (size - 1).bit_length()) for size in sizes]
    strides = [stride for tensor in tensors for stride in tensor.stride()]
    kernel[(q.shape[0] * q.shape[1],)](
        *tensors, *strides, q.shape[1], *sizes, n_shared, block, 1 / math.sqrt(q.shape[-1]),
        CAUSAL=causal, PRECISION="ieee" if exact else "tf32", N=blocks[0], K=blocks[1], E=blocks[2], F=blocks[3],
        num_warps=1 if max(blocks) <= 32 else 4 if max(blocks) <= 64 else 8,
    )  # fmt: skip


if triton is not None:

    @triton.jit
    def _tile(base, b, h, rows, columns, s_b, s_h, s_row, s_column):  # type: ignore[no-untyped-def]
        return base + b * s_b + h * s_h + rows[:, None] * s_row + columns[None, :] * s_column

    @triton.jit
    def _weights(  # type: ignore[no-untyped-def]
        q, k, rows, columns, n_keys, n_shared, block, scale, CAUSAL: tl.constexpr, PRECISION: tl.constexpr
    ):  # fmt: skip
        scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale
        allowed = columns[None, :] < n_keys
        if CAUSAL:
            allowed = allowed & (columns[None, :] <= rows[:, None])
        number = tl.where(rows < n_shared, -1, (rows - n_shared) // block)  # of the block
        number_of_key = tl.where(columns < n_shared, -1, (columns - n_shared) // block)
        allowed = allowed & ((number_of_key[None, :] == -1) | (number_of_key[None, :] == number[:, None]))
        scores = tl.where(allowed, scores, float("-inf"))
        powers = tl.exp(scores - tl.max(scores, axis=1)[:, None])
        return powers / tl.sum(powers, axis=1)[:, None]

    @triton.jit
    def _forward(  # type: ignore[no-untyped-def]
        q, k, v, out,
        q_b, q_h, q_n, q_e, k_b, k_h, k_n, k_e, v_b, v_h, v_n, v_f, o_b, o_h, o_n, o_f,
        n_heads, n, n_keys, e, f, n_shared, block, scale,
        CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
        N: tl.constexpr, K: tl.constexpr, E: tl.constexpr, F: tl.constexpr,
    ):  # fmt: skip
        at = tl.program_id(0).to(tl.int64)
        b, h = at // n_heads, at % n_heads
        rows, keys, es, fs = tl.arange(0, N), tl.arange(0, K), tl.arange(0, E), tl.arange(0, F)
        has_q = (rows[:, None] < n) & (es[None, :] < e)
        has_k = (keys[:, None] < n_keys) & (es[None, :] < e)
        has_v = (keys[:, None] < n_keys) & (fs[None, :] < f)
        q_ = tl.load(_tile(q, b, h, rows, es, q_b, q_h, q_n, q_e), mask=has_q, other=0.0)
        k_ = tl.load(_tile(k, b, h, keys, es, k_b, k_h, k_n, k_e), mask=has_k, other=0.0)
        v_ = tl.load(_tile(v, b, h, keys, fs, v_b, v_h, v_n, v_f), mask=has_v, other=0.0)
        weights = _weights(q_, k_, rows, keys, n_keys, n_shared, block, scale, CAUSAL, PRECISION)
        mixed = tl.dot(weights.to(v_.dtype), v_, input_precision=PRECISION)
        has_out = (rows[:, None] < n) & (fs[None, :] < f)
        tl.store(_tile(out, b, h, rows, fs, o_b, o_h, o_n, o_f), mixed.to(out.dtype.element_ty), mask=has_out)

    @triton.jit
    def _backward(  # type: ignore[no-untyped-def]
        q, k, v, d_out, d_q, d_k, d_v,
        q_b, q_h, q_n, q_e, k_b, k_h, k_n, k_e, v_b, v_h, v_n, v_f, o_b, o_h, o_n, o_f,
        dq_b, dq_h, dq_n, dq_e, dk_b, dk_h, dk_n, dk_e, dv_b, dv_h, dv_n, dv_f,
        n_heads, n, n_keys, e, f, n_shared, block, scale,
        CAUSAL: tl.constexpr, PRECISION: tl.constexpr,
        N: tl.constexpr, K: tl.constexpr, E: tl.constexpr, F: tl.constexpr,
    ):  # fmt: skip
        at = tl.program_id(0).to(tl.int64)
        b, h = at // n_heads, at % n_heads
        rows, keys, es, fs = tl.arange(0, N), tl.arange(0, K), tl.arange(0, E), tl.arange(0, F)
        has_q = (rows[:, None] < n) & (es[None, :] < e)
        has_k = (keys[:, None] < n_keys) & (es[None, :] < e)
        has_v = (keys[:, None] < n_keys) & (fs[None, :] < f)
        has_out = (rows[:, None] < n) & (fs[None, :] < f)
        q_ = tl.load(_tile(q, b, h, rows, es, q_b, q_h, q_n, q_e), mask=has_q, other=0.0)
        k_ = tl.load(_tile(k, b, h, keys, es, k_b, k_h, k_n, k_e), mask=has_k, other=0.0)
        v_ = tl.load(_tile(v, b, h, keys, fs, v_b, v_h, v_n, v_f), mask=has_v, other=0.0)
        d_ = tl.load(_tile(d_out, b, h, rows, fs, o_b, o_h, o_n, o_f), mask=has_out, other=0.0)
        weights = _weights(q_, k_, rows, keys, n_keys, n_shared, block, scale, CAUSAL, PRECISION)
        found_v = tl.dot(tl.trans(weights.to(v_.dtype)), d_, input_precision=PRECISION)
        d_weights = tl.dot(d_, tl.trans(v_), input_precision=PRECISION)
        d_scores = weights * (d_weights - tl.sum(weights * d_weights, axis=1)[:, None]) * scale
        d_scores = d_scores.to(q_.dtype)
        found_q = tl.dot(d_scores, k_, input_precision=PRECISION)
        found_k = tl.dot(tl.trans(d_scores), q_, input_precision=PRECISION)
        to = d_q.dtype.element_ty
        tl.store(_tile(d_q, b, h, rows, es, dq_b, dq_h, dq_n, dq_e), found_q.to(to), mask=has_q)
        tl.store(_tile(d_k, b, h, keys, es, dk_b, dk_h, dk_n, dk_e), found_k.to(to), mask=has_k)
        tl.store(_tile(d_v, b, h, keys, fs, dv_b, dv_h, dv_n, dv_f), found_v.to(to), mask=has_v)
else:
    _forward = _backward = None
