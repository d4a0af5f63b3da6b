"""The command that fine-tunes a pretrained language model with Nexus."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import (
    AsJson,
    Device,
    Hops,
    Out,
    Quiet,
    Settings,
    Task,
    hops_of,
    positive_numbers,
)
from nexus_bench.cli.words import Words, no_names, read_words
from nexus_bench.errors import ConfigError, FailedCellsError, UsageError, unknown_name


def retrofit(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A folder with a pretrained model, or a name.")],
    words: Words = None,
    data: Annotated[
        Optional[Path], typer.Option(readable=False, help="A dataset folder from `gen`, or lines in a .jsonl.")
    ] = None,
    task: Task = None,
    hops: Hops = None,
    order: Annotated[str, typer.Option(metavar="ORDERS", help="Orders, each with and without gates.")] = "2",
    method: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="METHOD", help="untouched, standard, or such as 'order=2 gate=true layers=last-third'; repeatable."
        ),
    ] = None,
    steps: Annotated[Optional[int], typer.Option(min=1, max=100_000_000, help="Optimiser steps.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100_000, help="How many seeds.")] = 3,
    settings: Settings = None,
    device: Device = "auto",
    save_every: Annotated[float, typer.Option(min=0, help="Seconds between saved states of a cell.")] = 120.0,
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the trained models.")] = False,
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a pretrained model with Nexus.

    As it is and with Nexus, side by side, on --data or --task, and tested by hop.
    """
    named = read_words(words, settings)
    no_names(named, command="retrofit")
    if (data is None) == (task is None):
        raise UsageError("give --data or --task, and not both, as in `nexus-bench retrofit MODEL --task kinship`")
    if data is not None and hops is not None:
        raise UsageError("--data determines the hops; omit --hops")
    from nexus_bench.api.examples import divided
    from nexus_bench.data.task import make_task
    from nexus_bench.experiment.execution import choose_device
    from nexus_bench.experiment.run_folder import RunFolder
    from nexus_bench.hf.pretrained import open_pretrained
    from nexus_bench.hf.questions import Size, drawn_material, open_material
    from nexus_bench.hf.retrofit import Way, run_name
    from nexus_bench.hf.retrofit import retrofit as run_retrofit
    from nexus_bench.hf.retrofit_spec import Recipe, methods_from, recipe_from
    from nexus_bench.io.config import parse_settings, without_none
    from nexus_bench.io.entries import validate
    from nexus_bench.report.output import to_document
    from nexus_bench.report.terminal import print_report

    own, others = recipe_from(parse_settings(named.settings) | without_none(steps=steps))
    recipe = validate(Recipe, own, where="retrofit")
    others, text_options = divided(others)
    if text_options.pop("target", "answer") != "answer":
        raise UsageError("retrofit trains and scores answers only; omit target")
    chosen = choose_device(device)
    orders = positive_numbers(order, option="--order", what="orders such as 2 or 2,3 (1 is standard)", least=2)
    pretrained = open_pretrained(model)
    methods = methods_from(method or [], orders, pretrained.config)
    size = Size(recipe.steps * recipe.batch_size, recipe.n_val, recipe.n_test)
    if data is not None:
        if others:
            raise ConfigError(f"retrofit: {unknown_name('setting', next(iter(others)), Recipe.model_fields)}")
        material = open_material(data, size=size, view=recipe.view, told=text_options)
    else:
        entry = {"task": task} | others | without_none(hops=hops_of(hops))
        material = drawn_material(make_task(entry, where="retrofit"), size=size, view=recipe.view, told=text_options)
    folder = RunFolder(out or Path("runs") / run_name(pretrained, material))
    way = Way(
        chosen, save_every, keep_models, (lambda line: None) if quiet else (lambda line: typer.echo(line, err=True))
    )
    done = run_retrofit(pretrained, material, methods, recipe, seeds=range(seeds), folder=folder, way=way)
    if as_json:
        document = {"warnings": done.warnings, "report": to_document(done.report)}
        print_document("retrofit", folder=done.folder, files=done.files, **document)
    else:
        print_report(done.report, done.files)
    if done.n_failed:
        failed = f"{done.n_failed} cells failed: their loss is not a number"
        raise FailedCellsError(f"{done.folder}: {failed}; lower lr and choose another --out")
