"""The bytes of a family, pinned: hashes of examples that change only if the family changes."""

import hashlib

import numpy as np

from nexus_bench.data.splits import Splits
from nexus_bench.data.task import TaskSpec
from nexus_bench.generators.base import Examples
from nexus_bench.io.columns import TRAIN

_SEED, _N_TRAIN, _N_VAL, _N_TEST = 7, 1100, 13, 17  # part of what is hashed, never tuned


def digests(spec: TaskSpec) -> dict[str, str]:
    """SHA-256 of the examples of every split: of 1,100 training, 13 validation and 17 test graphs at seed 7.

    Args:
        spec: The task; if it has fewer validation or test graphs, these.

    Returns:
        Split -> hash.
    """
    splits = Splits(spec.laws(), seed=_SEED, n_val=min(_N_VAL, spec.n_val), n_test=min(_N_TEST, spec.n_test))
    held_out = {split: sha256_of(held.examples) for split, held in splits.held_out.items()}
    return {TRAIN: sha256_of(splits.train(0, _N_TRAIN)), **held_out}


def sha256_of(examples: Examples) -> str:
    """The hash of the arrays, one after the other."""
    digest = hashlib.sha256()
    for array in examples:
        digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
    return digest.hexdigest()
