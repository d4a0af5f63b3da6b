"""Commands that measure speed."""

from typing import Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Quiet, Settings, hops_of, positive_numbers
from nexus_bench.errors import UsageError


def bench(context: typer.Context) -> None:
    """Measure speed."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def bench_gen(
    tasks: Annotated[Optional[list[str]], typer.Argument(help="Task families; default all.")] = None,
    hops: Annotated[str, typer.Option(help="Hop counts, each timed by itself.")] = "3,6",
    seconds: Annotated[float, typer.Option(min=0.01, max=86_400, help="How long to time each.")] = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time the generators on one core: with the check against reserved worlds, without writing to disk."""
    from nexus_bench.bench.generators import bench_generators
    from nexus_bench.cli.printing import print_table, rate_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.io.hops import format_hops

    asked = tuple(hops_of(hops) or ())
    names = tuple(tasks or GENERATORS.names())
    with progress("timing", len(names) * len(asked), quiet=quiet) as advance:
        rates = bench_generators(names, asked, seconds=seconds, on_rate=lambda rate: advance(1))
    if as_json:
        print_document("bench gen", rates=rates)
    else:
        print_table(rate_table(rates))
    for name in names:
        timed = {rate.hop for rate in rates if rate.task == name}
        if missing := sorted(set(asked) - timed):
            had = format_hops(tuple(sorted(timed)))
            typer.echo(f"{name}: cannot have {format_hops(tuple(missing))} hops; timed at {had}", err=True)


def bench_attention(
    attentions: Annotated[Optional[list[str]], typer.Argument(help="Mechanisms; default standard and nexus.")] = None,
    order: Annotated[str, typer.Option(help="Orders of mechanisms that nest.")] = "1,2,3",
    n: Annotated[str, typer.Option(help="Sequence lengths.")] = "256,512",
    batch: Annotated[int, typer.Option(min=1, max=1_000_000, help="Sequences.")] = 8,
    heads: Annotated[int, typer.Option(min=1, max=10_000, help="Heads.")] = 4,
    d_head: Annotated[int, typer.Option(min=1, max=10_000, help="Width of a head.")] = 64,
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    causal: Annotated[bool, typer.Option("--causal", help="Positions attend to earlier positions only.")] = False,
    settings: Settings = None,
    device: Device = "auto",
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Repetitions of each timing; the fastest is reported.")
    ] = 10,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time attention modules, forward and backward, next to PyTorch's own; peak memory and FLOPs."""
    import torch

    from nexus_bench.bench.attention import Workload, attention_entries
    from nexus_bench.bench.attention import bench_attention as measure
    from nexus_bench.cli.printing import attention_table, print_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.io.config import parse_settings

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in dtypes:
        raise UsageError(f"--dtype must be float32 or bfloat16, got {dtype}")
    entries = attention_entries(
        attentions or ["standard", "nexus"], parse_settings([f"order={order}", *(settings or [])])
    )
    lengths = positive_numbers(n, option="--n", what="sequence lengths as 256 or 256,512")
    chosen = torch.device(choose_device(device))
    workloads = [Workload(length, batch, heads, d_head, dtypes[dtype], causal, chosen) for length in lengths]
    with progress("timing", rounds * len(workloads), quiet=quiet) as advance:
        rows = measure(entries, workloads, rounds=rounds, on_round=lambda: advance(1))
    if as_json:
        print_document("bench attention", rows=rows)
    else:
        print_table(attention_table(rows))


def bench_train(
    order: Annotated[str, typer.Option(help="Attention orders, as 1,2,3,4.")] = "1,2,3,4",
    batch: Annotated[int, typer.Option(min=1, max=1_000_000, help="Graphs per step.")] = 256,
    stack: Annotated[int, typer.Option(min=2, max=100_000, help="Models of the larger stack, on a GPU.")] = 256,
    device: Device = "auto",
    seconds: Annotated[float, typer.Option(min=0.01, max=86_400, help="How long to time each way of training.")] = 3.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time training: a plain PyTorch loop, one model, and many models at once; in model-steps per second."""
    from nexus_bench.bench.training import bench_training, n_ways
    from nexus_bench.cli.printing import print_table, training_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.experiment.execution import choose_device

    orders = positive_numbers(order, option="--order", what="attention orders as 2 or 1,2,3")
    chosen = choose_device(device)
    with progress("timing", len(orders) * n_ways(chosen, stack), quiet=quiet) as advance:
        measured = bench_training(
            orders, device=chosen, stack=stack, batch_size=batch, seconds=seconds, on_rate=lambda: advance(1)
        )
        rates = list(measured)
    if as_json:
        print_document("bench train", rates=rates)
    else:
        print_table(training_table(rates))
