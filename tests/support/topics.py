"""Subscribers for the tests of PubSub: a feed that is read at once, and an actor that keeps what it gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from trioreg import Actor, Feed, Overflow, PubSub

GAP = "gap"


def messages(feed: Feed[Any]) -> list[Any]:
    """The messages that have come so far; `GAP` and a count where some are missing."""
    found: list[Any] = []
    while True:
        try:
            found.append(feed.receive_nowait())
        except Overflow as overflow:
            found.append((GAP, overflow.count))
        except (trio.WouldBlock, trio.EndOfChannel):
            return found


class Reader(Actor):
    """It keeps what it gets. While it holds, it handles nothing."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.plain: list[Any] = []

    def take(self, message: Any) -> None:
        self.got.append(message)

    async def on_message(self, message: Any) -> None:
        self.plain.append(message)

    async def hold(self, until: trio.Event) -> None:
        await until.wait()

    def run(self, function: Callable[[], object]) -> object:
        return function()

    def leave(self, pubsub: PubSub[Any, Any], topic: Any) -> int:
        return pubsub.leave(topic)

    def all(self) -> list[Any]:
        return self.got

    def all_plain(self) -> list[Any]:
        return self.plain
