"""Results in, report out: tables, figures, Markdown, HTML. Made from results.csv alone."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2
import pandas as pd

from nexus_bench.comparison import matched_pairs
from nexus_bench.errors import ConfigError
from nexus_bench.figures import accuracy_figure
from nexus_bench.files import write_atomic
from nexus_bench.stats import SETTING, accuracy_by_hop, reach_by_model, select_recipes

SCHEMA_VERSION = 1
_REFERENCES = {"chance": "chance", "shortcut": "best shortcut", "partial": "elimination ceiling"}
MATCHED = (
    "Models of the same size, within 5%: hop reach over the seeds that both have, and the difference with its 95% "
    "t-interval, paired by seed."
)
_TEMPLATES = Path(__file__).parent / "templates"


class Grid(NamedTuple):
    """Headings and rows, as text."""

    columns: list[str]
    rows: list[list[str]]


class Table(NamedTuple):
    """The staircase of one setting, as text.

    Attributes:
        title: What was asked.
        columns: Headings; the first is the model.
        rows: One a model.
        references: Chance, the best shortcut and the elimination ceiling; shorter than `columns`.
        notes: What a reader must know to read the rows.
        matched: Models beside standard ones of the same size; None where there are none.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]
    references: list[list[str]]
    notes: list[str]
    matched: Grid | None


class Report(NamedTuple):
    """All that is said of some results.

    Attributes:
        title: Names the suites.
        tables: One a setting.
        figures: File name -> content.
        summary: Accuracy by setting, model and hop.
        reach: Hop reach by setting and model.
    """

    title: str
    tables: list[Table]
    figures: dict[str, bytes]
    summary: pd.DataFrame
    reach: pd.DataFrame


def build_report(results: pd.DataFrame) -> Report:
    """Summarise the rows of one or several results.csv.

    Args:
        results: Rows with every column of `results.COLUMNS`; rows of the same cell count once.

    Raises:
        ConfigError: No row is of the test split.
    """
    results = results.drop_duplicates(subset=["run_id", "split", "hop"])
    if not (results["split"] == "test").any():
        raise ConfigError("a report shows the test split, of which these results have no row; read their results.csv")
    selected = _beside_trained(select_recipes(results))
    summary, reach = accuracy_by_hop(selected), reach_by_model(selected)
    n_recipes = results.groupby([*SETTING, "model"], dropna=False)["lr"].nunique().max()
    tables, figures = [], {}
    tested = selected[selected["split"] == "test"]
    settings = [frame.groupby(list(SETTING), sort=False, dropna=False) for frame in (summary, reach, tested)]
    for number, ((key, hops), (_, reaches), (_, rows)) in enumerate(zip(*settings, strict=True), start=1):
        setting = dict(zip(SETTING, key, strict=True))
        names = _short_names(list(reaches["model"]))
        matched = _matched(matched_pairs(rows), names)
        tables.append(_table(setting, hops, reaches, names, matched, has_grid=n_recipes > 1))
        stem = "accuracy_by_hop" if len(settings[0]) == 1 else f"accuracy_by_hop_{number}"
        named = hops.assign(model=hops["model"].map(names))
        for file_format in ("png", "svg"):
            figures[f"{stem}.{file_format}"] = accuracy_figure(named, title=tables[-1].title, file_format=file_format)
    title = f"nexus-bench: {', '.join(dict.fromkeys(results['suite']))}"
    return Report(title, tables, figures, summary, reach)


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write report.csv, report.md, report.html and the figures.

    Returns:
        The paths written.

    Raises:
        StorageError: The folder cannot be written.
    """
    files: dict[str, bytes | str] = {
        "report.csv": to_csv(report),
        "report.md": to_markdown(report),
        "report.html": to_html(report),
        **report.figures,
    }
    for name, content in files.items():
        write_atomic(folder / name, content)
    return [folder / name for name in files]


def to_csv(report: Report) -> str:
    """The summary: one row a setting, model and hop."""
    frame = report.summary.assign(seeds=[" ".join(f"{value:.6g}" for value in s) for s in report.summary["seeds"]])
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def to_json(report: Report) -> str:
    """The summary and the reaches as one document; what was not measured is null."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "title": report.title,
        "accuracy": json.loads(report.summary.to_json(orient="records", double_precision=6)),
        "reach": json.loads(report.reach.to_json(orient="records", double_precision=6)),
    }
    return json.dumps(document, indent=2) + "\n"


def to_markdown(report: Report) -> str:
    """The tables, the figures by name, and the notes."""
    lines = [f"# {report.title}", ""]
    pictures = [name for name in report.figures if name.endswith(".png")]
    for table, picture in zip(report.tables, pictures, strict=True):
        body = [*table.rows, *(row + [""] * (len(table.columns) - len(row)) for row in table.references)]
        lines += [f"## {table.title}", ""]
        lines += [pd.DataFrame(body, columns=table.columns).to_markdown(index=False, disable_numparse=True), ""]
        if table.matched is not None:
            grid = pd.DataFrame(table.matched.rows, columns=table.matched.columns)
            lines += [MATCHED, "", grid.to_markdown(index=False, disable_numparse=True), ""]
        lines += [*(f"- {note}" for note in table.notes), "", f"![accuracy by hop]({picture})", ""]
    return "\n".join(lines)


