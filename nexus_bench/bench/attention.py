"""Time and memory of attention mechanisms, forward and backward, compared with PyTorch's own module.

All mechanisms are timed in the same process, in turn, round after round, and the fastest round of each counts, since
other work on the machine only ever slows one down. Compare ratios within one call, not milliseconds between calls.
"""

import time
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.attention.flops import count_flops
from nexus_bench.attention.layout import Layout
from nexus_bench.errors import ConfigError, unknown_name
from nexus_bench.experiment.grid import grid_points
from nexus_bench.io.config import Config
from nexus_bench.model.costs import n_parameters
from nexus_bench.model.spec import make_model
from nexus_bench.model.transformer import build_attention

PLAIN = "nn.MultiheadAttention"
_WARM_UP = 2


class Workload(NamedTuple):
    """The input of every mechanism.

    Attributes:
        n_positions: Length of a sequence.
        batch_size: Number of sequences.
        n_heads: Heads.
        d_head: Width of a head.
        dtype: Of weights and activations.
        causal: Whether positions attend only to themselves and earlier ones.
        device: Where to run.
    """

    n_positions: int
    batch_size: int
    n_heads: int
    d_head: int
    dtype: torch.dtype
    causal: bool
    device: torch.device

    @property
    def d_model(self) -> int:
        """Width of a position."""
        return self.n_heads * self.d_head

    def positions(self, *, device: torch.device) -> Tensor:
        """Random positions, the same for every mechanism; (batch, positions, width)."""
        shape = (self.batch_size, self.n_positions, self.d_model)
        generator = torch.Generator(device=device if device.type != "meta" else "cpu").manual_seed(0)
        if device.type == "meta":
            return torch.empty(shape, dtype=self.dtype, device=device, requires_grad=True)
        x = torch.randn(shape, dtype=torch.float32, device=device, generator=generator).to(self.dtype)
        return x.requires_grad_()


class Measured(NamedTuple):
    """One mechanism at one length; `forward_ratio` and `total_ratio` are relative to the first mechanism."""

    attention: str
    n_positions: int
    n_params: int
    forward_ms: float
    backward_ms: float
    peak_mib: float
    forward_gflop: float
    backward_gflop: float
    forward_ratio: float
    total_ratio: float


