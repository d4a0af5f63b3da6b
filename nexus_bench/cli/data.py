"""Commands that generate, check and show data, and tasks; none of them needs PyTorch."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from nexus_bench.cli.choices import DATA_FORMATS, one_of
from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import (
    AsJson,
    Hops,
    Out,
    Quiet,
    Seed,
    Settings,
    Task,
    hops_of,
)
from nexus_bench.cli.words import TaskWords, one_task, read_words
from nexus_bench.errors import CheckFailedError, ConfigError, UsageError, unknown_name
from nexus_bench.io.config import MOST_GRAPHS


def gen(
    words: TaskWords = None,
    task: Task = None,
    hops: Hops = None,
    n: Annotated[int, typer.Option("--n", "-n", min=1, max=MOST_GRAPHS, help="Training graphs.")] = 10_000,
    n_test: Annotated[Optional[int], typer.Option(min=1, max=MOST_GRAPHS, help="Test graphs.")] = None,
    hop_ood: Annotated[Optional[str], typer.Option(metavar="HOPS", help="A further test split with these.")] = None,
    seed: Seed = 0,
    out: Out = None,
    file_format: Annotated[str, one_of(DATA_FORMATS, "--format", help="Format of the files.")] = "npz",
    settings: Settings = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a dataset.

    One file per split, a card, and a manifest with the hashes of the files. The task is pointer_chase unless named.
    """
    from nexus_bench.api.examples import plan
    from nexus_bench.cli.progress import progress
    from nexus_bench.cli.screen import print_text
    from nexus_bench.data.show import as_text, show
    from nexus_bench.io.config import parse_settings, without_none
    from nexus_bench.io.hops import format_hops
    from nexus_bench.text.render import order_warning

    told = read_words(words, settings)
    task = one_task(told.names, task, command="gen", default="pointer_chase")
    overrides = parse_settings(told.settings) | without_none(
        n_test=n_test, hop_ood=hops_of(hop_ood, option="--hop-ood")
    )
    planned = plan(
        task, hops=hops_of(hops), n=n, seed=seed, out=out, format=file_format, settings=overrides, where="gen"
    )
    folder, spec, text = planned.folder, planned.spec, planned.text
    with progress(f"{folder}", planned.n_graphs, quiet=quiet) as advance:
        manifest = planned.write(on_graphs=advance)
    if as_json:
        print_document("gen", folder=folder, manifest=manifest)
        return
    law = spec.law()
    a_graph, facts, examples = law.schema.called
    sizes = f"{'at most ' if law.schema.is_sequence else ''}{law.family.n_facts} {facts} per {a_graph}"
    typer.echo(f"{folder}: {spec.task}, hops {format_hops(spec.hops)}, {sizes}")
    for split, about in manifest["splits"].items():
        counts = f"{manifest['n_graphs'][split]:>10,} {a_graph}s {about['n_examples']:>11,} {examples}"
        typer.echo(f"  {about['file']:<16}{counts} {about['n_bytes'] / 1e6:>9.1f} MB  sha256 {about['sha256'][:16]}")
    typer.echo(f"  content         sha256 {manifest['content_sha256']}")
    warning = None if text is None else order_warning(text)
    if warning is not None:
        typer.echo(f"  {warning}")
    try:
        shown = as_text(show(law, seed=seed))
    except ConfigError as none:  # the folder is written: that labels are rare is no fault
        shown = str(none)
    typer.echo("\none example")
    print_text(shown, indent=8)


def verify(
    path: Annotated[Path, typer.Argument(readable=False, metavar="DATA", help="A dataset folder from `gen`.")],
    as_json: AsJson = False,
) -> None:
    """Check every hash, label and split of a dataset.

    Schema, labels and hops (by the solver), repeated graphs, overlap of splits, balance of answers.
    """
    from nexus_bench.data.verify import verify as check

    rows = check(path)
    if as_json:
        print_document("verify", folder=path, splits=rows)
        return
    for row in rows:
        counts = f"{row.n_graphs:>10,} graphs {row.n_examples:>11,} labels right {row.n_repeated_graphs:>9,} repeated"
        typer.echo(f"{row.split:<10}{counts}   commonest answer {row.majority:.1%}")
    typer.echo(f"{path}: every hash, label, hop count and split is correct")


