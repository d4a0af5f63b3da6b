"""Text as tokens in files that are mapped into memory: made once, and shared by runs of other models and seeds."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import ConfigError, CorruptArtefactError
from nexus_bench.hf.documents import TextSources, find_text, told_documents
from nexus_bench.hf.library import quiet
from nexus_bench.hf.pretrain_spec import PretrainSpec
from nexus_bench.hf.tokenizer import load_tokenizer, train_tokenizer
from nexus_bench.io.files import locked, read_json, sha256, sha256_of_file, to_json, unwritable, write_atomic
from nexus_bench.text.render import TextOptions

_TRAIN, _HELD_OUT, _ABOUT, _TOKENIZER = "train.bin", "held_out.bin", "about.json", "tokenizer"
_VERSION = 1  # raised when the same text gives other tokens
_CHARACTERS = 1_000_000  # longer documents are tokenised in pieces that end at a line break
_AT_ONCE = 8_000_000  # characters tokenised side by side

Tokens = NDArray[np.unsignedinteger[Any]]


class TokenFiles(NamedTuple):
    """Tokens to train on, and held-out ones.

    Attributes:
        train: Tokens of all documents, each with the end-of-text token behind it.
        held_out: Likewise.
        held_out_bytes: Bytes of the held-out documents in UTF-8.
        end_of_text: This token.
        tokenizer: The tokenizer.
        sha256: Of the text, the tokenizer and how they were used.
    """

    train: Tokens
    held_out: Tokens
    held_out_bytes: int
    end_of_text: int
    tokenizer: Any
    sha256: str


def token_files(spec: PretrainSpec, place: Path) -> TokenFiles:
    """The tokens of a run, made if they are not there yet, whole or not at all.

    Args:
        spec: The run.
        place: The folder of all such files; each text with its tokenizer has a folder of its own in it.

    Raises:
        ConfigError: There is no text, too little of it, or a file is not text; or the tokenizer is none.
        CorruptArtefactError: The tokens were edited since.
        StorageError: A file cannot be read or written.
    """
    if not spec.text and spec.task is None:
        raise ConfigError("pretrain: there is nothing to train on; give --text, --task or both")
    text, held_out = find_text(spec.text), find_text(spec.held_out)
    if shared := text.sources & held_out.sources:
        name = min(path.name for path in shared)
        raise ConfigError(f"pretrain: {name} is in --text and in --held-out; what is trained on tells nothing held out")
    given = None if spec.tokenizer is None else load_tokenizer(spec.tokenizer)
    about = {
        "version": _VERSION,
        "text": text.sha256,
        "held_out": held_out.sha256,
        "tokenizer": spec.vocab_size if given is None else sha256(given.backend_tokenizer.to_str().encode()),
        "task": spec.task,
        "task_share": None if spec.task is None else spec.task_share,
        "tokens": spec.tokens if not spec.text else None,  # a task alone is drawn until there are so many
        "documents": spec.documents,
        "held_out_share": None if spec.held_out else spec.held_out_share,
        **({} if spec.english is None else {"english": spec.english}),  # tokens made before keep their name
        **({} if spec.ask == "one" else {"ask": spec.ask}),
        **({"derived": spec.derived_share} if spec.derived_share else {}),
    }
    key = sha256(json.dumps(about, sort_keys=True).encode())
    folder = place / key[:16]
    if not (folder / _ABOUT).is_file():
        with locked(place / f".{key[:16]}.lock", guards=folder, advice="choose another --out", wait=True):
            if not (folder / _ABOUT).is_file():
                if folder.is_dir():
                    raise CorruptArtefactError(f"{folder}: lacks {_ABOUT}; delete it to make it again")
                _write(folder, spec, text, held_out, given, key)
    told = read_json(folder / _ABOUT)
    for name, content in told.get("files", {}).items():  # files made before had no hashes
        if not (folder / name).is_file():
            raise CorruptArtefactError(f"{folder / name}: is missing; delete {folder} to make it again")
        if sha256_of_file(folder / name) != content:
            raise CorruptArtefactError(f"{folder / name}: is truncated or edited; delete {folder} to make it again")
    with quiet():
        tokenizer = given or load_tokenizer(str(folder / _TOKENIZER))
    train, evaluated = (np.memmap(folder / name, dtype=told["dtype"], mode="r") for name in (_TRAIN, _HELD_OUT))
    return TokenFiles(train, evaluated, told["held_out_bytes"], told["end_of_text"], tokenizer, key)


def _write(folder: Path, spec: PretrainSpec, text: TextSources, held_out: TextSources, given: Any, key: str) -> None:
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        training, evaluated = _divided(spec, text, held_out)
        tokenizer = given
        if tokenizer is None:
            learned = training() if spec.text else _until(_told(spec), 10 * _CHARACTERS)
            tokenizer = train_tokenizer(learned, spec.vocab_size)
        end = int(tokenizer.eos_token_id)
        dtype = np.dtype(np.uint16 if len(tokenizer) <= 2**16 else np.uint32)
        n_train = _append(unfinished / _TRAIN, _tokenised(training(), tokenizer, end), dtype)
        if spec.task is not None:
            share = spec.task_share if spec.text else 1.0
            wanted = int(n_train * share / (1 - share)) if share < 1 else (spec.tokens or 0) + spec.seq_len + 1
            if not spec.text and spec.tokens is None:
                raise ConfigError("pretrain: a task alone has no end; say how many --tokens to train on")
            n_train += _append(unfinished / _TRAIN, _tokenised(_told(spec), tokenizer, end), dtype, most=wanted)
        n_bytes = 0

        def counted() -> Iterator[str]:
            nonlocal n_bytes
            for document in evaluated():
                n_bytes += len(document.encode())
                yield document

        n_held_out = _append(unfinished / _HELD_OUT, _tokenised(counted(), tokenizer, end), dtype)
        for n, what in ((n_train, "text"), (n_held_out, "held-out text")):
            if n <= spec.seq_len:
                raise ConfigError(
                    f"pretrain: the {what} has {n:,} tokens, fewer than the {spec.seq_len + 1:,} of one sequence; "
                    f"{'give more of it' if what == 'text' else 'give --held-out'} or lower seq_len"
                )
        tokenizer.save_pretrained(unfinished / _TOKENIZER)
        files = {name: sha256_of_file(unfinished / name) for name in (_TRAIN, _HELD_OUT)}
        told = {"files": files, "dtype": dtype.name, "held_out_bytes": n_bytes, "end_of_text": end, "sha256": key}
        write_atomic(unfinished / _ABOUT, to_json({**told, "n_train": n_train, "n_held_out": n_held_out}))
        unfinished.replace(folder)
    except OSError as error:
        raise unwritable(folder, error, "choose another --out") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _divided(spec: PretrainSpec, text: TextSources, held_out: TextSources) -> tuple[Any, Any]:
    """Two functions that give the documents to train on and the held-out ones.

    Without text to hold out, documents are, in the order of their hashes, until they have their share of all
    characters: the same ones for every model and seed, whatever the order of the files.
    """
    if spec.held_out:
        return (lambda: text.documents(spec.documents)), (lambda: held_out.documents(spec.documents))
    if not spec.text:
        return (lambda: iter(())), (lambda: _until(_told(spec, validation=True), _CHARACTERS))
    sizes: dict[bytes, int] = {}
    for document in text.documents(spec.documents):
        digest = _digest(document)
        sizes[digest] = sizes.get(digest, 0) + len(document)
    if not sizes:
        raise ConfigError(f"pretrain: {', '.join(spec.text)} holds no text")
    if len(sizes) < 2:
        raise ConfigError(
            "pretrain: the text is a single document, so none can be held out; give --held-out, or say where documents "
            "end (documents=blank_line or line)"
        )
    chosen: set[bytes] = set()
    wanted = spec.held_out_share * sum(sizes.values())
    for digest in sorted(sizes)[: len(sizes) - 1]:
        if chosen and wanted <= 0:
            break
        chosen.add(digest)
        wanted -= sizes[digest]

    def those(is_held_out: bool) -> Iterator[str]:
        return (one for one in text.documents(spec.documents) if (_digest(one) in chosen) == is_held_out)

    return (lambda: those(False)), (lambda: those(True))


def _told(spec: PretrainSpec, *, validation: bool = False) -> Iterator[str]:
    assert spec.task is not None
    text = TextOptions(**(spec.english or {}))
    task = TaskSpec.model_validate(spec.task)
    return told_documents(task, text, ask=spec.ask, derived_share=spec.derived_share, validation=validation)


def _until(documents: Iterator[str], n_characters: int) -> Iterator[str]:
    for document in documents:
        if n_characters <= 0:
            return
        n_characters -= len(document)
        yield document


def _tokenised(documents: Iterable[str], tokenizer: Any, end: int) -> Iterator[list[int]]:
    """The tokens of each document, with the end-of-text token behind them."""
    waiting: list[list[str]] = []
    n = 0
    for document in documents:
        waiting.append(_pieces(document))
        n += len(document)
        if n >= _AT_ONCE:
            yield from _encoded(waiting, tokenizer, end)
            waiting, n = [], 0
    yield from _encoded(waiting, tokenizer, end)


def _encoded(documents: list[list[str]], tokenizer: Any, end: int) -> Iterator[list[int]]:
    pieces = [piece for document in documents for piece in document]
    encoded = iter(tokenizer.backend_tokenizer.encode_batch_fast(pieces, add_special_tokens=False))
    for document in documents:
        ids = [token for _ in document for token in next(encoded).ids]
        yield [*ids, end]


def _pieces(document: str) -> list[str]:
    pieces, at = [], 0
    while len(document) - at > _CHARACTERS:
        cut = document.rfind("\n", at, at + _CHARACTERS) + 1
        stop = cut if cut > at else at + _CHARACTERS
        pieces.append(document[at:stop])
        at = stop
    return [*pieces, document[at:]]


def _append(path: Path, documents: Iterator[list[int]], dtype: np.dtype[Any], *, most: int | None = None) -> int:
    """Write tokens behind those that are there; ends with the document that reaches `most`."""
    n = 0
    with path.open("ab") as file:
        for document in documents:
            if most is not None and n >= most:
                break
            file.write(np.asarray(document, dtype=dtype).tobytes())  # `tofile` does not say that a disk is full
            n += len(document)
    return n


def _digest(document: str) -> bytes:
    return hashlib.sha256(document.encode()).digest()
