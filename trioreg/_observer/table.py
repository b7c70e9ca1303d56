"""The page of one table of a registry: its rows, filtered on the server, and one page of them at a time."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypedDict

import trio

from .._actors import Reference
from .._runtime import shown_safely, text_of
from .chunks import CHUNK, chunks, entries_of, take
from .owner_tables import owner_rows
from .pace import Pace
from .page import NotThere, Page, cut
from .registries import row_of
from .registry_numbers import TableId, table_name
from .texts import Texts
from .window import Window
from .words import matches, words_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from .._registry import Entry, Names
    from .._runtime import Owner
    from .observation import Observation
    from .params import Params

Row = tuple[Any, ...]
"""A row as objects: (key, owner, value), or (owner, key, number of the key table, entries). Only the rows of the page
are kept, and only during the look."""

FEW = 100
"""Up to how many entries of one key are taken in one step, together with entries of other keys."""

KEY_COLUMNS = ["key", "owner", "value"]
OWNER_COLUMNS = ["owner", "key", "table", "entries"]


class Cell(TypedDict):
    """One cell of a row.

    Attributes:
        text: What is in it.
        actor: The number of an actor that it leads to, or None.
        table: The table that it leads to, for its address, or None.
    """

    text: str
    actor: int | None
    table: str | None


class TablePage(TypedDict):
    """The data of the page.

    Attributes:
        registry: The name of the registry.
        table: The name of the table, as in ``"KeyPartition0"``.
        columns: The names of the columns.
        objects: How many rows the table has.
        size: The bytes that it takes, without the keys and the values; about.
        rows: The rows on this page.
        total: How many rows the table has.
        matched: How many of them the filter lets through.
        q: The filter.
        page: Which page this is, from 1.
        pages: How many pages there are.
    """

    registry: str
    table: str
    columns: list[str]
    objects: int
    size: int
    rows: list[list[Cell]]
    total: int
    matched: int
    q: str
    page: int
    pages: int


async def view(observation: Observation, params: Params) -> TablePage:
    """The rows of one table. A checkpoint. With a filter, the cost grows with the rows, in slices.

    Params:
        id: What the table is called in an address, as `TableRow` has it.
        q: Words: each must be in the key, the owner or the value of a row.
        page: Which page, from 1.

    Raises:
        NotThere: The run has no such table.
    """
    pace, texts, id, q = Pace(), Texts(), params.text("id"), params.text("q")
    asked = params.whole("page", 1, least=1)
    table = await observation.registries.find(observation.run, id, pace)
    if table is None:
        raise NotThere(f"There is no table {shown_safely(id)}. A registry has tables from its first name on.")
    about = await row_of(observation, table.names, table.kind, table.number, pace)
    total = about["objects"]
    words = words_of(q)
    if words:
        found, matched, page, pages = await _filtered(table, words, asked, texts, pace)
    else:
        matched, part = total, cut(total, asked)
        page, pages = part.page, part.pages
        found = await _part_of(table, part.begin, part.end, pace)
    rows: list[list[Cell]] = []
    for row in found:
        rows.append(_cells(observation, table, row, texts))
        if pace.is_late():
            await pace.rest()
    await trio.lowlevel.checkpoint()
    return TablePage(
        registry=about["registry"],
        table=about["table"],
        columns=list(KEY_COLUMNS if table.kind == "k" else OWNER_COLUMNS),
        objects=total,
        size=about["size"],
        rows=rows,
        total=total,
        matched=matched,
        q=q,
        page=page,
        pages=pages,
    )


async def _part_of(table: TableId, begin: int, end: int, pace: Pace) -> list[Row]:
    """The rows from one place to another. In a table of unique keys, the place is found at once."""
    names = table.names
    if table.kind == "k" and names.unique:
        keys, entries = take(names.unique[table.number].table, begin, end)
        return [(key, *entry) for key, entry in zip(keys, entries, strict=True)]
    found: list[Row] = []
    place = 0
    async with aclosing(_rows_of(table, pace)) as parts:
        async for rows in parts:
            found += rows.between(begin - place, end - place)
            place += len(rows)
            if place >= end:
                break
    return found


async def _filtered(
    table: TableId, words: list[str], asked: int, texts: Texts, pace: Pace
) -> tuple[list[Row], int, int, int]:
    window: Window[Row] = Window(asked)
    async with aclosing(_rows_of(table, pace)) as parts:
        async for rows in parts:
            for number in range(len(rows)):
                if rows.matches(number, words, texts):
                    window.add(rows.row(number))
                if pace.is_over() or (texts.has_waited and pace.is_late()):
                    texts.has_waited = False
                    await pace.rest()
    part = window.cut
    return window.items, window.matched, part.page, part.pages


class _Rows:
    """Some rows, as columns: no object is made for a row that is not shown."""

    __slots__ = ("_columns", "_is_of_keys")

    def __init__(self, columns: tuple[list[Any], ...], *, is_of_keys: bool) -> None:
        self._columns = columns
        self._is_of_keys = is_of_keys

    def __len__(self) -> int:
        return len(self._columns[0])

    def row(self, number: int) -> Row:
        return tuple(column[number] for column in self._columns)

    def between(self, begin: int, end: int) -> list[Row]:
        return [self.row(number) for number in range(max(0, begin), min(len(self), end))]

    def matches(self, number: int, words: list[str], texts: Texts) -> bool:
        row = self.row(number)
        if self._is_of_keys:
            key, owner, value = row
            return matches(words, texts.shown(key), _owner_text(owner), "" if value is None else texts.shown(value))
        owner, key, partition, _ = row
        return matches(words, _owner_text(owner), texts.shown(key), table_name("k", partition))


async def _rows_of(table: TableId, pace: Pace) -> AsyncGenerator[_Rows, None]:
    """All rows of a table, some at a time."""
    names = table.names
    if table.kind == "p":
        async with aclosing(owner_rows(names, table.number, pace)) as parts:
            async for some in parts:
                yield _Rows((some.owners, some.keys, some.partitions, some.entries), is_of_keys=False)
    elif names.unique:
        async with entries_of(names, table.number, pace) as pairs:
            async for keys, entries in pairs:
                yield _of_entries(keys, entries)
    else:
        async with aclosing(_of_groups(names, table.number, pace)) as groups:
            async for rows in groups:
                yield rows


async def _of_groups(names: Names[Any, Any], number: int, pace: Pace) -> AsyncGenerator[_Rows, None]:
    """The rows of a table of duplicate keys."""
    async with entries_of(names, number, pace) as parts:
        async for keys, groups in parts:
            several: list[Any] = []
            their_entries: list[Entry[Any]] = []
            for key, group in zip(keys, groups, strict=True):
                if pace.is_over():
                    await pace.rest()
                if len(several) >= CHUNK:
                    yield _of_entries(several, their_entries)
                    several, their_entries = [], []
                if len(group) <= FEW:
                    entries = list(group.values())
                    several += [key] * len(entries)
                    their_entries += entries
                    continue
                yield _of_entries(several, their_entries)
                several, their_entries = [], []
                async with aclosing(chunks(group, pace)) as pairs:
                    async for _, entries in pairs:
                        yield _of_entries([key] * len(entries), entries)
            yield _of_entries(several, their_entries)


def _of_entries(keys: list[Any], entries: list[Entry[Any]]) -> _Rows:
    return _Rows((keys, [entry[0] for entry in entries], [entry[1] for entry in entries]), is_of_keys=True)


def _cells(observation: Observation, table: TableId, row: Row, texts: Texts) -> list[Cell]:
    if table.kind == "k":
        key, owner, value = row
        return [_text(texts.shown(key)), _owner(owner), _text("" if value is None else texts.shown(value))]
    owner, key, partition, entries = row
    link = observation.registries.id_of(table.names, "k", partition)
    shown = Cell(text=table_name("k", partition), actor=None, table=link)
    return [_owner(owner), _text(texts.shown(key)), shown, _text(f"{entries:,}")]


def _text(text: str) -> Cell:
    return Cell(text=text, actor=None, table=None)


def _owner(owner: Owner) -> Cell:
    is_actor = isinstance(owner, Reference)
    return Cell(text=_owner_text(owner), actor=owner._number if is_actor else None, table=None)


def _owner_text(owner: Owner) -> str:
    return text_of(owner) or ""


PAGE = Page("table", "Table", view, seconds=2.0, in_menu=False)
