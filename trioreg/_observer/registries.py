"""The page of the registries, which is the table viewer of Erlang's observer: for each partition a table of keys, and a
table of owners."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypedDict

import trio

from .._runtime import text_of
from .chunks import take
from .pace import Pace
from .page import Page
from .registry_numbers import TableKind, table_name
from .window import Window
from .words import matches, words_of

if TYPE_CHECKING:
    from .._registry import Names
    from .observation import Observation
    from .params import Params

SAMPLE = 1000
"""How many entries are measured: what all of them take is reckoned from these."""

_OWNERS = {
    "names": "the program",
    "topics": "PubSub",
    "pool": "Pool",
    "partitions": "Partitions",
    "actors on demand": "OnDemand",
}


class TableRow(TypedDict):
    """One table.

    Attributes:
        registry: The name of the registry.
        kind: ``"unique"`` or ``"duplicate"``: its keys.
        purpose: ``"names"``, ``"topics"``, ``"pool"``, ``"partitions"`` or ``"actors on demand"``.
        table: ``"KeyPartition0"``, ``"PIDPartition0"``, ...
        objects: How many rows it has.
        size: The bytes that it takes, without the keys and the values; about.
        owner: What the registry belongs to.
        id: What the table is called in an address.
    """

    registry: str
    kind: str
    purpose: str
    table: str
    objects: int
    size: int
    owner: str
    id: str


class RegistriesPage(TypedDict):
    """The data of the page.

    Attributes:
        tables: The tables on this page.
        total: How many tables there are.
        matched: How many of them the filter lets through.
        q: The filter.
        page: Which page this is, from 1.
        pages: How many pages there are.
    """

    tables: list[TableRow]
    total: int
    matched: int
    q: str
    page: int
    pages: int


async def view(observation: Observation, params: Params) -> RegistriesPage:
    """The tables. A checkpoint. The cost grows with the registries, and now and then with their entries, in slices.

    Params:
        q: Words: each must be in the name of the registry, what it is for, or the name of the table.
        page: Which page, from 1.
    """
    pace, q = Pace(), params.text("q")
    words = words_of(q)
    window: Window[tuple[Names[Any, Any], TableKind, int]] = Window(params.whole("page", 1, least=1))
    total = 0
    kinds: tuple[TableKind, ...] = ("k", "p")
    for names in await observation.registries.all(observation.run, pace):
        owner, kind = owner_of(names), _kind_of(names)
        for table_kind in kinds:
            for number in range(names.n):
                total += 1
                if pace.is_over():
                    await pace.rest()
                if not words or matches(words, names.name, owner, kind, names.purpose, table_name(table_kind, number)):
                    window.add((names, table_kind, number))
    tables = [await row_of(observation, names, kind, number, pace) for names, kind, number in window.items]
    await trio.lowlevel.checkpoint()
    part = window.cut
    return RegistriesPage(tables=tables, total=total, matched=window.matched, q=q, page=part.page, pages=part.pages)


async def row_of(
    observation: Observation, names: Names[Any, Any], kind: TableKind, number: int, pace: Pace
) -> TableRow:
    """The row of one table. The cost grows with the entries, now and then, in slices."""
    if kind == "k":
        objects, size = len(names.partitions[number]), _size_of(names, number)
    else:
        counts = await observation.owner_tables.counts(names, pace)
        objects, size = counts.objects[number], counts.sizes[number]
    return TableRow(
        registry=text_of(names.name) or "",
        kind=_kind_of(names),
        purpose=names.purpose,
        table=table_name(kind, number),
        objects=objects,
        size=size,
        owner=owner_of(names),
        id=observation.registries.id_of(names, kind, number),
    )


def owner_of(names: Names[Any, Any]) -> str:
    """What a registry belongs to, as in ``"PubSub ticks"``."""
    owner = _OWNERS[names.purpose]
    return owner if names.purpose == "names" else f"{owner} {text_of(names.name)}"


def _kind_of(names: Names[Any, Any]) -> str:
    return "unique" if names.unique else "duplicate"


def _size_of(names: Names[Any, Any], number: int) -> int:
    """The bytes of a table of keys: its dicts and its entries."""
    if names.unique:
        table = names.unique[number].table
        entry = next(iter(table.values()), ())
        return sys.getsizeof(table) + len(table) * sys.getsizeof(entry)
    many = names.duplicate[number]
    _, groups = take(many.table, 0, SAMPLE)
    sizes = sum(map(sys.getsizeof, groups))
    entry = next(iter(groups[0].values()), ()) if groups else ()
    return sys.getsizeof(many.table) + sizes * len(many.table) // (len(groups) or 1) + len(many) * sys.getsizeof(entry)


PAGE = Page("registries", "Registries", view, seconds=2.0)
