"""Runs of `nexus-bench pretrain`, from the command line to a model that transformers loads."""

import itertools
import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTNeoXForCausalLM

from nexus_bench.hf import describe
from nexus_bench.hf.loop import InTraining
from tests.conftest import Command, assert_fails
from tests.hf.pretraining import LINE, TOY, finish, log_of, start, start_two, write_text
from tests.packs import pack
from tests.paths import EXAMPLES


@pytest.fixture
def call(command: Command) -> Command:
    """In a folder with text."""
    write_text(Path("t.txt"))
    return command


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def test_a_run_folder_is_a_model_of_transformers_with_its_log(call: Command) -> None:
    nest = ["--attention", "nexus", "--order", "3", "--set", "compare=mirrored", "--set", "layers=1"]
    done = call(*LINE, *nest, "--tokens", "1600", "--set", "log_every=7", "--out", "r", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["model"] == "nexus (order 3, compare mirrored, refine qk), layers 1"
    assert (told["steps"], told["tokens"]) == (25, 1600)  # 4 sequences of 16 tokens a step
    log = log_of(Path("r"))
    assert log["step"].tolist() == [7, 12, 14, 21, 25] and log["tokens"].tolist() == [448, 768, 896, 1344, 1600]
    assert log["held_out_loss"].notna().tolist() == [False, True, False, False, True]
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] - 0.1
    assert told["held_out_loss"] == pytest.approx(log["held_out_loss"].iloc[-1], rel=1e-5)
    model, tokenizer = AutoModelForCausalLM.from_pretrained("r"), AutoTokenizer.from_pretrained("r")
    assert describe(model) == told["model"] and model.config.eos_token_id == tokenizer.eos_token_id == 0
    # The loss, computed anew from the folder: the held-out file, cut by hand
    (about,) = Path(".tokens").glob("*/about.json")
    ids = torch.from_file(
        str(about.parent / "held_out.bin"), size=json.loads(about.read_text())["n_held_out"], dtype=torch.uint16
    )
    n = (len(ids) - 1) // 16
    losses = []
    for at in range(n):
        cut = ids[at * 16 : at * 16 + 17].long()
        chances = model(cut[None, :-1]).logits[0].log_softmax(-1)
        losses += [-chances[i, cut[i + 1]].item() for i in range(16)]
    assert told["held_out_loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    samples = [json.loads(line) for line in Path("r/samples.jsonl").read_text().splitlines()]
    assert [one["step"] for one in samples] == [12, 25] and all(one["prompt"] and one["text"] for one in samples)
    assert not Path("r/checkpoint.pt").exists()


def test_the_standard_model_is_a_stock_gpt_neox_on_disk(call: Command) -> None:
    assert call(*LINE, "--tokens", "64", "--out", "r").returncode == 0
    assert json.loads(Path("r/config.json").read_text())["model_type"] == "gpt_neox"
    assert type(AutoModelForCausalLM.from_pretrained("r")) is GPTNeoXForCausalLM


def test_settings_that_are_not_of_the_run_are_of_its_task(call: Command) -> None:
    line = [*LINE, "--task", "pointer_chase", "--hops", "1", "n_nodes=7", "n_val=5", "n_test=5", "--tokens", "64"]
    done = call(*line, "--out", "r")
    assert done.returncode == 0, done.stderr
    task = yaml.safe_load(Path("r/spec.yaml").read_text())["task"]
    assert (task["params"]["n_nodes"], task["hops"]) == (7, [1])


def test_a_task_can_be_told_otherwise(call: Command) -> None:
    line = [*LINE, "--task", "pointer_chase", "--hops", "1-2", "n_val=5", "n_test=5", "--task-share", "0.5"]
    for folder, words in {"r": [], "first": ["question=first", "target=steps"]}.items():
        done = call(*line, *words, "--tokens", "64", "--out", folder)
        assert done.returncode == 0, done.stderr
    assert yaml.safe_load(Path("r/spec.yaml").read_text())["english"] is None
    told = yaml.safe_load(Path("first/spec.yaml").read_text())["english"]
    assert (told["question"], told["target"]) == ("first", "steps")
    for words in (["question=first"], ["question=first", "sentences=backward"]):
        varied = " and ".join(word.split("=")[0] for word in words)
        said = f"pretrain: ask=all tells the facts once, before all questions; leave out {varied}"
        assert_fails(call(*line, *words, "ask=all", "--tokens", "64", "--out", "no"), 3, said)
    assert_fails(call(*LINE, "ask=all", "--out", "no"), 3, "pretrain: ask is of a task that is mixed in; add --task")
    said = "pretrain: derived_share is of a task that is mixed in; add --task"
    assert_fails(call(*LINE, "derived_share=0.5", "--out", "no"), 3, said)
    said = "pretrain: target=steps derives every answer; leave it or derived_share out"
    assert_fails(call(*line, "derived_share=0.5", "target=steps", "--tokens", "64", "--out", "no"), 3, said)
    refused = call(*LINE, "question=first", "--tokens", "64", "--out", "no")
    assert (refused.returncode, "unknown key 'question'" in refused.stderr) == (3, True), "it is of a task"


def test_a_finished_run_is_left_as_it_is_and_another_one_is_refused(call: Command) -> None:
    line = [*LINE, "--tokens", "256", "--out", "r", "--json", "--quiet"]
    first = call(*line)
    before = Path("r/model.safetensors").stat().st_mtime_ns
    spec = yaml.safe_load(Path("r/spec.yaml").read_text())
    del spec["ask"], spec["attend"]  # as versions that did not have them wrote it
    Path("r/spec.yaml").write_text(yaml.safe_dump(spec))
    assert call(*line).stdout == first.stdout and Path("r/model.safetensors").stat().st_mtime_ns == before
    said = "r: holds another run: lr is 0.001 there and 0.002 here; choose another --out"
    assert_fails(call(*line, "--set", "lr=0.002"), 2, said)
    write_text(Path("t.txt"), 61)
    assert_fails(call(*line), 2, "r: holds another run: content_sha256 is ")


def test_tokens_may_see_their_document_alone(call: Command) -> None:
    line = [*LINE, "--attention", "nexus", "--tokens", "640"]
    for out, more in (("all", []), ("own", ["attend=document"])):
        done = call(*line, *more, "--out", out)
        assert done.returncode == 0, done.stderr
    # The held-out loss, computed anew: every document of a sequence by itself
    model = AutoModelForCausalLM.from_pretrained("own")
    held_out = next(Path(".tokens").glob("*/held_out.bin")).read_bytes()
    ids = torch.frombuffer(bytearray(held_out), dtype=torch.uint16).long()
    n = (len(ids) - 1) // 16
    losses = []
    for at in range(n):
        cut = ids[at * 16 : at * 16 + 17]
        ends = [0, *((cut[:-1] == 0).nonzero().flatten() + 1).tolist(), 16]
        for first, stop in itertools.pairwise(ends):
            if first < stop:
                chances = model(cut[None, first:stop]).logits[0].log_softmax(-1)
                losses += [-chances[i, cut[first + i + 1]].item() for i in range(stop - first)]
    found = log_of(Path("own"))["held_out_loss"].iloc[-1]
    assert len(losses) == n * 16 and found == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    assert found != pytest.approx(log_of(Path("all"))["held_out_loss"].iloc[-1], abs=1e-5)
    refused = call("losses", "all", "own")
    assert_fails(refused, 2, "own: attend is 'document', and 'sequence' in all; such losses say nothing of models: ")


@pytest.mark.parametrize("options", ["micro_batch_size=1", "compile=yes"])
@pytest.mark.parametrize("attend", ["sequence", "document"])
def test_how_a_run_is_carried_out_changes_no_loss(
    options: str, attend: str, call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = []

    def compile(module: Any) -> Any:
        compiled.append(module)
        return _compile(module, backend="eager")

    _compile = torch.compile
    monkeypatch.setattr(torch, "compile", compile)
    for out, more in (("a", []), ("b", ["--set", options])):
        line = [*LINE, "--attention", "nexus", "--tokens", "640", "--set", f"attend={attend}"]
        done = call(*line, "--out", out, *more)
        assert done.returncode == 0, done.stderr
    assert len(compiled) == 2 * (options == "compile=yes")
    pd.testing.assert_frame_equal(log_of(Path("a")), log_of(Path("b")), rtol=1e-4)
    torch.compiler.reset()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_as_one_that_never_was(tmp_path: Path) -> None:
    write_text(tmp_path / "t.txt")
    more = ["--set", "log_every=1", "--attention", "nexus"]
    finish(start(tmp_path, *more, out="whole"))
    kills = 0
    for after in (5, 40):
        process = start(tmp_path, *more)
        until = time.monotonic() + 100
        while time.monotonic() < until and process.poll() is None:
            log = tmp_path / "r" / "log.csv"
            if log.is_file() and log.read_text().count("\n") > after and (tmp_path / "r" / "checkpoint.pt").is_file():
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += process.returncode == -signal.SIGKILL
            time.sleep(0.01)
    assert kills == 2
    (tmp_path / "r" / ".checkpoint.pt.x.begun").write_bytes(b"part")  # as a kill while it saves leaves it
    finish(start(tmp_path, *more))
    pd.testing.assert_frame_equal(log_of(tmp_path / "r"), log_of(tmp_path / "whole"), rtol=0, atol=0)
    assert (tmp_path / "r/samples.jsonl").read_bytes() == (tmp_path / "whole/samples.jsonl").read_bytes()
    ours, theirs = weights_of(tmp_path / "r"), weights_of(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not list((tmp_path / "r").glob(".*.begun"))


def test_a_run_goes_on_from_its_checkpoint_and_not_from_the_beginning(
    call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    one_step = InTraining.one_step

    def counted(self: InTraining, passes: Any) -> Any:
        made.append(self.step)
        if len(made) == 7:
            raise RuntimeError("stopped")
        return one_step(self, passes)

    monkeypatch.setattr(InTraining, "one_step", counted)
    line = [*LINE, "--tokens", "640", "--set", "log_every=2", "--set", "save_every=4", "--out", "r"]
    with pytest.raises(RuntimeError, match="stopped"):
        call(*line)
    assert call(*line).returncode == 0
    assert made == [*range(7), *range(4, 10)]
    assert log_of(Path("r"))["step"].tolist() == [2, 4, 5, 6, 8, 10]


@pytest.mark.slow
def test_two_processes_train_as_one(call: Command, tmp_path: Path) -> None:
    more = ["--tokens", "1280", "--set", "log_every=1"]
    assert call(*LINE, *more, "--out", "one").returncode == 0
    told = finish(start_two(tmp_path, *more, "--set", "micro_batch_size=1", out="two"))
    assert told.count("two: standard") == 1 and "Warning" not in told
    pd.testing.assert_frame_equal(log_of(tmp_path / "one"), log_of(tmp_path / "two"), rtol=2e-4)
    assert json.loads((tmp_path / "two/summary.json").read_text())["device"] == "2 x cpu"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "lr=1e30"], 7, "the loss is not a number at step 2; lower lr (1e+30)"),  # all fail
        ([], 2, "a: holds another run: tokens is 64 there and 6400 here; choose another --out"),  # the first does
        (["--sed", "1"], 2, "No such option: --sed"),
    ],
)
def test_of_several_processes_one_says_what_is_wrong(
    words: list[str], code: int, said: str, call: Command, tmp_path: Path
) -> None:
    assert call(*LINE, "--tokens", "64", "--out", "a").returncode == 0
    more = ["--set", "log_every=1", *words]
    process = start_two(tmp_path, *more, out="b" if code == 7 else "a")
    told, _ = process.communicate(timeout=200)
    assert said in told and told.count("error: ") == 1, told
    assert told.count("Traceback") == 1, "that of torchrun itself"
    assert f"exitcode  : {code} " in told.partition("Root Cause")[2]


