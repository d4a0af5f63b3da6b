"""Random streams that give the same numbers on every machine.

NumPy promises the raw 64-bit words of a bit generator for ever, but not what `Generator.permutation` or
`Generator.integers` make of them, so every draw here is arithmetic on raw words. Streams are keyed by what
they are for, never by `seed + index`: two different keys never share a stream.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int32]
Mask = NDArray[np.bool_]
Words = NDArray[np.uint64]

GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)  # 2**64 divided by the golden ratio, made odd


def stream(*key: str | int) -> np.random.Generator:
    """The random stream of one key, such as `("pointer_chase", 1, seed, "train", block)`.

    Args:
        *key: What the stream is for. Order and type matter: `1` and `"1"` are different keys.

    Returns:
        A PCG64 generator seeded by a `SeedSequence` over the SHA-256 of the key.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big"))))


def permutations(rng: np.random.Generator, n_rows: int, n: int, *, k: int | None = None) -> Int:
    """Independent uniform permutations of 0..n-1, or their first k places.

    Each row sorts n random words whose low bits are replaced by the column: keys are distinct by construction,
    so the result does not depend on how a sorting algorithm treats ties.

    Args:
        rng: The stream to draw from.
        n_rows: How many permutations.
        n: Length of each permutation, 1 or more.
        k: How many leading places to return, n if None.

    Returns:
        Array (n_rows, k).
    """
    low = np.uint64((1 << (n - 1).bit_length()) - 1)
    keys = _words(rng, n_rows, n)
    keys &= ~low
    keys |= np.arange(n, dtype=np.uint64)
    if k == 1:
        keys = keys.min(axis=1, keepdims=True)
    else:
        keys.sort(axis=1)
    return (keys[:, :k] & low).astype(np.int32)


def integers(rng: np.random.Generator, n_rows: int, n_columns: int, *, high: int) -> Int:
    """Independent integers in 0..high-1, uniform within high / 2**32.

    Returns:
        Array (n_rows, n_columns).
    """
    words = _words(rng, n_rows, n_columns)
    words >>= np.uint64(32)
    words *= np.uint64(high)
    words >>= np.uint64(32)
    return words.astype(np.int32)


def pick(rng: np.random.Generator, allowed: Mask) -> Int:
    """One allowed column of each row, drawn uniformly.

    Args:
        rng: The stream to draw from.
        allowed: Array (n_rows, n_columns).

    Returns:
        Array (n_rows) of columns, -1 where none is allowed.
    """
    nth = integers(rng, len(allowed), 1, high=1 << 31)[:, 0].astype(np.int64)
    count = allowed.sum(axis=1)
    nth = nth * count >> 31
    column: Int = (allowed.cumsum(axis=1) > nth[:, None]).argmax(axis=1).astype(np.int32)
    return np.where(count > 0, column, -1).astype(np.int32)


def mix(words: Words) -> Words:
    """The SplitMix64 step (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    words = words + GOLDEN_RATIO
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def _words(rng: np.random.Generator, n_rows: int, n_columns: int) -> Words:
    words: Words = rng.bit_generator.random_raw(n_rows * n_columns)
    return words.reshape(n_rows, n_columns)
