"""The memory of a GPU: how many models it holds, and what is said where it does not hold one."""

import math
from dataclasses import replace

import torch

from nexus_bench.training.modes import DETERMINISTIC
from nexus_bench.training.row import TrainingRow
from nexus_bench.training.stacked import MOST_MODELS, Stacked

_SHARE_OF_MEMORY = 0.7
_OF_OTHERS = 0.1  # the share of a GPU that counts as held by others; what CUDA itself takes of it is less


def largest_stack(row: TrainingRow, device: torch.device, mode: str, *, share: float = 1.0) -> int:
    """How many models of a shape the memory of a device holds, as a power of two.

    Measured on one step of one model, uncompiled, which needs more memory than a compiled step, and on an evaluation.
    Mode deterministic reckons with all of the memory, and the others with what is free: what others use at the moment
    must not decide the bytes.

    Args:
        row: A row of the shape.
        device: The device.
        mode: One of STACKED.
        share: The share of the memory that the stack may take, beside others that train on the device.
    """
    if device.type != "cuda":
        return MOST_MODELS
    with torch.cuda.device(device):
        engine = Stacked([replace(row, state=None)], device, mode)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        try:
            engine.try_out()
            torch.cuda.synchronize()
        finally:
            engine.close()
        of_one = torch.cuda.max_memory_allocated() - before + engine.n_bytes
        del engine
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        usable = share * _SHARE_OF_MEMORY * (total if mode == DETERMINISTIC else free)
    return int(min(MOST_MODELS, 2 ** int(math.log2(max(1.0, usable / of_one)))))


def shortage(device: torch.device) -> str:
    """Why one model does not fit into the memory of a device, and what to do, in one line."""
    if device.type != "cuda":
        return "out of memory with one model; lower batch_size, or use a machine with more"
    free, total = torch.cuda.mem_get_info(device)
    return shortage_of(free=free, total=total, own=torch.cuda.memory_reserved(device))


def shortage_of(*, free: int, total: int, own: int) -> str:
    """As `shortage`, of bytes: those that are free, all of them, and those that this process holds."""
    others = total - free - own
    if others > _OF_OTHERS * total:
        held = f"{_size(others)} of {_size(total)} are held by other programs and {_size(free)} are free"
        return f"out of GPU memory: {held}; train again with fewer --workers, or when they are done"
    return f"out of GPU memory: one model needs more than its {_size(total)}; lower batch_size, or use a GPU with more"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