WRONG = [
    ("--arch pythia-80m", 2, "unknown arch 'pythia-80m'; did you mean 'pythia-70m'? known: pythia-14m, pythia-160m, "),
    ("--attention nexus --order 0", 3, "order: input should be greater than or equal to 1, got 0"),
    ("--order 2", 2, "order: the attention is standard; add --attention nexus"),
    ("--attention nexus --set refine=z", 3, "refine: input should be 'q', 'k', 'qk' or 'qkv', got 'z'"),
    ("--attention nexus --set layers=7", 3, "layers must be 0 to 1"),
    ("--attention nexsu", 3, "attention: input should be 'standard' or 'nexus', got 'nexsu'"),
    ("--set batchsize=3", 3, "unknown key 'batchsize'; did you mean 'batch_size'?"),
    ("--set intermediate_size=300000", 3, "intermediate_size must be a whole number from 1 to 262,144, got 300000"),
    ("--set micro_batch_size=3", 3, "batch_size must be a multiple of micro_batch_size x processes (3 x 1), got 4"),
    ("--set seq_len=100000", 3, "fewer than the 100,001 of one sequence; give more of it or lower seq_len"),
    ("--held-out short.txt", 3, "the held-out text has 2 tokens, fewer than the 17 of one sequence; give --held-out"),
    ("--text closed", 5, "closed: cannot be read: Permission denied; name a folder that can be"),
    ("--text nowhere.txt", 5, "nowhere.txt: there is no such file"),
    ("--text latin.txt", 3, "latin.txt: is not UTF-8 text"),
    ("--text bare", 3, "bare: holds no text"),
    ("--tokenizer bare", 3, "bare: holds no tokenizer; give a folder with tokenizer.json"),
    ("--set documents=file", 3, "the text is a single document, so none can be held out; give --held-out"),
    ("--tokens 63", 3, "63 tokens are fewer than the 64 of one step; raise --tokens or lower batch_size"),
    ("--hops 1-3", 2, "--hops and --task-share are of a task; add --task"),
    ("--task kinship --set n_nodes=7", 3, "kinship: unknown key 'n_nodes'"),
    ("--task pointer_chaise", 3, "unknown task 'pointer_chaise'"),
    ("--compute-of order=2 --attention nexus", 2, "--compute-of finds a standard model; omit --attention"),
    ("--set lr=1e30", 7, "the loss is not a number at step"),
    ("--set lr=1e30 --tokens 64", 7, "the loss is not a number at step 1; lower lr (1e+30)"),
    ("--set seed=3", 2, "seed: is an option; write --seed"),
    ("--set held_out=o.txt", 2, "held_out: is an option; write --held-out"),
    ("--compute-of mirrored", 2, "--compute-of must be key=value, got 'mirrored'"),
    ("--compute-of order=2,seed=5", 2, "--compute-of: seed is no option of a nest; give it outside, to both models"),
    ("--device cuda", 2, "device cuda is not available here; use --device cpu"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=[line for line, _, _ in WRONG])
def test_a_wrong_line_is_one_line_of_error(line: str, code: int, said: str, call: Command, closed: Path) -> None:
    Path("bare").mkdir()
    Path("short.txt").write_text("a")
    Path("latin.txt").write_bytes("\u00e9".encode("latin-1"))
    words = [word.replace(",", " ") if word.startswith("order=") else word for word in line.split()]
    base = [w for w in LINE]
    if words[0] == "--set" and words[1].partition("=")[0] in ("seq_len", "documents"):
        at = next(i for i, w in enumerate(base) if w.startswith(words[1].partition("=")[0] + "="))
        base[at] = words[1]
        words = words[2:]
    if "--device" in words:
        at = base.index("--device")
        base = base[:at] + base[at + 2 :]
    if "cuda" in said and torch.cuda.is_available():
        pytest.skip("there is one")
    assert_fails(call(*base, *words, "--out", "r", "--quiet"), code, said)


def test_what_does_not_fit_into_the_memory_is_told_before_training(
    call: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["pretrain", "--text", "t.txt", "--set", "documents=line", "--set", "vocab_size=300", "--set", "seq_len=16"]
    # 807 million parameters of 16 bytes, 256 tokens of 16 layers of width 2,048
    said = "training needs 12.6 GiB or more, 1.0 GiB are free: 11.6 GiB are missing; lower micro_batch_size (now 16), "
    with monkeypatch.context() as patched:
        patched.setattr("nexus_bench.hf.memory.free_bytes", lambda device: 2**30)
        assert_fails(call(*line, "--arch", "pythia-1b", "--device", "cpu", "--out", "r"), 5, said)
    assert call(*LINE, "--tokens", "256", "--out", "r").returncode == 0, "nothing was trained there"


def test_memory_that_runs_out_in_training_is_one_line(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: InTraining, passes: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")

    monkeypatch.setattr(InTraining, "one_step", fails)
    said = "the memory of the device did not suffice; lower micro_batch_size (now 4), seq_len or vocab_size"
    assert_fails(call(*LINE, "--out", "r"), 5, said)


def test_a_packed_log_is_that_of_the_run_until_the_run_goes_on(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    line = [*LINE, "--tokens", "256", "--out", "r"]
    with monkeypatch.context() as broken:
        broken.delattr(InTraining, "one_step")
        with pytest.raises(AttributeError):
            call(*line)
    pack(Path("r/log.csv"))
    held = Path("r/spec.yaml").read_bytes()
    assert_fails(call(*line, "--set", "lr=0.002"), 2, "r: holds another run: lr is 0.001 there and 0.002 here")
    assert Path("r/spec.yaml").read_bytes() == held
    assert call(*line).returncode == 0 and not Path("r/log.csv.gz").exists()
    Path("mine").mkdir()
    Path("mine/log.csv.gz").write_bytes(b"mine")
    assert_fails(call(*line[:-1], "mine"), 2, "mine/log.csv.gz: was not written by nexus-bench and is kept")


@pytest.mark.parametrize("held", ["whole", "results.csv", "results.csv.gz"])
def test_a_run_of_another_command_is_kept(call: Command, held: str) -> None:
    Path("r").mkdir()
    for name in ("spec.yaml", "env.json", "seal.json", "results.csv") if held == "whole" else ("results.csv",):
        shutil.copy(EXAMPLES / "quick" / name, "r")
    if held == "results.csv.gz":
        pack(Path("r/results.csv"))
    before = {path.name: path.read_bytes() for path in Path("r").iterdir()}
    said = "r: holds a run of another command, which is kept; choose another --out"
    assert_fails(call(*LINE, "--tokens", "256", "--out", "r"), 2, said)
    assert {path.name: path.read_bytes() for path in Path("r").iterdir()} == before


def test_a_damaged_checkpoint_and_a_folder_of_somebody_else_are_named(call: Command) -> None:
    line = [*LINE, "--tokens", "256", "--out", "r"]
    Path("r").mkdir()
    Path("r/config.json").write_text("mine")
    assert_fails(call(*line), 2, "r/config.json: was not written by nexus-bench and is kept")
    Path("r/config.json").unlink()
    assert call(*line).returncode == 0
    Path("r/summary.json").unlink()
    Path("r/checkpoint.pt").write_bytes(b"damaged")
    assert_fails(call(*line), 4, "r/checkpoint.pt: is damaged; delete it to begin anew")
    for other in ({"model": 3}, torch.ones(2), {"model": {}, "optimizer": {}, "step": 1, "rows": [], "samples": []}):
        torch.save(other, "r/checkpoint.pt")
        assert_fails(call(*line), 4, "r/checkpoint.pt: is damaged; delete it to begin anew")


def test_a_checkpoint_that_a_kill_left_behind_a_finished_run_is_removed(call: Command) -> None:
    line = [*LINE, "--tokens", "64", "--out", "r"]
    assert call(*line).returncode == 0
    Path("r/checkpoint.pt").write_bytes(b"of the last step but one")
    assert call(*line).returncode == 0 and not Path("r/checkpoint.pt").exists()


def test_a_single_held_out_document_is_one_sample_whatever_their_number(call: Command) -> None:
    Path("o.txt").write_text(Path("t.txt").read_text().replace("\n", " "))
    sampled = ["samples=4" if word == "samples=1" else word for word in LINE]
    done = call(*sampled, "--held-out", "o.txt", "--tokens", "64", "--out", "r", "--quiet")
    assert done.returncode == 0, done.stderr
    samples = [json.loads(line) for line in Path("r/samples.jsonl").read_text().splitlines()]
    assert len(samples) == 1 and Path("o.txt").read_text().startswith(samples[0]["prompt"])


def test_a_nest_to_be_as_costly_as_is_named(call: Command) -> None:
    for said in ("", " "):
        assert_fails(call(*LINE, "--compute-of", said, "--out", "r"), 2, "--compute-of: names no nest; write order=2")


def test_tokens_that_were_edited_are_found(call: Command) -> None:
    assert call(*LINE, "--tokens", "64", "--out", "r", "--quiet").returncode == 0
    (train,) = Path(".tokens").glob("*/train.bin")
    whole = train.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-2] + b"\x00\x01"):
        train.write_bytes(content)
        done = call(*LINE, "--tokens", "64", "--seed", "1", "--out", "s", "--quiet")
        assert_fails(done, 4, f"{train}: is truncated or edited; delete {train.parent} to make it again")
    train.unlink()
    assert_fails(call(*LINE, "--tokens", "64", "--seed", "1", "--out", "s", "--quiet"), 4, f"{train}: is missing")
    (train.parent / "about.json").unlink()
    done = call(*LINE, "--tokens", "64", "--seed", "1", "--out", "s", "--quiet")
    assert_fails(done, 4, f"{train.parent}: lacks about.json; delete it to make it again")


def test_text_that_holds_nothing_or_is_held_out_as_well_is_refused(call: Command) -> None:
    Path("empty.txt").write_text("\n \n")
    Path("half.jsonl").write_text('{"text": "\\ud800"}\n')
    base = LINE[: LINE.index("--text")] + LINE[LINE.index("--text") + 2 :]
    for words, code, said in (
        (["--text", "empty.txt"], 3, "pretrain: empty.txt holds no text"),
        (["--text", ""], 2, "a text without a name; give a file, a folder or a dataset"),
        (["--text", "half.jsonl"], 3, "half.jsonl:1: \\ud800 is half of a character"),
        (["--text", "t.txt", "--held-out", "t.txt"], 3, "pretrain: t.txt is in --text and in --held-out"),
    ):
        assert_fails(call(*base, *words, "--out", "no"), code, said)


def test_the_rate_rises_and_falls_to_a_tenth(call: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.AdamW.step

    def noted(self: Any, *given: Any) -> Any:
        rates.append([group["lr"] for group in self.param_groups])
        assert [group["weight_decay"] for group in self.param_groups] == [0.1, 0.0]
        assert all(group["betas"] == (0.9, 0.95) for group in self.param_groups)
        return step(self, *given)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    assert call(*LINE, "--tokens", "1344", "--set", "warmup=0.1", "--set", "lr=0.3", "--out", "r").returncode == 0
    found = [one for one, two in rates if one == two]
    assert len(found) == len(rates) == 21
    assert found[:3] == pytest.approx([0.1, 0.2, 0.3]) and found[3] == pytest.approx(0.3)
    assert found[-1] == pytest.approx(0.03)
    assert found[3:] == sorted(found[3:], reverse=True)


def test_a_run_in_its_own_text_is_refused(call: Command) -> None:
    Path("books").mkdir()
    write_text(Path("books/a.txt"))
    for out in ("books", "books/runs/a"):
        done = call("pretrain", *TOY, "--text", "books", "--tokens", "128", "--out", out)
        assert done.returncode == 2 and "is in the text books, of which it would become a part" in done.stderr
    assert [path.name for path in Path("books").iterdir()] == ["a.txt"]
