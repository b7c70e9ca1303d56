"""Connections that come at a bad moment: before the supervisor is there, or when the actor of one ends in its start."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised, supervising
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, ChildSpec, DynamicSupervisor, Registry, connection_handler, open_dynamic_supervisor
from trioreg._supervision import connections


class Room(Actor):
    def enter(self) -> None:
        raise Bang("no room")


class Session(Actor):
    """It enters a room, which takes one second, or fails."""

    def __init__(self, stream: trio.abc.Stream, room: ActorRef[Room] | None = None) -> None:
        self.room = room

    async def on_start(self) -> None:
        if self.room is not None:
            await self.room.call(Room.enter)
        await trio.sleep(1)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """What the log says of connections."""
    return [
        (record.levelno, record.getMessage()) for record in caplog.records if "connection is" in record.getMessage()
    ]


async def test_a_connection_that_is_starting_when_its_supervisor_stops_is_closed_and_that_is_no_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    near, _ = memory_stream_pair()
    async with open_dynamic_supervisor() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(connection_handler(supervisor, Session), near)
        await wait_all_tasks_blocked()
        supervisor.stop()
    ((level, text),) = lines(caplog)
    assert level == logging.INFO
    assert text.startswith("a connection is closed before its actor has started: ")


async def test_an_actor_that_does_not_start_as_another_one_has_crashed_is_an_error_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    near, _ = memory_stream_pair()
    async with supervised() as supervisor:
        room = await supervisor.start_child(Room, restart="temporary")
        await connection_handler(supervisor, Session, room)(near)
    assert lines(caplog) == [(logging.ERROR, "a connection is closed: its actor did not start")]
    assert "no room" in caplog.text


@pytest.mark.parametrize("how", ["shutdown", "crashed"])
async def test_a_connection_is_closed_after_the_supervisor_that_the_reference_leads_to_has_ended(
    how: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    near, _ = memory_stream_pair()
    async with supervised() as above:
        sessions = await above.start_child(partial(DynamicSupervisor, max_restarts=0), restart="temporary")
        handler = connection_handler(sessions, Session)
        if how == "shutdown":
            sessions.cancel()
        else:
            room = await sessions.call(DynamicSupervisor.start_child, Room)
            room.cast_nowait(Room.enter)
        assert (await sessions.wait()).reason == how
        await handler(near)
    if how == "shutdown":
        text = f"a connection is closed before its actor has started: {sessions!r} has ended: shutdown"
        assert lines(caplog) == [(logging.INFO, text)]
    else:
        assert lines(caplog) == [(logging.ERROR, "a connection is closed: its actor did not start")]


async def test_a_connection_is_refused_while_its_supervisor_has_its_name_and_has_not_begun(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def go_on() -> None: ...

    near, _ = memory_stream_pair()
    names: Registry[str, None] = Registry("names")
    handler = connection_handler(names.via("sessions"), Session)
    async with supervising() as supervisor:
        monkeypatch.setattr(connections, "checkpoint", go_on)
        supervisor._engine.starting._begin_new(ChildSpec(DynamicSupervisor, name=names.via("sessions")))
        await handler(near)  # in the same step
        await trio.sleep(1)
        assert len(lines(caplog)) == 1
    assert lines(caplog) == [
        (logging.WARNING, "a connection is refused: 'sessions' is not running: it can't start a child")
    ]
