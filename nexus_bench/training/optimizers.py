"""The optimisers that a recipe can name, for the weights of many models at once and for one model.

Axis letters: s stacked models, w weights of a model.

Sources: AdamW of Loshchilov and Hutter (2019), algorithm 2, with PyTorch's defaults; Lion of Chen et al. (2023, arXiv
2302.06675), algorithm 2, with the betas of its language models.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

ADAMW_BETAS, ADAMW_EPS = (0.9, 0.999), 1e-8
LION_BETAS = (0.95, 0.98)


class Weights(NamedTuple):
    """What an optimiser changes: the weights of all models and two running means, of which Lion leaves the second."""

    weights: Float[Tensor, "s w"]
    moment1: Float[Tensor, "s w"]
    moment2: Float[Tensor, "s w"]


Step = Callable[[Weights, Tensor, Tensor, float, Tensor, Tensor], Weights]


def adamw_step(
    old: Weights, gradient: Tensor, lr: Tensor, decay: float, correction1: Tensor, correction2: Tensor
) -> Weights:
    """A step of AdamW.

    Args:
        old: What it changes.
        gradient: Shape (s, w).
        lr: Of each model, shape (s, 1).
        decay: The weight decay.
        correction1: What the first mean is multiplied by, since it began at zero.
        correction2: Likewise the root of the second.
    """
    beta1, beta2 = ADAMW_BETAS
    moment1 = beta1 * old.moment1 + (1 - beta1) * gradient
    moment2 = beta2 * old.moment2 + (1 - beta2) * gradient.square()
    change = moment1 * correction1 / (moment2.sqrt() * correction2 + ADAMW_EPS)
    return Weights(old.weights * (1 - lr * decay) - lr * change, moment1, moment2)


def lion_step(
    old: Weights, gradient: Tensor, lr: Tensor, decay: float, correction1: Tensor, correction2: Tensor
) -> Weights:
    """A step of Lion, whose change has the size of the learning rate in every weight; arguments as `adamw_step`."""
    beta1, beta2 = LION_BETAS
    change = torch.sign(beta1 * old.moment1 + (1 - beta1) * gradient)
    moment1 = beta2 * old.moment1 + (1 - beta2) * gradient
    return Weights(old.weights * (1 - lr * decay) - lr * change, moment1, old.moment2)


STEPS: dict[str, Step] = {"adamw": adamw_step, "lion": lion_step}


class Lion(torch.optim.Optimizer):
    """Lion for one model; its state is `exp_avg`, as that of AdamW."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Change the parameters in place."""
        beta1, beta2 = LION_BETAS
        for group in self.param_groups:
            for parameter in group["params"]:
                held = self.state[parameter]
                mean = held["exp_avg"] = held["exp_avg"] if "exp_avg" in held else torch.zeros_like(parameter)
                change = torch.sign(beta1 * mean + (1 - beta1) * parameter.grad)
                mean.mul_(beta2).add_(parameter.grad, alpha=1 - beta2)
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * change)


def optimizer_of(name: str, parameters: Iterable[nn.Parameter], *, lr: float, decay: float) -> torch.optim.Optimizer:
    """The optimiser of one model."""
    if name == "lion":
        return Lion(parameters, lr=lr, weight_decay=decay)
    return torch.optim.AdamW(parameters, lr=lr, weight_decay=decay, fused=True)
