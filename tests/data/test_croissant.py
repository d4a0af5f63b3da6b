"""Croissant metadata says what the files of a dataset are; the library of MLCommons reads both by it."""

import json
import logging
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from nexus_bench.data.croissant import croissant
from nexus_bench.data.dataset import read_dataset
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.generate import generate
from nexus_bench.data.manifest import CROISSANT, MANIFEST, manifest_sha256
from nexus_bench.data.task import TaskSpec
from nexus_bench.data.verify import verify
from nexus_bench.errors import CorruptArtefactError
from nexus_bench.io.files import sha256_of_file, to_json
from nexus_bench.text.render import TextOptions

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib", "ignore::DeprecationWarning:mlcroissant")


def written(folder: Path, spec: TaskSpec, file_format: str) -> dict[str, Any]:
    text = TextOptions() if file_format in ("text", "chat") else None
    generate(folder, spec, seed=3, n_train=9, file_format=file_format, text=text)
    value: dict[str, Any] = json.loads((folder / CROISSANT).read_text())
    return value


def plain(value: Any) -> Any:
    """A value of a record as in JSON; texts are bytes there, and names of parts begin with those of the whole."""
    if isinstance(value, dict):
        return {name.rpartition("/")[2]: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_library_of_mlcommons_finds_no_fault(
    file_format: str, tmp_path: Path, small_spec: TaskSpec, caplog: pytest.LogCaptureFixture
) -> None:
    told = written(tmp_path / "d", small_spec, file_format)
    with caplog.at_level(logging.WARNING):
        metadata = mlcroissant.Dataset(str(tmp_path / "d" / CROISSANT)).metadata
    assert not metadata.ctx.issues.errors
    lacking = {warning.split('"')[1].rpartition("/")[2] for warning in metadata.ctx.issues.warnings}
    assert lacking <= {"citeAs", "datePublished"}, "of a day would not be the same bytes on the next"
    assert "@context" not in caplog.text
    hashes = {file["@id"]: file["sha256"] for file in told["distribution"]}
    assert hashes == {
        path.name: sha256_of_file(path) for path in (tmp_path / "d").glob(f"*.{FORMATS[file_format].suffix}")
    }
    assert {records["@id"] for records in told["recordSet"]} == {"train", "val", "test"}


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_records_are_the_examples(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    told = written(tmp_path / "d", small_spec, file_format)
    lists_of = {field["name"] for field in told["recordSet"][0]["field"] if field.get("repeated")}
    assert lists_of == (set() if file_format == "csv" else {"facts", "query"})
    val = read_dataset(tmp_path / "d").splits["val"]
    records = list(mlcroissant.Dataset(str(tmp_path / "d" / CROISSANT)).records("val"))
    assert len(records) == val.answer.size
    for number, record in enumerate(map(plain, records)):
        graph, query = divmod(number, val.answer.shape[1])
        lists = {"facts": val.facts[graph].tolist(), "query": val.query[graph, query].tolist()}
        if file_format == "csv":
            lists = {name: json.dumps(value, separators=(",", ":")) for name, value in lists.items()}
        numbers = {"graph": graph, "answer": val.answer[graph, query], "hop": val.hop[graph, query]}
        assert record == lists | numbers


@pytest.mark.parametrize("file_format", ["text", "chat"])
def test_records_in_english_are_the_lines(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    written(tmp_path / "d", small_spec, file_format)
    records = mlcroissant.Dataset(str(tmp_path / "d" / CROISSANT)).records("val")
    lines = (tmp_path / "d" / "val.jsonl").read_text().splitlines()
    assert [plain(record) for record in records] == [json.loads(line) for line in lines]


def test_metadata_that_was_edited_is_found_and_named(dataset_folder: Path) -> None:
    path = dataset_folder / CROISSANT
    path.write_text(path.read_text().replace("multi-hop", "one-hop"))
    with pytest.raises(CorruptArtefactError, match=r"croissant\.json: was edited: its hash does not match"):
        verify(dataset_folder)
    path.unlink()
    with pytest.raises(CorruptArtefactError, match=r"croissant\.json: is missing"):
        verify(dataset_folder)


def test_a_dataset_of_before_needs_none(dataset_folder: Path) -> None:
    manifest = json.loads((dataset_folder / MANIFEST).read_text())
    del manifest["croissant_sha256"]
    (dataset_folder / MANIFEST).write_text(to_json(manifest | {"manifest_sha256": manifest_sha256(manifest)}))
    (dataset_folder / CROISSANT).unlink()
    assert verify(dataset_folder) and read_dataset(dataset_folder)


def test_an_unknown_licence_is_left_out_and_one_of_another_kind_is_named(dataset_folder: Path) -> None:
    manifest = read_dataset(dataset_folder).manifest
    assert croissant(manifest)["license"] == "https://spdx.org/licenses/MIT.html"
    for licence, said in ((None, None), ("Our own terms", "Our own terms")):
        origin = manifest["origin"] | {"licence": licence}
        assert croissant(manifest | {"origin": origin}).get("license") == said
