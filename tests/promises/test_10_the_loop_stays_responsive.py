"""Promise 10, the loop stays responsive: work over many entries lets other tasks run on the way.

The loop is held for as long as one pass of Trio's scheduler takes. So the function calls of each pass are counted. With
twice as many entries, the longest pass is as long as before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
import trio
from support.calls import Calls, counted_calls
from support.inside import few_at_a_time
from trio.lowlevel import add_instrument, remove_instrument
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ANY,
    Actor,
    ActorExited,
    ChildSpec,
    DynamicSupervisor,
    OnDemand,
    OnDemandSupervisor,
    PubSub,
    Registry,
    Wildcard,
    open_dynamic_supervisor,
)

SIZES = 160, 320
"""The numbers of entries."""

AT_A_TIME = 10
"""After so many entries other tasks run. A program has 20 to 500 there, which would make these tests take long."""


class Passes(trio.abc.Instrument):
    """The most function calls in one pass of the scheduler."""

    def __init__(self, calls: Calls) -> None:
        self.most = 0
        self._calls = calls
        self._before = calls.count

    def after_io_wait(self, timeout: float) -> None:
        self._before = self._calls.count

    def before_io_wait(self, timeout: float) -> None:
        self.most = max(self.most, self._calls.count - self._before)


async def longest_pass(work: Callable[[], Awaitable[object]]) -> int:
    """The most function calls in one pass, while that is done and until all tasks sleep."""
    await wait_all_tasks_blocked()
    with counted_calls() as calls:
        passes = Passes(calls)
        add_instrument(passes)
        await trio.lowlevel.checkpoint()
        passes.most = 0
        await work()
        await wait_all_tasks_blocked()
        remove_instrument(passes)
    return passes.most


class Quick(Actor):
    def __init__(self, key: int = 0) -> None:
        self.key = key

    def work(self, _: object = None) -> None:
        pass

    async def hold(self, until: trio.Event) -> None:
        await until.wait()


Story: TypeAlias = Callable[[int], Awaitable[int]]


async def select_and_count(size: int) -> int:
    names: Registry[int, int] = Registry("names")
    for number in range(size):
        names.register(number, number)

    async def work() -> None:
        assert len(await names.select(ANY, ANY, int)) == size
        assert await names.count_select(value=int) == size

    most = await longest_pass(work)
    for number in range(size):
        names.unregister(number)
    return most


async def publish_to_actors(size: int) -> int:
    topics: PubSub[str, int] = PubSub("topics")
    async with open_dynamic_supervisor() as supervisor:
        for _ in range(size):
            topics.join("topic", Quick.work, owner=await supervisor.start_child(Quick))

        async def work() -> None:
            assert await topics.publish("topic", 1) == size

        most = await longest_pass(work)
        supervisor.stop()
    return most


async def publish_to_tasks(size: int) -> int:
    topics: PubSub[str, int] = PubSub("topics")

    async def read() -> None:
        async with topics.subscribe("topic") as feed:
            async for _ in feed:
                pass

    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(read)
        await wait_all_tasks_blocked()
        most = await longest_pass(lambda: topics.publish("topic", 1))
        nursery.cancel_scope.cancel()
    return most


async def subscribe_to_a_pattern(size: int) -> int:
    topics: PubSub[str, int] = PubSub("topics")
    for number in range(size):
        topics.publish_nowait(f"topic.{number}", number, retain=True)

    async def work() -> None:
        async with topics.subscribe(Wildcard("*.*")) as feed:
            assert await feed.receive() == 0

    return await longest_pass(work)


async def end_a_supervisor(size: int) -> int:
    async with open_dynamic_supervisor() as outer:
        inner = await outer.start_child(DynamicSupervisor, restart="temporary")
        for _ in range(size):
            await inner.call(DynamicSupervisor.start_child, ChildSpec(Quick))
        return await longest_pass(inner.stop)


async def retire_on_demand(size: int) -> int:
    keyed: OnDemand[int, Quick] = OnDemand("keyed", Quick, retire_after=100)
    async with open_dynamic_supervisor() as outer:
        supervisor = await outer.start_child(OnDemandSupervisor, keyed, restart="temporary")
        for number in range(size):
            keyed.via(number).cast_nowait(Quick.work)
            await trio.lowlevel.checkpoint()

        async def work() -> None:
            await trio.sleep(150)
            assert len(keyed) == 0

        most = await longest_pass(work)
        await supervisor.stop()
    return most


async def end_on_demand(size: int) -> int:
    keyed: OnDemand[int, Quick] = OnDemand("keyed", Quick)
    async with open_dynamic_supervisor() as outer:
        supervisor = await outer.start_child(OnDemandSupervisor, keyed, restart="temporary")
        for number in range(size):
            keyed.via(number).cast_nowait(Quick.work)
            await trio.lowlevel.checkpoint()
        return await longest_pass(supervisor.stop)


async def handle_many_messages(size: int) -> int:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Quick)
        busy = trio.Event()
        await ref.cast(Quick.hold, busy)
        for _ in range(size):
            ref.cast_nowait(Quick.work)

        async def work() -> None:
            busy.set()

        most = await longest_pass(work)
        supervisor.stop()
    return most


async def end_with_many_calls(size: int) -> int:
    learned = 0
    async with open_dynamic_supervisor() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Quick, restart="temporary")
        await ref.cast(Quick.hold, trio.Event())

        async def call() -> None:
            nonlocal learned
            with pytest.raises(ActorExited):
                await ref.call(Quick.work)
            learned += 1

        for _ in range(size):
            nursery.start_soon(call)
        await wait_all_tasks_blocked()

        async def work() -> None:
            ref.kill()

        most = await longest_pass(work)
    assert learned == size
    return most


STORIES: list[Story] = [
    select_and_count,
    publish_to_actors,
    publish_to_tasks,
    subscribe_to_a_pattern,
    end_a_supervisor,
    retire_on_demand,
    end_on_demand,
    handle_many_messages,
    end_with_many_calls,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_the_loop_is_held_no_longer_with_twice_as_many(
    story: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_at_a_time(monkeypatch, AT_A_TIME)
    few, many = [await story(size) for size in SIZES]
    assert many <= 1.2 * few + 50
