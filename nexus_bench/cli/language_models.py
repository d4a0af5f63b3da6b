"""Commands that make and evaluate language models of transformers."""

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from nexus_bench.cli.choices import one_of
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Device, Hops, Out, Quiet, Settings, Task, hops_of
from nexus_bench.cli.words import Words, no_names, read_words
from nexus_bench.errors import UsageError

ARCHES = ("pythia-14m", "pythia-31m", "pythia-70m", "pythia-160m", "pythia-410m", "pythia-1b")

_OPTIONS = ("arch", "attention", "seed", "text", "held_out", "tokenizer", "task")  # of pretrain; no settings as well


def pretrain(
    words: Words = None,
    arch: Annotated[str, one_of(ARCHES, help="Its shape.")] = "pythia-14m",
    attention: Annotated[str, one_of(("standard", "nexus"), help="Its attention.")] = "standard",
    order: Annotated[Optional[int], typer.Option(help="Order of nexus; default 2.")] = None,
    compute_of: Annotated[
        Optional[str],
        typer.Option(
            metavar="NEST",
            help="A standard model as costly as this nest, such as order=3 or 'order=2 compare=mirrored'.",
        ),
    ] = None,
    text: Annotated[
        Optional[list[str]],
        typer.Option(metavar="TEXT", help="A file, a folder or a dataset of `datasets`; repeatable."),
    ] = None,
    held_out: Annotated[
        Optional[list[str]],
        typer.Option(metavar="TEXT", help="Text to evaluate on; default some documents of --text; repeatable."),
    ] = None,
    tokenizer: Annotated[
        Optional[str],
        typer.Option(metavar="PATH", help="A folder or a tokenizer.json; default one trained on the text."),
    ] = None,
    task: Task = None,
    hops: Hops = None,
    task_share: Annotated[
        Optional[float], typer.Option(help="Share of tokens that tell the task; default 0.3.")
    ] = None,
    tokens: Annotated[Optional[int], typer.Option(help="Tokens to train on; default each of them once.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the order of the text.")] = 0,
    settings: Settings = None,
    device: Device = "auto",
    out: Out = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Pretrain a language model of Pythia's shape.

    On text, and on the English of a task, if one is named. The same command resumes.
    """
    from nexus_bench.api.examples import divided
    from nexus_bench.attention.nexus_options import NexusOptions
    from nexus_bench.data.task import make_task
    from nexus_bench.hf.pretrain import default_folder
    from nexus_bench.hf.pretrain import pretrain as train
    from nexus_bench.hf.pretrain_spec import make_request, task_settings
    from nexus_bench.hf.pythia import arch_of, equal_in_compute
    from nexus_bench.hf.tokenizer import vocabulary_of
    from nexus_bench.io.columns import Row
    from nexus_bench.io.config import parse_settings, without_none
    from nexus_bench.io.entries import validate
    from nexus_bench.text.render import TextOptions

    lr = arch_of(arch).lr
    named = read_words(words, settings)
    no_names(named, command="pretrain")
    entry: dict[str, Any] = parse_settings(named.settings)
    if options := [key for key in entry if key in _OPTIONS]:
        raise UsageError(f"{options[0]}: is an option; write --{options[0].replace('_', '-')}")
    if task is None and (hops is not None or task_share is not None):
        raise UsageError("--hops and --task-share are of a task; add --task")
    if compute_of is not None and not compute_of.strip():
        raise UsageError("--compute-of: names no nest; write order=2, or such as 'order=2 compare=mirrored'")
    if compute_of is not None and attention != "standard":
        raise UsageError("--compute-of finds a standard model; omit --attention")
    entry |= without_none(
        text=text, held_out=held_out, tokenizer=tokenizer, order=order, tokens=tokens, task_share=task_share
    )
    entry |= {"arch": arch, "attention": attention, "seed": seed}
    if task is not None:
        task_entry = task_settings(entry)
        entry = {key: value for key, value in entry.items() if key not in task_entry}
        task_entry |= without_none(task=task, hops=hops_of(hops))
        task_entry, in_english = divided(task_entry)
        english = validate(TextOptions, in_english, where="pretrain: text")
        entry["english"] = english.model_dump(exclude_defaults=True) or None
        entry["task"] = make_task(task_entry, where="pretrain").model_dump(mode="json")
    if compute_of is not None:
        nest = parse_settings(compute_of.split(), option="--compute-of")
        if others := [key for key in nest if key not in (*NexusOptions.model_fields, "layers")]:
            raise UsageError(f"--compute-of: {others[0]} is no option of a nest; give it outside, to both models")
        nest["attention"] = "nexus"
        nested = make_request(entry | nest, lr_of_arch=lr).spec
        entry |= equal_in_compute(nested, n_tokens=vocabulary_of(nested))
    asked = make_request(entry, lr_of_arch=lr)
    folder = out or default_folder(asked.spec)

    def tell(row: Row, steps: int) -> None:
        if quiet:
            return
        line = f"step {row['step']:,} of {steps:,}  loss {row['loss']:.4f}"
        if row.get("held_out_loss") is not None:
            line += f"  held-out {row['held_out_loss']:.4f}"
        if row["tokens_per_second"] is not None:
            line += f"  {row['tokens_per_second']:,.0f} tokens/s"
        if row["mfu"] is not None:
            line += f"  MFU {row['mfu']:.1%}"
        typer.echo(line, err=True)

    done = train(asked, folder, device=device, on_row=tell)
    if done is None:
        return
    if as_json:
        print_document("pretrain", folder=folder, **done._asdict())
        return
    line = f"{folder}: {done.model}, {done.parameters:,} parameters, {done.tokens:,} tokens: loss {done.loss:.4f}, "
    typer.echo(f"{line}held-out {done.held_out_loss:.4f} ({done.bits_per_byte:.4f} bits per byte)")


def lm(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder that `pretrain` or save_pretrained wrote, or a name.")
    ],
    tasks: Annotated[
        list[str],
        typer.Option(
            metavar="TASKS", help="A folder from `export`, a .jsonl file, or tasks of lm-eval: a list or repeated."
        ),
    ],
    prompt: Annotated[
        Optional[str],
        typer.Option(
            metavar="JINJA",
            help="How rows of a .jsonl file are asked, over their keys; default 'Question: {{question}}\\nAnswer:'.",
        ),
    ] = None,
    shots: Annotated[int, typer.Option(min=0, max=1000, help="Examples before each question.")] = 0,
    limit: Annotated[Optional[int], typer.Option(min=1, help="Examples of each task at most.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=1_000_000, help="Requests at once.")] = 16,
    dtype: Annotated[str, one_of(("float32", "bfloat16"), help="Of the weights.")] = "float32",
    device: Device = "auto",
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", readable=False, metavar="FILE", help="Write the --json document here as well."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a language model with lm-eval.

    Without a network on exported tasks and .jsonl files.
    """
    from nexus_bench.cli.printing import scores_table
    from nexus_bench.cli.screen import print_table
    from nexus_bench.hf.lm import evaluate
    from nexus_bench.io.files import keep_others, to_json, write_atomic

    if out is not None:
        keep_others(out.parent, {out.name: '{\n  "model": '})
    asked: dict[str, Any] = {"prompt": prompt, "n_shots": shots, "limit": limit, "batch_size": batch, "dtype": dtype}
    scores = evaluate(model, tasks, device=device, **asked)
    if out is not None:
        write_atomic(out, to_json({"model": model, "scores": [score._asdict() for score in scores]}))
    if as_json:
        print_document("lm", model=model, scores=scores, file=out)
        return
    print_table(scores_table(model, scores))
    if out is not None:
        typer.echo(out)


def losses(
    runs: Annotated[
        list[Path],
        typer.Argument(readable=False, metavar="RUN...", help="Folders of `pretrain`, or folders of such folders."),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare held-out losses of pretrained models.

    By model, with intervals over seeds.
    """
    from nexus_bench.cli.printing import losses_table
    from nexus_bench.cli.screen import print_table
    from nexus_bench.hf.losses import losses as compare
    from nexus_bench.hf.losses import unsealed

    found = compare(runs)
    if without := unsealed(runs):
        more = f" and of {len(without) - 1} more" if len(without) > 1 else ""
        typer.echo(
            f"note: summary.json of {without[0]}{more} is unsealed, of an older version: edits of it cannot be found",
            err=True,
        )
    if as_json:
        print_document("losses", losses=found)
        return
    print_table(losses_table(found))
