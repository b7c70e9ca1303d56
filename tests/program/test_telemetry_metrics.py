"""What is counted and measured, and with which attributes."""

from __future__ import annotations

import pytest
import trio
from support.supervisors import supervising
from support.telemetry import Seen
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, PubSub, Registry


class Cook(Actor):
    async def bake(self) -> None:
        await trio.sleep(3)

    def taste(self) -> None: ...

    @trioreg.raises(KeyError)
    def find(self) -> None:
        raise KeyError("salt")

    def burn(self) -> None:
        raise OSError("fire")


@pytest.fixture
def seen() -> Seen:
    return Seen()


async def test_handlers_and_callers_are_timed_under_the_names_of_the_conventions(
    seen: Seen, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cook)
        ref.cast_nowait(Cook.bake)
        await ref.call(Cook.bake)
    call = {
        "rpc.system.name": "trioreg",
        "rpc.method": "Cook.bake",
        "trioreg.actor.class": "Cook",
        "trioreg.message.outcome": "ok",
    }
    assert seen.points("rpc.server.call.duration") == [(call, 3, 1)]
    assert seen.points("rpc.client.call.duration") == [(call, 6, 1)]
    process = {
        "messaging.system": "trioreg",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.template": "Cook.bake",
        "trioreg.actor.class": "Cook",
        "trioreg.message.kind": "cast",
        "trioreg.message.method": "Cook.bake",
        "trioreg.message.outcome": "ok",
    }
    assert seen.points("messaging.process.duration") == [(process, 3, 1)]


async def test_the_wait_in_the_mailbox_is_timed_by_kind(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cook)
        ref.cast_nowait(Cook.bake)
        await ref.call(Cook.taste)
    waits = seen.values("trioreg.message.wait.duration", "trioreg.message.kind", "trioreg.message.method")
    assert waits == {("cast", "Cook.bake"): 0, ("call", "Cook.taste"): 3}


async def test_messages_are_counted_by_kind_and_outcome(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cook, restart="temporary")
        await ref.call(Cook.taste)
        with pytest.raises(KeyError):
            await ref.call(Cook.find)
        ref.cast_nowait(Cook.bake)
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await ref.call(Cook.taste)
        ref.cast_nowait(Cook.taste)
        ref.kill()
        await ref.wait()
        other = await supervisor.start_child(Cook, restart="temporary")
        other.cast_nowait(Cook.burn)
        await other.wait()
    assert seen.values("trioreg.messages", "trioreg.message.kind", "trioreg.message.outcome") == {
        ("call", "ok"): 1,
        ("call", "declared_error"): 1,
        ("cast", "cancelled"): 1,
        ("call", "withdrawn"): 1,
        ("cast", "exited"): 1,
        ("cast", "error"): 1,
    }
    assert seen.values("messaging.process.duration", "trioreg.message.outcome", "error.type").keys() == {
        ("cancelled", None),
        ("error", "OSError"),
    }
    assert seen.values("rpc.server.call.duration", "trioreg.message.outcome", "error.type").keys() == {
        ("ok", None),
        ("declared_error", None),
    }
    assert seen.values("rpc.client.call.duration", "trioreg.message.outcome", "error.type") == {
        ("ok", None): 0,
        ("declared_error", "KeyError"): 0,
        ("withdrawn", None): 1,
    }


async def test_a_dead_letter_from_before_is_counted(seen: Seen, autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cook, restart="temporary")
        ref.cast_nowait(Cook.taste)
        trioreg.add_instrument(seen.telemetry)
        ref.kill()
        await ref.wait()
    assert seen.values("trioreg.messages", "trioreg.message.outcome") == {("exited",): 1}
    assert seen.spans == []


async def test_mailboxes_are_measured_when_they_are_asked_for(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        for waiting in (1, 4):
            ref = await supervisor.start_child(Cook, restart="temporary")
            ref.cast_nowait(Cook.bake)
            await wait_all_tasks_blocked()
            for _ in range(waiting):
                ref.cast_nowait(Cook.taste)
        assert seen.values("trioreg.mailbox.length", "trioreg.actor.class") == {("Cook",): 4}
        assert seen.values("trioreg.mailbox.message.count", "trioreg.actor.class") == {("Cook",): 5}
        await trio.sleep(5)
        assert seen.values("trioreg.mailbox.length", "trioreg.actor.class") == {("Cook",): 0}


async def test_actors_and_their_ends_restarts_and_give_ups_are_counted(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    with pytest.RaisesGroup(trioreg.RestartLimitExceeded, OSError, OSError):
        async with trioreg.open_dynamic_supervisor(max_restarts=1) as supervisor:
            stopped = await supervisor.start_child(Cook, restart="temporary")
            await supervisor.start_child(Cook, restart="temporary")
            assert seen.values("trioreg.actor.count", "trioreg.actor.class") == {("Cook",): 2}
            await stopped.stop()
            assert seen.values("trioreg.actor.count", "trioreg.actor.class") == {("Cook",): 1}
            name: Registry[str, None] = Registry("names")
            await supervisor.start_child(Cook, name=name.via("a"))
            for _ in range(2):
                name.via("a").cast_nowait(Cook.burn)
                await wait_all_tasks_blocked()
    assert seen.values("trioreg.actor.exits", "trioreg.exit.reason") == {
        ("normal",): 1,
        ("crashed",): 2,
        ("shutdown",): 1,
    }
    assert seen.values("trioreg.actor.restarts", "trioreg.actor.class") == {("Cook",): 1}
    assert seen.values("trioreg.supervisor.give_ups") == {(): 1}
    assert seen.values("trioreg.actor.count", "trioreg.actor.class") == {("Cook",): 0}


async def test_an_actor_from_before_is_never_counted(seen: Seen, autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cook, restart="temporary")
        trioreg.add_instrument(seen.telemetry)
        await ref.stop()
        assert seen.values("trioreg.actor.count") == {}
        assert seen.values("trioreg.actor.exits", "trioreg.exit.reason") == {("normal",): 1}


async def test_names_are_counted_by_registry(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    cooks: Registry[str, None] = Registry("cooks", partitions=4)
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        for key in ("a", "b"):
            await supervisor.start_child(Cook, name=cooks.via(key))
        async with topics.subscribe("news"):
            counts = seen.values("trioreg.registry.name.count", "trioreg.registry")
            assert (counts["cooks",], counts["topics",]) == (2, 1)
        assert seen.values("trioreg.registry.name.count", "trioreg.registry")["topics",] == 0


async def test_no_attribute_has_a_registered_name_or_a_number(seen: Seen, autojump_clock: MockClock) -> None:
    cooks: Registry[str, None] = Registry("cooks")
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        for number in range(20):
            ref = await supervisor.start_child(Cook, name=cooks.via(f"cook {number}"))
            await ref.call(Cook.taste)
    for name in ("trioreg.messages", "rpc.server.call.duration", "trioreg.mailbox.length", "trioreg.actor.exits"):
        assert len(seen.points(name)) == 1
