"""One training run by transformers' Trainer: examples in a given order, saved now and then, continued after a kill."""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from nexus_bench.hf.library import in_precision, told_if_unwritten
from nexus_bench.io.files import write_atomic

_WHOLE = "whole"  # a file in a saved state, written last
_KEPT = 2  # saved states; the newest may be incomplete

Batch = Mapping[str, Any]
Loss = Callable[[nn.Module, Batch], Tensor]


class Pace(NamedTuple):
    """How fast a run was.

    Attributes:
        steps: Optimiser steps that this process made.
        seconds: Its seconds for these.
    """

    steps: int
    seconds: float


def training_arguments(
    folder: Path,
    *,
    device: str,
    steps: int,
    batch_size: int,
    micro_batch: int,
    lr: float,
    warmup_steps: int,
    clip_norm: float,
    seed: int,
) -> TrainingArguments:
    """Arguments of a silent Trainer: bfloat16 on a GPU, float32 on a CPU; a cosine to 0 after a linear warm-up.

    Args:
        folder: Where states are saved.
        device: `cpu` or `cuda`, of which the first one is used.
        steps: Optimiser steps.
        batch_size: Examples of a step; a multiple of `micro_batch`.
        micro_batch: Examples of a pass.
        lr: Peak learning rate.
        warmup_steps: Steps of the warm-up.
        clip_norm: Largest gradient norm.
        seed: Of whatever is random in the model.
    """
    on_gpu = device == "cuda"
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "max_steps": steps,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": batch_size // micro_batch,
        "learning_rate": lr,
        "lr_scheduler_type": "cosine",
        "warmup_steps": warmup_steps,
        "max_grad_norm": clip_norm,
        "seed": seed,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "disable_tqdm": True,
        "logging_strategy": "no",
        "report_to": [],
        "save_strategy": "no",  # `_Saving` says when
        "save_total_limit": _KEPT,
        "remove_unused_columns": False,
    }
    arguments = TrainingArguments(**given)
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # else the Trainer would spread each batch
    return arguments


def train_in_order(
    model: nn.Module,
    examples: Sequence[Any],
    arguments: TrainingArguments,
    *,
    loss: Loss,
    collate: Callable[[list[Any]], Batch],
    optimizer: torch.optim.Optimizer | None = None,
    save_every: float = 120.0,
) -> Pace:
    """Train a model on examples in their order; a run that was killed goes on from its last whole saved state.

    Args:
        model: Trained in place.
        examples: All examples of all steps, in the order of their use.
        arguments: Those of `training_arguments`.
        loss: The mean loss of a pass, from the model and a collated batch on its device.
        collate: Makes a batch.
        optimizer: None takes the Trainer's AdamW.
        save_every: Seconds between saved states; 0 saves after every step.

    Raises:
        StorageError: A state cannot be saved, as on a full disk.
    """
    trainer = _InOrder(
        model=model,
        args=arguments,
        train_dataset=examples,
        data_collator=collate,
        optimizers=(optimizer, None),
        callbacks=[_Saving(save_every)],
        loss=loss,
    )
    folder = Path(arguments.output_dir)
    newest = _newest_whole(folder)
    before = 0 if newest is None else _step_of(newest)
    begun = time.perf_counter()
    trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
    return Pace(trainer.state.global_step - before, time.perf_counter() - begun)


class _InOrder(Trainer):
    """Takes examples as they come, and a loss of one's own."""

    def __init__(self, *, loss: Loss, **given: Any) -> None:
        super().__init__(**given)
        self._loss = loss
        self.model_accepts_loss_kwargs = False  # the loss is a mean over a pass, and passes are of equal size
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, *given: Any, **more: Any) -> Sampler[int]:
        return SequentialSampler(self.train_dataset)

    def _save_checkpoint(self, *given: Any, **more: Any) -> None:
        with told_if_unwritten(Path(self.args.output_dir)):
            super()._save_checkpoint(*given, **more)

    def compute_loss(self, model: nn.Module, inputs: Batch, return_outputs: bool = False, **more: Any) -> Tensor:
        """The loss of a pass."""
        with in_precision(self.args.device.type):
            return self._loss(model, inputs)


class _Saving(TrainerCallback):
    """Saves by the clock, and marks a saved state that is whole."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._last = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Ask for a saved state if it is time, but not at the end, where the run is done."""
        if time.perf_counter() - self._last >= self._every and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Mark what was just written."""
        write_atomic(Path(args.output_dir) / f"checkpoint-{state.global_step}" / _WHOLE, "")
        self._last = time.perf_counter()


def _newest_whole(folder: Path) -> Path | None:
    """The newest whole saved state; None if there is none. What a killed process was writing is removed."""
    for path in folder.glob("checkpoint-*"):
        if not (path / _WHOLE).exists():
            shutil.rmtree(path, ignore_errors=True)
    return max(folder.glob("checkpoint-*"), key=_step_of, default=None)


def _step_of(state: Path) -> int:
    return int(state.name.rpartition("-")[2])
