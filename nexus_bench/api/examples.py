"""Examples from Python: dataset folders, one example to look at, an endless stream, and a reward for answers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nexus_bench.api import values
from nexus_bench.api.values import Hops, in_python, plain
from nexus_bench.data import generate as writing
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.loading import LoadedDataset as LoadedDataset
from nexus_bench.data.loading import load as read
from nexus_bench.data.manifest import Manifest
from nexus_bench.data.show import Shown as Shown
from nexus_bench.data.show import show as show_drawn
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.errors import NexusBenchError as NexusBenchError
from nexus_bench.errors import UsageError, unknown_name
from nexus_bench.io.config import LARGEST, MOST_GRAPHS, without_none
from nexus_bench.io.entries import validate
from nexus_bench.text.answers import plain_answer
from nexus_bench.text.render import TextOptions

if TYPE_CHECKING:
    from nexus_bench.api.stream import Item, ItemStream

load = in_python()(read)
_IN_ENGLISH = ("text", "chat")  # formats


class Planned(NamedTuple):
    """A dataset folder that can be written.

    Attributes:
        folder: Its path.
        spec: The task.
        seed: Names the dataset.
        n: Training graphs.
        format: Of its files.
        text: How it is told in English; None for formats of arrays.
    """

    folder: Path
    spec: TaskSpec
    seed: int
    n: int
    format: str
    text: TextOptions | None

    @property
    def n_graphs(self) -> int:
        """Graphs of all splits."""
        return self.n + self.spec.n_val + self.spec.n_test * len(self.spec.laws())

    def write(self, on_graphs: Callable[[int], None] = lambda n_graphs: None) -> Manifest:
        """Write the folder, or check it if it is there already; the content of its `manifest.json`.

        Args:
            on_graphs: Told the number of graphs since its last call.

        Raises:
            CheckFailedError: The family draws a label that its solver denies.
            ConfigError: There are too few distinct graphs.
            StorageError: The folder cannot be written.
            UsageError: The folder holds something else.
        """
        return writing.generate(
            self.folder,
            self.spec,
            seed=self.seed,
            n_train=self.n,
            file_format=self.format,
            text=self.text,
            on_graphs=on_graphs,
        )


@in_python()
def generate(
    task: str = "pointer_chase",
    *,
    hops: Hops | None = None,
    n: int = 10_000,
    seed: int = 0,
    out: str | Path | None = None,
    format: str = "npz",
    **settings: Any,
) -> LoadedDataset:
    """Write a dataset folder, as `nexus-bench gen` does, and read it; one that is there already is checked and kept.

    Args:
        task: The task family.
        hops: Hop counts: `3`, `"1-5"`, `"1,2,4"` or a list.
        n: Training graphs.
        seed: Names the dataset.
        out: The folder; None takes one under `runs/data`.
        format: `npz`, `jsonl`, `csv`, `parquet`, `text` or `chat`.
        settings: Any parameter of the task or its splits by name, as `n_nodes=24` or `n_test=500`; in the formats
            `text` and `chat` also how it is told, as `target="steps"`.

    Returns:
        The splits: `data["train"].facts`, `data.torch("train")`.

    Raises:
        CheckFailedError: The family draws a label that its solver denies.
        ConfigError: A name or a value is not allowed, or there are too few distinct graphs.
        StorageError: The folder cannot be written.
        UsageError: The folder holds something else, or there is no such format.
    """
    planned = plan(task, hops=hops, n=n, seed=seed, out=out, format=format, settings=settings, where="generate")
    planned.write()
    return load(planned.folder)


def plan(
    task: str,
    *,
    hops: Hops | None,
    n: int,
    seed: int,
    out: str | Path | None,
    format: str,
    settings: Mapping[str, Any],
    where: str,
) -> Planned:
    """What `generate` and `nexus-bench gen` write, checked; `where` is the name of the caller in messages."""
    if values.text("format", format) not in FORMATS:
        raise UsageError(unknown_name("format", format, FORMATS))
    n = values.whole("n", n, least=1, most=MOST_GRAPHS)
    seed = _seed(seed)
    own, text_options = divided(settings) if format in _IN_ENGLISH else (dict(settings), {})
    text = validate(TextOptions, text_options, where=f"{where}: text") if format in _IN_ENGLISH else None
    spec = _task(task, hops, own, where=where)
    folder = writing.default_folder(spec, seed=seed) if out is None else values.path("out", out)
    return Planned(folder, spec, seed, n, format, text)


@in_python()
def show(task: str, *, hops: Hops | None = None, seed: int = 0, **settings: Any) -> Shown:
    """One drawn example: facts, the chain that derives the answer, tokens, English; `print` shows it in a few lines.

    Args:
        task: The task family.
        hops: Hop counts to draw one from.
        seed: Another seed shows another example.
        settings: Any parameter of the task by name.

    Raises:
        ConfigError: A name or a value is not allowed, or of many sequences none has a label of these hops.
    """
    return show_drawn(_task(task, hops, settings, where="show").law(), seed=_seed(seed))


@in_python()
def dataset(task: str, *, hops: Hops | None = None, seed: int = 0, **settings: Any) -> "ItemStream":
    """The questions of a task without end, in English and as arrays; also a PyTorch dataset.

    The stream is the same in every pass. It never shows a validation or test graph of `generate` with the same seed
    and settings. The questions of a graph follow each other: `n_queries=1` asks one of each.

    Args:
        task: The task family.
        hops: Hop counts.
        seed: Another seed gives another stream; give one to each process of a distributed training.
        settings: Any parameter of the task by name, and how it is told: `target="steps"`, `question="first"`,
            `n_distractors=3`.

    Returns:
        An iterable of `Item`; the workers of a `DataLoader` share it without repeating a graph.

    Raises:
        ConfigError: A name or a value is not allowed, or the task has no English.
    """
    from nexus_bench.api.stream import ItemStream

    own, text_options = divided(settings)
    text = validate(TextOptions, text_options, where="dataset: text")
    return ItemStream(_task(task, hops, own, where="dataset"), seed=_seed(seed), text=text)


def score_answer(item: "Item | Mapping[str, Any] | str", text: str) -> float:
    """1.0 if a text gives the answer of an item, else 0.0, by the rule of `nexus-bench score`; a reward for RL.

    Case, punctuation around it, all up to the last "answer is" or "answer:", and all behind a sentence that begins with
    "So the answer is" are ignored.

    Args:
        item: What was asked: an `Item`, a mapping with a key `answer`, or the answer itself.
        text: What the model wrote.

    Raises:
        UsageError: The item has no answer, or the text is none.
    """
    answer = item.get("answer") if isinstance(item, Mapping) else getattr(item, "answer", item)
    if not isinstance(answer, str) or not answer.strip():
        raise UsageError(
            f"score_answer takes an item, a mapping with the text of its answer, or that text, got {item!r}"
        )
    return float(plain_answer(values.text("text", text)) == plain_answer(answer))


def _seed(seed: Any) -> int:
    """A seed as Python's number: one of NumPy would name another stream."""
    return values.whole("seed", seed, least=0, most=LARGEST)


def _task(task: str, hops: Hops | None, settings: Mapping[str, Any], *, where: str) -> TaskSpec:
    return make_task(plain({"task": task} | dict(settings) | without_none(hops=hops)), where=where)


def divided(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the task, and those of how it is told in English."""
    own = {key: value for key, value in settings.items() if key not in TextOptions.model_fields}
    return own, {key: value for key, value in settings.items() if key in TextOptions.model_fields}
