"""The loop that pretrains: packed sequences of a mapped file, on one device or several.

It is a loop of its own and not the Trainer of transformers, for what pretraining asks beyond: a run that is killed,
also while it saves, goes on to the same losses and samples in the same files; batches are cut from a mapped file, in
the same order on any number of devices, without the processes of a loader; and the host waits for the device at rows of
the log alone.

Axis letters: b sequences of a pass, n positions.
"""

import inspect
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from nexus_bench.errors import FailedCellsError
from nexus_bench.hf.batches import (
    IGNORED,
    Batches,
    TrainingSchedule,
    added_to_scores,
    cut_sequences,
    put,
    within_documents,
)
from nexus_bench.hf.library import in_precision
from nexus_bench.hf.pretrain_spec import PretrainSpec
from nexus_bench.hf.processes import Processes
from nexus_bench.hf.token_files import Tokens
from nexus_bench.io.columns import Row

_FIXED: dict[str, Any] = {  # buffers never change; how to say so, in PyTorch from 2.13 on and before
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers": False
}


class HeldOutScore(NamedTuple):
    """How well held-out text is predicted.

    Attributes:
        held_out_loss: Mean negative log-likelihood of a token, in nats.
        bits_per_byte: The same for each byte of the text, in bits: comparable between tokenizers.
    """

    held_out_loss: float
    bits_per_byte: float


class Losses(nn.Module):
    """The sum of the losses of all positions.

    Args:
        model: The model.
        end_of_text: The token that ends a document, if a token sees its own document alone; None if all of its
            sequence.
    """

    def __init__(self, model: PreTrainedModel, end_of_text: int | None = None) -> None:
        super().__init__()
        self.model = model
        self.end_of_text = end_of_text

    def forward(self, ids: Int[Tensor, "b n"], labels: Int[Tensor, "b n"]) -> Float[Tensor, ""]:
        """In float32, whatever the precision of the pass."""
        mask = None if self.end_of_text is None else within_documents(ids, self.end_of_text)
        if mask is not None and self.model.config._attn_implementation == "eager":
            mask = added_to_scores(mask, self.model.dtype)
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")


