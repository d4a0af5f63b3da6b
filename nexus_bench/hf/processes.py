"""One process a device: what torchrun started, or this process alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from nexus_bench.errors import UsageError
from nexus_bench.experiment.execution import choose_device

_PATIENCE = timedelta(hours=2)  # others wait while the first one tokenises


class Processes(NamedTuple):
    """The processes of a run.

    Attributes:
        rank: Number of this one, from 0.
        n: How many there are.
        device: The device of this one.
    """

    rank: int
    n: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this one writes and prints."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.n > 1:
            dist.barrier()

    def sum(self, x: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.n > 1:
            dist.all_reduce(x)
        return x


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the others that torchrun started.

    Args:
        device: `auto`, `cpu` or `cuda`.

    Raises:
        UsageError: The name is unknown, or there is no such device.
    """
    on_gpu = choose_device(device) == "cuda"
    rank, n, local = (int(os.environ.get(name, default)) for name, default in _STARTED)
    if on_gpu and local >= torch.cuda.device_count():
        raise UsageError(f"there are {torch.cuda.device_count()} CUDA devices; lower --nproc-per-node")
    mine = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(mine)
    if n > 1:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    yield Processes(rank, n, mine)
    if n > 1:  # after a failure others must not lose this process before it has said why
        dist.destroy_process_group()


_STARTED = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))  # what torchrun sets, and what holds without it
