"""Facts that models know by heart, and compositions of two: nothing of the knowledge graph is told in a sequence."""

import math

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import GENERATORS, FamilyParams
from nexus_bench.generators.parts.knowledge_graph import Graph, best_guess, in_use, memory, paths
from nexus_bench.generators.parts.patterns import ALL, HELD_OUT
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily
from nexus_bench.streams import Int, Mask, integers

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
    these. Half of the sequences begin with a fact, each as likely; half are compositions that are asked. A hop is a
    look-up: one composition in `n_entities * out_degree` looks one fact up twice, which leads back to where it began.

    Source: Wang, Yue, Su and Sun 2024 ("Grokked transformers are implicit reasoners", arXiv 2405.15071) and its public
    code (OSU-NLP-Group/GrokkedTransformer, MIT): 2,000 entities, 200 relations, out-degree 20, 3.6 to 18 compositions
    per fact, 5% of the facts unseen. There a fact is an example of its own, one of 1 + ratio; here it is labelled
    within every sequence, which is the same to a causal model but for its weight.

    >>> from nexus_bench.streams import stream
    >>> sizes = {"n_entities": 5, "n_relations": 3, "out_degree": 2, "graph": 0, "ratio": None, "unseen": 0.0}
    >>> drawn = FactComposition(FactCompositionParams(**sizes), hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist(), drawn.hop[0].tolist()
    ([0, 7, 5], [-1, 3, 3], [0, 1, 2])
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
        p = params
        self._graph = Graph(p.n_entities, p.n_relations, p.out_degree, p.graph, p.ratio, p.unseen, patterns)
        if self._graph.n_paths > _MOST_PATHS:
            raise ConfigError(
                f"{self.name}: {params.n_entities} entities of out_degree {params.out_degree} have "
                f"{self._graph.n_paths:,} compositions, at most {_MOST_PATHS:,} are allowed; lower one of both"
            )
        may, is_whole = in_use(self._graph)
        if params.ratio is not None and patterns != HELD_OUT and params.ratio * may.sum() > is_whole.sum():
            most = math.floor(100 * is_whole.sum() / max(1, may.sum())) / 100
            raise ConfigError(f"{self.name}: ratio must be at most {most} with these facts, got {params.ratio}")
        if not len(paths(self._graph).asked):
            what, to_raise = ("unseen facts", "unseen") if patterns == HELD_OUT else ("facts", "ratio")
            raise ConfigError(f"{self.name}: no composition of two {what} is asked; raise {to_raise}")

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
    def most_labels(self) -> int:
        """The ends of both facts."""
        return 2

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
        every = paths(self._graph)
        return len(every.end) if 1 in self.hops else len(every.asked)

    def symbol(self, vocabulary: str, index: int) -> str:
        """`e3` is an entity, `r3` a relation."""
        n = self.params.n_entities
        return f"e{index}" if index < n else f"r{index - n}"

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Look paths up: any for one hop, one that is asked for two."""
        every, k = paths(self._graph), self.deal_hop(n_sequences, rng)
        nth_path, nth_asked = (integers(rng, n_sequences, 1, high=len(of))[:, 0] for of in (every.end, every.asked))
        path = np.where(k == 2, every.asked.take(nth_asked), nth_path)
        tokens = every.words.take(path, axis=0) + np.array([0, 1, 1], dtype=np.int32) * np.int32(self.params.n_entities)
        label = np.full_like(tokens, NOTHING)
        if 1 in self.hops:
            label[:, 1] = every.bridge.take(path)
        if 2 in self.hops:
            label[:, 2] = np.where(every.is_asked.take(path), every.end.take(path), NOTHING)
        hop = np.where(label != NOTHING, np.arange(_N_TOKENS, dtype=np.int32), np.int32(0))
        length = np.full(n_sequences, _N_TOKENS, dtype=np.int32)
        return SequenceBatch(tokens, label, hop, length)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Look one fact up after the other, and then whether the composition is asked."""
        known, n = memory(self._graph), np.int32(self.params.n_entities)
        head, first, second = tokens[:, 0], tokens[:, 1] - n, tokens[:, 2] - n
        bridge = known.follow(head, first)
        end = known.follow(bridge, second)
        is_asked = (end >= 0) & known.is_asked(head, first, second)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
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
        known, n = memory(self._graph), np.int32(self.params.n_entities)
        entity = np.where(at == 1, tokens[:, 0], known.follow(tokens[:, 0], tokens[:, 1] - n))
        is_entity = (entity >= 0) & (entity < n)
        may = np.zeros((len(tokens), self.n_words), dtype=np.bool_)
        may[:, n:] = (known.tail[np.where(is_entity, entity, 0)] >= 0) & is_entity[:, None]
        return may

    def chance(self, hop: int) -> float:
        """The commonest answer."""
        return best_guess(self._graph, self.hops, hop, None)

    def partial_input(self, hop: int) -> float:
        """The likeliest answer to a reader of all tokens but one, who knows everything by heart.

        But for what is never trained: a reader who rules out compositions that he has seen would be right more often.
        """
        return max(best_guess(self._graph, self.hops, hop, hidden) for hidden in range(hop + 1))
