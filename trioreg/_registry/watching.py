"""Waiting for a name, and watching what happens: `Registry.wait_for` and `Registry.watch`."""

from __future__ import annotations

import math
from collections.abc import Hashable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Generic, TypeVar

import trio
from trio.lowlevel import checkpoint, current_task, enable_ki_protection

from .._actors import waiting_for_name
from .._runtime import Owner, SyncBlock
from .arguments import require_hashable
from .core import RegistryCore
from .events import Event
from .names import Names
from .notifier import Notifier, Watchers
from .pattern import ANY

if TYPE_CHECKING:
    from types import TracebackType

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Watching(RegistryCore[K, V]):
    """The methods that wait for names and events."""

    async def wait_for(self, key: K) -> Owner:
        """Wait until ``key`` is registered. Returns at once if it is.

        A checkpoint; constant time (plus one step for each partition, where keys are partitioned by owner).

        Returns:
            The owner; for duplicate keys the first that `lookup` gives. It has not ended when this returns.

        Raises:
            CallCycle: It is the name of a child that starts only when the caller has started.
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        require_hashable("key", key)
        return await wait_for_holder(self._names, key)

    def watch(self, key: K = ANY) -> AbstractContextManager[trio.MemoryReceiveChannel[Event[K, V]]]:
        """Watch a key, or all of them: ``with registry.watch("leader") as events: async for event in events: ...``.

        The channel gives each `Registered` and `Unregistered` since the block was entered, in the order in which they
        happened. If an actor's end freed the name, the `Unregistered` has its `Exit`. No event is lost: the channel
        keeps what you have not received yet. Not a checkpoint. The cost of a change grows with the watchers of its key.

        Args:
            key: The key to watch, or `ANY` (the default) for all.

        Raises:
            TypeError: ``key`` is not hashable.
            RuntimeError: The registry belongs to another Trio run.
        """
        everything = key is ANY
        if not everything:
            require_hashable("key", key)
        return Watch(self._names.open_notifier(), key, everything)


class Watch(SyncBlock, AbstractContextManager["trio.MemoryReceiveChannel[Event[K, V]]"], Generic[K, V]):
    """The context manager of `Registry.watch`. Its channel is unbounded: no event is lost."""

    __slots__ = ("_everything", "_key", "_notifier", "_receive", "_send", "_watchers")

    _written = "registry.watch(...)"

    def __init__(self, notifier: Notifier[K, V], key: K, everything: bool) -> None:
        self._notifier = notifier
        self._key = key
        self._everything = everything
        self._send: trio.MemorySendChannel[Event[K, V]]
        self._receive: trio.MemoryReceiveChannel[Event[K, V]]
        self._watchers: Watchers[K, V] | None = None

    @enable_ki_protection
    def __enter__(self) -> trio.MemoryReceiveChannel[Event[K, V]]:
        if self._watchers is not None:
            raise RuntimeError(f"this watch({self._key!r}) is already entered: make another one")
        self._send, self._receive = trio.open_memory_channel[Event[K, V]](math.inf)
        self._watchers = self._notifier.add_watcher(self._send, self._key, self._everything)
        return self._receive

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._watchers is not None
        watchers, self._watchers = self._watchers, None
        self._notifier.remove_watcher(self._send, self._key, self._everything, watchers)
        self._send.close()
        self._receive.close()


async def wait_for_holder(names: Names[K, V], key: K) -> Owner:
    """Wait until a key has an owner. A checkpoint."""
    await checkpoint()
    while True:
        entry = names.first(key)
        if entry is not None:
            return entry.owner
        with waiting_for_name(names, key, current_task()):
            await names.open_notifier().wait_registered(key)
