"""The items of a large dict, a part at a time, while the dict changes in between.

A dict of a million items takes 14 ms to copy, and 10 ms to throw the copy away. So nothing is copied as a whole here: a
part is taken at a time. As long as nothing changes, one part follows the other. After a change, the next one is looked
for from the nearer end, which takes up to 5 ms.

What goes in, goes in at the end of a dict; what goes out makes those behind it move to the front. So an item that is
there all the time is given once, unless more than `CHUNK` items go out between two parts.
"""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from .._registry import Removals, Selection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from .._registry import Names
    from .pace import Pace

K = TypeVar("K")
V = TypeVar("V")

CHUNK = 10_000
"""How many items are taken in one step."""


def take(table: dict[K, V], begin: int, end: int) -> tuple[list[K], list[V]]:
    """The keys and the values from one place to another, in one step. No code of the user's runs.

    It makes no tuple for each item: these would have the garbage collector run.
    """
    while True:
        try:
            size = len(table)
            begin, end = min(begin, size), min(end, size)
            if begin <= size - end:
                return list(islice(table, begin, end)), list(islice(table.values(), begin, end))
            keys = list(islice(reversed(table), size - end, size - begin))
            values = list(islice(reversed(table.values()), size - end, size - begin))
            keys.reverse()
            values.reverse()
            return keys, values
        except RecursionError:
            raise
        except RuntimeError:
            continue  # the garbage collector ran, and a finalizer changed the dict


async def chunks(
    table: dict[K, V], pace: Pace, changes: Callable[[], int] | None = None
) -> AsyncGenerator[tuple[list[K], list[V]], None]:
    """All items, a part at a time: keys and values. A checkpoint between two parts, if it is time for one.

    Items that come meanwhile are given or not. Close it if you do not go through all of them: ``async with
    aclosing(chunks(...))``.

    Args:
        table: The dict.
        pace: The pace of the look.
        changes: Gives another number after each removal. As long as it gives the same, and nothing comes, no part has
            to be looked for.
    """
    place, size = 0, len(table)
    last: list[K] = []
    keys_to_come, values_to_come = iter(table), iter(table.values())
    known = None if changes is None else changes()
    while place < size:
        if pace.is_late():
            await pace.rest()
        keys: list[K] = []
        values: list[V] = []
        if changes is not None and changes() == known:
            try:
                keys, values = list(islice(keys_to_come, CHUNK)), list(islice(values_to_come, CHUNK))
            except RecursionError:
                raise
            except RuntimeError:
                known = None  # it has another size
        else:
            known = None
        if known is None:
            keys, values = _next(table, place, last)
        if not keys:
            return
        place = min(place + CHUNK, len(table))
        last = keys
        yield keys, values


@asynccontextmanager
async def entries_of(
    names: Names[Any, Any], number: int, pace: Pace
) -> AsyncGenerator[AsyncGenerator[tuple[list[Any], list[Any]], None], None]:
    """All items of a table of keys, by `chunks`: the keys, each with its entry, or with all its entries by number.

    ::

        async with entries_of(names, 0, pace) as parts:
            async for keys, entries in parts: ...
    """
    if names.unique:
        removals: Removals[Any, Any] = Removals()
        with Selection(names.selections, removals):
            async with aclosing(chunks(names.unique[number].table, pace, lambda: removals.count)) as parts:
                yield parts
    else:
        many = names.duplicate[number]
        async with aclosing(chunks(many.table, pace, lambda: many.changes)) as parts:
            yield parts


def _next(table: dict[K, V], place: int, last: list[K]) -> tuple[list[K], list[V]]:
    """The next part: what is behind that place, where ``last`` has ended."""
    if not last:
        return take(table, place, place + CHUNK)
    keys, values = take(table, place - 1, place + CHUNK)
    if keys and keys[0] is last[-1]:
        return keys[1:], values[1:]
    # Something in front of that place is gone, so what is behind it has moved to the front.
    known = set(map(id, last))
    keys, values = take(table, place - min(len(last), CHUNK), place + CHUNK)
    new = [number for number, key in enumerate(keys) if id(key) not in known]
    return [keys[number] for number in new], [values[number] for number in new]
