"""A thin door to lm-eval: models with Nexus attention, tasks in local files, one row per task and metric."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from nexus_bench.data.lm_eval import SCORED
from nexus_bench.errors import ConfigError, StorageError, UsageError, in_one_line, unknown_name
from nexus_bench.hf.library import first_line, quiet
from nexus_bench.hf.pretrained import load_whole
from nexus_bench.hf.processes import processes
from nexus_bench.hf.tokenizer import load_tokenizer
from nexus_bench.io.config import NOT_IN_NAMES
from nexus_bench.io.files import check_listed, parse_line, read_text

PROMPT = "Question: {{question}}\nAnswer:"
_MOST = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # the first that is there counts
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Score(NamedTuple):
    """How well a model does one task.

    Attributes:
        task: The task, or a group of tasks.
        metric: Such as `acc`, the share of questions whose right answer is the most likely one, or `acc_norm`, where
            the likelihood is that of a byte.
        value: Of the metric.
        stderr: Its standard error; NaN where lm-eval gives none.
        n: Questions; 0 for a group.
    """

    task: str
    metric: str
    value: float
    stderr: float
    n: int


def evaluate(
    model: str,
    tasks: list[str],
    *,
    device: str,
    prompt: str | None = None,
    n_shots: int = 0,
    limit: int | None = None,
    batch_size: int = 16,
    dtype: str = "float32",
) -> list[Score]:
    """Run tasks of lm-eval on a model.

    Args:
        model: A folder that transformers loads, or a name on the hub.
        tasks: Folders of exported tasks, or such a folder, `/` and the name of one; `.jsonl` files, whose lines have
            `question` and either `choices` and `gold` (the number of the right one, from 0) or `answer`; names of tasks
            that lm-eval has, whose data is downloaded.
        device: `auto`, `cpu` or `cuda`.
        prompt: How a row of a `.jsonl` file is asked: Jinja over its keys; None: `PROMPT`.
        n_shots: Examples before each question; of a `.jsonl` file its first others.
        limit: Examples of each task at most.
        batch_size: Requests at once.
        dtype: `float32` or `bfloat16`.

    Raises:
        ConfigError: lm-eval is missing, or a model, a task or a line is not possible.
        StorageError: A folder may not be read, or a model or the data of a task is not here and cannot be downloaded.
        UsageError: A task or a dtype is unknown, or there is a prompt and no `.jsonl` file that is asked by it.
    """
    try:
        import lm_eval
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ConfigError("nexus-bench lm needs lm-eval; pip install 'nexus-bench[hf]'") from error
    if dtype not in _DTYPES:
        raise UsageError(unknown_name("dtype", dtype, _DTYPES))
    folders, asked, named = _asked(tasks, prompt)
    with _hushed(), quiet(), processes(device) as here:
        manager = TaskManager(include_path=[str(f) for f in folders] or None, include_defaults=bool(named))
        if unknown := [name for name in named if name not in manager.all_tasks]:
            raise UsageError(unknown_name("task", unknown[0], manager.all_tasks).partition("known: ")[0].rstrip("; "))
        for folder, names in folders.items():
            own = TaskManager(include_path=str(folder), include_defaults=False)
            if missing := [name for name in names if name not in own.all_tasks]:
                raise UsageError(f"{folder}: {unknown_name('task', missing[0], own.all_tasks)}")
            asked += names or own.all_groups or own.all_tasks
        loaded, tokenizer = _loaded(model, _DTYPES[dtype], here.device)
        try:
            harness = _whole_prompts(HFLM)(
                pretrained=loaded, tokenizer=tokenizer, backend="causal", batch_size=batch_size
            )
            found = lm_eval.simple_evaluate(
                model=harness,
                tasks=[*asked, *named],
                task_manager=manager,
                num_fewshot=n_shots or None,
                limit=limit,
                log_samples=False,
            )
        except ConfigError as error:  # of prompts
            raise ConfigError(f"{', '.join(tasks)}: {error}") from error
        except Exception as error:
            if isinstance(error, AssertionError) and "fewshot samples" in str(error):
                raise UsageError(
                    f"there are too few others for {n_shots} examples before each; lower --shots"
                ) from error
            if isinstance(error, torch.OutOfMemoryError | MemoryError):
                raise
            if not named and isinstance(error, OSError | RuntimeError):  # of files and of memory
                raise
            if not named:
                longest = getattr(loaded.config, "max_position_embeddings", None)
                raise ConfigError(
                    f"{', '.join(tasks)}: lm-eval cannot ask it: {in_one_line(error)}; the model takes {longest} tokens"
                ) from error
            raise StorageError(
                f"{', '.join(named)}: cannot be run ({type(error).__name__}: {first_line(error)}); without a network "
                "give exported folders or .jsonl files"
            ) from error
    return _scores(found)


def _whole_prompts(harness: Any) -> Any:
    """The harness, but where a prompt and the longest text to write exceed the model, less is written.

    lm-eval leaves out the beginning of the prompt, which holds facts, to have room for the longest text. A prompt that
    is too long is left to it, but refused where the longest text alone exceeds the model, which lm-eval does not take.
    """

    class WholePrompts(harness):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            lengths = [len(self.tok_encode(request.args[0])) for request in requests]
            for request, length in zip(requests, lengths, strict=True):
                context, told = request.args
                room = self.max_length - length
                most = next((told[name] for name in _MOST if name in told), self.max_gen_toks)
                if 0 < room < most:
                    request.arguments = (context, {**told, "max_gen_toks": room})
                elif room <= 0 and most >= self.max_length:  # nor is there room if the beginning is left out
                    raise ConfigError(
                        f"the longest prompt has {max(lengths):,} tokens and the model takes {self.max_length:,}; give "
                        "a model of longer sequences, or shorter prompts (fewer facts, lower --shots)"
                    )
            answers: list[str] = super().generate_until(requests, disable_tqdm=disable_tqdm)
            return answers

    return WholePrompts


def _asked(tasks: list[str], prompt: str | None) -> tuple[dict[Path, list[str]], list[Any], list[str]]:
    """Folders with the names that are asked of each, none for all; configurations of files; and names."""
    folders: dict[Path, list[str]] = {}
    made: list[Any] = []
    named: list[str] = []
    for task in (part for given in tasks for part in given.split(",")):
        path = Path(task)
        if not task.strip():
            raise UsageError("--tasks: a name is empty; give a folder, a .jsonl file or a task of lm-eval")
        if path.suffix == ".jsonl":
            made.append(_of_file(path, PROMPT if prompt is None else prompt))
            if sum(one["task"] == made[-1]["task"] for one in made) > 1:
                raise ConfigError(f"{task}: another file is called {made[-1]['task']}, too; rename one of them")
        elif path.is_dir():
            check_listed(path)
            if not any(path.glob("*.yaml")):
                raise ConfigError(f"{task}: holds no tasks of lm-eval; `nexus-bench export` writes such a folder")
            folders[path] = []
        elif "/" in task and path.parent.is_dir():
            check_listed(path.parent)
            folders.setdefault(path.parent, []).append(path.name)
        else:
            named.append(task)
    if prompt is not None and not made:
        raise UsageError(
            "--prompt says how rows of a .jsonl file are asked, and there is none: exported tasks and those of lm-eval "
            "have prompts of their own; omit it"
        )
    return folders, made, named


def _of_file(path: Path, prompt: str) -> dict[str, Any]:
    """The configuration of a task from a file of questions."""
    lines = enumerate(read_text(path).split("\n"), 1)  # other ends of lines may stand in a text
    rows = [_checked(line, f"{path}:{n}") for n, line in lines if line.strip()]
    kinds = {"choices" in row for row in rows}
    if len(kinds) != 1:
        raise ConfigError(
            f"{path}: {'has no lines' if not rows else 'has lines with `choices` and without; divide it'}"
        )
    _check_prompt(prompt, rows, path)
    scored = SCORED["choice" if kinds == {True} else "generate"]
    if kinds == {True}:
        norm = {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True}
        scored = {**scored, "doc_to_target": "gold", "metric_list": [*scored["metric_list"], norm]}

    import datasets

    try:
        table = datasets.DatasetDict(test=datasets.Dataset.from_list(rows))
    except (TypeError, ValueError, OverflowError) as error:  # of pyarrow
        raise ConfigError(f"{path}: a key must have values of one kind in all lines ({first_line(error)})") from error
    return {
        "task": NOT_IN_NAMES.sub("_", path.stem),
        "custom_dataset": lambda **metadata: table,
        "test_split": "test",
        "fewshot_split": "test",
        "fewshot_config": {"sampler": "first_n"},
        "doc_to_text": prompt,
        "target_delimiter": " ",
        **scored,
    }


def _check_prompt(prompt: str, rows: list[dict[str, Any]], path: Path) -> None:
    from lm_eval.utils import apply_template

    for n, row in enumerate(rows, 1):
        try:
            told = apply_template(prompt, row)
        except Exception as error:  # a template can call anything
            told_of = f"question {n} of {path} has {', '.join(row)}"
            raise ConfigError(f"--prompt: {first_line(error)}; {told_of}") from error
        if told.isdigit():  # the harness would take it for the number of a choice
            raise ConfigError(f"{path}: question {n} is asked as {told!r}, a number alone; add a word to --prompt")


def _checked(line: str, where: str) -> dict[str, Any]:
    row = parse_line(line, where)
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        raise ConfigError(f"{where}: needs `question`, a string, and `choices` and `gold`, or `answer`")
    choices = row.get("choices")
    if choices is None:
        if not isinstance(row.get("answer"), str):
            raise ConfigError(f"{where}: needs `choices` and `gold`, or `answer`, a string")
        return row
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c for c in choices):
        raise ConfigError(f"{where}: `choices` must be a list of two or more strings, none of them empty")
    if type(row.get("gold")) is not int or not 0 <= row["gold"] < len(choices):
        raise ConfigError(
            f"{where}: `gold` must be the number of a choice, 0 to {len(choices) - 1}, got {row.get('gold')!r}"
        )
    return row


def _loaded(name: str, dtype: torch.dtype, device: torch.device) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    path = Path(name)
    if path.is_dir() and not (path / "config.json").is_file():
        raise ConfigError(f"{name}: has no config.json; give a folder that `pretrain` or save_pretrained wrote")
    tokenizer = load_tokenizer(name)
    try:
        model: Any = load_whole(name, dtype=dtype, offline=path.is_dir())
    except ConfigError:
        raise
    except Exception as error:  # the library raises whatever its parts raise
        raise ConfigError(f"{name}: transformers cannot load it: {first_line(error)}") from error
    return model.to(device).eval(), tokenizer


def _scores(found: Any) -> list[Score]:
    counts = found.get("n-samples", {})
    scores = []
    for task, told in found["results"].items():
        for key, value in told.items():
            metric, comma, kind = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, int | float):
                continue
            error = told.get(f"{metric}_stderr,{kind}")
            stderr = float(error) if isinstance(error, int | float) else float("nan")
            scores.append(Score(task, metric, float(value), stderr, counts.get(task, {}).get("effective", 0)))
    return scores


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """No advice of the harness within, nor of git, and no progress bars but in a terminal."""
    from lm_eval import evaluator

    hash_of_git, evaluator.get_git_commit_hash = evaluator.get_git_commit_hash, lambda: None
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with contextlib.ExitStack() as stack:
        if not sys.stderr.isatty():
            sink = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stderr(sink))
        try:
            yield
        finally:
            logger.setLevel(level)
            evaluator.get_git_commit_hash = hash_of_git
