"""Documents of text: from files, folders of files, datasets, and tasks in English."""

import gzip
import hashlib
import itertools
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from nexus_bench.data.law import text_examples
from nexus_bench.data.lm_eval import ASKED, DELIMITER, DERIVED
from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, StorageError, UsageError
from nexus_bench.hf.library import HUB_NAME, quiet
from nexus_bench.io.columns import VAL
from nexus_bench.io.files import check_listed, open_file, parse_line, sha256_of_file
from nexus_bench.streams import mix
from nexus_bench.text.render import TextExample, TextOptions, TextRenderer

_SUFFIXES = (".txt", ".md", ".jsonl")  # of files in a folder, each also with one of these behind it
_OPENERS: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
_OF_DATASETS = ("dataset_info.json", "dataset_dict.json")
_TEXTS = ("string", "large_string", "string_view")  # kinds of columns
_GRAPHS_AT_ONCE = 64


class TextSources(NamedTuple):
    """Where the text of a pretraining run is read from.

    Attributes:
        files: Files, in the order in which they are read.
        datasets: What `datasets` loaded, with a column `text`.
        sha256: Of all of it.
    """

    files: list[Path]
    datasets: list[Any]
    sha256: str

    def documents(self, divided: str) -> Iterator[str]:
        """The documents, one by one; empty ones, and rows of a dataset without text, are left out.

        Args:
            divided: What a document of a text file is: `file`, or what a `blank_line` or a `line` ends.

        Raises:
            ConfigError: A file is not UTF-8 text, or a line of JSON has no `text`.
            StorageError: A file cannot be read.
        """
        for path in self.files:
            yield from (document for document in _of_file(path, divided) if document.strip())
        for dataset in self.datasets:
            rows = dataset.select_columns("text").with_format(None)
            yield from (row["text"] for row in rows if row["text"] is not None and row["text"].strip())

    @property
    def sources(self) -> set[Path]:
        """All files that it comes from, those of datasets as well."""
        kept = (file["filename"] for dataset in self.datasets for file in dataset.cache_files)
        return {path.resolve() for path in (*self.files, *map(Path, kept))}


def check_apart(folder: Path, texts: list[str]) -> None:
    """What a run writes must not become text of the next one.

    Raises:
        UsageError: The folder is in one of the texts.
    """
    for text in texts:
        if text and Path(text).is_dir() and folder.resolve().is_relative_to(Path(text).resolve()):
            raise UsageError(f"{folder}: is in the text {text}, of which it would become a part; choose another --out")


def find_text(names: list[str]) -> TextSources:
    """Find text, and read none of it but for its hash.

    Args:
        names: Files (`.txt`, `.md`, any text; `.jsonl` with a `text` in each line; also as .gz and .xz), folders of
            such files, folders that `datasets` saved, or names of datasets on the hub.

    Raises:
        ConfigError: A folder has no text, a dataset has no column `text`, or `datasets` is missing.
        StorageError: A file cannot be read, or a dataset cannot be downloaded.
        UsageError: A name is empty.
    """
    files: list[Path] = []
    datasets: list[Any] = []
    for name in names:
        if not name:
            raise UsageError("a text without a name; give a file, a folder or a dataset")
        path = Path(name)
        if path.is_dir() and any((path / file).is_file() for file in _OF_DATASETS):
            datasets += _loaded(name)
        elif path.is_dir():
            check_listed(path)
            found = sorted(file for file in path.rglob("*") if _plain_suffix(file) in _SUFFIXES and file.is_file())
            if not found:
                raise ConfigError(f"{name}: holds no text; a folder needs files in {', '.join(_SUFFIXES)}")
            files += found
        elif path.exists() or not HUB_NAME.fullmatch(name) or path.suffix in (*_SUFFIXES, *_OPENERS):
            if not path.exists():
                raise StorageError(f"{name}: there is no such file")
            files.append(path)
        else:
            datasets += _loaded(name)
    content = hashlib.sha256()
    for file in files:
        content.update(sha256_of_file(file).encode())
    for dataset in datasets:
        content.update(str(dataset._fingerprint).encode())  # of how it was made, whatever came of that
        for file in dataset.cache_files:
            content.update(sha256_of_file(Path(file["filename"])).encode())
    return TextSources(files, datasets, content.hexdigest())


