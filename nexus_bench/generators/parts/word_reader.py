"""Facts and questions about words, read from a stream of tokens and answered: by search, place by place.

Axis letters: g sequences, n places, e ends of words, x nodes, a questions, l letters, h hops.
"""

from typing import NamedTuple

import numpy as np

from nexus_bench.generators.parts.facts import look_up
from nexus_bench.generators.parts.sequences import NOTHING
from nexus_bench.generators.parts.spelled_words import NO_LETTER, is_last_letter, keys_of
from nexus_bench.streams import Int, Mask

_FAR = 1 << 20  # a distance that is never walked


class ParsedWords(NamedTuple):
    """The facts and questions that a stream of tokens states.

    Attributes:
        fact_start: Array (g, e), where the words of the facts begin, in order: from, to, from, to; -1 after the last.
        fact_end: Array (g, e), where they end.
        number: Array (g, e), the node of each word: the number of the first word of facts that is spelled so.
        after: Array (g, x), the node that a fact leads to from each node; -1 for none.
        before: Array (g, x), the node that leads to each.
        word_from: Array (g, x), which of the words of facts is each node where a fact leads from it; -1 for none.
        letters: Array (g, x, l), how a node is spelled.
        first: Array (g, x), where a node is first written; -1 if the sequence has fewer.
        asked: Array (g, a), the node that is asked about, -1 if no fact has it.
        asked_end: Array (g, a), where its word ends.
        k: Array (g, a); 0 where there are fewer questions.
        answer_at: Array (g, a), the place of the token that asks for the answer; -1 if there is none.
    """

    fact_start: Int
    fact_end: Int
    number: Int
    after: Int
    before: Int
    word_from: Int
    letters: Int
    first: Int
    asked: Int
    asked_end: Int
    k: Int
    answer_at: Int

    def ends(self) -> Int:
        """The answers, as nodes: array (g, a), -1 for none."""
        node = np.where(self.k > 0, self.asked, -1)
        for step in range(int(self.k.max(initial=0))):
            node = np.where(step < self.k, _step(self.after, node), node)
        return node

    def labels(self, tokens: Int, hops: tuple[int, ...]) -> tuple[Int, Int]:
        """Labels and hop counts of every place: two arrays (g, n)."""
        end = self.ends()
        label, hop = np.full_like(tokens, NOTHING), np.zeros_like(tokens)
        begins, answer = self._begins(end)
        given = end >= 0
        n = tokens.shape[1]
        for question in range(end.shape[1]):
            far = look_up(self.distances(question, end, max(hops)), np.maximum(end[:, question, None], 0))[:, 0]
            is_so = given[:, question] & (self.answer_at[:, question] >= 0) & (far > 0)
            for letter in range(answer.shape[2]):
                at = self.answer_at[:, question] + letter
                said = answer[:, question, letter]
                alone = begins[letter + 1][:, question].sum(axis=1) == begins[letter][:, question].sum(axis=1)
                count = np.where(alone, 1, far)
                rows = np.flatnonzero(is_so & (said != NO_LETTER) & (at < n) & np.isin(count, hops))
                label[rows, at[rows]], hop[rows, at[rows]] = said[rows], count[rows]
                following = tokens[np.arange(len(tokens)), np.minimum(at + 1, n - 1)]
                is_so = is_so & (at + 1 < n) & (following == said)
        return label, hop

    def _begins(self, end: Int) -> tuple[list[Mask], Int]:
        """For 0, 1, ... letters, which nodes but the one asked about begin as the answer does (g, a, x); the answer."""
        n_nodes = self.after.shape[1]
        row = np.arange(len(end))[:, None]
        answer = np.where((end >= 0)[:, :, None], self.letters[row, np.maximum(end, 0)], NO_LETTER)
        masks = [(self.first >= 0)[:, None, :] & (np.arange(n_nodes) != self.asked[:, :, None])]
        for letter in range(answer.shape[2]):
            masks.append(masks[-1] & (self.letters[:, None, :, letter] == answer[:, :, None, letter]))
        return masks, answer

    def distances(self, question: int, end: Int, most: int) -> Int:
        """The fewest look-ups from what a question asks about to every node: array (g, x).

        Look-ups are facts, forwards or backwards, and questions before this one, which were answered.

        Args:
            question: Its number.
            end: From `ends`.
            most: Longer ways are not searched for.
        """
        far = np.full_like(self.after, _FAR)
        g = np.arange(len(far))
        rows = np.flatnonzero(self.asked[:, question] >= 0)
        far[rows, self.asked[rows, question]] = 0
        for step in range(1, most + 1):
            there = far == step - 1
            reached = _of(there, self.before) | _of(there, self.after)
            for other in range(question):
                one, two = self.asked[:, other], end[:, other]
                for here, goes in ((one, two), (two, one)):
                    known = (here >= 0) & (goes >= 0) & (self.answer_at[:, other] >= 0)
                    known &= there[g, np.maximum(here, 0)]
                    reached[known, goes[known]] = True
            far[reached & (far == _FAR)] = step
        return far

    def places(self, at: Int, most: int) -> Int:
        """The places that are read for the labels at some places (g, q): array (g, q, h), -1 after the last."""
        end = self.ends()
        begins, answer = self._begins(end)
        g = np.arange(len(at))
        found = np.full((*at.shape, most), -1, dtype=np.int32)
        for question in range(end.shape[1]):
            way = self._way(question, end, most)
            for letter in range(answer.shape[2]):
                before, mask = begins[letter][:, question], begins[letter + 1][:, question]
                alone = mask.sum(axis=1) == before.sum(axis=1)
                word = self.first[g, mask.argmax(axis=1)] + max(letter - 1, 0)
                rows = np.full_like(way, -1)
                rows[:, 0] = word
                rows = np.where(alone[:, None], rows, way)
                here = (at == (self.answer_at[:, question] + letter)[:, None]) & (
                    self.answer_at[:, question, None] >= 0
                )
                here &= (answer[:, question, letter] != NO_LETTER)[:, None]
                found = np.where(here[:, :, None], rows[:, None, :], found)
        return found

    def _way(self, question: int, end: Int, most: int) -> Int:
        """The places that a shortest way to the answer reads, in order: array (g, h)."""
        far = self.distances(question, end, most)
        node = end[:, question]
        left = np.where(node >= 0, far[np.arange(len(far)), np.maximum(node, 0)], 0)
        left[left > most] = 0
        rows = np.full((len(far), most), -1, dtype=np.int32)
        g = np.arange(len(far))
        for _ in range(most):
            ways: list[tuple[Int, Int]] = []  # the node before, and the place that leads on from there
            prior = _step(self.before, node[:, None])[:, 0]
            ways.append((prior, self._fact_end(prior, 1)))
            later = _step(self.after, node[:, None])[:, 0]
            ways.append((later, self._fact_end(node, 0)))
            for other in range(question):
                one, two = self.asked[:, other], end[:, other]
                n_said = (self.letters[g, np.maximum(two, 0)] != NO_LETTER).sum(axis=1, dtype=np.int32)
                ways.append((np.where(two == node, one, -1), self.answer_at[:, other] + n_said))
                ways.append((np.where(one == node, two, -1), self.asked_end[:, other]))
            is_open = left > 0
            for prior, place in ways:
                goes = is_open & (prior >= 0) & (far[g, np.maximum(prior, 0)] == left - 1)
                rows[g[goes], left[goes] - 1] = place[goes]
                node = np.where(goes, prior, node)
                is_open = is_open & ~goes
            left = np.where((left > 0) & ~is_open, left - 1, 0)
        return rows

    def _fact_end(self, node: Int, side: int) -> Int:
        """Where a word of the fact that leads from each node (g) ends: from (0) or to (1)."""
        which = np.where(node >= 0, look_up(self.word_from, np.maximum(node, 0)[:, None])[:, 0], 0)
        found: Int = look_up(self.fact_end, np.clip(which + side, 0, self.fact_end.shape[1] - 1)[:, None])[:, 0]
        return found


