"""Names of models as short as they can be told apart."""

from collections.abc import Mapping, Sequence

from nexus_bench.analysis.declared import matching
from nexus_bench.io.columns import CURRICULUM


def without_curriculum(label: str) -> str:
    """A label without its curriculum, which is no part of the model."""
    return label.partition(CURRICULUM)[0]


def named(asked: str, labels: Sequence[str], brief: Mapping[str, str]) -> str:
    """The brief name of the model that a declared name selects; that name itself if it selects none or several."""
    found = matching(asked, labels)
    return brief[found[0]] if len(found) == 1 else asked


def brief_names(short: Mapping[str, str]) -> dict[str, str]:
    """Label -> name in a few words: `order 2`, `order 2 mirrored`, `2 loops`, `3 layers`, `1 layer`."""
    kinds: dict[str, list[list[str]]] = {}
    for name in short.values():
        parts = name.split(", ")
        kinds.setdefault(_kind(parts), []).append(parts)
    brief = {}
    for label, name in short.items():
        parts = name.split(", ")
        alike = kinds[_kind(parts)]
        own = [part for part in parts[1:] if len(alike) == 1 or not all(part in other for other in alike)]
        own = own or parts[1:2]
        said = [_in_words(part) for part in own]
        is_told = parts[0] == "standard" or any(part.startswith("order ") for part in own)
        brief[label] = " ".join(said if said and is_told else [parts[0], *said])
        if name == "standard":
            brief[label] = "1 layer"
    return brief if len(set(brief.values())) == len(brief) else dict(short)


def _kind(parts: Sequence[str]) -> str:
    """Models of one kind share what need not be said of each."""
    return next((part.partition(" ")[0] for part in parts if part.startswith(("n_loops", "n_layers"))), parts[0])


def _in_words(part: str) -> str:
    name, _, value = part.rpartition(" ")
    words = {"n_layers": f"{value} layers", "n_loops": f"{value} loops", "compare": value}
    return words.get(name, part)
