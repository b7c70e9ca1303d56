"""A lobby: an actor that answers in every way there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import trio

from support.errors import Bang
from trioreg import Actor, ActorRef, Address, Reply


class Lobby(Actor):
    """It answers at once, later, or never; or crashes, at once or a checkpoint later."""

    mailbox_size: int | None = None

    def __init__(self) -> None:
        self.waiting: list[Reply[str]] = []
        self.notes: list[str] = []
        self.gate = trio.Event()

    def join(self) -> Reply[str]:
        self.notes.append("join")
        self.waiting.append(Reply[str]())
        return self.waiting[-1]

    async def ajoin(self) -> Reply[str]:
        await trio.lowlevel.checkpoint()
        return self.join()

    def mixed(self) -> Coroutine[Any, Any, str]:
        async def rest() -> str:
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            self.notes.append("rest")
            return "welcome"

        self.notes.append("mixed")
        return rest()

    def answered(self) -> Reply[str]:
        self.notes.append("answered")
        reply = Reply[str]()
        reply.send("welcome")
        return reply

    def forget(self) -> Reply[str]:
        self.notes.append("forget")
        return Reply[str]()

    def begin(self) -> int:
        waiting = len(self.waiting)
        while self.waiting:
            self.waiting.pop().send("welcome")
        return waiting

    def itself(self) -> Lobby:
        return self

    def note(self, text: str) -> str:
        self.notes.append(text)
        return text

    async def block(self) -> None:
        await self.gate.wait()

    def bang(self) -> str:
        self.notes.append("bang")
        raise Bang

    async def abang(self) -> str:
        await trio.lowlevel.checkpoint()
        return self.bang()

    async def on_message(self, message: str) -> None:
        self.notes.append(message)


class SmallLobby(Lobby):
    """Its mailbox has room for one message."""

    mailbox_size = 1


def ways_to_note(address: Address[Any], text: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Have a lobby note a text, by a call, a cast or a message."""
    return {
        "call": lambda: address.call(Lobby.note, text),
        "cast": lambda: address.cast(Lobby.note, text),
        "send": lambda: address.send(text),
    }


async def open_later(lobby: Lobby) -> None:
    """Let a lobby that is blocked go on after a second."""
    await trio.sleep(1)
    lobby.gate.set()


def assert_at_rest(ref: ActorRef[Lobby]) -> None:
    """No message waits, and no caller waits for an answer."""
    statistics = ref.statistics()
    assert statistics.queued == 0
    assert statistics.calls_in_flight == 0