def parse_words(tokens: Int, *, n_letters: int, longest: int, n_k: int) -> ParsedWords:
    """Read a stream: a token, facts of two words each, then questions: a token for k, a word, a token, the answer.

    Args:
        tokens: Array (g, n); -1 after the end.
        n_letters: Letters; as many others end a word, then come a token for each k, `begin`, and `answer`.
        longest: Letters of the longest word.
        n_k: How many k there are.
    """
    n_rows, n = tokens.shape
    place = np.arange(n, dtype=np.int32)
    is_plain = (tokens >= 0) & (tokens < n_letters)
    is_k = (tokens >= 2 * n_letters) & (tokens < 2 * n_letters + n_k)
    n_asked = is_k.cumsum(axis=1, dtype=np.int32)
    goes_on = np.zeros_like(is_plain)
    goes_on[:, 1:] = is_plain[:, :-1]
    start = np.maximum.accumulate(np.where(goes_on, 0, place), axis=1)
    ends = is_last_letter(tokens, n_letters)

    fact_end = _listed(ends & (n_asked == 0))
    n_paired = (fact_end >= 0).sum(axis=1) // 2 * 2
    fact_end[np.arange(fact_end.shape[1]) >= n_paired[:, None]] = -1
    fact_start = np.where(fact_end >= 0, look_up(start, np.maximum(fact_end, 0)), -1)
    spelled = _letters(tokens, fact_start, fact_end, longest)
    k_at = _listed(is_k)
    asked_end, answer_at = np.full_like(k_at, -1), np.full_like(k_at, -1)
    is_answer = tokens == 2 * n_letters + n_k + 1
    for question in range(k_at.shape[1]):
        of = n_asked == question + 1
        answer_at[:, question] = np.where((of & is_answer).any(axis=1), (of & is_answer).argmax(axis=1), -1)
        word = of & ends & (place < answer_at[:, question, None])
        asked_end[:, question] = np.where(word.any(axis=1), n - 1 - word[:, ::-1].argmax(axis=1), -1)
    asked_start = np.where(asked_end >= 0, look_up(start, np.maximum(asked_end, 0)), -1)
    asked_letters = _letters(tokens, asked_start, asked_end, longest)

    keys = np.concatenate([keys_of(letters, n_letters) for letters in (spelled, asked_letters)], axis=1)
    n_of_facts, n_nodes = fact_end.shape[1], keys.shape[1]
    first_of = np.empty(keys.shape, dtype=np.int32)  # the number of the first word that is spelled so
    order = keys.argsort(axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    is_new = np.ones_like(ordered, dtype=np.bool_)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    at_new = np.maximum.accumulate(np.where(is_new, np.arange(n_nodes), 0), axis=1)
    np.put_along_axis(first_of, order, np.take_along_axis(order, at_new, axis=1).astype(np.int32), axis=1)

    here = np.concatenate([fact_end, asked_end], axis=1) >= 0
    one, two = first_of[:, 0:n_of_facts:2], first_of[:, 1:n_of_facts:2]
    after, before, word_from = (np.full((n_rows, n_nodes), -1, dtype=np.int32) for _ in range(3))
    row, fact = np.nonzero(here[:, 1:n_of_facts:2])
    after[row, one[row, fact]] = two[row, fact]
    before[row, two[row, fact]] = one[row, fact]
    word_from[row, one[row, fact]] = 2 * fact
    is_node = here & (first_of == np.arange(n_nodes)) & (np.arange(n_nodes) < n_of_facts)
    first = np.where(is_node, np.pad(fact_start, ((0, 0), (0, n_nodes - n_of_facts)), constant_values=-1), -1)
    letters = np.concatenate([spelled, asked_letters], axis=1)
    asked = np.where((asked_end >= 0) & (first_of[:, n_of_facts:] < n_of_facts), first_of[:, n_of_facts:], -1)
    k = np.where(k_at >= 0, look_up(tokens, np.maximum(k_at, 0)) - np.int32(2 * n_letters - 1), 0)
    number = np.where(fact_end >= 0, first_of[:, :n_of_facts], -1)
    return ParsedWords(
        fact_start, fact_end, number, after, before, word_from, letters, first, asked, asked_end, k, answer_at
    )


def _listed(is_there: Mask) -> Int:
    """The places where it is so, in order: array (g, most), -1 after the last."""
    count = is_there.sum(axis=1)
    places = np.full((len(is_there), max(2, int(count.max(initial=0)))), -1, dtype=np.int32)
    places[np.arange(places.shape[1]) < count[:, None]] = np.nonzero(is_there)[1]
    return places


def _letters(tokens: Int, start: Int, end: Int, longest: int) -> Int:
    """How the words from start to end (g, x) are spelled: array (g, x, l)."""
    letter = np.arange(longest, dtype=np.int32)
    at = start[:, :, None] + letter
    is_there = (at <= end[:, :, None]) & (start >= 0)[:, :, None]
    flat = look_up(tokens, np.clip(at, 0, tokens.shape[1] - 1).reshape(len(at), at.shape[1] * longest)).reshape(
        at.shape
    )
    return np.where(is_there, flat, NO_LETTER)


def _step(table: Int, node: Int) -> Int:
    return np.where(node >= 0, look_up(table, np.maximum(node, 0)), -1)


def _of(there: Mask, table: Int) -> Mask:
    """Whether it is so of the node that a table leads to from each."""
    found: Mask = there.ravel().take(np.maximum(table, 0) + np.arange(0, there.size, there.shape[1])[:, None])
    return found & (table >= 0)
