"""A dataset, a model and settings for retrofits that take a second."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

import nexus_bench
from nexus_bench.data.generate import generate
from nexus_bench.data.task import make_task
from nexus_bench.text.render import TextOptions
from tests.hf.made import saved_model

SHORT = "--set batch_size=4 --set micro_batch=2 --set n_test=5 --device cpu"


def write_place(folder: Path) -> None:
    """A small dataset `d`, and a model `m` that knows its words."""
    spec = make_task({"task": "pointer_chase", "hops": [1, 2], "n_nodes": 7, "n_val": 7, "n_test": 11}, where="test")
    generate(folder / "d", spec, seed=3, n_train=30, file_format="text", text=TextOptions())
    rows = [json.loads(line) for line in (folder / "d" / "train.jsonl").read_text().splitlines()]
    saved_model(folder / "m", [f"{row['prompt']} {row['answer']}" for row in rows], chat=True)


def line(place: Path, options: str, methods: tuple[str, ...], *, out: str = "r") -> list[str]:
    words = ["retrofit", str(place / "m"), "--data", str(place / "d"), *SHORT.split(), *options.split(), "--out", out]
    return [*words, *(word for name in methods for word in ("--method", name))]


def results(run: str) -> pd.DataFrame:
    return pd.read_csv(Path(run) / "results.csv", dtype=nexus_bench.DTYPES)


def start_retrofit(words: list[str]) -> subprocess.Popen[str]:
    """A retrofit in a process of its own, in this folder."""
    line = [sys.executable, "-m", "nexus_bench", *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
