"""What a subscriber costs does not depend on how many others there are. Calls are counted, not seconds."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from support.calls import counted_calls
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import PubSub, Wildcard

SIZES = (2, 30, 900)


@asynccontextmanager
async def actors(topics: PubSub[str, int], topic: Any, size: int) -> AsyncGenerator[None]:
    async with supervised() as supervisor:
        for _ in range(size):
            topics.join(topic, Reader.take, owner=await supervisor.start_child(Reader))
        yield


@asynccontextmanager
async def tasks(topics: PubSub[str, int], topic: Any, size: int) -> AsyncGenerator[None]:
    async def read() -> None:
        async with topics.subscribe(topic) as feed:
            async for _ in feed:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(read)
        await wait_all_tasks_blocked()
        yield
        nursery.cancel_scope.cancel()


audiences = pytest.mark.parametrize("audience", [tasks, actors])


@audiences
@pytest.mark.parametrize("topic", ["a.b", Wildcard("a.*")], ids=["topic", "wildcard"])
async def test_each_subscriber_costs_a_publication_the_same_whatever_their_number(
    audience: Any, topic: Any, autojump_clock: MockClock
) -> None:
    costs: dict[int, int] = {}
    for size in SIZES:
        topics: PubSub[str, int] = PubSub("topics")
        async with audience(topics, topic, size):
            topics.publish_nowait("a.b", 1)
            await wait_all_tasks_blocked()
            with counted_calls() as calls:
                assert topics.publish_nowait("a.b", 2) == size
            costs[size] = calls.count
            await wait_all_tasks_blocked()
    few, some, many = costs.values()
    assert (many - some) / 870 <= 1.05 * (some - few) / 28


@audiences
async def test_to_join_update_count_and_leave_cost_the_same_whatever_the_number_of_subscribers(
    audience: Any, autojump_clock: MockClock
) -> None:
    costs: list[int] = []
    for size in SIZES:
        topics: PubSub[str, int] = PubSub("topics", partitions=2)
        async with audience(topics, "a", size), supervised() as supervisor:
            ref = await supervisor.start_child(Reader)
            topics.join("a", Reader.take, owner=ref)
            topics.leave("a", owner=ref)
            with counted_calls() as calls:
                topics.join("a", Reader.take, owner=ref)
                topics.update_value("a", str, owner=ref)
                assert topics.count("a") == size + 1
                topics.dropped("a", ref)
                topics.leave("a", owner=ref)
            costs.append(calls.count)
    assert max(costs) <= min(costs) + 5
