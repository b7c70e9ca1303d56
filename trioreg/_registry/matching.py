"""Asking a registry for the entries that fit a pattern: `Registry.match` and `Registry.select`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, overload

from .._runtime import Owner
from .entry import Entry
from .lookup import Lookup
from .pattern import ANY
from .query import Query, value_query

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class Matching(Lookup[K, V]):
    """Methods that find entries by patterns."""

    def match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> list[Entry[V]]:
        """The entries for ``key`` whose value fits a pattern.

        ::

            registry.match("topic", (ANY, int))
            registry.match("topic", (Var("low"), Var("high")), where=lambda low, high: low < high)

        Not a checkpoint; safe from any thread. Costs as much as there are entries for the key.

        Args:
            key: The key; never a pattern.
            pattern: A value, in which `ANY`, `Var`, and classes stand for others: see `Var`.
            where: A condition: gets the pattern's variables as keyword arguments or, if it has none, the value.

        Raises:
            TypeError, ValueError: ``key`` is not hashable, or ``pattern`` or ``where`` is not what is said above.
        """
        fits = value_query(pattern, where)
        return [entry for entry in self.lookup(key) if fits(entry)]

    def count_match(self, key: K, pattern: object, *, where: Callable[..., object] | None = None) -> int:
        """How many entries `match` would give. Same arguments, errors and cost."""
        return len(self.match(key, pattern, where=where))

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
        """Everything in the registry that fits a pattern for keys, one for owners and one for values.

        ::

            await registry.select(value=int)
            await registry.select(Var("name"), value=Var("rank"), where=lambda name, rank: rank > 7, into=Var("name"))

        A checkpoint; it lets other tasks run on the way. What holds the loop for longest is to copy a partition's table
        and to make one list of the results: some milliseconds for 100,000 entries. What was there all the time is among
        the results, with its value as it is now; what has gone by the time it returns is not. Costs as much as the
        registry has entries; where ``key`` or ``owner`` is given as a value, only as much as that one has.

        Args:
            key, owner, value: Patterns, as in `match`; the same variable may stand in several.
            where: A condition: gets the variables as keyword arguments or, if there are none, the (key, owner,
                value) tuple.
            into: The shape of a result: a callable that gets the variables as keyword arguments, or a tuple, list or
                dict with variables in it, or one variable. By default a (key, owner, value) tuple.

        Raises:
            TypeError, ValueError: An argument is not what is said above.
        """
        return await Query(self._names, key, owner, value, where, into).run()

    def select_nowait(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
        into: object = None,
    ) -> list[Any]:
        """`select` in one go: not a checkpoint, and safe from any thread. In a large registry it holds the loop."""
        return Query(self._names, key, owner, value, where, into).run_nowait()

    async def count_select(
        self,
        key: object = ANY,
        owner: object = ANY,
        value: object = ANY,
        *,
        where: Callable[..., object] | None = None,
    ) -> int:
        """How many results `select` would give. Same arguments, errors and cost; a checkpoint."""
        return await Query(self._names, key, owner, value, where, None).count()
