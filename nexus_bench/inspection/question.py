"""What trained cells are evaluated on besides their test split: other hops, other sizes, what they were trained on."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from nexus_bench.data.law import MARK, Law
from nexus_bench.data.task import TaskSpec, check_symbols
from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Generator
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.io.config import Config
from nexus_bench.io.entries import validate
from nexus_bench.io.hops import format_hops

PREFIX = "eval"  # prefix of the names of such splits


class EvaluationRequest(NamedTuple):
    """What to evaluate on, and how.

    Attributes:
        hops: Hop counts; None means those of training.
        n_facts: Facts per graph; None as in training.
        settings: Parameters of the task that differ.
        n_graphs: Number of graphs; None as many as in the test split.
        n_loops: How often looped models apply their blocks; None as often as in training.
        is_trained: Whether the graphs are the first that they were trained on; then nothing else of them differs.
    """

    hops: tuple[int, ...] | None
    n_facts: int | None
    settings: Config
    n_graphs: int | None
    n_loops: int | None = None
    is_trained: bool = False

    @property
    def split(self) -> str:
        """The name of the split: everything that differs from training."""
        return self.examples + (f"_loops{self.n_loops}" if self.n_loops else "")

    @property
    def examples(self) -> str:
        """The name of the examples: they are the same for any number of loops."""
        parts = [PREFIX]
        parts += ["trained"] if self.is_trained else []
        parts += [f"hops{format_hops(self.hops)}"] if self.hops else []
        parts += [f"facts{self.n_facts}"] if self.n_facts else []
        parts += [f"{key}={value}" for key, value in sorted(self.settings.items())]
        parts += [f"n{self.n_graphs}"] if self.n_graphs else []
        return "_".join(parts)


def further_law(task: TaskSpec, question: EvaluationRequest) -> Law:
    """The law of what is asked, over the symbols of training.

    Raises:
        ConfigError: The task does not allow this, or the weights never learned a symbol that it needs.
    """
    if question.is_trained and (question.hops or question.n_facts or question.settings):
        raise ConfigError(f"{task.task}: what was trained on is asked as it was; omit hops, n_facts and settings")
    trained = task.law()
    family = trained.family
    hops = question.hops or task.hops
    _check_hops(task, trained, hops)
    params = task.params | family.kept_symbols | question.settings

    def law(changed: Config) -> Law:
        valid = validate(type(family).Params, params | changed, where=f"{PREFIX}: {task.task}").model_dump()
        room = max(family.largest_hop, *hops)
        if room > max(hops) and room > (asked := task.law_at(valid, hops, max(hops), family.patterns)).family.max_hop:
            told = ", ".join(f"{key}={value}" for key, value in (question.settings | changed).items())
            raise ConfigError(
                f"{task.task}: these weights have room for {room} hops, and so must the graphs, however few are asked; "
                f"with {told} they have {asked.family.max_hop} at most: {asked.family.advice_for_hop(room)}"
            )
        return task.law_at(valid, hops, room, family.patterns)

    if question.n_facts is not None and family.sized_by in question.settings:
        raise ConfigError(f"{task.task}: --n-facts chooses {family.sized_by}; give one of both")
    if question.n_facts is not None and _chooses_length(family):
        params = params | {"min_tokens": None} | question.settings  # all sequences have the length that is asked for
    made = law({}) if question.n_facts is None else _of_size(question.n_facts, family, law)
    check_symbols(trained, made, what=PREFIX)
    if len(made.schema.query) != len(trained.schema.query):
        raise ConfigError(
            f"{task.task}: queries of these weights have {len(trained.schema.query)} roles, {max(hops)} hops need "
            f"{len(made.schema.query)}; ask for at most {family.largest_hop}"
        )
    return made


def _check_hops(task: TaskSpec, trained: Law, hops: tuple[int, ...]) -> None:
    """A hop count that training never said, or has no room for, means nothing to the weights."""
    words = {role.vocabulary for role in trained.schema.query}
    unsaid = tuple(hop for hop in hops if hop not in task.hops)
    if trained.family.says_hop and unsaid:
        raise ConfigError(f"{task.task}: a token says the hop count, and {format_hops(unsaid)} was never trained")
    if "hop" in words and unsaid:
        raise ConfigError(
            f"{task.task}: a query writes its hop count as a number, and {format_hops(unsaid)} was never trained; "
            f"train with `--set hop_ood={format_hops(unsaid)}` on graphs large enough: queries then write it in unary"
        )
    largest = trained.family.largest_hop
    if MARK in words and max(hops) > largest:
        raise ConfigError(
            f"{task.task}: queries of these weights have room for {largest} hops, got {max(hops)}; "
            f"train with hop_ood up to {max(hops)}"
        )


def _chooses_length(family: Generator[Any]) -> bool:
    """Whether it draws sequences whose length is a parameter; that of others follows from further sizes."""
    return isinstance(family, SequenceFamily) and family.sized_by == "n_tokens"


def _of_size(n_facts: int, trained: Generator[Any], law: Callable[[Config], Law]) -> Law:
    """The law with the size that gives so many facts."""
    name = trained.sized_by
    if name is None:
        raise ConfigError(
            f"{trained.name}: does not declare which parameter sets its size; use --set instead of --n-facts"
        )

    if _chooses_length(trained):
        return law({name: n_facts})  # which says why, if it cannot be
    near: dict[int, int] = {}  # facts -> the size that gives so many
    largest = max(n_facts, trained.n_facts) + 2  # a unit of size adds at least one fact, or n + 1 things make n facts
    for size in range(1, largest):
        with suppress(ConfigError):  # too small for its hops, too large for its names, or not allowed
            near[law({name: size}).family.n_facts] = size
    if n_facts not in near:
        nearest = sorted(sorted(near, key=lambda facts: abs(facts - n_facts))[:2])
        able = " and ".join(str(facts) for facts in nearest) or "none"
        raise ConfigError(
            f"{trained.name}: cannot have {n_facts} facts with these hops and symbols; the nearest: {able}"
        )
    return law({name: near[n_facts]})
