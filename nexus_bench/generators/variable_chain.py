"""Variable chains: which constant does a variable hold, through assignments such as `x3 = x1`?"""

import math

import numpy as np
from pydantic import Field

from nexus_bench.generators.base import GENERATORS, Examples, Role, Schema, Solution
from nexus_bench.generators.named_nodes import ChainParams, Chains
from nexus_bench.generators.parts.facts import look_up, shuffled, walk_until
from nexus_bench.streams import Int, Mask, permutations


class VariableChainParams(ChainParams):
    """The size of a list of assignments."""

    n_chains: int = Field(ge=4, le=100, description="Chains of equal length, each from its own constant.")
    n_constants: int | None = Field(ge=4, le=100_000, description="Constants to draw from; null means three per chain.")


@GENERATORS.register
class VariableChain(Chains[VariableChainParams]):
    """Equal chains of variables, each from its own constant; the answer is the constant that a variable holds.

    A hop is one assignment. Chains are equally long, their constants are distinct, and queries are about every chain
    equally often, so a list of the variables or of the constants does not tell which chain a variable is on.

    Source: LEGO (Zhang et al. 2022, "Unveiling Transformers with LEGO", arXiv 2206.04301) and the variable tracking of
    RULER (Hsieh et al. 2024, arXiv 2404.06654), whose single chain can be answered by listing every variable.

    >>> from nexus_bench.streams import stream
    >>> params = VariableChainParams(n_chains=4, length=2, n_constants=9, vocab_size=20, n_queries=1)
    >>> family = VariableChain(params, hops=(2,))
    >>> examples = family.sample(1, stream("doctest"))
    >>> [" = ".join(family.symbol("symbol", i) for i in fact) for fact in examples.facts[0].tolist()]
    ['x19 = x4', 'x6 = x18', 'x3 = x10', 'x0 = 6', 'x10 = 8', 'x1 = x0', 'x18 = 5', 'x4 = 7']
    >>> examples.query[0].tolist(), examples.answer[0].tolist(), examples.hop[0].tolist()
    ([[19]], [27], [2])
    """

    name = "variable_chain"
    version = 1
    spare = 1
    Params = VariableChainParams
    sized_by = "n_chains"

    @property
    def n_nodes(self) -> int:
        """Variables of all chains."""
        return self.params.n_chains * self.length

    @property
    def most_queries(self) -> int:
        """One per chain and hop."""
        return self.params.n_chains * len(self.hops)

    @property
    def distractors(self) -> str:
        """The other chains."""
        return "disconnected"

    @property
    def schema(self) -> Schema:
        """Facts are (variable, term), a query is a variable, the answer a constant; constants follow the variables."""
        return Schema(
            fact=(Role("variable", "symbol"), Role("term", "symbol")),
            query=(Role("variable", "symbol"),),
            answer="symbol",
            vocabularies={"symbol": self.node_vocab_size + self._n_constants},
        )

    @property
    def n_facts(self) -> int:
        """One assignment per variable."""
        return self.n_nodes

    @property
    def n_worlds(self) -> int:
        """Choices of symbols and constants, up to swaps of chains."""
        drawn = math.perm(self.node_vocab_size, self.n_nodes) * math.perm(self._n_constants, self.params.n_chains)
        return drawn // math.factorial(self.params.n_chains)

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Draw symbols, constants and the order of the facts, then the chain of each query at every hop."""
        n_chains, length = self.params.n_chains, self.length
        variable = self.draw_names(n_graphs, rng).reshape(n_graphs, n_chains, length)
        constant = permutations(rng, n_graphs, self._n_constants, k=n_chains) + np.int32(self.node_vocab_size)
        term = np.concatenate([constant[:, :, None], variable[:, :, :-1]], axis=2)
        facts = shuffled(np.stack([variable, term], axis=3).reshape(n_graphs, -1, 2), rng)

        hop = self.deal_hops(n_graphs, rng)
        chain = self.deal_distinct(hop, n_chains, rng)
        query = look_up(variable.reshape(n_graphs, -1), chain * length + hop - 1)
        return Examples(facts, query[:, :, None], look_up(constant, chain), hop)

    def solve(self, facts: Int, query: Int) -> Solution:
        """Go from variable to term until the term is a constant."""
        return Solution(*self._constants_behind(facts, query[:, :, 0]))

    def chance(self, hop: int) -> float:
        """Any constant of the list."""
        return 1 / self.params.n_chains

    def partial_input(self, hop: int) -> float:
        """Any chain could continue at the missing assignment."""
        return 1 / self.params.n_chains

    def alike(self, facts: Int, query: Int, solution: Solution, at: Int) -> Mask:
        """The assignments at the same distance from a constant, one per chain."""
        depth = self._constants_behind(facts, facts[:, :, 0])[1]
        alike: Mask = depth == look_up(depth, at[:, None])
        return alike

    def _constants_behind(self, facts: Int, variable: Int) -> tuple[Int, Int, Int]:
        """Constants, the assignments to them, and their rows."""
        n_variables = self.node_vocab_size
        return walk_until(
            facts[:, :, 0],
            facts[:, :, 1],
            variable,
            size=n_variables + self._n_constants,
            n_steps=self.length,
            arrives=lambda node: node >= n_variables,
        )

    @property
    def kept_symbols(self) -> dict[str, int]:
        """The sizes of the vocabularies of variables and constants."""
        return super().kept_symbols | {"n_constants": self._n_constants}

    @property
    def _n_constants(self) -> int:
        return self.params.n_constants or 3 * self.params.n_chains

    def symbol(self, vocabulary: str, index: int) -> str:
        """A variable is x with a number, a constant is a number."""
        return f"x{index}" if index < self.node_vocab_size else str(index - self.node_vocab_size)
