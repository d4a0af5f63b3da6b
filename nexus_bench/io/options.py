"""Options as one line of text, `key=value; key=value`: what the columns `..._options` of results.csv hold.

Keys are sorted. A value is compact JSON; a string that is a plain word and not a word of JSON needs no quotes. So two
sets of options have the same text exactly if they are the same.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

OPTION_COLUMNS = ("order", "inner", "combine", "refine", "share")  # options of an attention that have columns
SEPARATOR = "; "
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")
_HASH = re.compile(r'"?([0-9a-f]{16})[0-9a-f]{48}"?')  # SHA-256, of which 16 digits are enough to read
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def value_text(value: Any) -> str:
    """A value as JSON, compact and with sorted keys; a plain word without quotes."""
    if isinstance(value, str) and _WORD.fullmatch(value) and value not in ("null", "true", "false"):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def options_text(options: Mapping[str, Any]) -> str | None:
    """Options as text; those that are null are left out.

    Returns:
        The text; None if there is no option.
    """
    given = {key: value for key, value in options.items() if value is not None}
    return SEPARATOR.join(f"{key}={value_text(given[key])}" for key in sorted(given)) or None


def parse_options(text: object) -> dict[str, str]:
    """The options of a text: key -> value, still as text; none of a missing text."""
    if not isinstance(text, str):
        return {}
    covered = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), text)  # a separator in a string does not count
    ends = [found.start() for found in re.finditer(SEPARATOR, covered)]
    starts = [0, *(end + len(SEPARATOR) for end in ends)]
    parts = [text[start:end] for start, end in zip(starts, [*ends, len(text)], strict=True)]
    return {key: value for key, _, value in (part.partition("=") for part in parts)}


def option_values(text: object) -> dict[str, Any]:
    """The options of a text: key -> value."""
    values: dict[str, Any] = {}
    for key, value in parse_options(text).items():
        try:
            values[key] = json.loads(value)
        except ValueError:  # a word
            values[key] = value
    return values


def without(text: object, keys: Iterable[str]) -> str | None:
    """The text without some options."""
    dropped = set(keys)
    kept = [f"{key}={value}" for key, value in parse_options(text).items() if key not in dropped]
    return SEPARATOR.join(kept) or None


def varying(texts: Iterable[object]) -> list[str]:
    """The keys that do not have the same value in all of these texts, sorted; a missing one is a value of its own."""
    parsed = [parse_options(text) for text in dict.fromkeys(texts)]
    keys = sorted(set().union(*parsed))
    return [key for key in keys if len({options.get(key) for options in parsed}) > 1]


def only(text: object, keys: Iterable[str]) -> str:
    """These options of a text, as `key=value, key=value`; one that it lacks is `null`."""
    options = parse_options(text)
    return ", ".join(f"{key}={_HASH.sub(_shortened, options.get(key, 'null'))}" for key in keys)


def _shortened(found: re.Match[str]) -> str:
    return f"{found[1]}..."
