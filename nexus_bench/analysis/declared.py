"""The comparisons that a suite declares before anything is trained, and which models they are about."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nexus_bench.errors import ConfigError
from nexus_bench.io.columns import CURRICULUM

IN_ORDER = "in_order"  # declares comparisons that are tested one after the other
EQUAL_SIZE = "matched"  # declares every pair of `compare_models.matched_pairs`
_SIDES = ("model", "baseline")


class DeclaredComparison(NamedTuple):
    """One declared comparison: parts of the labels of two models."""

    model: str
    baseline: str


class Declared(NamedTuple):
    """What a suite declares.

    Attributes:
        asked: Its comparisons.
        equal_size: Whether every pair of equal size is declared.
        in_order: Whether the comparisons are tested one after the other, each across all settings.
    """

    asked: tuple[DeclaredComparison, ...]
    equal_size: bool
    in_order: bool = False


def read_declared(value: Any, *, where: str) -> Declared:
    """The value of `comparisons` of a suite; false or nothing declares none.

    Raises:
        ConfigError: It is neither `matched`, nor a list of `{model: ..., baseline: ...}`, nor such a list under
            `in_order`.
    """
    if value is None or value is False:
        return Declared((), equal_size=False)
    if value == EQUAL_SIZE:
        return Declared((), equal_size=True)
    in_order = isinstance(value, dict) and list(value) == [IN_ORDER]
    if in_order:
        value = value[IN_ORDER]
    entries = value if isinstance(value, list) else [value]
    for entry in entries or [entries]:
        if (
            not isinstance(entry, dict)
            or sorted(entry) != sorted(_SIDES)
            or not all(isinstance(entry[side], str) and entry[side].strip(" ,") for side in _SIDES)
        ):
            raise ConfigError(
                f"{where}: comparisons must be `{EQUAL_SIZE}`, or a list of entries such as "
                f'`{{model: "nexus, order 3", baseline: "standard"}}`, perhaps under `{IN_ORDER}:` (in Python '
                f'`[{{"model": "nexus, order 3", "baseline": "standard"}}]`), got {entry!r}'
            )
    return Declared(tuple(DeclaredComparison(**entry) for entry in entries), equal_size=False, in_order=in_order)


def matching(asked: str, labels: Sequence[str]) -> list[str]:
    """The labels that a name selects: the label itself, or else without its curriculum, or all that have every part.

    The curriculum counts less because it is no part of the model: tasks of one suite may have others.
    """
    if asked in labels:
        return [asked]
    if models := [label for label in labels if label.partition(CURRICULUM)[0] == asked]:
        return models
    parts = {part.strip() for part in asked.split(",")}
    return [label for label in labels if parts <= set(label.split(", "))]


def check_declared(declared: Declared, labels: Sequence[str], *, where: str) -> None:
    """Check that every side of every comparison selects exactly one of these models, and not twice the same.

    Raises:
        ConfigError: It selects none or several, or a comparison is given twice.
    """
    seen: set[tuple[str, ...]] = set()
    for asked in declared.asked:
        pair = []
        for name in asked:
            found = matching(name, labels)
            if len(found) != 1:
                has = f"{len(found)} models ({'; '.join(found)})" if found else f"no model of: {'; '.join(labels)}"
                raise ConfigError(
                    f"{where}: comparisons: '{name}' selects {has}; name exactly one, or declare none "
                    "(--set comparisons=false)"
                )
            pair += found
        if len(set(pair)) == 1 or tuple(sorted(pair)) in seen:
            what = "compares a model with itself" if len(set(pair)) == 1 else "is declared twice"
            raise ConfigError(f"{where}: comparisons: '{asked.model}' with '{asked.baseline}' {what}; remove it")
        seen.add(tuple(sorted(pair)))
