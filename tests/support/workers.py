"""Small actors that many tests start."""

from __future__ import annotations

import trio

from support.errors import Bang
from trioreg import Actor, Exit


class Worker(Actor):
    """It writes down when it starts and when it ends, each after a number of seconds."""

    def __init__(self, log: list[str], name: str, *, start: float = 0, stop: float = 0) -> None:
        self.log = log
        self.name = name
        self.start_seconds = start
        self.stop_seconds = stop

    async def on_start(self) -> None:
        await trio.sleep(self.start_seconds)
        self.begin()

    def begin(self) -> None:
        """It has started, unless this raises."""
        self.log.append(f"+{self.name}")

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(self.stop_seconds)
        self.log.append(f"-{self.name}")

    def ping(self) -> str:
        return self.name

    def bang(self) -> None:
        raise Bang(self.name)
