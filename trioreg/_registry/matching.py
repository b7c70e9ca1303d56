"""Entries found by patterns: `Registry.match` (one key) and `Registry.select` (the whole registry)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, overload

from .._runtime import Owner
from .entry import Entry
from .lookup import Lookup
from .pattern import ANY, Is, Var
from .query import Query, value_query

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
Shape = TypeVar("Shape", tuple[Any, ...], list[Any], dict[Any, Any])
"""The types of ``into=`` that may have variables in them. Each result is of the same type."""


class Matching(Lookup[K, V]):
    """The methods that find entries by patterns."""

    def match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> list[Entry[V]]:
        """The entries for ``key`` whose values match a pattern.

        ::

            registry.match("topic", (ANY, int))
            low_to_high = (Var("low"), Var("high"))
            registry.match("topic", low_to_high, where=lambda low, high: low < high)

        Not a checkpoint; safe from any thread. The cost grows with the entries for the key.

        Args:
            key: The key itself, not a pattern.
            pattern: An example of the value, in which `ANY`, `Var` and classes stand for other values: see `Var`.
            where: A condition: a function that takes the pattern's variables as keyword arguments or, if there are
                none, the value.

        Raises:
            TypeError: ``key`` is not hashable, or ``where`` does not take these arguments or is async.
            TypeError, ValueError: ``pattern`` is not a pattern.
        """
        fits = value_query(pattern, where)
        return [entry for entry in self.lookup(key) if fits(entry)]

    def count_match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> int:
        """The number of entries that `match` would return.

        Same arguments, errors and cost; not a checkpoint; safe from any thread.
        """
        return len(self.match(key, pattern, where=where))

    # To pyright a `Var` is Any, so it fits each overload. The result of the first fits all others, so that one counts.
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Var | Is,
    ) -> list[Any]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: None = ...,
    ) -> list[tuple[K, Owner, V]]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Callable[..., T],
    ) -> list[T]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Shape,
    ) -> list[Shape]: ...
    @overload
    async def select(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: object,
    ) -> list[object]: ...
    async def select(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
        into: object = None,
    ) -> object:
        """All entries whose key, owner and value match three patterns.

        ::

            await registry.select(value=int)
            name, rank = Var("name"), Var("rank")
            await registry.select(
                name, value=rank, where=lambda name, rank: rank > 7, into=name
            )

        A checkpoint; it lets other tasks run on the way; safe from any thread that has a Trio run. An entry that is
        there all the time is among the results, with its present value. An entry that has gone by the time this returns
        is not.

        The cost grows with the entries in the registry; if ``key`` or ``owner`` is a plain value, only with the entries
        of that key or owner. The longest steps that hold the loop are the copy of a partition's table and the list of
        results: some milliseconds for 100,000 entries.

        Args:
            key, owner, value: Patterns, as for `match`. The same variable may stand in several of them.
            where: A condition: a function that takes the variables as keyword arguments or, if there are none, the
                (key, owner, value) tuple.
            into: The shape of a result: a callable that takes the variables as keyword arguments or, if there are
                none, the (key, owner, value) tuple. Or a tuple, list or dict with variables in it, or one variable. By
                default a (key, owner, value) tuple.

        Raises:
            TypeError, ValueError: A pattern, ``where`` or ``into`` is not as described here.
        """
        return await Query(self._names, key, owner, value, where, into).run()

    @overload
    def select_nowait(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Var | Is,
    ) -> list[Any]: ...
    @overload
    def select_nowait(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: None = ...,
    ) -> list[tuple[K, Owner, V]]: ...
    @overload
    def select_nowait(  # pyright: ignore[reportOverlappingOverload]  # a callable is an object as well
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Callable[..., T],
    ) -> list[T]: ...
    @overload
    def select_nowait(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: Shape,
    ) -> list[Shape]: ...
    @overload
    def select_nowait(
        self,
        key: object = ...,
        owner: object = ...,
        value: object = ...,
        *,
        where: Callable[..., object] | None = ...,
        into: object,
    ) -> list[object]: ...
    def select_nowait(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
        into: object = None,
    ) -> object:
        """`select` without a checkpoint, and safe from any thread. In a large registry it holds the loop for long.

        Arguments, errors and cost are as for `select`.
        """
        return Query(self._names, key, owner, value, where, into).run_nowait()

    async def count_select(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
    ) -> int:
        """The number of results that `select` would return.

        Same arguments, errors and cost; a checkpoint; safe from any thread that has a Trio run.
        """
        return await Query(self._names, key, owner, value, where, None).count()
