"""Rows and tables in few bytes, as a page holds them: columns instead of rows, and what repeats is written once.

The page's script undoes each step: `unfold`, `unpack`, `whole` and `joined` in `unpack.js`. The same rows give the same
bytes: nothing is left to zlib, of which versions differ.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

_PARTS = 1000  # accuracies have three decimals
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NONE = len(DIGITS) ** 2 - 1  # of two digits, for what is missing
_WORTH = 24  # characters: shorter parts are no longer than what names them


def shared(specs: Mapping[str, Any]) -> dict[str, Any]:
    """Specifications of figures, of which parts that stand in several places are written once, and named by number.

    >>> axis = {"title": "accuracy", "format": "d"}
    >>> shared({"one": {"x": axis}, "two": {"y": axis}})
    {'specs': {'one': {'x': {'$part': 0}}, 'two': {'y': {'$part': 0}}}, 'parts': [{'title': 'accuracy', 'format': 'd'}]}
    """
    counts: Counter[str] = Counter()
    numbers: dict[str, int] = {}
    parts: list[Any] = []

    def count(value: Any) -> None:
        if isinstance(value, dict | list):
            text = json.dumps(value)
            counts[text] += 1
            for inner in _inside(value) if counts[text] == 1 else ():
                count(inner)

    def named(value: Any) -> Any:
        text = json.dumps(value) if isinstance(value, dict | list) else ""
        if len(text) <= _WORTH or counts[text] == 1:
            return within(value)
        if text not in numbers:
            part = within(value)
            numbers[text] = len(parts)
            parts.append(part)
        return {"$part": numbers[text]}

    def within(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(inner) for key, inner in value.items()}
        return [named(inner) for inner in value] if isinstance(value, list) else value

    for spec in specs.values():
        count(spec)
    return {"specs": {name: within(spec) for name, spec in specs.items()}, "parts": parts}


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def packed_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as columns, and words as numbers; what a row does not have is null."""
    fields = list(dict.fromkeys(field for row in rows for field in row))
    columns = {field: [row.get(field) for row in rows] for field in fields}
    words = {
        field: list(dict.fromkeys(column))
        for field, column in columns.items()
        if all(isinstance(value, str | None) for value in column)
    }
    numbered = {field: {word: number for number, word in enumerate(found)} for field, found in words.items()}
    packed = [folded([numbered[f][v] for v in column] if f in words else column) for f, column in columns.items()]
    return {"fields": fields, "words": words, "columns": packed}


def packed_csv(text: str) -> list[Any] | str:
    """A table as columns, each as its lines or as words and their numbers; the text itself if it is not so simple."""
    rows = [line.split(",") for line in text.removesuffix("\n").split("\n")]
    if '"' in text:
        rows = [_fields(line) for line in text.removesuffix("\n").split("\n")]
    if len({len(row) for row in rows}) != 1 or "\n".join(map(",".join, rows)) + "\n" != text:
        return text
    return [_lines(column) for column in zip(*rows, strict=True)]


def folded(column: Sequence[Any]) -> Any:
    """A column as the shortest of: itself, thousandths, pairs of digits, runs of equal values, a part that repeats.

    >>> folded([10, 20, 30, 10, 20, 30, 10, 20, 30, 10]), folded([7] * 12)
    ({'every': [10, 20, 30], 'n': 10}, {'runs': [7, 12]})
    >>> folded([0.998, 0.997, 0.983, 0.951, 0.948, 0.777, 0.662, 0.501, 0.25, 0.125])
    {'thousandths': {'digits': 'PmPlPXO3O0MJKWH1D6B9'}}
    """
    values = list(column)
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    beginning = _period(values)
    ways: list[Any] = [values, {"runs": [part for run in runs for part in run]}]
    if beginning < len(values):
        ways.append({"every": folded(values[:beginning]), "n": len(values)})
    if any(isinstance(value, float) for value in values) and all(map(_is_in_thousandths, values)):
        ways.append({"thousandths": folded([None if v is None else round(v * _PARTS) for v in values])})
    if all(value is None or (type(value) is int and 0 <= value < _NONE) for value in values):
        ways.append({"digits": "".join(map(_digits, values))})
    return min(ways, key=lambda way: len(json.dumps(way, separators=(",", ":"))))


def _digits(value: int | None) -> str:
    high, low = divmod(_NONE if value is None else value, len(DIGITS))
    return DIGITS[high] + DIGITS[low]


def _is_in_thousandths(value: Any) -> bool:
    if value is None:
        return True
    return not isinstance(value, bool | str) and round(value * _PARTS) / _PARTS == value


def _period(values: Sequence[Any]) -> int:
    """The shortest beginning of which the whole is a repetition, whose last turn may be cut short."""
    borders = [0] * len(values)
    for i in range(1, len(values)):
        border = borders[i - 1]
        while border and values[i] != values[border]:
            border = borders[border - 1]
        borders[i] = border + (values[i] == values[border])
    return len(values) - borders[-1] if values else 0


def _fields(line: str) -> list[str]:
    """The fields of a line as they are written; a comma between quotation marks does not end one."""
    fields, is_open = [""], False
    for part in line.split(","):
        fields[-1] += part
        is_open ^= part.count('"') % 2 == 1
        if is_open:
            fields[-1] += ","
        else:
            fields.append("")
    return fields[:-1] if not is_open else fields


def _lines(column: Sequence[str]) -> Any:
    words = {word: number for number, word in enumerate(dict.fromkeys(column))}
    numbered = {"words": "\n".join(words), "at": folded([words[word] for word in column])}
    plain = "\n".join(column)
    return min(plain, numbered, key=lambda way: len(json.dumps(way, separators=(",", ":"))))
