"""A claim, claimed and measured, as Markdown: the page in a run folder."""

from collections.abc import Iterable, Iterator

from nexus_bench.io.escapes import markdown, markdown_cell
from nexus_bench.reproductions.judge import JudgedClaim, JudgedFigure
from nexus_bench.reproductions.spec import Reproduction
from nexus_bench.reproductions.verdict import RULE

HEADS = ("about", "measure", "hops", "claimed", "measured", "seeds", "verdict")


def to_markdown(reproduction: Reproduction, scale: str, outcome: JudgedClaim, flops: float | None) -> str:
    """The page of a judged run: source, verdict, figures by check, departures, the rule, how to run it again."""
    at = reproduction.scale(scale)
    lines = [f"# {reproduction.reproduction}, {scale} scale: {outcome.verdict}", ""]
    lines += described(reproduction)
    lines += [f"- Scale: {markdown(at.about)} {told_flops(flops)}", "", "## Claimed and measured", ""]
    for number, verdict in enumerate(outcome.checks, 1):
        of_check = [one for one in outcome.figures if one.row["check"] == number]
        lines += [f"{number}. {markdown(of_check[0].row['claim'])}: **{verdict}**", ""]
        lines += [*table(HEADS, map(cells, of_check)), ""]
    if at.found:
        lines += ["## Why, as far as it is known", "", "Of the first run at this scale; another may differ.", ""]
        lines += [*(f"- {markdown(line)}" for line in at.found), ""]
    lines += ["## Departures from the source", ""]
    lines += [f"- {markdown(line)}" for line in (*reproduction.departures, *at.departures)] or ["None."]
    command = reproduction.command(scale, is_for_here=False)
    return "\n".join([*lines, "", "## When a claim holds", "", RULE, f"To run it again: `{command}`.", ""])


def described(reproduction: Reproduction) -> Iterator[str]:
    """Claim and source, as items of a list in Markdown."""
    source = reproduction.source
    told = markdown(f'{source.authors}, "{source.title}", {source.where}')
    arxiv = markdown(source.arxiv)
    yield f"- Claim: {markdown(reproduction.claim)}."
    yield f"- Source: {told}; arXiv [{arxiv}](https://arxiv.org/abs/{arxiv})."
    yield f"- Code: {markdown(source.code or 'none found')}. Licence: {markdown(source.licence)}."


def told_flops(flops: float | None) -> str:
    """The cost of a scale in words."""
    return "Its operations cannot be counted." if flops is None else f"At most {flops:.2g} floating-point operations."


def cells(one: JudgedFigure) -> list[str]:
    """A figure as the cells of a table."""
    row = one.row
    return [row["where"], row["measure"], row["hops"], one.claimed, measured(one), seeds(one), one.verdict]


def measured(one: JudgedFigure) -> str:
    """Mean and interval of a figure; of seeds that all agree the mean alone."""
    row = one.row
    if not row["n_seeds"]:
        return "failed" if one.n_failed else "not trained"
    sign = "+" if row["against"] is not None else ""
    digits = f"{sign}.2f" if row["measure"] == "reach" else f"{sign}.3f"
    said = f"{row['mean']:{digits}}"
    has_interval = row["low"] == row["low"] and row["high"] > row["low"]
    return f"{said} [{row['low']:{digits}}, {row['high']:{digits}}]" if has_interval else said


def seeds(one: JudgedFigure) -> str:
    """How many seeds have a value, of how many, and how many have none since a cell failed."""
    n, missing = one.row["n_seeds"], one.row["n_missing"]
    failed = f", {one.n_failed} failed" if one.n_failed else ""
    return f"{n} of {n + missing}{failed}" if missing else str(n)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A table in Markdown."""
    heads = list(heads)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(markdown_cell(cell) for cell in row)} |" for row in rows]
