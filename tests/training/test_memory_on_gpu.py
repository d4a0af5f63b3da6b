"""Stacks that do not fit into the memory of a CUDA device: halved, and checkpoints beside them are used.

The memory is truly short: PyTorch refuses to allocate more than a share of it to this process.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nexus_bench.data.task import make_task
from nexus_bench.experiment.events import Event, Note
from nexus_bench.training.spec import CellSpec
from nexus_bench.training.stacked import Stacked
from tests.jobs import EndedCell, run_cells
from tests.small import cell

pytestmark = pytest.mark.gpu

# A model of these needs some hundred MiB: in a step, or in an evaluation. Much more than what a process always needs.
LARGE_STEPS = {"batch_size": 256, "n_val": 20}
LARGE_EVALUATIONS = {"batch_size": 8, "n_val": 256}


def members(n: int, *, batch_size: int, n_val: int) -> list[CellSpec]:
    entry = {"task": "pointer_chase", "hops": "1-2", "n_nodes": 64, "n_val": n_val, "n_test": 20}
    recipe = {"steps": 60, "batch_size": batch_size, "eval_every": 20, "stop_when_solved": False}
    one = cell(train=recipe, d_model=256, n_heads=4).model_copy(update={"task": make_task(entry, where="test")})
    return [one.model_copy(update={"seed": seed}) for seed in range(n)]


def in_use() -> int:
    """Bytes that PyTorch holds, after all that it can give back."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved()


def trained(cells: list[CellSpec]) -> tuple[list[EndedCell], int]:
    """With all of the memory; and how many bytes PyTorch took from the device, which is what it may be refused."""
    in_use()
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    outcomes = run_cells(cells, device="cuda")
    return outcomes, torch.cuda.max_memory_reserved() - before


def allow(n_bytes: int) -> None:
    torch.cuda.set_per_process_memory_fraction(n_bytes / torch.cuda.get_device_properties("cuda").total_memory)


@pytest.fixture(autouse=True)
def unlimited_afterwards() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


@pytest.mark.parametrize(
    ("sizes", "from_step"), [(LARGE_STEPS, 0), (LARGE_EVALUATIONS, 25)], ids=["in the first step", "in an evaluation"]
)
def test_a_stack_that_does_not_fit_is_halved_and_goes_on(
    sizes: dict[str, int], from_step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for three models: at once, or after the first checkpoint; no step before that is made again."""
    cells = members(4, **sizes)
    _, for_two = trained(cells[:2])
    whole, for_four = trained(cells)
    assert for_four - for_two > 200 * 2**20, "too little to tell from what else is allocated"
    limit = in_use() + (for_two + for_four) // 2
    advance = Stacked.advance
    made: list[tuple[int, int]] = []

    def advance_and_note(self: Stacked) -> None:
        if self.step == from_step > 0:
            in_use()
            allow(limit)
        made.append((len(self.rows), self.step))
        advance(self)

    monkeypatch.setattr(Stacked, "advance", advance_and_note)
    if not from_step:
        allow(limit)
    events: list[Event] = []
    halved = run_cells(cells, device="cuda", root=tmp_path, on_event=events.append)
    notes = [event.text for event in events if isinstance(event, Note)]
    assert notes == ["out of memory with 4 models in a stack; continuing with 2"]
    assert min(step for n, step in made if n == 2) == (20 if from_step else 0)
    assert [n for n, step in made if step == 59] == [2, 2]
    for a, b in zip(whole, halved, strict=True):
        assert b.status == "trained"
        for name, weights in a.weights.items():
            torch.testing.assert_close(b.weights[name], weights, rtol=0, atol=2e-3)
