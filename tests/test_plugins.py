"""A task or an attention of another package that fails is named, and nobody else is accused."""

import json
import re
import signal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from torch import Tensor, nn

from nexus_bench import cli
from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.parts import attend
from nexus_bench.cli import run
from nexus_bench.generators import defaults
from nexus_bench.generators.base import GENERATORS
from nexus_bench.generators.pointer_chase import PointerChase
from tests.conftest import Command, assert_fails
from tests.paths import ROOT
from tests.small import TINY

FAULTS = [
    (ValueError("two\nlines"), "ValueError: two (test_plugins.py:"),
    (KeyError("x"), "KeyError: 'x' (test_plugins.py:"),
    (FileNotFoundError(2, "No such file", "words.txt"), "FileNotFoundError: [Errno 2] No such file: 'words.txt'"),
    (SystemExit(0), "SystemExit: 0 (test_plugins.py:"),
]


class Theirs(PointerChase):
    name = "theirs"
    fails: ClassVar[dict[str, BaseException]] = {}

    def sample(self, *arguments: Any) -> Any:
        self._fail("sample")
        return super().sample(*arguments)

    def solve(self, *arguments: Any) -> Any:
        self._fail("solve")
        return super().solve(*arguments)

    def chance(self, hop: int) -> float:
        self._fail("chance")
        return super().chance(hop)

    def symbol(self, vocabulary: str, index: int) -> str:
        self._fail("symbol")
        return super().symbol(vocabulary, index)

    def _fail(self, method: str) -> None:
        if method in self.fails:
            raise self.fails[method]


class TheirAttention(Attention[AttentionOptions]):
    """The values alone."""

    name = "their_attention"
    version = 1
    fails_in = "forward"

    def __init__(self, d_model: int, n_heads: int, options: AttentionOptions) -> None:
        super().__init__(d_model, n_heads, options)
        if self.fails_in == "__init__":
            raise LookupError("no parts")
        self.value = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor, layout: object) -> Tensor:
        raise LookupError("no keys")


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both, for the time of a test."""
    GENERATORS.names(), ATTENTIONS.names()
    monkeypatch.setitem(GENERATORS._entries, "theirs", Theirs)
    monkeypatch.setitem(ATTENTIONS._entries, "their_attention", TheirAttention)
    (tmp_path / "theirs.yaml").write_text(
        (ROOT / "tasks/pointer_chase.yaml").read_text().replace("pointer_chase", "theirs")
    )
    own = defaults.defaults_file
    monkeypatch.setattr(
        defaults, "defaults_file", lambda name: tmp_path / "theirs.yaml" if name == "theirs" else own(name)
    )


def fail_in(monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException) -> None:
    monkeypatch.setattr(Theirs, "fails", {method: error})


@pytest.mark.parametrize(("error", "said"), FAULTS)
@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("gen --task theirs --hops 1 --n 9 --n-test 9 --out d", "sample"),
        ("gen --task theirs --hops 1 --n 9 --n-test 9 --out d", "solve"),
        ("show theirs", "symbol"),
        ("audit theirs --hops 1 --n 200", "chance"),
        ("train --task theirs --attention standard --seeds 1 --set steps=1 --executor inline", "sample"),
    ],
)
def test_a_task_that_fails_is_named_with_its_method_and_the_error(
    line: str, method: str, error: BaseException, said: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_in(monkeypatch, method, error)
    done = command(*line.split())
    assert_fails(done, 3, f"error: task 'theirs' of tests: Theirs.{method} failed with {said}")
    assert "; repair or uninstall its package" in done.stderr


def test_other_commands_know_nothing_of_it(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for method in ("sample", "solve", "chance", "symbol"):
        fail_in(monkeypatch, method, ValueError("no"))
        for line in ("list tasks", "show pointer_chase", "gen --hops 1 --n 9 --n-test 9 --out d -q"):
            done = command(*line.split())
            assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("command_line", ["verify d", "export --data d --out e"])
def test_a_dataset_is_not_accused_of_what_its_task_does(
    command_line: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = command("gen", *"--task theirs --hops 1 --n 9 --n-test 9 --format text --out d -q".split())
    assert made.returncode == 0, made.stderr
    fail_in(monkeypatch, "symbol", ValueError("no"))
    assert_fails(command(*command_line.split()), 3, "error: task 'theirs' of tests: Theirs.symbol failed with")


@pytest.mark.parametrize("method", ["forward", "__init__"])
def test_cells_of_an_attention_that_fails_say_so_and_the_others_are_trained(
    method: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TheirAttention, "fails_in", method)
    (tmp_path / "s.yaml").write_text(TINY.replace("attention: nexus, order: 2", "attention: their_attention"))
    done = command("train", "s.yaml", "--seeds", "1", "--executor", "inline", "--out", "r")
    assert done.returncode == 7, done.stderr
    said = f"attention 'their_attention' of tests: TheirAttention.{method} failed with LookupError: no "
    assert done.stderr.count(said) == 1, done.stderr
    assert "1 of 2 cells failed" in done.stderr and "Traceback" not in done.stderr


def test_the_line_of_the_author_is_named_and_not_only_that_of_a_library(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(self: TheirAttention, x: Tensor, layout: Layout) -> Tensor:
        return attend(x[:, None], x[:, None, :, :3], x[:, None], layout)[:, 0]  # keys are too narrow

    monkeypatch.setattr(TheirAttention, "forward", forward)
    (tmp_path / "s.yaml").write_text(TINY.replace("attention: nexus, order: 2", "attention: their_attention"))
    done = command("train", "s.yaml", "--seeds", "1", "--executor", "inline", "--out", "r")
    line = forward.__code__.co_firstlineno + 1
    assert re.search(rf"forward failed with RuntimeError: .* [(]test_plugins.py:{line}, in \w+.py:\d+[)]", done.stderr)
    (failed,) = (tmp_path / "r").glob("cells/*/failed.json")
    trace = "\n".join(json.loads(failed.read_text())["traceback"])
    assert "keys are too narrow" in trace and trace.endswith(re.findall(r"RuntimeError: .*", trace)[-1])
    assert "Traceback" not in done.stderr


def test_a_fault_of_the_program_is_not_put_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PointerChase, "sample", None)
    with pytest.raises(TypeError):
        run(["gen", "--hops", "1", "--n", "9", "--n-test", "9", "--out", "d"])


def test_a_stop_while_a_task_draws_is_not_put_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_terminated", [])  # of this test alone
    monkeypatch.setattr(Theirs, "sample", lambda *arguments: cli._terminate(signal.SIGTERM, None))
    with pytest.raises(SystemExit, match="143"):
        run(["gen", "--task", "theirs", "--hops", "1", "--n", "9", "--n-test", "9", "--out", "d"])
