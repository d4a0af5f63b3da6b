"""How far the seeds of one model came, in words."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from nexus_bench.io.plurals import counted


class Count(NamedTuple):
    """Seeds that reach one hop, of all seeds measured there."""

    hop: int
    n_reached: int
    n_seeds: int

    @property
    def said(self) -> str:
        """`8 of 10 seeds`."""
        return f"{self.n_reached} of {counted(self.n_seeds, 'seed')}"

    @property
    def share(self) -> float:
        """Of the seeds measured there."""
        return self.n_reached / self.n_seeds


class Reach(NamedTuple):
    """Counts at the hops of which something is claimed, ascending.

    Attributes:
        counts: They never grow with the hop.
        n_seeds: Seeds measured.
        has_seeds: False for answers of other models, which count as one.
    """

    counts: tuple[Count, ...]
    n_seeds: int
    has_seeds: bool

    @property
    def mean(self) -> float:
        """Hops that a seed reaches on average, of those counted."""
        return sum(at.share for at in self.counts)

    @property
    def on_every_seed(self) -> int:
        """The largest hop that every seed reaches; 0 if none."""
        return max((count.hop for count in self.counts if 0 < count.n_seeds == count.n_reached), default=0)

    @property
    def furthest(self) -> int:
        """The largest hop that any seed reaches; 0 if none."""
        return max((count.hop for count in self.counts if count.n_reached), default=0)

    def is_exactly(self, hop: int) -> bool:
        """Whether every seed reaches this hop and none a larger one that was asked."""
        return self.on_every_seed == self.furthest == hop

    def at(self, hop: int) -> Count:
        """The count at a hop that was asked."""
        return next(count for count in self.counts if count.hop == hop)

    def beyond(self, hop: int) -> Count:
        """The count at the next larger hop that was asked."""
        return next(count for count in self.counts if count.hop > hop)


def reach_of(counts: pd.DataFrame) -> Reach:
    """How far a model came.

    Args:
        counts: Rows of `reached.seeds_reached` of one model and threshold. What follows a hop without a claim is left
            out, since a hop is reached only by way of all smaller ones.
    """
    found = []
    for _, row in counts.sort_values("hop", kind="stable").iterrows():
        if pd.isna(row["n_reached"]):
            break
        found.append(Count(int(row["hop"]), int(row["n_reached"]), int(row["n_seeds"])))
    n_seeds = int(counts["n_seeds"].max()) if len(counts) else 0
    is_yes_or_no = counts["low"].isna() & counts["n_reached"].notna() & (counts["n_seeds"] > 0)
    return Reach(tuple(found), n_seeds, has_seeds=not is_yes_or_no.any())


def how_far(reach: Reach) -> str:
    """`2 hops (10 of 10 seeds)`, or `2 hops on 10 of 10 seeds, 3 on 5 of 10`."""
    if not reach.counts:
        return "no hop that a claim can be made of"
    if not reach.furthest:
        least = reach.counts[0]
        said = "no hop" if least.hop == 1 else f"none of the hops asked, from {least.hop} on"
        return f"{said} ({least.said})" if reach.has_seeds else said
    if not reach.has_seeds:
        return f"{counted(reach.furthest, 'hop')} (one set of answers)"
    if reach.on_every_seed == reach.furthest:
        return f"{counted(reach.furthest, 'hop')} ({reach.at(reach.furthest).said})"
    largest = {count.n_reached: count for count in reach.counts if count.n_reached}  # the last of equal counts
    told = list(largest.values())
    first = f"{counted(told[0].hop, 'hop')} on {told[0].said}"
    return ", ".join([first, *(f"{count.hop} on {count.n_reached} of {count.n_seeds}" for count in told[1:])])


def grouped(reaches: Mapping[int, Reach]) -> list[tuple[list[int], str]]:
    """Orders that came equally far on equally many seeds, with how far that is."""
    found: dict[Reach, list[int]] = {}
    for order, reach in reaches.items():
        found.setdefault(reach, []).append(order)
    return [
        (orders, re.sub(r"(seeds?)\)$", r"\1 each)", how_far(reach)) if len(orders) > 1 else how_far(reach))
        for reach, orders in found.items()
    ]


def on_seeds(reaches: Sequence[Reach]) -> str:
    """On how many seeds what is said of all of these models holds, which is all of theirs."""
    sizes = sorted({reach.n_seeds for reach in reaches})
    if len(sizes) == 1:
        each = " each" if len(reaches) > 1 else ""
        return f"{sizes[0]} of {counted(sizes[0], 'seed')}{each}"
    return f"on every seed, {sizes[0]} to {sizes[-1]} each"


def as_span(orders: Sequence[int]) -> str:
    """`order 2`, `orders 2 and 3`, `orders 2 to 4`, `orders 2, 4 and 8`."""
    if len(orders) == 1:
        return f"order {orders[0]}"
    if len(orders) > 2 and list(orders) == list(range(orders[0], orders[-1] + 1)):
        return f"orders {orders[0]} to {orders[-1]}"
    return f"orders {', '.join(map(str, orders[:-1]))} and {orders[-1]}"
