"""Registry.cast_nowait(): one cast to the actor under a unique key, without an address."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, MailboxFull, NotRegistered, Registry


class Session(Actor):
    """It keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str, *, mark: str = "") -> None:
        self.lines.append(line + mark)

    async def write_later(self, line: str) -> None:
        await trio.sleep(1)
        self.lines.append(line)

    def read(self) -> list[str]:
        return self.lines


class SmallSession(Session):
    """It takes one message at a time."""

    mailbox_size = 1


class Guest(Actor):
    """No session."""


@pytest.mark.parametrize("partitions", [1, 8])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_the_actor_gets_the_casts_in_order(partitions: int, is_busy: bool, autojump_clock: MockClock) -> None:
    sessions: Registry[str, None] = Registry("sessions", partitions=partitions)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Session, name=sessions.via("ann"))
        await wait_all_tasks_blocked()
        if is_busy:
            sessions.cast_nowait("ann", Session.write_later, "zero")
            await wait_all_tasks_blocked()
        sessions.cast_nowait("ann", Session.write, "one")
        sessions.cast_nowait("ann", Session.write, "two", mark="!")
        sessions.cast_nowait("ann", Session.write, "three")
        assert await ref.call(Session.read) == ["zero"] * is_busy + ["one", "two!", "three"]


async def test_a_full_mailbox_refuses_the_cast(names: Registry[str, None], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SmallSession, name=names.via("ann"))
        names.cast_nowait("ann", Session.write_later, "one")
        await wait_all_tasks_blocked()
        names.cast_nowait("ann", Session.write, "two")
        with pytest.raises(MailboxFull):
            names.cast_nowait("ann", Session.write, "three")
        assert await ref.call(Session.read) == ["one", "two"]


async def test_the_cast_goes_to_the_owner_that_the_key_has_now(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        for _ in range(2):
            ref = await supervisor.start_child(Session, name=names.via("ann"), restart="temporary")
            names.cast_nowait("ann", Session.write, "hello")
            assert await ref.call(Session.read) == ["hello"]
            await ref.stop()
            with pytest.raises(NotRegistered):
                names.cast_nowait("ann", Session.write, "hello")


async def test_an_actor_that_stops_refuses_the_cast(names: Registry[str, None], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Session, name=names.via("ann"), restart="temporary")
        ref.cast_nowait(Session.write_later, "one")
        await wait_all_tasks_blocked()
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited):
            names.cast_nowait("ann", Session.write, "two")


async def test_each_wrong_argument_is_named(
    names: Registry[str, None], topics: Registry[str, int], autojump_clock: MockClock
) -> None:
    careless: Any = names
    async with supervised() as supervisor:
        await supervisor.start_child(Guest, name=names.via("guest"))
        names.register("task")
        with pytest.raises(TypeError, match=re.escape("key must be hashable: ['ann']")):
            careless.cast_nowait(["ann"], Session.write, "hello")
        with pytest.raises(ValueError, match=r"cast_nowait\(\) needs unique keys"):
            topics.cast_nowait("ann", Session.write, "hello")
        with pytest.raises(TypeError, match="write"):
            names.cast_nowait("guest", Session.write, "hello")
        with pytest.raises(TypeError, match="'task'"):
            names.cast_nowait("task", Session.write, "hello")
        with pytest.raises(NotRegistered, match="nobody"):
            names.cast_nowait("nobody", Session.write, "hello")
