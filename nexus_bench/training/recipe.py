"""Learning rate, curriculum and early stopping as functions of the step.

Everything here is a function of the step number and of the evaluations so far, so that a resumed run repeats it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from nexus_bench.model.scoring import HopScore
from nexus_bench.training.spec import TrainSpec

SOLVED_ACCURACY = 0.995  # on validation, at every hop
SOLVED_EVALUATIONS = 3  # in a row: accuracy rises in sudden steps, and can fall again
STAGE_PASSED = 0.95  # on validation, at every hop of a stage of the adaptive curriculum
DIVERGED = "diverged"  # how a row ends whose loss is not a number
STAGED_SHARE = 0.5  # share of the steps after which the staged curriculum includes every hop


class Point(NamedTuple):
    """One evaluation on validation, after `step` steps."""

    step: int
    scores: dict[int, HopScore]

    @property
    def is_solved(self) -> bool:
        """Whether every hop is solved."""
        return min(hop.accuracy for hop in self.scores.values()) >= SOLVED_ACCURACY

    @property
    def is_finite(self) -> bool:
        """Whether all losses are finite."""
        return all(math.isfinite(hop.loss) for hop in self.scores.values())


def thinned(curve: Sequence[Point], most: int) -> list[Point]:
    """At most so many points of a curve, evenly spaced, the last one among them."""
    n = len(curve)
    return list(curve) if n <= most else [curve[-(-n * (i + 1) // most) - 1] for i in range(most)]


def schedule(step: int, recipe: TrainSpec) -> float:
    """The share of the peak learning rate: a linear warm-up, times a cosine to zero; `step` counts from 0."""
    warmup = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    return warmup * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))


def hop_limit(step: int, curve: list[Point], recipe: TrainSpec, hops: tuple[int, ...]) -> int:
    """The largest hop whose queries count in the loss of a step.

    Args:
        step: Counts from 0.
        curve: The evaluations before it.
        recipe: Has the curriculum. `none`: all hops from the start. `staged`: one hop more after equal shares of the
            first half of the steps. `adaptive`: one hop more once validation passes those included so far.
        hops: Hops of the task, ascending.
    """
    if recipe.curriculum == "staged":
        stage = int(step / (STAGED_SHARE * recipe.steps) * len(hops))
    elif recipe.curriculum == "adaptive":
        stage = 0
        for point in curve:
            stage += all(point.scores[hop].accuracy >= STAGE_PASSED for hop in hops[: stage + 1])
    else:
        stage = len(hops)
    return hops[min(stage, len(hops) - 1)]


def is_hopeless(curve: list[Point], recipe: TrainSpec) -> bool:
    """Whether the recipe gives the cell up: at the step it names, the fewest hops are not learned well enough."""
    rule = recipe.give_up
    if rule is None or curve[-1].step < rule.step:
        return False
    first = next(point for point in curve if point.step >= rule.step)
    return first is curve[-1] and first.scores[min(first.scores)].accuracy < rule.accuracy


def stays_solved(curve: list[Point], recipe: TrainSpec) -> bool:
    """Whether training may stop before its last step."""
    newest = curve[-SOLVED_EVALUATIONS:]
    return recipe.stop_when_solved and len(newest) == SOLVED_EVALUATIONS and all(point.is_solved for point in newest)
