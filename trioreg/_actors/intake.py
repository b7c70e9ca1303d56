"""An `Intake`: messages for one actor that all run the same method, from senders that the actor does not know.

An unbounded one puts each message into the mailbox. A bounded one keeps the messages in a `Feed` of its own. It has at
most one message in the mailbox, which takes the next one out of the feed. So the rules of a feed hold for an actor,
too, and its mailbox never fills up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import UNUSUAL, Feed, Place, require_room
from .cell import STOPPING
from .deadlock import waiting_for
from .handler import Handler
from .message import CAST, INFO
from .observed import BufferedMessage, buffered, publication, run_buffered, tell_buffered_left
from .wait_graph import RoomWait

if TYPE_CHECKING:
    from .cell import Cell
    from .observed import WatchedMessage, WhyLeft
    from .ref import ActorRef


class Intake:
    """A way into one actor's mailbox.

    Attributes:
        cell: The actor's cell, if each message goes straight into the mailbox; else None.
        feed: The messages that the actor has not begun with, if it is bounded; else None.
        kind: The kind of these messages: a `Handler` that takes the message, or `INFO`.
    """

    __slots__ = ("_cell", "_handler", "_is_queued", "cell", "feed", "kind")

    def __init__(self, ref: ActorRef[Any], method: Callable[..., object] | None, buffer: float, overflow: str) -> None:
        """Raises `TypeError` if the actor has no such method, or if the method does not take one argument.

        Args:
            ref: The actor; it has not ended.
            method: The method to run with each message; None for ``on_message``, or ``receive()`` of a function actor.
            buffer: How many messages may wait; `math.inf`: any number.
            overflow: What happens when the buffer is full, as for a `Feed`.
        """
        cell = ref._cell
        assert cell is not None
        self._cell: Cell = cell
        self._handler: Handler | None = None
        self._is_queued = False
        self.cell: Cell | None = None
        self.kind: object = INFO
        self.feed: Buffer | None = None
        handler = None if method is None else cell.handlers.find(method, (None,), {})
        if buffer == math.inf and cell.limit is None:
            self._handler = handler
            self.cell = cell
            self.kind = INFO if handler is None else handler
            return
        if cell.hooks is None:
            raise TypeError(f"{ref!r} is a function actor, which has no buffer: use subscribe() in it")
        inner = handler or cell.hooks.on_message
        self.feed = Buffer(cell, inner, buffer, overflow)
        self._handler = Next(self, inner)

    @property
    def put(self) -> Callable[[object], bool]:
        """Adds a message. Returns whether it got in. It never waits.

        The caller keeps it: it is not kept in here, which would be a cycle for the garbage collector.
        """
        if self.feed is not None:
            return self._put_bounded
        return self._put_message if self._handler is None else self._put_cast

    def begin_with(self, messages: Sequence[object]) -> None:
        """Have these messages handled before all others. They do not count as waiting in the buffer."""
        if self.feed is None:
            for message in messages:
                self.put(message)
        elif messages and self._cell.is_open:
            self.feed._begin_with([self.feed.watched(message) for message in messages] if UNUSUAL else messages)
            self.queue_next()

    def has_room(self) -> bool:
        """Whether a sender need not wait: `put` drops nothing. An actor that is ending takes nothing."""
        return self.feed is None or not self._cell.is_open or self.feed._has_room()

    async def wait_for(self, place: Place) -> bool:
        """Wait until the feed has taken an item. False if the subscription ended first. A checkpoint only if it waits.

        There is room when the actor takes its next message. So this waits for its handler, as a call does.
        """
        if place.is_in_line():
            with waiting_for(self._cell, current_task(), RoomWait):
                await place.wait()
        if UNUSUAL and not place.got_in and self.feed is not None:
            self.feed._lost(place.item, "exited")
        return place.got_in

    def place_for(self, message: object) -> Place:
        """A place for a message in the line for room."""
        assert self.feed is not None
        return Place(self.feed, self.feed.watched(message) if UNUSUAL else message)

    def withdraw(self, place: Place) -> None:
        """Give a place up, if the message is still waiting."""
        place.withdraw()
        if UNUSUAL and not place.got_in and self.feed is not None:
            self.feed._lost(place.item, "withdrawn")

    def _put_message(self, message: object) -> bool:
        cell = self._cell
        if not cell.is_open:
            return False
        if UNUSUAL:
            cell.put(*publication(cell, INFO, message))
        else:
            cell.put(INFO, message)
        return True

    def _put_cast(self, message: object) -> bool:
        cell = self._cell
        if not cell.is_open:
            return False
        if UNUSUAL:
            cell.put(*publication(cell, self._handler, (message,)))
        else:
            cell.put(self._handler, (message,))
        return True

    def _put_bounded(self, message: object) -> bool:
        if not self._cell.is_open:
            return False
        assert self.feed is not None
        if not self._is_queued:
            require_room(10)  # a message in the feed can't be taken back when there is no room to queue it
        if UNUSUAL:
            message = self.feed.watched(message)
        got_in = self.feed._put(message)
        if UNUSUAL and not got_in:
            self.feed._lost(message)
        self.queue_next()
        return got_in

    def queue_next(self) -> None:
        """Put a message into the mailbox that takes the next one out of the feed, if there is none and it is needed."""
        assert self.feed is not None
        if self._is_queued or not self.feed._has_item():
            return
        cell = self._cell
        message: tuple[object, ...] = (self._handler, (), {})
        if cell.state == STOPPING and cell.queue is not None:
            # The actor handles what it has before it ends. `STOP` lies in the queue: this goes in front of it.
            cell.queue.extendleft((message, CAST))
        else:
            cell.put(CAST, message)  # also if an instrument has just ended the actor: what is in the feed is not lost
        self._is_queued = True

    def begin_next(self) -> object:
        """The next message out of the feed, for the handler. Raises `Overflow` where messages are missing."""
        assert self.feed is not None
        self._is_queued = False
        try:
            return self.feed.receive_nowait()
        finally:
            self.queue_next()

    def refuse(self) -> int:
        """The actor is ending, and takes nothing more out of the feed. Returns how many messages are left in it.

        Senders that wait for room wait no longer.
        """
        assert self.feed is not None
        return self.feed._throw_away()


class Buffer(Feed[object]):
    """The feed of an intake. It tells the instruments of messages that are lost."""

    __slots__ = ("_cell", "_handler")

    def __init__(self, cell: Cell, handler: Handler, limit: float, overflow: str) -> None:
        super().__init__(limit, overflow)
        self._cell = cell
        self._handler = handler

    def watched(self, message: object) -> object:
        """The message as it goes into the buffer: somebody may watch it."""
        return buffered(self._cell, self._handler, message)

    def _lost(self, item: object, why: WhyLeft = "dropped") -> None:
        tell_buffered_left(self._cell, self._handler, item, why)

    def _throw_away(self) -> int:
        if UNUSUAL:
            # What came first, too: the retained messages.
            first = list(self._first or ())
            self._first = iter(first) if first else None
            for item in [*first, *self._items()]:
                self._lost(item, "exited")
        return super()._throw_away()


class Next(Handler):
    """Runs another handler with the next message of an intake.

    Attributes:
        message: The message that it runs, if instruments watch it; else None.
    """

    __slots__ = ("_inner", "intake", "message")

    def __init__(self, intake: Intake, inner: Handler) -> None:
        self.name, self.declared, self.limit = inner.name, inner.declared, inner.limit
        self.is_async, self.has_own_turn = inner.is_async, inner.has_own_turn
        self._inner = inner
        self.intake = intake
        self.message: WatchedMessage | None = None
        self.function = self._begin

    @enable_ki_protection
    def _begin(self, actor: object, /) -> Any:
        message = self.intake.begin_next()
        if type(message) is BufferedMessage:
            self.message = message.message
            return run_buffered(message, self._inner, actor)
        self.message = None
        return self._inner.function(actor, message)
