"""Rule chains: does a property follow from another by k rules, some of which negate?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import ChainParams, Chains
from nexus_bench.generators.parts.facts import look_up, shuffled, walk_until
from nexus_bench.streams import Int, Mask, integers

_STARTS = 2  # chains per ladder
_OPPOSITES = 2  # ladders of which one negates where the other does not


class RuleChainParams(ChainParams):
    """The size of a set of rules."""

    n_ladders: int = Field(
        ge=_OPPOSITES,
        le=100,
        multiple_of=_OPPOSITES,
        description="Ladders of two chains that conclude the same properties; even, since ladders come in pairs.",
    )


@GENERATORS.register
class RuleChain(Chains[RuleChainParams]):
    """Rules `if p then q` with either side negated or not; the answer is whether the goal follows or its negation.

    Two look-alike chains, each from its own start property, conclude the same properties; where one concludes a
    property, the other concludes its negation. So every property is concluded once positively and once negated, a "no"
    is proved by as many rules as a "yes", and only the chain from the start tells them apart. A rule negates if its
    signs differ. Two such chains negate at the same places, so these ladders come in pairs: after the first place, one
    ladder negates exactly where the other does not. So all graphs have the same number of rules of either kind at every
    place, and counting them says nothing, not even together with a part of the chain. A hop is one rule.

    Source: PrOntoQA (Saparov and He 2023, arXiv 2210.01240) and ProofWriter (Tafjord et al. 2021, arXiv 2012.13048);
    pairs of chains instead of distractor rules, where "false" often means that no rule concludes the property.

    >>> from nexus_bench.streams import stream
    >>> params = RuleChainParams(n_ladders=2, length=2, vocab_size=12, n_queries=1)
    >>> examples = RuleChain(params, hops=(2,)).sample(1, stream("doctest"))
    >>> examples.facts[0].tolist()
    [[9, 0, 11, 1], [6, 1, 9, 0], [9, 1, 11, 0], [10, 1, 0, 1], [0, 0, 1, 0], [0, 1, 1, 1], [3, 1, 0, 0], [4, 1, 9, 1]]
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[6, 11]], [1], [2])
    """

    name = "rule_chain"
    version = 2
    spare = 1
    Params = RuleChainParams
    sized_by = "n_ladders"

    @property
    def n_nodes(self) -> int:
        """Properties per graph: the starts, and those that are concluded."""
        return self.params.n_ladders * (_STARTS + self.length)

    @property
    def most_queries(self) -> int:
        """One per chain and hop."""
        return self._n_chains * len(self.hops)

    @property
    def distractors(self) -> str:
        """The look-alike chains."""
        return "branches"

    @property
    def schema(self) -> Schema:
        """Facts are (premise, its sign, conclusion, its sign), a query is (start, goal), the answer is no or yes."""
        return Schema(
            fact=(
                Role("premise", "node"),
                Role("premise_sign", "sign"),
                Role("conclusion", "node"),
                Role("conclusion_sign", "sign"),
            ),
            query=(Role("start", "node"), Role("goal", "node")),
            answer="verdict",
            vocabularies={"node": self.node_vocab_size, "sign": 2, "verdict": 2},
        )

    @property
    def n_facts(self) -> int:
        """The rules of all chains."""
        return self._n_chains * self.length

    @property
    def n_worlds(self) -> int:
        """At least: choices of symbols and signs, up to swaps of ladders and of the chains of a ladder."""
        n_ladders = self.params.n_ladders
        signs = 2 ** (n_ladders // _OPPOSITES * self.length)
        drawn: int = math.perm(self.node_vocab_size, self.n_nodes) * signs
        same: int = math.factorial(n_ladders) * 2**n_ladders
        return drawn // same

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols and signs, the order of the facts, then the chain of each query at every hop."""
        n_ladders, length = self.params.n_ladders, self.length
        name = self.draw_names(n_graphs, rng).reshape(n_graphs, n_ladders, _STARTS + length)
        concluded = np.repeat(name[:, :, None, _STARTS:], _STARTS, axis=2)  # graph, ladder, chain, depth
        premise = np.concatenate([name[:, :, :_STARTS, None], concluded[:, :, :, :-1]], axis=3)
        n_pairs = n_ladders // _OPPOSITES
        first = integers(rng, n_graphs, n_pairs * length, high=2).reshape(n_graphs, n_pairs, 1, length)
        opposite = (first + np.arange(length, dtype=np.int32)) % 2  # changes where the first does not
        sign = np.concatenate([first, opposite], axis=2).reshape(n_graphs, n_ladders, 1, length)
        sign = np.concatenate([sign, 1 - sign], axis=2)
        premise_sign = np.concatenate([np.ones_like(sign[:, :, :, :1]), sign[:, :, :, :-1]], axis=3)
        facts = np.stack([premise, premise_sign, concluded, sign], axis=4).reshape(n_graphs, -1, 4)

        hop = self.deal_hops(n_graphs, rng)
        chain = self.deal_distinct(hop, self._n_chains, rng)
        at = chain * length + hop - 1
        goal = look_up(concluded.reshape(n_graphs, -1), at)
        query = np.stack([look_up(premise.reshape(n_graphs, -1), chain * length), goal], axis=2)
        return Examples(shuffled(facts, rng), query, look_up(sign.reshape(n_graphs, -1), at), hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Apply rules from the start, which holds, until the goal or its negation is concluded."""
        goal = query[:, :, 1]
        literal, hop, rows = walk_until(
            2 * facts[:, :, 0] + facts[:, :, 1],
            2 * facts[:, :, 2] + facts[:, :, 3],
            2 * query[:, :, 0] + 1,
            size=2 * self.node_vocab_size,
            n_steps=self.length,
            arrives=lambda literal: literal // 2 == goal,
        )
        return Solution(np.where(literal >= 0, literal % 2, -1).astype(np.int32), hop, rows)

    def chance(self, hop: int) -> float:
        """Yes or no."""
        return 1 / 2

    def partial_input(self, hop: int) -> float:
        """Yes or no: whether the missing rule negates was drawn independently, and as many rules negate as do not."""
        return 1 / 2

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """The two rules that conclude the same property."""
        alike: Mask = facts[:, :, 2] == look_up(facts[:, :, 2], at[:, None])
        return alike

    @property
    def _n_chains(self) -> int:
        return _STARTS * self.params.n_ladders

    def symbol(self, vocabulary: str, index: int) -> str:
        """A sign is `not` or `is`, an answer no or yes."""
        words = {"sign": ("not", "is"), "verdict": ("no", "yes")}
        return words[vocabulary][index] if vocabulary in words else super().symbol(vocabulary, index)
