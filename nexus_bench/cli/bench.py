"""Commands that measure speed."""

from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import attentions, one_of
from nexus_bench.cli.choices import tasks as task_names
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Quiet, Settings, hops_of, positive_numbers
from nexus_bench.cli.words import read_words, split_commas
from nexus_bench.errors import UsageError


def bench(context: typer.Context) -> None:
    """Measure speed."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def bench_gen(
    tasks: Annotated[
        Optional[list[str]], typer.Argument(metavar="[TASK]...", help="Tasks; default all.", autocompletion=task_names)
    ] = None,
    hops: Annotated[
        Optional[str], typer.Option(metavar="HOPS", help="Hop counts, each timed by itself; default 3,6.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, max=86_400, help="How long to time each.")] = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time the generators.

    On one core, with the check against reserved worlds, without writing to disk.
    """
    from nexus_bench.bench.generators import DEFAULT_HOPS, bench_generators, hops_to_time
    from nexus_bench.cli.printing import rate_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.cli.screen import print_table
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.io.hops import format_hops

    asked = hops_of(hops)
    timed = hops_to_time(tuple(split_commas(tasks) or GENERATORS.names()), None if asked is None else tuple(asked))
    with progress("timing", sum(map(len, timed.values())), quiet=quiet) as advance:
        rates = bench_generators(timed, seconds=seconds, on_rate=lambda rate: advance(1))
    if as_json:
        print_document("bench gen", rates=rates)
    else:
        print_table(rate_table(rates))
    for name, had in timed.items():
        if missing := tuple(sorted(set(asked or DEFAULT_HOPS) - set(had))):
            typer.echo(f"{name}: cannot have {format_hops(missing)} hops; timed at {format_hops(had)}", err=True)


def bench_attention(
    words: Annotated[
        Optional[list[str]],
        typer.Argument(
            metavar="[ATTENTION]... [KEY=VALUE]...",
            help="Mechanisms, default standard and nexus, and their settings.",
            autocompletion=attentions,
        ),
    ] = None,
    order: Annotated[str, typer.Option(metavar="ORDERS", help="Orders of mechanisms that nest.")] = "1,2,3",
    n: Annotated[str, typer.Option("--n", "-n", metavar="LENGTHS", help="Sequence lengths.")] = "256,512",
    batch: Annotated[int, typer.Option(min=1, max=1_000_000, help="Sequences.")] = 8,
    heads: Annotated[int, typer.Option(min=1, max=10_000, help="Heads.")] = 4,
    d_head: Annotated[int, typer.Option(min=1, max=10_000, help="Width of a head.")] = 64,
    dtype: Annotated[str, one_of(("float32", "bfloat16"), help="Of all tensors.")] = "float32",
    causal: Annotated[bool, typer.Option("--causal", help="Positions attend to earlier positions only.")] = False,
    settings: Settings = None,
    device: Device = "auto",
    rounds: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Repetitions of each timing; the fastest is reported.")
    ] = 10,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time attention modules.

    Forward and backward, next to PyTorch's own; peak memory and FLOPs.
    """
    import torch

    from nexus_bench.bench.attention import Workload, attention_entries
    from nexus_bench.bench.attention import bench_attention as measure
    from nexus_bench.cli.printing import attention_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.cli.screen import print_table
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.io.config import parse_settings

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if dtype not in dtypes:
        raise UsageError(f"--dtype must be float32 or bfloat16, got {dtype}")
    told = read_words(words, settings)
    entries = attention_entries(
        split_commas(told.names) or ["standard", "nexus"], parse_settings([f"order={order}", *told.settings])
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
    order: Annotated[str, typer.Option(metavar="ORDERS", help="Attention orders.")] = "1,2,3,4",
    batch: Annotated[int, typer.Option(min=1, max=1_000_000, help="Graphs per step.")] = 256,
    stack: Annotated[int, typer.Option(min=2, max=100_000, help="Models of the larger stack, on a GPU.")] = 256,
    device: Device = "auto",
    seconds: Annotated[float, typer.Option(min=0.01, max=86_400, help="How long to time each way of training.")] = 3.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time training.

    A plain PyTorch loop, one model, and many models at once; in model-steps per second.
    """
    from nexus_bench.bench.training import bench_training, n_ways
    from nexus_bench.cli.printing import training_table
    from nexus_bench.cli.progress import progress
    from nexus_bench.cli.screen import print_table
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
