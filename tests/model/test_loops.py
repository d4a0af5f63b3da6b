"""Loops, Canon layers and hybrids: what the transformer does besides applying its blocks in turn."""

import copy
import json
from pathlib import Path

import pytest
import torch

from nexus_bench.attention.nexus import Nexus
from nexus_bench.attention.standard import Standard
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.errors import ConfigError
from nexus_bench.io.read_results import read_results
from nexus_bench.model.batch import Batch, to_batch
from nexus_bench.model.build import build_model
from nexus_bench.model.costs import cost_of
from nexus_bench.model.spec import ModelSpec, make_model
from nexus_bench.model.transformer import Transformer
from nexus_bench.streams import stream
from tests.conftest import Command, assert_fails
from tests.jobs import run_cells
from tests.small import cell

TASK: TaskSpec = make_task({"task": "pointer_chase", "hops": "1-2", "n_nodes": 8}, where="test")


def spec(**entry: object) -> ModelSpec:
    return make_model({"attention": "standard", "d_model": 16} | entry, where="test")


def batch(encoding: str = "fact", n: int = 3) -> Batch:
    law = TASK.law()
    return to_batch(law.sample(n, stream("test")), law.schema, encoding, torch.device("cpu"))


def model(shape: ModelSpec) -> Transformer:
    built = build_model(shape, TASK.law().schema, seq_len=batch(shape.encoding).seq_len, seed=3)
    assert isinstance(built, Transformer)
    return built


def test_every_later_loop_gets_the_embeddings_again() -> None:
    plain, injecting = model(spec(n_loops=2)), model(spec(n_loops=2, inject=True))
    shown, seen = batch(), []
    injecting.blocks[0].register_forward_pre_hook(lambda block, args: seen.append(args[0]))
    given: list[torch.Tensor] = []
    injecting.blocks[0].register_forward_hook(lambda block, args, out: given.append(out))
    injecting(shown)
    torch.testing.assert_close(seen[1], given[0] + seen[0], rtol=0, atol=0)
    assert plain.state_dict().keys() == injecting.state_dict().keys()
    assert not torch.allclose(plain(shown), injecting(shown))


@pytest.mark.parametrize("inject", [False, True])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_in_training_each_graph_is_read_after_a_number_of_loops_of_its_own(inject: bool, n_layers: int) -> None:
    shown = batch(n=64)
    at_random = model(spec(n_loops=3, n_layers=n_layers, inject=inject, random_loops=True))
    stops = at_random._stops(shown)
    assert stops is not None and set(stops.tolist()) == {1, 2, 3}
    scores = at_random(shown)
    for n_loops in (1, 2, 3):
        fixed = copy.deepcopy(at_random).eval()
        fixed.n_loops = n_loops
        rows = stops == n_loops
        torch.testing.assert_close(scores[rows], fixed(shown)[rows], rtol=0, atol=1e-5)
    assert torch.equal(at_random.eval()(shown), model(spec(n_loops=3, n_layers=n_layers, inject=inject))(shown))


