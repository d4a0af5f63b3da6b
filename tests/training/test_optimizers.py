"""Optimisers: each is the one that its source defines, alone and for many models at once."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nexus_bench.training.loop import StoppedError
from nexus_bench.training.optimizers import LION_BETAS, STEPS, Weights, optimizer_of
from nexus_bench.training.spec import CellSpec, TrainSpec
from tests.jobs import run_cells, same, stops_at
from tests.small import cell

N_STEPS, DECAY = 5, 0.1
RATES = (1e-2, 3e-3)


def lion(n: int) -> list[CellSpec]:
    recipe = {"steps": 40, "batch_size": 8, "eval_every": 10, "lr": 1e-3, "optimizer": "lion"}
    return [cell(train=recipe).model_copy(update={"seed": seed}) for seed in range(n)]


def gradients() -> Tensor:
    return torch.randn(N_STEPS, len(RATES), 7, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("name", STEPS)
def test_many_models_at_once_change_as_each_does_alone(name: str) -> None:
    held = Weights(*(torch.zeros(len(RATES), 7).double() for _ in Weights._fields))
    alone = [nn.Parameter(torch.zeros(7).double()) for _ in RATES]
    optimizers = [optimizer_of(name, [one], lr=lr, decay=DECAY) for one, lr in zip(alone, RATES, strict=True)]
    for step, gradient in enumerate(gradients()):
        corrections = (torch.tensor(1 / (1 - 0.9 ** (step + 1))), torch.tensor((1 - 0.999 ** (step + 1)) ** -0.5))
        held = STEPS[name](held, gradient, torch.tensor(RATES).double()[:, None], DECAY, *corrections)
        for one, optimizer, own in zip(alone, optimizers, gradient, strict=True):
            one.grad = own
            optimizer.step()
    torch.testing.assert_close(held.weights, torch.stack([one.detach() for one in alone]), rtol=1e-6, atol=1e-9)


def test_lion_is_that_of_its_paper() -> None:
    """Algorithm 2, number by number."""
    parameter = nn.Parameter(torch.zeros(7).double())
    optimizer = optimizer_of("lion", [parameter], lr=RATES[0], decay=DECAY)
    weights, means = [0.0] * 7, [0.0] * 7
    for gradient in gradients()[:, 0]:
        parameter.grad = gradient
        optimizer.step()
        for i, g in enumerate(gradient.tolist()):
            change = LION_BETAS[0] * means[i] + (1 - LION_BETAS[0]) * g
            weights[i] -= RATES[0] * ((1 if change > 0 else -1) + DECAY * weights[i])
            means[i] = LION_BETAS[1] * means[i] + (1 - LION_BETAS[1]) * g
    assert parameter.tolist() == pytest.approx(weights)


@pytest.mark.parametrize(("mode", "n"), [("single", 1), ("deterministic", 2)])
def test_training_by_lion_that_is_stopped_goes_on_to_the_same_bytes(mode: str, n: int, tmp_path: Path) -> None:
    whole = run_cells(lion(n), mode=mode)
    with pytest.raises(StoppedError):
        run_cells(lion(n), mode=mode, root=tmp_path, should_stop=stops_at(23))
    resumed = run_cells(lion(n), mode=mode, root=tmp_path)
    assert all(same(a.weights, b.weights) and a.weights for a, b in zip(whole, resumed, strict=True))


def test_the_name_of_a_cell_tells_its_optimiser_unless_it_is_adamw() -> None:
    assert TrainSpec(optimizer="lion").given()["optimizer"] == "lion"
    assert "optimizer" not in TrainSpec().given()
