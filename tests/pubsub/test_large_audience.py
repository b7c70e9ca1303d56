"""A large audience is told in slices, while others join, leave and end."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription, slices_of
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Feed, PubSub


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
