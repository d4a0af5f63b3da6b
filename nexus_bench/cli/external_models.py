"""Commands for models from elsewhere: tasks for an evaluation harness, and scores of the answers of any model."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import one_of
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import (
    AsJson,
    Data,
    Hops,
    Out,
    Seed,
    Settings,
    Task,
    hops_of,
)
from nexus_bench.cli.words import TaskWords, one_task, read_words
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.io.config import MOST_GRAPHS

Split = Annotated[str, typer.Option(metavar="SPLIT", help="Which split.")]


def export(
    words: TaskWords = None,
    task: Task = None,
    hops: Hops = None,
    data: Data = None,
    split: Split = "test",
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=MOST_GRAPHS, help="Most examples per hop.")] = 500,
    seed: Seed = 0,
    export_format: Annotated[str, one_of(("lm-eval",), "--format", help="The harness.")] = "lm-eval",
    files: Annotated[str, one_of(("jsonl", "parquet"), help="Kind of the files.")] = "jsonl",
    out: Out = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Write a task for lm-eval.

    Test examples as tasks that the Language Model Evaluation Harness runs offline.
    """
    from nexus_bench.api.examples import divided
    from nexus_bench.data.dataset import read_dataset
    from nexus_bench.data.generate import draw_dataset
    from nexus_bench.data.lm_eval import FILE_FORMATS, export_lm_eval, told_in
    from nexus_bench.data.task import make_task
    from nexus_bench.io.config import parse_settings, without_none

    if export_format != "lm-eval":
        raise UsageError(unknown_name("format", export_format, ["lm-eval"]))
    if files not in FILE_FORMATS:
        raise UsageError(unknown_name("kind of file", files, FILE_FORMATS))
    named = read_words(words, settings)
    has_task = bool(named.names or task)
    task = one_task(named.names, task, command="export", default="pointer_chase")
    overrides, text_options = divided(parse_settings(named.settings))
    if data is not None and (overrides or hops is not None or has_task):
        raise UsageError("with --data the task is that of the dataset; omit --task, --hops and settings of the task")
    entry = {"task": task} | overrides | without_none(hops=hops_of(hops))
    dataset = draw_dataset(make_task(entry, where="export"), seed=seed) if data is None else read_dataset(data)
    text, warning = told_in(dataset.manifest, text_options)
    folder = out or Path("runs/lm-eval") / dataset.spec.task
    names = export_lm_eval(folder, dataset, split=split, n_per_hop=n, text=text, file_format=files)
    if as_json:
        print_document("export", folder=folder, tasks=names)
        return
    typer.echo(f"{folder}: tasks {', '.join(names)}")
    if warning is not None:
        typer.echo(warning)
    typer.echo(f"lm_eval --model hf --model_args pretrained=MODEL --include_path {folder} --tasks {names[0]}")


def score(
    predictions: Annotated[
        Path, typer.Argument(readable=False, metavar="ANSWERS", help="JSON lines: graph, query, prediction.")
    ],
    data: Annotated[
        Path, typer.Option(readable=False, metavar="FOLDER", help="The dataset that the model was evaluated on.")
    ],
    split: Split = "test",
    model: Annotated[Optional[str], typer.Option(metavar="NAME", help="Name of the model; default the file's.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Score the answers of any model by hop.

    With chance and shortcuts, into a results.csv, which `report` reads together with runs.
    """
    from nexus_bench.experiment.score import score as score_answers
    from nexus_bench.report.terminal import print_report

    scored = score_answers(predictions, data, split=split, model=model, out=out)
    if as_json:
        counts = {"n_answered": scored.n_answered, "n_asked": scored.n_examples}
        print_document("score", files=scored.files, **counts, rows=scored.rows, warning=scored.warning)
        return
    for row in scored.rows:
        line = f"{row['hop']:>2} hops {row['n_correct']:>7,} of {row['n_examples']:>7,} right: {row['accuracy']:.3f}"
        if row["chance"] is not None:
            line += f"   chance {row['chance']:.3f}"
        if row["shortcut"] is not None:
            line += f"   {row['shortcut_name']} {row['shortcut']:.3f}"
        if row["partial_input"] is not None:
            line += f"   partial-input ceiling {row['partial_input']:.3f}"
        typer.echo(line)
    if scored.warning is not None:
        typer.echo(scored.warning)
    if scored.n_answered < scored.n_examples:
        n = f"{scored.n_answered:,} of the {scored.n_examples:,} examples of {split}"
        typer.echo(f"answered: {n}; the other examples are not counted")
    if scored.report is not None:
        print_report(scored.report, scored.files)
    else:
        typer.echo(scored.files[0])