def audit(
    words: TaskWords = None,
    task: Task = None,
    hops: Hops = None,
    n: Annotated[
        int, typer.Option("--n", "-n", min=200, max=10_000_000, help="Graphs to score in every split.")
    ] = 6_000,
    encoding: Annotated[
        Optional[str],
        one_of(("flat", "fact"), help="flat (default): every reader; fact: without those of the facts' order."),
    ] = None,
    joint: Annotated[bool, typer.Option("--joint", help="Also read the other queries of the graph.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Print every reader, not only the best one.")] = False,
    seed: Seed = 0,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Try to beat a task's ceilings by shortcuts.

    Exit code 6 if a reader of shortcuts is significantly above a ceiling that the family declares.
    """
    from nexus_bench.cli.printing import audit_table
    from nexus_bench.cli.screen import print_table
    from nexus_bench.data.task import make_task
    from nexus_bench.io.columns import IID
    from nexus_bench.io.config import parse_settings, without_none
    from nexus_bench.shortcuts.audit import ENCODINGS, worst
    from nexus_bench.shortcuts.audit import audit as score

    if encoding is not None and encoding not in ENCODINGS:
        raise UsageError(unknown_name("encoding", encoding, ENCODINGS))
    told = read_words(words, settings)
    task = one_task(told.names, task, command="audit")
    entry = {"task": task} | parse_settings(told.settings) | without_none(hops=hops_of(hops))
    laws = {split: law.family for split, law in make_task(entry, where="audit").laws().items()}
    family = laws.pop(IID)
    rows = score(family, n_graphs=n, seed=seed, others=laws, encoding=encoding, joint=joint)
    if as_json:
        print_document("audit", task=task, rows=rows)
    else:
        print_table(audit_table(f"{task}, distractors {family.distractors}", rows if details else worst(rows)))
    above = [row for row in rows if row.above]
    if above:
        row = max(above, key=lambda row: row.bound - row.ceiling)
        told_by = "`could_be` or `variants`" if family.schema.is_sequence else "`alike`"
        raise CheckFailedError(
            f"{task}: {row.reader} scores {row.accuracy:.3f}, surely at least {row.bound:.3f}, at {row.hop} hops "
            f"({row.split}), above its ceiling of {row.ceiling:.3f} ({len(above)} of {len(rows)} readers are above "
            f"theirs); correct the family, its {told_by}, or the ceiling that it declares"
        )


def show(
    words: TaskWords = None,
    task: Task = None,
    hops: Hops = None,
    seed: Seed = 0,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Show one example of a task.

    Its facts, the chain that derives the answer, its flat tokens, and its English.
    """
    from nexus_bench.api.examples import show as show_drawn
    from nexus_bench.cli.screen import print_text
    from nexus_bench.io.config import parse_settings

    told = read_words(words, settings)
    task = one_task(told.names, task, command="show", default="pointer_chase")
    shown = show_drawn(task, hops=hops_of(hops), seed=seed, **parse_settings(told.settings))
    if as_json:
        print_document("show", task=task, **shown._asdict())
    else:
        print_text(str(shown), indent=8)
    if shown.denied:
        sample, solve = ("`draw`", "`derive`") if shown.labels else ("`sample`", "`solve`")
        raise CheckFailedError(f"{task}: {solve} denies this label: {shown.denied}; correct {sample} or {solve}")


def gallery(
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", readable=False, metavar="FILE", help="Write the page here; default print it."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Exit 6 if --out is not current; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the page that shows every task.

    For each task an example as a drawing, tokens and English; chance and ceilings.
    """
    from nexus_bench.data.gallery import gallery_page
    from nexus_bench.io.files import keep_others, read_bytes, write_atomic

    page, is_current = gallery_page(), None
    if check:
        if out is None:
            raise UsageError("--check compares with a file; give --out")
        is_current = read_bytes(out) == page.encode()
    elif out is not None:
        keep_others(out.parent, {out.name: page.partition("\n")[0]})
        write_atomic(out, page)
    elif not as_json:
        typer.echo(page, nl=False)
    if as_json:
        print_document("gallery", file=out, is_current=is_current, page=None if out else page)
    if is_current is False:
        raise CheckFailedError(f"{out}: is out of date; write it again with `nexus-bench gallery --out {out}`")
