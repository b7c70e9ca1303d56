"""PubSub.subscribe(): a task gets what is published while its block runs."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import trio
from support.inside import assert_no_subscription
from support.owners import staged
from support.supervisors import supervised
from support.topics import messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, PubSub, Wildcard, current_owner


@pytest.fixture(params=[1, 4])
def ticks(request: pytest.FixtureRequest) -> PubSub[Any, Any]:
    return PubSub("ticks", partitions=request.param)


async def test_a_feed_gives_what_is_published_to_its_topic_while_the_block_runs(ticks: PubSub[Any, Any]) -> None:
    assert ticks.publish_nowait("a", 0) == 0
    async with ticks.subscribe("a") as feed:
        assert ticks.publish_nowait("a", 1) == 1
        assert ticks.publish_nowait("b", 2) == 0
        assert await ticks.publish("a", 3) == 1
        assert messages(feed) == [1, 3]
    assert ticks.publish_nowait("a", 4) == 0
    assert_no_subscription(ticks)


async def test_each_subscription_gets_each_message(ticks: PubSub[Any, Any]) -> None:
    async with ticks.subscribe("a") as one, ticks.subscribe("a") as two, ticks.subscribe(Wildcard("#")) as three:
        assert ticks.publish_nowait("a", 1) == 3
        assert [messages(feed) for feed in (one, two, three)] == [[1], [1], [1]]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("topic", ["a", 7, None, ("a", 1), math.pi])
async def test_a_topic_is_any_hashable(ticks: PubSub[Any, Any], topic: Any) -> None:
    async with ticks.subscribe(topic) as feed:
        ticks.publish_nowait(topic, 1)
        assert messages(feed) == [1]


async def test_a_waiting_task_is_woken_with_the_message(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    got: list[int] = []

    async def subscriber() -> None:
        async with ticks.subscribe("a") as feed:
            async for message in feed:
                got.append(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriber)
        await wait_all_tasks_blocked()
        for message in range(3):
            ticks.publish_nowait("a", message)
        await wait_all_tasks_blocked()
        assert got == [0, 1, 2]
        nursery.cancel_scope.cancel()
    assert_no_subscription(ticks)


async def test_a_receive_that_is_being_cancelled_takes_no_message(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a", buffer=1) as feed:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(feed.receive)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            assert ticks.publish_nowait("a", 1) == 1  # before that task has had its turn
        assert messages(feed) == [1]


async def test_a_message_goes_past_a_receive_that_is_being_cancelled_to_the_next_one(
    autojump_clock: MockClock,
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    got: list[int] = []
    scope = trio.CancelScope()

    async with ticks.subscribe("a", buffer=0) as feed:

        async def first() -> None:
            with scope:
                got.append(-(await feed.receive()))

        async def second() -> None:
            got.append(await feed.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await wait_all_tasks_blocked()
            nursery.start_soon(second)
            await wait_all_tasks_blocked()
            scope.cancel()
            assert ticks.publish_nowait("a", 1) == 1
        assert got == [1]


async def test_a_feed_that_is_left_while_its_receive_is_being_cancelled_ends_quietly(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
        nursery.start_soon(feed.receive)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        ticks.leave("a")
    assert_no_subscription(ticks)


async def test_a_task_subscribes_for_another_owner(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        for sort in ("actor", "task"):
            owner = await stage.start(sort)
            async with ticks.subscribe("a", owner=owner, value="theirs") as feed:
                assert ticks.members("a") == [(owner, "theirs")]
                assert ticks.publish_nowait("a", 1, exclude=owner) == 0
                assert ticks.publish_nowait("a", 2) == 1
                assert messages(feed) == [2]
            assert_no_subscription(ticks)


async def test_a_subscription_made_by_an_actor_belongs_to_the_actor(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        async with ticks.subscribe("a"):
            await trio.sleep_forever()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        assert ticks.members("a") == [(ref, None)]
        ref.cancel()
        await ref.wait()
        assert_no_subscription(ticks)


async def test_a_subscription_for_an_owner_that_has_ended_is_refused(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with staged() as stage:
        for sort in ("actor", "task"):
            owner = await stage.start(sort)
            await stage.end(owner)
            with pytest.raises(ActorExited):
                async with ticks.subscribe(Wildcard("#"), owner=owner):
                    raise AssertionError("entered")
            assert_no_subscription(ticks)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"topic": []}, TypeError, r"topic must be hashable: \[\]"),
        ({"buffer": -1}, ValueError, "buffer must be at least 0, not -1"),
        ({"buffer": 1.5}, TypeError, "buffer must be an int or math.inf, not 1.5"),
        ({"buffer": math.nan}, TypeError, "buffer must be an int or math.inf, not nan"),
        ({"buffer": True}, TypeError, "buffer must be an int or math.inf, not True"),
        ({"overflow": "block"}, ValueError, "overflow must be one of .*'wait', not 'block'"),
    ],
)
async def test_a_wrong_argument_is_refused_before_anything_has_changed(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    with pytest.raises(error, match=words):
        ticks.subscribe(**cast("dict[str, Any]", {"topic": "a"} | options))
    assert_no_subscription(ticks)


async def test_a_block_is_entered_once() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    block = ticks.subscribe("a")
    async with block:
        with pytest.raises(RuntimeError, match="already entered"):
            await block.__aenter__()
        assert len(ticks) == 1
    assert_no_subscription(ticks)


async def test_a_block_that_raises_ends_the_subscription() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    with pytest.raises(ZeroDivisionError):
        async with ticks.subscribe("a"):
            raise ZeroDivisionError
    assert_no_subscription(ticks)


async def test_an_entry_that_is_cancelled_leaves_no_subscription(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    with trio.CancelScope() as scope:
        scope.cancel()
        async with ticks.subscribe(Wildcard("#")):
            raise AssertionError("entered")
    assert_no_subscription(ticks)


async def test_a_feed_that_was_closed_in_its_block_gets_nothing_and_holds_up_nobody() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    for buffer in (0, 1):
        async with ticks.subscribe("a", buffer=buffer, overflow="wait") as feed:
            feed.close()
            assert ticks.publish_nowait("a", 1) == 0
            assert await ticks.publish("a", 1) == 0
            with pytest.raises(trio.ClosedResourceError):
                await feed.receive()


async def test_a_task_leaves_its_own_topics_only() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a") as feed, ticks.subscribe("b") as other:
        assert ticks.leave("c") == 0
        assert ticks.leave("a", owner=current_owner()) == 1
        ticks.publish_nowait("a", 1)
        ticks.publish_nowait("b", 2)
        assert messages(feed) == []
        assert messages(other) == [2]
