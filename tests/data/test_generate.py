"""Datasets are the same bytes, however and wherever they are made."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import nexus_bench
from nexus_bench.data.formats import FORMATS
from nexus_bench.data.generate import generate
from nexus_bench.data.task import TaskSpec, make_task
from nexus_bench.data.verify import verify
from nexus_bench.errors import CheckFailedError, ConfigError, UsageError
from nexus_bench.generators.base import Examples, Generator
from nexus_bench.io.files import locked
from tests.conftest import Command, assert_fails

GEN = ["-m", "nexus_bench", "gen", "--hops", "1-3", "--n", "1500", "--n-test", "40", "--seed", "5"]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def gen(folder: Path, *arguments: str, code: str | None = None, **environment: str) -> dict[str, str]:
    line = [sys.executable, *(["-c", code] if code else GEN), *([] if code else ["--out", str(folder), *arguments])]
    done = subprocess.run(line, env=os.environ | environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return digests(folder)


@pytest.mark.parametrize("file_format", FORMATS)
def test_another_process_and_another_hash_seed_give_the_same_bytes(file_format: str, tmp_path: Path) -> None:
    first = gen(tmp_path / "a", "--format", file_format, PYTHONHASHSEED="1")
    assert first == gen(tmp_path / "b", "--format", file_format, PYTHONHASHSEED="2")


def test_data_is_the_same_where_pytorch_is_not_installed(tmp_path: Path) -> None:
    arguments = [*GEN[2:], "--out", str(tmp_path / "b")]
    code = f"import sys; sys.modules['torch'] = None; from nexus_bench import cli; sys.exit(cli.run({arguments!r}))"
    assert gen(tmp_path / "a") == gen(tmp_path / "b", code=code)


@pytest.mark.parametrize("file_format", ["npz", "csv", "jsonl"])
def test_the_chunk_size_changes_no_byte(file_format: str, tmp_path: Path, small_spec: TaskSpec) -> None:
    for name, chunk in (("a", 100_000), ("b", 100), ("c", 1024)):
        generate(tmp_path / name, small_spec, seed=1, n_train=1700, file_format=file_format, chunk_graphs=chunk)
    assert digests(tmp_path / "a") == digests(tmp_path / "b") == digests(tmp_path / "c")


def test_the_content_hash_does_not_depend_on_format_or_chunks(tmp_path: Path, small_spec: TaskSpec) -> None:
    hashes = {
        generate(tmp_path / f"{f}{c}", small_spec, seed=1, n_train=300, file_format=f, chunk_graphs=c)["content_sha256"]
        for f in FORMATS
        for c in (64, 1000)
    }
    assert len(hashes) == 1


def plant(monkeypatch: pytest.MonkeyPatch, family: type, place: int, name: str) -> None:
    """From now on the family draws one wrong label in every block."""
    sample = family.sample  # type: ignore[attr-defined]

    def planted(self: Generator, n_graphs: int, rng: np.random.Generator) -> Examples:
        examples: Examples = sample(self, n_graphs, rng)
        if place < n_graphs:
            wrong = getattr(examples, name)[place]
            wrong[0] = wrong[0] % 3 + 1
        return examples

    monkeypatch.setattr(family, "sample", planted)


@pytest.mark.parametrize("place", [0, 1, 500, 777, 1023])
@pytest.mark.parametrize("name", ["answer", "hop"])
def test_a_label_that_the_solver_denies_is_refused_wherever_in_a_block_it_is(
    place: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"task": "pointer_chase", "hops": "1-3", "n_queries": 1, "n_val": 7, "n_test": 13}
    spec = make_task(entry, where="test")
    plant(monkeypatch, type(spec.generator()), place, name)
    told = rf"pointer_chase: \w+, graph \d+, query 0: {name} is \w+, the facts give \w+; correct the family"
    with pytest.raises(CheckFailedError, match=told):
        generate(tmp_path / "d", spec, seed=1, n_train=128 * 1024, file_format="npz")
    assert list(tmp_path.iterdir()) == []


def test_gen_refuses_a_family_that_draws_a_wrong_label(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    family = type(make_task({"task": "pointer_chase", "hops": 1}, where="test").generator())
    plant(monkeypatch, family, 777, "hop")
    told = command("gen", "--hops", "1-2", "--out", "d", "--quiet")
    assert_fails(told, 6, "pointer_chase: train, graph 9993, query 0: hop is 2, the facts give 1; correct the family")
    assert not list(Path.cwd().iterdir())


def test_every_label_of_a_small_split_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_task({"task": "pointer_chase", "hops": "1-3", "n_val": 7, "n_test": 13}, where="test")
    plant(monkeypatch, type(spec.generator()), 12, "answer")
    with pytest.raises(CheckFailedError, match="pointer_chase: test, graph 12, query 0: answer is"):
        generate(tmp_path / "d", spec, seed=1, n_train=5, file_format="npz")


@pytest.mark.slow
def test_a_killed_gen_leaves_nothing_under_its_name_and_completes_to_the_same_bytes(tmp_path: Path) -> None:
    line = [sys.executable, *GEN, "--n", "400000", "--set", "n_queries=1", "--format", "jsonl", "--out"]
    killed = subprocess.Popen([*line, str(tmp_path / "a")], stdout=subprocess.DEVNULL)
    unfinished = tmp_path / ".a.unfinished" / "train.jsonl"
    deadline = time.monotonic() + 60
    while not (unfinished.exists() and unfinished.stat().st_size > 1_000_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert unfinished.exists() and not (tmp_path / "a").exists()
    for name in ("a", "b"):
        subprocess.run([*line, str(tmp_path / name)], check=True, stdout=subprocess.DEVNULL, timeout=300)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.slow
def test_two_at_once_into_one_folder_write_it_once(tmp_path: Path) -> None:
    """The other one says that it is busy, or comes late and keeps what it finds."""
    line = [sys.executable, *GEN, "--n", "20000", "--quiet", "--out"]
    for place in range(6):
        folder = tmp_path / f"d{place}"
        both = []
        for _ in range(2):
            both.append(subprocess.Popen([*line, str(folder)], stderr=subprocess.PIPE, text=True))
            time.sleep(0.1 * place)
        told = [process.communicate(timeout=120)[1] for process in both]
        codes = [process.returncode for process in both]
        assert sorted(codes) in ([0, 0], [0, 2]), told
        for code, said in zip(codes, told, strict=True):
            busy = f"error: {folder}: another nexus-bench is writing to it; wait, or choose another --out\n"
            assert said == ("" if code == 0 else busy)
        verify(folder)
        assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_folder_that_another_process_writes_is_left_to_it(tmp_path: Path, small_spec: TaskSpec) -> None:
    (tmp_path / ".d.unfinished").mkdir()
    with (
        locked(tmp_path / ".d.unfinished/.lock", guards=tmp_path, advice=""),
        pytest.raises(UsageError, match="another nexus-bench is writing to it"),
    ):
        generate(tmp_path / "d", small_spec, seed=1, n_train=40, file_format="npz")
    assert not (tmp_path / "d").exists() and (tmp_path / ".d.unfinished/.lock").exists()


def test_a_dataset_that_came_while_waiting_for_the_lock_is_kept(
    tmp_path: Path, small_spec: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the first look at the folder and the lock, another process writes the whole dataset."""

    def late(path: Path, **about: object) -> AbstractContextManager[None]:
        monkeypatch.undo()
        generate(tmp_path / "d", small_spec, seed=1, n_train=40, file_format="npz")
        (tmp_path / "d" / "README.md").touch()
        os.utime(tmp_path / "d", (1, 1))
        return locked(path, **about)  # type: ignore[arg-type]

    monkeypatch.setattr("nexus_bench.data.generate.locked", late)
    generate(tmp_path / "d", small_spec, seed=1, n_train=40, file_format="npz")
    assert (tmp_path / "d").stat().st_mtime == 1, "it was written again"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_graphs(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from nexus_bench import cli; "
        "cli.run(['gen', '--n', sys.argv[1], '--set', 'n_queries=1', '--out', sys.argv[2], '--json']); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    for n in (100_000, 1_000_000):
        done = subprocess.run(
            [sys.executable, "-c", code, str(n), str(tmp_path / str(n))], capture_output=True, text=True, timeout=300
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] - peaks[0] < 100, f"{peaks} MiB: 900,000 graphs are 144 MB, their world ids 7 MB"


@pytest.mark.skipif(sys.platform != "linux", reason="limits file sizes")
def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; sys.dont_write_bytecode = True; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
        f"from nexus_bench import cli; sys.exit(cli.run(['gen', '--n', '5000', '--out', {str(tmp_path / 'd')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_load_gives_arrays_and_a_pytorch_dataset(dataset_folder: Path) -> None:
    from torch.utils.data import DataLoader

    data = nexus_bench.load(dataset_folder)
    assert sorted(data) == ["test", "train", "val"]
    assert data.train.facts.shape == (50, 11, 2) and (data["test"].answer == data.test.answer).all()
    assert repr(data) == "<nexus-bench dataset pointer_chase: test 13, train 50, val 7 graphs>"
    graphs = data.torch("train")
    batch = next(iter(DataLoader(graphs, batch_size=10)))
    assert {name: tuple(tensor.shape) for name, tensor in batch.items()} == {
        "facts": (10, 11, 2),
        "query": (10, 5, 2),
        "answer": (10, 5),
        "hop": (10, 5),
    }
    assert (batch["answer"].numpy() == data.train.answer[:10]).all()
    with pytest.raises(UsageError, match="unknown split 'tran'; did you mean 'train'"):
        data["tran"]
    with pytest.raises(AttributeError, match="unknown split 'tests'; did you mean 'test'"):
        data.tests  # noqa: B018


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, small_spec: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"parquet format needs pyarrow; pip install 'nexus-bench\[parquet\]'"):
        generate(tmp_path / "d", small_spec, seed=0, n_train=5, file_format="parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_parquet_is_read_by_pandas_and_by_datasets(tmp_path: Path, small_spec: TaskSpec) -> None:
    import pandas as pd

    folder = tmp_path / "d"
    generate(folder, small_spec, seed=3, n_train=50, file_format="parquet")
    examples = nexus_bench.load(folder).test
    frame = pd.read_parquet(folder / "test.parquet")
    assert list(frame.columns) == ["graph", "facts", "query", "answer", "hop"] and len(frame) == 65
    assert frame["answer"].tolist() == examples.answer.ravel().tolist()
    assert np.array_equal(np.stack(frame["facts"][17].tolist()), examples.facts[17 // 5])
    code = (
        "import datasets, sys; d = datasets.load_dataset(sys.argv[1]); "
        "print({s: len(d[s]) for s in d}, d['test'][17]['query'], d['test'][17]['answer'])"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], env=environment, capture_output=True, text=True, timeout=120
    )
    query, answer = examples.query[3, 2].tolist(), examples.answer[3, 2]
    assert done.stdout.strip() == f"{{'train': 250, 'validation': 35, 'test': 65}} {query} {answer}", done.stderr


def test_hops_beyond_training_bring_no_unseen_symbol() -> None:
    entry = {"task": "pointer_chase", "hops": "1-2", "hop_ood": "3-5", "n_queries": 4}
    laws = make_task(entry, where="test").laws()
    assert laws["iid"].schema == laws["hop_ood"].schema
    assert [role.name for role in laws["iid"].schema.query] == ["start", "mark1", "mark2", "mark3", "mark4", "mark5"]
    for law in laws.values():
        examples = law.sample(30, np.random.Generator(np.random.PCG64(1)))
        assert (examples.query[:, :, 1:].sum(axis=2) == examples.hop).all()
        assert set(np.unique(examples.hop)) == set(law.family.hops)
        assert (law.solve(examples.facts, examples.query).answer == examples.answer).all()
