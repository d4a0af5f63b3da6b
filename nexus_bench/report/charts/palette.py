"""The colours of a report: hue is the family of a model, lightness its order, in tables and in charts of models.

A family has the same hue in every report. Colours are made to a contrast with the background, so that none is too pale
on a light page or too dark on a dark one.
"""

import itertools
import math
import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

PAPER, INK, SOFT, FAINT = "#ffffff", "#1b1f24", "#57606a", "#d0d7de"  # background, text, reference lines, grids
LOW, HIGH = "#eef2f7", "#6aa5e8"  # the ends of a scale of shares, on all of which text can be read
DARK = {PAPER: "#0d1117", INK: "#e6edf3", SOFT: "#9da7b3", FAINT: "#3d444d", LOW: "#1a222d", HIGH: "#2563b0"}
SHADE = 0.25  # of FAINT over the background, behind hops that were trained
# Contrasts of models, least and most: WCAG 2.2, 1.4.11, asks 3 of what must be seen, also on the shade, and 1.4.3 asks
# 4.5 of text, as names have the colour of their model
_LEAST, _ONLY, _MOST = 4.6, 5.0, 12.0
_LEAST_OF_HOPS, _MOST_OF_HOPS = 3.3, 11.0  # lines alone, which are many
_LEVELS = (2, 3, 4, 8)  # whose lightness is the same everywhere
_HUES = {  # of the families of bundled suites, degrees in OKLCH; the first eight far apart for colour-blind readers
    "nexus, refine q": 250.0,
    "nexus, refine qk": 50.0,
    "standard, n_layers": 150.0,
    "standard, n_loops, inject": 320.0,
    "nexus, compare mirrored, refine qk": 200.0,
    "tree, folds": 25.0,
    "delta_net": 110.0,
    "standard, n_loops": 285.0,
    "linear": 268.0,
    "mamba2": 68.0,
    "delta_net, n_householder, eigenvalues signed, gated True": 168.0,
    "standard, n_loops, inject, random_loops": 338.0,
    "nexus, mix last, refine qkv": 218.0,
    "nexus, compare self, refine qk": 128.0,
    "nexus, refine qk, gated": 303.0,
}
_OTHERS = (89.0, 0.0, 184.0, 234.0, 139.0, 10.0, 80.0, 98.0, 159.0, 209.0, 259.0, 294.0)  # of all other families
_TURN = 5.0  # degrees between a hue and its next use
_CHROMA = 0.15
_NEUTRAL = "standard"  # this family has no hue
_LEVEL = re.compile(r"(\w+) (\d+)")
SIZES = ("d_model", "n_heads", "mlp_ratio")  # change no family


class Kind(NamedTuple):
    """What a model is: its family, and its level in it: the order, or the number of loops, layers or folds."""

    family: str
    level: int


class Palette(NamedTuple):
    """Colours of light pages, and what they become on dark ones.

    Attributes:
        light: Kind -> colour.
        dark: Light colour -> dark colour, of every colour of a figure.
    """

    light: dict[Kind, str]
    dark: dict[str, str]

    def of(self, model: str) -> str:
        """The colour of a model, by its display name."""
        return self.light[kind_of(model)]


def kind_of(model: str) -> Kind:
    """The family and level of a display name.

    >>> kind_of("nexus, order 3, refine qk"), kind_of("standard, n_loops 2, d_model 46")
    (Kind(family='nexus, refine qk', level=3), Kind(family='standard, n_loops', level=2))
    """
    first, *parts = model.split(", ")
    family, level = [first], 1
    for part in parts:
        found = _LEVEL.fullmatch(part)
        if found is None:
            family.append(part)
        elif found[1] == "order":
            level = int(found[2])
        elif found[1] not in SIZES:
            family.append(found[1])
            level = int(found[2]) if level == 1 else level
    return Kind(", ".join(family), level)


