"""A subscription with very many tasks that wait in it: its end wakes a few of them in each pass of the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest
import trio
from support.inside import WOKEN_PER_PASS, assert_no_subscription
from support.steps import Passes
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Feed, PubSub

MANY = 10 * WOKEN_PER_PASS
AT_MOST = 2 * WOKEN_PER_PASS + 20
"""How many steps one pass may have. Trio takes the tasks of a pass in any order, so two slices may be in one."""


def close(ticks: PubSub[str, int], feed: Feed[int]) -> None:
    feed.close()


def leave(ticks: PubSub[str, int], feed: Feed[int]) -> None:
    ticks.leave("a")


End: TypeAlias = Callable[[PubSub[str, int], Feed[int]], None]


@pytest.fixture
def ticks() -> PubSub[str, int]:
    return PubSub("ticks")


@pytest.mark.parametrize("end", [close, leave])
async def test_a_feed_that_ends_sends_many_publishers_away_a_few_at_a_time(
    ticks: PubSub[str, int], end: End, autojump_clock: MockClock
) -> None:
    reached: list[int] = []
    passes = Passes()

    async def publish(number: int) -> None:
        reached.append(await ticks.publish("a", number))

    async with trio.open_nursery() as nursery, ticks.subscribe("a", buffer=0, overflow="wait") as feed:
        for number in range(MANY):
            nursery.start_soon(publish, number)
        await wait_all_tasks_blocked()
        assert feed.statistics().tasks_waiting_send == MANY
        trio.lowlevel.add_instrument(passes)
        end(ticks, feed)
        assert feed.statistics().tasks_waiting_send == 0
        assert ticks.publish_nowait("a", -1) == 0
        with pytest.raises((trio.ClosedResourceError, trio.EndOfChannel)):
            feed.receive_nowait()
        while len(reached) < MANY:
            await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(passes)
    assert reached == [0] * MANY
    assert passes.most <= AT_MOST
    assert_no_subscription(ticks)


@pytest.mark.parametrize("end", [close, leave])
async def test_a_feed_that_ends_wakes_many_receivers_a_few_at_a_time(
    ticks: PubSub[str, int], end: End, autojump_clock: MockClock
) -> None:
    ended = 0
    passes = Passes()

    async def receive() -> None:
        nonlocal ended
        with pytest.raises(trio.EndOfChannel):
            await feed.receive()
        ended += 1

    async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
        for _ in range(MANY):
            nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        assert feed.statistics().tasks_waiting_receive == MANY
        trio.lowlevel.add_instrument(passes)
        end(ticks, feed)
        assert feed.statistics().tasks_waiting_receive == 0
        assert ticks.publish_nowait("a", 1) == 0
        while ended < MANY:
            await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(passes)
    assert passes.most <= AT_MOST


async def test_the_end_of_an_actor_sends_many_publishers_away_a_few_at_a_time(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    reached: list[int] = []
    passes = Passes()

    async def publish(number: int) -> None:
        reached.append(await ticks.publish("a", number))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Reader, restart="temporary")
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        ref.cast_nowait(Reader.hold, trio.Event())
        await wait_all_tasks_blocked()
        for number in range(MANY + 1):
            nursery.start_soon(publish, number)
        await wait_all_tasks_blocked()
        assert reached == [1]
        trio.lowlevel.add_instrument(passes)
        ref.kill()
        while len(reached) < MANY + 1:
            await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(passes)
    assert reached == [1, *[0] * MANY]
    assert passes.most <= AT_MOST
    assert_no_subscription(ticks)


async def test_a_publisher_that_is_cancelled_before_its_turn_to_go_is_not_woken_twice(
    ticks: PubSub[str, int], autojump_clock: MockClock
) -> None:
    outcomes: list[str] = []

    async def publish(number: int, scope: trio.CancelScope) -> None:
        with scope:
            await ticks.publish("a", number)
            outcomes.append("sent away")
        if scope.cancelled_caught:
            outcomes.append("cancelled")
        await trio.sleep(1)  # a second wake would end this
        outcomes.append("slept")

    scopes = [trio.CancelScope() for _ in range(3 * WOKEN_PER_PASS)]
    async with trio.open_nursery() as nursery, ticks.subscribe("a", buffer=0, overflow="wait") as feed:
        for number, scope in enumerate(scopes):
            nursery.start_soon(publish, number, scope)
        await wait_all_tasks_blocked()
        feed.close()
        for scope in scopes:
            scope.cancel()
        await wait_all_tasks_blocked()
        assert outcomes.count("sent away") == WOKEN_PER_PASS
        assert outcomes.count("cancelled") == 2 * WOKEN_PER_PASS
        await trio.sleep(0.9)
        assert outcomes.count("slept") == 0
    assert outcomes.count("slept") == 3 * WOKEN_PER_PASS
