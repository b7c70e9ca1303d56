"""Who waits for a unique name: the queues behind `Registry.acquire`.

A place in a queue is leased to its owner as a name is (`_owner.py`): whoever waits for an owner that ends is woken in
that step, and a plain task that waits is known to its run by the very owner that will hold the name. The queues know
nothing of the names; `Names` gives each one to whom `AcquireQueues.wake_next` says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    reschedule,
    wait_task_rescheduled,
)

if TYPE_CHECKING:
    from .._runtime import Exit, Owner, Token

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_numbers = count()


class Waiter(Generic[V]):
    """Somebody's place in the queue for a name.

    Attributes:
        error: What the task is to raise when it has been woken: why it could not be given the name.
    """

    __slots__ = ("error", "key", "number", "owner", "queue", "task", "value")

    def __init__(self, key: Hashable, queue: AcquireQueue[V], owner: Owner, value: V, task: Task) -> None:
        self.number = next(_numbers)
        self.key = key
        self.queue = queue
        self.owner = owner
        self.value = value
        self.task = task
        self.error: Exception | None = None


AcquireQueue: TypeAlias = OrderedDict[int, Waiter[V]]
"""Not a deque: of 100,000 who wait, any one may be cancelled."""


class AcquireQueues(Generic[K, V]):
    """A queue for each name that somebody waits for, first come first served.

    A key is compared with others when somebody comes, and when its queue is looked for; never when somebody leaves: an
    error of the key's own ``__eq__`` would have nowhere to go.

    Attributes:
        by_key: The turns of each queue by number, in order. Empty while nobody waits for any name.
    """

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[K, AcquireQueue[V]] = {}

    @enable_ki_protection
    async def wait(self, key: K, owner: Owner, value: V) -> None:
        """Wait for a waiter, or for the end of the owner. A checkpoint; cancelled: it is out of the queue."""
        queue = self.by_key.setdefault(key, OrderedDict())
        waiter = Waiter(key, queue, owner, value, current_task())
        queue[waiter.number] = waiter
        owner._take(self, waiter, waiter.number)

        def abort(_: RaiseCancelT) -> Abort:
            self._remove(waiter)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)
        if waiter.error is not None:
            raise waiter.error

    def wake_next(self, queue: AcquireQueue[V] | None) -> Waiter[V] | None:
        """Take the first one who is alive out of a queue, and wake the task."""
        while queue:
            waiter = queue[next(iter(queue))]
            self._remove(waiter)
            reschedule(waiter.task)
            if waiter.owner.is_alive:
                return waiter
        return None

    def wake(self, queue: AcquireQueue[V] | None, owner: Owner) -> None:
        """Take an owner that need not wait any more out of a queue, if it is there, and wake the task."""
        for waiter in owner._keys(self):
            if waiter.queue is queue:
                self._remove(waiter)
                reschedule(waiter.task)
                return

    def _remove(self, waiter: Waiter[V]) -> None:
        del waiter.queue[waiter.number]
        if not waiter.queue:
            with suppress(Exception):  # an empty queue may stay, if the key can't be compared
                del self.by_key[cast("K", waiter.key)]
        if waiter in waiter.owner._keys(self):  # or it is just giving everything back
            waiter.owner._drop(self, waiter)

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None:
        """The owner has ended (`Lessor`): its tasks need not wait any more."""
        for waiter in keys:
            if waiter.number in waiter.queue:
                self._remove(waiter)
                reschedule(waiter.task)
