"""Text and numbers from outside: what strict YAML refuses, what it writes, and how names are shown."""

import os
from pathlib import Path

import pytest

from nexus_bench.errors import ConfigError, NexusBenchError, StorageError
from nexus_bench.io.config import parse_yaml, read_config, to_yaml
from nexus_bench.io.csv_files import to_csv
from nexus_bench.io.entries import Spec, validate
from nexus_bench.io.escapes import markdown, markdown_cell, visible
from nexus_bench.io.files import read_bytes, read_json, sha256_of_file
from nexus_bench.io.hops import parse_hops


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 3000, "values are nested more than 50 deep"),
        ("{a: " * 2000, "values are nested more than 50 deep"),
        ("x: 9223372036854775808", r"a whole number must be within \+-9223372036854775807, got 9223372036854775808"),
        ("x: " + "9" * 5000, r"got 99999999999999999999\.\.\. of 5000 characters"),
        ("x: 1e400", "a number must be finite, got 1e400"),
        ("x: [1, -1e999]", "a number must be finite, got -1e999"),
        ('x: "\\e[31m"', r"text holds the control character '\\x1b'"),
        ("x: &a [1]\ny: *a", "an anchor .* is not allowed"),
    ],
)
def test_yaml_that_no_run_can_hold_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        parse_yaml(text, where="x")
    assert "\n" not in str(error.value)


def test_numbers_at_the_bounds_are_read() -> None:
    assert parse_yaml("[9223372036854775807, -9223372036854775807, 1e308]", where="x") == [2**63 - 1, 1 - 2**63, 1e308]
    assert parse_yaml("[" * 50 + "]" * 50, where="x")


def test_what_is_written_is_read_back_as_it_was() -> None:
    shared = [1, 2]
    config = {"a": shared, "b": shared, "c": "1e3", "d": "no", "e": "12:30", "f": "0x1", "g": 1e-05, "h": "~", "i": ""}
    assert parse_yaml(to_yaml(config), where="x") == config
    assert "&" not in to_yaml(config)


class Sized(Spec):
    size: int = 1
    d_model: int = 1
    rate: float = 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 10**9 + 1}, "x: size must be at most 1000000000, got 1000000001"),
        ({"size": -(10**12)}, "x: size must be at most"),
        ({"d_model": 70_000}, "x: d_model must be at most 65536, got 70000"),
        ({"rate": float("inf")}, "x: rate: input should be a finite number, got inf"),
        ({"rate": float("nan")}, "x: rate: input should be a finite number, got nan"),
    ],
)
def test_every_number_of_an_entry_has_a_bound(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(Sized, values, where="x")


@pytest.mark.parametrize("hops", ["9" * 5000, "1-" + "9" * 30, [10**30], 10_001, "\u0663"])
def test_hops_have_a_bound(hops: object) -> None:
    with pytest.raises(ConfigError, match="hops"):
        parse_hops(hops)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("reader", [read_bytes, read_json, read_config, sha256_of_file])
def test_a_pipe_or_a_device_is_refused_at_once(reader: object, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(StorageError, match=f"{path}: cannot be read: is a device or a pipe; give a regular file"):
            reader(path)  # type: ignore[operator]


def test_json_nested_deeply_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(NexusBenchError, match="not JSON"):
        read_json(tmp_path / "x.json")


def test_control_characters_are_shown_as_python_writes_them() -> None:
    assert visible("a\x1b[31m\nb\u202ec\udcff é") == "a\\x1b[31m\\nb\\u202ec\\udcff é"


def test_markdown_holds_no_html_and_no_link() -> None:
    assert markdown("<script>alert(1)</script> p < 0.05 [x](javascript:1) ![y](z)") == (
        "&lt;script>alert(1)&lt;/script> p < 0.05 [x]\\(javascript:1) ![y]\\(z)"
    )
    assert markdown("[x]: javascript:1") == "[x]\\: javascript:1"
    assert markdown_cell("a|b\nc <b>") == "a\\|b\\nc &lt;b>"


def test_a_field_that_begins_like_a_formula_is_text() -> None:
    from nexus_bench.io.columns import Column

    column = Column("x", "string", "")
    rows = [{"x": value} for value in ('=HYPERLINK("http://evil")', "+1", "-1", "@x", "safe", -1.5)]
    written = to_csv(rows, [column]).splitlines()[1:]
    assert written == ['"\'=HYPERLINK(""http://evil"")"', "'+1", "'-1", "'@x", "safe", "-1.5"]
