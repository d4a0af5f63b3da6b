"""Accuracy against a parameter of the task: which parameters vary between the tasks of a report, and their sections."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nexus_bench.analysis.summary import LENGTH, SETTING, accuracy_by_hop, reach_by_model
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.io.columns import TEST
from nexus_bench.io.options import option_values, value_text
from nexus_bench.io.plurals import counted
from nexus_bench.report import tables
from nexus_bench.report.charts import figures
from nexus_bench.report.rows import PRESENTED
from nexus_bench.report.section import Section
from nexus_bench.report.words.notes import common_notes
from nexus_bench.report.words.section_titles import words_of

_MOST_NAMED = 4  # models in one sentence
_FOLLOW = ("n_facts", "vocab_size", "n_queries")  # mostly made from other parameters
_TRAINING = ("encoding", "train_hops", *LENGTH)
_SHOWN_IF_ASKED = {*PRESENTED, *_TRAINING, "pattern_ood", "hop_ood"}


class _Setting(NamedTuple):
    """The parameters of a setting, and its rows."""

    values: dict[str, Any]
    rows: pd.DataFrame


class _Sweep(NamedTuple):
    """Settings of a task that differ in one parameter and in what follows from it.

    Attributes:
        name: The parameter.
        beside: Other parameters that change with it.
        fixed: The parameters that vary within the task, but not here.
        settings: Value -> setting, in order of the values.
    """

    name: str
    beside: list[str]
    fixed: list[str]
    settings: dict[Any, _Setting]


def parameter_sections(rows: pd.DataFrame, by: Sequence[str] = ()) -> list[Section]:
    """A section for each parameter that varies between settings of a task in which models were trained.

    Args:
        rows: Rows of the test split and of further hops, one recipe per model.
        by: The parameters to show, also some of training; without them, all parameters of tasks but for those that
            training changes with.

    Raises:
        UsageError: One of `by` varies in no task.
    """
    sections: list[Section] = []
    varying: set[str] = set()
    for _, of_task in rows.groupby("task", sort=False):
        parts = [part for _, part in of_task.groupby(list(SETTING), sort=False, dropna=False)]
        settings = [_Setting(_values(part.iloc[0]), part) for part in parts]
        axes = _axes(settings, by)
        varying |= {name for axis in axes for name in axis}
        for axis in axes:
            is_of_task = axis[0] not in _SHOWN_IF_ASKED and not set(axis) & set(_TRAINING)
            if set(axis) & set(by) if by else is_of_task:
                others = [other[0] for other in axes if other != axis]
                sections += [_section(sweep) for sweep in _sweeps(axis, settings, others)]
    for name in by:
        if name not in varying:
            if not varying:
                raise UsageError(f"no parameter varies within a task, so none can be shown by {name}; omit --by")
            raise UsageError(unknown_name("varying parameter", name, sorted(varying)))
    return _numbered(sections)


def by_parameter(accuracy: pd.DataFrame, reach: pd.DataFrame, names: tables.Names, parameter: str) -> tables.Table:
    """Hop reach and accuracy against a parameter: for each model a row of its reach, and one per hop.

    Args:
        accuracy: `summary.accuracy_by_hop` at each value, in the column `value`.
        reach: `summary.reach_by_model` likewise.
        names: The display names of models.
        parameter: Its name.
    """
    values = list(dict.fromkeys(accuracy["value"]))
    hops = sorted(int(hop) for hop in accuracy["hop"].unique())
    cells: dict[tuple[Any, Any, Any], Any] = {
        (row["model"], int(row["hop"]), row["value"]): row for _, row in accuracy.iterrows()
    }
    cells |= {(row["model"], "reach", row["value"]): row for _, row in reach.iterrows()}
    rows = []
    for label in names.short:
        for hop in ("reach", *hops):
            found = [cells.get((label, hop, value)) for value in values]
            digits = 1 if hop == "reach" else 3
            told = ["-" if row is None else tables.interval(row, digits=digits) for row in found]
            rows.append(names.row([label], [names.short[label], str(hop), *told]))
    references = []
    for name, label in tables.REFERENCES.items():
        means = accuracy.groupby(["hop", "value"])[name].mean()
        lines = {hop: [tables.number(means.get((hop, value)), 3) for value in values] for hop in hops}
        is_same = len(set(map(tuple, lines.values()))) == 1
        told_apart = {"all": lines[hops[0]]} if is_same else {str(hop): lines[hop] for hop in hops}
        references += [[label, of, *line] for of, line in told_apart.items()]
    about = (
        f"Models trained and tested at each value of {parameter}: hop reach, then accuracy by hop, as means over seeds "
        "with the 95% t-interval in brackets (none for one seed, or if all seeds are equal). A dash: not measured."
    )
    columns = ["model", "hops", *(f"{parameter}={value}" for value in values)]
    return tables.Table("by_parameter", f"Accuracy by {parameter}", about, columns, rows, references)


def _values(row: Any) -> dict[str, Any]:
    """Parameter -> value, of the setting of a row; what is missing is None."""
    told = {name: row[name] for name in ("distractors", *_FOLLOW, *_TRAINING)}
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in told.items()}
    return option_values(row["task_options"]) | {name: None if pd.isna(v) else v for name, v in plain.items()}


def _axes(settings: Sequence[_Setting], by: Sequence[str]) -> list[list[str]]:
    """The parameters that vary; those that tell the same settings apart are one axis, named by its first."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in sorted({name for setting in settings for name in setting.values}):
        texts = [value_text(setting.values.get(name)) for setting in settings]
        if len(set(texts)) > 1:
            alike.setdefault(tuple(texts.index(text) for text in texts), []).append(name)
    return [
        sorted(axis, key=lambda name: (name not in by, name in _SHOWN_IF_ASKED, name in _FOLLOW))
        for axis in alike.values()
    ]


