"""Whether a model can be trained in the memory of a device, told before it is tried."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import GPTNeoXConfig

from nexus_bench.errors import StorageError
from nexus_bench.hf.pretrain_spec import PretrainSpec

_GIB = 2**30
_STATE = 16  # bytes for each parameter: weight, gradient and two moments, in float32
_LAYER = 34  # bytes a layer keeps for each token and each number of the width, in 16 bits
_LEVEL = 16  # likewise for each further level of a nest: its queries, keys, values, its output and the norm of it


def bytes_needed(spec: PretrainSpec, config: GPTNeoXConfig, *, n_parameters: int, micro_batch: int, bits: int) -> int:
    """A low estimate of the memory of training: what is certainly needed.

    Source of what a layer keeps: Korthikanti et al. 2022 (arXiv 2205.05198, section 4.1), without the attention
    matrix, which is not kept. The logits of a pass are there once in its precision and once in float32.

    Args:
        spec: The run.
        config: Of the model.
        n_parameters: Its trained numbers.
        micro_batch: Sequences of a pass.
        bits: Of a number in a pass: 16 or 32.
    """
    n_tokens = micro_batch * spec.seq_len
    levels = 0 if spec.nexus is None else spec.nexus.order - 1
    of_layers = (_LAYER + _LEVEL * levels) * config.num_hidden_layers * config.hidden_size * bits // 16
    of_logits = config.vocab_size * (bits // 8 + 4)
    of_mask = spec.seq_len if spec.attend == "document" else 0  # a byte for each pair of positions
    needed: int = n_parameters * _STATE + n_tokens * (of_layers + of_logits + of_mask)
    return needed


def check_memory(needed: int, device: torch.device, *, micro_batch: int) -> None:
    """Refuse what certainly does not fit.

    Raises:
        StorageError: The message says how much is missing.
    """
    free = free_bytes(device)
    if free is not None and needed > free:
        raise StorageError(
            f"training needs {needed / _GIB:.1f} GiB or more, {free / _GIB:.1f} GiB are free: "
            f"{(needed - free) / _GIB:.1f} GiB are missing; lower {lower(micro_batch)}"
        )


@contextmanager
def told_if_it_runs_out(advice: str) -> Iterator[None]:
    """Memory that runs out within is one line.

    Args:
        advice: What to do.

    Raises:
        StorageError: It ran out.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise StorageError(f"the memory of the device did not suffice; {advice}") from error


def lower(micro_batch: int) -> str:
    """What can be lowered so that a run needs less memory."""
    first = f"micro_batch_size (now {micro_batch}), " if micro_batch > 1 else ""
    return f"{first}seq_len or vocab_size, or choose a smaller --arch"


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device; None if the system does not tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    try:
        told = Path("/proc/meminfo").read_text(encoding="utf-8")
        (available,) = (line.split()[1] for line in told.splitlines() if line.startswith("MemAvailable:"))
        return int(available) * 1024
    except (OSError, ValueError):
        pages = os.sysconf_names.get("SC_AVPHYS_PAGES")
        return None if pages is None else int(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE"))
