"""depo and hash_hop: words of several tokens, against slow solvers of another kind, and what hiding a fact leaves."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.depo import Depo
from nexus_bench.generators.parts.hidden_tokens import guess_of_one
from nexus_bench.generators.parts.spelled_words import draw_words, keys_of
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.generators.word_hops import WordHops
from nexus_bench.streams import stream
from tests.slow_solvers import agrees

SETTINGS: list[dict[str, Any]] = [
    {"task": "depo"},
    {"task": "depo", "hops": "1,3", "n_nodes": 13, "n_letters": 3, "min_letters": 2, "max_letters": 5, "n_asked": 9},
    {"task": "depo", "hops": "1-5", "n_nodes": 14, "min_nodes": 3, "n_asked": 3, "n_letters": 7, "max_letters": 3},
    {"task": "hash_hop"},
    {"task": "hash_hop", "hops": "1,3", "length": 5, "n_chains": 5, "n_letters": 2, "min_letters": 5, "max_letters": 7},
]
Words = list[tuple[int, ...]]


def family(entry: dict[str, Any]) -> WordHops[Any]:
    made = make_task(entry, where="test").generator()
    assert isinstance(made, WordHops)
    return made


def split(tokens: list[int], n_letters: int) -> Words:
    """The words of a run of letters, as the parser of the public generator cuts them."""
    words: Words = []
    word: list[int] = []
    for token in tokens:
        word.append(token)
        if token >= n_letters:
            words.append(tuple(word))
            word = []
    assert not word
    return words


def parsed(task: WordHops[Any], tokens: list[int]) -> tuple[Words, list[tuple[int, int, Words]]]:
    """Words of the facts, and for every question the place of `answer`, k, and its two words."""
    n = task.params.n_letters
    k_at = [at for at, token in enumerate(tokens) if 2 * n <= token < task.n_words - 2]
    assert tokens[0] == task.n_words - 2 and tokens.count(tokens[0]) == 1
    questions = []
    for at, end in zip(k_at, [*k_at[1:], len(tokens)], strict=True):
        answer_at = tokens.index(task.n_words - 1, at)
        words = split(tokens[at + 1 : answer_at] + tokens[answer_at + 1 : end], n)
        questions.append((answer_at, tokens[at] - 2 * n + 1, words))
    return split(tokens[1 : k_at[0]], n), questions


def by_hand(task: WordHops[Any], tokens: list[int]) -> tuple[list[int], list[int]]:
    """Labels and hops: by walking a dictionary, and by shortest paths in a graph of all pairs read so far."""
    words, questions = parsed(task, tokens)
    after = dict(zip(words[0::2], words[1::2], strict=True))
    pairs = nx.Graph(after.items())
    labels, hops = [NOTHING] * len(tokens), [0] * len(tokens)
    for at, k, (start, said) in questions:
        end = start
        for _ in range(k):
            end = after[end]
        assert said == end, "the answer that follows is right"
        n_look_ups = nx.shortest_path_length(pairs, start, end)
        for letter in range(len(end)):
            ways = {word[letter] for word in {*words} - {start} if word[:letter] == end[:letter]}
            hop = min(n_look_ups, 1) if len(ways) == 1 else n_look_ups
            if hop in task.hops:
                labels[at + letter], hops[at + letter] = end[letter], hop
        pairs.add_edge(start, end)
    return labels, hops


@pytest.mark.parametrize("entry", SETTINGS)
def test_labels_and_hops_are_those_of_a_slow_solver(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(70, stream("slow"))
    agrees(task, examples, by_hand)
    assert set(task.hops) <= set(examples.hop.ravel().tolist())


@pytest.mark.parametrize("entry", SETTINGS)
def test_the_solver_reads_as_many_places_as_hops_and_finds_the_labels(entry: dict[str, Any]) -> None:
    task = family(entry)
    examples = task.sample(40, stream("places"))
    solution = task.solve(examples.facts, examples.query)
    assert np.array_equal(solution.answer, examples.answer) and np.array_equal(solution.hop, examples.hop)
    assert np.array_equal((solution.rows >= 0).sum(axis=2), examples.hop)
    rows = np.sort(solution.rows, axis=2)
    assert not ((rows[:, :, 1:] == rows[:, :, :-1]) & (rows[:, :, 1:] >= 0)).any()


@pytest.mark.parametrize("entry", SETTINGS)
def test_facts_are_one_cycle_or_equal_chains_of_different_words(entry: dict[str, Any]) -> None:
    task = family(entry)
    sizes = set()
    for tokens in task.sample(40, stream("graphs")).facts[:, :, 0]:
        words, questions = parsed(task, [int(token) for token in tokens if token >= 0])
        graph = nx.DiGraph(list(zip(words[0::2], words[1::2], strict=True)))
        assert graph.number_of_edges() == len(words) // 2
        parts = list(nx.weakly_connected_components(graph))
        starts = [start for _, _, (start, _) in questions]
        assert len(set(starts)) == len(starts) == task.params.n_asked
        sizes.add(len(graph))
        if task.name == "depo":
            assert len(parts) == 1 and {degree for _, degree in graph.degree()} == {2}
        else:
            length = task.params.length or max(task.hops)
            assert [len(part) for part in parts] == [length + 1] * task.params.n_chains
            assert nx.dag_longest_path_length(graph) == length
            assert all(graph.in_degree(start) == 0 for start in starts)
    assert max(sizes) <= task.most_words and min(sizes) >= task.fewest_words
    assert (len(sizes) > 1) == (task.fewest_words < task.most_words)


def test_sizes_of_cycles_follow_the_law_of_the_source() -> None:
    task = family({"task": "depo", "n_nodes": 12, "min_nodes": 3, "n_asked": 1, "hops": "1"})
    n = task.draw_graph(60_000, stream("sizes")).n_words
    weight = 1 / (np.arange(3, 13) + 12**0.5)
    assert np.bincount(n, minlength=13)[3:] / len(n) == pytest.approx(weight / weight.sum(), abs=0.007)


def test_words_are_those_of_drawing_until_all_are_different() -> None:
    words = draw_words(stream("words"), 20_000, 3, 2, 1, 2)
    keys = keys_of(words, 2)
    assert not (np.sort(keys)[:, 1:] == np.sort(keys)[:, :-1]).any()
    single = (words[:, :, 1] < 0).mean(axis=0)
    # one letter with 1/2, and each of 2; the second word is drawn again if it is the first
    second = 1 / 2 * (1 / 4 / (3 / 4)) + 1 / 2 * (1 / 2 / (7 / 8))
    assert single[:2] == pytest.approx([1 / 2, second], abs=0.012)


def test_words_of_one_letter_leave_exactly_what_the_look_ups_do_not_exclude() -> None:
    sizes = {"n_nodes": 13, "n_asked": 1, "n_letters": 400, "max_letters": 1}
    task = family({"task": "depo", "hops": "1-5"} | sizes)
    for hop in task.hops:
        assert task.chance(hop) == pytest.approx(1 / 12)
        assert task.partial_input(hop) == pytest.approx(1 / (13 - hop))
    for step in (0, 2, 4):
        assert guess_of_one(task, 5, step, 40, stream("hide")) == pytest.approx(1 / 8)
    chains = family({"task": "hash_hop", "n_asked": 1, "n_letters": 400, "min_letters": 1, "max_letters": 1})
    assert chains.chance(2) == pytest.approx(1 / 24) and chains.chance(4) == pytest.approx(1 / 8)
    assert chains.partial_input(2) == pytest.approx(1 / 8)
    assert guess_of_one(chains, 4, 1, 40, stream("hide")) == pytest.approx(1 / 8)


def test_a_hidden_fact_leads_elsewhere_in_one_cycle_with_the_known_facts() -> None:
    task = family({"task": "depo", "hops": "4", "n_asked": 1, "n_nodes": 11})
    examples = task.sample(9, stream("variants"))
    tokens, length = examples.facts[:, :, 0], (examples.facts[:, :, 0] >= 0).sum(axis=1)
    at = (examples.hop == 4).argmax(axis=1)
    kept = (examples.hop == 4).any(axis=1)
    tokens, length, at = tokens[kept], length[kept], at[kept]
    steps = task.places(tokens, length, at[:, None])[:, 0]
    may = task.variants(tokens, length, steps, 1)
    assert len(tokens) > 4 and (may.sum(axis=1) == 11 - 4).all()
    for variant in range(may.shape[1]):
        rows = np.flatnonzero(may[:, variant])
        changed = task.put(tokens[rows], length[rows], steps[rows], 1, variant)
        for row, other in zip(rows, changed, strict=True):
            old, new = (parsed(task, [int(token) for token in one if token >= 0])[0] for one in (tokens[row], other))
            edges = nx.DiGraph(list(zip(new[0::2], new[1::2], strict=True)))
            assert nx.is_strongly_connected(edges) and len(edges) == 11
            n_changed = sum(a != b for a, b in zip(old, new, strict=True))
            assert n_changed in (0, 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"task": "depo", "hops": "12"}, r"depo: hops must be in 1\.\.9, got 12; raise n_nodes to 25"),
        ({"task": "depo", "n_asked": 21}, "depo: n_asked must be at most 20, the words of the smallest cycle, got 21"),
        ({"task": "depo", "min_nodes": 40}, "depo: min_nodes must be at most n_nodes, 20, got 40"),
        ({"task": "depo", "min_letters": 3}, "depo: min_letters must be at most max_letters, 2, got 3"),
        (
            {"task": "depo", "n_letters": 5, "max_letters": 1},
            "depo: there are 5 words, and 20 of a sequence need twice",
        ),
        (
            {"task": "depo", "n_letters": 900, "max_letters": 9},
            "depo: words are too long; lower max_letters or n_letters",
        ),
        ({"task": "hash_hop", "n_asked": 9}, "hash_hop: n_asked must be at most n_chains, 8, got 9"),
        ({"task": "hash_hop", "length": 3}, r"hash_hop: hops must be in 1\.\.3, got 4; raise length to 4"),
        ({"task": "depo", "hops": "1-2", "hop_ood": "3"}, "depo: a token says the hop count, and one that was never"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_task(entry, where="test")


def test_the_hop_count_is_that_of_the_shorter_way() -> None:
    """On 5 words, 3 steps on are 2 back; 5 steps lead back to the word itself, which is no label."""
    made = make_task({"task": "depo", "n_nodes": 5, "n_asked": 1, "hops": "1-2"}, where="test").generator()
    assert isinstance(made, Depo)
    wide = type(made)(made.params, (1, 2), largest_hop=2)
    wide.hops = (1, 2, 3, 4, 5)
    graph = wide.draw_graph(200, stream("short"))
    assert {(int(k), int(hop)) for k, hop in zip(graph.k.ravel(), graph.hop.ravel(), strict=True)} == {
        (1, 1),
        (2, 2),
        (3, 2),
        (4, 1),
        (5, 0),
    }


@pytest.mark.parametrize("name", ["depo", "hash_hop"])
def test_facts_stand_in_no_order(name: str) -> None:
    task = family({"task": name, "n_asked": 1})
    goes_on, first_at, n_facts = [], [], task.n_edges[1]
    for tokens in task.sample(200, stream("order")).facts[:, :, 0]:
        words, questions = parsed(task, [int(token) for token in tokens if token >= 0])
        goes_on += [words[at] == words[at + 1] for at in range(1, len(words) - 1, 2)]
        first_at.append(words[0::2].index(questions[0][2][0]) / (n_facts - 1))
    assert np.mean(goes_on) < 2 / n_facts, "the next fact begins where one ends as often as any other does"
    assert np.mean(first_at) == pytest.approx(0.5, abs=0.08), "the fact of the word asked about stands anywhere"


@pytest.mark.parametrize(("hop", "n_nodes"), [(2, 20), (3, 20)])
def test_a_reader_who_knows_the_hop_count_is_right_no_more_often_than_the_ceiling(hop: int, n_nodes: int) -> None:
    """Of all labels: sequences with several of a hop count, by the answers before, are the easier ones."""
    task = family({"task": "depo", "n_nodes": n_nodes})
    share = guess_of_one(task, hop, 0, 800, stream("knows the hop")).mean()
    assert share < task.partial_input(hop) < 0.3
    assert share > 1.1 * task.chance(hop), "the hop count says much"