def palette_of(models: Iterable[str]) -> Palette:
    """Colours for the display names of all models of a report."""
    levels: dict[str, set[int]] = {}
    for kind in map(kind_of, models):
        levels.setdefault(kind.family, set()).add(kind.level)
    hues = _hues_of(levels)
    light: dict[Kind, str] = {}
    dark = dict(DARK)
    for family, found in levels.items():
        hue, chroma = (0.0, 0.0) if family == _NEUTRAL else (hues[family], _CHROMA)
        for level, contrast in zip(sorted(found), _contrasts_of(sorted(found)), strict=True):
            kind = Kind(family, level)
            light[kind] = at_contrast(contrast, PAPER, hue, chroma)
            dark[light[kind]] = at_contrast(contrast, DARK[PAPER], hue, chroma)
    return Palette(light, dark)


def _hues_of(families: Iterable[str]) -> dict[str, float]:
    """The hue of each family: its own, or one that its name chooses; the next one if another family has that."""
    hues = {family: _HUES[family] for family in families if family in _HUES}
    for family in sorted(set(families) - set(_HUES)):
        n, wanted = len(_OTHERS), zlib.crc32(family.encode())
        further = (_OTHERS[i % n] + _TURN * ((i - wanted) // n) for i in itertools.count(wanted))
        hues[family] = next(hue for hue in further if hue not in hues.values())
    return hues


def hop_colours(hops: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Colour of each hop on light and on dark pages: the more hops the stronger, from green to violet."""
    hops = list(hops)
    found = {}
    strengths = _from_to(_LEAST_OF_HOPS, _MOST_OF_HOPS, len(hops))
    for number, (hop, contrast) in enumerate(zip(hops, strengths, strict=True)):
        hue = 150.0 + 150.0 * number / max(len(hops) - 1, 1)
        light, dark = (at_contrast(contrast, paper, hue, 0.12) for paper in (PAPER, DARK[PAPER]))
        found[hop] = light, dark
    return found


def _contrasts_of(levels: list[int]) -> list[float]:
    """The contrasts of the levels of a family: those of `_LEVELS`, or evenly apart if it has others."""
    if set(levels) <= set(_LEVELS):
        return [_from_to(_LEAST, _MOST, len(_LEVELS))[_LEVELS.index(level)] for level in levels]
    return _from_to(_LEAST, _MOST, len(levels))


def _from_to(least: float, most: float, n: int) -> list[float]:
    """Contrasts from the least to the most, each by the same factor above the one before."""
    return [_ONLY] if n == 1 else [least * (most / least) ** (i / (n - 1)) for i in range(n)]


def contrast_of(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21.

    Source: WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
    """
    lower, higher = sorted(_luminance(_channels(colour)) for colour in (one, other))
    return (higher + 0.05) / (lower + 0.05)


def at_contrast(contrast: float, paper: str, hue: float, chroma: float) -> str:
    """The colour of a hue that has at least this contrast with a background."""
    is_light = _luminance(_channels(paper)) > 0.5
    low, high = 0.0, 1.0  # of lightness
    for _ in range(30):
        middle = (low + high) / 2
        is_enough = contrast_of(_hex(_in_gamut(middle, hue, chroma)), paper) >= contrast
        if is_enough == is_light:  # can go nearer to the paper of a light page, or must go away from a dark one
            low = middle
        else:
            high = middle
    return _hex(_in_gamut(low if is_light else high, hue, chroma))


def _in_gamut(lightness: float, hue: float, chroma: float) -> tuple[float, float, float]:
    """Linear sRGB, with as much of the chroma as the screen can show."""
    for share in range(20, -1, -1):
        rgb = _from_oklch(lightness, chroma * share / 20, hue)
        if all(-1e-6 <= value <= 1 + 1e-6 for value in rgb):
            break
    red, green, blue = (min(max(value, 0.0), 1.0) for value in rgb)
    return red, green, blue


def _from_oklch(lightness: float, chroma: float, hue: float) -> tuple[float, float, float]:
    """Linear sRGB of a colour in OKLCH.

    Source: B. Ottosson 2020, "A perceptual color space for image processing", https://bottosson.github.io/posts/oklab/.
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _luminance(channels: tuple[float, float, float]) -> float:
    red, green, blue = channels
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> tuple[float, float, float]:
    """Linear sRGB of `#rrggbb`."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return red, green, blue


def _hex(channels: tuple[float, float, float]) -> str:
    values = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in channels]
    return "#" + "".join(f"{round(255 * value):02x}" for value in values)
