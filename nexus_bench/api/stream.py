"""Examples without end, one question at a time: for language models, for RL trainers, for a `DataLoader`."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from nexus_bench.data.law import text_examples
from nexus_bench.data.splits import BLOCK_GRAPHS, Splits
from nexus_bench.data.task import TaskSpec
from nexus_bench.errors import UsageError
from nexus_bench.text.render import TextOptions, TextRenderer

_GRAPHS_AT_ONCE = 64  # told in English together: few, so that the first item comes soon


class Item(NamedTuple):
    """One question, in English and as arrays.

    Attributes:
        prompt: The facts and the question in English.
        completion: What a language model should write: the answer, or the steps and then the answer.
        answer: The answer alone, in English.
        hop: The true hop count.
        facts: int64 array (facts, roles) of symbol ids.
        query: int64 array (roles) of symbol ids.
        label: The class id of the answer.
        graph: The number of the graph; the questions of a graph share its facts.
    """

    prompt: str
    completion: str
    answer: str
    hop: int
    facts: NDArray[np.int64]
    query: NDArray[np.int64]
    label: int
    graph: int


class ItemStream(IterableDataset[Item]):
    """The training examples of a task without end, the same in every pass; `nexus_bench.dataset` makes it.

    It is a PyTorch dataset: of the workers of a `DataLoader` each gets graphs of its own, and together they get all.

    Args:
        spec: The task.
        seed: Names the stream; training graphs of `generate` with this seed are its first ones.
        text: How questions are written in English.

    Raises:
        ConfigError: The task has too few distinct graphs, or no English.
    """

    def __init__(self, spec: TaskSpec, *, seed: int, text: TextOptions) -> None:
        super().__init__()
        self.spec = spec
        self.seed = seed
        self.text = text
        self._drawn_by()  # what is wrong shows here, not in a worker

    def __iter__(self) -> Iterator[Item]:
        splits, renderer = self._drawn_by()
        worker = get_worker_info()
        block, n_workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        while True:
            for start in range(block * BLOCK_GRAPHS, (block + 1) * BLOCK_GRAPHS, _GRAPHS_AT_ONCE):
                examples = splits.train(start, start + _GRAPHS_AT_ONCE)
                for example in text_examples(renderer, splits.law, examples, first_graph=start):
                    g, q = example.graph - start, example.query
                    yield Item(
                        example.prompt,
                        example.completion,
                        example.answer,
                        example.hop,
                        examples.facts[g].astype(np.int64),
                        examples.query[g, q].astype(np.int64),
                        int(examples.answer[g, q]),
                        example.graph,
                    )
            block += n_workers

    def __getitem__(self, index: object) -> Item:
        raise UsageError("a stream without end has no index; take items by `next(iter(stream))` or itertools.islice")

    def __repr__(self) -> str:
        return f"<endless nexus-bench examples of {self.spec.task}, seed {self.seed}>"

    def _drawn_by(self) -> tuple[Splits, TextRenderer]:
        splits = Splits(self.spec.laws(), seed=self.seed, n_val=self.spec.n_val, n_test=self.spec.n_test)
        return splits, TextRenderer(splits.law.family, self.text)
