"""A column of a table."""

from typing import NamedTuple


class Column(NamedTuple):
    """A column of a table; columns are only ever added, at the end.

    Attributes:
        name: The same name means the same thing in all tables.
        dtype: Type in pandas: `string`, `Int64` or `Float64`, which all can mark a missing value.
        meaning: What it holds.
        is_later: Older files lack it; they are read as if it were empty.
    """

    name: str
    dtype: str
    meaning: str
    is_later: bool = False
