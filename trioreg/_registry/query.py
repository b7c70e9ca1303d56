"""Queries: the work behind `Registry.match` and `Registry.select`.

A `Query` is compiled once. If the key is given, it looks only at the entries of that key. If the owner is given, it
looks only at the entries of that owner. Otherwise it looks at all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from types import CoroutineType
from typing import Any, Generic, TypeVar, cast

from trio.lowlevel import checkpoint

from .._runtime import Owner, sync_result
from .arguments import as_owner
from .changes import Changes, Selection
from .compiled_pattern import compile_pattern
from .entry import Entry
from .names import Names
from .where_and_into import compile_into, compile_where

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ROWS_PER_TURN = 500
"""The number of rows that a selection looks at before it lets other tasks run."""

_RESULTS_TOGETHER = 4_000
"""The least number of results of a selection that one dict holds."""

_NOTHING = object()
"""No result: `None` may be one."""


class Query(Generic[K, V]):
    """A pattern for keys, owners and values, a condition, and the shape of the results."""

    __slots__ = ("_has_key", "_has_variables", "_into", "_key", "_match", "_names", "_owner", "_shape", "_where")

    def __init__(
        self,
        names: Names[K, V],
        key: object,
        owner: object,
        value: object,
        where: Callable[..., object] | None,
        into: object,
    ) -> None:
        self._names = names
        pattern = compile_pattern((key, owner, value))
        self._where = compile_where(where, pattern.names)
        self._shape = into
        self._into = None if into is None else compile_into(into, pattern.names)
        self._match = pattern.match
        self._has_variables = bool(pattern.names)
        key_pattern = compile_pattern(key)
        self._key = key_pattern.literal
        self._has_key = key_pattern.is_literal
        self._owner = as_owner("owner", owner) if isinstance(owner, Owner) else None

    def _rows(self) -> Iterator[tuple[K, Entry[V]]]:
        names = self._names
        if self._has_key:
            key = cast("K", self._key)
            for group in names.groups(key):
                for entry in group:
                    yield key, entry
        elif self._owner is not None:
            for key, _ in self._owner._keys(names):
                for _, entry in names.entries_of(self._owner, key):
                    yield key, entry
        else:
            for partition in names.partitions:
                yield from partition.rows()

    def _result(self, key: K, entry: Entry[V]) -> object:
        """The result for an entry, or `_NOTHING`."""
        row = (key, entry[0], entry[1])
        found = self._match(row)
        if found is None or (self._where is not None and not self._where(row, found)):
            return _NOTHING
        if self._into is None:
            return row
        result = self._into(found if self._has_variables else row)
        if type(result) is CoroutineType:
            return sync_result("into", self._shape, cast("object", result))
        return result

    def run_nowait(self) -> list[object]:
        """All results, without a checkpoint."""
        results = (self._result(key, entry) for key, entry in self._rows())
        return [result for result in results if result is not _NOTHING]

    async def run(self) -> list[object]:
        """All results. Lets other tasks run on the way.

        The results show the registry as it is when this returns: an entry that has gone is not among them, and an entry
        that has changed is matched again. In another run than the registry's, the results are from the moment in
        which the last row was looked at.
        """
        results = _Results()
        changed = results.changed
        number = 0
        await checkpoint()
        with Selection(self._names.selections) as changes:
            for number, (key, row) in enumerate(self._rows(), 1):
                entry = changes.current(row) if changes.replaced else row
                if entry is not None and id(entry) not in changed:
                    result = self._result(key, entry)
                    if result is not _NOTHING:
                        results.found[-1][id(entry)] = result
                if number % ROWS_PER_TURN == 0:
                    if len(results.found[-1]) >= _RESULTS_TOGETHER:
                        results.found.append({})
                    await checkpoint()
                    self._apply(changes, results)
            if number >= ROWS_PER_TURN:
                await checkpoint()  # to throw the copy of the table away took time
            left = len(changes.unapplied)
            while left > ROWS_PER_TURN and not self._names.is_written_here():
                self._apply(changes, results)
                left -= ROWS_PER_TURN
                await checkpoint()
            self._apply(changes, results)  # `where` and `into` may have changed the registry, too
        return [result for some in results.all() for result in some.values()]

    async def count(self) -> int:
        """The number of results, without making them."""
        self._into = _nothing_at_all
        return len(await self.run())

    def _apply(self, changes: Changes[K, Any], results: _Results) -> None:
        """Bring the results up to date with what other tasks have done, and the user's own functions.

        In another run than the registry's it takes in at most `ROWS_PER_TURN` of the changes that are there. The
        registry's run writes in another thread then, and may be faster: to take in all of them would never end, or take
        longer each time. The rest waits for the next call.
        """
        asked = len(changes.unapplied)
        if not self._names.is_written_here():
            asked = min(asked, ROWS_PER_TURN)
        while changes.unapplied and (asked > 0 or self._names.is_written_here()):
            key, old, new = changes.unapplied.popleft()
            result = results.pop(old)
            # Each change is asked about once. If the question itself changes something, the answer before it stands:
            # this would never end otherwise.
            if new is not None and not results.has(new):
                if asked > 0:
                    result = self._result(key, new)
                if result is not _NOTHING:
                    results.changed[id(new)] = result
            asked -= 1


class _Results:
    """The results of a selection so far, each by the id of its entry.

    An id is not used again meanwhile: the entry is in the registry, or among the changes.

    Attributes:
        found: Results for the rows on the way. Many dicts: one large dict stops all tasks each time it has to grow.
        changed: Results for entries that have taken the place of others. The selection may still get to them.
    """

    __slots__ = ("changed", "found")

    def __init__(self) -> None:
        self.found: list[dict[int, object]] = [{}]
        self.changed: dict[int, object] = {}

    def all(self) -> Iterator[dict[int, object]]:
        yield from self.found
        yield self.changed

    def has(self, entry: Entry[Any]) -> bool:
        return any(id(entry) in some for some in self.all())

    def pop(self, entry: Entry[Any]) -> object:
        """Take out the result of an entry; `_NOTHING` if there is none."""
        for some in self.all():
            result = some.pop(id(entry), _NOTHING)
            if result is not _NOTHING:
                return result
        return _NOTHING


def _nothing_at_all(bound: object) -> None:
    """The shape of results that are only counted."""


def value_query(pattern: object, where: Callable[..., object] | None) -> Callable[[Entry[Any]], bool]:
    """A test for the values of entries, for `Registry.match` and `Registry.unregister_match`."""
    compiled = compile_pattern(pattern)
    condition = compile_where(where, compiled.names)
    match = compiled.match

    def fits(entry: Entry[Any]) -> bool:
        found = match(entry.value)
        return found is not None and (condition is None or condition(entry.value, found))

    return fits
