"""What the benchmark of attention modules says, apart from the times themselves."""

import json

import pytest
import torch

from nexus_bench.bench.attention import PLAIN, Workload, attention_entries, bench_attention
from nexus_bench.errors import ConfigError
from tests.conftest import Command

CPU = torch.device("cpu")


def work(n: int, *, causal: bool = True, dtype: torch.dtype = torch.float32) -> Workload:
    return Workload(n, 1, 2, 16, dtype, causal, CPU)


def test_operations_are_counted_per_pass() -> None:
    n, d = 64, 32
    entries = attention_entries(["standard", "nexus"], {"order": [1, 3]})
    rows = bench_attention(entries, [work(n)], rounds=1, on_round=lambda: None)
    assert [row.attention for row in rows] == [
        PLAIN,
        "standard",
        "nexus, order 1, refine qk",
        "nexus, order 3, refine qk",
    ]
    projection, one_pass = 2 * n * d * d, 2 * 2 * n * n * d
    by_hand = [4 * projection + one_pass] * 3 + [(4 + 2 * 2) * projection + 3 * one_pass]
    assert [row.forward_gflop * 1e9 for row in rows] == pytest.approx(by_hand)
    assert len({row.n_params for row in rows}) == 1
    assert all(row.forward_ms > 0 and row.backward_ms > 0 for row in rows)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", [{}, {"inner": "direct"}, {"share": "unshared"}, {"refine": "k"}], ids=str)
def test_memory_grows_linearly_with_the_length(options: dict[str, object], causal: bool) -> None:
    entries = attention_entries(["nexus"], {"order": 3} | options)
    lengths = [work(n, causal=causal) for n in (256, 1024)]
    rows = bench_attention(entries, lengths, rounds=1, on_round=lambda: None)
    short, long = (row.peak_mib for row in rows if row.attention != PLAIN)
    assert 1 < long / short < 4.5


@pytest.mark.parametrize("name", ["strassen", "two_simplicial"])
def test_attention_over_pairs_keeps_no_cube(name: str) -> None:
    entries = attention_entries([name], {})
    rows = bench_attention(entries, [work(n, causal=False) for n in (32, 128)], rounds=1, on_round=lambda: None)
    short, long = (row.peak_mib for row in rows if row.attention == name)
    assert 10 < long / short < 18  # 16 is quadratic, 64 cubic


def test_a_setting_that_no_mechanism_has_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'refin'; did you mean 'refine'"):
        attention_entries(["nexus"], {"refin": "q"})


def test_command_prints_a_row_a_mechanism_and_length(command: Command) -> None:
    arguments = [
        "bench",
        "attention",
        "nexus",
        "--order",
        "1,2",
        "--n",
        "16,32",
        "--batch",
        "1",
        "--rounds",
        "1",
        "--json",
    ]
    found = json.loads(command(*arguments).stdout)
    assert found["schema_version"] == 2
    assert [(row["n_positions"], row["attention"]) for row in found["rows"]] == [
        (n, name) for n in (16, 32) for name in (PLAIN, "nexus, order 1, refine qk", "nexus, order 2, refine qk")
    ]
    assert "forward ms" in command(*arguments[:-1]).stdout
