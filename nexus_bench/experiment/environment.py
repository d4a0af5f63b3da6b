"""What cells are trained in: versions, device and mode, as env.json lists them."""

import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import numpy
import torch

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.provenance import OURS, task_origin
from nexus_bench.experiment.execution import Execution
from nexus_bench.io.columns import Row
from nexus_bench.training.modes import SINGLE
from nexus_bench.training.spec import CellSpec
from nexus_bench.version import __version__


def environment_of(execution: Execution, cells: Sequence[CellSpec]) -> Row:
    """The environment of a run, with the packages that its tasks and attentions came from."""
    return {
        **machine_and_versions(execution.device),
        "threads_per_cell": 1,
        "mode": execution.mode,
        "stack": execution.stack if execution.mode != SINGLE else 1,
        **_origins_of(cells),
    }


def machine_and_versions(device: str) -> Row:
    """What every environment says of the machine and of what is installed.

    Args:
        device: `cpu` or `cuda`.
    """
    return {
        "nexus_bench": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
    }


def today() -> str:
    """The day in UTC, as `2026-11-28`."""
    return datetime.now(UTC).date().isoformat()


def known_here_alone(cells: Iterable[CellSpec]) -> bool:
    """Whether a task or an attention of cells is of a script or a notebook: other processes cannot import it."""
    return any(origin["version"] is None for kind in _origins_of(list(cells)).values() for origin in kind.values())


def _origins_of(cells: Sequence[CellSpec]) -> dict[str, Row]:
    """The packages of the tasks and the attentions of cells, by kind and name."""
    return {
        "tasks": _origins(task_origin, (cell.task.task for cell in cells)),
        "attentions": _origins(_attention_origin, (n for c in cells for n in c.model.attention.split("+"))),
    }


def _origins(origin_of: Callable[[str], Row], names: Iterable[str]) -> Row:
    return {name: origin_of(name) for name in sorted(set(names))}


def _attention_origin(name: str) -> Row:
    origin = ATTENTIONS.origin(name)
    return OURS if origin is None else origin._asdict()
