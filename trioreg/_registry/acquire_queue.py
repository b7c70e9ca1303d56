"""The tasks that wait for a unique name: the queues behind `Registry.acquire`.

A place in a queue is leased to an owner, as a name is (`owner.py`). When the owner ends, the waiting
task is woken in that step. A plain Trio task waits under the owner that will hold the name. The queues know nothing of
names: `Names` gives a name to the waiter that `wake_next` returns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    current_task,
    enable_ki_protection,
    wait_task_rescheduled,
)

from .._runtime import items_of, wake

if TYPE_CHECKING:
    from .._runtime import Exit, Owner, Token

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_numbers = count()


class Waiter(Generic[V]):
    """One place in the queue for a name.

    Attributes:
        error: The error that the task raises when it is woken: the reason why it did not get the name.
    """

    __slots__ = ("error", "key", "number", "owner", "queue", "task", "value")

    def __init__(self, key: Hashable, queue: AcquireQueue[V], owner: Owner, value: V, task: Task) -> None:
        self.number: int = next(_numbers)
        self.key: Hashable = key
        self.queue: AcquireQueue[V] = queue
        self.owner: Owner = owner
        self.value: V = value
        self.task: Task = task
        self.error: BaseException | None = None


AcquireQueue: TypeAlias = OrderedDict[int, Waiter[V]]
"""The waiting tasks of one name. No deque, so that any one of 100,000 tasks can be cancelled in constant time."""


class AcquireQueues(Generic[K, V]):
    """A queue for each name that tasks wait for: first come, first served.

    A key is compared with other keys when a waiter comes, and when its queue is looked up. It is not compared when a
    waiter leaves, because an error of the key's own ``__eq__`` would have nowhere to go.

    Attributes:
        by_key: The queue of each key. Empty while no task waits for a name.
    """

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        self.by_key: dict[K, AcquireQueue[V]] = {}

    @enable_ki_protection
    async def wait(self, key: K, owner: Owner, value: V) -> None:
        """Wait for the name, or for the end of the owner. A checkpoint; if it is cancelled, it leaves the queue."""
        queue: AcquireQueue[V] = self.by_key.get(key) or OrderedDict()
        waiter = Waiter(key, queue, owner, value, current_task())

        def abort(_: RaiseCancelT) -> Abort:
            if waiter.number not in queue:
                return Abort.FAILED  # it is being woken: it has the name
            self._remove(waiter)
            return Abort.SUCCEEDED

        try:
            self.by_key[key] = queue
            queue[waiter.number] = waiter
            owner._take(self, waiter, waiter.number)
            await wait_task_rescheduled(abort)
        except BaseException:
            # If it was cancelled, `abort` has done this. If it has not even begun to wait, nothing may wake it.
            if waiter.number in queue:
                self._remove(waiter)
            raise
        if waiter.error is not None:
            raise waiter.error

    def find(self, key: K) -> list[AcquireQueue[V]]:
        """The queue of a key that may raise when it is compared, if there is one.

        A waiter whose own key raises gets that error: no lookup could find it any more.
        """
        found: list[AcquireQueue[V]] = []
        for other, queue in list(items_of(self.by_key)):
            try:
                if other is key or (hash(other) == hash(key) and other == key):
                    found.append(queue)
            except BaseException as error:
                for waiter in list(queue.values()):
                    waiter.error = error
                    self._wake(waiter)
        return found

    def wake_next(self, queue: AcquireQueue[V] | None) -> Waiter[V] | None:
        """Take the first waiter with a living owner out of a queue, and wake its task."""
        while queue:
            waiter = queue[next(iter(queue))]
            is_alive = waiter.owner.is_alive
            if is_alive:
                waiter.error = MemoryError()  # until it has the name: a failure on the way must not look like success
            self._wake(waiter)
            if is_alive:
                return waiter
        return None

    def wake(self, queue: AcquireQueue[V] | None, owner: Owner) -> None:
        """If an owner is in a queue, take it out and wake its task: it has the name already."""
        for waiter, _ in owner._keys(self):
            if queue is not None and waiter.queue is queue:
                self._wake(waiter)
                return

    def _wake(self, waiter: Waiter[V]) -> None:
        """Wake the task of a waiter, and take it out of its queue. If the task can't be woken, nothing has changed."""
        wake(waiter.task)
        del waiter.queue[waiter.number]  # no call in between: it must not be woken twice
        self._remove(waiter)

    def _remove(self, waiter: Waiter[V]) -> None:
        """Take a waiter out of its queue, if it is there, and out of its owner's lease."""
        if waiter.number in waiter.queue:
            del waiter.queue[waiter.number]
        if not waiter.queue:
            with suppress(BaseException):  # an empty queue may stay if the key can't be compared
                del self.by_key[cast("K", waiter.key)]
        if waiter.owner._token(self, waiter) is not None:  # else the owner is giving everything back already
            waiter.owner._drop(self, waiter)

    def _reclaim(self, owner: Owner, keys: Collection[tuple[Any, Token]], exit: Exit | None) -> None:
        """Wake the waiters of an owner that has ended (`Lessor`)."""
        for waiter, _ in keys:
            if waiter.number in waiter.queue:
                self._wake(waiter)
