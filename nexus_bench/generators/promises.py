"""What a task family promises by itself, as functions that check it; `data` and `shortcuts` ask more.

Each takes a family at one setting, and raises `Broken` if the promise is broken, or `NotAsked` if the family does not
make it. Random streams are always the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ValidationError

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, Generator, Solution
from nexus_bench.generators.parts.returned_values import is_count, is_number, must_be
from nexus_bench.generators.sequences import NOTHING, SequenceFamily
from nexus_bench.registry.promises import Broken as Broken
from nexus_bench.registry.promises import NotAsked as NotAsked
from nexus_bench.registry.promises import PromiseResult as PromiseResult
from nexus_bench.registry.promises import check_promise as check_promise
from nexus_bench.streams import permutations, stream

_N_GRAPHS = 60
RETURNS = "methods return what they must"  # without which nothing else can be asked

Family = Generator[Any]


def at_hops(family: Family, hops: tuple[int, ...], **params: Any) -> Family:
    """The same family with other hops, in graphs of the same size, or with other parameters.

    Raises:
        ConfigError: The family cannot be so.
    """
    try:
        validated = family.Params.model_validate(family.params.model_dump() | params)
    except ValidationError as error:
        raise ConfigError(f"{family.name}: {params} is not allowed") from error
    return type(family)(validated, hops, largest_hop=family.largest_hop, patterns=family.patterns)


def returns_what_it_must(family: Family) -> None:
    """Methods return what they are declared to, and labels and hop counts stand at the same places."""
    examples = must_be(
        family.name, family.schema.written[0].strip("`"), family.sample(_N_GRAPHS, stream("returned")), Examples
    )
    solution = must_be(family.name, "solve", family.solve(examples.facts, examples.query), Solution)
    for method in (family.chance, family.partial_input):
        for hop in family.hops:
            is_number(family.name, method.__name__, method(hop))
    if isinstance(family, SequenceFamily):
        _has_labels_where_it_has_hops(family, examples, solution)


def _has_labels_where_it_has_hops(family: SequenceFamily[Any], examples: Examples, solution: Solution) -> None:
    """A place has both a label and a hop count, or neither; no sequence has more of them than its family says."""
    for method, label, hop in (("draw", *examples[2:]), ("derive", *solution[:2])):
        for bad, what in (
            ((label >= 0) & (hop <= 0), "a label without a hop count; write the number of hops, or no label, NOTHING"),
            ((label < 0) & (hop != 0), "a hop count without a label; write a label, or 0 hops"),
        ):
            if bad.any():
                sequence, place = (int(at) for at in np.unravel_index(int(bad.argmax()), bad.shape))
                raise Broken(f"{family.schema.at(sequence, place)}: `{method}` gives {what}")
    most = is_count(family.name, "most_labels", family.most_labels, family.n_facts)
    if (n_labels := int((examples.answer != NOTHING).sum(axis=1).max())) > most:
        raise Broken(f"`draw` gives a sequence {n_labels} labels, and `most_labels` is {most}; raise it")


def draws_what_its_stream_says(family: Family) -> None:
    """The same stream gives the same examples, also to another object of the class, and another stream gives others."""
    first, sample, facts = family.sample(_N_GRAPHS, stream("again")), family.schema.written[0], family.schema.called[1]
    for drawn in (family, at_hops(family, family.hops)):
        if not _equal(first, drawn.sample(_N_GRAPHS, stream("again"))):
            raise Broken(f"the same stream gives other examples; draw with the stream that {sample} is given alone")
    if np.array_equal(first.facts, family.sample(_N_GRAPHS, stream("another")).facts):
        raise Broken(f"another stream gives the same {facts}; draw with the stream that {sample} is given")


def is_sized_for_its_largest_hop(family: Family) -> None:
    """A split with fewer hops has graphs, queries and symbols as the split with all."""
    if len(family.hops) == 1:
        raise NotAsked("one hop count alone is asked for")
    for hop in family.hops:
        fewer = at_hops(family, (hop,))
        for what in ("n_facts", "schema", "kept_symbols"):
            if getattr(fewer, what) != getattr(family, what):
                raise Broken(
                    f"with hops ({hop},) of largest_hop {family.largest_hop}, {what} is {getattr(fewer, what)}, with "
                    f"hops {family.hops} it is {getattr(family, what)}; derive sizes from largest_hop"
                )
        fewer.sample(2, stream("fewer"))


def solves_in_any_order(family: Family) -> None:
    """`solve` finds the same answers, hops and facts, whatever the order of the facts."""
    if family.schema.is_sequence:
        raise NotAsked("the order of a sequence is its data")
    examples = family.sample(_N_GRAPHS, stream("any order"))
    order = permutations(stream("order"), _N_GRAPHS, family.n_facts)
    turned = family.solve(np.take_along_axis(examples.facts, order[:, :, None], axis=1), examples.query)
    plain = family.solve(examples.facts, examples.query)
    if not (np.array_equal(turned.answer, plain.answer) and np.array_equal(turned.hop, plain.hop)):
        raise Broken("`solve` answers otherwise when the same facts stand in another order")
    back = np.where(turned.rows >= 0, np.take_along_axis(order[:, None], turned.rows.clip(0), axis=2), -1)
    if not np.array_equal(np.sort(back, axis=2), np.sort(plain.rows, axis=2)):
        raise Broken("`solve` uses other facts when the same facts stand in another order")


def sees_no_later_token(family: Family) -> None:
    """The labels of a sequence up to a place do not depend on the tokens that follow."""
    if not family.schema.is_sequence:
        raise NotAsked("no sequence")
    examples, cut = family.sample(_N_GRAPHS, stream("later")), family.n_facts // 2
    changed = examples.facts.copy()
    changed[:, cut:] = family.sample(_N_GRAPHS, stream("other ends")).facts[:, cut:]
    changed[:, cut:][examples.facts[:, cut:] == NOTHING] = NOTHING  # the length remains
    changed[:, cut:] = np.where((changed == NOTHING) & (examples.facts != NOTHING), examples.facts, changed)[:, cut:]
    before, after = (family.labels(facts, examples.query) for facts in (examples.facts, changed))
    if not all(np.array_equal(one[:, :cut], other[:, :cut]) for one, other in zip(before, after, strict=True)):
        raise Broken(f"other tokens after place {cut} change a label before; a causal model cannot know them")


def solves_facts_that_are_never_drawn(family: Family) -> None:
    """`solve` takes any ids in range, gives -1 where nothing can be derived, and its shapes and types are right."""
    examples = family.sample(_N_GRAPHS, stream("off the law"))
    order = permutations(stream("ends"), _N_GRAPHS, family.n_facts)
    facts = examples.facts.copy()
    facts[:, :, -1] = np.take_along_axis(facts[:, :, -1], order, axis=1)
    solution: Solution = family.solve(facts, examples.query[::-1])
    is_sequence = family.schema.is_sequence
    derive, places = ("`derive`", "`places`") if is_sequence else ("`solve`", "`solve`")
    shape = "(sequences, places)" if is_sequence else "(graphs, queries)"
    for by, name, array, most in (
        (derive, "label" if is_sequence else "answer", solution.answer, family.schema.n_classes),
        (places, "places" if is_sequence else "rows", solution.rows, family.n_facts),
        (derive, "hop", solution.hop, family.n_facts + 1),
    ):
        if array.dtype != np.int32 or array.shape[:2] != examples.answer.shape:
            raise Broken(f"{by} gives {name} as {array.dtype} of {array.shape}; write int32 of {shape}")
        if name != "hop" and not (array.min(initial=0) >= -1 and array.max(initial=0) < most):
            raise Broken(f"{by} gives {name} from {array.min()} to {array.max()}; allowed are -1 to {most - 1}")


def declares_ceilings(family: Family) -> None:
    """`chance` and `partial_input` are probabilities, and knowing more never hurts."""
    for hop in family.hops:
        chance, partial = family.chance(hop), family.partial_input(hop)
        if not 0 < chance <= partial <= 1:
            raise Broken(
                f"at {hop} hops chance is {chance} and partial_input {partial}; 0 < chance <= partial_input <= 1"
            )


def grows_by_what_it_names(family: Family) -> None:
    """`sized_by` names a parameter that makes graphs larger."""
    name = family.sized_by
    if name is None:
        raise NotAsked("sized_by is None")
    if name not in family.Params.model_fields:
        raise Broken(f"sized_by is '{name}', which is no parameter; name the one that makes graphs larger")
    now = getattr(family.params, name) or 0  # null follows the hops
    most = max(4 * now, 2 * family.n_facts) + 8
    for size in range(now + 1, most + 1):
        try:
            larger = at_hops(family, family.hops, **{name: size})
        except ConfigError:
            continue  # too large for its symbols, or a size that there is not
        if larger.n_facts > family.n_facts and len(larger.schema.query) == len(family.schema.query):
            larger.sample(2, stream("larger"))
            return
    a_graph, facts, _ = family.schema.called
    raise Broken(f"no {name} from {now + 1} to {most} gives {a_graph}s of more than {family.n_facts} {facts}")


PROMISES: dict[str, Callable[[Family], None]] = {
    RETURNS: returns_what_it_must,
    "a stream gives its own examples": draws_what_its_stream_says,
    "graphs are sized for the largest hop": is_sized_for_its_largest_hop,
    "the order of the facts does not matter to solve": solves_in_any_order,
    "solve takes facts that are never drawn": solves_facts_that_are_never_drawn,
    "later tokens change no label": sees_no_later_token,
    "ceilings are probabilities": declares_ceilings,
    "sized_by makes graphs larger": grows_by_what_it_names,
}


def _equal(one: Examples, other: Examples) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
