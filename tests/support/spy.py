"""An actor that takes checkpoints to start and to stop, and writes down what it did."""

from __future__ import annotations

import trio

from trioreg import Actor, Exit, raises


class Spy(Actor):
    """It writes each step of its life into a log, with a checkpoint in `on_start` and in `on_stop`."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        log.append("made")

    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()
        self.log.append("started")

    async def on_stop(self, exit: Exit) -> None:
        await trio.lowlevel.checkpoint()
        self.log.append("stopped")

    def note(self, text: str) -> str:
        self.log.append(text)
        return text

    async def anote(self, text: str) -> str:
        await trio.lowlevel.checkpoint()
        return self.note(text)

    @raises(KeyError)
    def refuse(self, text: str) -> str:
        self.log.append(text)
        raise KeyError(text)

    async def on_message(self, message: str) -> None:
        self.log.append(message)
