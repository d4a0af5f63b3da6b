"""What a study leaves open: families that tell nothing, what its seeds can show, and what was not varied."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from nexus_bench.analysis.power import fewest_further, power
from nexus_bench.io.hops import format_hops
from nexus_bench.report.verdict.controls import Control
from nexus_bench.report.verdict.study import StudiedFamily, Study
from nexus_bench.report.verdict.tables import named
from nexus_bench.report.words.notes import AT_EDGE, RISING

_SHARES = (0.7, 0.8, 0.9, 0.95)  # of seeds on which a model truly reaches further


def not_interpreted(study: Study, controls: Mapping[str, Control], to: str, to_controls: str) -> list[str]:
    """Families, or hops of theirs, from which nothing follows about a mechanism, with the reason.

    Args:
        study: The study.
        controls: By family, how far the best control came; empty if there is none.
        to: The folder of the report of the study, from the page.
        to_controls: That of the controls.
    """
    found = [one for family in study.families for one in _of_family(family, to)]
    for family in study.families if controls else ():
        control = controls.get(family.task)
        if control is None:
            found.append(
                f"{named(family, to)}: no control was trained at this setting, so it is not shown to be learnable."
            )
        elif family.claimed and not control.serves:
            reached = control.row.link(f"{control.furthest} of {max(family.hops)} hops", to=to_controls)
            found.append(
                f"{named(family, to)}: no control reaches all hops on every seed; the best, {control.model}, comes to "
                f"{reached}. What models do beyond is not interpreted."
            )
    if not controls:
        found.append(
            "No controls are among these results ([recipes](reference_study.md#recipes-first)): where no model of the "
            "study reaches the most hops, it is not shown that these can be learned."
        )
    return found


def uninterpreted(study: Study, controls: Mapping[str, Control]) -> tuple[str, ...]:
    """Families of which little or nothing follows: without claims at some hop, or with no control that serves."""
    return tuple(
        family.task
        for family in study.families
        if family.claimed != family.hops
        or (controls and not (family.task in controls and controls[family.task].serves))
    )


def _of_family(family: StudiedFamily, to: str) -> Iterator[str]:
    if family.claimed != family.hops:
        open_hops = format_hops(tuple(hop for hop in family.hops if hop not in family.claimed))
        yield (
            f"{named(family, to)}: {family.ceiling.link(f'hops {open_hops}', to=to)}: the partial-input ceiling is "
            "0.95 or more there, so accuracies are compared, but do not show that all facts were used."
        )
    most = max(family.hops)
    least_seeds = {model.name: min(model.seeds, default=0) for model in family.models.values()}
    largest = max((max(model.seeds, default=0) for model in family.models.values()), default=0)
    page = f"[{most} hops]({to}/{family.page})"
    if largest < most:
        furthest = f"[{largest}]({to}/{family.page})"
        yield f"{named(family, to)}: no seed of any model reaches {page}; the furthest is {furthest}."
    elif all(least == most for least in least_seeds.values()):
        yield f"{named(family, to)}: every seed of every model reaches {page}, so the family tells nothing apart."


class Power(NamedTuple):
    """What so many seeds can show.

    Attributes:
        sentence: How many seeds must agree.
        chances: The share of seeds on which a model truly reaches further, and the chance that the test shows it.
    """

    sentence: str
    chances: list[tuple[str, str]]


def limits(study: Study, to: str) -> list[str]:
    """What a reader may not conclude, as lines of Markdown."""
    found = power_of(study)
    fewest, most = study.n_seeds
    fewer = "" if fewest == most else f" (some model has {fewest})"
    lines = [*(f"- {one}" for one in cautions(study, to)), "", f"### What {most} seeds can show{fewer}", ""]
    lines.append(found.sentence)
    if found.chances:
        shares, chances = zip(*found.chances, strict=True)
        lines += ["", f"| share of seeds | {' | '.join(shares)} |", f"|---|{'---|' * len(shares)}"]
        lines.append(f"| chance to be shown | {' | '.join(chances)} |")
    return lines


def cautions(study: Study, to: str) -> list[str]:
    """What a reader may not conclude, a sentence or two each."""
    return [
        f"One size and encoding, and one recipe a family ([{', '.join(study.shared)}](reference_study.md#design)): "
        "another width, number of heads, optimiser or a causal sequence may order models otherwise. Some of these were "
        "tried on a few families [beside the study](reference_study.md#beside-the-study), as exploration.",
        "Loops and layers are as wide as the nest, so they compute more. Narrower ones of its compute or parameters "
        "were tried [beside the study](reference_study.md#further-models) too.",
        "Trained models show what training found. A reach is a lower bound for a mechanism, never an upper one.",
        "Made-up graphs of symbols, with one answer each; nothing of this is a statement about language.",
        "The chance of a false claim is at most 5% at each place, over all families; over all places together it is "
        "not bounded. So the verdict is about place 1, and all else but the places behind it is exploration.",
        "Seconds are of one run, whose jobs may share a device, in stacks of different sizes: no model is ranked by "
        "them.",
        "A learning rate is the best on a few seeds of tuning. Where these learn as many hops at every rate, the "
        "choice is chance, for baselines as for nests, and another rate may change what is shown.",
        *_of_notes(study, to),
    ]


def _of_notes(study: Study, to: str) -> Iterator[str]:
    edge, rising = (", ".join(named(one, to) for one in _noted(study, note)) for note in (AT_EDGE, RISING))
    if edge:
        yield f"The best learning rate of some model lies at an edge of its grid; a better one may lie beyond: {edge}."
    if rising:
        yield f"Validation was still rising when training ended, for some seeds: {rising}. They may come further."


def growing(study: Study) -> list[StudiedFamily]:
    """Families of which some model is best at an edge of its grid of rates."""
    return _noted(study, AT_EDGE)


def _noted(study: Study, beginning: str) -> list[StudiedFamily]:
    return [one for one in study.families if any(note.startswith(beginning) for note in one.notes)]


def power_of(study: Study) -> Power:
    """The power of the tests at one place, which follows from their number and that of the seeds alone."""
    n_seeds, n_tests = study.n_seeds[1], study.n_asked
    fewest = fewest_further(n_seeds, n_tests)
    if fewest is None:
        return Power(f"With {n_seeds} seeds, no outcome of the first of {n_tests} tests differs from chance.", [])
    sentence = (
        f"Of {n_seeds} paired seeds a model must reach further on at least {fewest}, the others being ties, for the "
        f"first of {n_tests} tests to show it. By the share of seeds on which it truly reaches further, the chance "
        "that this happens:"
    )
    return Power(sentence, [(f"{share:g}", f"{power(n_seeds, n_tests, share):.2f}") for share in _SHARES])
