"""The contract of a family of sequences: a stream of tokens, a label or none at every place, and lengths that differ.

Axis letters: g sequences, n places, q places that are asked about, h hops, w words.
"""

from abc import abstractmethod
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import Examples, FamilyParams, Generator, Role, Schema, Solution
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.parts.returned_values import integers_of, must_be
from nexus_bench.generators.parts.sequences import NOTHING as NOTHING
from nexus_bench.streams import Int, Mask, integers


class SequenceParams(FamilyParams):
    """Parameters of a family of sequences whose length is chosen; a family adds its own.

    Where the length follows from other sizes, parameters derive from `FamilyParams`, and the family defines `n_facts`,
    `min_length` and `sized_by`.
    """

    n_tokens: int = Field(ge=2, le=100_000, description="Tokens of the longest sequence.")
    min_tokens: int | None = Field(
        ge=2, le=100_000, description="Tokens of the shortest; every length is as likely. Null: all have n_tokens."
    )

    def advice_for_length(self, least: int) -> str:
        """What an error message tells the user to change where the shortest sequence needs so many tokens."""
        if self.min_tokens is None:
            return f"raise n_tokens to {least}"
        both = "n_tokens and min_tokens" if least > self.n_tokens else "min_tokens"
        return f"raise {both} to {least}"


class Labels(NamedTuple):
    """The labels of sequences.

    Attributes:
        label: Array (g, n) of class ids; NOTHING where a place has no label.
        hop: Array (g, n), the true number of hops that derive each label; 0 where there is none.
    """

    label: Int
    hop: Int


class SequenceBatch(NamedTuple):
    """Sequences as a family draws them; what stands after the end of a sequence does not matter.

    Attributes:
        tokens: Array (g, n) of words.
        label: As in `Labels`.
        hop: As in `Labels`.
        length: Array (g), tokens of each sequence.
    """

    tokens: Int
    label: Int
    hop: Int
    length: Int


ParamsT = TypeVar("ParamsT", bound=FamilyParams)


