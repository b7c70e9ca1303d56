"""What happens in a registry is told, waited for, and handed over in order: watch(), listeners, wait_for(), acquire(),
transfer(), via(wait=True)."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import logging
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from support.owners import ENDS, SORTS, Crash, End, Holder, Sort, held_by, staged
from support.registry_kinds import KINDS, Fragile, kind_id
from support.supervisors import supervised
from support.watcher import rows, watching
from trio.lowlevel import Task, currently_ki_protected
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    ANY,
    Actor,
    ActorExited,
    ActorRef,
    Event,
    Exit,
    NotRegistered,
    Owner,
    Registered,
    Registry,
    Unregistered,
)
from trioreg._runtime.task_owner import current_owner


def received(events: trio.MemoryReceiveChannel[Event[Any, Any]]) -> list[Event[Any, Any]]:
    """What has come so far."""
    found: list[Event[Any, Any]] = []
    while True:
        try:
            found.append(events.receive_nowait())
        except trio.WouldBlock:
            return found


def assert_nobody_waits(registry: Registry[Any, Any]) -> None:
    notifier = registry._names.notifier
    assert notifier is not None
    assert not (notifier._watchers_of_all or notifier._watchers or notifier._waiters)


class Patient(Holder):
    """An actor whose handlers wait for a name."""

    def __init__(self, names: Registry[Any, Any]) -> None:
        self.names = names

    async def acquire(self, key: str, value: object = None) -> Owner:
        return await self.names.acquire(key, value)

    async def acquire_in_background(self, key: str) -> None:
        self.start_soon(self.acquire, key)


# watch()


async def test_a_watcher_gets_what_happens_in_the_order_in_which_it_happens(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("before", 0)
    with registry.watch() as events:
        owner = registry.register("a", 1)
        registry.register("b", 2)
        registry.unregister("a")
        registry.unregister("before")
        assert received(events) == [
            Registered("tested", "a", owner, 1),
            Registered("tested", "b", owner, 2),
            Unregistered("tested", "a", owner, 1),
            Unregistered("tested", "before", owner, 0),
        ]


async def test_a_watcher_is_told_of_each_of_several_entries(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=4)
    for value in (1, 2, 3):
        topics.register("key", value)
    with topics.watch("key") as events:
        topics.unregister_match("key", 2)
        topics.unregister("key")
        assert [event.value for event in received(events)] == [2, 1, 3]


async def test_a_watcher_of_a_key_hears_of_that_key_only(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    with registry.watch("a") as of_a, registry.watch(1) as of_1:
        registry.register("a", 1)
        registry.register("b", 2)
        registry.register(True, 3)
        registry.unregister("b")
        assert [(type(event), event.key) for event in received(of_a)] == [(Registered, "a")]
        assert [(type(event), event.value) for event in received(of_1)] == [(Registered, 3)]


async def test_none_is_a_key_that_can_be_watched(registry: Registry[Any, int], autojump_clock: MockClock) -> None:
    with registry.watch(None) as events, registry.watch(ANY) as everything:
        registry.register("a", 1)
        registry.register(None, 2)
        assert [event.key for event in received(events)] == [None]
        assert [event.key for event in received(everything)] == ["a", None]


async def test_what_is_refused_is_no_event(names: Registry[Any, int], autojump_clock: MockClock) -> None:
    unhashable: Any = []
    names.register("a", 1)
    with names.watch() as events:
        with pytest.raises(Exception, match="already registered"):
            names.register("a", 2)
        with pytest.raises(TypeError):
            names.register(unhashable, 2)
        with pytest.raises(NotRegistered):
            names.update_value("b", lambda value: value)
        assert names.unregister("b") == 0
        assert received(events) == []


@pytest.mark.parametrize(
    ("how", "reason"),
    [("returns", "normal"), ("crashes", "crashed"), ("is cancelled", "shutdown"), ("is killed", "killed")],
)
async def test_the_end_of_an_actor_is_told_with_its_exit(
    registry: Registry[str, int], how: End, reason: str, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        registry.register("a", 1, owner=ref)
        with registry.watch("a") as events:
            await stage.end(ref, how)
            (event,) = received(events)
            assert event == Unregistered("tested", "a", ref, 1, ref.exit)
            assert isinstance(event, Unregistered)
            assert event.exit is not None
            assert event.exit.reason == reason
            assert isinstance(event.exit.error, Crash) is (how == "crashes")


@pytest.mark.parametrize("how", ENDS)
async def test_the_end_of_a_plain_task_is_told(
    registry: Registry[str, int], how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        owner = await stage.task()
        registry.register("a", 1, owner=owner)
        with registry.watch() as events:
            await stage.end(owner, how)
            assert received(events) == [Unregistered("tested", "a", owner, 1, None)]


async def test_nothing_is_lost_to_a_slow_watcher(registry: Registry[int, int], autojump_clock: MockClock) -> None:
    with registry.watch() as events:
        for number in range(1_000):
            registry.register(number, number)
        for number in range(1_000):
            registry.unregister(number)
        assert [event.value for event in received(events)] == [*range(1_000)] * 2


async def test_a_watcher_can_wait_for_the_next_event(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def watcher(*, task_status: trio.TaskStatus[None]) -> None:
        with registry.watch("a") as events:
            task_status.started()
            async for event in events:
                seen.append(type(event))

    async with trio.open_nursery() as nursery:
        await nursery.start(watcher)
        await wait_all_tasks_blocked()
        registry.register("a", 1)
        await wait_all_tasks_blocked()
        assert seen == [Registered]
        registry.unregister("a")
        await wait_all_tasks_blocked()
        assert seen == [Registered, Unregistered]
        nursery.cancel_scope.cancel()


async def test_a_watcher_that_has_left_its_block_is_forgotten(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with registry.watch() as everything, registry.watch("a") as one:
        pass
    registry.register("a", 1)
    for events in (everything, one):
        with pytest.raises(trio.ClosedResourceError):
            events.receive_nowait()
    assert_nobody_waits(registry)


async def test_a_watcher_that_closes_its_channel_disturbs_nobody(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with registry.watch("a") as closed, registry.watch("a") as events:
        closed.close()
        registry.register("a", 1)
        assert len(received(events)) == 1


async def test_an_event_has_the_value_as_it_was_last(names: Registry[str, int], autojump_clock: MockClock) -> None:
    owner = names.register("a", 1)
    with names.watch() as events:
        names.update_value("a", lambda value: value + 1)
        names.unregister("a")
        assert received(events) == [Unregistered("names", "a", owner, 2)]


async def test_a_restart_is_told_as_one_life_giving_way_to_the_next(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        first = await stage.supervisor.start_child(Holder, name=names.via("bond", 7), restart="permanent")
        with names.watch("bond") as events:
            first.cast_nowait(Holder.crash)
            exit = await first.wait()
            (second,) = held_by(names, "bond")
            assert received(events) == [
                Unregistered("names", "bond", first, 7, exit),
                Registered("names", "bond", second, 7),
            ]
            assert isinstance(exit.error, Crash)


class Grumpy:
    """A key that refuses to be compared with keys of other types."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grumpy):
            raise TypeError("I compare with my own kind only")
        return True

    def __hash__(self) -> int:
        return 7


