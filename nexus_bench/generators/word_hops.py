"""Look-ups among words of several tokens: facts in any order, then questions that are answered token by token.

Axis letters: g sequences, w words, l letters of a word, f facts, a questions, v variants, n places.
"""

from abc import abstractmethod
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from nexus_bench.errors import ConfigError
from nexus_bench.generators.base import FamilyParams
from nexus_bench.generators.parts.hidden_facts import HiddenFact, hidden_in, moved_round
from nexus_bench.generators.parts.hidden_tokens import measured_ceiling
from nexus_bench.generators.parts.hidden_words import share_of_the_commonest
from nexus_bench.generators.parts.patterns import ALL
from nexus_bench.generators.parts.spelled_words import NO_LETTER, draw_words, lay_out, n_spellings, spelled
from nexus_bench.generators.parts.word_reader import ParsedWords, parse_words
from nexus_bench.generators.sequences import NOTHING, Labels, SequenceBatch, SequenceFamily
from nexus_bench.streams import Int, Mask, integers, stream

_MOST_COMPARED = 2**24  # pairs of words, for the ceilings
_MOST_MEASURED, _MOST_HIDDEN = 2_000, 300  # sequences, without and with a hidden fact
_SIGMAS = 4  # standard errors that ceilings are declared above what was measured
_MOST_BITS = 61  # of the number of a spelling


class WordHopsParams(FamilyParams):
    """The words and the questions; a family adds the size of its graph."""

    n_asked: int = Field(ge=1, le=1_000, description="Questions of a sequence, each of another word.")
    n_letters: int = Field(ge=1, le=1_000, description="Letters; words end with a letter of as many others.")
    min_letters: int = Field(ge=1, le=16, description="Letters of the shortest word.")
    max_letters: int = Field(ge=1, le=16, description="Letters of the longest word; every length is as likely.")


class WordGraph(NamedTuple):
    """Facts and questions about words that are numbered.

    Attributes:
        n_words: Array (g), words of each sequence, numbered from 0.
        facts: Array (g, f, 2), from which word to which; -1 where there are fewer facts.
        start: Array (g, a), the words that are asked about; all different.
        k: Array (g, a), how far.
        end: Array (g, a), the answers.
        hop: Array (g, a), the fewest look-ups, among the facts and the questions before; 0 for none.
    """

    n_words: Int
    facts: Int
    start: Int
    k: Int
    end: Int
    hop: Int


ParamsT = TypeVar("ParamsT", bound=WordHopsParams)


