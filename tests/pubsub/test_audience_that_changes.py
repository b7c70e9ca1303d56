"""A large audience is told in slices, while others join and leave: who is told, how often, and in which order."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

import attrs
import pytest
import trio
from support.inside import assert_no_subscription, slices_of
from support.steps import Passes
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, PubSub, Wildcard

Message = tuple[str, int]
"""The name of a publisher, and the number of its message."""

TOPIC = "ticks.ibm"
PATTERN = Wildcard("ticks.*")
SLICE = 7


@attrs.frozen
class Subscriber:
    """What a subscriber got, and how to have it leave."""

    got: list[Message]
    leave: Callable[[], object]


Join = Callable[[Any], Awaitable[Subscriber]]


class Listener(Actor):
    def __init__(self, topics: PubSub[str, Message], topic: Any, got: list[Message]) -> None:
        self.got = got
        topics.join(topic, Listener.take, owner=self.ref)

    def take(self, message: Message) -> None:
        self.got.append(message)


@asynccontextmanager
async def tasks(topics: PubSub[str, Message]) -> AsyncGenerator[Join]:
    async def listen(topic: Any, *, task_status: trio.TaskStatus[Subscriber]) -> None:
        got: list[Message] = []
        with trio.CancelScope() as scope:
            async with topics.subscribe(topic) as feed:
                task_status.started(Subscriber(got, scope.cancel))
                async for message in feed:
                    got.append(message)

    async def join(topic: Any) -> Subscriber:
        subscriber: Subscriber = await nursery.start(listen, topic)
        return subscriber

    async with trio.open_nursery() as nursery:
        yield join
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def actors(topics: PubSub[str, Message]) -> AsyncGenerator[Join]:
    async def join(topic: Any) -> Subscriber:
        got: list[Message] = []
        ref = await supervisor.start_child(Listener, topics, topic, got, restart="temporary")
        return Subscriber(got, ref.cancel)

    async with supervised() as supervisor:
        yield join


Audience = Callable[[PubSub[str, Message]], AbstractAsyncContextManager[Join]]

audiences = pytest.mark.parametrize("audience", [tasks, actors])


def numbers(got: list[Message], publisher: str) -> list[int]:
    return [number for name, number in got if name == publisher]


@audiences
@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("topic", [TOPIC, PATTERN], ids=["topic", "wildcard"])
@pytest.mark.parametrize("publishers", [("x",), ("x", "y")], ids=["one publisher", "two publishers"])
async def test_nobody_is_told_twice_and_a_subscriber_that_stays_is_told_once(
    audience: Audience,
    partitions: int,
    topic: Any,
    publishers: tuple[str, ...],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slices_of(monkeypatch, SLICE)
    random = Random(1)
    topics: PubSub[str, Message] = PubSub("topics", partitions=partitions)
    done: dict[str, int] = dict.fromkeys(publishers, 0)
    is_over = False

    async def publish(name: str) -> None:
        for number in range(8):
            assert await topics.publish(TOPIC, (name, number)) >= len(staying)
            done[name] = number + 1

    async with audience(topics) as join:
        # Those that stay and those that leave are mixed in the audience.
        first = [await join(topic) for _ in range(80)]
        staying, leaving = first[::2], first[1::2]
        left: list[Subscriber] = []
        joined: list[tuple[Subscriber, dict[str, int]]] = []

        async def come_and_go() -> None:
            while not is_over:
                if random.random() < 0.5:
                    before = dict(done)
                    subscriber = await join(topic)
                    joined.append((subscriber, before))
                    leaving.append(subscriber)
                if leaving and random.random() < 0.5:
                    left.append(leaving.pop(random.randrange(len(leaving))))
                    left[-1].leave()
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as changing:
            changing.start_soon(come_and_go)
            async with trio.open_nursery() as publishing:
                for name in publishers:
                    publishing.start_soon(publish, name)
            is_over = True
        await wait_all_tasks_blocked()
        assert len(left) > 10
        assert len(joined) > 10
        for name in publishers:
            for subscriber in staying:
                assert numbers(subscriber.got, name) == [*range(8)]
            for subscriber in (*left, *leaving):
                got = numbers(subscriber.got, name)
                # None twice, and none left out between the first one and the last one.
                assert got == [*range(got[0], got[-1] + 1)] if got else True
            for subscriber, before in joined:
                assert all(number >= before[name] for number in numbers(subscriber.got, name))
    assert_no_subscription(topics)


@audiences
async def test_a_subscriber_that_joins_while_an_audience_is_told_does_not_get_that_message(
    audience: Audience, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, SLICE)
    topics: PubSub[str, Message] = PubSub("topics", partitions=3)
    async with audience(topics) as join, trio.open_nursery() as nursery:
        early = [await join(TOPIC) for _ in range(100 * SLICE)]
        nursery.start_soon(topics.publish, TOPIC, ("x", 0))
        while not any(subscriber.got for subscriber in early):
            await trio.lowlevel.checkpoint()
        late = await join(TOPIC)
        assert nursery.child_tasks  # it goes on
        await wait_all_tasks_blocked()
        assert await topics.publish(TOPIC, ("x", 1)) == 100 * SLICE + 1
        await wait_all_tasks_blocked()
        assert late.got == [("x", 1)]


@audiences
@pytest.mark.parametrize("topic", [TOPIC, PATTERN], ids=["topic", "wildcard"])
async def test_few_subscribers_run_in_each_pass_of_the_scheduler(
    audience: Audience, topic: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, SLICE)
    topics: PubSub[str, Message] = PubSub("topics", partitions=3)
    async with audience(topics) as join:
        for _ in range(200):
            await join(topic)
        await wait_all_tasks_blocked()
        passes = Passes()
        trio.lowlevel.add_instrument(passes)
        assert await topics.publish(TOPIC, ("x", 0)) == 200
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(passes)
    # One slice at most is told in a pass. The order in a pass is any, so two slices may run in the next one.
    assert passes.most <= 2 * SLICE + 2


@audiences
async def test_20_000_subscribers_are_told_once_while_others_come_and_go(
    audience: Audience, autojump_clock: MockClock
) -> None:
    topics: PubSub[str, Message] = PubSub("topics", partitions=3)
    passing: list[Subscriber] = []
    told: list[int] = []

    async def publish(name: str) -> None:
        told.append(await topics.publish(TOPIC, (name, 0)))

    async with audience(topics) as join:
        staying = [await join(TOPIC if number % 2 else PATTERN) for number in range(20_000)]
        leaving = [await join(TOPIC) for _ in range(20)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, "x")
            nursery.start_soon(publish, "y")
            while len(told) < 2:
                passing.append(await join(TOPIC))
                if leaving:
                    passing.append(leaving.pop())
                    passing[-1].leave()
        await wait_all_tasks_blocked()
        assert len(passing) > 10
        for subscriber in staying:
            assert sorted(subscriber.got) == [("x", 0), ("y", 0)]
        for subscriber in passing:
            assert len(set(subscriber.got)) == len(subscriber.got)
        assert all(20_000 <= reached <= 20_020 for reached in told)
    assert_no_subscription(topics)


async def fill_up(topics: PubSub[str, int], nursery: trio.Nursery, size: int) -> list[Any]:
    """Feeds without room: publishers wait for each."""
    feeds: list[Any] = []

    async def hold(*, task_status: trio.TaskStatus[None]) -> None:
        async with topics.subscribe("topic", buffer=1, overflow="wait") as feed:
            feeds.append(feed)
            task_status.started()
            await trio.sleep_forever()

    for _ in range(size):
        await nursery.start(hold)
    assert topics.publish_nowait("topic", 0) == size
    return feeds


async def count_checkpoints(until: Callable[[], object]) -> int:
    count = 0
    while not until() and count < 1_000:
        await trio.lowlevel.checkpoint()
        count += 1
    return count


async def test_publish_lets_other_tasks_run_while_many_let_it_in_at_once(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, SLICE)
    topics: PubSub[str, int] = PubSub("topics")
    async with trio.open_nursery() as nursery:
        feeds = await fill_up(topics, nursery, 20 * SLICE)
        reached: list[int] = []

        async def publish() -> None:
            reached.append(await topics.publish("topic", 1))

        nursery.start_soon(publish)
        await wait_all_tasks_blocked()
        assert [feed.receive_nowait() for feed in feeds] == [0] * 20 * SLICE
        assert await count_checkpoints(lambda: reached) >= 15
        assert reached == [20 * SLICE]
        nursery.cancel_scope.cancel()


async def test_publish_that_is_cancelled_leaves_many_lines_in_slices(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, SLICE)
    topics: PubSub[str, int] = PubSub("topics")
    async with trio.open_nursery() as nursery:
        feeds = await fill_up(topics, nursery, 20 * SLICE)
        scope = trio.CancelScope()

        async def publish() -> None:
            with scope:
                await topics.publish("topic", 1)

        nursery.start_soon(publish)
        await wait_all_tasks_blocked()
        scope.cancel()
        assert await count_checkpoints(lambda: scope.cancelled_caught) >= 15
        assert [feed.statistics().tasks_waiting_send for feed in feeds] == [0] * 20 * SLICE
        # None of them got it.
        assert [feed.receive_nowait() for feed in feeds] == [0] * 20 * SLICE
        assert topics.publish_nowait("topic", 2) == 20 * SLICE
        nursery.cancel_scope.cancel()
