"""What a task promises about guesses, as functions that check it, and all promises of a task together.

Each takes a task at one setting, and raises `Broken` if the promise is broken, or `NotAsked` if it is not made.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nexus_bench.data.promises import PROMISES as OF_DATA
from nexus_bench.data.promises import RETURNS, Promise, check_promise
from nexus_bench.data.promises import Broken as Broken
from nexus_bench.data.promises import NotAsked as NotAsked
from nexus_bench.data.promises import PromiseResult as PromiseResult
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import UsageError
from nexus_bench.generators.parts.hidden_tokens import find_impossible, guess_of_one
from nexus_bench.generators.promises import Family, at_hops
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.io.columns import IID
from nexus_bench.shortcuts.audit import audit, hide_a_fact, lower_bound
from nexus_bench.shortcuts.rules import score_shortcuts
from nexus_bench.streams import stream

_N_GRAPHS, _N_AUDITED = 1500, 3000
_N_HIDDEN, _SIGMAS = 300, 4  # sequences with a token hidden, and standard errors that are noise
_N_ALLOWED = 20  # sequences of which every token of a derivation must be one that could stand there
_ROUNDS = 20  # of gradient boosting
_FALSE_ALARM = 0.005  # probability that a correct family fails, over all hops and facts


def can_be_guessed(spec: TaskSpec) -> None:
    """The simple rules that stand beside every accuracy can be computed."""
    law = spec.law()
    fit, score = law.sample(40, stream("fit")), law.sample(40, stream("score"))
    scores = score_shortcuts(fit, score, law.schema)
    for name, by_hop in scores.items():
        if not all(0 <= accuracy <= 1 for accuracy in by_hop.values()):
            raise Broken(f"the accuracy of {name} is {by_hop}")
    if set(scores["majority_class"]) != set(law.family.hops):
        raise Broken(f"the commonest answer is known at hops {sorted(scores['majority_class'])} alone")


def needs_every_fact(spec: TaskSpec) -> None:
    """With any one fact of the derivation hidden, the answer is guessed no better than `partial_input` says."""
    laws = {split: law.family for split, law in spec.laws().items()}
    asked = [(split, hop) for split, law in laws.items() for hop in law.hops if law.partial_input(hop) < 1]
    if not asked:
        raise NotAsked("partial_input is 1")
    for split, family in laws.items():
        if isinstance(family, SequenceFamily):
            found = find_impossible(family, family.sample(_N_ALLOWED, stream("allowed")))
            if found is not None:
                raise Broken(f"{split}, {found}")
    for split, hop in asked:
        family = laws[split]
        if isinstance(family, SequenceFamily):
            needs_each_token(family, hop)
            continue
        if family.schema.is_sequence:
            raise NotAsked("a sequence that is no SequenceFamily")
        needs_each_fact(laws[split], hop, level=_FALSE_ALARM / sum(hop for _, hop in asked))


def needs_each_token(family: SequenceFamily[Any], hop: int) -> None:
    """With any one token of a derivation hidden, no reader of all others beats `partial_input` by more than noise."""
    one = type(family)(family.params, (hop,), largest_hop=family.largest_hop)
    for step in range(hop):
        right = guess_of_one(one, hop, step, _N_HIDDEN, stream("hide", hop, step))
        noise = _SIGMAS * right.std() / max(1, len(right)) ** 0.5 if len(right) else 0.0
        if len(right) and right.mean() - noise > family.partial_input(hop) + 1e-9:
            raise Broken(
                f"with token {step + 1} of {hop} hidden, the commonest label is right in {right.mean():.1%}; "
                f"partial_input says {family.partial_input(hop):.1%}"
            )


def needs_each_fact(law: Family, hop: int, *, level: float = _FALSE_ALARM) -> None:
    """With any one fact of a derivation hidden, answers are right no more often than `partial_input` says.

    Args:
        law: The family at one setting.
        hop: One of its hop counts.
        level: Probability that a correct family fails.
    """
    examples = at_hops(law, (hop,)).sample(_N_GRAPHS, stream("hide")).one_query_per_graph()
    for step in range(hop):
        guess = hide_a_fact(law, examples, step, stream("redraw", step))
        right = (guess.answer == examples.answer[:, 0])[guess.is_hidden]
        if not len(right):
            continue  # the derivations end before it
        if lower_bound(right, level) > law.partial_input(hop):
            raise Broken(
                f"with fact {step + 1} of {hop} hidden, another in its place leads to the answer in "
                f"{np.mean(right):.1%}; partial_input says {law.partial_input(hop):.1%}"
            )


def holds_its_ceilings(spec: TaskSpec) -> None:
    """No reader of the audit beats `chance` or `partial_input`."""
    laws = {split: law.family for split, law in spec.laws().items()}
    family = laws.pop(IID)
    if family.schema.is_sequence and not isinstance(family, SequenceFamily):
        raise NotAsked("a sequence that is no SequenceFamily")
    n_graphs = _N_AUDITED // 3 if family.schema.is_sequence else _N_AUDITED  # of which each is long
    try:
        rows = audit(family, others=laws, n_graphs=n_graphs, seed=1, rounds=_ROUNDS)
    except UsageError as error:  # without scikit-learn
        raise NotAsked(str(error)) from error
    above = sorted((row for row in rows if row.above), key=lambda row: row.ceiling - row.bound)
    if above:
        row = above[0]
        fact = "token" if isinstance(family, SequenceFamily) and not family.hides_whole_facts else "fact"
        hidden = "" if row.hidden is None else f" with {fact} {row.hidden} hidden"
        told_by = "`could_be` or `variants`" if family.schema.is_sequence else "`alike`"
        also = "" if row.hidden is None else f", its {told_by}"
        raise Broken(
            f"{row.split}: {row.reader}{hidden} scores {row.accuracy:.3f}, surely at least {row.bound:.3f}, at "
            f"{row.hop} hops; {row.against} says {row.ceiling:.3f} ({len(above)} of {len(rows)} readers are above); "
            f"correct the family{also}, or the ceiling that it declares"
        )


PROMISES: dict[str, Promise] = {
    **OF_DATA,
    "simple shortcuts can be computed": can_be_guessed,
    "no fact of a derivation can be missed": needs_every_fact,
    "no reader of the audit beats the ceilings": holds_its_ceilings,
}


def check(
    spec: TaskSpec, more: Mapping[str, Promise], *, explain: Callable[[Exception], str]
) -> Iterator[PromiseResult]:
    """Check all promises of a task; where its methods do not return what they must, nothing else is asked.

    Args:
        spec: The task at one setting.
        more: Further promises.
        explain: One line about an error that its code raised.
    """
    for promise, ask in {**PROMISES, **more}.items():
        told = check_promise(promise, lambda ask=ask: ask(spec), explain=explain)  # type: ignore[misc]
        yield told
        if promise == RETURNS and told.state == "broken":
            yield PromiseResult("all other promises", "not asked", "correct this one first")
            return