async def test_a_key_that_cannot_be_compared_with_what_is_watched_ends_with_its_owner_all_the_same(
    registry: Registry[Any, int], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with staged() as stage:
        with registry.watch(7), registry.watch() as everything:
            for sort in SORTS:
                grumpy, later = await stage.start(sort), await stage.start(sort)
                registry.register(Grumpy(), 1, owner=grumpy)
                assert registry.count() == 1
                await stage.end(grumpy)
                assert rows(registry) == []
                registry.register("a", 1, owner=later)
                await stage.end(later)
                assert rows(registry) == []
                assert len(received(everything)) == 4


# Listeners


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
        # When the listener itself has ended, nobody minds.
        await listener.stop()
        registry.register("b", 2)
        assert registry.keys() == ["b"]


async def test_a_listener_can_be_a_name_that_nobody_has_yet(
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


async def test_a_listener_that_changes_the_registry_is_told_of_that_afterwards(autojump_clock: MockClock) -> None:
    log: list[tuple[str, type, str]] = []

    def first(event: Event[str, None]) -> None:
        log.append(("first", type(event), event.key))
        if isinstance(event, Registered) and event.key == "a":
            changed.register("b")
            changed.unregister("a")
            assert changed.keys() == ["b"]

    def second(event: Event[str, None]) -> None:
        log.append(("second", type(event), event.key))

    changed: Registry[str, None] = Registry("tested", listeners=[first, second])
    with changed.watch() as events:
        changed.register("a")
        assert changed.keys() == ["b"]
        order = [(Registered, "a"), (Registered, "b"), (Unregistered, "a")]
        assert log == [(who, *what) for what in order for who in ("first", "second")]
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


@pytest.mark.parametrize("sort", SORTS)
async def test_a_listener_that_exits_when_an_owner_ends_keeps_no_name_from_going(
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


async def test_a_listener_that_exits_leaves_the_call_that_made_the_change_when_all_are_told(
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


# wait_for()


async def test_wait_for_gives_who_is_there_at_once_with_one_checkpoint(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = registry.register("a", 1)
    with assert_checkpoints():
        assert await registry.wait_for("a") is owner


async def test_wait_for_waits_for_the_next_holder(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    found: list[Owner] = []

    async def waiter() -> None:
        found.append(await registry.wait_for("a"))

    async with staged() as stage, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        registry.register("b", 0)
        await wait_all_tasks_blocked()
        assert found == []
        owner = await stage.actor()
        registry.register("a", 1, owner=owner)
        await wait_all_tasks_blocked()
        assert found == [owner] * 3


async def test_wait_for_never_gives_who_has_ended_by_then(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    found: list[Owner] = []

    async def waiter() -> None:
        found.append(await registry.wait_for("a"))

    async with staged() as stage, trio.open_nursery() as nursery:
        nursery.start_soon(waiter)
        await wait_all_tasks_blocked()
        # Here and gone again before the waiter, which was woken, has run.
        registry.register("a", 1)
        registry.unregister("a")
        await wait_all_tasks_blocked()
        assert found == []
        second = await stage.task()
        registry.register("a", 1, owner=second)
        await wait_all_tasks_blocked()
        assert found == [second]


async def test_wait_for_finds_each_of_several_lives(names: Registry[str, None], autojump_clock: MockClock) -> None:
    lives: list[Owner] = []

    async def follow() -> None:
        while len(lives) < 4:
            owner = await names.wait_for("bond")
            lives.append(owner)
            assert isinstance(owner, ActorRef)
            await owner.wait()

    async with staged() as stage, trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await wait_all_tasks_blocked()
        first = await stage.supervisor.start_child(Holder, name=names.via("bond"), restart="permanent")
        for _ in range(3):
            await wait_all_tasks_blocked()
            ref = names.whereis("bond")
            assert isinstance(ref, ActorRef)
            ref.kill()
            await ref.wait()
        await wait_all_tasks_blocked()
        last = names.whereis("bond")
        assert lives[0] is first
        assert lives[3] is last
        assert len(set(lives)) == 4
        nursery.cancel_scope.cancel()


async def test_a_waiter_that_is_cancelled_is_forgotten(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(registry.wait_for, "a")
        nursery.start_soon(registry.wait_for, "a")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert_nobody_waits(registry)
    registry.register("a", 1)


class Probe:
    """A key that notes whether Ctrl-C could have come, each time its hash is asked for."""

    def __init__(self) -> None:
        self.is_protected: list[bool] = []

    def __hash__(self) -> int:
        self.is_protected.append(currently_ki_protected())
        return 1


@pytest.mark.parametrize("operation", ["wait_for", "acquire", "watch", "lock"])
async def test_ctrl_c_does_not_come_between_two_halves_of_a_change(
    names: Registry[Any, int], operation: str, autojump_clock: MockClock
) -> None:
    async def wait() -> None:
        assert not currently_ki_protected()
        if operation == "wait_for":
            await names.wait_for(probe)
        elif operation == "acquire":
            await names.acquire(probe, 2)
        elif operation == "watch":
            with names.watch(probe):
                await trio.sleep_forever()
        else:
            async with names.lock(probe):
                await trio.sleep_forever()

    probe = Probe()
    async with trio.open_nursery() as nursery:
        if operation == "acquire":
            names.register(probe, 1)
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        # Last, it was asked for to keep it.
        assert probe.is_protected[-1]
        nursery.cancel_scope.cancel()


# acquire()


async def test_acquire_takes_a_free_name_with_one_checkpoint(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    with assert_checkpoints():
        owner = await names.acquire("leader", 5)
    assert names.lookup("leader") == [(owner, 5)]
    assert names.keys() == ["leader"]


async def test_acquire_is_first_come_first_served_and_each_release_wakes_one(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    log: list[str] = []

    async def candidate(name: str) -> None:
        await names.acquire("leader", 1)
        log.append(f"{name} leads")
        await trio.sleep(1)
        names.unregister("leader")
        log.append(f"{name} resigns")
        await trio.sleep(10)

    async with trio.open_nursery() as nursery:
        for name in "abcd":
            nursery.start_soon(candidate, name)
            await wait_all_tasks_blocked()
        await trio.sleep(0.5)
        for number, name in enumerate("abcd"):
            assert log == [line for done in "abcd"[:number] for line in (f"{done} leads", f"{done} resigns")] + [
                f"{name} leads"
            ]
            await trio.sleep(1)
    assert names.count() == 0
    assert names._names.queues.by_key == {}


async def test_a_released_name_is_the_next_ones_before_anybody_sees_it_free(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        first, second, third = await stage.actor(), await stage.task(), await stage.actor()
        names.register("leader", 1, owner=first)
        for value, owner in ((2, second), (3, third)):
            nursery.start_soon(partial(names.acquire, "leader", value, owner=owner))
            await wait_all_tasks_blocked()
        with watching(names) as watcher:
            await stage.end(first, "crashes")
            assert names.lookup("leader") == [(second, 2)]
            await stage.end(second, "crashes")
            assert names.lookup("leader") == [(third, 3)]
            assert watcher.shown["leader"] == [first, second, third]


async def test_unregister_hands_over_in_the_same_step(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        standby = await stage.actor()
        names.register("leader", 1)
        nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
        await wait_all_tasks_blocked()
        with names.watch() as events:
            (mine,) = held_by(names, "leader")
            assert names.unregister("leader") == 1
            assert names.whereis("leader") is standby
            with pytest.raises(Exception, match="already registered"):
                names.register("leader", 3)
            assert received(events) == [
                Unregistered("names", "leader", mine, 1),
                Registered("names", "leader", standby, 2),
            ]


async def test_the_end_of_a_hold_hands_over_too(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        standby = await stage.actor()
        with names.hold("leader", 1):
            nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
            await wait_all_tasks_blocked()
        assert names.whereis("leader") is standby


async def test_a_candidate_that_is_cancelled_is_out_of_the_queue(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        doomed, patient = await stage.actor(), await stage.actor()
        names.register("leader", 1)
        scope = trio.CancelScope()

        async def candidate() -> None:
            with scope:
                await names.acquire("leader", 2, owner=doomed)

        nursery.start_soon(candidate)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: names.acquire("leader", 3, owner=patient))
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        names.unregister("leader")
        assert names.lookup("leader") == [(patient, 3)]
        assert names.keys(doomed) == []


async def test_a_cancelled_acquire_holds_nothing(names: Registry[str, int], autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await names.acquire("leader", 1)
    assert scope.cancelled_caught
    assert names.count() == 0
    assert names._names.queues.by_key == {}


async def test_the_last_candidate_that_is_cancelled_leaves_no_queue_behind(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("leader", 1)
    async with staged() as stage:
        other = await stage.actor()
        with trio.move_on_after(1):
            await names.acquire("leader", 2, owner=other)
    assert names._names.queues.by_key == {}
    names.unregister("leader")
    assert names.count() == 0


@pytest.mark.parametrize("how", ["is cancelled", "is killed"])
async def test_an_actor_that_ends_while_it_waits_is_passed_over(
    names: Registry[str, int], how: End, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        names.register("leader", 1)
        doomed = await stage.supervisor.start_child(Patient, names, restart="temporary")
        patient = await stage.supervisor.start_child(Patient, names, restart="temporary")
        doomed.cast_nowait(Patient.acquire, "leader")
        await wait_all_tasks_blocked()
        patient.cast_nowait(Patient.acquire_in_background, "leader")
        await wait_all_tasks_blocked()
        await stage.end(doomed, how)
        names.unregister("leader")
        assert names.whereis("leader") is patient
        await wait_all_tasks_blocked()
        assert patient.is_alive


async def test_acquiring_for_an_owner_that_ends_meanwhile_raises_when_it_ends(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    ended: list[object] = []

    async def candidate(owner: Owner) -> None:
        with pytest.raises(ActorExited) as caught:
            await names.acquire("leader", 2, owner=owner)
        ended.append(caught.value.ref)

    async with staged() as stage, trio.open_nursery() as nursery:
        names.register("leader", 1)
        for sort in SORTS:
            owner = await stage.start(sort)
            nursery.start_soon(candidate, owner)
            await wait_all_tasks_blocked()
            await stage.end(owner, "crashes")
            await wait_all_tasks_blocked()
            assert ended.pop() is owner
        assert names._names.queues.by_key == {}
        names.unregister("leader")
        assert names.count() == 0


async def test_an_owner_that_ended_in_the_queue_is_passed_over_for_the_next(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def candidate(owner: Owner) -> None:
        with pytest.raises(ActorExited):
            await names.acquire("leader", 2, owner=owner)

    async with staged() as stage, trio.open_nursery() as nursery:
        holder, doomed, patient = await stage.actor(), await stage.actor(), await stage.actor()
        names.register("leader", 1, owner=holder)
        nursery.start_soon(candidate, doomed)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: names.acquire("leader", 3, owner=patient))
        await wait_all_tasks_blocked()
        # Both end before the candidate's task has had a chance to run.
        doomed.kill()
        holder.kill()
        await doomed.wait()
        await holder.wait()
        assert names.lookup("leader") == [(patient, 3)]


async def test_who_holds_a_name_does_not_wait_for_itself(names: Registry[str, int], autojump_clock: MockClock) -> None:
    names.register("leader", 1)
    with pytest.raises(RuntimeError, match="holds 'leader' in 'names' already: it would wait for itself"):
        await names.acquire("leader", 2)
    assert names.values("leader") == [1]


async def test_a_restarted_child_keeps_its_name_although_somebody_waits_for_it(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage, trio.open_nursery() as nursery:
        first = await stage.supervisor.start_child(Holder, name=names.via("leader", 1), restart="transient")
        standby = await stage.actor()
        nursery.start_soon(lambda: names.acquire("leader", 2, owner=standby))
        await wait_all_tasks_blocked()
        first.cast_nowait(Holder.crash)
        await first.wait()
        await wait_all_tasks_blocked()
        second = names.whereis("leader")
        assert second not in (first, standby, None)
        assert isinstance(second, ActorRef)
        # It waits on, until the child ends for good.
        await second.stop()
        assert names.lookup("leader") == [(standby, 2)]


async def test_a_name_that_a_waiting_task_is_given_goes_with_the_task(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    """Whichever of the equal owners of the task the names were registered for."""
    other: Registry[str, int] = Registry("other")
    owners: list[Owner] = []

    async def candidate() -> None:
        owners.append(current_owner())
        await names.acquire("leader", 2)
        await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        names.register("leader", 1)
        nursery.start_soon(candidate)
        await wait_all_tasks_blocked()
        other.register("given", 3, owner=owners[0])
        names.unregister("leader")
        assert names.lookup("leader") == [(owners[0], 2)]
        assert other.keys(owners[0]) == ["given"]
        assert names.keys(owners[0]) == ["leader"]
    assert names.count() == 0
    assert other.count() == 0


async def test_whoever_is_handed_the_name_it_waits_for_waits_no_longer(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    got: list[Owner] = []

    async def candidate(owner: Owner) -> None:
        got.append(await names.acquire("leader", 2, owner=owner))

    async with staged() as stage, trio.open_nursery() as nursery:
        first, second = await stage.actor(), await stage.task()
        names.register("leader", 1)
        for owner in (first, second):
            nursery.start_soon(candidate, owner)
            await wait_all_tasks_blocked()
        names.transfer("leader", second)
        await wait_all_tasks_blocked()
        assert got == [second]
        assert names.lookup("leader") == [(second, 1)]  # with its value, as always
        names.unregister("leader", owner=second)
        assert names.lookup("leader") == [(first, 2)]


@pytest.mark.parametrize("sort", SORTS)
async def test_an_owner_that_ends_as_the_holder_does_not_inherit_from_itself(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async def second_turn() -> None:
        with pytest.raises(ActorExited):
            await names.acquire("leader", 3, owner=owner)

    async with staged() as stage, trio.open_nursery() as nursery:
        owner = await stage.start(sort)
        names.register("other", 0, owner=owner)
        names.register("leader", 1)
        nursery.start_soon(partial(names.acquire, "leader", 2, owner=owner))
        await wait_all_tasks_blocked()
        nursery.start_soon(second_turn)
        await wait_all_tasks_blocked()
        names.transfer("leader", owner)
        await wait_all_tasks_blocked()
        await stage.end(owner)
        assert rows(names) == []


async def test_whoever_acquires_in_vain_leaves_no_place_in_the_queue(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    names.register("leader", 1)
    with trio.move_on_after(1):
        async with staged() as stage:
            await names.acquire("leader", 2, owner=await stage.actor())
    assert names._names.queues.by_key == {}
    names.unregister("leader")
    assert names.count() == 0


async def test_a_comparison_that_fails_anywhere_leaves_nobody_waiting_for_a_name_that_is_free(
    names: Registry[Any, int], autojump_clock: MockClock
) -> None:
    async def attempt(n: int) -> bool:
        """Give the name back with the n-th comparison failing. Whether one did."""
        told: list[str] = []

        async def acquire(owner: Owner) -> None:
            try:
                await names.acquire(Fragile("name"), 2, owner=owner)
            except ZeroDivisionError:
                told.append("failed")
            else:
                assert held_by(names, Fragile("name")) == [owner]
                told.append("holds it")

        async with staged() as stage:
            first, second = await stage.actor(), await stage.actor()
            for key in "abc":
                names.register(Fragile(key), 0, owner=second)
            names.register(Fragile("name"), 1, owner=first)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(acquire, second)
                await wait_all_tasks_blocked()
                Fragile.left = n
                try:
                    names.unregister(Fragile("name"), owner=first)
                except ZeroDivisionError:
                    assert held_by(names, Fragile("name")) == [first]
                    names.unregister(Fragile("name"), owner=first)
                    told.append("failed")
                is_over = Fragile.left is not None
                Fragile.left = None
            assert told == ["holds it"] if is_over else "failed" in told
            assert names._names.queues.by_key == {}
        assert names.count() == 0
        return not is_over

    for n in range(100):
        if not await attempt(n):
            assert n > 0
            return
    raise AssertionError("it never ends")


# transfer()


@pytest.mark.parametrize("sort", SORTS)
async def test_transfer_hands_the_name_over_with_its_value(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.start(sort)
        mine = names.register("name", 7)
        with names.watch() as events:
            names.transfer("name", heir)
            assert names.lookup("name") == [(heir, 7)]
            assert names.keys() == []
            assert names.keys(heir) == ["name"]
            assert received(events) == [
                Unregistered("names", "name", mine, 7, None),
                Registered("names", "name", heir, 7),
            ]
        await stage.end(heir, "crashes")
        assert names.count() == 0


class Looker(trio.abc.Instrument):
    """Looks at a name before and after each step of each task."""

    def __init__(self, names: Registry[str, int], key: str) -> None:
        self.shown: list[list[Owner]] = []
        self._names = names
        self._key = key

    def before_task_step(self, task: Task) -> None:
        self.shown.append(held_by(self._names, self._key))

    def after_task_step(self, task: Task) -> None:
        self.shown.append(held_by(self._names, self._key))


async def test_there_is_no_moment_without_a_holder_and_none_with_two_in_a_transfer(autojump_clock: MockClock) -> None:
    told: list[list[Owner]] = []

    def look(event: Event[str, int]) -> None:
        told.append(held_by(listened, event.key))

    names: Registry[str, int] = Registry("names", partitions=2, listeners=[look])
    listened = names
    async with staged() as stage:
        owners = [await stage.start(sort) for sort in SORTS * 3]
        names.register("name", 1, owner=owners[0])
        told.clear()
        looker = Looker(names, "name")
        trio.lowlevel.add_instrument(looker)
        for giver, taker in pairwise(owners):
            names.transfer("name", taker, owner=giver)
            await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(looker)
        assert {len(holders) for holders in looker.shown} == {1}
        assert {holders[0] for holders in looker.shown} == set(owners[1:])
        assert told == [[owner] for owner in owners[1:] for _ in range(2)]


async def test_a_name_goes_with_its_new_holder_and_not_with_the_old_one(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        giver, taker = await stage.task(), await stage.task()
        names.register("name", 1, owner=giver)
        await stage.run(giver, lambda: names.transfer("name", taker))
        await stage.end(giver)
        assert names.whereis("name") is taker
        await stage.end(taker)
        assert names.whereis("name") is None


async def test_only_the_holder_transfers(names: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        holder, other = await stage.actor(), await stage.task()
        names.register("name", 1, owner=holder)
        before = rows(names)
        with pytest.raises(NotRegistered, match="is not registered as 'name' in 'names'") as caught:
            names.transfer("name", other)
        assert caught.value.owner == current_owner()
        with pytest.raises(NotRegistered):
            names.transfer("name", holder, owner=other)
        with pytest.raises(NotRegistered):
            names.transfer("nobody's", other)
        assert rows(names) == before


@pytest.mark.parametrize("sort", SORTS)
async def test_a_name_is_not_transferred_to_who_has_ended(
    names: Registry[str, int], sort: Sort, autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ended = await stage.start(sort)
        await stage.end(ended)
        names.register("name", 1)
        before = rows(names)
        with names.watch() as events:
            with pytest.raises(ActorExited):
                names.transfer("name", ended)
            assert received(events) == []
        assert rows(names) == before


async def test_a_transfer_to_the_holder_itself_changes_nothing(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    owner = names.register("name", 1)
    with names.watch() as events:
        names.transfer("name", owner)
        assert received(events) == []
    assert names.lookup("name") == [(owner, 1)]


async def test_a_block_that_held_a_name_leaves_it_to_who_has_got_it(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        heir = await stage.actor()
        with names.hold("name", 1):
            names.transfer("name", heir)
        assert names.whereis("name") is heir


# via(wait=True)


class Echo(Actor):
    def __init__(self) -> None:
        self.heard: list[object] = []

    def echo(self, text: str) -> str:
        self.heard.append(text)
        return text

    def history(self) -> list[object]:
        return self.heard

    async def on_message(self, message: Any) -> None:
        self.heard.append(message)

    def crash(self) -> None:
        raise Crash


@pytest.mark.parametrize("form", ["call", "cast", "send"])
async def test_a_waiting_via_waits_for_who_is_not_there_yet(
    names: Registry[str, None], form: str, autojump_clock: MockClock
) -> None:
    done: list[object] = []
    via = names.via("echo", wait=True)

    async def client() -> None:
        if form == "call":
            done.append(await via.call(Echo.echo, "hello"))
        elif form == "cast":
            await via.cast(Echo.echo, "hello")
            done.append("cast")
        else:
            await via.send("hello")
            done.append("sent")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(client)
        await wait_all_tasks_blocked()
        assert done == []
        ref = await supervisor.start_child(Echo, name=names.via("echo"))
        await wait_all_tasks_blocked()
        assert done == [{"call": "hello", "cast": "cast", "send": "sent"}[form]]
        assert await ref.call(Echo.history) == ["hello"]


async def test_a_waiting_via_waits_through_the_end_of_one_life_for_the_next(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    class Slow(Echo):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(3)

    async with supervised() as supervisor:
        first = await supervisor.start_child(Slow, name=names.via("echo"), restart="permanent")
        first.cancel()
        await wait_all_tasks_blocked()
        assert first.is_alive
        began = trio.current_time()
        assert await names.via("echo", wait=True).call(Echo.echo, "hello") == "hello"
        assert trio.current_time() - began == pytest.approx(3)
        assert names.whereis("echo") is not first


async def test_a_waiting_via_does_not_send_twice_what_ended_its_receiver(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    crashes = 0

    class Fragile(Echo):
        def crash(self) -> None:
            nonlocal crashes
            crashes += 1
            raise Crash

    async with supervised() as supervisor:
        await supervisor.start_child(Fragile, name=names.via("echo"), restart="permanent")
        with pytest.raises(ActorExited) as caught:
            await names.via("echo", wait=True).call(Echo.crash)
        assert isinstance(caught.value.__cause__, Crash)
        await wait_all_tasks_blocked()
        assert crashes == 1


async def test_a_cancelled_wait_for_a_via_sends_nothing(names: Registry[str, None], autojump_clock: MockClock) -> None:
    with trio.move_on_after(1) as scope:
        await names.via("echo", wait=True).cast(Echo.echo, "hello")
    assert scope.cancelled_caught
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Echo, name=names.via("echo"))
        assert await ref.call(Echo.history) == []


async def test_the_nowait_forms_of_a_waiting_via_do_not_wait(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    via = names.via("echo", wait=True)
    with pytest.raises(NotRegistered, match="'echo' is not registered in 'names'"):
        via.send_nowait("hello")
    with pytest.raises(NotRegistered):
        via.cast_nowait(Echo.echo, "hello")


async def test_a_via_to_a_plain_task_is_a_type_error(names: Registry[str, None], autojump_clock: MockClock) -> None:
    names.register("echo")
    for wait in (False, True):
        with pytest.raises(TypeError, match=r"'echo' in 'names' is held by <task .*>, which is not an actor"):
            await names.via("echo", wait=wait).send("hello")
