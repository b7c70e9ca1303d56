"""What the table viewer shows: a registry's tables as facts (`Table`) and as text for people."""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar
from unicodedata import combining, east_asian_width

import attrs

from .._runtime import Owner, counted, require_count, shown_safely
from .core import RegistryCore
from .holders import holders_of
from .names import Names
from .partition import DuplicatePartition, UniquePartition

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@attrs.frozen
class Table:
    """One table of a registry, as it was when `Registry.tables` was called.

    Attributes:
        name: ``KeyPartition0``, ``PIDPartition0``, ... : a key table and an owner table for each partition.
        columns: The names of the columns.
        rows: One tuple for each object. A key table has (key, owner, value), an owner table
            (owner, key, key table, number of entries).
        size: The bytes that the table itself takes: its dicts and entries, not the keys and values in them.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    size: int

    @property
    def objects(self) -> int:
        """The number of rows."""
        return len(self.rows)

    def __str__(self) -> str:
        return self.format()

    def format(self, *, limit: float = math.inf) -> str:
        """The table as text. ``str(table)`` is all of it. Not a checkpoint; the cost grows with the rows shown.

        Args:
            limit: How many rows are shown.

        Raises:
            TypeError, ValueError: ``limit`` is not a whole number, at least 0, or ``math.inf``.
        """
        require_count("limit", limit, 0, infinite=True)
        lines = [f"{self.name}: {counted(self.objects, 'object')}, {self.size:,} bytes"]
        shown = self.rows if limit == math.inf else self.rows[: int(limit)]
        if shown:
            lines.append(format_rows(self.columns, shown, indent="  "))
        if len(shown) < self.objects:
            lines.append(f"  ... {self.objects - len(shown):,} more")
        return "\n".join(lines)


class TableViewer(RegistryCore[K, V]):
    """The methods that show the tables."""

    def tables(self) -> list[Table]:
        """The tables of this registry, as in Elixir's table viewer: a key table and an owner table for each partition.

        They are for people, not for programs: the cost grows with the entries in the registry. Not a checkpoint; safe
        from any thread.
        """
        return tables_of(self._names)

    def dump(self, *, limit: float = math.inf) -> str:
        """`tables` as text. Not a checkpoint; safe from any thread; it costs as much as `tables`.

        Args:
            limit: How many rows of each table are shown. With one, the owners that hold the most names come first: look
                there for a leak of names.

        Raises:
            TypeError, ValueError: ``limit`` is not a whole number, at least 0, or ``math.inf``.
        """
        require_count("limit", limit, 0, infinite=True)
        return dump_of(self._names, limit)


def dump_of(names: Names[K, V], limit: float) -> str:
    """The tables of a registry as text."""
    lines = [f"registry {names.name!r}, {names.kind} keys"]
    holders = holders_of(names) if limit < math.inf else []
    if holders:
        some = [f"{_cell(owner)} {count:,}" for owner, count in holders[: int(limit)]]
        more = [f"and {len(holders) - len(some):,} more"] if len(holders) > len(some) else []
        lines.append(f"{counted(names.count(), 'name')} of {counted(len(holders), 'owner')}, the most names first:")
        lines.append("  " + ", ".join(some + more))
    return "\n".join([*lines, *(table.format(limit=limit) for table in tables_of(names))])


def tables_of(names: Names[K, V]) -> list[Table]:
    """A table of keys and a table of owners for each partition."""
    partitions: Sequence[UniquePartition[K, V] | DuplicatePartition[K, V]] = names.partitions
    keys: list[Table] = []
    # By the id of the key: the table keeps it alive, and its own `__hash__` and `__eq__` are not asked.
    counts: list[dict[tuple[Owner, int, str], list[K]]] = [{} for _ in partitions]
    for index, partition in enumerate(partitions):
        name = f"KeyPartition{index}"
        rows = [(key, entry.owner, entry.value) for key, entry in partition.rows()]
        keys.append(Table(name, ("key", "owner", "value"), tuple(rows), _size_of(partition)))
        for key, owner, _ in rows:
            count = counts[owner._number % len(partitions)]
            count.setdefault((owner, id(key), name), []).append(key)
    owners: list[Table] = []
    for index, count in enumerate(counts):
        held = {id(owner): sys.getsizeof(owner._held) for owner, _, _ in count}
        rows_ = tuple((owner, same[0], TableName(name), len(same)) for (owner, _, name), same in count.items())
        columns = ("owner", "key", "table", "entries")
        owners.append(Table(f"PIDPartition{index}", columns, rows_, sum(held.values())))
    return keys + owners


def _size_of(partition: UniquePartition[K, V] | DuplicatePartition[K, V]) -> int:
    if isinstance(partition, UniquePartition):
        return sys.getsizeof(partition.table) + sum(map(sys.getsizeof, list(partition.table.values())))
    size = sys.getsizeof(partition.table)
    for group in list(partition.table.values()):
        size += sys.getsizeof(group) + sum(map(sys.getsizeof, list(group.values())))
    return size


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
    """The columns that a text takes on a screen: Chinese characters and most pictures take two."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _cell(value: object) -> str:
    # A row is one line, even if a value's repr has several.
    try:
        text = value if isinstance(value, TableName) else repr(value)
    except Exception:
        text = shown_safely(value)
    return text if len(text) <= 60 else text[:57] + "..."


class TableName(str):
    """A cell that names a table: shown without quotes."""

    __slots__ = ()
