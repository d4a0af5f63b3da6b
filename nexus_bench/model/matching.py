"""Baselines of the same size: standard and looped models with the parameters, or the compute, of a nested one."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from nexus_bench.attention.base import ATTENTIONS
from nexus_bench.data.encodings import n_slots
from nexus_bench.data.task import TaskSpec
from nexus_bench.model.costs import Cost, cost_of, parameters_of
from nexus_bench.model.spec import ModelSpec


class Match(NamedTuple):
    """A baseline of a model.

    Attributes:
        shape: Depth of the baseline: `same depth`, `deeper` (more layers) or `looped` (blocks applied repeatedly).
        by: What is matched: `parameters` or `compute`.
        model: The baseline.
        cost: Its cost.
        parameters_ratio: Ratio to the model.
        compute_ratio: Ratio to the model.
    """

    shape: str
    by: str
    model: ModelSpec
    cost: Cost
    parameters_ratio: float
    compute_ratio: float

    @property
    def error(self) -> float:
        """The relative error of the match; a width is a multiple of the number of heads, so it is seldom 0."""
        return abs((self.parameters_ratio if self.by == "parameters" else self.compute_ratio) - 1)


def matched(model: ModelSpec, task: TaskSpec) -> list[Match]:
    """The standard and looped models to compare a model with.

    A model of order m gets six: equally deep, m times as deep, or looped m times, each with the width that is
    nearest in parameters, and with the width that is nearest in compute. A model of order 1 gets the first two, a
    standard model none.

    Args:
        model: The model to match.
        task: The task; its vocabulary and number of positions determine the cost.
    """
    if model.attention == "standard":
        return []
    target = cost_of(model, task)
    times = model.options.get("order", 1)
    shapes: dict[str, dict[str, int]] = {"same depth": {}}
    if times > 1:
        shapes |= {"deeper": {"n_layers": times * model.n_layers}, "looped": {"n_loops": times * model.n_loops}}
    found = []
    for shape, repeats in shapes.items():
        usual = ATTENTIONS.get("standard").Options().model_dump()
        baseline = model.model_copy(update={"attention": "standard", "options": usual, **repeats})
        for by in ("parameters", "compute"):
            fitted = _fit_width(baseline, task, by, _amount(target, by))
            cost = cost_of(fitted, task)
            ratios = (cost.parameters / target.parameters, cost.counted / target.counted)
            found.append(Match(shape, by, fitted, cost, *ratios))
    return found


class Matched(NamedTuple):
    """A model on a task, its cost, and its baselines."""

    task: TaskSpec
    model: ModelSpec
    cost: Cost
    baselines: list[Match]


def match(pairs: Iterable[tuple[TaskSpec, ModelSpec]]) -> list[Matched]:
    """The baselines of every model that has some, each pair of a task and a model once."""
    distinct = {(task.model_dump_json(), model.model_dump_json()): (task, model) for task, model in pairs}
    found = [Matched(task, model, cost_of(model, task), matched(model, task)) for task, model in distinct.values()]
    return [one for one in found if one.baselines]


def with_baselines(models: list[ModelSpec], task: TaskSpec) -> list[ModelSpec]:
    """The models, followed by their baselines, each of them once."""
    baselines = [match.model for model in models for match in matched(model, task)]
    return list({model.model_dump_json(): model for model in [*models, *baselines]}.values())


def _fit_width(model: ModelSpec, task: TaskSpec, by: str, target: int) -> ModelSpec:
    """The width whose cost is nearest to the target, which is sought as if costs grew with its square."""

    def of_width(n: int) -> ModelSpec:
        return model.model_copy(update={"d_model": n * model.n_heads})

    def cost(n: int) -> int:
        asked = of_width(n)
        return parameters_of(asked, task) if by == "parameters" else cost_of(asked, task).counted

    low = _least_width(model, task)
    high = max(low, model.d_model // model.n_heads)
    while cost(high) < target:
        low, high = high, 2 * high
    while high - low > 1:
        least, wanted, most = (math.sqrt(amount) for amount in (cost(low), target, cost(high)))
        middle = low + round((high - low) * (wanted - least) / (most - least))
        middle = min(max(middle, low + 1), high - 1)
        low, high = (middle, high) if cost(middle) < target else (low, middle)
    return of_width(min((low, high), key=lambda n: abs(cost(n) / target - 1)))


def _amount(cost: Cost, by: str) -> int:
    return cost.parameters if by == "parameters" else cost.counted


def _least_width(model: ModelSpec, task: TaskSpec) -> int:
    return -(-max(n_slots(task.law().schema, model.encoding), 2) // model.n_heads)
