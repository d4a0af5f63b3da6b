"""Mano: the value of an arithmetic expression modulo a prime, written in prefix order."""

import math
from functools import cache

import numpy as np
from pydantic import Field, field_validator

from nexus_bench.generators.base import GENERATORS, FamilyParams
from nexus_bench.generators.parts.expression_law import outermost
from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.hidden_tokens import measured_ceiling
from nexus_bench.generators.parts.prefix_expressions import ParsedExpressions, evaluate, parse, zero_side
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily
from nexus_bench.streams import Int, Mask, integers

_LONGEST = 64  # operations
_N_MEASURED = 2_000  # sequences that the partial-input ceiling is measured on
_SIGNS = {"a": "+", "s": "-", "m": "*"}


class ManoParams(FamilyParams):
    """Numbers and operations."""

    modulus: int = Field(ge=3, le=997, description="A prime; numbers are 0 to modulus - 1.")
    operations: str = Field(pattern="^[asm]+$", description="Of a (add), s (subtract), m (multiply).")

    @field_validator("modulus")
    @classmethod
    def _is_prime(cls, modulus: int) -> int:
        if any(modulus % d == 0 for d in range(2, math.isqrt(modulus) + 1)):
            raise ValueError(f"modulus must be a prime, as 23, got {modulus}")
        return modulus

    @field_validator("operations")
    @classmethod
    def _are_different(cls, operations: str) -> str:
        if len(set(operations)) < len(operations) or operations in ("a", "m"):  # else order says nothing
            raise ValueError(f"operations must be different letters, and not a or m alone, as asm, got {operations}")
        return operations


