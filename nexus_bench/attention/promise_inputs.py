"""What promises of attentions are checked on: weights, inputs, layouts, and how outputs are compared."""

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nexus_bench.attention.base import Attention, Mechanism
from nexus_bench.attention.layout import Layout
from nexus_bench.registry.promises import Broken, NotAsked

N_EXAMPLES, N_HEADS, N, WIDTH = 2, 3, 7, 6  # examples, heads, positions, width of a head
D_MODEL = N_HEADS * WIDTH
BLOCKS = [Layout(causal, n_shared=3, block=2) for causal in (False, True)]
LAYOUTS = [Layout(), Layout(causal=True), Layout(n_keys=4), Layout(causal=True, n_keys=5), *BLOCKS]
OWN = ([3, 4], [5, 6])  # the positions of the blocks


def make(mechanism: type[Mechanism[Any]], options: dict[str, Any]) -> Attention[Any]:
    """A mechanism with the weights that all checks use; the random state of the caller is unchanged."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        built: Attention[Any] = mechanism(D_MODEL, N_HEADS, mechanism.Options.model_validate(options))  # type: ignore[assignment]
        return built.double()


def positions() -> Tensor:
    """The input of all checks."""
    generator = torch.Generator().manual_seed(5)
    return torch.randn(N_EXAMPLES, N, D_MODEL, dtype=torch.float64, generator=generator)


class LaterPlaces(Layout):
    """A layout that gives every position the rotary place two further on."""

    def n_places(self, n: int) -> int:
        """Two more places than positions."""
        return super().n_places(n) + 2

    def by_place(self, table: Tensor, n: int) -> Tensor:
        """The rows of the table from the third on."""
        return super().by_place(table[2:], n)


def finite_pass(attention: Attention[Any], layout: Layout, dtype: torch.dtype) -> Tensor:
    """The output of a forward and a backward pass.

    Raises:
        Broken: The output or a gradient is missing or not finite.
    """
    module = copy.deepcopy(attention).to(dtype)
    x = positions().to(dtype).requires_grad_()
    out: Tensor = module(x, layout)
    out.square().sum().backward()  # type: ignore[no-untyped-call]
    found = {"the output": out, "the gradient of x": x.grad}
    found |= {f"the gradient of {name}": one.grad for name, one in module.named_parameters()}
    for name, one in found.items():
        if one is None or not one.isfinite().all():
            raise Broken(f"{name} is missing or not finite in {dtype} with {layout}")
    return out


def taken_layouts(attention: Attention[Any], layouts: list[Layout], *, rope: bool = True) -> list[Layout]:
    """The layouts that a mechanism accepts, with rotary positions if it accepts these and `rope`.

    Raises:
        NotAsked: It accepts none of them.
    """
    taken = [layout for layout in layouts if attention.takes(layout)]
    if not taken:
        flags = ("takes_sets", "takes_sequences", "takes_rope")
        raise NotAsked(", ".join(f"{flag} is False" for flag in flags if not getattr(attention, flag)))
    return [replace(layout, rope=layout.rope or (rope and attention.takes_rope)) for layout in taken]


def changed_positions(at: list[int], by: float | Tensor) -> tuple[Tensor, Tensor]:
    """The input of all checks, and the same with some positions changed."""
    x = positions()
    changed = x.clone()
    changed[:, at] += by
    return x, changed


def same(found: Tensor, wanted: Tensor, what: str, *, most: float = 1e-12) -> None:
    """Refuse tensors that are further apart than `most` anywhere."""
    off = (found - wanted).abs().max().item()
    if not off <= most:
        raise Broken(f"{what} differ by {off:.1e}, at most {most:.0e} is allowed")
