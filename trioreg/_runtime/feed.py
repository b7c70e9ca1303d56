"""A `Feed`: what a task receives, in order, from one that never waits for it. Bounded if asked.

A memory channel can't drop its oldest item, and can't say how many it has lost. This can. It knows nothing of what it
carries.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import get_ident
from typing import Generic, Literal, TypeAlias, TypeVar, cast

import trio
from trio.lowlevel import ParkingLot, checkpoint, enable_ki_protection

from .errors import Overflow
from .identity import Identity
from .stack import require_room

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

OnOverflow: TypeAlias = Literal["error", "drop_oldest", "drop_newest"]


class Gap:
    """The place of items that were lost, in the order of those that were not."""

    __slots__ = ("lost",)

    def __init__(self) -> None:
        self.lost = 0


class Feed(Identity, trio.abc.ReceiveChannel[T_co], Generic[T_co]):
    """What you receive from `Registry.watch`: a Trio ``ReceiveChannel``, so ``async for`` works.

    ::

        with registry.watch("leader", buffer=100) as events:    # a Feed
            async for event in events: ...

    Any number of tasks may receive from one feed; each item goes to one of them.
    """

    # `_gap` is the one at the end of the buffer, where the next lost item belongs.
    __slots__ = (
        "_buffer",
        "_dropped",
        "_first",
        "_gap",
        "_gaps",
        "_is_closed",
        "_limit",
        "_lot",
        "_overflow",
        "_thread",
    )

    def __init__(self, limit: float, overflow: OnOverflow) -> None:
        self._first: Iterator[T_co] = iter(())
        self._buffer: deque[T_co | Gap] = deque()
        self._gap: Gap | None = None
        self._gaps = 0
        self._limit = limit
        self._overflow = overflow
        self._dropped = 0
        self._lot = ParkingLot()
        self._is_closed = False
        self._thread = get_ident()

    @property
    def dropped(self) -> int:
        """How many items were lost because the buffer was full. Not a checkpoint; constant time."""
        return self._dropped

    @enable_ki_protection
    async def receive(self) -> T_co:
        """Receive the next item; wait for it if there is none. A checkpoint; constant time.

        If you cancel it, no item is lost.

        Raises:
            Overflow: Items are missing here, as the buffer was full. The next `receive` gives what came after them.
            trio.ClosedResourceError: The block of the feed was left before this call, or the feed was closed.
            trio.EndOfChannel: The block of the feed was left while you waited.
            RuntimeError: You are in another thread than the feed's Trio run.
        """
        self._require_thread()
        was_closed = self._is_closed
        await checkpoint()
        while True:
            try:
                return self.receive_nowait()
            except trio.WouldBlock:
                require_room()  # or Trio would keep a task in the lot that has not gone to sleep
                await self._lot.park()  # and look again then: another task may be quicker
            except trio.ClosedResourceError:
                if was_closed:
                    raise
                raise trio.EndOfChannel from None

    @enable_ki_protection
    def receive_nowait(self) -> T_co:
        """`receive` that never waits. Not a checkpoint; constant time.

        Raises:
            trio.WouldBlock: There is no item.
            Overflow, trio.ClosedResourceError, RuntimeError: As for `receive`.
        """
        self._require_thread()
        if self._is_closed:
            raise trio.ClosedResourceError
        for item in self._first:
            return item
        if not self._buffer:
            raise trio.WouldBlock
        found = self._buffer[0]
        if isinstance(found, Gap):
            overflow = Overflow(found.lost)
            del self._buffer[0]
            self._gaps -= 1
            if found is self._gap:
                self._gap = None
            raise overflow
        del self._buffer[0]  # the last step, and no call: what fails before it loses no item
        return found

    def close(self) -> None:
        """Close the feed: what is in it is thrown away, and waiting tasks are woken. Not a checkpoint."""
        self._require_thread()
        self._is_closed = True
        self._first = iter(())
        self._buffer.clear()
        self._lot.unpark_all()

    async def aclose(self) -> None:
        """`close`, as a checkpoint."""
        self.close()
        await checkpoint()

    def _require_thread(self) -> None:
        if get_ident() != self._thread:
            raise RuntimeError("this Feed lives in the Trio run of another thread: use trio.from_thread to get there")

    # The side of the sender

    def _begin_with(self, items: Iterable[T]) -> None:
        """Have these items received before all others. They do not count as buffered."""
        self._first = cast("Iterator[T_co]", iter(items))

    def _put(self, item: object) -> None:
        """Add an item. It never waits and never raises `trio.WouldBlock`."""
        if self._is_closed:
            return
        buffer = self._buffer
        if len(buffer) - self._gaps >= self._limit:
            self._dropped += 1
            if self._overflow == "error":
                if self._gap is None:
                    self._gap = Gap()
                    buffer.append(self._gap)
                    self._gaps += 1
                    self._lot.unpark()  # the tasks that were woken for what is in the buffer take only that
                self._gap.lost += 1
                return
            if self._overflow == "drop_newest":
                return
            buffer.popleft()
        self._gap = None
        buffer.append(cast("T_co", item))
        self._lot.unpark()