def test_loops_at_random_are_even_and_do_not_tell_the_answer() -> None:
    law, shape = TASK.law(), spec(n_loops=4, random_loops=True)
    examples = law.sample(20_000, stream("test"))
    shown = to_batch(examples, law.schema, "fact", torch.device("cpu"))
    stops = model(shape)._stops(shown)
    assert stops is not None
    counts = stops.bincount(minlength=5)[1:].double()
    assert ((counts - 5000).square() / 5000).sum() < 16.3  # chi-square of 3 degrees of freedom, 1 in 1,000
    answers = torch.from_numpy(examples.answer)[:, 0].long()
    joint = torch.zeros(4, law.schema.n_classes).index_put_((stops - 1, answers), torch.ones(()), accumulate=True)
    expected = joint.sum(1, keepdim=True) * joint.sum(0) / joint.sum()
    freedom = 3 * (law.schema.n_classes - 1)
    assert ((joint - expected).square() / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("shape", [{"n_loops": 3, "inject": True, "random_loops": True}, {"n_loops": 2}])
def test_looped_models_train_alike_alone_and_in_a_stack(shape: dict[str, object]) -> None:
    one = cell(train={"steps": 20}, d_model=16, **shape)
    cells = [one.model_copy(update={"seed": seed}) for seed in range(2)]
    alone, stacked = ([run_cells([one], mode="single")[0] for one in cells], run_cells(cells))
    for a, b in zip(alone, stacked, strict=True):
        losses = [[(row["hop"], row["loss"]) for row in outcome.curve] for outcome in (a, b)]
        torch.testing.assert_close(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=0, atol=1e-4)


def test_canon_layers_see_the_last_three_places_and_their_own() -> None:
    """With an attention and an MLP that say nothing but what a convolution brings, a change goes three places far."""
    built = model(spec(encoding="flat", canon="C"))
    for parameter in built.blocks[0].attention.parameters():
        parameter.data.zero_()
    x = torch.randn(2, 12, 16)
    layout = batch("flat").layout
    changed = x.clone()
    changed[:, 4] += 1
    moved = (built.blocks[0](x, layout) != built.blocks[0](changed, layout)).any(dim=(0, 2))
    assert moved.nonzero().flatten().tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize("canon", ["A", "C", "D", "ACD"])
def test_canon_layers_leave_queries_alone_with_the_facts(canon: str) -> None:
    """Each query gets what it gets in a sequence of its own."""
    built = model(spec(encoding="flat", canon=canon))
    shown = batch("flat")
    first = shown.layout.n_shared
    assert first is not None
    together = built(shown)
    for query in range(together.shape[1]):
        own = shown.tokens[:, first + query * shown.layout.block :][:, : shown.layout.block]
        alone = shown._replace(tokens=torch.cat([shown.tokens[:, :first], own], dim=1), read_at=shown.read_at[:, :1])
        torch.testing.assert_close(together[:, query], built(alone)[:, 0], rtol=0, atol=1e-5)


def test_canon_layers_have_parameters_and_are_no_option_of_sets() -> None:
    plain, canon = cost_of(spec(encoding="flat"), TASK), cost_of(spec(encoding="flat", canon="ACD"), TASK)
    assert canon.parameters - plain.parameters == 4 * (16 + 16 + 64)
    with pytest.raises(ConfigError, match="canon must be empty with encoding fact, whose positions have no order"):
        spec(canon="A")


def test_layers_of_a_hybrid_take_turns() -> None:
    built = model(spec(attention="standard+nexus", order=2, n_layers=4))
    assert [type(attention) for attention in built.attentions] == [Standard, Nexus, Standard, Nexus]
    assert built.attentions[1].options.order == 2
    first_order = model(spec(attention="standard+nexus", order=1, n_layers=2))
    assert torch.equal(first_order(batch()), model(spec(n_layers=2))(batch()))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"attention": "standard+nexus"}, "n_layers must be a multiple of 2 with standard[+]nexus, got 1"),
        ({"attention": "standard+nexu", "n_layers": 2}, "unknown attention 'nexu'; did you mean 'nexus'?"),
        ({"attention": "nexus+diffusion", "n_layers": 2, "powers": 99}, "powers: input should be less than or equal"),
        ({"attention": "nexus+two_simplicial", "n_layers": 2, "position": "rope", "encoding": "flat"}, "must be none"),
        ({"inject": True}, "n_loops must be at least 2 with inject or random_loops, got 1"),
        ({"canon": "CA", "encoding": "flat"}, "canon: input should be '', 'A'"),
    ],
)
def test_what_does_not_go_together_is_refused(entry: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        spec(**entry)


def test_later_values_at_their_default_rename_no_cell() -> None:
    values = spec(n_loops=2).model_dump()
    assert not {"inject", "random_loops", "canon"} & values.keys()
    again = ModelSpec.model_validate(spec(n_loops=2, inject=True).model_dump())
    assert again.inject and again.label == "standard, n_loops 2, inject, d_model 16"


def test_a_hybrid_is_trained_shown_and_told_apart_by_every_command(command: Command, tmp_path: Path) -> None:
    options = "--hops 1-2 --set n_nodes=6 --set n_layers=2 --set d_model=12 --set steps=4 --set eval_every=4 --seeds 1"
    line = (
        f"train --task pointer_chase --attention standard+nexus --order 1,2 {options} --executor inline --quiet --out r"
    )
    made = command(*line.split())
    assert made.returncode == 0, made.stderr
    assert "pointer_chase-standard-nexus" in (tmp_path / "r" / "spec.yaml").read_text()
    rows = read_results(tmp_path / "r")
    assert set(rows["attention"]) == {"standard+nexus"} and set(rows["order"]) == {1, 2}
    assert set(json.loads((tmp_path / "r" / "env.json").read_text())["environments"][0]["attentions"]) >= {"nexus"}
    for more in ("report r", "eval r --n-facts 7 --quiet", "predictions r --quiet", "status r", "compare r r"):
        done = command(*more.split())
        assert done.returncode == 0 and not done.stderr, (more, done.stderr)
    shown = command("inspect", "r", "--cell", "order 2", "--hops", "2")
    assert shown.returncode == 0 and "standard+nexus, order 2" in shown.stdout
    assert_fails(
        command("bench", "attention", "standard+nexus"), 3, "is a hybrid of layers; time its mechanisms: standard"
    )
