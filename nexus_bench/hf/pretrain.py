"""Pretraining: from a spec to a folder that transformers loads, with its log; the same command goes on after a kill."""

import json
import pickle
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from nexus_bench.errors import ConfigError, CorruptArtefactError, StorageError, UsageError
from nexus_bench.hf.apply import describe
from nexus_bench.hf.batches import TrainingSchedule
from nexus_bench.hf.documents import check_apart
from nexus_bench.hf.library import quiet, told_if_unwritten
from nexus_bench.hf.loop import HeldOutScore, InTraining
from nexus_bench.hf.memory import bytes_needed, check_memory, lower, told_if_it_runs_out
from nexus_bench.hf.pretrain_spec import PretrainRequest, PretrainSpec, RunOptions
from nexus_bench.hf.processes import Processes, processes
from nexus_bench.hf.pythia import build, cost_of, make_config
from nexus_bench.hf.summary import SUMMARY, Summary, read_summary, write_summary
from nexus_bench.hf.token_files import TokenFiles, token_files
from nexus_bench.io.columns import LOG_COLUMNS, Row
from nexus_bench.io.config import read_config, to_yaml
from nexus_bench.io.csv_files import csv_lines, to_csv
from nexus_bench.io.files import drop_begun, keep_others, locked, write_atomic, writing_atomic
from nexus_bench.io.packed import drop_packed, is_there, packed
from nexus_bench.io.read_results import LOG, PRETRAIN, RESULTS, SPEC, command_of
from nexus_bench.training.peaks import peak_here

SAMPLES, CHECKPOINT = "samples.jsonl", "checkpoint.pt"
_OWN = (SPEC, LOG, packed(Path(LOG)).name, SAMPLES, SUMMARY, CHECKPOINT, "config.json")
_LOCK = ".lock"
_TOKENS = ".tokens"  # beside the run folders, which share them
_LARGEST_PASS = 16  # sequences, if nobody says how many
_PROMPT, _WRITTEN = 16, 48  # tokens of a sample

OnRow = Callable[[Row, int], None]


def default_folder(spec: PretrainSpec) -> Path:
    """The default folder of a run."""
    return Path("runs/pretrain") / f"{spec.arch}-{spec.label}-seed{spec.seed}"


def pretrain(
    asked: PretrainRequest, folder: Path, *, device: str, on_row: OnRow = lambda row, steps: None
) -> Summary | None:
    """Train a model into a folder; a finished one is left as it is.

    Args:
        asked: The run.
        folder: Where everything is written.
        device: `auto`, `cpu` or `cuda`.
        on_row: Called with every new row of the log, and the number of steps of the run.

    Returns:
        The summary; None in every process but the first.

    Raises:
        ConfigError: The text, the tokenizer or the model is not possible, or batches cannot be divided.
        CorruptArtefactError: The checkpoint is damaged.
        FailedCellsError: The loss is no longer a number.
        StorageError: The memory does not suffice, or a file cannot be read or written.
        UsageError: The folder holds another run, or another process writes to it.
    """
    begun = time.monotonic()
    with processes(device) as here:
        micro_batch = _micro_batch(asked, here.n)
        check_apart(folder, [*asked.spec.text, *asked.spec.held_out])
        if here.is_first:
            keep_others(folder, dict.fromkeys(_OWN))
            if any(is_there(folder / name) for name in (SPEC, RESULTS)) and command_of(folder) != PRETRAIN:
                raise UsageError(f"{folder}: holds a run of another command, which is kept; choose another --out")
        alone = locked(folder / _LOCK, guards=folder, advice="choose another --out")
        with alone if here.is_first else nullcontext():
            if here.is_first:
                files = _claimed(asked.spec, folder)
            here.wait()
            if not here.is_first:
                files = token_files(asked.spec, folder.parent / _TOKENS)
            if (folder / SUMMARY).is_file():
                here.wait()
                told = read_summary(folder) if here.is_first else None
                if here.is_first:
                    (folder / CHECKPOINT).unlink(missing_ok=True)  # of a process that was killed after the summary
                return None if told is None else Summary(*(told[name] for name in Summary._fields))
            with told_if_it_runs_out(f"lower {lower(micro_batch)}"):
                return _train(asked, folder, files, here, micro_batch, on_row, begun)


