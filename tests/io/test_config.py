from pathlib import Path

import pytest

from nexus_bench.errors import ConfigError, StorageError, UsageError
from nexus_bench.io.bundled import bundled
from nexus_bench.io.config import check_name, parse_settings, parse_yaml, read_config
from nexus_bench.io.hops import format_hops, parse_hops


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("3e4", 3e4),
        (".5", 0.5),
        ("12", 12),
        ("-7", -7),
        ("true", True),
        ("null", None),
        ("no", "no"),
        ("NO", "NO"),
        ("010", "010"),
        ("12:30", "12:30"),
        ("2026-11-24", "2026-11-24"),
        ("1_000", "1_000"),
        ("'12'", "12"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_yaml(text, where="x")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x:3: key 'a' is given twice; keep one"),
        ("a: {b: 1, b: 2}", "x:1: key 'b' is given twice"),
        ("a: &c 1", r"x:1: an anchor \(&name\) is not allowed; write the value out"),
        ("a: *c", r"x:1: an alias \(\*name\) is not allowed"),
        ("a: !!python/object:os.system 1", r"x:1: a tag \(!name\) is not allowed"),
        ("1: 2", "x:1: key 1 is not a word"),
        ("a: [1", "x:1: "),
        ("a: 'b", "x:1: "),
    ],
)
def test_what_strict_yaml_leaves_out_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, where="x")


def test_a_config_file_must_hold_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must hold `key: value` lines, got list"):
        read_config(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        read_config(path)
    with pytest.raises(StorageError, match=r"nowhere\.yaml: cannot be read: No such file"):
        read_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("value", "hops"),
    [(3, (3,)), ("3", (3,)), ("1-5", (1, 2, 3, 4, 5)), ("4,1,2", (1, 2, 4)), ("1-2,5", (1, 2, 5)), ([2, 1], (1, 2))],
)
def test_hops_are_read_as_written(value: object, hops: tuple[int, ...]) -> None:
    assert parse_hops(value) == hops


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "hops must be 1 or more, got 0; write hops as 3, 1-5 or 1,2,4"),
        (0, "hops must be 1 or more, got 0"),
        ("3-1", "hops '3-1' run backwards"),
        ("", "cannot read hops ''"),
        ("a", "cannot read hops 'a'"),
        ("1,,2", "cannot read hops '1,,2'"),
        ("-3", "cannot read hops '-3'"),
        ([], "hops are empty"),
        ("1,1", "contain a hop count twice"),
        (1.5, "cannot read hops 1.5"),
        (True, "cannot read hops True"),
        ("1-99999999", "hops must be at most 10000"),
    ],
)
def test_other_hops_are_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_hops(value)


@pytest.mark.parametrize("hops", [(3,), (1, 2, 3), (1, 2), (1, 3), (2, 3, 5)])
def test_written_hops_can_be_read_again(hops: tuple[int, ...]) -> None:
    assert parse_hops(format_hops(hops)) == hops


def test_a_setting_in_braces_is_one_value_and_several_are_a_list() -> None:
    assert parse_settings(["tune={lr: [1e-3, 3e-3], seeds: 2}"]) == {"tune": {"lr": [1e-3, 3e-3], "seeds": 2}}
    assert parse_settings(["size_ood={n: 4, m: 1},{n: 5}"]) == {"size_ood": [{"n": 4, "m": 1}, {"n": 5}]}


def test_settings_are_yaml_and_commas_make_lists() -> None:
    found = parse_settings(["lr=1e-3,3e-3", "order=2", "refine=q,qk", "vocab_size=null", "seeds=[4]"])
    assert found == {"lr": [1e-3, 3e-3], "order": 2, "refine": ["q", "qk"], "vocab_size": None, "seeds": [4]}


def test_a_whole_number_may_be_set_with_an_exponent() -> None:
    found = parse_settings(["steps=1e3", "n=1e1,2", "lr=1e-3", "clip_norm=1.0", "weight=1e30", "tune={lr: [1e3]}"])
    assert repr(found["steps"]) == "1000" and repr(found["n"]) == "[10, 2]"
    assert [repr(found[key]) for key in ("lr", "clip_norm", "weight")] == ["0.001", "1.0", "1e+30"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [(["lr"], "--set must be key=value, got 'lr'"), (["=1"], "key=value"), (["a=1", "a=2"], "--set a is given twice")],
)
def test_malformed_settings_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_settings(settings)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-flag", "a b", None, 3, "x" * 101])
def test_names_that_could_leave_their_folder_are_refused(name: object) -> None:
    with pytest.raises(ConfigError, match="the name must be letters"):
        check_name(name, what="the name")


def test_bundled_files_are_found() -> None:
    assert "pointer_chase" in bundled("task")
    assert {"quick", "staircase"} <= set(bundled("suite"))
