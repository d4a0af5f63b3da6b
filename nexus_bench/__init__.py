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
    from nexus_bench.api.examples import (
        LoadedDataset,
        NexusBenchError,
        Shown,
        dataset,
        generate,
        load,
        score_answer,
        show,
    )
    from nexus_bench.api.inspection import Inspection
    from nexus_bench.api.run import DTYPES, Run, open
    from nexus_bench.api.shown import Figure, ReportView
    from nexus_bench.api.stream import Item, ItemStream
    from nexus_bench.api.training import train

_OF_EXAMPLES = ("LoadedDataset", "NexusBenchError", "Shown", "dataset", "generate", "load", "score_answer", "show")


if not TYPE_CHECKING:  # or else a misspelt name would have every type

    def __getattr__(name: str) -> Any:
        """Import on first use, so that nothing waits for a library that it does not need, least of all for PyTorch."""
        home: Any
        if name in _OF_EXAMPLES:
            from nexus_bench.api import examples as home
        elif name == "Inspection":
            from nexus_bench.api import inspection as home
        elif name in ("DTYPES", "Run", "open"):
            from nexus_bench.api import run as home
        elif name in ("Figure", "ReportView"):
            from nexus_bench.api import shown as home
        elif name in ("Item", "ItemStream"):
            from nexus_bench.api import stream as home
        elif name == "train":
            from nexus_bench.api import training as home
        else:
            from nexus_bench.api.values import present_attribute

            if (present := present_attribute(name)) == name:
                raise AttributeError(f"module 'nexus_bench' has no attribute {name!r}")
            return __getattr__(present)
        return getattr(home, name)


def __dir__() -> list[str]:
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
