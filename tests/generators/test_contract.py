"""The contract of every registered task family: what `nexus-bench check` asks of it."""

import pytest

from nexus_bench.data.promises import has_names_of_its_own
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.experiment.suite import taken_names
from nexus_bench.generators.base import GENERATORS
from nexus_bench.io.bundled import bundled
from nexus_bench.shortcuts.promises import PROMISES, NotAsked
from nexus_bench.streams import stream
from tests.families import up_to_hops

FAMILIES = GENERATORS.names()
QUICK = [promise for promise in PROMISES if "audit" not in promise]  # tests/shortcuts/test_audit.py


@pytest.fixture(params=FAMILIES)
def spec(request: pytest.FixtureRequest) -> TaskSpec:
    return make_task({"task": request.param}, where="test")


def test_every_family_has_a_yaml_and_every_yaml_a_family() -> None:
    assert tuple(bundled("task")) == GENERATORS.own_names()


@pytest.mark.parametrize("promise", QUICK)
def test_every_family_keeps_what_it_promises(promise: str, spec: TaskSpec) -> None:
    try:
        PROMISES[promise](spec)
    except NotAsked as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("promise", QUICK)
def test_further_splits_keep_it_too(promise: str) -> None:
    further = {"pattern_ood": True, "hop_ood": [4], "size_ood": {"n_sets": 3}, "vocab_size": 200, "n_queries": 2}
    spec = make_task({"task": "kinship", "hops": [2, 3]} | further, where="test")
    if promise == "n_worlds is no overcount":
        with pytest.raises(NotAsked, match="too many to be counted"):
            PROMISES[promise](spec)
    elif promise == "later tokens change no label":
        with pytest.raises(NotAsked, match="no sequence"):
            PROMISES[promise](spec)
    else:
        PROMISES[promise](spec)


def test_parameters_have_names_of_their_own(spec: TaskSpec) -> None:
    has_names_of_its_own(spec, taken_names())


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAMILIES)
def test_a_million_labels_and_hops_agree_with_the_solver(name: str) -> None:
    generator = make_task(up_to_hops(name, 6), where="test").generator()
    n_examples = 0
    while n_examples < 1_000_000:
        examples = generator.sample(2048, stream("million", name, n_examples))
        solution = generator.solve(examples.facts, examples.query)
        assert (solution.answer == examples.answer).all() and (solution.hop == examples.hop).all()
        n_examples += examples.answer.size