class WordHops(SequenceFamily[ParamsT]):
    """A family of facts about words: `begin`, the facts, then each question: k, a word, `answer`, the answer.

    An answer of several tokens is said one after the other, each with those before it given. A label takes as many
    look-ups as lead from the word asked about to the answer, unless all other words of the sequence that begin as the
    answer does so far go on in the same way: then it takes one look-up, of any such word. Facts can be followed either
    way round, and questions answered before are facts too.

    Args:
        params: The family's parameters.
        hops: What k may be, and the hop counts of labels; a place whose label takes another number has none.
        largest_hop: As in `Generator`.
        patterns: As in `Generator`.

    Raises:
        ConfigError: There are too few words for the graph, or the parameters contradict each other.
    """

    says_hop = True
    most_words: int  # of a sequence
    fewest_words: int
    is_crowded = False  # whether the hop count says much of a graph, so that hiding a fact must be measured

    def __init__(
        self, params: ParamsT, hops: tuple[int, ...], *, largest_hop: int | None = None, patterns: str = ALL
    ) -> None:
        if params.min_letters > params.max_letters:
            raise ConfigError(
                f"{self.name}: min_letters must be at most max_letters, {params.max_letters}, got {params.min_letters}"
            )
        if params.max_letters * np.log2(2 * params.n_letters + 1) + np.log2(10_000) > _MOST_BITS:
            raise ConfigError(f"{self.name}: words are too long; lower max_letters or n_letters")
        super().__init__(params, hops, largest_hop=largest_hop, patterns=patterns)
        if self._n_spellings < 2 * self.most_words:
            raise ConfigError(
                f"{self.name}: there are {self._n_spellings} words, and {self.most_words} of a sequence need twice as "
                "many; raise n_letters or max_letters"
            )

    @abstractmethod
    def draw_graph(self, n_sequences: int, rng: np.random.Generator) -> WordGraph:
        """Facts and questions of a batch."""

    @abstractmethod
    def n_possible(self, graph: WordGraph, n_known: int | None) -> Int:
        """How many words the answers could be to a reader of so many facts of the derivation: array (g, a).

        Args:
            graph: The graphs.
            n_known: Facts that are known; None if also nothing is known of where words stand in the graph.
        """

    @abstractmethod
    def could_lead(self, hidden: HiddenFact) -> Mask:
        """The facts whose second word the hidden fact could have, to a reader of the known ones: array (g, f)."""

    @abstractmethod
    def exchanged(self, hidden: HiddenFact, variant: int) -> Int:
        """The facts whose second words move round, so that the hidden fact, the first, has that of a variant."""

    @property
    @abstractmethod
    def n_edges(self) -> tuple[int, int]:
        """Facts of the smallest and of the largest graph."""

    @property
    def _n_spellings(self) -> int:
        return n_spellings(self.params.n_letters, self.params.min_letters, self.params.max_letters)

    @property
    def n_words(self) -> int:
        """Letters, letters that end a word, a token for each k, `begin` and `answer`."""
        return self.n_labels + self.largest_hop + 2

    @property
    def n_labels(self) -> int:
        """Letters, and those that end a word."""
        return 2 * self.params.n_letters

    @property
    def most_labels(self) -> int:
        """The letters of the answers."""
        return self.params.n_asked * self.params.max_letters

    @property
    def n_facts(self) -> int:
        """With the longest words."""
        return self._n_tokens(self.n_edges[1], self.params.max_letters)

    @property
    def min_length(self) -> int:
        """With the shortest words."""
        return self._n_tokens(self.n_edges[0], self.params.min_letters)

    def _n_tokens(self, n_edges: int, n_letters: int) -> int:
        return 1 + 2 * n_edges * n_letters + 2 * self.params.n_asked * (1 + n_letters)

    def symbol(self, vocabulary: str, index: int) -> str:
        """A letter is a number, with a full stop where it ends a word; `k=3` says how far."""
        n = self.params.n_letters
        if index < 2 * n:
            return f"{index % n}{'.' if index >= n else ''}"
        return f"k={index - 2 * n + 1}" if index < self.n_words - 2 else ("begin", "answer")[index - self.n_words + 2]

    def draw(self, n_sequences: int, rng: np.random.Generator) -> SequenceBatch:
        """Words and a graph of them, set one after the other."""
        words, graph = self._words(n_sequences, rng), self.draw_graph(n_sequences, rng)
        asked, answer = (spelled(words, number) for number in (graph.start, graph.end))
        g, n_asked, n_letters = answer.shape
        facts = spelled(words, graph.facts.reshape(g, -1)).reshape(g, -1)
        one = np.ones((g, n_asked, 1), dtype=np.int32)
        questions = np.concatenate(
            [self.n_labels - 1 + graph.k[:, :, None], asked, one * (self.n_words - 1), answer], axis=2
        )
        label, hop = np.full_like(questions, NOTHING), np.zeros_like(questions)
        label[:, :, -n_letters - 1 : -1] = answer
        hop[:, :, -n_letters - 1 : -1] = self._hops(words, graph)
        hop[(label == NOTHING) | ~np.isin(hop, self.hops)] = 0
        label[hop == 0] = NOTHING
        begin = np.full((g, 1), self.n_words - 2, dtype=np.int32)
        none = np.zeros((g, 1 + facts.shape[1]), dtype=np.int32)
        flat = [np.concatenate([none, array.reshape(g, -1)], axis=1) for array in (label + 1, hop)]
        pieces = np.concatenate([begin, facts, questions.reshape(g, -1)], axis=1).astype(np.int32)
        laid = lay_out(pieces, flat, self.n_facts)
        return SequenceBatch(laid.tokens, laid.beside[0] - np.int32(1), laid.beside[1], laid.length)

    def _words(self, n_sequences: int, rng: np.random.Generator) -> Int:
        p = self.params
        return draw_words(rng, n_sequences, self.most_words, p.n_letters, p.min_letters, p.max_letters)

    def _hops(self, words: Int, graph: WordGraph) -> Int:
        """The hop count of every letter of the answers: array (g, a, l)."""
        one = self._is_determined(words, graph) & (graph.hop > 0)[:, :, None]
        return np.where(one, np.int32(1), graph.hop[:, :, None])

    def _is_determined(self, words: Int, graph: WordGraph) -> Mask:
        """Whether all other words that begin so go on as the answer does: array (g, a, l)."""
        number = np.arange(self.most_words)
        begins = (number < graph.n_words[:, None])[:, None, :] & (number != graph.start[:, :, None])  # g a w
        answer, is_alone = spelled(words, graph.end), []
        for letter in range(words.shape[2]):
            before = begins
            begins = begins & (words[:, None, :, letter] == answer[:, :, None, letter])
            is_alone.append(begins.sum(axis=2) == before.sum(axis=2))
        return np.stack(is_alone, axis=2)

    def derive(self, tokens: Int, length: Int) -> Labels:
        """Read the words, follow the facts from the word asked about, and search for the fewest look-ups."""
        return Labels(*self._read(tokens).labels(tokens, self.hops))

    def places(self, tokens: Int, length: Int, at: Int) -> Int:
        """Of each fact, the end of the word that it gives; of a word that begins so, the token that was given last."""
        return self._read(tokens).places(at, self.largest_hop)

    def _read(self, tokens: Int) -> ParsedWords:
        return parse_words(
            tokens, n_letters=self.params.n_letters, longest=self.params.max_letters, n_k=self.largest_hop
        )

    def variants(self, tokens: Int, length: Int, steps: Int, step: int) -> Mask:
        """The facts whose second word the hidden fact could have; none of other tokens, which stand there twice."""
        hidden = hidden_in(self._read(tokens), steps, step)
        may = self.could_lead(hidden)
        may[hidden.fact < 0] = False
        return may

    def put(self, tokens: Int, length: Int, steps: Int, step: int, variant: int) -> Int:
        """Exchange second words of facts."""
        found, changed = self._read(tokens), tokens.copy()
        hidden = hidden_in(found, steps, step)
        rows = np.flatnonzero(hidden.fact != variant)
        facts = self.exchanged(hidden, variant)[rows]
        changed[rows] = moved_round(tokens[rows], ParsedWords(*(array[rows] for array in found)), facts)
        return changed

    def chance(self, hop: int) -> float:
        """The commonest next letter among the words that can be the answer and begin so, measured with a margin."""
        return self._ceilings(hop)[0]

    def partial_input(self, hop: int) -> float:
        """The same, of the words that the other look-ups leave: each excludes two at most."""
        return self._ceilings(hop)[1]

    def _ceilings(self, hop: int) -> tuple[float, float]:
        return _measured(type(self), self.params.model_dump_json(), self.hops, self.largest_hop, hop)

    def measure(self, hop: int) -> tuple[float, float]:
        """Both ceilings of a hop count, on as many sequences as are cheap."""
        n_compared = self.params.n_asked * self.most_words * (self.most_words + self.n_labels)
        n, rng = min(_MOST_MEASURED, 1 + _MOST_COMPARED // n_compared), stream(self.name, "ceilings", hop)
        words, graph = self._words(n, rng), self.draw_graph(n, rng)
        hops = np.where(spelled(words, graph.end) == NO_LETTER, 0, self._hops(words, graph))
        alone, found = self._is_determined(words, graph), []
        for n_known in (None, hop - 1):
            n_left = self.n_possible(graph, n_known)
            share = share_of_the_commonest(words, graph.n_words, graph.start, graph.end, n_left, True, rng)
            rights = [share[(hops == hop) & ~alone]]
            if hop == 1:  # where a word that begins so tells the letter, it is guessed from all words
                blind = share_of_the_commonest(words, graph.n_words, graph.start, graph.end, n_left, False, rng)
                rights.append(np.where(alone, blind, share)[hops == hop])
            right = [float(of.mean() + _SIGMAS * of.std() / len(of) ** 0.5) for of in rights if len(of)]
            found.append(min(1.0, max(right, default=1.0)))
        return found[0], max(found)

    def measure_hidden(self, hop: int) -> float:
        """What hiding a fact leaves to a reader of all others.

        Tokens at both ends and in the middle of the derivation are hidden, one at a time; the easiest one counts.
        """
        return measured_ceiling(self, hop, _MOST_HIDDEN, (self.name, "hidden", hop), if_none=0.0)


@cache
def _measured(
    family: type[WordHops[Any]], params: str, hops: tuple[int, ...], largest_hop: int, hop: int
) -> tuple[float, float]:
    made = family(family.Params.model_validate_json(params), tuple(sorted({*hops, hop})), largest_hop=largest_hop)
    chance, partial = made.measure(hop)
    return chance, max(partial, made.measure_hidden(hop) if made.is_crowded else 0.0)


def deal_k(hops: tuple[int, ...], n_sequences: int, n_asked: int, rng: np.random.Generator) -> Int:
    """How far each question asks, as evenly distributed as possible: array (g, a)."""
    dealt = integers(rng, n_sequences, 1, high=len(hops)) + np.arange(n_asked, dtype=np.int32)
    k: Int = np.array(hops, dtype=np.int32)[dealt % len(hops)]
    return k