@GENERATORS.register
class Mano(SequenceFamily[ManoParams]):
    """`begin`, the number of operations, an expression in prefix order, and `=`: its value modulo a prime.

    Of l operations the first operand of the outermost has 0 to l - 1, each as likely, the second has the others, and so
    on inwards; operations and numbers are uniform. A hop is one operation to carry out. So there are l hops, unless a
    product has a factor 0: then its other factor need not be known, and the operations in it are not counted. (That
    equal parts of an expression have equal values is not made use of.) A place has a label if its hop count is asked
    for.

    Source: Mano of Allen-Zhu 2025 ("Physics of language models: Part 4.1", arXiv 2512.17351), by the public generator
    (facebookresearch/PhysicsLM4, Apache-2.0): operations `asm`, modulus 23, at most 10, 13 or 16 operations, of which
    every number is as likely; tests have the most. There each word is written in two ways, at random; here in one. All
    expressions of l operations count at l there.

    >>> from nexus_bench.streams import stream
    >>> drawn = Mano(ManoParams(modulus=5, operations="asm"), hops=(1, 2)).draw(1, stream("doctest"))
    >>> drawn.tokens[0].tolist(), drawn.label[0].tolist()
    ([10, 8, 6, 4, 4, 11, -1, -1], [-1, -1, -1, -1, -1, 0, -1, -1])
    """

    name = "mano"
    version = 1
    Params = ManoParams
    sized_by = None
    says_hop = True
    needs_all_tokens = True

    @property
    def max_hop(self) -> int:
        """A limit of the implementation."""
        return _LONGEST

    def advice_for_hop(self, hop: int) -> str:
        """No parameter would help."""
        return "ask for fewer hops"

    @property
    def n_words(self) -> int:
        """Numbers, operations, a token for each number of operations, `begin` and `=`."""
        return self._n_before + self.largest_hop + 2

    @property
    def _n_before(self) -> int:
        return self.params.modulus + len(self.params.operations)

    @property
    def n_labels(self) -> int:
        """Numbers."""
        return self.params.modulus

    @property
    def most_labels(self) -> int:
        """The value of the expression."""
        return 1

    @property
    def n_facts(self) -> int:
        """Three tokens beside the longest expression."""
        return 2 * self.largest_hop + 4

    @property
    def min_length(self) -> int:
        """With the shortest expression."""
        return 2 * min(self.hops) + 4

    @property
    def n_worlds(self) -> int:
        """The shortest expressions, as often as there are lengths, which are all as likely."""
        n = min(self.hops)
        shapes = math.comb(2 * n, n) // (n + 1)
        n_words: int = int(self.params.modulus) ** (n + 1) * len(self.params.operations) ** n
        return len(self.hops) * shapes * n_words

    def symbol(self, vocabulary: str, index: int) -> str:
        """Numbers and signs; `l=3` says how many operations follow."""
        if index < self.params.modulus:
            return str(index)
        if index < self._n_before:
            return _SIGNS[self.params.operations[index - self.params.modulus]]
        n = index - self._n_before
        return f"l={n + 1}" if n < self.largest_hop else ("begin", "=")[n - self.largest_hop]

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Write from left to right what is still owed, then evaluate from right to left on a stack."""
        p, n_most = self.params.modulus, 2 * self.largest_hop + 1
        n = self.deal_hop(n_sequences, rng)
        split = integers(rng, n_most, n_sequences, high=1 << 31).astype(np.int64)
        kind = integers(rng, n_most, n_sequences, high=len(self.params.operations))
        written = integers(rng, n_most, n_sequences, high=p)
        g, owed = np.arange(n_sequences), np.zeros((self.largest_hop + 2, n_sequences), dtype=np.int64)
        owed[0], top = n, np.zeros(n_sequences, dtype=np.int64)  # operations of each part that is still to be written
        for place in range(n_most):
            here = np.maximum(top, 0)
            left = np.where(top >= 0, owed[here, g], -1)
            first = split[place] * np.maximum(left, 0) >> 31
            is_operation = left > 0
            owed[here, g] = np.where(is_operation, left - 1 - first, left)
            top = np.where(is_operation, top + 1, top - (left == 0))
            owed[np.where(is_operation, top, self.largest_hop + 1), g] = first
            written[place] = np.where(is_operation, p + kind[place], np.where(left == 0, written[place], NOTHING))
        value, need = evaluate(written, p, self.params.operations, most=self.largest_hop)
        tokens = np.full((n_sequences, self.n_facts), NOTHING, dtype=np.int32)
        tokens[:, 0], tokens[:, 1] = self.n_words - 2, self._n_before + n - 1
        tokens[:, 2:-1] = written.T
        end = 2 * n + 3
        tokens[g, end] = self.n_words - 1
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        is_asked = np.isin(need, self.hops)
        label[g, end], hop[g, end] = np.where(is_asked, value, NOTHING), np.where(is_asked, need, 0)
        return SequenceBatch(tokens, label, hop, end + 1)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Find where every operand begins, and evaluate place by place."""
        read = self._parsed(tokens)
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        need = look_up(read.need, np.full((len(tokens), 1), 2, dtype=np.int32))[:, 0]
        rows = np.flatnonzero((read.equals_at >= 0) & np.isin(need, self.hops))
        at = read.equals_at[rows]
        label[rows, at], hop[rows, at] = read.value[rows, 2], need[rows]
        return Labels(label, hop)

    def _parsed(self, tokens: Int) -> ParsedExpressions:
        return parse(tokens, self.params.modulus, self.params.operations, equals=self.n_words - 1)

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The operations that must be carried out, in an order in which that can be done."""
        read, (n_rows, n) = self._parsed(tokens), tokens.shape
        g, is_needed = np.arange(n_rows), np.zeros(tokens.shape, dtype=np.bool_)
        is_needed[:, 2] = read.equals_at >= 0
        for place in range(2, n - 1):
            two = read.right[:, place]
            x, y = read.value[:, place + 1].astype(np.int64), read.value[g, two].astype(np.int64)
            side = zero_side(x, y, read.need[:, place + 1], read.need[g, two])
            if "m" in self.params.operations:
                side[read.kind[:, place] != self.params.operations.index("m")] = -1
            else:
                side[:] = -1
            goes_on = is_needed[:, place] & (read.kind[:, place] >= 0)
            is_needed[:, place + 1] |= goes_on & (side != 1)
            is_needed[g, two] |= goes_on & (side != 0)
        is_step = is_needed & (read.kind >= 0)
        nth = is_step[:, ::-1].cumsum(axis=1)[:, ::-1] - 1  # inner operations stand further right
        steps = np.full((n_rows, n), -1, dtype=np.int32)
        rows, columns = np.nonzero(is_step)
        steps[rows, nth[rows, columns]] = columns
        return np.broadcast_to(steps[:, None], (*at.shape, n))[:, :, : self.largest_hop]

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """Any operation."""
        words = np.arange(self.n_words)
        is_operation: Mask = (words >= self.params.modulus) & (words < self._n_before)
        return np.broadcast_to(is_operation, (len(tokens), self.n_words))

    def chance(self, hop: int) -> float:
        """The likeliest value if the number of operations, the outermost, and those of its operands are known."""
        p, operations = self.params.modulus, self.params.operations
        right, n = 0.0, 0.0
        for length in self.hops:
            for zero, other in outermost(p, operations, length):
                if hop <= length:
                    right += float(max(zero[hop], other[hop] / (p - 1))) / length
                    n += float(zero[hop] + other[hop]) / length
        return right / n

    def partial_input(self, hop: int) -> float:
        """One operation hidden, the first, the last or one between; measured, with a margin."""
        return max(self.chance(hop), _measured(self.params.model_dump_json(), self.hops, self.largest_hop, hop))


@cache
def _measured(params: str, hops: tuple[int, ...], largest_hop: int, hop: int) -> float:
    family = Mano(ManoParams.model_validate_json(params), hops, largest_hop=largest_hop)
    return measured_ceiling(family, hop, _N_MEASURED, ("mano", "hidden"))