def told_documents(
    task: TaskSpec,
    text: TextOptions,
    *,
    ask: Literal["one", "all"],
    derived_share: float = 0.0,
    validation: bool = False,
) -> Iterator[str]:
    """Examples of a task in English, with their answers: training examples without end.

    They are written as `nexus-bench export` has lm-eval ask them, and are those of its seed 0: no graph that it asks is
    among them.

    Args:
        task: The task.
        text: How it is told.
        ask: What a document asks: one question, or all of its graph, one after another.
        derived_share: Of how many graphs the answers are derived in sentences, after `Steps:`.
        validation: The validation examples instead, which have an end.

    Raises:
        ConfigError: The task has too few distinct graphs.
    """
    splits = Splits(task.laws(), seed=0, n_val=task.n_val, n_test=task.n_test)
    derives_some = derived_share > 0  # a derivation comes with its answer, so all are told with one
    renderer = TextRenderer(splits.law.family, text.model_copy(update={"target": "steps"}) if derives_some else text)
    for first in [0] if validation else itertools.count(0, _GRAPHS_AT_ONCE):
        examples = splits.held_out[VAL].examples if validation else splits.train(first, first + _GRAPHS_AT_ONCE)
        told = text_examples(renderer, splits.law, examples, first_graph=first)
        by_graph = [list(asked) for _, asked in itertools.groupby(told, key=lambda one: one.graph)]
        drawn = mix(~np.arange(first, first + len(by_graph), dtype=np.uint64))
        if validation:  # a few graphs, always the same: as many of them as the share says
            is_derived = drawn.argsort().argsort() < round(derived_share * len(drawn))
        else:
            is_derived = drawn < derived_share * 2.0**64
        for derives, asked in zip(is_derived, by_graph, strict=True):
            if derives_some and not derives:
                asked = [one._replace(completion=one.answer) for one in asked]
            for together in [asked] if ask == "all" else [[one] for one in asked]:
                yield _document(together, DERIVED if derives else ASKED)


def _document(asked: list[TextExample], before: str) -> str:
    """The facts, then each question with its answer or the derivation of it."""
    prompts = [asked[0].prompt, *(one.question for one in asked[1:])]
    return "\n".join(f"{prompt}{before}{DELIMITER}{one.completion}" for prompt, one in zip(prompts, asked, strict=True))


def _plain_suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix in _OPENERS else path.suffix


def _of_file(path: Path, divided: str) -> Iterator[str]:
    where = str(path)
    try:
        open_file(path).close()
        with _OPENERS.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
            if _plain_suffix(path) == ".jsonl":
                yield from (_text_of(line, f"{where}:{n}") for n, line in enumerate(lines, 1) if line.strip())
            elif divided == "file":
                yield lines.read()
            elif divided == "line":
                yield from lines
            else:
                for is_text, part in itertools.groupby(lines, key=lambda line: bool(line.strip())):
                    if is_text:
                        yield "".join(part)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: is not UTF-8 text") from error
    except (OSError, EOFError, lzma.LZMAError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StorageError(f"{where}: cannot be read: {reason}") from error


def _text_of(line: str, where: str) -> str:
    try:
        text = parse_line(line, where, " with a `text`")["text"]
    except (TypeError, KeyError) as error:
        raise ConfigError(f"{where}: must be JSON with a `text`") from error
    if not isinstance(text, str):
        raise ConfigError(f"{where}: `text` must be a string, got {type(text).__name__}")
    return text


def _loaded(name: str) -> list[Any]:
    """The training split of a dataset, or the only one that it has."""
    try:
        import datasets
    except ImportError as error:
        raise ConfigError(f"{name}: reading it needs the package `datasets`; pip install datasets") from error
    is_here = Path(name).is_dir()
    try:
        with quiet():
            found = datasets.load_from_disk(name) if is_here else datasets.load_dataset(name, split="train")
    except Exception as error:  # of a damaged folder the library raises what its parts raise
        if is_here:
            raise StorageError(
                f"{name}: cannot be loaded as a dataset ({type(error).__name__}); save it again"
            ) from error
        said = f"{name}: is no file or folder here, and cannot be loaded as a dataset of the hub"
        raise StorageError(f"{said} ({type(error).__name__}); give a local file or folder") from error
    if isinstance(found, datasets.DatasetDict):
        if "train" not in found and len(found) != 1:
            raise ConfigError(
                f"{name}: has no split `train`, only {', '.join(found) or 'none'}; give the folder of one split"
            )
        found = found["train"] if "train" in found else next(iter(found.values()))
    if "text" not in found.column_names:
        raise ConfigError(f"{name}: has no column `text`, only {', '.join(found.column_names)}")
    if (kind := getattr(found.features["text"], "dtype", "list")) not in _TEXTS:
        raise ConfigError(f"{name}: its column `text` must hold strings, got {kind}")
    return [found]
