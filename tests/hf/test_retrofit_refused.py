"""What `nexus-bench retrofit` refuses, in one line: options, models, and what is in its folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config

from nexus_bench.hf import retrofit, retrofit_cells
from tests.conftest import Command, assert_fails
from tests.hf.retrofitting import SHORT, line


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
        (["--method", "order=0"], 3, "--method 'order=0': order must be 2 or more; order 1 is the method standard"),
        (["--method", "order=1"], 3, "--method 'order=1': order must be 2 or more; order 1 is the method standard"),
        (["--method", "order=1 gate=true"], 3, "order must be 2 or more; order 1 is the method standard"),
        (["--method", "order=two"], 3, "--method 'order=two': order: input should be a valid integer, got 'two'"),
        *(
            (
                ["--order", given],
                2,
                "--order: write orders such as 2 or 2,3 (1 is standard), each 2 to 1,000,000, got",
            )
            for given in ("0", "1", "2,1", "two")
        ),
        (["--method", "standart"], 2, "--method: unknown method 'standart'; did you mean 'standard'?"),
        (["--method", "standard", "--method", "standard"], 2, "--method 'standard' is given twice; omit one"),
        (["--method", "order=2 layers=first"], 3, "layers must be such as 20-29, 0,5 or last-half"),
        (["--method", "order=2 layers="], 3, "layers= has no value; omit it for all layers"),
        (["--method", "order=2 layers=1-4"], 3, "layers must be 0 to 1, or -1 to -2, got 2"),
        (["--method", "order=2 gate=1"], 3, "gate must be true or false, got 1"),
        (["--method", "order=2 gate"], 2, "--method 'order=2 gate': must be key=value, got 'gate'"),
        (
            ["--set", "batch_size=6", "--set", "micro_batch=4"],
            3,
            "batch_size must be a multiple of micro_batch 4, got 6",
        ),
        (["--set", "lr=0,1"], 3, "lr must be one or more different rates above 0"),
        (["--set", "lr=1e300"], 3, "lr must be one or more different rates above 0 and at most 1e+36"),
        (["--set", "gate_lr=1e300"], 3, "gate_lr must be at most 1e+36, got 1e+300"),
        (["--set", "step=3"], 3, "retrofit: unknown setting 'step'; did you mean 'steps'?"),
        (["--set", "question=middle"], 3, "text: question: input should be 'last' or 'first', got 'middle'"),
        (["--set", "target=steps"], 2, "retrofit trains and scores answers only; omit target"),
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
    bent = edited(model, Path("bent"), hidden_act="bend")
    done = command("retrofit", bent, "--data", str(place / "d"), "--steps", "1", "--quiet", "--out", "bend")
    assert_fails(done, 3, "bent: the weights cannot be loaded: 'bend'; get the model again")
    for path in Path("short").iterdir():
        if path.name.startswith("tokenizer"):
            path.unlink()
    assert_fails(command("retrofit", "short", "--data", str(place / "d")), 3, "short: holds no tokenizer that")
    Path("deep/model.safetensors").unlink()
    Path("deep/model.safetensors").write_bytes((model / "model.safetensors").read_bytes()[:999])
    done = command("retrofit", "deep", "--data", str(place / "d"), "--steps", "1", "--quiet", "--out", "cut")
    assert_fails(done, 3, "deep: the weights cannot be loaded: ")
    assert not [name for name in ("r", "bend", "cut") if Path(name).exists()], (
        "the corrected command may use the folder"
    )
    right = command(*line(place, "--steps 1 --seeds 1", ("untouched",), out="bend"))
    assert right.returncode == 0, right.stderr
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


def test_of_a_task_steps_that_differ_are_named_and_not_the_hash_of_what_is_drawn_for_them(
    command: Command, place: Path
) -> None:
    drawn = ["retrofit", str(place / "m"), "--task", "pointer_chase", "--hops", "1-2", "n_nodes=7", *SHORT.split()]
    words = [*drawn, "--quiet", "--method", "untouched", "--out", "r"]
    assert command(*words, "--steps", "6").returncode == 0
    assert_fails(command(*words, "--steps", "70"), 2, "r: holds a retrofit with recipe.steps 6, this one has 70; ")


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


def test_a_machine_on_which_nothing_was_trained_is_not_among_those_of_the_run(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = "--steps 2 --seeds 1 --set lr=1e-3"
    assert command(*line(place, short, ("untouched",))).returncode == 0
    before = Path("r/env.json").read_text()
    here = retrofit.machine_and_versions("cpu")
    monkeypatch.setattr(retrofit, "machine_and_versions", lambda device: here | {"torch": "another"})
    assert command(*line(place, short, ("untouched",))).returncode == 0 and Path("r/env.json").read_text() == before
    assert command(*line(place, short, ("untouched", "standard"))).returncode == 0
    assert [entry["torch"] for entry in json.loads(Path("r/env.json").read_text())["environments"]][1] == "another"


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
