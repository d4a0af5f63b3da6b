"""What a page holds packed, unpacked as its script does it."""

import itertools
from typing import Any

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def unfolded(column: object) -> list[object]:
    """As the script of the page does it."""
    if isinstance(column, list):
        return column
    assert isinstance(column, dict)
    if "runs" in column:
        pairs = zip(column["runs"][::2], column["runs"][1::2], strict=True)
        return [value for value, n in pairs for _ in range(n)]
    if "thousandths" in column:
        return [None if value is None else value / 1000 for value in unfolded(column["thousandths"])]  # type: ignore
    if "digits" in column:
        text = str(column["digits"])
        numbers = [DIGITS.index(text[i]) * 64 + DIGITS.index(text[i + 1]) for i in range(0, len(text), 2)]
        return [None if number == 4095 else number for number in numbers]
    return list(itertools.islice(itertools.cycle(unfolded(column["every"])), column["n"]))


def whole(value: Any, parts: list[Any]) -> Any:
    if isinstance(value, list):
        return [whole(inner, parts) for inner in value]
    if not isinstance(value, dict):
        return value
    return (
        whole(parts[value["$part"]], parts)
        if "$part" in value
        else {name: whole(inner, parts) for name, inner in value.items()}
    )


def unpacked(packed: dict[str, list[object]]) -> list[dict[str, object]]:
    columns = [
        [packed["words"][field][value] for value in column] if field in packed["words"] else column  # type: ignore
        for field, column in zip(packed["fields"], map(unfolded, packed["columns"]), strict=True)
    ]
    rows = [dict(zip(packed["fields"], values, strict=True)) for values in zip(*columns, strict=True)]  # type: ignore
    return [{str(field): value for field, value in row.items() if value is not None} for row in rows]
