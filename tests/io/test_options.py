import pytest

from nexus_bench.io.options import only, options_text, parse_options, varying, without


def test_options_are_sorted_json_with_plain_words_bare() -> None:
    options = {"side": "left", "n": 3, "group": "S_3", "x": 0.1, "hold": False, "size": {"b": 1, "a": [2]}}
    assert options_text(options) == 'group=S_3; hold=false; n=3; side=left; size={"a":[2],"b":1}; x=0.1'


def test_what_is_null_is_left_out() -> None:
    assert options_text({"a": None, "b": 1}) == "b=1"
    assert options_text({"a": None}) is None


@pytest.mark.parametrize("word", ["true", "null", "3", "1e3", "", "a b", "a; b=2", 'say "x; y=1"', "NaN-", "_x"])
def test_a_string_is_never_taken_for_another_value(word: str) -> None:
    others = [True, 3, 1000.0, {"a": 1}, [word], "a", "b"]
    assert len({options_text({"k": value}) for value in [word, *others]}) == len(others) + 1
    text = options_text({"a": word, "k": 1, "z": {"in": word}})
    assert list(parse_options(text)) == ["a", "k", "z"] and parse_options(text)["k"] == "1"


def test_only_what_differs_is_named() -> None:
    texts = ["n_nodes=6; n_test=8", "n_nodes=6; n_test=9", "n_nodes=6; n_test=9; side=left"]
    assert varying(texts) == ["n_test", "side"]
    assert only(texts[0], varying(texts)) == "n_test=8, side=null"
    assert only(f"content_sha256={'a' * 64}", ["content_sha256"]) == f"content_sha256={'a' * 16}..."


def test_options_can_be_taken_out() -> None:
    assert without("a=1; b=2", ["a"]) == "b=2"
    assert without("a=1", ["a"]) is without(None, ["a"]) is None
