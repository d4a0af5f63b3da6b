"""How the cells of a suite are cut into stacks."""

import hashlib
from collections.abc import Iterable, Sequence

from nexus_bench.training.checkpoint_heads import Pack
from nexus_bench.training.modes import DETERMINISTIC, SINGLE
from nexus_bench.training.spec import CellSpec

_MAY_DIFFER = {"seed": True, "train": {"lr", "curriculum"}}  # between the models of a stack

Stack = tuple[CellSpec, ...]


def cut(
    cells: Sequence[CellSpec], wanted: Iterable[str], begun: Iterable[Pack], *, mode: str, stack: int, n_devices: int
) -> list[Stack]:
    """Cut cells into stacks of equal shape; in mode `single` each cell is one, and those of a seed follow each other.

    In mode deterministic the bytes depend on the stack, so a stack is cut from the whole suite, whatever the number of
    devices, and one that was begun goes on as it was. In the other modes only wanted cells are stacked, the costly
    shapes first, and for every device there is at least one stack.

    Args:
        cells: The cells of the suite.
        wanted: The cell_ids of those to train.
        begun: The packs that have checkpoints.
        mode: `single`, or one of the modes of `training.modes`.
        stack: Most models of a stack.
        n_devices: Devices that train side by side.
    """
    to_train = frozenset(wanted)
    if mode == SINGLE:
        in_turn = sorted(cells, key=lambda cell: cell.seed)  # so that a run that is stopped early can be compared
        return [(cell,) for cell in in_turn if cell.cell_id in to_train]
    if mode != DETERMINISTIC:
        return _cut_for_devices([cell for cell in cells if cell.cell_id in to_train], stack, n_devices)
    by_id = {cell.cell_id: cell for cell in cells}
    going_on: list[Stack] = []
    placed: set[str] = set()
    for pack in sorted(begun, key=lambda pack: -pack.step):  # an older one of the same rows has been left since
        ids = set(pack.cell_ids)
        if pack.mode == mode and to_train & ids and ids <= by_id.keys() and not ids & placed:
            going_on.append(tuple(by_id[cell_id] for cell_id in pack.cell_ids))
            placed |= ids
    stacks = [group[i : i + stack] for group in _of_equal_shape(cells) for i in range(0, len(group), stack)]
    fresh = [tuple(c for c in members if c.cell_id in to_train and c.cell_id not in placed) for members in stacks]
    return [*going_on, *(members for members in fresh if members)]


def stack_id(cells: Sequence[CellSpec]) -> str:
    """A name for some cells."""
    names = [cell.cell_id for cell in cells]
    return names[0] if len(names) == 1 else hashlib.sha256(" ".join(names).encode()).hexdigest()[:16]


def _of_equal_shape(cells: Sequence[CellSpec]) -> list[Stack]:
    groups: dict[str, list[CellSpec]] = {}
    for cell in cells:
        groups.setdefault(cell.model_dump_json(exclude=_MAY_DIFFER), []).append(cell)  # type: ignore[arg-type]
    return [tuple(group) for group in groups.values()]


def _cut_for_devices(cells: Sequence[CellSpec], stack: int, n_devices: int) -> list[Stack]:
    groups = _of_equal_shape(cells)
    per_group = max(1, -(-n_devices // max(1, len(groups))))  # stacks of each shape, so that no device is idle
    stacks = []
    for group in groups:
        n, n_parts = len(group), min(len(group), max(per_group, -(-len(group) // stack)))
        stacks += [group[n * i // n_parts : n * (i + 1) // n_parts] for i in range(n_parts)]
    return sorted(stacks, key=_work, reverse=True)


def _work(stack: Stack) -> float:
    """About how much work a stack is, up to a factor: the longest begin first, so that all devices end together."""
    (model, task, recipe), n_models = (stack[0].model, stack[0].task, stack[0].train), len(stack)
    family = task.generator()
    passes = model.n_layers * model.n_loops * (2 + float(model.options.get("order", 1)))
    return n_models * recipe.steps * recipe.batch_size * (family.n_facts + family.n_queries) * passes * model.d_model**2
