"""How many reasoning hops can one attention layer make, as a function of attention order?

>>> import nexus_bench as nb
>>> item = next(iter(nb.dataset("kinship", hops=2)))
>>> nb.score_answer(item, f"The answer is {item.answer}.")
1.0
"""

from typing import TYPE_CHECKING, Any

from nexus_bench.version import __version__

__all__ = [
    "DTYPES",
    "Figure",
    "Inspection",
    "Item",
    "ItemStream",
    "LoadedDataset",
    "NexusBenchError",
    "ReportView",
    "Run",
    "Shown",
    "__version__",
    "dataset",
    "generate",
    "load",
    "open",
    "score_answer",
    "show",
    "train",
]

if TYPE_CHECKING:
    from nexus_bench.api import (
        DTYPES,
        Figure,
        Inspection,
        LoadedDataset,
        NexusBenchError,
        ReportView,
        Run,
        Shown,
        dataset,
        generate,
        load,
        open,
        score_answer,
        show,
        train,
    )
    from nexus_bench.api.stream import Item, ItemStream


def __getattr__(name: str) -> Any:
    """Import on first use, so that the help of a command does not wait for NumPy or PyTorch."""
    if name in ("Item", "ItemStream"):  # these alone need PyTorch
        from nexus_bench.api import stream

        return getattr(stream, name)
    if name in __all__:
        from nexus_bench import api

        return getattr(api, name)
    raise AttributeError(f"module 'nexus_bench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
