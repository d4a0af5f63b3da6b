"""The names of models in the sections of a report: as short as they can be, and each of one model in all of them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.analysis.summary import SETTING
from nexus_bench.io.columns import CURRICULUM, TEST
from nexus_bench.report.tables import Names, names_of

_CURRICULUM = CURRICULUM.removeprefix(", ")  # how a part of a label begins


class SectionNames(NamedTuple):
    """The display names of the models of a report.

    Attributes:
        of_parts: Those of each section.
        omits: The parts of labels that a name may leave out, in any section; None: those that a section's models share.
    """

    of_parts: list[Names]
    omits: Collection[str] | None


def section_names(parts: Sequence[pd.DataFrame], rows: pd.DataFrame) -> SectionNames:
    """What the models of each section are called.

    A name leaves out what all models of its setting share. Where it would be that of another model in another setting,
    names leave out only what all models of the report share; and the encoding, which is in the title of a section, and
    the curriculum, which is no part of a model.

    Args:
        parts: The rows of each section.
        rows: All rows.
    """
    beside = [_tested_beside(part, rows) for part in parts]
    names = [names_of(part, among) for part, among in zip(parts, beside, strict=True)]
    encodings = set(rows["encoding"].dropna().unique())
    meant = {(short, _model(label, encodings)) for of_part in names for label, short in of_part.short.items()}
    if len({short for short, _ in meant}) == len(meant):
        return SectionNames(names, None)
    labels = [label.split(", ")[1:] for label in rows["model"].unique()]
    elsewhere = {part for label in labels for part in label if part in encodings or part.startswith(_CURRICULUM)}
    omits = elsewhere.union(set(labels[0]).intersection(*labels))
    return SectionNames([names_of(part, among, omits=omits) for part, among in zip(parts, beside, strict=True)], omits)


def _model(label: str, encodings: Collection[str]) -> tuple[str, ...]:
    """What a label says of the model alone."""
    return tuple(part for part in label.split(", ") if part not in encodings and not part.startswith(_CURRICULUM))


def _tested_beside(part: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The tested rows of the settings of a part: with all models, of which further questions may ask some alone."""
    tested = rows[rows["split"] == TEST]
    setting = tested.groupby([*SETTING], sort=False, dropna=False).ngroup()
    return tested[setting.isin(setting[tested["cell_id"].isin(part["cell_id"])])]
