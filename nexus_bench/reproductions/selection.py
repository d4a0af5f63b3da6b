"""Which rows of results.csv a claimed figure is about, and their value for every seed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from nexus_bench.analysis.summary import MODEL, SETTING, hop_reach
from nexus_bench.errors import ConfigError
from nexus_bench.experiment.result_rows import failed_result
from nexus_bench.experiment.suite import Suite
from nexus_bench.experiment.trained_cells import selected
from nexus_bench.inspection.askable import check_askable
from nexus_bench.inspection.question import further_law
from nexus_bench.io.columns import TEST, VAL, Row
from nexus_bench.io.config import Config
from nexus_bench.io.hops import format_hops
from nexus_bench.io.options import option_values, value_text
from nexus_bench.model.spec import LATER, ModelSpec
from nexus_bench.reproductions.spec import Ask

_OPTIONS = ("task_options", "attention_options", "model_options", "recipe_options")
_ONE = (*SETTING, *MODEL, "split")  # the columns that the rows of one figure share

_LATER = ("cell_id", "mode", "status", "version")  # columns that are not known before a cell is trained, or not theirs

_USUAL = {name: ModelSpec.model_fields[name].default for name in LATER}  # which rows do not name

Values = dict[int, float]  # seed -> value; NaN where its cell failed or is not there yet


def planned_rows(suite: Suite, asks: Sequence[Ask]) -> list[Row]:
    """The rows that results.csv will have, without figures: every split and question of every cell.

    Raises:
        ConfigError: A question cannot be asked of a task or of a model, or is asked of no cell.
    """
    rows: list[Row] = []
    of_cells = [{cell.cell_id for cell in selected(suite.cells, one.cells)} for one in asks]
    if lost := [one.cells for one, cells in zip(asks, of_cells, strict=True) if not cells]:
        raise ConfigError(f"ask: no cell of the suite is '{lost[0]}'; name parts of a title, such as 'n_layers 2'")
    for cell in suite.cells:
        rows += failed_result(cell, "single").rows
        for asked in (one for one, cells in zip(asks, of_cells, strict=True) if cell.cell_id in cells):
            law = further_law(cell.task, asked.question)
            if cell.seed == suite.seeds[0]:  # seeds differ in nothing that is asked here
                check_askable(cell, asked.question, law, suite=suite.cells)
            common = rows[-1] | {"split": asked.question.split, "n_facts": law.family.n_facts}
            rows += (common | {"hop": hop} for hop in law.family.hops)
    return [row for row in rows if row["split"] != VAL]


def settings_of(row: Mapping[str, Any]) -> Config:
    """Everything that a row can be selected by: its columns that are planned, and the options within them."""
    values: Config = {}
    for name in _OPTIONS:
        values = _values_of(row.get(name)) | values
    own = {name: value for name, value in row.items() if name not in (*_OPTIONS, *_LATER) and not _is_missing(value)}
    return _USUAL | values | own


def rows_of_figure(rows: Iterable[Row], where: Config, hops: tuple[int, ...] | None, *, what: str) -> list[Row]:
    """The rows that a figure is about: of one model, one setting and one split, `test` if none is named.

    Args:
        rows: Rows of results.csv.
        where: Columns and options -> their values.
        hops: Hop counts; None takes all.
        what: Name of the figure in error messages.

    Raises:
        ConfigError: No row is selected, or rows of several models, settings or hop counts that are not there, or only
            some seeds or recipes of a model.
    """
    rows = list(rows)
    wanted = {"split": TEST} | where
    found = [row for row in rows if _has(settings_of(row), wanted)]
    if not found:
        raise ConfigError(f"{what}: no row has {told(wanted)}")
    groups = {tuple(_key(row)): row for row in found}
    if len(groups) > 1:
        one, other, *_ = groups.values()
        differs = told({name: f"{one.get(name)} and {other.get(name)}" for name in _ONE if one[name] != other[name]})
        raise ConfigError(f"{what}: {told(wanted)} selects {len(groups)} sets of rows, with {differs}; name one")
    if len(found) < sum(tuple(_key(row)) in groups for row in rows):
        raise ConfigError(
            f"{what}: {told(wanted)} selects a part of the rows of a model; all seeds are judged, of several recipes "
            "the best on validation, and hops are named by `hops`"
        )
    there = {row["hop"] for row in found}
    if hops is not None and (lacking := tuple(hop for hop in hops if hop not in there)):
        raise ConfigError(f"{what}: hops {format_hops(lacking)} are not evaluated, only {format_hops(_sorted(there))}")
    return [row for row in found if hops is None or row["hop"] in hops]


def values(rows: Iterable[Row], measure: str) -> Values:
    """The value of each seed: mean accuracy or loss over hops, or hop reach."""
    of_seed: dict[int, dict[int, float]] = {}
    for row in rows:
        value = row["loss" if measure == "loss" else "accuracy"]
        of_seed.setdefault(row["seed"], {})[row["hop"]] = math.nan if _is_missing(value) else float(value)
    made: Values = {}
    for seed, by_hop in of_seed.items():
        is_whole = not any(math.isnan(value) for value in by_hop.values())
        mean = sum(by_hop.values()) / len(by_hop)
        made[seed] = (float(hop_reach(by_hop)) if measure == "reach" else mean) if is_whole else math.nan
    return made


def told(where: Config) -> str:
    """A selection in words."""
    return ", ".join(f"{key} {value_text(value)}" for key, value in where.items()) or "all rows"


def _has(settings: Config, wanted: Config) -> bool:
    return all(key in settings and _is_same(settings[key], value) for key, value in wanted.items())


def _is_same(found: Any, wanted: Any) -> bool:
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(wanted, int | float):
        return isinstance(found, int | float) and math.isclose(found, wanted, rel_tol=1e-9)
    return bool(found == wanted)


def _key(row: Row) -> Iterable[Any]:
    return (None if _is_missing(row.get(name)) else row[name] for name in _ONE)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _sorted(hops: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(hops))


@lru_cache(maxsize=4096)
def _values_of(text: str | None) -> Config:
    return option_values(text)
