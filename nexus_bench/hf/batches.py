"""Packed sequences of a mapped file, step by step: the same order on any number of devices.

Axis letters: b sequences of a pass, n positions.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nexus_bench.hf.pretrain_spec import PretrainSpec
from nexus_bench.hf.processes import Processes
from nexus_bench.hf.token_files import Tokens
from nexus_bench.streams import stream

IGNORED = -100  # a label that is not counted


class TrainingSchedule(NamedTuple):
    """At which steps of a pretraining run what is done.

    Attributes:
        steps: Optimiser steps.
        n_sequences: Sequences of the text; the next begins with the last token of the one before, its last label.
        micro_batch: Sequences of a pass on a device.
        n_passes: Passes of a step on a device.
        log_every: Steps between rows of the log.
        evaluate_after: Steps after which the held-out text is evaluated.
        save_every: Steps between checkpoints at least; one is made with a row of the log.
    """

    steps: int
    n_sequences: int
    micro_batch: int
    n_passes: int
    log_every: int
    evaluate_after: frozenset[int]
    save_every: int


class Batches:
    """The sequences of each step: all of the text in an order drawn anew for every epoch.

    Args:
        tokens: The text.
        spec: The run.
        plan: The schedule of the run.
        here: The processes, each of which takes its part of every step.
    """

    def __init__(self, tokens: Tokens, spec: PretrainSpec, plan: TrainingSchedule, here: Processes) -> None:
        self._tokens, self._spec, self._plan, self._here = tokens, spec, plan, here
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def of(self, step: int) -> Iterator[tuple[Int[Tensor, "b n"], Int[Tensor, "b n"]]]:
        """The passes of this process: tokens, and those that follow them."""
        size, plan = self._spec.batch_size, self._plan
        places = np.arange(step * size, (step + 1) * size)
        numbers = np.concatenate([self._numbers(epoch, places) for epoch in np.unique(places // plan.n_sequences)])
        for number in range(plan.n_passes):
            first = (number * self._here.n + self._here.rank) * plan.micro_batch
            cut = cut_sequences(self._tokens, numbers[first : first + plan.micro_batch], self._spec.seq_len)
            yield put(cut[:, :-1], self._here.device), put(cut[:, 1:], self._here.device)

    def _numbers(self, epoch: int, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if epoch != self._epoch:
            rng = stream("pretrain", self._spec.seed, "order", int(epoch))
            self._epoch, self._order = epoch, rng.permutation(self._plan.n_sequences)
        found: np.ndarray[Any, Any] = self._order[
            places[places // self._plan.n_sequences == epoch] % self._plan.n_sequences
        ]
        return found


def within_documents(ids: Int[Tensor, "b n"], end_of_text: int) -> Bool[Tensor, "b 1 n n"]:
    """Which earlier tokens each sees: those of its document, of which the end-of-text token is the last."""
    ends = (ids == end_of_text).int()
    document = ends.cumsum(1) - ends
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
    return ((document[:, :, None] == document[:, None, :]) & causal)[:, None]


def added_to_scores(seen: Bool[Tensor, "b 1 n n"], dtype: torch.dtype) -> Float[Tensor, "b 1 n n"]:
    """A mask for `eager` attention of transformers, which adds it: 0 where a token is seen, else the least number.

    There a mask of true and false would raise the scores of what is seen by 1, and hide nothing.
    """
    return torch.zeros_like(seen, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)


def put(x: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    """An array on the device; the host does not wait for it."""
    made = torch.from_numpy(np.ascontiguousarray(x, dtype=np.int64))
    return made.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else made


def cut_sequences(tokens: Tokens, numbers: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Sequences with the token behind them: array (b, n + 1)."""
    cut: np.ndarray[Any, Any] = np.array([tokens[at * n : at * n + n + 1] for at in numbers], dtype=np.int64)
    return cut
