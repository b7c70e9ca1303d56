"""Who waits for a unique name: the queues behind `Registry.acquire`.

A place in a queue is leased to its owner as a name is (`_owner.py`): whoever waits for an owner that ends is woken in
that step, and a plain task that waits is known to its run by the very owner that will hold the name. The queues know
nothing of the names; `Names` gives each one to whom `Queues.wake_next` says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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
    from ._exit import Exit
    from ._owner import Owner, Token

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_numbers = count()


class Turn(Generic[V]):
    """Somebody's place in the queue for a name."""

    __slots__ = ("owner", "task", "value")

    def __init__(self, owner: Owner, value: V, task: Task) -> None:
        self.owner = owner
        self.value = value
        self.task = task


class Queues(Generic[K, V]):
    """A queue for each name that somebody waits for, first come first served.

    Attributes:
        by_key: The turns of each queue by number, in order. Empty while nobody waits for any name.
    """

    __slots__ = ("by_key",)

    def __init__(self) -> None:
        # Not a deque: of 100,000 who wait, any one may be cancelled.
        self.by_key: dict[K, OrderedDict[int, Turn[V]]] = {}

    @enable_ki_protection
    async def wait(self, key: K, owner: Owner, value: V) -> None:
        """Wait for a turn, or for the end of the owner. A checkpoint; cancelled: it is out of the queue."""
        number = next(_numbers)
        queue = self.by_key.setdefault(key, OrderedDict())
        queue[number] = Turn(owner, value, current_task())
        numbers = owner._keys(self).get(key)
        if isinstance(numbers, dict):
            numbers[number] = None
        else:
            owner._take(self, key, {number: None})

        def abort(_: RaiseCancelT) -> Abort:
            self._remove(key, number)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)

    def wake_next(self, key: K) -> Turn[V] | None:
        """Take the first one who is alive out of the queue, and wake the task."""
        queue = self.by_key.get(key)
        while queue:
            turn = self._remove(key, next(iter(queue)))
            reschedule(turn.task)
            if turn.owner.is_alive:
                return turn
        return None

    def wake(self, key: K, owner: Owner) -> None:
        """Take an owner that need not wait any more out of the queue, if it is there, and wake the task."""
        numbers = owner._keys(self).get(key)
        if isinstance(numbers, dict):
            reschedule(self._remove(key, next(iter(numbers))).task)

    def _remove(self, key: K, number: int) -> Turn[V]:
        queue = self.by_key[key]
        turn = queue.pop(number)
        if not queue:
            del self.by_key[key]
        numbers = turn.owner._keys(self).get(key)
        if isinstance(numbers, dict):  # or it is just giving everything back
            del numbers[number]
            if not numbers:
                turn.owner._drop(self, key)
        return turn

    def _reclaim(self, owner: Owner, keys: Mapping[Any, Token], exit: Exit | None) -> None:
        """The owner has ended (`Lessor`): its tasks need not wait any more."""
        for key, numbers in keys.items():
            assert isinstance(numbers, dict)
            for number in numbers:
                if number in self.by_key.get(key, ()):
                    reschedule(self._remove(key, number).task)