def _sweeps(axis: list[str], settings: Sequence[_Setting], others: list[str]) -> list[_Sweep]:
    """The sets of settings that differ in nothing but this parameter and what follows from it."""
    name, *beside = axis
    for fixed in ([other for other in others if other not in _FOLLOW], others):
        groups: dict[tuple[str, ...], list[_Setting]] = {}
        for setting in settings:
            groups.setdefault(tuple(value_text(setting.values.get(key)) for key in fixed), []).append(setting)
        by_value = [{_shown(one.values.get(name)): one for one in group} for group in groups.values()]
        sweeps = [
            _Sweep(name, beside, fixed, {value: found[value] for value in sorted(found, key=_in_order)})
            for found, group in zip(by_value, groups.values(), strict=True)
            if len(found) == len(group) > 1
        ]
        if sweeps:
            return sweeps
    return []


def _section(sweep: _Sweep) -> Section:
    """The table and the figure of one sweep."""
    parts = sweep.settings.items()
    accuracy = pd.concat([accuracy_by_hop(one.rows).assign(value=value) for value, one in parts], ignore_index=True)
    reaches = [reach_by_model(one.rows.assign(split=TEST)).assign(value=value) for value, one in parts]
    names = tables.names_of(accuracy)
    title = _title(sweep)
    table = by_parameter(accuracy, pd.concat(reaches, ignore_index=True), names, sweep.name)
    short = accuracy.assign(model=accuracy["model"].map(names.short))
    picture = figures.accuracy_by_parameter(short, sweep.name, title=title)
    task = str(accuracy["task"].iloc[0])
    return Section(title, task, [table], common_notes(names), [picture], _said(sweep, table, task))


def _said(sweep: _Sweep, table: tables.Table, task: str) -> str:
    """Mean hop reach of each model at each value."""
    values = next(iter(sweep.settings.values())).values
    fixed = [f"{name}={value_text(values.get(name))}" for name in sweep.fixed]
    reaches = [row.cells for row in table.rows if row.cells[1] == "reach"]
    each = [f"{name} {' / '.join(cell.split(' [')[0] for cell in cells)}" for name, _, *cells in reaches]
    more = [f"{counted(len(each) - _MOST_NAMED, 'more model')} below"] if len(each) > _MOST_NAMED else []
    at = f"{sweep.name} {' / '.join(str(value) for value in sweep.settings)}"
    return f"{', '.join([task, *fixed])}: mean hop reach at {at}: {'; '.join([*each[:_MOST_NAMED], *more])}."


def _title(sweep: _Sweep) -> str:
    """The task, the parameter, and what is the same at all of its values."""
    values, rows = next(iter(sweep.settings.values()))
    also = f" (and with it {', '.join(sweep.beside)})" if sweep.beside else ""
    parts = [f"{rows['task'].iloc[0]} by {sweep.name}{also}"]
    parts += [f"{name}={value_text(values.get(name))}" for name in sweep.fixed if name not in _TRAINING]
    changing = {sweep.name, *sweep.beside}
    if "train_hops" not in changing:
        parts.append(f"trained on hops {values['train_hops']}")
    if not changing & set(LENGTH) and values["steps"] is not None:
        parts.append(f"{values['steps']:,} steps of {values['batch_size']} {words_of(values)[1]}")
    if "encoding" not in changing:
        parts.append(f"{values['encoding']} encoding")
    return ", ".join(parts)


def _shown(value: Any) -> Any:
    """A number as it is, everything else as text."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else value_text(value)


def _in_order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _numbered(sections: Sequence[Section]) -> list[Section]:
    """Figures of one name get a number, as they are files."""
    seen: list[str] = []
    numbered = []
    for section in sections:
        (picture,) = section.pictures
        name = re.sub(r"\W", "_", picture.name)
        seen.append(name)
        unique = name if seen.count(name) == 1 else f"{name}_{seen.count(name)}"
        numbered.append(section._replace(pictures=[picture._replace(name=unique)]))
    return numbered
