"""Dispatch: a function is called with the entries for a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import trio
from trio.lowlevel import checkpoint

from .._runtime import refuse_foreign_cancelled, require_hashable, require_sync, sync_result
from .core import RegistryCore
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Dispatch(RegistryCore[K, V]):
    """The methods that call a function with the entries for a key."""

    def dispatch(self, key: K, fn: Callable[[list[Entry[V]]], object]) -> int:
        """Call ``fn`` with the entries for ``key``, one partition at a time: a dispatcher, a local PubSub.

        ::

            def tell(entries: list[Entry[V]]) -> None:
                for owner, _ in entries:
                    owner.send_nowait("hello")

            registry.dispatch("topic", tell)

        ``fn`` is never called with an empty list. If it raises, the error goes to you, and the remaining partitions
        are skipped. Not a checkpoint; safe from any thread, if ``fn`` is. The cost grows with the entries for the key.

        Returns:
            The number of entries that ``fn`` was called with.

        Raises:
            TypeError: ``key`` is not hashable, or ``fn`` is not callable, is async or returns a coroutine.
        """
        require_sync("fn", fn)
        require_hashable("key", key)
        total = 0
        for entries in self._names.groups(key):
            total += len(entries)
            sync_result("fn", fn, fn(entries))
        return total

    async def dispatch_parallel(self, key: K, async_fn: Callable[[list[Entry[V]]], Awaitable[object]]) -> int:
        """`dispatch` with an async function: one task for each partition that has entries, side by side in a nursery.

        A checkpoint; returns when all tasks are done; safe from any thread that has a Trio run, if ``async_fn`` is. The
        cost grows with the entries for the key.

        Returns:
            The number of entries that ``async_fn`` was called with.

        Raises:
            TypeError: ``key`` is not hashable, or ``async_fn`` is not callable.
            ExceptionGroup: Errors of ``async_fn``, as with any nursery; with a `TypeError` in it if it is not async.
        """
        if not callable(async_fn):
            raise TypeError(f"async_fn must be callable, not {async_fn!r}")
        require_hashable("key", key)
        await checkpoint()
        total = 0

        async def dispatch(partition: int) -> None:
            nonlocal total
            # Looked up in the task's own first step, so that owners that ended before are not among the entries.
            entries = self._names.group(key, partition)
            if entries:
                total += len(entries)
                awaitable: object = async_fn(entries)
                if not isinstance(awaitable, Awaitable):
                    raise TypeError(f"async_fn must be an async function, and {async_fn!r} returned {awaitable!r}")
                try:
                    await awaitable
                except (trio.Cancelled, BaseExceptionGroup) as error:
                    refuse_foreign_cancelled(error, async_fn)
                    raise

        async with trio.open_nursery() as nursery:
            for partition in self._names.partitions_with(key):
                nursery.start_soon(dispatch, partition)
        return total
