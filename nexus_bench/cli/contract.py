"""`nexus-bench check`: what tasks and attentions promise, here and in packages of others."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Settings
from nexus_bench.cli.words import read_words, split_commas
from nexus_bench.errors import (
    REPAIR,
    CheckFailedError,
    ConfigError,
    NexusBenchError,
    UsageError,
    blame,
    in_one_line,
    unknown_name,
)

if TYPE_CHECKING:
    from nexus_bench.attention.promises import PromiseResult
    from nexus_bench.data.task import TaskSpec


class _Asked(NamedTuple):
    """One name of the command line.

    Attributes:
        kind: `task` or `attention`.
        told: What comes of its promises, checked one after the other.
        digests: Gives the hashes of its examples by split; none of an attention.
        version: Its version.
    """

    kind: str
    told: "Iterator[PromiseResult]"
    digests: Callable[[], dict[str, str]]
    version: int


def check(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME... [KEY=VALUE]...", help="Tasks and attentions, also those of other packages, and settings."
        ),
    ],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check what tasks and attentions promise.

    One line for each promise; exit code 6 if one is broken. Tasks also get their digests.
    """
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.io.config import parse_settings

    said = read_words(words, settings)
    names, given = split_commas(said.names), parse_settings(said.settings)
    if not names:
        raise UsageError("name a task or an attention, as in `nexus-bench check nexus order=3`")
    checked: dict[str, _Asked] = {}
    unused = set(given)
    for name in names:
        if name in GENERATORS.names():
            checked[name] = _task(name, given, unused)
        elif name in ATTENTIONS.names() or "+" in name:
            checked[name] = _attention(name, given, unused)
        else:
            _refuse(name)
    if unused:
        raise ConfigError(f"{sorted(unused)[0]} is not an option of {' or '.join(names)}; omit it")

    promises, digests, broken = [], [], []
    for name, one in checked.items():
        is_kept = True
        for result in one.told:
            promises.append({"kind": one.kind, "name": name, **result._asdict()})
            if result.state == "broken":
                is_kept = False
                broken.append(f"{name}: {result.promise}")
            if not as_json:
                typer.echo(
                    f"{name}: {result.state}: {result.promise}" + (f" ({result.detail})" if result.detail else "")
                )
        for split, sha256 in one.digests().items() if is_kept else ():
            digests.append({"task": name, "version": one.version, "split": split, "sha256": sha256})
            if not as_json:
                typer.echo(f"{name}: digest of version {one.version}: {split}: {sha256}")
    if as_json:
        print_document("check", promises=promises, digests=digests)
    if broken:
        raise CheckFailedError(f"broken: {'; '.join(broken)}")


def _task(name: str, given: dict[str, Any], unused: set[str]) -> _Asked:
    from nexus_bench.data.digests import digests
    from nexus_bench.data.promises import has_names_of_its_own
    from nexus_bench.data.task import make_task, task_keys
    from nexus_bench.experiment.suite import taken_names
    from nexus_bench.shortcuts.promises import check as promises_of

    options = {key: value for key, value in given.items() if key in task_keys(name).all}
    unused.difference_update(options)
    spec = make_task({"task": name} | options, where="check")
    _refuse_too_few_graphs(spec)
    more = {"parameters have names of their own": lambda spec: has_names_of_its_own(spec, taken_names())}
    told = promises_of(spec, more, explain=_explain)
    return _Asked("task", told, lambda: digests(spec), spec.law().family.version)


def _refuse_too_few_graphs(spec: "TaskSpec") -> None:
    """Refuse a setting with too few distinct graphs for its splits: a fault of the setting, not of the family.

    Where they cannot be counted, since `n_worlds` fails, the promises tell it.

    Raises:
        ConfigError: There are too few.
    """
    from nexus_bench.data.promises import check_promise
    from nexus_bench.data.splits import check_worlds

    laws = spec.laws()

    def count() -> None:
        _ = [law.family.n_worlds for law in laws.values()]

    if check_promise("worlds are counted", count, explain=_explain).state == "kept":
        check_worlds(laws, n_val=spec.n_val, n_test=spec.n_test)


def _attention(name: str, given: dict[str, Any], unused: set[str]) -> _Asked:
    from nexus_bench.attention.base import ATTENTIONS, Attention
    from nexus_bench.attention.promises import PromiseResult, check_promise
    from nexus_bench.attention.promises import check as promises_of
    from nexus_bench.experiment.suite import taken_names
    from nexus_bench.model.promises import OPTIONS, keeps_its_options, small_model, values_not_asked
    from nexus_bench.model.promises import check as of_model
    from nexus_bench.model.spec import model_keys

    mechanism = ATTENTIONS.get(name)
    is_layer = issubclass(mechanism, Attention)
    keys = mechanism.Options.model_fields if is_layer else model_keys(name).all
    options = {key: value for key, value in given.items() if key in keys}
    unused.difference_update(options)
    spec = small_model(mechanism, options)

    def told() -> "Iterator[PromiseResult]":
        yield from promises_of(mechanism, options, explain=_explain) if is_layer else of_model(spec, explain=_explain)
        yield check_promise(OPTIONS, lambda: keeps_its_options(mechanism, options, taken_names()), explain=_explain)
        if is_layer and (others := values_not_asked(mechanism, options)):
            yield PromiseResult(
                "keeps its promises at other values of options", "not asked", f"--set {' or --set '.join(others)}"
            )

    return _Asked("attention", told(), dict, mechanism.version)


def _refuse(name: str) -> None:
    """Say what is wrong with a name that nothing has: its entry point is broken, or it is unknown."""
    from nexus_bench.attention.base import ATTENTIONS
    from nexus_bench.generators.base import GENERATORS

    for registry in (GENERATORS, ATTENTIONS):
        if registry.is_broken(name):
            registry.get(name)
    raise ConfigError(unknown_name("task or attention", name, (*GENERATORS.names(), *ATTENTIONS.names())))


def _explain(error: Exception) -> str:
    if isinstance(error, NexusBenchError):
        return str(error)
    blamed = blame(error)
    return in_one_line(error) if blamed is None else blamed.removesuffix(REPAIR)
