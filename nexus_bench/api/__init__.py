"""From Python: what `import nexus_bench as nb` gives, thin over what the commands use.

>>> import nexus_bench as nb
>>> print(nb.show("pointer_chase", hops=2, n_nodes=6, seed=1).chain)
node16 -> node5 -> node1
"""

from nexus_bench.api.examples import dataset, generate, score_answer, show
from nexus_bench.api.run import Inspection, Run, open
from nexus_bench.api.shown import Figure, ReportView
from nexus_bench.api.training import train
from nexus_bench.data.loading import LoadedDataset, load
from nexus_bench.data.show import Shown
from nexus_bench.errors import NexusBenchError
from nexus_bench.io.columns import DTYPES

__all__ = [
    "DTYPES",
    "Figure",
    "Inspection",
    "LoadedDataset",
    "NexusBenchError",
    "ReportView",
    "Run",
    "Shown",
    "dataset",
    "generate",
    "load",
    "open",
    "score_answer",
    "show",
    "train",
]
