"""Following what happens in a registry: `Registry.wait_for` and `Registry.watch`."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import TypeVar

import trio
from trio.lowlevel import checkpoint

from .._runtime import Owner
from .arguments import require_hashable
from .core import RegistryCore
from .events import Event
from .names import Names
from .pattern import ANY

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Watching(RegistryCore[K, V]):
    """Methods that wait for what happens."""

    async def wait_for(self, key: K) -> Owner:
        """Wait until somebody is registered as ``key``: at once if somebody is.

        A checkpoint; constant time.

        Returns:
            The holder (where keys are duplicate, the first of `lookup`), who has not ended when this returns.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        require_hashable("key", key)
        return await wait_for_holder(self._names, key)

    def watch(self, key: K = ANY) -> AbstractContextManager[trio.MemoryReceiveChannel[Event[K, V]]]:
        """Follow what happens: ``with registry.watch("leader") as events: async for event in events: ...``.

        The channel gives each `Registered` and `Unregistered` since the block was entered, in the order in which they
        happened; an `Unregistered` by a crash has the `Exit`. Nothing is lost: what is not received is kept. Not a
        checkpoint. Each change costs as much as there are those who watch its key.

        Args:
            key: The key to watch, or `ANY` (the default) for all.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        everything = key is ANY
        if not everything:
            require_hashable("key", key)
        return self._names.open_notifier().watch(key, everything)


async def wait_for_holder(names: Names[K, V], key: K) -> Owner:
    """Wait until a key has a holder. A checkpoint."""
    await checkpoint()
    while True:
        entry = names.first(key)
        if entry is not None:
            return entry.owner
        await names.open_notifier().wait_registered(key)
