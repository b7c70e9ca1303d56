"""A `Feed`: what a task receives, in order, from a sender that does not wait for it. Bounded if asked.

A memory channel can't drop its oldest item, and can't say how many it has lost. A feed can. It knows nothing of what it
carries. Where a sender does wait for room, it does so in the feed's `Line`.

An item for a task that waits does not pass through the buffer: the task is woken with it. So the buffer, a deque, is
made only when an item has to wait.

Must never happen: an item in the buffer while a task waits to receive; a sender that waits while there is room.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from operator import length_hint
from threading import get_ident
from types import CoroutineType
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

import attrs
import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from .amounts import require_count
from .errors import Overflow
from .identity import Identity
from .line import Line
from .receiver import NOTHING, Receiver
from .sleeping import wake
from .waking import wake_in_slices

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

OnOverflow: TypeAlias = Literal["error", "drop_oldest", "drop_newest"]
"""What happens when the buffer is full, and the sender does not wait."""

_OPEN, _ENDED, _CLOSED = range(3)


class _Gap:
    """The place of items that were lost, in the order of those that were not."""

    __slots__ = ("lost",)

    def __init__(self) -> None:
        self.lost = 0


@attrs.frozen
class FeedStatistics:
    """The numbers of a `Feed` at one moment, from `Feed.statistics`.

    Attributes:
        buffered: How many items are in the buffer.
        buffer: How many items the buffer can take; ``math.inf``: any number.
        dropped: How many items were lost because the buffer was full.
        tasks_waiting_receive: How many tasks wait for an item.
        tasks_waiting_send: How many tasks wait for room.
    """

    buffered: int
    buffer: float
    dropped: int
    tasks_waiting_receive: int
    tasks_waiting_send: int


class Feed(Line, Identity, trio.abc.ReceiveChannel[T_co], Generic[T_co]):
    """What you receive from `Registry.watch` or `PubSub.subscribe`: a Trio ``ReceiveChannel``, so ``async for`` works.

    ::

        with registry.watch("leader", buffer=100) as events:    # a Feed
            async for event in events: ...

    Any number of tasks may receive from one feed; each item goes to one of them.
    """

    # `_gap` is the one at the end of the buffer, where the next lost item belongs. `_receiver` is the first task that
    # waits to receive; the others are in `_receivers`. `_leave` takes the feed out of the tables of its sender.
    __slots__ = (
        "_buffer",
        "_dropped",
        "_first",
        "_gap",
        "_gaps",
        "_leave",
        "_limit",
        "_overflow",
        "_receiver",
        "_receivers",
        "_state",
        "_thread",
    )

    def __init__(self, limit: float, overflow: str) -> None:
        self._first: Iterator[T_co] | None = None
        self._buffer: deque[T_co | _Gap] | None = None
        self._gap: _Gap | None = None
        self._gaps = 0
        self._leave: Callable[[], object] | None = None
        self._limit = limit
        self._overflow = overflow
        self._dropped = 0
        self._receiver: Receiver[Any] | None = None
        self._receivers: OrderedDict[Receiver[Any], None] | None = None
        self._senders = None
        self._state = _OPEN
        self._thread = get_ident()

    @property
    def dropped(self) -> int:
        """How many items were lost because the buffer was full. Not a checkpoint; constant time."""
        return self._dropped

    def statistics(self) -> FeedStatistics:
        """How full the feed is. Not a checkpoint; safe from any thread; constant time."""
        return FeedStatistics(
            buffered=len(self._buffer or ()) - self._gaps,
            buffer=self._limit,
            dropped=self._dropped,
            tasks_waiting_receive=(self._receiver is not None) + len(self._receivers or ()),
            tasks_waiting_send=len(self._senders or ()),
        )

    @enable_ki_protection
    async def receive(self) -> T_co:
        """Receive the next item; wait for it if there is none. A checkpoint; constant time.

        If you cancel it, no item is lost.

        Raises:
            Overflow: Items are missing here, as the buffer was full. The next `receive` gives what came after them.
            trio.ClosedResourceError: The block of the feed was left before this call, or the feed was closed.
            trio.EndOfChannel: The block of the feed was left while you waited. Or the subscription has ended, and you
                have received all that came before.
            RuntimeError: You are in another thread than the feed's Trio run.
        """
        return await self._next(trio.EndOfChannel)

    def __aiter__(  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> AsyncIterator[T_co]:  # Trio says that it is the channel itself; a loop needs only an iterator
        return Receiver(self, StopAsyncIteration)

    def __anext__(self) -> CoroutineType[Any, Any, T_co]:
        return self._next(StopAsyncIteration)  # type: ignore[return-value]  # mypy: not what a coroutine really is

    async def receive_some(self, at_most: int | None = None) -> list[T_co]:
        """Receive the items that are there; wait for one if there is none. A checkpoint.

        One call for many items is quicker than a call for each. The cost grows with the items. If you cancel it, no
        item is lost.

        Args:
            at_most: The greatest number of items to receive, at least 1. None: all that are there.

        Returns:
            At least one item. It ends before a place where items are missing: the next call raises that `Overflow`.

        Raises:
            TypeError: ``at_most`` is neither an int nor None.
            ValueError: ``at_most`` is less than 1.
            Overflow, trio.ClosedResourceError, trio.EndOfChannel, RuntimeError: As for `receive`.
        """
        if at_most is not None:
            require_count("at_most", at_most, 1)
        return self._with_more(await self.receive(), at_most)

    @enable_ki_protection
    def _with_more(self, first: object, at_most: int | None) -> list[T_co]:
        items = [cast("T_co", first)]
        while at_most is None or len(items) < at_most:
            buffer = self._buffer
            if self._first is None and buffer and isinstance(buffer[0], _Gap):
                break
            try:
                items.append(self.receive_nowait())
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
        return items

    @enable_ki_protection
    def receive_nowait(self) -> T_co:
        """`receive` that never waits. Not a checkpoint; constant time.

        Raises:
            trio.WouldBlock: There is no item.
            Overflow, trio.ClosedResourceError, trio.EndOfChannel, RuntimeError: As for `receive`.
        """
        self._require_thread()
        if self._state == _CLOSED:
            raise trio.ClosedResourceError
        if self._first is not None:
            for item in self._first:
                if not length_hint(self._first, 1):
                    self._first = None  # at once: a sender must not find a receiver that only comes to see this
                return item
            self._first = None
        buffer = self._buffer
        if self._senders:
            # Before another item is taken out: if this fails, nothing has changed.
            place = self._let_first_in()
            if place is not None:
                item = cast("T_co", place.item)
                if not buffer:
                    return item
                buffer.append(item)
        if buffer:
            found = buffer[0]
            if isinstance(found, _Gap):
                overflow = Overflow(found.lost)
                del buffer[0]
                self._gaps -= 1
                if found is self._gap:
                    self._gap = None
                raise overflow
            del buffer[0]  # the last step, and no call: what fails before it loses no item
            return found
        raise trio.WouldBlock if self._state == _OPEN else trio.EndOfChannel

    @enable_ki_protection
    def close(self) -> None:
        """End the subscription, or the watch, at once: you need not leave the block for it. Nothing happens if it has
        ended.

        What is in the feed is thrown away, and waiting tasks are woken. Very many are woken a few at a time. Not a
        checkpoint; constant time.

        Raises:
            RuntimeError: You are in another thread than the feed's Trio run.
        """
        self._require_thread()
        try:
            if self._leave is not None:
                self._leave()
                self._leave = None
        finally:
            self._state = _CLOSED
            self._first = self._buffer = self._gap = None
            self._gaps = 0
            self._wake_all()

    async def aclose(self) -> None:
        """`close`, as a checkpoint. Cost and errors are as for `close`."""
        self.close()
        await checkpoint()

    def _require_thread(self) -> None:
        if get_ident() != self._thread:
            raise RuntimeError("this Feed lives in the Trio run of another thread: use trio.from_thread to get there")

    def _has_to_wait(self) -> bool:
        """Whether `receive` has to wait: there is no item, and more may come."""
        return not (self._buffer or self._state != _OPEN or self._senders or self._first is not None)

    def _has_item(self) -> bool:
        """Whether there is an item, or the place of a lost one.

        Only a list for `_begin_with` makes it sure. With another iterable it may be True when nothing is left.
        """
        return bool(self._buffer or self._first is not None)

    @enable_ki_protection
    async def _next(self, at_end: type[Exception]) -> T_co:
        """`receive`, with the class of the error that says that nothing more comes."""
        if get_ident() != self._thread:
            self._require_thread()
        was_closed = self._state == _CLOSED
        while not self._has_to_wait():
            await checkpoint()
            try:
                return self.receive_nowait()
            except trio.WouldBlock:
                continue  # another task was quicker
            except trio.ClosedResourceError:
                if was_closed:
                    raise
                raise at_end from None
            except trio.EndOfChannel:
                raise at_end from None
        receiver: Receiver[T_co] = Receiver(self, at_end)
        try:
            return await receiver
        except BaseException:
            receiver.give_up()  # again: without memory, `Receiver.send` has not even begun
            raise

    def _line_up(self, receiver: Receiver[Any]) -> None:
        """Add a task that waits to receive, behind the first one and the others."""
        if self._receivers is None:
            self._receivers = OrderedDict()
        self._receivers[receiver] = None

    def _put_back(self, item: object) -> None:
        """This is the next item again: the task that was to get it has failed before it took it."""
        if self._state == _CLOSED:
            return
        receiver = self._first_receiver()
        if receiver is not None:
            receiver.item = item
            self._leave_line(receiver)
            wake(receiver.task)
        elif self._buffer is None:
            self._buffer = deque((cast("T_co", item),))
        else:
            self._buffer.appendleft(cast("T_co", item))

    def _leave_line(self, receiver: Receiver[Any]) -> None:
        """Take out a task that waits to receive, if it is there."""
        others = self._receivers
        if self._receiver is receiver:
            self._receiver = others.popitem(last=False)[0] if others else None
        elif others is not None:
            others.pop(receiver, None)

    def _first_receiver(self) -> Receiver[Any] | None:
        """The first task that waits to receive. One that is being cancelled does not wait any more."""
        while (receiver := self._receiver) is not None and receiver.task.custom_sleep_data is not receiver:
            self._leave_line(receiver)
        return receiver

    def _wake_all(self) -> None:
        """Nothing more comes. If it fails half-way, call it again."""
        first = self._first_receiver()
        if first is not None:
            wake(first.task)
            self._receiver = None
        if self._receivers:
            wake_in_slices(self._receivers)
            self._receivers = None
        self._send_all_away()

    # The side of the sender

    def _begin_with(self, items: Iterable[T]) -> None:
        """Have these items received before all others. They do not count as buffered."""
        self._first = cast("Iterator[T_co]", iter(items))

    def _end(self) -> None:
        """Nothing more comes. What is in the feed can still be received. If it fails half-way, call it again."""
        if self._state == _OPEN:
            self._state = _ENDED
        self._wake_all()

    def _throw_away(self) -> int:
        """Nothing more comes, and what is in the feed is not received. Returns how many items that are."""
        self._end()
        left = len(self._buffer or ()) - self._gaps + length_hint(self._first or ())
        self._first = self._buffer = self._gap = None
        self._gaps = 0
        return left

    def _has_room(self) -> bool:
        """Whether a sender need not wait: `_put` drops nothing."""
        if self._state != _OPEN or self._first_receiver() is not None:
            return True
        return not self._senders and len(self._buffer or ()) - self._gaps < self._limit

    def _put(self, item: object) -> bool:
        """Add an item. Returns whether it got in. It never waits and never raises `trio.WouldBlock`."""
        receiver = self._receiver
        if receiver is not None and receiver.task.custom_sleep_data is not receiver:
            receiver = self._first_receiver()
        if receiver is not None:
            receiver.item = item
            try:
                wake(receiver.task)
            except BaseException:
                receiver.item = NOTHING
                raise
            self._receiver = None
            if self._receivers:
                self._receiver = self._receivers.popitem(last=False)[0]
            return True
        if self._state != _OPEN:
            return False
        buffer = self._buffer
        if buffer is None:
            buffer = self._buffer = deque()
        oldest = NOTHING
        # With "wait", the sender has looked for room. If there is none any more, a `__del__` or an instrument has just
        # sent something, too: better one too many than one that is lost.
        if len(buffer) - self._gaps >= self._limit and self._overflow != "wait":
            self._dropped += 1
            if self._overflow == "error":
                if self._gap is None:
                    self._gap = _Gap()
                    buffer.append(self._gap)
                    self._gaps += 1
                self._gap.lost += 1
                return False
            if self._overflow != "drop_oldest" or not buffer:
                return False
            oldest = buffer.popleft()
        self._gap = None
        buffer.append(cast("T_co", item))
        if oldest is not NOTHING:
            self._lost(oldest)
        del oldest  # only now: its `__del__` may use this feed
        return True

    def _lost(self, item: object) -> None:
        """The oldest item has been dropped."""

    def _items(self) -> list[object]:
        """The items in the buffer, without the gaps."""
        return [item for item in self._buffer or () if not isinstance(item, _Gap)]
