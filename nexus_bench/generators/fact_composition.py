"""Facts that models know by heart, and compositions of two: nothing of the knowledge graph is told in a sequence."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, FamilyParams
from nexus_bench.generators.parts.patterns import ALL, HELD_OUT
from nexus_bench.generators.sequences import NOTHING, Drawn, Labels, SequenceFamily
from nexus_bench.streams import Int, Mask, integers, permutations, stream

_N_TOKENS = 3
_MOST_PATHS = 2_000_000  # of a knowledge graph, all of which are held in memory


class FactCompositionParams(FamilyParams):
    """The knowledge graph, which belongs to the task: seeds of a study change the split and not the facts."""

    n_entities: int = Field(ge=3, le=10_000, description="Entities.")
    n_relations: int = Field(ge=1, le=1_000, description="Relations.")
    out_degree: int = Field(ge=1, le=1_000, description="Facts of each entity, of different relations.")
    graph: int = Field(ge=0, description="Number of the knowledge graph.")
    ratio: float | None = Field(
        gt=0, description="Compositions that are asked, held-out ones among them, per fact in use. Null: all."
    )
    unseen: float = Field(
        ge=0, lt=1, description="With pattern_ood: share of the facts that no trained composition uses."
    )


class _Paths(NamedTuple):
    """All pairs of facts of which the second begins where the first ends; p paths.

    Attributes:
        tokens: Array (p, 3): an entity, and the relations of both facts.
        bridge: Array (p), the entity between.
        end: Array (p), the entity at the end.
        is_asked: Array (p), whether the composition is asked.
        asked: Array (c), the numbers of those that are.
    """

    tokens: Int
    bridge: Int
    end: Int
    is_asked: Mask
    asked: NDArray[np.int64]


class _Known(NamedTuple):
    """What the solver knows by heart.

    Attributes:
        tail: Array (entities, relations), where each fact ends; -1 where there is none.
        asked: Array (c), the compositions that are asked, (entity, relation, relation) as one number, sorted.
    """

    tail: Int
    asked: NDArray[np.int64]


@GENERATORS.register
class FactComposition(SequenceFamily[FactCompositionParams]):
    """`h r1 r2`: after `r1` the entity that the fact (h, r1) leads to, after `r2` the one where r2 leads from there.

    The facts are those of one random knowledge graph, the same in every split: each entity has `out_degree` relations,
    each to a random entity. No sequence tells them, so they must be learned by heart: one hop is memory, also on test.
    Two hops compose two facts. A split is one of compositions: those of test sequences are in no training sequence,
    while each of their facts is in others. So a model that only memorises what it trained on is right at one hop and
    not at two.

    Of the compositions `ratio` per fact are asked; the others have no label after `r2`. With `pattern_ood` a share of
    the facts, `unseen`, is in no composition that is asked, and the further split asks the compositions of two of
    these. Half of the sequences begin with a fact, each as likely; half are compositions that are asked.

    Source: Wang, Yue, Su and Sun 2024 ("Grokked transformers are implicit reasoners", arXiv 2405.15071) and its public
    code (OSU-NLP-Group/GrokkedTransformer, MIT): 2,000 entities, 200 relations, out-degree 20, 3.6 to 18 compositions
    per fact, 5% of the facts unseen. There a fact is an example of its own, one of 1 + ratio; here it is labelled
    within every sequence, which is the same to a causal model but for its weight.

    >>> from nexus_bench.streams import stream
    >>> sizes = {"n_entities": 5, "n_relations": 3, "out_degree": 2, "graph": 0, "ratio": None, "unseen": 0.0}
    >>> drawn = FactComposition(FactCompositionParams(**sizes), hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist(), drawn.hop[0].tolist()
    ([], [], [])
    """

    name = "fact_composition"
    version = 1
    Params = FactCompositionParams
    sized_by = None
    has_patterns = True
    needs_all_tokens = True

    def __init__(
        self,
        params: FactCompositionParams,
        hops: tuple[int, ...],
        *,
        largest_hop: int | None = None,
        patterns: str = ALL,
    ) -> None:
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        if params.out_degree > params.n_relations:
            raise ConfigError(
                f"{self.name}: out_degree must be at most n_relations, {params.n_relations}, got {params.out_degree}"
            )
        n_paths = params.n_entities * params.out_degree**2
        if n_paths > _MOST_PATHS:
            raise ConfigError(
                f"{self.name}: {params.n_entities} entities of out_degree {params.out_degree} have {n_paths:,} "
                f"compositions; at most {_MOST_PATHS:,} are possible, lower one of both"
            )
        self._given = params.model_dump_json()
        may, is_whole = _in_use(self._given, patterns)
        if params.ratio is not None and patterns != HELD_OUT and params.ratio * may.sum() > is_whole.sum():
            most = math.floor(is_whole.sum() / may.sum() * 100) / 100
            raise ConfigError(f"{self.name}: ratio must be at most {most} at these sizes, got {params.ratio}")

    @property
    def max_hop(self) -> int:
        """Two facts are composed."""
        return 2

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for 1 or 2 hops"

    @property
    def n_words(self) -> int:
        """Entities and relations."""
        return self.params.n_entities + self.params.n_relations

    @property
    def n_labels(self) -> int:
        """Entities."""
        return self.params.n_entities

    @property
    def n_facts(self) -> int:
        """Tokens of a sequence; the facts of the knowledge graph are in none."""
        return _N_TOKENS

    @property
    def min_length(self) -> int:
        """All are as long."""
        return _N_TOKENS

    @property
    def n_worlds(self) -> int:
        """The compositions; those that are asked, where facts are not."""
        paths = _paths(self._given, self.patterns)
        return len(paths.end) if 1 in self.hops else len(paths.asked)

    def symbol(self, vocabulary: str, index: int) -> str:
        """`e3` is an entity, `r3` a relation."""
        n = self.params.n_entities
        return f"e{index}" if index < n else f"r{index - n}"

    def check_patterns(self) -> None:
        """There must be compositions of two facts that are in no other."""
        if not len(_paths(self._given, HELD_OUT).asked):
            raise ConfigError(
                f"{self.name}: pattern_ood needs compositions of two unseen facts, there is none; raise unseen from "
                f"{self.params.unseen}"
            )

    def draw(self, n_sequences: int, rng: np.random.Generator) -> Drawn:
        """Look paths up: any for one hop, one that is asked for two."""
        paths, k = _paths(self._given, self.patterns), self.deal_hop(n_sequences, rng)
        nth_path, nth_asked = (integers(rng, n_sequences, 1, high=len(of))[:, 0] for of in (paths.end, paths.asked))
        path = np.where(k == 2, paths.asked.take(nth_asked), nth_path)
        label = np.full((n_sequences, _N_TOKENS), NOTHING, dtype=np.int32)
        if 1 in self.hops:
            label[:, 1] = paths.bridge.take(path)
        if 2 in self.hops:
            label[:, 2] = np.where(paths.is_asked.take(path), paths.end.take(path), NOTHING)
        hop = np.where(label != NOTHING, np.arange(_N_TOKENS, dtype=np.int32), np.int32(0))
        length = np.full(n_sequences, _N_TOKENS, dtype=np.int32)
        return Drawn(paths.tokens.take(path, axis=0), label, hop, length)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Look one fact up after the other, and then whether the composition is asked."""
        known = _known(self._given, self.patterns)
        n, n_relations = self.params.n_entities, self.params.n_relations
        head, first, second = (tokens[:, place] for place in range(_N_TOKENS))
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        bridge = _looked_up(known.tail, head, first - np.int32(n))
        end = _looked_up(known.tail, bridge, second - np.int32(n))
        number = (head.astype(np.int64) * n_relations + first - n) * n_relations + second - n
        at = np.minimum(np.searchsorted(known.asked, number), len(known.asked) - 1)
        is_asked = (end >= 0) & (known.asked[at] == number)
        for k, there, answer in ((1, bridge >= 0, bridge), (2, is_asked, end)):
            rows = np.flatnonzero(there & (k in self.hops))
            label[rows, k], hop[rows, k] = answer[rows], k
        return Labels(label, hop)

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """A relation is a hop."""
        relation = np.arange(1, self.largest_hop + 1, dtype=np.int32)
        return np.where(relation <= at[:, :, None], relation, -1).astype(np.int32)

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Any relation of the entity that it leads on from."""
        tail = _known(self._given, self.patterns).tail
        n = np.int32(self.params.n_entities)
        bridge = _looked_up(tail, tokens[:, 0], tokens[:, 1] - n)
        entity = np.where(at == 1, tokens[:, 0], bridge)
        is_entity = (entity >= 0) & (entity < n)
        may = np.zeros((len(tokens), self.n_words), dtype=np.bool_)
        may[:, n:] = (tail[np.where(is_entity, entity, 0)] >= 0) & is_entity[:, None]
        return may

    def chance(self, hop: int) -> float:
        """The commonest answer."""
        return _best_guess(self._given, self.patterns, self.hops, hop, None)

    def partial_input(self, hop: int) -> float:
        """The likeliest answer to a reader of all tokens but one, who knows everything by heart."""
        return max(_best_guess(self._given, self.patterns, self.hops, hop, hidden) for hidden in range(hop + 1))


@cache
def _facts(n_entities: int, n_relations: int, out_degree: int, graph: int) -> Int:
    """The facts (h, r, t), those of an entity side by side: array (f, 3)."""
    rng = stream("fact_composition", "graph", graph)
    relation = permutations(rng, n_entities, n_relations, k=out_degree)
    tail = integers(rng, n_entities, out_degree, high=n_entities)
    head = np.repeat(np.arange(n_entities, dtype=np.int32), out_degree)
    return np.stack([head, relation.ravel(), tail.ravel()], axis=1)


def _read(given: str) -> tuple[FactCompositionParams, Int]:
    """Parameters, and the facts of their knowledge graph."""
    p = FactCompositionParams.model_validate_json(given)
    return p, _facts(p.n_entities, p.n_relations, p.out_degree, p.graph)


def _pairs(facts: Int, out_degree: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The facts of every path, as rows of `facts`: two arrays (p)."""
    first = np.repeat(np.arange(len(facts)), out_degree)
    slot = np.tile(np.arange(out_degree), len(facts))
    return first, facts[first, 2].astype(np.int64) * out_degree + slot


@cache
def _in_use(given: str, patterns: str) -> tuple[Mask, Mask]:
    """Which facts (f) a law composes, and which paths (p) are of two of these."""
    p, facts = _read(given)
    n_unseen = 0 if patterns == ALL else round(p.unseen * len(facts))
    order = permutations(stream("fact_composition", "unseen", p.graph), 1, len(facts))[0]
    is_unseen = np.zeros(len(facts), dtype=np.bool_)
    is_unseen[order[:n_unseen]] = True
    may = is_unseen if patterns == HELD_OUT else ~is_unseen
    first, second = _pairs(facts, p.out_degree)
    return may, may[first] & may[second]


@cache
def _paths(given: str, patterns: str) -> _Paths:
    p, facts = _read(given)
    may, is_whole = _in_use(given, patterns)
    is_asked, able = is_whole.copy(), np.flatnonzero(is_whole)
    if p.ratio is not None and patterns != HELD_OUT:
        order = permutations(stream("fact_composition", "asked", p.graph), 1, len(able))[0]
        is_asked[able[order[round(p.ratio * may.sum()) :]]] = False
    first, second = _pairs(facts, p.out_degree)
    columns = (facts[first, 0], facts[first, 1] + np.int32(p.n_entities), facts[second, 1] + np.int32(p.n_entities))
    tokens = np.stack(columns, axis=1)
    return _Paths(tokens, facts[first, 2], facts[second, 2], is_asked, np.flatnonzero(is_asked))


@cache
def _known(given: str, patterns: str) -> _Known:
    p, facts = _read(given)
    tail = np.full((p.n_entities, p.n_relations), -1, dtype=np.int32)
    tail[facts[:, 0], facts[:, 1]] = facts[:, 2]
    paths = _paths(given, patterns)
    head, first, second = paths.tokens[paths.asked].T.astype(np.int64)
    number = (head * p.n_relations + first - p.n_entities) * p.n_relations + second - p.n_entities
    return _Known(tail, np.sort(number))


def _looked_up(tail: Int, head: Int, relation: Int) -> Int:
    """Where facts lead: array (g); -1 where there is none, or ids are out of range."""
    n_entities, n_relations = tail.shape
    is_there = (head >= 0) & (head < n_entities) & (relation >= 0) & (relation < n_relations)
    return np.where(is_there, tail[np.where(is_there, head, 0), np.where(is_there, relation, 0)], -1).astype(np.int32)


@cache
def _best_guess(given: str, patterns: str, hops: tuple[int, ...], hop: int, hidden: int | None) -> float:
    """Accuracy of the likeliest label of `hop` hops, over all paths.

    Args:
        given: The parameters.
        patterns: As in `Generator`.
        hops: Those of the law, which say how often each path is drawn.
        hop: Hop count of the label.
        hidden: The token that is not known; None if none is known.
    """
    paths, n = _paths(given, patterns), FactCompositionParams.model_validate_json(given).n_entities
    share = np.full(len(paths.end), 1 / len(paths.end))
    share[paths.asked] += 0.0 if hops == (1,) else 1 / len(paths.asked)
    label, is_labelled = (
        (paths.bridge, np.ones(len(share), dtype=np.bool_)) if hop == 1 else (paths.end, paths.is_asked)
    )
    seen = [] if hidden is None else [place for place in range(hop + 1) if place != hidden]
    code = np.zeros(len(share), dtype=np.int64)
    for place in seen:
        code = code * int(paths.tokens.max() + 1) + paths.tokens[:, place]
    weight = np.where(is_labelled, share, 0.0)
    pairs, which = np.unique(code * n + label, return_inverse=True)
    known, group = np.unique(pairs // n, return_inverse=True)
    best = np.zeros(len(known))
    np.maximum.at(best, group, np.bincount(which, weights=weight))
    return float(best.sum() / weight.sum())
