"""An adversary that tries to beat the ceilings that a family declares, with statistics that a verdict can rest on."""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from scipy import stats

from nexus_bench.data.splits import BLOCK_GRAPHS
from nexus_bench.errors import CheckFailedError, UsageError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.generators.parts.hidden_tokens import find_impossible
from nexus_bench.generators.parts.returned_values import is_number
from nexus_bench.generators.sequences import SequenceFamily
from nexus_bench.io.columns import IID
from nexus_bench.shortcuts.all_but_one import guess_hidden
from nexus_bench.shortcuts.english import guess_in_english
from nexus_bench.shortcuts.features import OneQueryExamples, draw_one_query
from nexus_bench.shortcuts.fits import require_sklearn
from nexus_bench.shortcuts.hidden import hide_a_fact as hide_a_fact
from nexus_bench.shortcuts.readers import Against, readers
from nexus_bench.shortcuts.sequence_readers import SequenceAudit, hops_to_audit
from nexus_bench.streams import Mask, stream

ENCODINGS = ("flat", "fact")
_FALSE_ALARM = 0.005  # probability that a correct family fails an audit, over all readers, hops, steps and splits
_CLUSTER = 32  # consecutive graphs, which may have been drawn together
_MOST_TOLD = 2000  # examples of one hop count told in English
_N_ALLOWED = 20  # sequences of which every token of a derivation must be one that could stand there


class Audited(NamedTuple):
    """One reader at one hop count.

    Attributes:
        split: The law that the examples were drawn by: `iid`, `hop_ood`, `size_ood` or `pattern_ood`.
        hop: True hop count of the examples.
        reader: The name of the reader.
        hidden: The fact of the derivation that the reader does not know, from 1; null if it follows no chain.
        n_examples: Examples answered, at most one per graph.
        accuracy: Share answered right.
        bound: The accuracy is at least this: a one-sided bound, corrected for all readers of the audit.
        against: The ceiling that the reader tries to beat: `chance` or `partial_input`.
        ceiling: What the family declares.
        above: Whether the bound is above the ceiling.
    """

    split: str
    hop: int
    reader: str
    hidden: int | None
    n_examples: int
    accuracy: float
    bound: float
    against: str
    ceiling: float
    above: bool


class _Options(NamedTuple):
    seed: int
    in_order: bool
    joint: bool
    english: bool
    rounds: int


class _Scored(NamedTuple):
    split: str
    hop: int
    reader: str
    hidden: int | None
    against: Against
    ceiling: float
    right: Mask


