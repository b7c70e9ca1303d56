"""Events, delivered in the order in which they happened: to listeners, to watchers, to tasks that wait for a name.

A registry has a `Notifier` only once it has a listener, a watcher or a waiting task; the others pay one test for it.
A notifier never changes a name.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Generator, Hashable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

from .._actors import Address
from .._runtime import ActorExited, MailboxFull, NotRegistered, sync_result
from .events import Event, Listener, Registered

if TYPE_CHECKING:
    from collections.abc import Iterable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")

logger = logging.getLogger("trioreg")


class Notifier(Generic[K, V]):
    """Those who want to hear of a registry's changes."""

    __slots__ = ("_is_delivering", "_listeners", "_posted", "_waiters", "_watchers", "_watchers_of_all")

    def __init__(self, listeners: Iterable[Listener[K, V]]) -> None:
        self._listeners = tuple(listeners)
        self._watchers_of_all: dict[trio.MemorySendChannel[Event[K, V]], None] = {}
        self._watchers: dict[K, dict[trio.MemorySendChannel[Event[K, V]], None]] = {}
        self._waiters: dict[K, dict[Task, None]] = {}
        self._posted: deque[Event[K, V]] = deque()
        self._is_delivering = False

    def forget_tasks(self) -> None:
        """The run whose tasks have waited and watched is over."""
        self._watchers_of_all = {}
        self._watchers = {}
        self._waiters = {}
        self._posted.clear()
        self._is_delivering = False

    def post(self, event: Event[K, V]) -> None:
        """Something has happened; `tell` will tell it."""
        self._posted.append(event)

    def deliver(self) -> None:
        """Tell everybody what has been noted: only when all that belongs to one step is done."""
        if self._is_delivering:
            return  # a listener changed the registry: told when those before it have been told to everybody
        self._is_delivering = True
        exits: list[BaseException] = []
        try:
            while self._posted:
                self._deliver_one(self._posted.popleft(), exits)
        finally:
            self._is_delivering = False  # what is logged may fail: a filter or handler of the user's that raises
        if exits:
            raise exits[0] if len(exits) == 1 else BaseExceptionGroup("what listeners raised", exits)

    def _deliver_one(self, event: Event[K, V], exits: list[BaseException]) -> None:
        for listener in self._listeners:
            try:
                if isinstance(listener, Address):
                    # Nobody may be there to hear it, as with a listener's name in Elixir.
                    with suppress(ActorExited, NotRegistered):
                        listener.send_nowait(event)
                else:
                    sync_result("a listener", listener, listener(event))
            except MailboxFull as full:
                logger.warning("registry %r: an event was lost, %s: %r", event.registry, full, event)
            except Exception:
                logger.exception(
                    "registry %r: the listener %r failed with %r", event.registry, cast("object", listener), event
                )
            except BaseException as error:
                exits.append(error)  # `SystemExit` and the like: no error to be logged, but all are told first
        channels, tasks = [*self._watchers_of_all], list[Task]()
        try:
            channels += self._watchers.get(event.key, ())
            if isinstance(event, Registered):
                tasks += self._waiters.pop(event.key, ())
        except Exception:
            # A key that raises where it is compared with one that somebody watches. The change itself is done.
            logger.exception("registry %r: nobody is told of %r who watches its key", event.registry, event)
        for channel in channels:
            with suppress(trio.BrokenResourceError):
                channel.send_nowait(event)
        for task in tasks:
            reschedule(task)

    @contextmanager
    @enable_ki_protection
    def watch(self, key: K, everything: bool) -> Generator[trio.MemoryReceiveChannel[Event[K, V]]]:
        """A channel with every event from now on, of one key or of all. Unbounded: nothing is lost."""
        send, receive = trio.open_memory_channel[Event[K, V]](math.inf)
        channels = self._watchers_of_all if everything else self._watchers.setdefault(key, {})
        channels[send] = None
        try:
            yield receive
        finally:
            del channels[send]
            if not everything:
                _forget(self._watchers, key, channels)
            send.close()
            receive.close()

    @enable_ki_protection
    async def wait_registered(self, key: K) -> None:
        """Wait until the key is registered the next time. A checkpoint."""
        task = current_task()
        waiters = self._waiters.setdefault(key, {})
        waiters[task] = None

        def abort(_: RaiseCancelT) -> Abort:
            del waiters[task]
            _forget(self._waiters, key, waiters)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)


def _forget(groups: dict[K, dict[T, None]], key: K, group: dict[T, None]) -> None:
    """Drop a group that is empty. An error of the key's own has nowhere to go: then the empty group stays."""
    with suppress(Exception):
        if not group and groups.get(key) is group:
            del groups[key]
