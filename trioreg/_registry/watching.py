"""Waiting for a name, and watching what happens: `Registry.wait_for` and `Registry.watch`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

from trio.lowlevel import checkpoint, current_task, enable_ki_protection

from .._actors import waiting_for_name
from .._runtime import Feed, OnOverflow, Owner, SyncBlock, require_count, require_hashable
from .core import RegistryCore
from .events import Event, Registered
from .names import Names
from .notifier import Notifier
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

    def watch(
        self, key: K = ANY, *, initial: bool = False, buffer: float = math.inf, overflow: OnOverflow = "error"
    ) -> AbstractContextManager[Feed[Event[K, V]]]:
        """Watch a key, or all of them: ``with registry.watch("leader") as events: async for event in events: ...``.

        The feed gives each `Registered` and `Unregistered` since the block was entered, in the order in which they
        happened. If an actor's end freed the name, the `Unregistered` has its `Exit`. Unless you give a ``buffer``, no
        event is lost: the feed keeps what you have not received yet. Not a checkpoint. The cost of a change grows with
        the watchers of its key.

        Args:
            key: The key to watch, or `ANY` (the default) for all.
            initial: Whether the feed begins with what is there: one `Registered` for each entry at the moment in which
                the block is entered. What happens after that moment follows, without a gap and without a double.
                Entering then costs as much as `lookup` or `items`.
            buffer: The number of events that the feed keeps for you, at least 1. The entries of ``initial`` do not
                count.
            overflow: What happens when the buffer is full. ``"error"``: `~Feed.receive` raises `Overflow` at the place
                where events are missing, and says how many. ``"drop_oldest"`` and ``"drop_newest"`` drop that event.
                `Feed.dropped` counts the events that are lost.

        Raises:
            TypeError: ``key`` is not hashable, or ``buffer`` is not a number.
            ValueError: ``buffer`` is less than 1, or ``overflow`` is none of the three.
            RuntimeError: The registry belongs to another Trio run.
        """
        return self._watch(key, initial, buffer, overflow, Feed)

    def _watch(
        self, key: K, initial: bool, buffer: float, overflow: OnOverflow, feed_class: type[Feed[Event[K, V]]]
    ) -> AbstractContextManager[Feed[Event[K, V]]]:
        everything = key is ANY
        if not everything:
            require_hashable("key", key)
        require_count("buffer", buffer, 1, infinite=True)
        if overflow not in ("error", "drop_oldest", "drop_newest"):
            raise ValueError(f"overflow must be 'error', 'drop_oldest' or 'drop_newest', not {overflow!r}")
        notifier = self._names.open_notifier()
        first = self._names if initial else None
        return Watch(notifier, key, everything, first, buffer, overflow, feed_class)


class Watch(SyncBlock, AbstractContextManager["Feed[Event[K, V]]"], Generic[K, V]):
    """The context manager of `Registry.watch`."""

    __slots__ = ("_everything", "_feed", "_feed_class", "_key", "_limits", "_names", "_notifier")

    _written = "registry.watch(...)"

    def __init__(
        self,
        notifier: Notifier[K, V],
        key: K,
        everything: bool,
        names: Names[K, V] | None,
        buffer: float,
        overflow: OnOverflow,
        feed_class: type[Feed[Event[K, V]]],
    ) -> None:
        self._feed_class = feed_class
        self._notifier = notifier
        self._key = key
        self._everything = everything
        self._names = names  # None: without the entries that are there
        self._limits = buffer, overflow
        self._feed: Feed[Event[K, V]] | None = None

    @enable_ki_protection
    def __enter__(self) -> Feed[Event[K, V]]:
        if self._feed is not None:
            raise RuntimeError(f"this watch({self._key!r}) is already entered: make another one")
        feed = self._feed_class(*self._limits)
        if self._names is not None:
            feed._begin_with(self._entries(self._names))
        # In the same step: each change is either in these entries or an event.
        watchers = self._notifier.add_watcher(feed, self._key, self._everything)
        try:
            feed._leave = partial(self._notifier.remove_watcher, feed, self._key, self._everything, watchers)
        except BaseException:
            self._notifier.remove_watcher(feed, self._key, self._everything, watchers)
            raise
        self._feed = feed
        return feed

    def _entries(self, names: Names[K, V]) -> Iterator[Event[K, V]]:
        if self._everything:
            rows = [row for partition in names.partitions for row in partition.rows()]
        else:
            rows = [(self._key, entry) for group in names.groups(self._key) for entry in group]
        # Each is made when it is received: there may be a million.
        return (Registered(names.name, key, entry.owner, entry.value) for key, entry in rows)

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._feed is not None
        feed, self._feed = self._feed, None
        feed.close()


async def wait_for_holder(names: Names[K, V], key: K) -> Owner:
    """Wait until a key has an owner. A checkpoint."""
    await checkpoint()
    while True:
        entry = names.first(key)
        if entry is not None:
            return entry.owner
        with waiting_for_name(names, key, current_task()):
            await names.open_notifier().wait_registered(key)
