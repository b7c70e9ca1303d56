"""Tests the inside: Ctrl-C at any line of a subscription, a publication or a receive leaves nothing behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription
from support.interrupts import interrupted_at_each_line
from support.topics import Reader
from trio.testing import wait_all_tasks_blocked

from trioreg import PubSub, Wildcard, open_dynamic_supervisor

Ticks = PubSub[Any, Any]


async def a_feed(ticks: Ticks) -> None:
    async with ticks.subscribe(Wildcard("a.#"), buffer=1) as feed:
        ticks.publish_nowait("a", 1)
        assert await feed.receive() == 1


async def a_publisher_that_waits(ticks: Ticks) -> None:
    async with ticks.subscribe("a", buffer=1, overflow="wait") as feed, trio.open_nursery() as nursery:
        await ticks.publish("a", 1)
        nursery.start_soon(ticks.publish, "a", 2)
        await wait_all_tasks_blocked()
        assert await feed.receive() == 1
        assert await feed.receive() == 2


async def a_receiver_that_waits(ticks: Ticks) -> None:
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(feed.receive)
        await wait_all_tasks_blocked()
        await ticks.publish("a", 1)


async def a_loop_that_waits(ticks: Ticks) -> None:
    async def loop() -> None:
        async for _ in feed:
            pass

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(loop)
        for number in range(2):
            await wait_all_tasks_blocked()
            await ticks.publish("a", number)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


async def a_presence(ticks: Ticks) -> None:
    with ticks.watch("a", initial=True) as events:
        async with ticks.subscribe("a"):
            await events.receive()
            ticks.update_value("a", str)
            await events.receive()
        await events.receive()


async def an_actor(ticks: Ticks) -> None:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Reader)
        for buffer in (1, float("inf")):
            ticks.join(Wildcard("a.#"), Reader.take, owner=ref, buffer=buffer, overflow="wait")
        ticks.publish_nowait("a", 1, retain=True)
        await ref.call(Reader.all)
        ticks.leave(Wildcard("a.#"), owner=ref)
        supervisor.stop()


FILES = (
    "pubsub.py",
    "publishing.py",
    "subscribing.py",
    "subscription.py",
    "retained.py",
    "presence.py",
    "trie.py",
    "wildcard.py",
    "intake.py",
    "feed.py",
    "receiver.py",
)


BLOCKS = [a_feed, a_publisher_that_waits, a_receiver_that_waits, a_loop_that_waits, a_presence, an_actor]


@pytest.mark.parametrize("block", BLOCKS)
def test_ctrl_c_at_any_line_of_a_block_leaves_nothing_behind(block: Callable[[Ticks], Awaitable[None]]) -> None:
    ticks: Ticks = PubSub("ticks")

    async def main() -> None:
        await block(ticks)

    for place, errors in interrupted_at_each_line(main, *FILES):
        assert errors <= {KeyboardInterrupt}, place
        assert_no_subscription(ticks)


def test_after_ctrl_c_in_a_run_the_next_run_can_use_it() -> None:
    ticks: Ticks = PubSub("ticks")

    async def main() -> None:
        await a_feed(ticks)

    for _ in interrupted_at_each_line(main, *FILES):
        trio.run(main)


def test_ctrl_c_at_any_line_of_a_loop_loses_no_item() -> None:
    ticks: Ticks = PubSub("ticks")

    async def main() -> None:
        got: list[int] = []

        async def publish() -> None:
            await wait_all_tasks_blocked()
            ticks.publish_nowait("a", 1)

        async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
            nursery.start_soon(publish)
            try:
                async for item in feed:
                    got.append(item)
                    break
            except KeyboardInterrupt:
                await wait_all_tasks_blocked()
                await wait_all_tasks_blocked()
                assert got or feed.receive_nowait() == 1
                raise

    for place, errors in interrupted_at_each_line(main, "receiver.py"):
        assert errors <= {KeyboardInterrupt}, place
