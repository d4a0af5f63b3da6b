"""What hostile files and command lines are made of: values, edits of bytes, changes of documents."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

NASTY: list[Any] = [None, True, -1, 0, 1, 2**31, 2**63, 10**30, 0.5, -0.0, float("nan"), float("inf"), 1e-320, "", "x"]
NASTY += [
    "../../x",
    "/dev/zero",
    "=1+1",
    "[/x]",
    "$\\frac{$",
    "<script>",
    "\x1b[31m",
    "\u202e",
    "a\nb",
    "|",
    "9" * 5000,
]
NASTY += [
    "1-9999",
    "nexus",
    "pointer_chase",
    "_",
    "1e400",
    "x" * 300,
    [],
    {},
    [[]],
    [None],
    [1, 1],
    [-1],
    {"x": 1},
    {"": []},
]
BYTES = [b"9" * 5000, b"1e400", b"NaN", b"[" * 3000, b"{a: " * 2000, b"\x1b[31m", b"../../x", b"=1+1", b"\x00", b"\xff"]
BYTES += [b"null", b"-1", b"{}", b'"', b"\n", b",", b"\r", b"&a *a", b"!x", b"- ", b": ", b"0.5", b"\xe2\x80\xa8", b""]
# of options of the command line
VALUES = ["", "-1", "0", "1", "1.5", "nan", "inf", "1e400", "9" * 30, "9" * 5000, "x", "../x", "x" * 300, "[" * 3000]
VALUES += [
    "\x1b[31m",
    "[/x]",
    "a\nb",
    "1-2",
    "2-1",
    "1,2",
    "lr=1e400",
    "n_nodes=" + "9" * 30,
    "x=[",
    "=",
    "task=x",
    "csv",
]
VALUES += ["\udcff", "n_queries=0", "hops=9", "seeds=[1", "test", "nowhere", "{a: b}", "n_val=-1", "n_nodes=[3,4]"]


def nasty() -> st.SearchStrategy[Any]:
    return st.sampled_from(NASTY) | st.integers() | st.floats() | st.text(max_size=9)


@st.composite
def edits(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """One to three cuts, flips, insertions and replacements of bytes, at shares of the length."""
    steps = draw(
        st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1), st.sampled_from(BYTES)), min_size=1, max_size=3)
    )

    def edit(data: bytes) -> bytes:
        for kind, share, new in steps:
            at = int(share * len(data))
            if kind == 0:
                data = data[:at]
            elif kind == 1 and data:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ (1 << len(new) % 8)]) + data[at + 1 :]
            elif kind == 2:
                data = data[:at] + new + data[at:]
            elif kind == 3:
                data = data[:at] + new + data[at + len(new) + 1 :]
            else:
                lines = data.split(b"\n")
                fields = lines[at % len(lines)].split(b",")
                fields[len(new) % len(fields)] = new
                lines[at % len(lines)] = b",".join(fields)
                data = b"\n".join(lines)
        return data

    return edit


@st.composite
def changes(draw: st.DrawFn) -> Callable[[Any], Any]:
    """One to three values of a nested document replaced, added or left out."""
    steps = draw(st.lists(st.tuples(st.lists(st.integers(0, 30), max_size=4), nasty(), st.integers(0, 2)), min_size=1))

    def change(document: Any) -> Any:
        document = json.loads(json.dumps(document))
        for path, new, kind in steps[:3]:
            here, home, key = document, None, None
            new = json.loads(json.dumps(new))
            for step in path or [0]:
                if isinstance(here, dict) and here:
                    home, key = here, sorted(here)[step % len(here)]
                elif isinstance(here, list) and here:
                    home, key = here, step % len(here)
                else:
                    break
                here = home[key]
            if home is None:
                return new
            if kind == 0:
                del home[key]
            elif kind == 1 and isinstance(home, dict):
                home[str(new)[:50]] = json.loads(json.dumps(here))
            else:
                home[key] = new
        return document

    return change
