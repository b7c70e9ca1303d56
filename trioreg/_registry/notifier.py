"""Events, delivered in the order in which they happened: to listeners, to watchers, to tasks that wait for a name.

A registry has a `Notifier` only once it has a listener, a watcher or a waiting task; the others pay one test for it.
A notifier never changes a name.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    wait_task_rescheduled,
)

from .._actors import Address
from .._runtime import ActorExited, Feed, MailboxFull, NotRegistered, NotRunning, SafeLogger, sync_result, wake
from .events import Event, Follower, Listener, Registered

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = SafeLogger("trioreg.registry")

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")
S = TypeVar("S")

Watchers: TypeAlias = dict[Feed[Event[K, V]], int]
"""Each watcher, and the number of the first event that it gets."""


class Notifier(Generic[K, V]):
    """Passes the events of one registry on to its listeners, its watchers and the tasks that wait for a name.

    Attributes:
        posted: Events for the next `deliver`.
        told: How many events have been delivered.
    """

    __slots__ = ("_is_delivering", "_listeners", "_waiters", "_watchers", "_watchers_of_all", "posted", "told")

    def __init__(self, listeners: Iterable[Listener[K, V]]) -> None:
        self._listeners = tuple(listeners)
        self._watchers_of_all: Watchers[K, V] = {}
        self._watchers: dict[K, Watchers[K, V]] = {}
        self._waiters: dict[K, dict[Task, None]] = {}
        self.posted: deque[Event[K, V]] = deque()
        self.told: int = 0
        self._is_delivering = False

    def forget_tasks(self) -> None:
        """Drop the watchers and waiting tasks of a run that is over."""
        self._watchers_of_all = {}
        self._watchers = {}
        self._waiters = {}
        self.posted.clear()
        self._is_delivering = False

    def deliver(self) -> None:
        """Deliver the posted events. Called when all changes of one step are done."""
        if self._is_delivering:
            return  # a listener changed the registry: the loop below delivers that after the events before it
        self._is_delivering = True
        exits: list[BaseException] = []
        try:
            while self.posted:
                self._deliver_one(self.posted[0], exits)
                del self.posted[0]  # only now: if the stack was full, the event is told with the next one
                self.told += 1
        finally:
            self._is_delivering = False  # logging may raise: the user's filters and handlers run
        if exits:
            raise exits[0] if len(exits) == 1 else BaseExceptionGroup("what listeners raised", exits)

    def _deliver_one(self, event: Event[K, V], exits: list[BaseException]) -> None:
        for listener in self._listeners:
            try:
                if isinstance(listener, Address):
                    # The actor may not be there: no error, as for the name of a listener in Elixir.
                    with suppress(ActorExited, NotRegistered, NotRunning):
                        listener.send_nowait(event)
                else:
                    sync_result("a listener", listener, listener(event))
            except (MemoryError, RecursionError) as error:
                if not isinstance(listener, Follower):
                    _log_failure(cast("object", listener), event, error)
                    continue
                cast("Follower[K, V]", listener).put_off(event)
            except MailboxFull as full:
                text = "registry %r: an event was lost, %s: %r"
                args = (event.registry, full, event)
                logger.warning("event_lost", text, *args, registry=event.registry, key=event.key, actor=full.ref)
            except Exception as error:
                _log_failure(cast("object", listener), event, error)
            except BaseException as error:
                exits.append(error)  # `SystemExit` and the like leave, but after every listener was called
        instruments = event.owner._run.instruments
        if instruments is not None:
            instruments.tell("registered" if isinstance(event, Registered) else "unregistered", event)
        watchers = [*self._watchers_of_all.items()]
        try:
            watchers += self._watchers.get(event.key, {}).items()
        except BaseException as error:
            # The key's `__eq__` raised where it was compared with a watched key. The change itself is done.
            text, name = "registry %r: the watchers of its key do not get %r", event.registry
            logger.report(error, "event_lost", text, name, event, registry=name, key=event.key)
        groups: list[tuple[K, dict[Task, None]]] = []
        if isinstance(event, Registered) and self._waiters:
            try:
                group = self._waiters.get(event.key)
                groups += [] if group is None else [(event.key, group)]
            except BaseException:
                # Wake every task that waits, for whatever key: it looks again, and gets the error of its own key.
                groups += self._waiters.items()
        for feed, since in watchers:
            if since <= self.told:
                feed._put(event)
        for key, group in groups:
            while group:
                task = next(iter(group))
                wake(task)
                # Only after the wake: if the stack was full, the event is told once more, and the task is woken then.
                if task in group:  # pragma: no branch  # a Trio instrument may have deleted it during the wake
                    del group[task]
            _forget(self._waiters, key, group)

    def add_watcher(self, feed: Feed[Event[K, V]], key: K, everything: bool) -> Watchers[K, V]:
        """Put the event of each change from now on into a feed: the changes of one key, or of all keys.

        If a listener adds the watcher, some earlier changes may not have been told yet. The feed does not get these.

        Returns:
            All watchers of that key, or of all keys.
        """
        since = self.told + len(self.posted)
        watchers = self._watchers_of_all if everything else self._watchers.setdefault(key, {})
        watchers[feed] = since
        return watchers

    def remove_watcher(self, feed: Feed[Event[K, V]], key: K, everything: bool, watchers: Watchers[K, V]) -> None:
        """Undo `add_watcher`, which gave ``watchers``."""
        watchers.pop(feed, None)
        if not everything:
            _forget(self._watchers, key, watchers)

    @enable_ki_protection
    async def wait_registered(self, key: K) -> None:
        """Wait until a key is registered the next time. A checkpoint."""
        task = current_task()
        waiters = self._waiters.setdefault(key, {})

        def abort(_: RaiseCancelT) -> Abort:
            waiters.pop(task, None)  # if it is not there, it is being woken, and now the cancellation wakes it
            _forget(self._waiters, key, waiters)
            return Abort.SUCCEEDED

        waiters[task] = None
        task.custom_sleep_data = waiters  # as long as it sleeps
        try:
            await wait_task_rescheduled(abort)
        except BaseException:
            # If it was cancelled, `abort` has done this. If it has not even begun to wait, nothing may wake it.
            if waiters.pop(task, self) is None:
                _forget(self._waiters, key, waiters)
            raise


def _log_failure(listener: object, event: Event[Any, Any], error: Exception) -> None:
    text = "registry %r: the listener %r failed with %r"
    args = (event.registry, listener, event)
    logger.error("listener_failed", text, *args, exc_info=error, registry=event.registry, key=event.key)


def _forget(groups: dict[K, dict[T, S]], key: K, group: dict[T, S]) -> None:
    """Drop an empty group. If the key's own `__eq__` raises, the group stays: the error has nowhere to go."""
    with suppress(BaseException):
        if not group and groups.get(key) is group:
            del groups[key]