class SequenceFamily(Generator[ParamsT]):
    """A family of sequences: draws whole batches, labels them again, and declares what can be guessed.

    Models read it as one causal stream, and answer at every place that has a label. To the rest of the package a
    sequence is a graph whose facts are its tokens in their order, with a query without roles for every token.

    Args:
        params: The family's parameters.
        hops: The hop counts of the labels, each 1 or more; a place whose label takes another number has none.
        largest_hop: As in `Generator`.
        patterns: As in `Generator`.

    Raises:
        ConfigError: A hop count is out of range for the length, or the shortest sequence is longer than the longest.
    """

    sized_by: ClassVar[str | None] = "n_tokens"
    needs_all_tokens: ClassVar[bool] = False  # whether labels need most tokens, so that counting them is no mere guess

    def __init__(
        self, params: ParamsT, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        if isinstance(params, SequenceParams) and (params.min_tokens or 0) > params.n_tokens:
            raise ConfigError(
                f"{self.name}: min_tokens must be at most n_tokens, {params.n_tokens}, got {params.min_tokens}"
            )
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)

    @property
    @abstractmethod
    def n_words(self) -> int:
        """Different tokens; their ids run from 0."""

    @property
    @abstractmethod
    def n_labels(self) -> int:
        """Different labels; their ids run from 0."""

    @property
    def most_labels(self) -> int:
        """Places of a sequence that have a label, at most. Training reads so many, so fewer than all make it faster."""
        return self.n_facts

    @abstractmethod
    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Draw a batch, as `Generator.sample` must."""

    @abstractmethod
    def derive(self, tokens: Int, length: Int) -> Labels:
        """Label every place again from the tokens alone, sharing no code with `draw`.

        Args:
            tokens: Array (g, n), NOTHING after the end; words are in range, but may be in an order never drawn.
            length: Array (g).
        """

    @abstractmethod
    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """The places whose tokens derive the labels at some places, in the order of the reasoning.

        Args:
            tokens: As in `derive`.
            length: As in `derive`.
            at: Array (g, q), the places of the labels.

        Returns:
            Array (g, q, h) of places; -1 after the last. A look-up that finds nothing counts as a hop and has no place.
        """

    def could_be(self, tokens: Int, length: Int, at: Int) -> Mask:
        """The words that a hidden token could be: all equally likely if every other token is known.

        Args:
            tokens: As in `derive`.
            length: As in `derive`.
            at: Array (g), the place of the hidden token, which a derivation uses.

        Returns:
            Array (g, w). The default is every word.
        """
        return np.ones((len(tokens), self.n_words), dtype=np.bool_)

    def variants(self, tokens: Int, length: Int, steps: Int, step: int) -> Mask:
        """What could stand where one fact of a derivation is hidden: all equally likely to a reader of the others.

        A family whose facts have several tokens defines this and `put`. By default a fact is a token, and its variants
        are the words of `could_be`.

        Args:
            tokens: As in `derive`.
            length: As in `derive`.
            steps: Array (g, h), the places of the derivation, from `places`.
            step: Which of them is hidden; it has one.

        Returns:
            Array (g, v), what stands there among them. No variant at all says that nothing is hidden here, since the
            sequence tells it twice.
        """
        return self.could_be(tokens, length, steps[:, step])

    def put(self, tokens: Int, length: Int, steps: Int, step: int, variant: int) -> Int:
        """The sequences with a variant in the place of what is hidden; lengths and the place of the label remain.

        Args:
            tokens: As in `variants`, of rows that have the variant.
            length: As in `variants`.
            steps: As in `variants`.
            step: As in `variants`.
            variant: Its number.

        Returns:
            Array (g, n).
        """
        changed = tokens.copy()
        changed[np.arange(len(tokens)), steps[:, step]] = variant
        return changed

    @property
    def hides_whole_facts(self) -> bool:
        """Whether facts have several tokens, so that `variants` and `put` are the family's own."""
        return type(self).put is not SequenceFamily.put

    @property
    def min_length(self) -> int:
        """Tokens of the shortest sequence."""
        return self._lengths.min_tokens or self._lengths.n_tokens

    @property
    def schema(self) -> Schema:
        """A token is a word; labels are a vocabulary of their own."""
        return Schema((Role("token", "word"),), (), "label", {"word": self.n_words, "label": self.n_labels})

    @property
    def n_facts(self) -> int:
        """Tokens of the longest sequence."""
        return self._lengths.n_tokens

    @property
    def _lengths(self) -> SequenceParams:
        if not isinstance(self.params, SequenceParams):
            raise NotImplementedError(f"{self.name}: define n_facts and min_length, or derive from SequenceParams")
        return self.params

    def sample(self, n_graphs: int, rng: np.random.Generator) -> Examples:
        """Sequences as examples: NOTHING after the end of each.

        Raises:
            ConfigError: `draw` returns something else than it must.
        """
        drawn, shape = must_be(self.name, "draw", self.draw(n_graphs, rng), SequenceBatch), (n_graphs, self.n_facts)
        for field, array in drawn._asdict().items():
            integers_of(self.name, f"{field} of `draw`", array, shape[:1] if field == "length" else shape)
        is_there = np.arange(self.n_facts) < drawn.length[:, None]
        tokens, label = (np.where(is_there, array, NOTHING).astype(np.int32) for array in (drawn.tokens, drawn.label))
        query = np.empty((n_graphs, self.n_facts, 0), dtype=np.int32)
        return Examples(tokens[:, :, None], query, label, np.where(is_there, drawn.hop, 0).astype(np.int32))

    def labels(self, facts: Int, query: Int) -> tuple[Int, Int]:
        """What `derive` says of every place within its sequence.

        Raises:
            ConfigError: It returns something else than it must.
        """
        tokens, length = tokens_of(facts)
        is_there = np.arange(tokens.shape[1]) < length[:, None]
        found = must_be(self.name, "derive", self.derive(tokens, length), Labels)
        for field, array in found._asdict().items():
            integers_of(self.name, f"{field} of `derive`", array, tokens.shape)
        return (
            np.where(is_there, found.label, NOTHING).astype(np.int32),
            np.where(is_there, found.hop, 0).astype(np.int32),
        )

    def solve(self, facts: Int, query: Int) -> Solution:
        """The labels, and the places that derive them.

        Raises:
            ConfigError: A method returns something else than it must, or `places` names one after the label.
        """
        label, hop = self.labels(facts, query)
        at = np.broadcast_to(np.arange(facts.shape[1], dtype=np.int32), facts.shape[:2])
        rows = np.where(hop[:, :, None] > 0, self.derivations(*tokens_of(facts), at), -1)
        last = rows.max(axis=2, initial=-1)
        is_late = last > at
        if is_late.any():
            row, place = (int(index) for index in np.unravel_index(int(is_late.argmax()), at.shape))
            raise ConfigError(
                f"{self.name}: {self.schema.at(row, place)}: `places` names place {last[row, place]}, after the label; "
                "a causal model has not read it"
            )
        return Solution(label, hop, rows.astype(np.int32))

    def derivations(self, tokens: Int, length: Int, at: Int) -> Int:
        """What `places` says.

        Raises:
            ConfigError: It returns something else than it must.
        """
        return integers_of(self.name, "what `places` returns", self.places(tokens, length, at), (*at.shape, -1))

    def deal_lengths(self, n_sequences: int, rng: np.random.Generator) -> Int:
        """The length of each sequence: array (g)."""
        spare = self.n_facts - self.min_length
        return np.int32(self.min_length) + integers(rng, n_sequences, 1, high=spare + 1)[:, 0]

    def deal_hop(self, n_sequences: int, rng: np.random.Generator) -> Int:
        """A hop count for each whole sequence, as evenly distributed as possible: array (g)."""
        dealt = integers(rng, 1, 1, high=len(self.hops))[0] + np.arange(n_sequences, dtype=np.int32)
        hops: Int = np.array(self.hops, dtype=np.int32)[dealt % len(self.hops)]
        return hops


def tokens_of(facts: Int) -> tuple[Int, Int]:
    """Tokens (g, n) and lengths (g) of sequences that are given as facts (g, n, 1)."""
    tokens = facts[:, :, 0]
    return tokens, (tokens != NOTHING).sum(axis=1, dtype=np.int32)