def _claimed(spec: PretrainSpec, folder: Path) -> TokenFiles:
    """The tokens of a run, whose folder is now its own; one in which nothing was trained belongs to nobody yet."""
    files = token_files(spec, folder.parent / _TOKENS)
    mine = {**spec.model_dump(mode="json"), "content_sha256": files.sha256}
    is_begun = any(is_there(folder / name) for name in (LOG, CHECKPOINT, SUMMARY))
    if is_begun and (folder / SPEC).is_file():
        there = {**_defaults(), **read_config(folder / SPEC)}  # a setting that is newer than the run
        differing = [key for key in mine | there if there.get(key) != mine.get(key)]
        if differing:
            key = differing[0]
            raise UsageError(
                f"{folder}: holds another run: {key} is {there.get(key)!r} there and {mine.get(key)!r} here; choose "
                "another --out"
            )
    else:
        write_atomic(folder / SPEC, to_yaml(mine))
    drop_begun(folder)
    return files


def _defaults() -> dict[str, Any]:
    return {name: field.default for name, field in PretrainSpec.model_fields.items() if not field.is_required()}


def _train(
    asked: PretrainRequest,
    folder: Path,
    files: TokenFiles,
    here: Processes,
    micro_batch: int,
    on_row: OnRow,
    begun: float,
) -> Summary | None:
    spec, running = asked
    config = make_config(spec, n_tokens=len(files.tokenizer), end_of_text=files.end_of_text)
    cost = cost_of(spec, config)
    on_gpu = here.device.type == "cuda"
    needed = bytes_needed(
        spec, config, n_parameters=cost.parameters, micro_batch=micro_batch, bits=16 if on_gpu else 32
    )
    check_memory(needed, here.device, micro_batch=micro_batch)
    plan = _plan(spec, running, files, micro_batch, here.n)
    model = build(spec, config).to(here.device)
    model.train()
    trained = InTraining(
        model,
        spec,
        plan,
        here,
        compiled=running.compile == "yes" or (running.compile == "auto" and on_gpu),
        flops_per_token=cost.flops_per_token,
        peak_tflops=peak_here(str(here.device), "bfloat16"),
    )
    if (folder / CHECKPOINT).is_file():
        state = _read_checkpoint(folder / CHECKPOINT, here.device)
        try:
            trained.load(state)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise _damaged(folder / CHECKPOINT) from error
    if here.is_first:
        write_atomic(folder / LOG, to_csv(trained.rows, LOG_COLUMNS))
        drop_packed(folder / LOG)

    def log(row: Row) -> None:
        try:
            with (folder / LOG).open("a", encoding="utf-8", newline="") as file:
                file.write(csv_lines([row], LOG_COLUMNS))
        except OSError as error:
            raise StorageError(f"{folder / LOG}: cannot be written: {error.strerror}; free some space") from error
        on_row(row, plan.steps)

    def sample() -> None:
        trained.samples += _samples(trained, files, running.samples)
        write_atomic(folder / SAMPLES, "".join(json.dumps(one) + "\n" for one in trained.samples))

    def save() -> None:
        with told_if_unwritten(folder / CHECKPOINT), writing_atomic(folder / CHECKPOINT) as file:
            torch.save(trained.state(), file)

    def evaluate() -> HeldOutScore:
        return trained.held_out(files.held_out, files.held_out_bytes)

    trained.run(files.train, evaluate=evaluate, on_row=log, on_evaluation=sample, on_save=save)
    summary = None
    if here.is_first:
        _save_model(model, files.tokenizer, folder)
        last = trained.rows[-1]
        devices = torch.cuda.get_device_name(here.device) if on_gpu else "cpu"
        summary = Summary(
            model=describe(model),
            **cost._asdict(),
            steps=plan.steps,
            **{key: last[key] for key in ("tokens", "loss", "held_out_loss", "bits_per_byte")},
            tokens_per_second=_median([row["tokens_per_second"] for row in trained.rows]),
            mfu=_median([row["mfu"] for row in trained.rows]),
            device=f"{here.n} x {devices}",
            seconds=time.monotonic() - begun,
        )
        write_summary(folder, summary)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    here.wait()
    return summary


