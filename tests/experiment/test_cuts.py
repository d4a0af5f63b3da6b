"""How cells are cut into stacks: no cell twice, whatever was begun."""

from pathlib import Path

import pytest

from nexus_bench.experiment.cuts import cut
from nexus_bench.training.checkpoint_heads import Pack
from nexus_bench.training.spec import CellSpec
from tests.small import cell


def cells(n: int = 4) -> list[CellSpec]:
    return [cell().model_copy(update={"seed": seed}) for seed in range(n)]


def seeds(stacks: list[tuple[CellSpec, ...]]) -> list[list[int]]:
    return [[one.seed for one in stack] for stack in stacks]


def test_of_two_packs_with_a_cell_in_common_the_newer_goes_on_and_the_rest_is_cut_anew() -> None:
    every = cells()
    ids = [one.cell_id for one in every]
    older = Pack(Path("a"), "deterministic", 33, tuple(ids))
    newer = Pack(Path("b"), "deterministic", 45, (ids[1], ids[0]))
    stacks = cut(every, ids, [older, newer], mode="deterministic", stack=256, n_devices=1)
    assert seeds(stacks) == [[1, 0], [2, 3]]
    assert seeds(cut(every, ids, [older], mode="deterministic", stack=256, n_devices=1)) == [[0, 1, 2, 3]]


@pytest.mark.parametrize("n_devices", [1, 2, 3, 8])
def test_every_device_gets_a_stack_and_deterministic_stacks_do_not_depend_on_them(n_devices: int) -> None:
    every = cells()
    ids = [one.cell_id for one in every]
    stacks = cut(every, ids, [], mode="tf32", stack=256, n_devices=n_devices)
    assert len(stacks) == min(n_devices, len(every))
    assert sorted(seed for stack in seeds(stacks) for seed in stack) == [0, 1, 2, 3]
    assert seeds(cut(every, ids, [], mode="deterministic", stack=3, n_devices=n_devices)) == [[0, 1, 2], [3]]


def test_alone_the_cells_of_a_seed_follow_each_other_so_that_what_is_stopped_can_be_compared() -> None:
    every = [*cells(3), *(cell(order=2).model_copy(update={"seed": seed}) for seed in range(3))]
    stacks = cut(every, [one.cell_id for one in every], [], mode="single", stack=256, n_devices=2)
    assert seeds(stacks) == [[0], [0], [1], [1], [2], [2]]
