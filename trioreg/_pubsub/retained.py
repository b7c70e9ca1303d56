"""The last message of each topic, for later subscribers: ``publish(..., retain=True)``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

from trio.lowlevel import checkpoint

from .._runtime import Run
from .wildcard import Wildcard

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


KEPT_PER_TURN = 200
"""How many retained messages a new subscription to a pattern looks at before other tasks run."""


NOTHING: Any = object()

NOT_UNDONE: Any = object()


class _Tried:
    """A message whose publication may fail while others are published.

    Attributes:
        message: The message.
        undone_to: `NOT_UNDONE`, until the publication fails. Then what was retained before the message, or `NOTHING`.
    """

    __slots__ = ("message", "undone_to")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.undone_to: object = NOT_UNDONE


class Retained(Generic[K, M]):
    """The retained messages of one Trio run."""

    __slots__ = ("_messages", "_run")

    def __init__(self) -> None:
        # A message is in it as it is, or in a `_Tried`.
        self._messages: dict[K, Any] = {}
        self._run: Run | None = None

    def keep(self, run: Run, topic: K, message: M, *, is_tried: bool) -> Callable[[], None]:
        """Keep a message as the last one of its topic. Returns what undoes that.

        ``is_tried`` says that other messages may be published before this one can fail.
        """
        if self._run is not run:
            self._messages = {}  # the messages of a run that has ended are dropped
            self._run = run
        messages = self._messages
        before = messages.get(topic, NOTHING)
        kept: Any = _Tried(message) if is_tried else message
        messages[topic] = kept

        def undo() -> None:
            if is_tried:
                kept.undone_to = before
            if messages.get(topic, NOTHING) is not kept:  # there is a later one
                return
            last = before
            while type(last) is _Tried and last.undone_to is not NOT_UNDONE:
                last = last.undone_to
            if last is NOTHING:
                del messages[topic]
            else:
                messages[topic] = last

        return undo

    def forget(self, topic: K) -> bool:
        """Drop the message of a topic. Returns whether there was one."""
        if topic not in self._messages or self._run is None or self._run.is_over:
            return False
        del self._messages[topic]
        return True

    def of_run(self, run: Run) -> dict[K, Any]:
        """The topics of a run that have a message. (The values are for this file only.)"""
        return self._messages if self._run is run and not run.is_over else {}

    def all(self) -> list[tuple[K, M]]:
        """All messages with their topics, as they are now."""
        return (
            []
            if self._run is None or self._run.is_over
            else [(topic, message_of(kept)) for topic, kept in list(self._messages.items())]
        )

    def of(self, topic: K | Wildcard) -> list[M]:
        """The messages for a new subscriber. For a pattern, the cost grows with all topics that have one."""
        if isinstance(topic, Wildcard):
            return [message for kept, message in self.all() if topic.matches(kept)]
        if self._run is None or self._run.is_over:
            return []
        try:
            return [message_of(self._messages[topic])]
        except KeyError:
            return []


def message_of(kept: Any) -> Any:
    """The message that is kept."""
    return kept.message if type(kept) is _Tried else kept


async def those_that_match(pattern: Wildcard, kept: Sequence[tuple[object, M]]) -> list[M]:
    """The messages whose topics match a pattern. It begins in the caller's turn. Other tasks run on the way."""
    found: list[M] = []
    for begin in range(0, len(kept), KEPT_PER_TURN):
        if begin:
            await checkpoint()
        found += [message for topic, message in kept[begin : begin + KEPT_PER_TURN] if pattern.matches(topic)]
    return found
