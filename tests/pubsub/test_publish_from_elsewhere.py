"""Publishing and subscribing from a finalizer, from another thread, outside of Trio, and in the next run."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.inside import assert_no_subscription
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import PubSub, Wildcard


class Farewell:
    """Publishes when it is collected, or when its last reference goes."""

    def __init__(self, ticks: PubSub[Any, Any]) -> None:
        self.ticks = ticks
        self.itself: object = None

    def __del__(self) -> None:
        self.ticks.publish_nowait("a", "farewell")


@pytest.mark.parametrize("collected", [False, True])
async def test_a_finalizer_can_publish(collected: bool, autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with supervised() as supervisor, ticks.subscribe("a") as feed:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref, buffer=2)
        farewell = Farewell(ticks)
        farewell.itself = farewell if collected else None
        del farewell
        gc.collect()
        await wait_all_tasks_blocked()
        assert messages(feed) == ["farewell"]
        assert await ref.call(Reader.all) == ["farewell"]


async def test_a_message_that_is_dropped_may_publish_when_it_goes(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with ticks.subscribe("a", buffer=2, overflow="drop_oldest") as feed:
        for _ in range(2):
            ticks.publish_nowait("a", Farewell(ticks))
        ticks.publish_nowait("a", 1)
        gc.collect()
        assert messages(feed) == ["farewell", "farewell"]
        assert feed.dropped == 3


async def test_a_message_that_is_dropped_and_publishes_takes_none_from_those_for_which_publishers_wait(
    autojump_clock: MockClock,
) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    async with supervised() as supervisor, ticks.subscribe("a", buffer=1, overflow="drop_oldest") as lossy:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
        async with ticks.subscribe("a", buffer=1, overflow="wait") as feed:
            ticks.publish_nowait("a", Farewell(ticks))
            await wait_all_tasks_blocked()
            (await ref.call(Reader.all)).clear()
            messages(feed)
            assert ticks.publish_nowait("a", 1) == 3  # the first feed drops the farewell, which publishes in between
            await wait_all_tasks_blocked()
            assert (messages(feed), await ref.call(Reader.all)) == (["farewell", 1], ["farewell", 1])
            assert lossy.dropped == 2


@pytest.mark.parametrize("count", [1, 2])
async def test_another_thread_can_not_publish_to_an_audience_that_is_kept(count: int) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    def elsewhere() -> None:
        with pytest.raises(RuntimeError, match=r"trio\.from_thread"):
            ticks.publish_nowait("a", 2)

    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Reader) for _ in range(count)]
        for ref in refs:
            ticks.join("a", Reader.take, owner=ref)
        assert ticks.publish_nowait("a", 1) == count
        await trio.to_thread.run_sync(elsewhere)
        assert [await ref.call(Reader.all) for ref in refs] == [[1]] * count


async def test_another_thread_publishes_through_trio_from_thread(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    changes: list[Callable[[], object]] = [
        lambda: ticks.publish_nowait("a", 1),
        lambda: ticks.publish_nowait("a", 1, retain=True),
        lambda: ticks.leave("a"),
        lambda: ticks.forget("a"),
    ]

    def elsewhere() -> None:
        for change in changes:
            with pytest.raises(RuntimeError, match=r"trio\.from_thread"):
                change()
        assert len(ticks.members("a")) == len(ticks) == 1
        assert ticks.topics() == ["a"] and "a" in ticks
        assert trio.from_thread.run_sync(ticks.publish_nowait, "a", 2) == 1
        assert trio.from_thread.run(ticks.publish, "a", 3) == 1

    async with ticks.subscribe("a") as feed:
        await trio.to_thread.run_sync(elsewhere)
        assert messages(feed) == [2, 3]


def test_outside_of_trio_nothing_can_be_published() -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    async def main() -> None:
        ticks.publish_nowait("a", 1, retain=True)

    for _ in range(2):
        with pytest.raises(RuntimeError):
            ticks.publish_nowait("a", 1)
        with pytest.raises(RuntimeError):
            ticks.forget("a")
        with pytest.raises(RuntimeError):
            ticks.leave("a")
        trio.run(main)
    assert_no_subscription(ticks)


async def test_while_one_run_uses_it_another_one_can_not(autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")
    refused: list[str] = []

    async def other() -> None:
        for retain in (False, True):
            with pytest.raises(RuntimeError, match="in use by another Trio run"):
                ticks.publish_nowait("a", 1, retain=retain)
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            await ticks.publish("a", 1)
        with pytest.raises(RuntimeError, match="in use by another Trio run"):
            async with ticks.subscribe(Wildcard("#")):
                raise AssertionError("entered")
        refused.append("all")

    async with ticks.subscribe("a") as feed:
        await trio.to_thread.run_sync(trio.run, other)
        assert messages(feed) == []
        assert refused == ["all"]
    assert_no_subscription(ticks)


def test_one_pubsub_serves_many_runs_one_after_the_other() -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    async def main() -> None:
        async with ticks.subscribe(Wildcard("#")) as feed:
            assert ticks.publish_nowait("a", 1) == 1
            assert messages(feed) == [1]

    for _ in range(3):
        trio.run(main)
        assert_no_subscription(ticks)


def test_a_run_that_breaks_down_leaves_nothing_for_the_next_one() -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    async def broken() -> None:
        async with ticks.subscribe(Wildcard("#")), ticks.subscribe("a", buffer=0, overflow="wait"):
            raise SystemExit

    with pytest.raises(SystemExit):
        trio.run(broken)
    assert_no_subscription(ticks)


def test_after_its_run_a_pubsub_cannot_be_changed_outside_of_trio() -> None:
    ticks: PubSub[Any, Any] = PubSub("ticks")

    async def publish() -> None:
        ticks.publish_nowait("a", 1, retain=True)

    trio.run(publish)
    with pytest.raises(RuntimeError, match="inside of its Trio run"):
        ticks.forget("a")
    with pytest.raises(RuntimeError, match="inside of its Trio run"):
        ticks.publish_nowait("a", 2)
