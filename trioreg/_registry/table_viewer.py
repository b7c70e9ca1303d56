"""What the table viewer shows: a registry's tables as facts (`Table`) and as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from unicodedata import combining, east_asian_width

import attrs


@attrs.frozen
class Table:
    """One table of a registry, as it was when `Registry.tables` was called.

    Attributes:
        name: ``KeyPartition0``, ``PIDPartition0``, ... : a key table and an owner table for each partition.
        columns: The names of the columns.
        rows: One tuple for each object. A key table has (key, owner, value), an owner table
            (owner, key, key table, how many entries).
        size: The bytes that the table itself takes: its dicts and entries, not the keys and values in them.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    size: int

    @property
    def objects(self) -> int:
        """How many rows the table has."""
        return len(self.rows)

    def __str__(self) -> str:
        noun = "object" if self.objects == 1 else "objects"
        head = f"{self.name}: {self.objects:,} {noun}, {self.size:,} bytes"
        if not self.rows:
            return head
        return head + "\n" + format_rows(self.columns, self.rows, indent="  ")


def format_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], *, indent: str = "") -> str:
    """Rows as text in aligned columns under a header line."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(columns, *cells, strict=True)]

    def line(parts: Sequence[str]) -> str:
        return (
            indent + "  ".join(part + " " * (width - _width(part)) for part, width in zip(parts, widths, strict=True))
        ).rstrip()

    return "\n".join([line(columns), line(["-" * width for width in widths]), *map(line, cells)])


def _width(text: str) -> int:
    """How many columns a text takes on a screen: Chinese and most pictures take two for each character."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _cell(value: object) -> str:
    # A row is one line, whatever a user's repr says.
    text = value if isinstance(value, TableName) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class TableName(str):
    """A cell that names a table: shown without quotes."""

    __slots__ = ()
