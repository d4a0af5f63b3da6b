"""The colour that is seen behind hops that were trained, where a faint one lies over the page."""

from nexus_bench.report.charts.palette import DARK, FAINT, PAPER, SHADE


def shaded(paper: str) -> str:
    """The background of hops that were trained, on a light or dark page."""
    faint = FAINT if paper == PAPER else DARK[FAINT]
    mixed = (round(SHADE * int(faint[i : i + 2], 16) + (1 - SHADE) * int(paper[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{value:02x}" for value in mixed)