def audit(
    trained: Generator[Any],
    *,
    n_graphs: int,
    seed: int,
    others: Mapping[str, Generator[Any]] | None = None,
    encoding: str | None = None,
    joint: bool = False,
    english: bool = True,
    rounds: int = 40,
) -> list[Audited]:
    """Fit every reader to some graphs and score it on others, at every hop count.

    Args:
        trained: The family at the setting of training.
        n_graphs: Graphs to score in every split; half as many more are fitted to.
        seed: Seed of the graphs.
        others: The same at the settings of further splits, by name.
        encoding: `flat`, which is what None means, for every reader; `fact` for those that do not use the order of
            the facts. A sequence has none of these.
        joint: Also run readers that see the other queries of the graph.
        english: Also run readers of the English; only with `flat`, and not of sequences.
        rounds: Rounds of gradient boosting.

    Returns:
        One row per split, hop count, reader and hidden fact; hops ascending within a split. Readers whose ceiling is 1
        are left out. Of sequences a fact is a token, at most 8 hop counts are read, and at each of them at most 3
        tokens are hidden.

    Raises:
        CheckFailedError: The labels of the family are not what its solver derives from the facts, or a token of a
            derivation is none that could stand there.
        ConfigError: A method of the family does not return what it must.
        UsageError: scikit-learn is not installed, or the family is of sequences and an option is not of them.
    """
    if trained.schema.is_sequence and (encoding is not None or joint or not isinstance(trained, SequenceFamily)):
        raise UsageError(
            f"{trained.name}: sequences are audited as they are read, by token; leave out --encoding and --joint"
        )
    require_sklearn()
    is_flat = encoding in (None, "flat")
    options = _Options(seed, is_flat, joint, english and is_flat, rounds)
    scored: list[_Scored] = []
    for split, family in ({IID: trained} | dict(others or {})).items():
        fit = _draw(family, -(-n_graphs // 2), "fit", split, seed)
        score = _draw(family, n_graphs, "score", split, seed)
        _check_labels(family, score)
        if isinstance(family, SequenceFamily):
            found = find_impossible(family, score.take(slice(_N_ALLOWED)))
            if found is not None:
                raise CheckFailedError(f"{family.name}: {split}, {found}")
            scored += _of_sequences(family, split, fit, score, options)
            continue
        for hop in sorted(family.hops):
            to_fit = draw_one_query(fit, hop, stream("audit", family.name, seed, "fit", split, "ask", hop))
            to_score = draw_one_query(score, hop, stream("audit", family.name, seed, "score", split, "ask", hop))
            if len(to_fit.chosen) and len(to_score.chosen):
                scored += _at_hop(family, split, hop, to_fit, to_score, options)
    return [_row(one, _FALSE_ALARM / len(scored)) for one in scored]


def worst(rows: list[Audited]) -> list[Audited]:
    """The row with the largest bound above, or nearest to, its ceiling, of every split and hop count."""
    found: dict[tuple[str, int], Audited] = {}
    for row in rows:
        key = (row.split, row.hop)
        if key not in found or row.bound - row.ceiling > found[key].bound - found[key].ceiling:
            found[key] = row
    return list(found.values())


def _at_hop(
    family: Generator[Any], split: str, hop: int, fit: OneQueryExamples, score: OneQueryExamples, options: _Options
) -> list[_Scored]:
    ceilings: dict[Against, float] = {"chance": family.chance(hop), "partial_input": family.partial_input(hop)}
    found = []
    for reader in readers(family.schema, joint=options.joint):
        ceiling = ceilings[reader.against]
        if hop > reader.n_facts and ceiling < 1 and (options.in_order or not reader.in_order):
            right = reader.guess(fit, score, family.schema, options.rounds) == score.one.answer[:, 0]
            found.append(_Scored(split, hop, reader.name, None, reader.against, ceiling, right))
    if options.english and ceilings["chance"] < 1:
        few, others = (asked.one.take(slice(_MOST_TOLD)) for asked in (fit, score))
        for name, answer in guess_in_english(family, few, others, options.rounds).items():
            right = answer == others.answer[:, 0]
            found.append(_Scored(split, hop, name, None, "chance", ceilings["chance"], right))
    for step in range(hop if ceilings["partial_input"] < 1 else 0):
        one, answers = guess_hidden(
            family, fit.one, score.one, step, seed=options.seed, in_order=options.in_order, rounds=options.rounds
        )
        for name, answer in answers.items():
            right = answer == one.answer[:, 0]
            found.append(_Scored(split, hop, name, step + 1, "partial_input", ceilings["partial_input"], right))
    return found


def _of_sequences(
    family: SequenceFamily[Any], split: str, fit: Examples, score: Examples, options: _Options
) -> list[_Scored]:
    key = ("audit", family.name, options.seed, split)
    readers_of = SequenceAudit(family, fit, score, rounds=options.rounds, key=key)
    return [
        _Scored(split, hop, read.reader, read.hidden, read.against, getattr(family, read.against)(hop), read.right)
        for hop in hops_to_audit(family.hops)
        for read in readers_of.at(hop)
    ]


def _draw(family: Generator[Any], n_graphs: int, use: str, split: str, seed: int) -> Examples:
    blocks = range(-(-n_graphs // BLOCK_GRAPHS))
    drawn = [family.sample(BLOCK_GRAPHS, stream("audit", family.name, seed, use, split, block)) for block in blocks]
    return Examples.concatenate(drawn).take(slice(n_graphs))


def _check_labels(family: Generator[Any], score: Examples) -> None:
    for method, n_hops in itertools.product((family.chance, family.partial_input), family.hops):
        is_number(family.name, method.__name__, method(n_hops))
    answer, hop = family.labels(score.facts, score.query)
    is_wrong = (answer != score.answer) | (hop != score.hop)
    if is_wrong.any():
        sample, solve = family.schema.written
        raise CheckFailedError(
            f"{family.name}: {int(is_wrong.sum()):,} of {is_wrong.size:,} labels are not what {solve} derives from "
            f"the {family.schema.called[1]}; correct {sample} or {solve}"
        )


def _row(one: _Scored, level: float) -> Audited:
    bound = lower_bound(one.right, level)
    accuracy = float(one.right.mean())
    return Audited(
        one.split,
        one.hop,
        one.reader,
        one.hidden,
        len(one.right),
        accuracy,
        bound,
        one.against,
        one.ceiling,
        bound > one.ceiling,
    )


def lower_bound(right: Mask, level: float) -> float:
    """The one-sided lower bound of Clopper and Pearson (1934) for a share.

    Graphs that a family draws together may be alike. So the number of examples is divided by the design effect of
    clusters of 32 consecutive ones, if it is above 1 (Korn and Graubard, 1998, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data").

    Args:
        right: Array (n), which examples were answered right.
        level: Probability that the true share is below the bound.
    """
    n, share = len(right), float(right.mean())
    if share == 0:
        return 0.0
    n_clusters = n // _CLUSTER
    effect = 1.0
    if n_clusters > 1 and share < 1:
        means = right[: n_clusters * _CLUSTER].reshape(n_clusters, _CLUSTER).mean(axis=1)
        effect = max(1.0, float(means.var(ddof=1)) * _CLUSTER / (share * (1 - share)))
    n_effective = n / effect
    return float(stats.beta.ppf(level, share * n_effective, n_effective - share * n_effective + 1))
