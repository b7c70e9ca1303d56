"""The last message of each topic, for later subscribers: ``publish(..., retain=True)``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from trio.lowlevel import checkpoint

from .._runtime import Run
from .wildcard import Wildcard

K = TypeVar("K", bound=Hashable)
M = TypeVar("M")


KEPT_PER_TURN = 200
"""How many retained messages the entry of a pattern looks at before other tasks run."""


class Retained(Generic[K, M]):
    """The retained messages of one Trio run."""

    __slots__ = ("_messages", "_run")

    def __init__(self) -> None:
        self._messages: dict[K, M] = {}
        self._run: Run | None = None

    def keep(self, run: Run, topic: K, message: M) -> Callable[[], None]:
        """Keep a message as the last one of its topic. Returns what undoes that."""
        if self._run is not run:
            self._messages = {}  # those of a run that has ended
            self._run = run
        messages = self._messages
        before = [messages[topic]] if topic in messages else []
        messages[topic] = message

        def undo() -> None:
            if topic in messages and messages[topic] is message:  # else there is a later one
                del messages[topic]
                if before:
                    messages[topic] = before[0]

        return undo

    def forget(self, topic: K) -> bool:
        """Drop the message of a topic. Returns whether there was one."""
        if topic not in self._messages or self._run is None or self._run.is_over:
            return False
        del self._messages[topic]
        return True

    def of_run(self, run: Run) -> dict[K, M]:
        """The messages of a run, by their topics. Only to be read."""
        return self._messages if self._run is run and not run.is_over else {}

    def all(self) -> list[tuple[K, M]]:
        """All messages with their topics, as they are now."""
        return [] if self._run is None or self._run.is_over else list(self._messages.items())

    def of(self, topic: K | Wildcard) -> list[M]:
        """The messages for a new subscriber. For a pattern, the cost grows with all topics that have one."""
        if isinstance(topic, Wildcard):
            return [message for kept, message in self.all() if topic.matches(kept)]
        if self._run is None or self._run.is_over:
            return []
        try:
            return [self._messages[topic]]
        except KeyError:
            return []


async def those_that_match(pattern: Wildcard, kept: Sequence[tuple[object, M]]) -> list[M]:
    """The messages whose topics match a pattern. It begins in the caller's turn. Other tasks run on the way."""
    found: list[M] = []
    for begin in range(0, len(kept), KEPT_PER_TURN):
        if begin:
            await checkpoint()
        found += [message for topic, message in kept[begin : begin + KEPT_PER_TURN] if pattern.matches(topic)]
    return found
