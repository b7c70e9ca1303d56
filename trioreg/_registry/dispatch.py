"""Passing the entries of a key to a function: a dispatcher, a local PubSub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import trio
from trio.lowlevel import checkpoint

from .._runtime import require_sync, sync_result
from .arguments import require_hashable
from .core import RegistryCore
from .entry import Entry

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Dispatch(RegistryCore[K, V]):
    """Methods that pass the entries of a key to a function."""

    def dispatch(self, key: K, fn: Callable[[list[Entry[V]]], object]) -> int:
        """Call ``fn`` with the entries for ``key``, those of one partition at a time: a dispatcher, a local PubSub.

        ::

            registry.dispatch("topic", lambda entries: [owner.send_nowait("hello") for owner, _ in entries])

        It is never called with none. Not a checkpoint. Costs as much as there are entries for the key. What ``fn``
        raises leaves, and the partitions after it are not dispatched to.

        Returns:
            How many entries were dispatched to.

        Raises:
            TypeError: ``key`` is not hashable, ``fn`` is not callable, or it is async (or returns a coroutine, which
                nobody would await).
        """
        require_sync("fn", fn)
        require_hashable("key", key)
        total = 0
        for entries in self._names.groups(key):
            total += len(entries)
            sync_result("fn", fn, fn(entries))
        return total

    async def dispatch_parallel(self, key: K, async_fn: Callable[[list[Entry[V]]], Awaitable[object]]) -> int:
        """`dispatch` with one task for each partition that has entries, side by side in a nursery.

        A checkpoint; it returns when all of them are done. Costs as much as there are entries for the key.

        Returns:
            How many entries were dispatched to.

        Raises:
            TypeError: ``key`` is not hashable, or ``async_fn`` is not callable.
            ExceptionGroup: What ``async_fn`` raised, as with any nursery; a `TypeError` if it is not async.
        """
        if not callable(async_fn):
            raise TypeError(f"async_fn must be callable, not {async_fn!r}")
        require_hashable("key", key)
        await checkpoint()
        total = 0

        async def dispatch(partition: int) -> None:
            nonlocal total
            # Asked in the task's own first step: who has ended before it is not among them.
            entries = self._names.group(key, partition)
            if entries:
                total += len(entries)
                awaitable: object = async_fn(entries)
                if not isinstance(awaitable, Awaitable):
                    raise TypeError(f"async_fn must be an async function, and {async_fn!r} returned {awaitable!r}")
                await awaitable

        async with trio.open_nursery() as nursery:
            for partition in self._names.partitions_with(key):
                nursery.start_soon(dispatch, partition)
        return total
