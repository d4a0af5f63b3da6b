"""What every attention promises, as functions that check it: for tests here and for authors elsewhere.

Each takes a mechanism with weights, and raises `Broken` if the promise is broken, or `NotAsked` if the mechanism does
not make it. Inputs are random, always the same, in float64 unless said.
"""

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nexus_bench.attention.base import Attention, Mechanism
from nexus_bench.attention.flops import count_pass
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.naive import naive, reference_of
from nexus_bench.attention.promise_inputs import (
    BLOCKS,
    LAYOUTS,
    OWN,
    LaterPlaces,
    N,
    changed_positions,
    finite_pass,
    positions,
    same,
    taken_layouts,
)
from nexus_bench.attention.promise_inputs import make as make
from nexus_bench.registry.promises import Broken as Broken
from nexus_bench.registry.promises import NotAsked as NotAsked
from nexus_bench.registry.promises import PromiseResult as PromiseResult
from nexus_bench.registry.promises import check_promise as check_promise

_LOUD = torch.tensor([[3.0], [-2.0]], dtype=torch.float64)

Promise = Callable[[Attention[Any]], None]


def keeps_the_shape(attention: Attention[Any]) -> None:
    """It returns the shape and type of its input, and every weight gets a finite gradient."""
    for layout in taken_layouts(attention, LAYOUTS):
        for dtype in (torch.float32, torch.bfloat16):
            out = finite_pass(attention, layout, dtype)
            if (out.shape, out.dtype) != (positions().shape, dtype):
                raise Broken(f"shape {tuple(positions().shape)} in {dtype} gave {tuple(out.shape)} in {out.dtype}")


def runs_in_mixed_precision(attention: Attention[Any]) -> None:
    """Under `torch.autocast` with bfloat16, the output and the gradient of every weight are finite."""
    for layout in taken_layouts(attention, LAYOUTS):
        with torch.autocast("cpu", torch.bfloat16), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mismatch dtype")  # a norm is not fused
            finite_pass(attention, layout, torch.float32)


def keeps_the_future_out(attention: Attention[Any]) -> None:
    """A later position changes no earlier output of a sequence, and changes its own."""
    x, changed = changed_positions([5], 3.0)
    for layout in taken_layouts(attention, [Layout(causal=True), Layout(causal=True, n_keys=6)]):
        before, after = attention(x, layout), attention(changed, layout)
        same(after[:, :5], before[:, :5], f"earlier outputs with {layout}", most=0)
        if torch.allclose(before[:, 5:], after[:, 5:]):
            raise Broken(f"a position does not see itself with {layout}")


def keeps_examples_apart(attention: Attention[Any]) -> None:
    """Another example of the batch changes nothing, in training and out of it; nor does chance."""
    x = positions()
    changed = torch.cat([x[:1], 3 - 2 * x[1:]])
    for layout in taken_layouts(attention, LAYOUTS, rope=False):
        for is_training in (True, False):
            attention.train(is_training)
            before, again, after = (attention(batch, layout)[0] for batch in (x, x, changed))
            same(again, before, "something in forward is random: outputs for the same input")
            same(after, before, f"outputs for another batch with {layout}")


def leaves_out_what_is_no_key(attention: Attention[Any]) -> None:
    """A position that may not be attended to changes its own output alone."""
    x, changed = changed_positions([5], 3.0)
    (layout,) = taken_layouts(attention, [Layout(n_keys=4)], rope=False)
    before, after = attention(x, layout), attention(changed, layout)
    others = [0, 1, 2, 3, 4, 6]
    same(after[:, others], before[:, others], "outputs of others")
    if torch.allclose(before[:, 5], after[:, 5]):
        raise Broken("a position that is no key does not see its own input")


def gives_a_block_what_it_gets_alone(attention: Attention[Any]) -> None:
    """A block that shares its beginning with others gets what it gets without them."""
    x = positions()
    for layout in taken_layouts(attention, BLOCKS):
        together = attention(x, layout)
        for own in OWN:
            at = [0, 1, 2, *own]
            same(together[:, at], attention(x[:, at], layout), f"a block with {layout}")
            if layout.causal:
                sequence = replace(layout, n_shared=None, block=1)
                same(together[:, at], attention(x[:, at], sequence), f"a block, against one sequence, with {layout}")


def keeps_blocks_apart(attention: Attention[Any]) -> None:
    """A block is seen by itself alone."""
    for layout in taken_layouts(attention, BLOCKS):
        for own in OWN:
            x, changed = changed_positions(own, _LOUD)
            before, after = attention(x, layout), attention(changed, layout)
            others = [at for at in range(N) if at not in own]
            same(after[:, others], before[:, others], f"outputs of other blocks with {layout}", most=0)
            if torch.isclose(before[:, own], after[:, own]).all(dim=-1).any():
                raise Broken(f"a block does not see itself with {layout}")


def follows_the_order_of_a_set(attention: Attention[Any]) -> None:
    """Another order of a set gives the same outputs in that order, without rotary positions."""
    if not attention.is_equivariant:
        raise NotAsked("is_equivariant is False")
    (layout,) = taken_layouts(attention, [Layout()], rope=False)
    order = torch.tensor([3, 6, 0, 2, 5, 1, 4])
    x = positions()
    same(attention(x[:, order], layout), attention(x, layout)[:, order], "outputs in another order")


def counts_rotary_positions_by_distance(attention: Attention[Any]) -> None:
    """Positions get the same two places later, in a set and in a sequence, and something else without places."""
    x = positions()
    for layout in taken_layouts(attention, [Layout(rope=True), Layout(causal=True, rope=True)], rope=False):
        found = attention(x, layout)
        same(attention(x, LaterPlaces(**vars(layout))), found, f"outputs of positions two places later with {layout}")
        if torch.allclose(attention(x, replace(layout, rope=False)), found, atol=1e-6):
            raise Broken(f"it takes rotary positions, but does not turn queries and keys with {layout}")


