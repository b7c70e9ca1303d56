"""A naive model of a subscription: lists, and the four overflow rules in words."""

from __future__ import annotations

import math
from typing import Any

import attrs
import trio

from support.topics import GAP


@attrs.define(eq=False)
class Publication:
    """A task in `publish`.

    Attributes:
        message: The message.
        reached: How many it should have reached so far.
        waiting_in: The subscriptions that it waits in, in order.
        result: What it returned; None while it waits.
        scope: Cancels it.
    """

    message: int
    reached: int = 0
    waiting_in: list[Subscribed] = attrs.field(factory=list[Any])
    result: int | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(eq=False)
class Receiving:
    """A task in `receive`: what it should get and what it got; None while it waits."""

    expected: Any = None
    got: Any = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)


@attrs.define(eq=False)
class Subscribed:
    """One subscription, of a feed or of an actor.

    Attributes:
        first: The retained messages that nobody has received yet.
        items: What waits, with [GAP, n] in the place of n that are lost.
        senders: The publications that wait for room.
        receivers: The tasks that wait to receive.
        handled: What the actor should have handled.
        got: What the actor has handled.
    """

    topic: Any
    owner: Any
    buffer: float
    overflow: str
    value: int
    first: list[int]
    feed: Any = None
    block: Any = None
    actor: Any = None
    until: trio.Event | None = None
    is_open: bool = True
    is_dead: bool = False
    items: list[Any] = attrs.field(factory=list[Any])
    dropped: int = 0
    senders: list[Publication] = attrs.field(factory=list[Any])
    receivers: list[Receiving] = attrs.field(factory=list[Any])
    handled: list[int] = attrs.field(factory=list[Any])
    got: list[int] = attrs.field(factory=list[Any])
    iterated: Any = None

    def iterator(self) -> Any:
        """An iterator over the feed, always the same one."""
        if self.iterated is None:
            self.iterated = aiter(self.feed)
        return self.iterated

    @property
    def buffered(self) -> int:
        return sum(isinstance(item, int) for item in self.items)

    @property
    def holds_up(self) -> bool:
        return self.overflow == "wait" and not self.receivers and (self.buffered >= self.buffer or bool(self.senders))

    def tell(self, message: int) -> bool:
        """Whether the message got in."""
        if self.receivers:
            self.receivers.pop(0).expected = message
            return True
        if self.buffered < self.buffer:
            self.items.append(message)
            return True
        self.dropped += 1
        if self.overflow == "drop_oldest" and self.buffer > 0:
            self.items.pop(0)
            self.items.append(message)
            return True
        if self.overflow == "error":
            if self.items and not isinstance(self.items[-1], int):
                self.items[-1][1] += 1
            else:
                self.items.append([GAP, 1])
        return False

    def publish(self, publication: Publication) -> None:
        """The same for a publication that waits for room."""
        if self.holds_up:
            self.senders.append(publication)
            publication.waiting_in.append(self)
        else:
            publication.reached += self.tell(publication.message)

    def take(self) -> Any:
        """The next item; None if there is none."""
        if self.first:
            return self.first.pop(0)
        if self.items:
            item = self.items.pop(0)
            self._admit()
            return item if isinstance(item, int) else tuple(item)
        if self.senders:
            self._admit()
            return self.items.pop(0)
        return None if self.is_open else "end"

    def _admit(self) -> None:
        if self.senders:
            publication = self.senders.pop(0)
            publication.waiting_in.remove(self)
            publication.reached += 1
            self.items.append(publication.message)

    def receive(self, receiving: Receiving) -> None:
        receiving.expected = self.take()
        if receiving.expected is None:
            self.receivers.append(receiving)

    def handle(self, at_most: int | None = None) -> bool:
        """The actor handles what it has, or that many messages of it. Whether it crashes on the way."""
        left = math.inf if at_most is None else at_most
        while left and (item := self.take()) not in (None, "end"):
            if not isinstance(item, int):
                return True
            self.handled.append(item)
            left -= 1
        return False

    def end(self) -> None:
        """It is out of the tables."""
        self.is_open = False
        for receiving in self.receivers:
            receiving.expected = "end"
        for publication in self.senders:
            publication.waiting_in.remove(self)
        self.receivers, self.senders = [], []

    def die(self) -> None:
        """Its actor has ended, or its block was left."""
        self.end()
        self.is_dead = True
        self.first, self.items = [], []
