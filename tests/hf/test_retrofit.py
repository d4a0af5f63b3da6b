"""`nexus-bench retrofit`: methods side by side, a rate chosen apart, runs that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from nexus_bench.hf import describe
from nexus_bench.hf.training import train_in_order, training_arguments
from tests.conftest import Command
from tests.hf.made import saved_model
from tests.hf.retrofitting import line, results
from tests.hf.tiny import stock

METHODS = ("untouched", "standard", "order=2 gate=true", "order=2", "order=3 gate=true layers=last-half refine=q")
LABELS = [
    "untouched",
    "standard",
    "nexus, order 2, refine qk, gated",
    "nexus, order 2, refine qk",
    "nexus, order 3, refine q, gated, layers 1",
]
FEW = ("standard", "order=2 gate=true")
COLOURS = ("red", "blue", "green", "black")


def test_methods_stand_side_by_side_in_the_usual_results(command: Command, place: Path) -> None:
    words = line(place, "--steps 3 --seeds 2 --set lr=1e-3,1e-2 --set n_val=3 --keep-models", METHODS)
    done = command(*words, "--quiet")
    assert done.returncode == 0, done.stderr
    frame = results("r")
    assert list(dict.fromkeys(frame[frame["purpose"] == "measured"]["model"])) == LABELS
    assert set(frame[frame["purpose"] == "tuning"]["seed"]) == {2}
    measured = frame[(frame["purpose"] == "measured") & (frame["split"] == "test")]
    assert measured.groupby("model")["seed"].agg(list).to_dict() == {
        label: [0, 0] if label == "untouched" else [0, 0, 1, 1] for label in LABELS
    }
    assert (measured["n_examples"] == 5).all() and measured["chance"].round(4).tolist() == [0.1667] * len(measured)
    done_steps = dict(zip(measured["model"], measured["steps_done"], strict=True))
    assert done_steps == dict.fromkeys(LABELS, 3) | {"untouched": 0}
    costs = measured.drop_duplicates("model").set_index("model")["flops_per_step"]
    assert costs["untouched"] == costs["standard"] < costs[LABELS[2]] == costs[LABELS[3]]
    seen = {describe(AutoModelForCausalLM.from_pretrained(path)) for path in Path("r/models").iterdir()}
    assert seen == {
        "standard",
        "nexus (order 2, refine qk, gated)",
        "nexus (order 2, refine qk)",
        "nexus (order 3, refine q, gated), layers 1",
    }
    assert not list(Path("r").glob("checkpoints")) and not list(Path("r").glob("cells/*/model.safetensors"))
    assert command("report", "r").returncode == command("compare", "r", "r").returncode == 0
    again = command(*words)
    assert again.returncode == 0 and again.stderr.count("was done") == 8 + 9


def test_the_rate_is_the_best_on_validation_of_other_seeds(command: Command, place: Path) -> None:
    """After a few steps from random weights the large rate, which is the first, does worse than none."""
    done = command(*line(place, "--steps 9 --seeds 1 --set lr=3e-3,1e-9,1e-8 --quiet", ("standard",)))
    assert done.returncode == 0, done.stderr
    frame = results("r")
    tried = frame[(frame["purpose"] == "tuning") & (frame["split"] == "val")].groupby("lr")["accuracy"].mean()
    (chosen,) = frame[frame["purpose"] == "measured"]["lr"].unique()
    assert len(tried) == 3 and tried[3e-3] < tried[1e-9] == tried[1e-8]
    assert chosen == 1e-9


def test_a_cell_that_diverges_is_missing_and_never_zero(command: Command, place: Path) -> None:
    words = line(place, "--steps 3 --seeds 1 --set lr=1e30 --set n_val=3", ("untouched", "standard"))
    for _ in range(2):  # it is tried again
        done = command(*words, "--quiet")
        assert done.returncode == 7 and done.stderr.count("\n") == 1, done.stderr
        assert "r: 1 cells failed: their loss is not a number; lower lr" in done.stderr
        rows = results("r").set_index("model")
        assert (rows.loc["standard", "status"] == "failed").all() and rows.loc["standard", "accuracy"].isna().all()
        assert (rows.loc["untouched", "status"] == "trained").all() and rows.loc["untouched", "accuracy"].notna().all()


def test_a_rate_that_diverges_is_the_worst_also_where_no_answer_is_right(command: Command, place: Path) -> None:
    done = command(*line(place, "--steps 3 --seeds 1 --set lr=1e30,3e-3 --set n_val=1", ("standard",)))
    assert done.returncode == 0, "a rate that is tried may be too high"
    assert "(choosing lr) | failed: the loss is not a number; lower lr" in done.stderr
    tried = results("r").query("purpose == 'tuning' and split == 'val'").groupby("lr")
    assert tried["status"].unique().map(list).to_dict() == {1e30: ["failed"], 3e-3: ["trained"]}
    assert tried["accuracy"].count()[1e30] == 0 and tried["accuracy"].max()[3e-3] == 0
    assert set(results("r").query("purpose == 'measured'")["lr"]) == {3e-3}


def test_a_killed_run_goes_on_and_ends_as_one_that_never_was(command: Command, place: Path) -> None:
    options = "--steps 9 --seeds 1 --set lr=1e-2,1e-3 --set n_val=9 --save-every 0 --quiet"
    assert command(*line(place, options, FEW, out="whole")).returncode == 0
    process = subprocess.Popen([sys.executable, "-m", "nexus_bench", *line(place, options, FEW, out="killed")])
    until = time.monotonic() + 120
    while time.monotonic() < until:  # in the third of six cells, which is gated
        ended = {path.parent.name for path in Path("killed/cells").glob("*/result.json")}
        states = {path.parts[-3] for path in Path("killed/checkpoints").glob("*/checkpoint-[4-8]/whole")}
        if len(ended) >= 2 and states - ended:
            break
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(Path("killed/checkpoints").glob("*/checkpoint-*/whole"))
    assert not Path("killed/results.csv").exists()
    assert command(*line(place, options, FEW, out="killed")).returncode == 0
    for name in ("results.csv", "curve.csv", "report.csv"):
        assert (Path("killed") / name).read_bytes() == (Path("whole") / name).read_bytes()
    assert not Path("killed/checkpoints").exists()


def test_an_interrupted_training_goes_on_where_it_was(tmp_path: Path) -> None:
    examples = list(torch.randint(0, 61, (24, 5), generator=torch.Generator().manual_seed(2)))

    def trained(folder: str, *, until: int = 99, every: float = 0) -> tuple[Any, list[int]]:
        model, seen = stock(), []

        def loss(model: Any, batch: Any) -> torch.Tensor:
            seen.append(int(batch["ids"][0, 0]))
            if len(seen) > until:
                raise KeyboardInterrupt
            found: torch.Tensor = model(batch["ids"], labels=batch["ids"]).loss
            return found

        arguments = training_arguments(
            tmp_path / folder,
            device="cpu",
            steps=6,
            batch_size=4,
            micro_batch=2,
            lr=1e-3,
            warmup_steps=2,
            clip_norm=1.0,
            seed=5,
        )
        try:
            train_in_order(
                model, examples, arguments, loss=loss, collate=lambda x: {"ids": torch.stack(x)}, save_every=every
            )
        except KeyboardInterrupt:
            return None, seen
        return model, seen

    whole, all_seen = trained("whole", every=1e9)
    assert all_seen == [int(one[0]) for one in examples[::2]]
    assert trained("cut", until=7)[0] is None
    (tmp_path / "cut" / "checkpoint-4").mkdir()  # as a kill leaves a state that was being written
    model, seen = trained("cut")
    assert seen == all_seen[6:]
    for name, value in whole.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_passes_of_any_size_make_the_same_step(tmp_path: Path) -> None:
    examples = list(torch.randint(0, 61, (12, 5), generator=torch.Generator().manual_seed(2)))
    found = []
    for micro_batch in (6, 2):
        model = stock().double()
        arguments = training_arguments(
            tmp_path,
            device="cpu",
            steps=2,
            batch_size=6,
            micro_batch=micro_batch,
            lr=0.1,
            warmup_steps=0,
            clip_norm=1e9,
            seed=5,
        )
        train_in_order(
            model,
            examples,
            arguments,
            loss=lambda model, batch: model(**batch).loss,
            collate=lambda batch: {"input_ids": torch.stack(batch), "labels": torch.stack(batch)},
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        )
        found.append(model.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=0, atol=1e-6)


def test_gates_move_at_their_own_rate(command: Command, place: Path) -> None:
    options = "--steps 4 --seeds 1 --set lr=1e-9 --set gate_lr=0.1 --keep-models --quiet"
    assert command(*line(place, options, ("order=2 gate=true",))).returncode == 0
    (folder,) = Path("r/models").iterdir()
    before, after = AutoModelForCausalLM.from_pretrained(place / "m"), AutoModelForCausalLM.from_pretrained(folder)
    gates = [p.item() for name, p in after.named_parameters() if name.endswith("gate")]
    assert len(gates) == 2 and min(map(abs, gates)) > 0.01
    for name, value in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], value, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["gpt_neox", "llama"])  # one of qwen2 gets the tokenizer of that family
def test_a_tiny_model_learns_one_hop(command: Command, tmp_path: Path, family: str) -> None:
    """A fact is one word, as in the encoding `fact`: who likes what; a lookup over three of them."""
    rows = []
    drawn = torch.Generator().manual_seed(1)
    for _ in range(1500):
        who = torch.randperm(6, generator=drawn)[:3].tolist()
        liked = [COLOURS[i] for i in torch.randint(0, 4, (3,), generator=drawn).tolist()]
        facts = " ".join(f"n{w}_{colour}" for w, colour in zip(who, liked, strict=True))
        rows.append(
            {"prompt": f"{facts} n{who[len(rows) % 3]}", "answer": liked[len(rows) % 3], "choices": list(COLOURS)}
        )
    Path("likes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    saved_model(Path("m"), [f"{row['prompt']} {row['answer']}" for row in rows], family, initializer_range=0.06)
    words = "retrofit m --data likes.jsonl --steps 150 --seeds 1 --method untouched --method standard --method order=2"
    settings = "--set lr=3e-3 --set batch_size=32 --set micro_batch=32 --quiet --device cpu --out r"
    done = command(*words.split(), *settings.split())
    assert done.returncode == 0, done.stderr
    tested = results("r").query("split == 'test'").set_index("model")
    assert tested["chance"].tolist() == [0.25] * 3 and tested["n_examples"].min() > 50
    assert tested["accuracy"]["untouched"] < 0.4 and tested["accuracy"]["standard"] > 0.6, tested["accuracy"]


def test_lines_without_choices_have_a_report_without_chance(command: Command, tmp_path: Path) -> None:
    rows = [{"prompt": f"say {i} {COLOURS[i % 4]}", "answer": COLOURS[i % 4]} for i in range(60)]
    Path("free.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    saved_model(Path("m"), [f"{row['prompt']} {row['answer']}" for row in rows])
    words = "retrofit m --data free.jsonl --steps 1 --seeds 1 --method untouched --device cpu --out r"
    done = command(*words.split(), "--quiet")
    assert done.returncode == 0, done.stderr
    assert results("r")["chance"].isna().all() and Path("r/report.html").is_file()


def test_the_chat_view_is_asked_by_the_template(command: Command, place: Path) -> None:
    losses = []
    for view in ("text", "chat"):
        done = command(*line(place, f"--set view={view} --quiet --json", ("untouched",), out=view))
        assert done.returncode == 0 and json.loads(done.stdout)["command"] == "retrofit"
        losses.append(results(view)["loss"].tolist())
        assert set(results(view)["model_options"]) == {f"pretrained=m; view={view}"}
    assert losses[0] != losses[1]