def compiles(attention: Attention[Any]) -> None:
    """`torch.compile` takes it as one graph."""
    for layout in taken_layouts(attention, [Layout(n_keys=4), Layout(causal=True), BLOCKS[1]], rope=False):
        torch.compiler.reset()
        compiled = torch.compile(attention, backend="aot_eager", fullgraph=True)
        same(compiled(positions(), layout), attention(positions(), layout), f"compiled outputs with {layout}")


def stacks(attention: Attention[Any]) -> None:
    """Losses and gradients of several models, mapped by `torch.func.vmap`, are those of each alone."""
    if not attention.stacks:
        raise NotAsked("stacks is False")
    x = positions().float()
    for layout in taken_layouts(attention, [Layout(n_keys=4), Layout(causal=True), BLOCKS[1]], rope=False):
        modules = [copy.deepcopy(attention).float() for _ in range(3)]
        for number, module in enumerate(modules):
            for parameter in module.parameters():
                parameter.data *= 1 + number / 4
        weights, buffers = torch.func.stack_module_state(modules)

        def loss(weight: dict[str, Tensor], layout: Layout = layout) -> Tensor:
            out: Tensor = torch.func.functional_call(modules[0], (weight, buffers), (x, layout))  # noqa: B023
            return out.square().mean()

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")  # for some operations
            stacked, losses = torch.func.vmap(torch.func.grad_and_value(loss))(weights)
        for number, module in enumerate(modules):
            alone = module(x, layout).square().mean()
            alone.backward()
            same(losses[number], alone.detach(), f"the loss of model {number} with {layout}", most=1e-6)
            for name, parameter in module.named_parameters():
                assert parameter.grad is not None
                what = f"the gradient of {name} of model {number} with {layout}"
                same(stacked[name][number], parameter.grad, what, most=1e-6)


def counts_its_cost(attention: Attention[Any]) -> None:
    """Its operations can be counted, and grow with the positions at least as fast as these."""
    layout = taken_layouts(attention, [Layout(), Layout(causal=True)], rope=False)[0]
    counts = [count for n in (256, 512, 1024) if (count := count_pass(attention, layout, n)) is not None]
    if len(counts) < 3:
        raise NotAsked("it does not run on tensors without content, so nothing can be counted")
    few, more, most = counts
    if attention.uncounted_flops(256) < 0 or not (0 < few < more and most - more >= 2 * (more - few)):
        raise Broken(f"256, 512 and 1024 positions count {counts} operations: `uncounted_flops` must tell the rest")


def agrees_with_its_reference(attention: Attention[Any]) -> None:
    """Outputs and gradients are those of its definition written out, if it names one (`reference`)."""
    if reference_of(attention) is None:
        raise NotAsked("it names no `reference`")
    for layout in taken_layouts(attention, [*LAYOUTS[:3], *BLOCKS]):
        found = []
        for function in (attention, lambda x, layout: naive(attention, x, layout)):
            attention.zero_grad()
            x = positions().requires_grad_()
            out = function(x, layout)
            (out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum().backward()
            grads = {name: p.grad.clone() for name, p in attention.named_parameters() if p.grad is not None}
            assert x.grad is not None
            found.append({"the output": out.detach(), "the gradient of x": x.grad, **grads})
        if found[0].keys() != found[1].keys():
            raise Broken(f"only one of both uses {', '.join(sorted(found[0].keys() ^ found[1].keys()))}")
        for name, one in found[0].items():
            if not (off := (one - found[1][name]).abs().max().item()) <= 1e-9:
                what = f"{name} of forward and of {reference_of(attention)} differ by {off:.1e}"
                raise Broken(f"{what}, at most 1e-09 is allowed, with {layout}; change one so that both say the same")


PROMISES: dict[str, Promise] = {
    "keeps shape and type, gradients are finite": keeps_the_shape,
    "runs in mixed precision": runs_in_mixed_precision,
    "examples of a batch are not seen": keeps_examples_apart,
    "later positions are not seen": keeps_the_future_out,
    "positions that are no keys are not seen": leaves_out_what_is_no_key,
    "a block gets what it gets alone": gives_a_block_what_it_gets_alone,
    "a block is seen by itself alone": keeps_blocks_apart,
    "the order of a set does not matter": follows_the_order_of_a_set,
    "rotary positions count by distance": counts_rotary_positions_by_distance,
    "compiles as one graph": compiles,
    "stacks": stacks,
    "its cost is counted": counts_its_cost,
    "agrees with its reference": agrees_with_its_reference,
}


def check(
    mechanism: type[Mechanism[Any]], options: dict[str, Any], *, explain: Callable[[Exception], str]
) -> Iterator[PromiseResult]:
    """Check all promises of a mechanism.

    Args:
        mechanism: An attention.
        options: Its options.
        explain: One line about an error that its code raised.
    """

    def runs() -> None:
        attention, x = make(mechanism, options), positions()
        if attention(x, taken_layouts(attention, LAYOUTS)[0]).shape != x.shape:
            raise Broken("shape")

    is_running = True
    for promise, function in PROMISES.items():
        told = PromiseResult(promise, "not asked", "forward fails")
        if is_running:
            told = check_promise(promise, lambda function=function: function(make(mechanism, options)), explain=explain)  # type: ignore[misc]
            is_running = told.state != "broken" or check_promise(promise, runs, explain=str).state != "broken"
        yield told
