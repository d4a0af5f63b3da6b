"""The attention maps of a model, seen from outside: no mechanism has to know of it.

Axis letters: b graphs, h heads, n positions, k positions that may be attended to.
"""

import math
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nexus_bench.errors import UsageError
from nexus_bench.evaluate import Batch
from nexus_bench.model import Transformer

_SOFTMAX = (F.softmax, torch.softmax, Tensor.softmax)


class Place(NamedTuple):
    """Where an attention pass belongs.

    Attributes:
        layer: Block, from 1.
        loop: Which application of the blocks, from 1.
        level: Of the nest, from 1, the innermost; one more than the highest level that went into its queries and keys.
        path: The inner attention, where each has weights of its own, as `nest.inner.q`; empty where there is but one.
    """

    layer: int
    loop: int
    level: int
    path: str

    @property
    def title(self) -> str:
        """In a few words."""
        parts = [f"layer {self.layer}"] if self.layer > 1 else []
        parts += [f"loop {self.loop}"] if self.loop > 1 else []
        return ", ".join([*parts, f"level {self.level}", *([self.path] if self.path else [])])


class Pass(NamedTuple):
    """One attention pass.

    Attributes:
        place: Where it belongs.
        weights: Rows sum to one. A mechanism that attends to pairs of positions has twice the heads: first what the
            first members of the pairs get, then what the second ones get.
    """

    place: Place
    weights: Float[Tensor, "b h n k"]


def record(model: Transformer, batch: Batch) -> list[Pass]:
    """Run a model and keep every attention map in the order of the passes.

    Consecutive passes of the same attention with equal maps count once: a mechanism may apply one map several times.

    Args:
        model: In evaluation mode; it computes what it computes anyway.
        batch: What it is given.

    Raises:
        UsageError: Its attention has no map: it calls neither fused attention nor a softmax over positions.
    """
    recorder = _Recorder(n_layers=len(model.attentions))
    with ExitStack() as hooks:
        for attention in model.attentions:
            for name, module in attention.named_modules():
                hooks.callback(module.register_forward_pre_hook(recorder.enter(name)).remove)
                hooks.callback(module.register_forward_hook(recorder.leave).remove)
        with torch.no_grad(), recorder:
            model(batch.tokens, batch.read_at, batch.layout)
    if not recorder.passes:
        raise UsageError(
            f"attention '{model.attentions[0].name}' has no map to look at: it calls neither "
            "scaled_dot_product_attention nor softmax"
        )
    return recorder.passes


class _Frame:
    """A module that is running."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.level = 0  # the highest that has ended in it
        self.newest: Tensor | None = None


class _Recorder(TorchFunctionMode):
    def __init__(self, *, n_layers: int) -> None:
        super().__init__()
        self.passes: list[Pass] = []
        self._n_layers = n_layers
        self._n_begun = 0  # attentions of blocks
        self._n_keys = 0
        self._stack: list[_Frame] = []

    def enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        """A hook for the beginning of a module; the outermost says which positions may be attended to."""

        def hook(module: nn.Module, arguments: Any) -> None:
            if not name:
                x, layout = arguments
                self._n_keys = x.shape[1] if layout.n_keys is None else layout.n_keys
                self._n_begun += 1
            self._stack.append(_Frame(name))

        return hook

    def leave(self, module: nn.Module, arguments: Any, result: Any) -> None:
        """A hook for the end of a module."""
        ended = self._stack.pop()
        if self._stack:
            self._stack[-1].level = max(self._stack[-1].level, ended.level)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if not self._stack:
            return result
        if function is F.scaled_dot_product_attention:
            self._take(_map_of(*args, **(kwargs or {})))
        elif function in _SOFTMAX and result.dim() == 4:
            self._take(result)
        return result

    def _take(self, weights: Tensor) -> None:
        k = self._n_keys
        if weights.shape[-1] == k * k and k > 1:  # pairs: what their first and their second members get
            pairs = weights.reshape(*weights.shape[:-1], k, k)
            weights = torch.cat([pairs.sum(dim=-1), pairs.sum(dim=-2)], dim=1)
        frame = self._stack[-1]
        if weights.shape[-1] != k or (frame.newest is not None and torch.equal(frame.newest, weights)):
            return
        frame.level += 1
        frame.newest = weights
        loop, layer = divmod(self._n_begun - 1, self._n_layers)
        self.passes.append(Pass(Place(layer + 1, loop + 1, frame.level, frame.path), weights))


def _map_of(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **others: Any,
) -> Float[Tensor, "b h n k"]:
    """What `scaled_dot_product_attention` multiplies the values with; the arguments are those of that function."""
    scores = q @ k.transpose(-2, -1) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return scores.softmax(dim=-1)
