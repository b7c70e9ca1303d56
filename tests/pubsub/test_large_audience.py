"""A large audience is told in slices, while others join, leave and end."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import pairwise
from random import Random
from typing import Any
from weakref import ref

import pytest
import trio
from support.inside import assert_no_subscription, slices_of
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Feed, PubSub, Wildcard


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks", partitions=2)


async def test_publish_lets_other_tasks_run_after_each_slice(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 10)
    told: list[int] = []

    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Reader) for _ in range(50)]
        for ref in refs:
            ticks.join("a", Reader.take, owner=ref)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks.publish, "a", 1)
            while nursery.child_tasks:
                told.append(sum([ref.statistics().queued + ref.statistics().handled for ref in refs]))
                await trio.lowlevel.checkpoint()
    told.append(50)
    # Trio runs the tasks of a round in any order: between two looks there may be two slices, and never more.
    assert all(later - before <= 20 for before, later in pairwise(told))


async def test_nobody_is_told_twice_and_who_was_there_throughout_is_told_once(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 7)
    random = Random(1)
    throughout: list[Feed[Any]] = []
    passing: dict[int, tuple[Feed[Any], list[int]]] = {}  # each with what was published while it was there
    number = 0
    published = 0

    async def stay(*, task_status: trio.TaskStatus[None]) -> None:
        async with ticks.subscribe("a") as feed:
            throughout.append(feed)
            task_status.started()
            await trio.sleep_forever()

    async def pass_by() -> None:
        nonlocal number
        me, number = number, number + 1
        async with ticks.subscribe("a") as feed:
            began = published
            for _ in range(random.randrange(1, 12)):
                await trio.lowlevel.checkpoint()
            ended = published
            got = messages(feed)
        assert len(set(got)) == len(got)
        assert got == sorted(got)
        assert all(began - 1 <= message <= ended for message in got)
        passing[me] = feed, got

    async with trio.open_nursery() as nursery:
        for _ in range(60):
            await nursery.start(stay)
        async with trio.open_nursery() as passers:
            for message in range(15):
                for _ in range(10):
                    passers.start_soon(pass_by)
                reached = await ticks.publish("a", message)
                published = message + 1
                assert reached >= 60
        assert len(passing) == 150
        for feed in throughout:
            assert messages(feed) == [*range(15)]
        nursery.cancel_scope.cancel()
    assert_no_subscription(ticks)


async def test_an_actor_that_ends_while_an_audience_is_told_is_not_counted(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    async with supervised() as supervisor:
        refs: list[ActorRef[Reader]] = [await supervisor.start_child(Reader, restart="temporary") for _ in range(10)]
        for ref in refs:
            ticks.join("a", Reader.take, owner=ref)
        reached: list[int] = []

        async def publish() -> None:
            reached.append(await ticks.publish("a", 1))

        order = [owner for owner, _ in ticks.members("a")]
        last: Any = order[-1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await trio.lowlevel.checkpoint()
            last.kill()
        assert reached == [9]
    assert_no_subscription(ticks)


async def test_two_who_publish_to_a_large_audience_do_not_disturb_each_other(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 3)
    feeds: list[Feed[Any]] = []

    async def stay(*, task_status: trio.TaskStatus[None]) -> None:
        async with ticks.subscribe("a") as feed:
            feeds.append(feed)
            task_status.started()
            await trio.sleep_forever()

    async def publish(letter: str) -> None:
        for number in range(5):
            assert await ticks.publish("a", f"{letter}{number}") == 20

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            await nursery.start(stay)
        async with trio.open_nursery() as publishers:
            publishers.start_soon(publish, "x")
            publishers.start_soon(publish, "y")
        await wait_all_tasks_blocked()
        for feed in feeds:
            got = messages(feed)
            assert [message for message in got if message[0] == "x"] == [f"x{number}" for number in range(5)]
            assert [message for message in got if message[0] == "y"] == [f"y{number}" for number in range(5)]
        nursery.cancel_scope.cancel()


async def test_the_topic_comes_before_the_patterns_and_each_in_the_order_of_the_tables(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    told: list[Feed[Any]] = []
    put = Feed[Any]._put

    def put_and_note(feed: Feed[Any], item: object) -> bool:
        told.append(feed)
        return put(feed, item)

    monkeypatch.setattr(Feed, "_put", put_and_note)

    async def stay(topic: Any, *, task_status: trio.TaskStatus[None]) -> None:
        async with ticks.subscribe(topic):
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        for number in range(20):
            await nursery.start(stay, Wildcard("a.*") if number % 3 else "a.b")
        assert await ticks.publish("a.b", 1) == 20
        assert told == [entry.value.feed for entry in ticks._audience("a.b")]
        nursery.cancel_scope.cancel()


async def test_one_who_subscribes_to_a_pattern_while_the_topic_is_told_does_not_get_the_message(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(ticks.subscribe("a.b"))
        for _ in range(9):
            await stack.enter_async_context(ticks.subscribe("a.b"))
        before = await stack.enter_async_context(ticks.subscribe(Wildcard("a.*")))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks.publish, "a.b", 1)
            while not first.statistics().buffered:
                await trio.lowlevel.checkpoint()
            late = await stack.enter_async_context(ticks.subscribe(Wildcard("a.*")))
        assert messages(before) == [1]
        assert messages(late) == []


@pytest.mark.parametrize("partitions", [1, 2])
async def test_one_who_leaves_before_it_is_told_is_freed_at_once(
    partitions: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Value:
        pass

    ticks: PubSub[Any, Any] = PubSub("ticks", partitions=partitions)
    slices_of(monkeypatch, 1)
    async with supervised() as supervisor, AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(ticks.subscribe("a")) for _ in range(12)]
        last = await supervisor.start_child(Reader)
        value = Value()
        alive = ref(value)
        ticks.join("a", Reader.take, value=value, owner=last)
        del value
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks.publish, "a", 1)
            while not feeds[0].statistics().buffered:
                await trio.lowlevel.checkpoint()
            ticks.leave("a", owner=last)
            assert not feeds[-1].statistics().buffered
            assert alive() is None
