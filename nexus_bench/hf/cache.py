"""What a nested layer keeps of earlier tokens: beside the last keys and the values, what every inner level compares.

Axis letters: b batch, h heads, r new tokens, n all tokens, e width of a head.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer, StaticLayer

from nexus_bench.errors import ConfigError

KEYS, VALUES = "keys", "values"  # of the outer attention; they are kept where the library keeps its own


class NestedLayer(CacheLayerMixin):
    """The part that a cache which grows and one of fixed size have in common.

    Attributes:
        slots: What inner levels need, by name, (b, h, n, e) each.
    """

    slots: dict[str, Tensor]
    is_initialized: bool

    def grow(self, name: str, new: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h n e"]:
        """Add what is called so of new tokens.

        Returns:
            The same of all tokens; of a cache of fixed size, also of places that are still empty.

        Raises:
            ConfigError: The cache holds tokens, but nothing that is called so.
        """
        raise NotImplementedError

    def begin(self) -> None:
        """Tokens arrive."""

    def advance(self, n_new: int) -> None:
        """Everything of these tokens is kept."""

    def each(self, change: Callable[[Tensor], Tensor]) -> None:
        """Change what inner levels keep, as the library changes keys and values."""
        self.slots = {name: change(x) for name, x in self.slots.items()}

    def get(self, name: str) -> Tensor | None:
        """What is kept under a name so far."""
        if name in (KEYS, VALUES):
            kept: Tensor | None = getattr(self, name)
            return kept
        return self.slots.get(name)

    def put(self, name: str, x: Tensor) -> None:
        """Keep it under this name."""
        if name in (KEYS, VALUES):
            setattr(self, name, x)
        else:
            self.slots[name] = x

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """For beam search."""
        super().reorder_cache(beam_idx)
        self.each(lambda x: x.index_select(0, beam_idx.to(x.device)))


class DynamicNestedLayer(NestedLayer, DynamicLayer):
    """A layer of a cache that grows."""

    n_before: int

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slots = {}
        self.n_before = 0

    def begin(self) -> None:
        """Remember how many were there: what arrives is kept part by part."""
        self.n_before = self.get_seq_length()

    def grow(self, name: str, new: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h n e"]:
        """Concatenate."""
        if not self.is_initialized:
            self.lazy_initialization(new, new)
        kept = self.get(name)
        if kept is None or kept.numel() == 0:
            if self.n_before > 0 and name not in (KEYS, VALUES):
                raise _foreign()
            grown = new
        else:
            grown = torch.cat([kept, new], dim=-2)
        self.put(name, grown)
        return grown

    def reset(self) -> None:
        """Forget everything."""
        self.keys = self.values = None
        self.slots = {}
        self.is_initialized = False

    def crop(self, tokens_to_remove: int) -> None:
        """Forget the last tokens, which a verifier did not accept."""
        super().crop(tokens_to_remove)
        length = self.get_seq_length()
        self.each(lambda x: x[..., :length, :])

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Repeat each sequence."""
        super().batch_repeat_interleave(repeats)
        self.each(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some sequences."""
        super().batch_select_indices(indices)
        self.each(lambda x: x[indices, ...])


class StaticNestedLayer(NestedLayer, StaticLayer):
    """A layer of a cache of fixed size, whose tensors are written in place."""

    cumulative_length: Tensor

    def __init__(self, max_cache_len: int, **kwargs: Any) -> None:
        super().__init__(max_cache_len=max_cache_len, **kwargs)
        self.slots = {}

    def grow(self, name: str, new: Float[Tensor, "b h r e"]) -> Float[Tensor, "b h n e"]:
        """Write behind the tokens so far; `advance` counts them when all is written."""
        if not self.is_initialized:
            self.dtype, self.device = new.dtype, new.device
            self.cumulative_length = self.cumulative_length.to(new.device)
            self.is_initialized = True
            _fixed_address(self.cumulative_length)
        kept = self.get(name)
        if kept is None:
            is_asked = name not in (KEYS, VALUES) and not torch.compiler.is_compiling()
            if is_asked and bool(self.cumulative_length > 0):
                raise _foreign()
            kept = new.new_zeros(*new.shape[:2], self.max_cache_len, new.shape[-1])
            self.put(name, kept)
            _fixed_address(kept)
        at = torch.arange(new.shape[-2], device=new.device) + self.cumulative_length
        kept.index_copy_(2, at, new)
        return kept

    def advance(self, n_new: int) -> None:
        """Everything of these tokens is written."""
        self.cumulative_length.add_(n_new)

    def reset(self) -> None:
        """Forget everything, in place."""
        super().reset()
        for x in self.slots.values():
            x.zero_()


def nested_layer(cache: Cache, index: int) -> NestedLayer:
    """The layer of a cache; one of the library that is still empty is replaced by one that keeps a nest.

    Raises:
        ConfigError: The cache is of another kind, such as quantised, offloaded or of a sliding window, or another model
            filled it.
    """
    kind = type(cache).__name__
    if not isinstance(cache, Cache) or not hasattr(cache, "layers") or getattr(cache, "offloading", False):
        raise unfit("offloaded cache" if getattr(cache, "offloading", False) else kind)
    while len(cache.layers) <= index and cache.layer_class_to_replicate is not None:
        cache.layers.append(cache.layer_class_to_replicate())
    layer = cache.layers[index]
    if isinstance(layer, NestedLayer):
        return layer
    if type(layer) not in (DynamicLayer, StaticLayer):
        raise unfit(f"{kind} of {type(layer).__name__}")
    if layer.keys is not None and layer.keys.numel() > 0 and not _is_untouched(layer):
        raise _foreign()
    nested: NestedLayer
    if isinstance(layer, StaticLayer):
        nested = StaticNestedLayer(layer.max_cache_len)
    else:
        nested = DynamicNestedLayer()
    cache.layers[index] = nested
    return nested


def _is_untouched(layer: DynamicLayer | StaticLayer) -> bool:
    """A cache of fixed size may have its memory already, and nothing in it."""
    return isinstance(layer, StaticLayer) and not bool(layer.get_seq_length() > 0)


def unfit(kind: str) -> ConfigError:
    """The error for a cache that cannot keep a nest."""
    return ConfigError(f"Nexus attention generates with a DynamicCache or StaticCache of full attention, got {kind}")


def _foreign() -> ConfigError:
    return ConfigError("the cache was filled by another model, without what a nest keeps; start with an empty cache")


def _fixed_address(x: Tensor) -> None:
    """Compiled steps that write in place need to know that it stays where it is."""
    if not torch.compiler.is_compiling():
        torch._dynamo.mark_static_address(x)
