"""`nexus-bench check`: what a mechanism promises, here and in packages of others."""

from typing import Annotated, Any

import typer

from nexus_bench.cli.documents import print_document
from nexus_bench.cli.options import AsJson, Settings
from nexus_bench.errors import CheckFailedError, ConfigError, UsageError, blame, in_one_line


def check(
    names: Annotated[list[str], typer.Argument(help="Attention mechanisms, also those of other packages.")],
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Check what attention mechanisms promise: one line each; exit 6 if a promise is broken."""
    from nexus_bench.attention.base import ATTENTIONS, Attention
    from nexus_bench.attention.promises import D_MODEL, Told
    from nexus_bench.attention.promises import check as promises_of
    from nexus_bench.generators.base import GENERATORS
    from nexus_bench.io.config import parse_settings
    from nexus_bench.io.entries import validate

    given = parse_settings(settings or [])
    checked: dict[str, Any] = {}
    for name in names:
        if name in GENERATORS.names():
            raise UsageError(f"{name} is a task; `nexus-bench audit {name}` and `verify` of a dataset check it")
        mechanism = ATTENTIONS.get(name)
        if not issubclass(mechanism, Attention):
            raise UsageError(f"{name} is a whole model or a hybrid; name attention mechanisms")
        options = {key: value for key, value in given.items() if key in mechanism.Options.model_fields}
        made = validate(mechanism.Options, options, where=name)
        try:
            mechanism.check(D_MODEL, made)
        except ValueError as error:
            raise ConfigError(f"{name}: {error}") from error
        checked[name] = (mechanism, options)
    unknown = [key for key in given if not any(key in options for _, options in checked.values())]
    if unknown:
        raise ConfigError(f"{unknown[0]} is not an option of {' or '.join(names)}; omit it")

    found: list[tuple[str, Told]] = []
    for name, (mechanism, options) in checked.items():
        for told in promises_of(mechanism, options, explain=lambda error: blame(error) or in_one_line(error)):
            found.append((name, told))
            if not as_json:
                typer.echo(f"{name}: {told.state}: {told.promise}" + (f" ({told.detail})" if told.detail else ""))
    if as_json:
        print_document("check", promises=[{"attention": name, **told._asdict()} for name, told in found])
    broken = [f"{name}: {told.promise}" for name, told in found if told.state == "broken"]
    if broken:
        raise CheckFailedError(f"broken: {'; '.join(broken)}")