def to_html(report: Report) -> str:
    """One page that needs no other file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    drawings = [content.decode() for name, content in report.figures.items() if name.endswith(".svg")]
    drawings = [drawing[drawing.index("<svg") :] for drawing in drawings]
    page = environment.get_template("report.html")
    return page.render(title=report.title, matched=MATCHED, sections=list(zip(report.tables, drawings, strict=True)))


def _beside_trained(results: pd.DataFrame) -> pd.DataFrame:
    """Answers from elsewhere stand with the models trained on the same task; where there are none, by themselves."""
    is_external = results["status"] == "scored"
    same = [name for name in SETTING if name != "encoding"]
    settings = results.loc[~is_external, list(SETTING)].drop_duplicates()
    external = results[is_external].merge(settings, on=same, how="left", suffixes=("", "_trained"))
    if external.empty:
        return results
    is_beside = external["encoding_trained"].notna()
    external.loc[is_beside, "model"] += " (text)"
    external["encoding"] = external["encoding_trained"].fillna(external["encoding"])
    return pd.concat([results[~is_external], external[results.columns]], ignore_index=True)


def _table(
    setting: dict[str, object],
    summary: pd.DataFrame,
    reach: pd.DataFrame,
    names: dict[str, str],
    matched: Grid | None,
    *,
    has_grid: bool,
) -> Table:
    hops = sorted(int(hop) for hop in summary["hop"].unique())
    asked = "asked at" if setting["encoding"] == "text" else "trained on"
    title = (
        f"{setting['task']}, {setting['n_facts']} facts of {setting['n_symbols']} names, "
        f"{asked} hops {setting['train_hops']}, {setting['encoding']} encoding"
    )
    columns = [
        "model",
        *(f"{hop} hop{'s' if hop > 1 else ''}" for hop in hops),
        "hop reach",
        "seeds",
        "parameters",
        "MFLOP/step",
    ]
    rows = []
    for _, model in reach.iterrows():
        of_model = summary[summary["model"] == model["model"]].set_index("hop")
        rows.append(
            [
                names[model["model"]],
                *(_interval(of_model.loc[hop], digits=3) if hop in of_model.index else "-" for hop in hops),
                _interval(model, digits=1),
                str(len(model["seeds"])) + (f", {model['n_failed']} failed" if model["n_failed"] else ""),
                "-" if pd.isna(model["n_params"]) else f"{model['n_params']:,}",
                "-" if pd.isna(model["flops_per_step"]) else f"{model['flops_per_step'] / 1e6:.0f}",
            ]
        )
    means = summary.groupby("hop")[list(_REFERENCES)].mean()
    references = [
        [label, *(_number(float(means[name][hop]), 3) for hop in hops)] for name, label in _REFERENCES.items()
    ]
    return Table(title, columns, rows, references, _notes(reach, names, has_grid=has_grid), matched)


def _matched(pairs: pd.DataFrame, names: dict[str, str]) -> Grid | None:
    if pairs.empty:
        return None
    columns = ["model", "equal", "beside", "difference", "reach", "its reach", "its parameters", "its compute"]
    rows = [
        [names[pair["model"]], pair["equal"], names[pair["rival"]]]
        + [_interval(pair, digits=1, sign="+"), _number(pair["reach"], 1), _number(pair["rival_reach"], 1)]
        + [f"x {pair[size]:.2f}" for size in ("parameters", "compute")]
        for _, pair in pairs.iterrows()
    ]
    return Grid(columns, rows)


def _notes(reach: pd.DataFrame, names: dict[str, str], *, has_grid: bool) -> list[str]:
    notes = [
        "Test accuracy, mean over seeds with the 95% t-interval in brackets (one seed gives none); hop reach is the "
        "largest hop up to which a seed's accuracy stays at 0.95 or more, likewise a mean over seeds."
    ]
    common = _common_parts(list(names))
    if common:
        notes.append(f"All models: {', '.join(common)}.")
    if has_grid:
        chosen = ", ".join(f"{names[m]} {lr:g}" for m, lr in zip(reach["model"], reach["lr"], strict=True))
        notes.append(f"Learning rates chosen on validation: {chosen}.")
    for model, n_solved, seeds in zip(reach["model"], reach["n_solved"], reach["seeds"], strict=True):
        if n_solved:
            notes.append(f"{names[model]}: {n_solved} of {len(seeds)} stopped early because validation stayed solved.")
    if reach["n_failed"].any():
        notes.append("Failed cells count nowhere.")
    return notes


def _common_parts(labels: Sequence[str]) -> list[str]:
    """The parts that every label has, when there is more than one."""
    if len(labels) < 2:
        return []
    return [part for part in labels[0].split(", ")[1:] if all(part in label.split(", ")[1:] for label in labels)]


def _short_names(labels: Sequence[str]) -> dict[str, str]:
    """Labels without what all of them share."""
    common = _common_parts(labels)
    return {label: ", ".join(part for part in label.split(", ") if part not in common) for label in labels}


def _interval(row: pd.Series, *, digits: int, sign: str = "") -> str:
    mean = _number(row["mean"], digits, sign)
    if math.isnan(row["low"]):
        return mean
    return f"{mean} [{_number(row['low'], digits, sign)}, {_number(row['high'], digits, sign)}]"


def _number(value: float, digits: int, sign: str = "") -> str:
    return "-" if pd.isna(value) else f"{value:{sign}.{digits}f}"