def _micro_batch(asked: PretrainRequest, n_processes: int) -> int:
    """Sequences of a pass on a device.

    Raises:
        ConfigError: They do not divide the batch.
    """
    size, given = asked.spec.batch_size, asked.running.micro_batch_size
    if size % n_processes:
        raise ConfigError(f"pretrain: batch_size must be a multiple of the {n_processes} processes, got {size}")
    share = size // n_processes
    if given is None:
        return next(n for n in range(min(_LARGEST_PASS, share), 0, -1) if share % n == 0)
    if share % given:
        raise ConfigError(
            f"pretrain: batch_size must be a multiple of micro_batch_size x processes ({given} x {n_processes}), got "
            f"{size}"
        )
    return given


def _plan(
    spec: PretrainSpec, running: RunOptions, files: TokenFiles, micro_batch: int, n_processes: int
) -> TrainingSchedule:
    n_sequences = (len(files.train) - 1) // spec.seq_len
    of_a_step = spec.batch_size * spec.seq_len
    wanted = spec.tokens or n_sequences * spec.seq_len
    steps = wanted // of_a_step
    if steps == 0:
        raise ConfigError(
            f"pretrain: {wanted:,} tokens are fewer than the {of_a_step:,} of one step; "
            "raise --tokens or lower batch_size"
        )
    n = running.evaluations
    evaluated = frozenset(max(1, round(steps * (i + 1) / n)) for i in range(n))
    save_every = running.save_every or max(1, steps // 20)
    passes = spec.batch_size // (micro_batch * n_processes)
    return TrainingSchedule(steps, n_sequences, micro_batch, passes, running.log_every, evaluated, save_every)


def _samples(trained: InTraining, files: TokenFiles, n: int) -> list[dict[str, Any]]:
    """How the model goes on from the beginnings of held-out documents, drawn from its distribution."""
    ends = (files.held_out[: 10**7] == files.end_of_text).nonzero()[0]
    starts = [at for at in (0, *(int(end) + 1 for end in ends)) if at < len(files.held_out)][:n]
    made = []
    model = trained.model.eval()
    devices = [trained.here.device] if trained.here.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), quiet(), trained.precision():
        torch.manual_seed(trained.step)
        for start in starts:
            prompt = files.held_out[start : start + _PROMPT].astype("int64").tolist()
            ids = torch.tensor([prompt], device=trained.here.device)
            most = max(1, min(_WRITTEN, trained.spec.seq_len - len(prompt)))
            told = {"max_new_tokens": most, "do_sample": True, "top_k": 0, "pad_token_id": files.end_of_text}
            out = model.generate(ids, attention_mask=torch.ones_like(ids), **told)[0, len(prompt) :]
            texts = (files.tokenizer.decode(part) for part in (prompt, out.tolist()))
            made.append(dict(zip(("step", "prompt", "text"), (trained.step, *texts), strict=True)))
    trained.model.train()
    return made


def _save_model(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    model.set_attn_implementation("sdpa")
    with quiet(), told_if_unwritten(folder):
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)


def _read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            state: Any = torch.load(file, map_location=device, weights_only=True)
        if not isinstance(state, dict):
            raise _damaged(path)
        return state
    except (RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise _damaged(path) from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error


def _damaged(checkpoint: Path) -> CorruptArtefactError:
    return CorruptArtefactError(f"{checkpoint}: is damaged; delete it to begin anew")


def _median(values: list[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
