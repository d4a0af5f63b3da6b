"""Facts about words, one of which is hidden: where others could lead instead, and the streams that say so.

Axis letters: g sequences, f facts, h hops, e words of facts, n places.
"""

from typing import NamedTuple

import numpy as np

from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.spelled_words import NO_LETTER
from nexus_bench.generators.parts.word_reader import ParsedWords
from nexus_bench.streams import Int, Mask


class HiddenFact(NamedTuple):
    """What a reader of a derivation knows of the facts.

    Attributes:
        fact: Array (g), the fact that is hidden; -1 if what is hidden is no fact.
        is_known: Array (g, f), the other facts of the derivation.
        is_there: Array (g, f), facts that the sequence has.
        into: Array (g, f), the fact that leads to where each fact begins; -1 for none.
    """

    fact: Int
    is_known: Mask
    is_there: Mask
    into: Int

    def entered(self) -> Int:
        """The fact that leads to the first of the words from which known facts lead to the hidden one: array (g)."""
        fact = self._into(self.fact)
        for _ in range(self.into.shape[1]):
            is_known = (fact >= 0) & look_up(self.is_known.astype(np.int32), np.maximum(fact, 0)[:, None])[:, 0].astype(
                np.bool_
            )
            if not is_known.any():
                break
            fact = np.where(is_known, self._into(fact), fact)
        return fact

    def depth(self) -> Int:
        """How many facts lead to each from the beginning of a chain: array (g, f)."""
        depth, fact = np.zeros_like(self.into), self.into
        for _ in range(self.into.shape[1]):
            if (fact < 0).all():
                break
            depth += fact >= 0
            fact = np.where(fact >= 0, look_up(self.into, np.maximum(fact, 0)), -1)
        return depth

    def _into(self, fact: Int) -> Int:
        return np.where(fact >= 0, look_up(self.into, np.maximum(fact, 0)[:, None])[:, 0], -1)


def hidden_in(found: ParsedWords, steps: Int, step: int) -> HiddenFact:
    """What is hidden, and what is known, if one token of a derivation is hidden.

    Args:
        found: The streams as they were read.
        steps: Array (g, h), the places of the derivation; -1 after the last.
        step: Which of them is hidden.
    """
    is_place = (found.fact_end[:, :, None] == steps[:, None, :]) & (found.fact_end >= 0)[:, :, None]  # g e h
    of_fact = is_place[:, 0::2] | is_place[:, 1::2]
    fact = np.where(of_fact[:, :, step].any(axis=1), of_fact[:, :, step].argmax(axis=1), -1).astype(np.int32)
    n_facts = of_fact.shape[1]
    is_known = np.delete(of_fact, step, axis=2).any(axis=2)
    one = look_up(found.number, np.broadcast_to(np.arange(0, 2 * n_facts, 2), is_known.shape))
    prior = np.where(one >= 0, look_up(found.before, np.maximum(one, 0)), -1)
    word = np.where(prior >= 0, look_up(found.word_from, np.maximum(prior, 0)), -1)
    into = np.where(word >= 0, word // 2, -1).astype(np.int32)
    return HiddenFact(fact, is_known, found.fact_end[:, 0::2] >= 0, into)


def moved_round(tokens: Int, found: ParsedWords, facts: Int) -> Int:
    """The streams in which each of some facts leads to where the next of them led, and the last to where the first did.

    Args:
        tokens: Array (g, n).
        found: The same streams as they were read.
        facts: Array (g, m), different facts.
    """
    n_words = found.fact_end.shape[1]
    word = np.broadcast_to(np.arange(n_words, dtype=np.int32), (len(tokens), n_words)).copy()
    g = np.arange(len(tokens))[:, None]
    word[g, 2 * facts + 1] = 2 * np.roll(facts, -1, axis=1) + 1
    letters = found.letters[:, :n_words][g, word]  # g e l
    place = np.arange(tokens.shape[1])
    is_fact = (place >= found.fact_start[:, :1]) & (place <= found.fact_end.max(axis=1)[:, None])
    changed = tokens.copy()
    changed[is_fact] = letters[letters != NO_LETTER]
    return changed
