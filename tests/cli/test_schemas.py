"""Every --json document and every CSV file is as its schema says."""

import json
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
import typer.main

import nexus_bench
from nexus_bench import cli
from nexus_bench.cli.schemas import FOLDER, read_schema, schema_names
from nexus_bench.cli.schemas.derive import derive, documents
from nexus_bench.io.columns import TABLES
from nexus_bench.io.csv_files import read_csv, rows_of
from tests.conftest import Command
from tests.hf.made import saved_model
from tests.hf.pretraining import TOY, write_text
from tests.paths import EXAMPLES
from tests.reproduced import TOY as REPRODUCTION

SMALL = "--set n_val=7 --set n_test=11"
TINY = f"--hops 1-2 --set n_nodes=7 {SMALL} --set d_model=8 --set steps=3 --seeds 2 --executor inline --quiet"
LINES = {
    "gen": f"gen --hops 1-2 --n 9 {SMALL} --out d --json",
    "verify": "verify d --json",
    "check": "check standard pointer_chase --set hops=1 --json",
    "new attention": "new attention own --json",
    "new task": "new task own_task --json",
    "audit": "audit pointer_chase --hops 1 --n 1000 --json",
    "show": "show kinship --hops 2 --json",
    "train": f"train --task pointer_chase --attention nexus --order 2 {TINY} --out r --json",
    "train --dry-run": f"train --task pointer_chase --attention nexus {TINY} --out r --set lr=1,2 --dry-run --json",
    "train --print-config": "train quick steps=7 --print-config --json",
    "init": "init own.yaml --json",
    "runs": "runs . --json",
    "open": "open r --json",
    "status": "status r --json",
    "match": "match --task pointer_chase --attention nexus --json",
    "report": "report r --json",
    "reproduce": "reproduce toy.yaml --executor inline --quiet --json",
    "leaderboard": "leaderboard r --out lb --json",
    "eval": "eval r --n-facts 9 --json --quiet",
    "predictions": "predictions r --json --quiet",
    "inspect": "inspect r --cell seed.0 --hops 2 --n 20 --json",
    "compare": "compare r r --json",
    "list": "list --json",
    "export": "export --data d --out h --json",
    "score": "score answers.jsonl --data d --json",
    "gallery": "gallery --out tasks.md --json",
    "retrofit": "retrofit m --data d --method untouched --set n_test=3 --device cpu --quiet --out f --json",
    "pretrain": f"pretrain {' '.join(TOY)} --text t.txt --tokens 128 --out p --quiet --json",
    "lm": "lm p --tasks q.jsonl --device cpu --json",
    "losses": "losses p --json",
    "schema": "schema gen --json",
    "bench gen": "bench gen pointer_chase --hops 1 --seconds 0.01 --quiet --json",
    "bench attention": "bench attention standard --n 8 --rounds 1 --device cpu --quiet --json",
    "bench train": "bench train --order 1 --batch 4 --seconds 0.01 --device cpu --quiet --json",
}


def commands(app: object = cli.app, before: str = "") -> Iterator[str]:
    """Every command, as one types it, and whether it prints a document."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined, arg-type]
        if hasattr(command, "commands"):
            yield from (f"{name} {inner}" for inner in command.commands)
        else:
            yield name


def test_every_command_has_a_document() -> None:
    assert set(commands()) == set(LINES) - {"train --dry-run", "train --print-config"}
    assert set(documents()) == set(LINES)


def test_documents_are_as_their_schemas_say(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda page: True)
    saved_model(Path("m"), ["a"])
    Path("answers.jsonl").write_text('{"graph": 0, "query": 1, "prediction": "nobody"}\n')
    write_text(Path("t.txt"))
    Path("toy.yaml").write_text(REPRODUCTION)
    Path("q.jsonl").write_text('{"question": "Who?", "choices": ["Ada", "Ben"], "gold": 0}\n')
    for name, line in LINES.items():
        done = command(*(word.replace("seed.0", "seed 0") for word in line.split()))
        assert done.returncode == 0, (line, done.stderr)
        document = json.loads(done.stdout)
        assert (document["schema_version"], document["command"]) == (2, name)
        schema = json.loads(read_schema(name.replace(" --", "-").replace(" ", "-")))
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | {"unheard_of": 1}, schema)
    for path in Path.cwd().rglob("*.csv"):
        if path.name in TABLES:
            rows = rows_of(read_csv(path, TABLES[path.name]))
            jsonschema.validate(rows, json.loads(read_schema(path.name)))
    assert {path.name for path in Path.cwd().rglob("*.csv")} >= set(TABLES) - {"places.csv"}, "which sequences have"


def test_a_page_that_is_out_of_date_has_its_document_as_well(command: Command) -> None:
    Path("tasks.md").write_text("other tasks")
    done = command(*"gallery --check --out tasks.md --json".split())
    assert done.returncode == 6 and done.stderr.startswith("error: tasks.md: is out of date")
    assert json.loads(done.stdout)["is_current"] is False
    jsonschema.validate(json.loads(done.stdout), json.loads(read_schema("gallery")))


def test_a_report_that_can_compare_nothing_is_as_its_schemas_say(command: Command) -> None:
    line = "train --task pointer_chase --hops 1 --attention standard --set n_nodes=5 --set d_model=8 --set steps=1"
    assert command(*line.split(), *"--seeds 1 --executor inline --quiet --out r".split()).returncode == 0
    document = json.loads(command("report", "r", "--json").stdout)
    assert document["report"]["comparisons"] == []
    jsonschema.validate(document, json.loads(read_schema("report")))
    frame = pd.read_csv("r/comparisons.csv", dtype=nexus_bench.DTYPES)
    assert frame.empty and list(frame.columns) == [column.name for column in TABLES["comparisons.csv"]]


def test_the_schemas_of_the_package_are_those_of_the_code() -> None:
    assert {name: read_schema(name) for name in schema_names()} == derive(), (
        "nexus-bench schema --out nexus_bench/cli/schemas"
    )
    assert {path.suffix for path in FOLDER.iterdir() if path.is_file()} == {".py", ".json"}


def test_schemas_can_be_read_on_the_command_line(command: Command) -> None:
    assert command("schema").stdout.split() == schema_names()
    assert json.loads(command("schema", "results.csv").stdout)["items"]["properties"]["hop"]["type"] == [
        "integer",
        "null",
    ]
    assert command("schema", "--out", "s").returncode == 0
    assert {path.name for path in Path("s").iterdir()} == {f"{name}.json" for name in schema_names()}
    wrong = command("schema", "results")
    assert wrong.returncode == 2 and "unknown schema 'results'; did you mean 'results.csv'?" in wrong.stderr


def test_a_name_has_one_type_in_every_table() -> None:
    types: dict[str, set[str]] = {}
    for columns in TABLES.values():
        for column in columns:
            types.setdefault(column.name, set()).add(column.dtype)
    assert {name: found for name, found in types.items() if len(found) > 1} == {}


@pytest.mark.parametrize("file", ["results.csv", "curve.csv", "report.csv", "comparisons.csv"])
def test_tables_open_in_pandas_with_the_right_types_in_one_line(file: str) -> None:
    frame = pd.read_csv(EXAMPLES / "quick" / file, dtype=nexus_bench.DTYPES)
    columns = [column for column in TABLES[file] if not column.is_later]
    assert {str(frame[column.name].dtype) for column in columns if column.dtype == "Int64"} == {"Int64"}
    assert {column.name: str(frame[column.name].dtype) for column in columns} == {
        column.name: column.dtype for column in columns
    }
