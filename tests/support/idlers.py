"""Actors that wait for messages and keep what they hear: an actor, one with an idle timeout, and a function."""

from __future__ import annotations

import trioreg
from trioreg import Actor


class Idler(Actor):
    """It adds each message to a list that the test has too."""

    def __init__(self, heard: list[object]) -> None:
        self.heard = heard

    async def on_message(self, message: object) -> None:
        self.heard.append(message)

    def hear(self, message: object) -> None:
        self.heard.append(message)


class Timed(Idler):
    """It hears "idle" after each second without a message."""

    idle_timeout = 1.0

    async def on_idle(self) -> None:
        self.heard.append("idle")


async def listener(heard: list[object]) -> None:
    """`Idler` as a function."""
    while True:
        message = await trioreg.receive()
        assert message == "message"
        heard.append(message)
