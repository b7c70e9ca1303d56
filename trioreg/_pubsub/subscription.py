"""A subscription: what a topic keeps for each subscriber. It is the value of an entry in the registry of the topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._actors import Intake, can_share
from .._runtime import Feed, Place, shown_safely


class Subscription:
    """One subscriber of one topic.

    Attributes:
        value: What the subscriber has given as ``value=``.
        cell, kind: As for `Intake`. None, if it is no actor's.
        can_share: Whether the actor, if it is idle, can handle the message in a shared turn.
        put: Adds a message. Returns whether it got in. It never waits.
        feed: What the messages wait in; None if they go straight into an actor's mailbox.
        waits: Whether a publisher that can wait does so when there is no room.
        is_open: Whether it is still in the tables.
        successor: The subscription with another value that has replaced this one in the tables; else None.
    """

    __slots__ = ("_intake", "can_share", "cell", "feed", "is_open", "kind", "put", "successor", "value", "waits")

    def __init__(self, to: Feed[Any] | Intake, value: object, waits: bool) -> None:
        self.value = value
        self.waits = waits
        self.is_open = True
        self.successor: Subscription | None = None
        self._intake = to if isinstance(to, Intake) else None
        self.cell = None if self._intake is None else self._intake.cell
        self.kind = None if self._intake is None else self._intake.kind
        self.can_share = can_share(self.kind)
        self.feed: Feed[Any] | None = to if isinstance(to, Feed) else to.feed
        self.put: Callable[[object], bool] = to._put if isinstance(to, Feed) else to.put

    def __repr__(self) -> str:
        # The table viewer shows it.
        value = "" if self.value is None else f", value {shown_safely(self.value)}"
        dropped = "" if self.feed is None or not self.feed.dropped else f", {self.feed.dropped} dropped"
        return f"<subscription{value}{dropped}>"

    def has_room(self) -> bool:
        """Whether a publisher need not wait: `put` drops nothing."""
        if self._intake is not None:
            return self._intake.has_room()
        return self.feed is None or self.feed._has_room()

    def place_for(self, message: object) -> Place:
        """A place in the line for room."""
        if self._intake is not None:
            return self._intake.place_for(message)
        assert self.feed is not None
        return Place(self.feed, message)

    def withdraw(self, place: Place) -> None:
        """Give a place up. If it has had room, nothing happens."""
        if self._intake is None:
            place.withdraw()
        else:
            self._intake.withdraw(place)

    async def wait_for(self, place: Place) -> bool:
        """Wait until there was room. False if the subscription ended first. A checkpoint only if it waits."""
        return await (place.wait() if self._intake is None else self._intake.wait_for(place))

    def with_value(self, value: object) -> Subscription:
        """The same subscription with another value. This one keeps its own: a watcher may still have to show it."""
        to = self._intake or self.feed
        assert to is not None
        return Subscription(to, value, self.waits)

    def latest(self) -> Subscription:
        """The last subscription that has replaced this one. This one, if none has."""
        latest = self
        while latest.successor is not None:
            latest = latest.successor
        return latest

    def lives_on(self) -> bool:
        """Whether this subscription is still in the tables, perhaps with another value."""
        return self.latest().is_open

    def end(self) -> None:
        """It is out of the tables: nothing more comes. What has come before can still be received."""
        self.is_open = False
        if self.feed is not None and self.successor is None:
            self.feed._end()
