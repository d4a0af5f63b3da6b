"""`nexus-bench retrofit`: methods side by side, a rate chosen apart, runs that are killed, and what is refused."""

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
from transformers import AutoModelForCausalLM, GPT2Config

from nexus_bench.hf import describe, retrofit_cells
from nexus_bench.hf.training import train_in_order, training_arguments
from tests.conftest import Command
from tests.hf.made import saved_model
from tests.hf.retrofitting import line, results, write_place
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small dataset `d`, and a model `m` that knows its words."""
    folder = tmp_path_factory.mktemp("retrofit")
    write_place(folder)
    return folder


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


def test_the_chat_view_is_asked_by_the_template(command: Command, place: Path) -> None:
    losses = []
    for view in ("text", "chat"):
        done = command(*line(place, f"--set view={view} --quiet --json", ("untouched",), out=view))
        assert done.returncode == 0 and json.loads(done.stdout)["command"] == "retrofit"
        losses.append(results(view)["loss"].tolist())
        assert set(results(view)["model_options"]) == {f"pretrained=m; view={view}"}
    assert losses[0] != losses[1]


def edited(model: Path, to: Path, **values: Any) -> str:
    """The model with another configuration."""
    to.mkdir()
    for path in model.iterdir():
        (to / path.name).symlink_to(path)
    config = json.loads((model / "config.json").read_text()) | values
    (to / "config.json").unlink()
    (to / "config.json").write_text(json.dumps(config))
    return str(to)


@pytest.mark.parametrize(
    "words, code, reason",
    [
        (["--method", "order=0"], 3, "--method 'order=0': order: input should be greater than or equal to 1, got 0"),
        (["--method", "order=1"], 3, "--method 'order=1': order must be 2 or more; order 1 is the method standard"),
        (["--order", "0"], 2, "--order: write orders from 1"),
        (["--method", "standart"], 2, "--method: unknown method 'standart'; did you mean 'standard'?"),
        (["--method", "standard", "--method", "standard"], 2, "--method 'standard' is given twice; omit one"),
        (["--method", "order=2 layers=first"], 3, "layers must be such as 20-29, 0,5 or last-half"),
        (["--method", "order=2 layers=1-4"], 3, "layers must be 0 to 1, or -1 to -2, got 2"),
        (["--method", "order=2 gate=1"], 3, "gate must be true or false, got 1"),
        (
            ["--set", "batch_size=6", "--set", "micro_batch=4"],
            3,
            "batch_size must be a multiple of micro_batch 4, got 6",
        ),
        (["--set", "lr=0,1"], 3, "lr must be one or more different rates above 0"),
        (["--set", "step=3"], 3, "retrofit: unknown setting 'step'; did you mean 'steps'?"),
        (["--set", "question=middle"], 3, "text: question: input should be 'last' or 'first', got 'middle'"),
        (["--task", "kinship"], 2, "give --data or --task, and not both"),
        (["--hops", "1"], 2, "--data determines the hops; omit --hops"),
    ],
    ids=str,
)
def test_wrong_options_end_in_one_line(command: Command, place: Path, words: list[str], code: int, reason: str) -> None:
    done = command("retrofit", str(place / "m"), "--data", str(place / "d"), *words)
    assert done.returncode == code and reason in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_wrong_models_end_in_one_line(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = place / "m"
    GPT2Config().save_pretrained("gpt2")
    Path("empty").mkdir()
    sliding = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 4, "use_sliding_window": True}
    nested = edited(model, Path("nested"), model_type="nexus_llama")
    cases = [
        ("gpt2", 3, "gpt2: unknown family 'gpt2'; known: gpt_neox, llama, qwen2"),
        ("empty", 3, "empty: has no config.json; give a folder that save_pretrained wrote"),
        ("./nowhere", 5, "./nowhere: there is no such folder"),
        ("nobody/nothing-here", 5, "nobody/nothing-here: is no folder here, and cannot be downloaded ("),
        (nested, 3, "nested: already has Nexus attention; give the model that it was made from"),
        (edited(model, Path("wide"), head_dim=8), 3, "heads do not fill the width of the model (6 x 8 against 60)"),
        (
            edited(model, Path("window"), model_type="qwen2", **sliding),
            3,
            "layers must have full attention, got layer 1",
        ),
        (
            edited(model, Path("short"), max_position_embeddings=16),
            3,
            "tokens, the model takes 16; ask for fewer facts",
        ),
        (edited(model, Path("deep"), num_hidden_layers=3), 3, "deep: the weights lack model.layers.2."),
    ]
    for name, code, reason in cases:
        done = command("retrofit", name, "--data", str(place / "d"), "--steps", "1", "--quiet", "--out", "r")
        assert done.returncode == code and reason in done.stderr and done.stderr.count("\n") == 1, (name, done.stderr)
    for path in Path("wide").iterdir():
        if path.name.startswith("model"):
            path.unlink()
    done = command("retrofit", "wide", "--data", str(place / "d"))
    assert done.returncode == 3 and "wide: has no weights (model.safetensors)" in done.stderr


def test_the_folder_of_another_retrofit_is_kept(command: Command, place: Path) -> None:
    assert command(*line(place, "--quiet", ("untouched",))).returncode == 0
    before = Path("r/results.csv").read_bytes()
    done = command(*line(place, "--quiet --steps 7", ("untouched",)))
    assert done.returncode == 2
    assert "r: holds a retrofit with recipe.steps 300, this one has 7; choose another --out" in done.stderr
    assert command("train", "quick", "--out", "r").returncode == 2
    assert Path("r/results.csv").read_bytes() == before


def test_methods_and_seeds_may_be_added_to_a_folder_but_not_taken_away(command: Command, place: Path) -> None:
    short = "--steps 2 --set lr=1e-3"
    assert command(*line(place, f"{short} --seeds 1", ("untouched",))).returncode == 0
    added = command(*line(place, f"{short} --seeds 2", ("untouched", "standard")))
    assert added.returncode == 0 and added.stderr.count("| was done") == 1
    once = command(*line(place, f"{short} --seeds 2", ("untouched", "standard"), out="o"))
    assert once.returncode == 0
    assert Path("r/results.csv").read_bytes() == Path("o/results.csv").read_bytes()
    fewer = command(*line(place, f"{short} --seeds 2", ("standard",)))
    assert fewer.returncode == 2 and "r: holds a retrofit with methods" in fewer.stderr


def test_memory_that_runs_out_is_one_line_and_keeps_what_is_done(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **more: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    words = line(place, "--steps 2 --seeds 1 --set lr=1e-3", ("untouched", "standard"))
    with monkeypatch.context() as patch:
        patch.setattr(retrofit_cells, "_train", fail)
        done = command(*words)
    assert done.returncode == 5 and done.stderr.splitlines()[-1].startswith("error: the memory of the device did not")
    assert "lower micro_batch (now 2)" in done.stderr and "Traceback" not in done.stderr
    again = command(*words)
    assert again.returncode == 0 and again.stderr.count("| was done") == 1
