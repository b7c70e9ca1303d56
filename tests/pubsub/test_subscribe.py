"""PubSub.subscribe(): a task gets what is published while its block runs."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest
import trio
from support.inside import assert_no_subscription, assert_no_subscription_but_watchers
from support.owners import staged
from support.supervisors import supervised
from support.topics import messages
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import ActorExited, PubSub, Registered, Unregistered, Wildcard, current_owner


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


async def test_a_block_that_one_task_is_entering_can_not_be_entered_by_another_one(autojump_clock: MockClock) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    block = ticks.subscribe("a")
    refused: list[str] = []

    async def enter() -> None:
        try:
            async with block:
                await trio.sleep(1)
        except RuntimeError as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(enter)
        nursery.start_soon(enter)
    assert len(refused) == 1 and "already entered" in refused[0]
    assert_no_subscription(ticks)
    with trio.CancelScope() as scope:
        scope.cancel()
        await enter()
    await enter()  # an entry that was cancelled is none
    assert len(refused) == 1


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


async def test_a_feed_that_is_closed_in_its_block_has_left_its_topic() -> None:
    ticks: PubSub[Any, int] = PubSub("ticks")
    for topic in ("a", Wildcard("a.#")):
        for buffer in (0, 1):
            with ticks.watch(topic) as events:
                async with ticks.subscribe(topic, buffer=buffer, overflow="wait") as feed, ticks.subscribe("b"):
                    ticks.leave("b")
                    feed.close()
                    assert_no_subscription_but_watchers(ticks)
                    assert [type(event) for event in messages(events)] == [Registered, Unregistered]
                    assert ticks.publish_nowait("a", 1) == 0
                    assert await ticks.publish("a", 1) == 0
                    with pytest.raises(trio.ClosedResourceError):
                        await feed.receive()
                    feed.close()  # nothing happens
                assert messages(events) == []
            assert_no_subscription(ticks)


async def test_closing_a_feed_ends_this_subscription_only() -> None:
    ticks: PubSub[Any, int] = PubSub("ticks")
    async with ticks.subscribe("a") as one, ticks.subscribe("a") as two, ticks.subscribe("a") as three:
        with assert_checkpoints():
            await two.aclose()
        assert ticks.publish_nowait("a", 1) == 2
        assert messages(one) == messages(three) == [1]
    assert_no_subscription(ticks)


async def test_closing_a_feed_lets_the_publishers_go_that_wait_for_room(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, int] = PubSub("ticks")
    reached: list[int] = []

    async def publish() -> None:
        reached.append(await ticks.publish("a", 2))

    async with ticks.subscribe("a", buffer=1, overflow="wait") as feed, trio.open_nursery() as nursery:
        ticks.publish_nowait("a", 1)
        nursery.start_soon(publish)
        await wait_all_tasks_blocked()
        feed.close()
        await wait_all_tasks_blocked()
        assert reached == [0]


async def test_a_feed_is_closed_by_another_task_than_its_subscriber(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, int] = PubSub("ticks")
    async with staged() as stage:
        owner = await stage.task()
        async with ticks.subscribe("a", owner=owner) as feed:
            feed.close()
            assert_no_subscription(ticks)
        async with ticks.subscribe("a", owner=owner) as feed:
            await stage.end(owner)
            feed.close()  # its owner has ended before
            with pytest.raises(trio.ClosedResourceError):
                feed.receive_nowait()


async def test_with_once_an_owner_has_one_subscription_to_a_topic(ticks: PubSub[Any, Any]) -> None:
    ticks.publish_nowait("a", 0, retain=True)
    async with ticks.subscribe("a", once=True) as feed:
        assert feed is not None
        async with ticks.subscribe("a", once=True) as second:
            assert second is None
            assert len(ticks) == 1
        assert len(ticks) == 1  # leaving that block has ended nothing
        async with ticks.subscribe("b", once=True) as other, ticks.subscribe(Wildcard("a"), once=True) as pattern:
            assert other is not None
            assert pattern is not None
            assert ticks.publish_nowait("a", 1) == 2
        assert messages(feed) == [0, 1]
        feed.close()
        async with ticks.subscribe("a", once=True) as again:
            assert again is not None
    assert_no_subscription(ticks)


async def test_once_asks_about_the_owner_when_the_block_is_entered(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with staged() as stage:
        ref = await stage.actor()
        block = ticks.subscribe("a", once=True, owner=ref)
        ticks.join("a", owner=ref)
        async with ticks.subscribe("a", once=True) as mine:
            assert mine is not None  # a subscription of another owner does not count
        async with block as feed:
            assert feed is None
            with pytest.raises(RuntimeError, match="already entered"):
                await block.__aenter__()
        ticks.leave("a", owner=ref)
        async with block as feed:
            assert feed is not None
            assert ticks.join("a", owner=ref, once=True) is False
    assert_no_subscription(ticks)


async def test_a_task_leaves_its_own_topics_only() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a") as feed, ticks.subscribe("b") as other:
        assert ticks.leave("c") == 0
        assert ticks.leave("a", owner=current_owner()) == 1
        ticks.publish_nowait("a", 1)
        ticks.publish_nowait("b", 2)
        assert messages(feed) == []
        assert messages(other) == [2]
