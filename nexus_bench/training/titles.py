"""The titles of cells: what a person calls them, and no two cells of a suite alike."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nexus_bench.generators.base import TaskParams
from nexus_bench.generators.defaults import task_defaults
from nexus_bench.io.hops import format_hops
from nexus_bench.io.options import only, options_text, value_text
from nexus_bench.training.spec import CellSpec

SEPARATOR = " | "  # between the parts of a title
_LARGE = 1e6  # larger numbers are written with an exponent


def titles_of(cells: Sequence[CellSpec]) -> dict[str, str]:
    """The title of each cell of a suite: task, model, recipe and seed, with every value that varies in the suite.

    A parameter of a task varies if cells of the same family differ in it; a value of the recipe, if any cells do. What
    is the same everywhere is left out, except the hops and the seed; so is a value that only follows another one, as
    the size of a vocabulary follows the number of nodes.

    Args:
        cells: All cells of the suite.

    Returns:
        cell_id -> title, such as `group_word hops 1-4 | group S_3 | nexus, order 2 | lr 0.003 | seed 0`.
    """
    tasks: dict[str, dict[str, dict[str, Any]]] = {}  # family -> JSON of the task -> its values
    distinct = {(id(cell.task), id(cell.model), id(cell.train)): cell for cell in cells}  # of a suite, these are few
    for cell in distinct.values():
        tasks.setdefault(cell.task.task, {})[cell.task.model_dump_json()] = _task(cell)
    of_task = {name: _axes(list(found.values()), _that_follow(name)) for name, found in tasks.items()}
    recipes = {cell.train.model_dump_json(): _recipe(cell) for cell in distinct.values()}
    of_recipe = _axes(list(recipes.values()), [])
    of_all_seeds = {
        parts: SEPARATOR.join(
            [
                f"{cell.task.task} hops {format_hops(cell.task.hops)}",
                *_shown(_task(cell), of_task[cell.task.task]),
                cell.label,
                *_shown(_recipe(cell), of_recipe),
            ]
        )
        for parts, cell in distinct.items()
    }
    titles = {
        cell.cell_id: f"{of_all_seeds[id(cell.task), id(cell.model), id(cell.train)]}{SEPARATOR}seed {cell.seed}"
        for cell in cells
    }
    counts = Counter(titles.values())
    return {
        cell_id: title if counts[title] == 1 else f"{title}{SEPARATOR}{cell_id}" for cell_id, title in titles.items()
    }


def _task(cell: CellSpec) -> dict[str, Any]:
    return cell.task.model_dump(mode="json", exclude={"task", "params"}) | cell.task.params


def _recipe(cell: CellSpec) -> dict[str, Any]:
    """The values of a recipe besides the curriculum, which is part of the label."""
    return cell.train.model_dump(mode="json", exclude={"curriculum"})


def _that_follow(family: str) -> list[str]:
    """The parameters that follow others unless they are given, the first to leave out of a title first."""
    given = [key for key, value in task_defaults(family).items() if value is None]
    shared = [key for key in given if key in TaskParams.model_fields]
    return ["hop_query", *shared, *(key for key in reversed(given) if key not in shared)]


def _axes(points: list[dict[str, Any]], that_follow: list[str]) -> list[str]:
    """The keys that tell the points apart: all that vary, without those that follow from the others."""
    texts = [{key: value_text(value) for key, value in point.items()} for point in points]
    keys = [key for key in dict.fromkeys(key for point in texts for key in point) if _n_distinct(texts, [key]) > 1]
    for key in that_follow:
        others = [other for other in keys if other != key]
        if _n_distinct(texts, others) == _n_distinct(texts, keys):
            keys = others
    return [key for key in keys if key != "hops"]  # they are in every title


def _n_distinct(texts: list[dict[str, str]], keys: list[str]) -> int:
    return len({tuple(point.get(key) for key in keys) for point in texts})


def _shown(values: dict[str, Any], keys: list[str]) -> list[str]:
    """The parts of a title that show these values; a whole number is written as one."""
    whole = {k: int(v) if isinstance(v, float) and v.is_integer() and abs(v) < _LARGE else v for k, v in values.items()}
    return [only(options_text({key: whole.get(key)}), [key]).replace("=", " ", 1) for key in keys]
