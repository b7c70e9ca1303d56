"""watch(): what happens, in the order in which it happens."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.events import received
from support.inside import is_followed
from support.owners import ENDS, Crash, End, Holder, held_by, staged
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ANY,
    NotRegistered,
    Registered,
    Registry,
    Unregistered,
)


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


async def test_a_refused_change_is_no_event(names: Registry[Any, int], autojump_clock: MockClock) -> None:
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
    assert not is_followed(registry)


async def test_a_watcher_that_closes_its_channel_disturbs_no_other(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with registry.watch("a") as closed, registry.watch("a") as events:
        closed.close()
        registry.register("a", 1)
        assert len(received(events)) == 1


async def test_a_watcher_that_closes_its_channel_is_gone_before_the_end_of_its_block(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    for key in ("a", ANY):
        with registry.watch(key, initial=True) as events:
            events.close()
            assert not is_followed(registry)
            events.close()
        assert not is_followed(registry)


async def test_an_event_has_the_latest_value(names: Registry[str, int], autojump_clock: MockClock) -> None:
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


async def test_a_watch_is_entered_once(names: Registry[str, None]) -> None:
    block = names.watch("a")
    with block, pytest.raises(RuntimeError, match=r"this watch\('a'\) is already entered: make another one"):
        block.__enter__()