class InTraining:
    """A model in training, with its optimiser.

    Args:
        model: The model, on the device.
        spec: The run.
        plan: The schedule of the run.
        here: The processes.
        compiled: Whether passes are compiled.
        flops_per_token: Operations of a forward and a backward pass, for each token.
        peak_tflops: Of the device; None if it is not known.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        spec: PretrainSpec,
        plan: TrainingSchedule,
        here: Processes,
        *,
        compiled: bool,
        flops_per_token: float,
        peak_tflops: float | None,
    ) -> None:
        self.model, self.spec, self.plan, self.here = model, spec, plan, here
        self.flops_per_token, self.peak_tflops = flops_per_token, peak_tflops
        end_of_text = int(model.config.eos_token_id) if spec.attend == "document" else None
        # Held-out text is divided unevenly: processes must not wait for each other
        alone: nn.Module = Losses(model, end_of_text)
        self.parallel = alone if here.n == 1 else DistributedDataParallel(alone, **_FIXED)
        self.losses: Callable[[Tensor, Tensor], Tensor] = torch.compile(self.parallel) if compiled else self.parallel
        self.losses_alone: Callable[[Tensor, Tensor], Tensor] = torch.compile(alone) if compiled else alone
        parameters: list[nn.Parameter] = list(model.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},  # biases and norms
        ]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=spec.lr,
            betas=(spec.beta1, spec.beta2),
            eps=spec.eps,
            weight_decay=spec.weight_decay,
            fused=True,
        )
        self.step = 0
        self.rows: list[Row] = []
        self.samples: list[dict[str, Any]] = []

    def state(self) -> dict[str, Any]:
        """All that goes on after a kill."""
        about = {"step": self.step, "rows": self.rows, "samples": self.samples}
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), **about}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.rows, self.samples = state["step"], state["rows"], state["samples"]

    def run(
        self,
        tokens: Tokens,
        *,
        evaluate: Callable[[], HeldOutScore],
        on_row: Callable[[Row], None],
        on_evaluation: Callable[[], None],
        on_save: Callable[[], None],
    ) -> None:
        """Train to the last step.

        Args:
            tokens: The text.
            evaluate: Tells the loss on held-out text.
            on_row: Called in the first process with every row of the log, which is in `rows` then.
            on_evaluation: Called after every evaluation, in the first process.
            on_save: Called in the first process when a checkpoint is due, after everything else.

        Raises:
            FailedCellsError: The loss is no longer a number.
        """
        plan, n_tokens = self.plan, self.spec.batch_size * self.spec.seq_len
        batches = Batches(tokens, self.spec, plan, self.here)
        total = torch.zeros((), device=self.here.device)
        saved = logged = self.step
        clock, clocked = 0.0, -1  # steps since the clock was started; it is after the first step, which compiles
        while self.step < plan.steps:
            total += self.one_step(batches.of(self.step))
            self.step, clocked = self.step + 1, clocked + 1
            if clocked == 0:
                self._wait_for_device()
                clock = time.perf_counter()
            is_evaluated = self.step in plan.evaluate_after or self.step == plan.steps
            if self.step % plan.log_every and not is_evaluated:
                continue
            loss = self.here.sum(total).item() / ((self.step - logged) * n_tokens)  # here the host waits
            held = evaluate() if is_evaluated and math.isfinite(loss) else None
            if not math.isfinite(loss) or (held is not None and not math.isfinite(held.held_out_loss)):
                raise FailedCellsError(f"the loss is not a number at step {self.step}; lower lr ({self.spec.lr:g})")
            speed = clocked * n_tokens / (time.perf_counter() - clock) if clocked > 0 else None
            row: Row = {"step": self.step, "tokens": self.step * n_tokens, "loss": loss}
            if held is not None:
                row |= held._asdict()
            self.rows.append(row | {"tokens_per_second": speed, "mfu": self._utilisation(speed)})
            if self.here.is_first:
                on_row(self.rows[-1])
                if is_evaluated:
                    on_evaluation()
                if self.step - saved >= plan.save_every and self.step < plan.steps:
                    on_save()
            if self.step - saved >= plan.save_every:
                saved = self.step
            total.zero_()
            logged = self.step
            clock, clocked = time.perf_counter(), 0

    def one_step(self, passes: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
        """One step of the optimiser; the sum of the losses in this process, still on the device."""
        total = torch.zeros((), device=self.here.device)
        n_tokens = self.spec.batch_size * self.spec.seq_len
        for number, (ids, labels) in enumerate(passes):
            more = number + 1 < self.plan.n_passes
            alone = self.parallel.no_sync() if more and self.here.n > 1 else nullcontext()  # type: ignore[operator]
            with alone:
                with self.precision():
                    loss = self.losses(ids, labels)
                # Gradients are averaged over processes, and the mean is over the tokens of all of them
                (loss * (self.here.n / n_tokens)).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.spec.clip, foreach=True)
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total

    def lr(self, step: int) -> float:
        """The learning rate of a step, from 0: it rises linearly, then falls along a cosine."""
        spec, steps = self.spec, self.plan.steps
        rising = math.ceil(spec.warmup * steps)
        if step < rising:
            return spec.lr * (step + 1) / rising
        done = (step - rising) / max(1, steps - 1 - rising)
        return spec.lr * (spec.final + (1 - spec.final) * (1 + math.cos(math.pi * done)) / 2)

    @torch.no_grad()
    def held_out(self, tokens: Tokens, n_bytes: int) -> HeldOutScore:
        """The loss on held-out text, each process a part of it.

        Args:
            tokens: The text; what is behind its last whole sequence is left out.
            n_bytes: Its length in UTF-8.
        """
        n, size = self.spec.seq_len, self.plan.micro_batch
        n_sequences = (len(tokens) - 1) // n
        total = torch.zeros((), dtype=torch.float64, device=self.here.device)
        self.model.eval()
        for first in range(self.here.rank * size, n_sequences, self.here.n * size):
            numbers = np.arange(first, min(first + size, n_sequences))
            cut = cut_sequences(tokens, numbers, n)
            ids, labels = cut[:, :-1], cut[:, 1:].copy()
            if len(cut) < size:  # all passes have the same shape
                ids = np.concatenate([ids, np.repeat(ids[:1], size - len(cut), axis=0)])
                labels = np.concatenate([labels, np.full((size - len(cut), n), IGNORED)])
            with self.precision():
                total += self.losses_alone(*(put(part, self.here.device) for part in (ids, labels)))
        self.model.train()
        loss = self.here.sum(total).item() / (n_sequences * n)
        return HeldOutScore(loss, loss / math.log(2) * len(tokens) / n_bytes)

    def precision(self) -> torch.autocast:
        """The context of a pass."""
        return in_precision(self.here.device.type)

    def _utilisation(self, tokens_per_second: float | None) -> float | None:
        if tokens_per_second is None or self.peak_tflops is None:
            return None
        return tokens_per_second * self.flops_per_token / (self.peak_tflops * 1e12 * self.here.n)

    def _wait_for_device(self) -> None:
        if self.here.device.type == "cuda":
            torch.cuda.synchronize(self.here.device)
