"""The actor that most tests of actors start, its errors, and a wait until it is idle."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from support.errors import Bang
from support.inside import is_idle
from trioreg import Actor, ActorRef, raises


class Refused(Exception):
    """A declared error."""


class RefusedPolitely(Refused):
    """A subclass of a declared error."""


class SecretAgent(Actor):
    """It notes what it is told, answers, refuses, and crashes: the actor of most tests."""

    def __init__(self, codename: str = "James Bond") -> None:
        self.codename = codename
        self.notes: list[object] = []

    def echo(self, text: str) -> str:
        return f'{self.codename} says: "{text}"'

    async def aecho(self, text: str) -> str:
        await trio.lowlevel.checkpoint()
        return f'{self.codename} says: "{text}"'

    def note(self, text: object, *, twice: bool = False) -> None:
        self.notes.extend([text, text] if twice else [text])

    async def anote(self, text: object) -> None:
        await trio.lowlevel.checkpoint()
        self.notes.append(text)

    def read(self) -> list[object]:
        return list(self.notes)

    async def aread(self) -> list[object]:
        await trio.lowlevel.checkpoint()
        return list(self.notes)

    def own_notes(self) -> list[object]:
        return self.notes

    def bang(self) -> None:
        raise Bang("boom")

    async def abang(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Bang("boom")

    @raises(Refused, KeyError)
    def refuse(self, error: type[Exception] = Refused) -> None:
        raise error("no")

    @raises(Refused, KeyError)
    async def arefuse(self, error: type[Exception] = Refused) -> None:
        await trio.lowlevel.checkpoint()
        raise error("no")

    async def wait_for(self, event: trio.Event) -> str:
        await event.wait()
        return "done"

    async def on_message(self, message: Any) -> None:
        self.notes.append(message)


async def idle(ref: ActorRef[Any]) -> None:
    """Wait until the actor is idle: it waits for messages, and runs sync handlers in the caller's turn."""
    await wait_all_tasks_blocked()
    assert is_idle(ref)
