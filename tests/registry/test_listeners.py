"""listeners=: functions and actors that are told what happens, in the step in which it happens."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.events import received
from support.owners import SORTS, Crash, Holder, Sort, held_by, staged
from support.registry_kinds import KINDS, kind_id
from support.supervisors import supervised
from support.watcher import rows
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    Event,
    Registered,
    Registry,
    Unregistered,
    current_owner,
)


async def test_a_listener_is_told_in_the_step_in_which_it_happens(autojump_clock: MockClock) -> None:
    for keys, partitions in KINDS:
        events: list[Event[str, int]] = []
        registry: Registry[str, int] = Registry("tested", keys=keys, partitions=partitions, listeners=[events.append])
        owner = registry.register("a", 1)
        assert events == [Registered("tested", "a", owner, 1)]
        registry.unregister("a")
        assert events == [Registered("tested", "a", owner, 1), Unregistered("tested", "a", owner, 1)]


async def test_listeners_are_told_in_their_order_one_event_after_the_other(autojump_clock: MockClock) -> None:
    log: list[tuple[str, str]] = []
    registry: Registry[str, None] = Registry(
        "tested",
        listeners=[
            lambda event: log.append(("first", event.key)),
            lambda event: log.append(("second", event.key)),
        ],
    )
    registry.register("a")
    registry.register("b")
    assert log == [("first", "a"), ("second", "a"), ("first", "b"), ("second", "b")]


# Actors as listeners


async def test_an_actor_as_a_listener_gets_events_as_messages(autojump_clock: MockClock) -> None:
    inbox: list[Any] = []

    class Listening(Actor):
        async def on_message(self, message: Any) -> None:
            inbox.append(message)

    async with staged() as stage:
        listener = await stage.supervisor.start_child(Listening, restart="temporary")
        registry: Registry[str, int] = Registry("tested", listeners=[listener])
        owner = await stage.actor()
        registry.register("a", 1, owner=owner)
        await stage.end(owner, "crashes")
        await wait_all_tasks_blocked()
        assert inbox == [Registered("tested", "a", owner, 1), Unregistered("tested", "a", owner, 1, owner.exit)]
        # A listener that has ended is no error.
        await listener.stop()
        registry.register("b", 2)
        assert registry.keys(current_owner()) == ["b"]


async def test_a_listener_can_be_a_name_that_is_not_registered_yet(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    inbox: list[Any] = []

    class Listening(Actor):
        async def on_message(self, message: Any) -> None:
            inbox.append(message.key)

    directory: Registry[str, None] = Registry("directory")
    registry: Registry[str, None] = Registry("tested", listeners=[directory.via("listener")])
    registry.register("unheard")
    async with staged() as stage:
        await stage.supervisor.start_child(Listening, name=directory.via("listener"))
        registry.register("heard")
        await wait_all_tasks_blocked()
    assert inbox == ["heard"]
    assert caplog.records == []


# Listeners that fail


async def test_a_listener_that_raises_is_logged_and_stops_nothing(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(event: object) -> None:
        raise ValueError("a bad listener")

    events: list[Event[str, int]] = []
    registry: Registry[str, int] = Registry("tested", listeners=[bad, events.append])
    async with staged() as stage:
        for sort in SORTS:
            owner = await stage.start(sort)
            registry.register("a", 1, owner=owner)
            await stage.end(owner)
            assert registry.count() == 0
    assert len(events) == 4
    records = [record for record in caplog.records if "bad" in record.getMessage()]
    assert len(records) == 4
    assert all(record.levelno == logging.ERROR and record.exc_info for record in records)


async def test_a_callable_listener_that_raises_not_registered_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    other: Registry[str, int] = Registry("other")

    def listen(event: Event[str, None]) -> None:
        other.update_value("count", lambda count: count + 1)

    registry: Registry[str, None] = Registry("names", listeners=[listen])
    registry.register("name")
    assert "NotRegistered" in caplog.text


async def test_events_are_told_after_the_log_has_failed_once() -> None:
    def listen(event: Event[str, None]) -> None:
        raise Crash

    def refuse(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    registry: Registry[str, None] = Registry("names", listeners=[listen])
    logger = logging.getLogger("trioreg.registry")
    logger.addFilter(refuse)
    try:
        registry.register("first")
    finally:
        logger.removeFilter(refuse)
    with registry.watch() as events:
        registry.register("second")
        assert isinstance(events.receive_nowait(), Registered)


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
async def test_a_listener_without_memory_is_logged_and_stops_nothing(
    error: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    def bad(event: object) -> None:
        raise error

    events: list[Event[str, None]] = []
    registry: Registry[str, None] = Registry("names", listeners=[bad, events.append])
    registry.register("name")
    assert [event.key for event in events] == ["name"]
    assert error.__name__ in caplog.text


async def test_an_event_for_a_listener_whose_mailbox_is_full_is_lost_and_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Slow(Actor):
        mailbox_size = 1

        async def on_message(self, message: Any) -> None:
            await trio.sleep(1)

    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        registry: Registry[str, None] = Registry("names", listeners=[slow])
        for name in "abc":
            registry.register(name)
            await wait_all_tasks_blocked()
        assert registry.count() == 3
    (record,) = [record for record in caplog.records if "an event was lost" in record.getMessage()]
    assert "Registered(registry='names', key='c'" in record.getMessage()


@pytest.mark.parametrize("sort", SORTS)
async def test_a_listener_that_raises_system_exit_when_an_owner_ends_keeps_no_name_from_going(
    sort: Sort, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    def listener(event: Event[str, int]) -> None:
        if isinstance(event, Unregistered):
            raise SystemExit("enough")

    names: Registry[str, int] = Registry("names", listeners=[listener])
    async with staged() as stage:
        owners = [await stage.start(sort) for _ in range(3)]
        for number, owner in enumerate(owners):
            names.register(f"name {number}", number, owner=owner)
        for left, owner in enumerate(reversed(owners)):
            await stage.end(owner)
            assert names.count() == 2 - left
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["enough"] * 3


async def test_the_system_exit_of_a_listener_leaves_the_call_that_made_the_change_when_all_are_told(
    autojump_clock: MockClock,
) -> None:
    told: list[object] = []

    def leave(event: Event[str, int]) -> None:
        raise SystemExit("enough")

    names: Registry[str, int] = Registry("names", listeners=[leave, told.append])

    async def wait() -> None:
        told.append(await names.wait_for("name"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        with pytest.raises(SystemExit, match="enough"):
            names.register("name", 1)
    (owner,) = held_by(names, "name")
    assert told == [Registered("names", "name", owner, 1), owner]
    with pytest.raises(SystemExit):
        names.unregister("name")
    assert names.count() == 0


# Listeners that change the registry


async def test_a_listener_that_changes_the_registry_is_told_of_that_afterwards(autojump_clock: MockClock) -> None:
    log: list[tuple[str, type, str]] = []

    def first(event: Event[str, None]) -> None:
        log.append(("first", type(event), event.key))
        if isinstance(event, Registered) and event.key == "a":
            changed.register("b")
            changed.unregister("a")
            assert changed.keys(current_owner()) == ["b"]

    def second(event: Event[str, None]) -> None:
        log.append(("second", type(event), event.key))

    changed: Registry[str, None] = Registry("tested", listeners=[first, second])
    with changed.watch() as events:
        changed.register("a")
        assert changed.keys(current_owner()) == ["b"]
        order = [(Registered, "a"), (Registered, "b"), (Unregistered, "a")]
        assert log == [(listener, *what) for what in order for listener in ("first", "second")]
        assert [(type(event), event.key) for event in received(events)] == order


async def test_a_listener_takes_over_the_names_of_an_owner_that_ends(autojump_clock: MockClock) -> None:
    def take_over(event: Event[str, int]) -> None:
        if isinstance(event, Unregistered) and event.owner is not heir:
            registry.register(event.key, event.value, owner=heir)

    registry: Registry[str, int] = Registry("tested", partitions=4, listeners=[take_over])
    async with staged() as stage:
        heir = await stage.actor()
        for sort in SORTS:
            owner = await stage.start(sort)
            for number, key in enumerate("abc"):
                registry.register(key, number, owner=owner)
            await stage.end(owner)
            assert {key: registry.whereis(key) for key in "abc"} == dict.fromkeys("abc", heir)
            for key in "abc":
                registry.unregister(key, owner=heir)


@pytest.mark.parametrize("kind", ["unique", "duplicate"])
async def test_a_listener_cannot_register_for_the_task_whose_end_it_is_told_of(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    def haunt(event: Event[str, None]) -> None:
        if isinstance(event, Unregistered):
            registry.register("ghost")

    registry: Registry[str, None] = Registry("names", keys=kind, listeners=[haunt])  # type: ignore[arg-type]  # pyright: ignore

    async def holder() -> None:
        registry.register("name")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
    assert registry.lookup("ghost") == []
    assert registry.count() == 0
    assert "ActorExited" in caplog.text


async def test_what_a_listener_registers_as_an_actor_ends_is_gone_with_it() -> None:
    def haunt(event: Event[str, None]) -> None:
        if isinstance(event, Unregistered) and event.key == "name":
            registry.register("ghost")

    registry: Registry[str, None] = Registry("names", listeners=[haunt])
    async with supervised() as supervisor:
        for end in ("stop", "crash", "kill"):
            ref = await supervisor.start_child(Holder, restart="temporary", name=registry.via("name"))
            if end == "crash":
                ref.cast_nowait(Holder.crash)
            elif end == "kill":
                ref.kill()
            else:
                await ref.stop()
            await ref.wait()
            await wait_all_tasks_blocked()
            assert registry.count() == 0


# What a listener sees


@pytest.mark.parametrize("sort", SORTS)
async def test_a_listener_sees_no_name_of_an_owner_that_ends_in_any_registry(
    sort: Sort, autojump_clock: MockClock
) -> None:
    shown: list[tuple[str, str]] = []
    told: list[str] = []

    def look(event: Event[str, int]) -> None:
        if isinstance(event, Unregistered):
            told.append(f"{event.registry}: {event.key}")
            shown.extend((name.name, key) for name in registries for key, owner in rows(name) if owner is event.owner)
            shown.extend((name.name, key) for name in registries for key in name.keys(event.owner))

    registries: list[Registry[str, int]] = [
        Registry(kind_id(kind), keys=kind[0], partitions=kind[1], listeners=[look]) for kind in KINDS
    ]
    async with staged() as stage:
        owner = await stage.start(sort)
        for key in ("a", "b", "c"):
            for registry in registries:
                registry.register(key, 1, owner=owner)
        await stage.end(owner)
        assert sorted(told) == sorted(f"{registry.name}: {key}" for registry in registries for key in "abc")
        assert shown == []


async def test_a_restarted_actor_has_its_name_when_listeners_hear_of_the_end_of_its_last_life(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    shown: list[tuple[type, bool]] = []

    def look(event: Event[str, None]) -> None:
        holder = directory.whereis("bond")
        shown.append((type(event), holder is not None and holder is not first and holder.is_alive))

    directory: Registry[str, None] = Registry("directory", listeners=[look])
    async with staged() as stage:
        first = await stage.supervisor.start_child(Holder, name=directory.via("bond"), restart="permanent")
        shown.clear()
        first.kill()
        await first.wait()
        assert shown == [(Unregistered, True), (Registered, True)]
