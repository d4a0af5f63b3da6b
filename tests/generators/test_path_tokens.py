"""path_tokens: the path against networkx, which labels need which edges, and what hiding one leaves."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from nexus_bench.data.task import make_task
from nexus_bench.errors import ConfigError
from nexus_bench.generators.parts.hidden_tokens import guess_of_one
from nexus_bench.generators.path_tokens import PathTokens, PathTokensParams
from nexus_bench.generators.sequences import NOTHING
from nexus_bench.streams import stream
from tests.slow_solvers import is_labelled_by_every_hop

SETTINGS: list[dict[str, Any]] = [
    {"task": "path_tokens"},
    {"task": "path_tokens", "hops": "1-5", "n_arms": 2, "n_nodes": 13},
    {"task": "path_tokens", "hops": "3", "n_arms": 5, "arm_length": 4},
    {"task": "path_tokens", "hops": "1", "n_arms": 7, "n_nodes": 60, "arm_length": 6},
    {"task": "path_tokens", "hops": "1", "direction": "backward"},
    {"task": "path_tokens", "hops": "1", "direction": "backward", "arm_length": 5, "n_arms": 4},
]


def family(entry: dict[str, Any]) -> PathTokens:
    made = make_task(entry, where="test").generator()
    assert isinstance(made, PathTokens)
    return made


def by_hand(task: PathTokens, tokens: list[int]) -> tuple[list[int], list[int]]:
    """The only path of the tree, told from either end; the prefix is `edges centre goal =` as in the public code."""
    at = tokens.index(task.params.n_nodes)
    edges = list(zip(tokens[0 : at - 2 : 2], tokens[1 : at - 2 : 2], strict=True))
    tree, centre, goal = nx.DiGraph(edges), tokens[at - 2], tokens[at - 1]
    arms = nx.single_source_shortest_path_length(tree, centre)
    more = (task.params.n_arms - 1) * list(range(1, arms[goal] + 1))
    assert nx.is_arborescence(tree) and tree.out_degree(centre) == task.params.n_arms
    assert sorted(arms.values()) == sorted([0, *range(1, arms[goal] + 1), *more])
    path = nx.shortest_path(tree, centre, goal)
    forward = task.params.direction == "forward"
    said = path if forward else path[::-1]
    assert tokens[at + 1 :] == said
    labels, hops = [NOTHING] * len(tokens), [0] * len(tokens)
    for step in range(len(path) - 2):
        hop = len(path) - 2 if forward and step == 0 else 1
        if hop in task.hops:
            labels[at + 1 + step], hops[at + 1 + step] = said[step + 1], hop
    return labels, hops


@pytest.mark.parametrize("entry", SETTINGS)
def test_labels_and_hops_are_those_of_a_slow_solver(entry: dict[str, Any]) -> None:
    is_labelled_by_every_hop(family(entry), by_hand)


def test_the_first_node_reads_the_edges_from_the_goal_back_and_no_edge_of_the_centre() -> None:
    task = family({"task": "path_tokens"})
    examples = task.sample(30, stream("edges"))
    tokens = examples.facts[:, :, 0]
    rows = task.solve(examples.facts, examples.query).rows
    for graph, place in zip(*np.nonzero(examples.hop == 4), strict=True):
        read, path = rows[graph, place, :4], tokens[graph, place:]
        assert tokens[graph, read].tolist() == [path[4], path[3], path[2], path[1]]
        assert tokens[graph, read + 1].tolist() == [path[5], path[4], path[3], path[2]]


@pytest.mark.parametrize("entry", SETTINGS)
def test_one_hidden_edge_leaves_one_node_an_arm(entry: dict[str, Any]) -> None:
    task = family(entry)
    for hop in task.hops:
        for step in range(hop):
            guesses = guess_of_one(task, hop, step, 60, stream("hide"))
            assert len(guesses) and guesses == pytest.approx(1 / task.params.n_arms)
        assert task.partial_input(hop) == 1 / task.params.n_arms


def test_chance_counts_the_nodes_that_can_be_next() -> None:
    forward = family({"task": "path_tokens", "hops": "1,3"})  # 3 arms of 4 edges: 9 nodes between
    assert forward.chance(3) == 1 / 3 and forward.chance(1) == pytest.approx((1 / 8 + 1 / 7) / 2)
    backward = family({"task": "path_tokens", "hops": "1", "arm_length": 4, "direction": "backward"})
    assert backward.chance(1) == pytest.approx((1 / 9 + 1 / 8 + 1 / 7) / 3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"direction": "backward"},
            r"hops must be in 1\.\.1, got 4; backwards every label takes one hop; set",
        ),
        ({"arm_length": 6, "hops": "1,4"}, "hops must be 1 or 5, got 4; set arm_length to 5"),
        ({"n_nodes": 15}, "n_nodes must be more than 15, got 15"),
        ({"hops": "1,100"}, r"hops must be in 1\.\.99, got 100"),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"path_tokens: {message}"):
        make_task({"task": "path_tokens"} | entry, where="test")


def test_edges_stand_in_no_order() -> None:
    task = family({"task": "path_tokens", "n_arms": 4})
    edges = task.sample(400, stream("order")).facts[:, :40, 0].reshape(400, 20, 2)
    assert (edges[:, 1:, 0] == edges[:, :-1, 1]).mean() == pytest.approx(16 / 20 / 19, abs=0.012)
    assert (edges[:, :, 0] == edges[:, :1, 0]).mean() < 0.13


def test_every_other_arm_is_tried_in_the_place_of_an_edge_that_is_hidden_however_long_arms_are() -> None:
    """Of 300 edges only three are as far from the centre."""
    params = PathTokensParams(n_arms=3, arm_length=None, n_nodes=400, direction="forward")
    guesses = guess_of_one(PathTokens(params, (1,), largest_hop=99), 1, 0, 20, stream("hide"))
    assert len(guesses) == 20 and np.allclose(guesses, 1 / 3)