class Plain(nn.Module):
    """PyTorch's own module, called like the mechanisms."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(work.d_model, work.n_heads, bias=False, batch_first=True)

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """Attend without returning averaged weights, so that fused kernels can be used."""
        mask = None
        if layout.causal:  # the module requires a mask, although the hint makes it ignore the mask
            mask = torch.empty(x.shape[1], x.shape[1], dtype=torch.bool, device="meta")
        out: Tensor = self.attention(x, x, x, need_weights=False, attn_mask=mask, is_causal=layout.causal)[0]
        return out


def bench_attention(
    entries: list[Config], workloads: list[Workload], *, rounds: int, on_round: Callable[[], None]
) -> list[Measured]:
    """Measure PyTorch's own module and every entry on every workload.

    Args:
        entries: `attention` and its options, as in a suite.
        workloads: The inputs, one per length.
        rounds: How often each is timed.
        on_round: Called after every round of every workload.

    Raises:
        ConfigError: An entry is not allowed at this width, or does not fit into memory.
    """
    rows = []
    for work in workloads:
        modules = _modules(entries, work)
        x = work.positions(device=work.device)
        rows += _measure(modules, x, work, rounds=rounds, on_round=on_round)
    return rows


def attention_entries(names: list[str], settings: Config) -> list[Config]:
    """One entry per combination of the options that a mechanism has; a list is an axis.

    Raises:
        ConfigError: A name is unknown, or none of the mechanisms has an option of a given name other than `order`.
    """
    entries = []
    known = {"order"}
    for name in names:
        if len(ATTENTIONS.get(name).layers()) > 1:
            raise ConfigError(f"{name} is a hybrid of layers; time its mechanisms: {' '.join(name.split('+'))}")
        own = tuple(ATTENTIONS.get(name).Options.model_fields)
        known.update(own)
        entries += grid_points({"attention": name} | {key: settings[key] for key in own if key in settings}, "bench")
    for key in settings:
        if key not in known:
            raise ConfigError(unknown_name("setting", key, known))
    return entries


def _modules(entries: list[Config], work: Workload) -> dict[str, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        found: dict[str, nn.Module] = {PLAIN: Plain(work)}
        for entry in entries:
            if not (work.causal or ATTENTIONS.get(entry["attention"]).takes_sets):
                raise ConfigError(f"{entry['attention']} attends to earlier positions alone; time it with --causal")
            as_sequence = {"encoding": "flat", "position": "none"} if work.causal else {}
            spec = make_model(entry | as_sequence | {"d_model": work.d_model, "n_heads": work.n_heads}, where="bench")
            found[spec.attention_label] = build_attention(spec)
    return {label: module.to(work.device, work.dtype) for label, module in found.items()}


def _measure(
    modules: dict[str, nn.Module], x: Tensor, work: Workload, *, rounds: int, on_round: Callable[[], None]
) -> list[Measured]:
    layout = Layout(causal=work.causal)
    try:
        peaks = {label: _peak_mib(module, x, layout) for label, module in modules.items()}
        times: dict[str, list[tuple[float, float]]] = {label: [] for label in modules}
        for number in range(rounds + _WARM_UP):
            for label, module in modules.items():
                measured = _milliseconds(module, x, layout)
                if number >= _WARM_UP:
                    times[label].append(measured)
            if number >= _WARM_UP:
                on_round()
    except torch.OutOfMemoryError as error:
        raise ConfigError(f"n {work.n_positions} does not fit into memory; lower --n or --batch") from error
    best = {label: tuple(min(column) for column in zip(*pairs, strict=True)) for label, pairs in times.items()}
    base_forward, base_backward = next(iter(best.values()))
    rows = []
    for label, module in modules.items():
        forward_ms, backward_ms = best[label]
        forward, backward = _flops(module, work, layout)
        rows.append(
            Measured(
                attention=label,
                n_positions=work.n_positions,
                n_params=n_parameters(module),
                forward_ms=forward_ms,
                backward_ms=backward_ms,
                peak_mib=peaks[label],
                forward_gflop=forward / 1e9,
                backward_gflop=backward / 1e9,
                forward_ratio=forward_ms / base_forward,
                total_ratio=(forward_ms + backward_ms) / (base_forward + base_backward),
            )
        )
    return rows


def _milliseconds(module: nn.Module, x: Tensor, layout: Layout) -> tuple[float, float]:
    """Floating-point operations of one forward and one backward pass."""
    _forget(module, x)
    start = _now(x.device)
    loss = module(x, layout).sum()
    between = _now(x.device)
    loss.backward()
    return (between - start) * 1e3, (_now(x.device) - between) * 1e3


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _peak_mib(module: nn.Module, x: Tensor, layout: Layout) -> float:
    """Peak memory beyond weights and input, over a forward and a backward pass; includes gradients."""
    _forget(module, x)
    if x.device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        module(x, layout).sum().backward()
        return float(torch.cuda.max_memory_allocated() - before) / 2**20
    with _LiveBytes() as held:
        module(x, layout).sum().backward()
    return float(held.peak) / 2**20


class _LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations return, while they exist.

    For devices without their own counter. Memory used inside a kernel is not counted.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage: torch.UntypedStorage) -> None:
        address, n_bytes = storage.data_ptr(), storage.nbytes()
        if n_bytes and address not in self.alive:
            self.alive.add(address)
            self.now += n_bytes
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, address, n_bytes)

    def _drop(self, address: int, n_bytes: int) -> None:
        self.alive.discard(address)
        self.now -= n_bytes


def _flops(module: nn.Module, work: Workload, layout: Layout) -> list[int]:
    meta = torch.device("meta")
    x = work.positions(device=meta)
    losses: list[Tensor] = []
    on_meta = module.to(meta)  # nothing is computed on this device
    return count_flops(
        lambda: losses.append(on_meta(x, layout).sum()),
        lambda: losses.pop().backward(),  # type: ignore[no-untyped-call]
    )


def _forget(module: nn.Module, x: Tensor) -> None:
    x.grad = None
    module.zero_grad()
