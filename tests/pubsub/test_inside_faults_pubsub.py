"""Tests the inside: a failure at any call within a change of a PubSub leaves nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call, inside
from support.inside import assert_no_subscription, patterns_in, wake_at_once
from support.owners import staged
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import wait_all_tasks_blocked

from trioreg import ANY, ActorRef, PubSub, Registered, Unregistered, Wildcard
from trioreg._pubsub.core import _EndOfSubscriptions
from trioreg._runtime import waking as _waking

KINDS = [AtCall, WithRoom]
TOPICS = ["a", Wildcard("a.#")]

Kind = Callable[[int], Fault]


def assert_consistent(ticks: PubSub[Any, Any]) -> None:
    """Each pattern that has subscribers is found, and each entry belongs to an open subscription."""
    subscribed = {topic for topic in ticks.topics() if isinstance(topic, Wildcard)}
    assert patterns_in(ticks) >= len(subscribed)
    assert len(ticks) == sum(len(ticks.members(topic)) for topic in ticks.topics())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_a_subscription_that_fails_as_it_begins_leaves_nothing(topic: Any, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        ticks.publish_nowait("a", 1, retain=True)
        block = ticks.subscribe(topic)
        feed: Any = None
        with suppress(MemoryError):
            feed = await Stepped(block.__aenter__(), fault)
        assert_consistent(ticks)
        if feed is None:
            assert_no_subscription(ticks)
        else:
            assert messages(feed) == [1]
            assert ticks.publish_nowait("a", 2) == 1
            assert messages(feed) == [2]
            await block.__aexit__(None, None, None)
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_an_update_that_fails_changes_a_value_with_its_events_or_not_at_all(topic: Any, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        async with ticks.subscribe(topic, value=1) as feed, ticks.subscribe(topic, value=2) as second:
            with ticks.watch(ANY, initial=True) as events:
                fault(lambda: ticks.update_value(topic, lambda value: value * 10))
                assert_consistent(ticks)
                await wait_all_tasks_blocked()  # what there was no memory for is done a little later
                present: list[Any] = []
                assert ticks.leave("nothing") == 0  # it tells what was posted before a failure
                told: list[Registered[Any, Any] | Unregistered[Any, Any]] = messages(events)
                for event in told:
                    if isinstance(event, Registered):
                        present.append(event.value)
                    else:
                        present.remove(event.value)
                values: list[Any] = [value for _, value in ticks.members(topic)]
                assert sorted(present) == sorted(values)
                assert values in ([1, 2], [10, 2], [10, 20])
            assert ticks.publish_nowait("a", 1) == 2
            assert messages(feed) == messages(second) == [1]
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_a_block_whose_end_fails_leaves_a_feed_that_is_closed(topic: Any, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        block = ticks.subscribe(topic)
        feed = await block.__aenter__()
        with suppress(MemoryError, RecursionError):
            await Stepped(block.__aexit__(None, None, None), fault)
        assert_consistent(ticks)
        await wait_all_tasks_blocked()  # what there was no memory for is done a little later
        if ticks.publish_nowait("a", 1):
            assert kind is WithRoom
            assert messages(feed) == [1]  # there was no room for the very first step: nothing has changed
        else:
            with pytest.raises((trio.ClosedResourceError, trio.EndOfChannel)):
                feed.receive_nowait()
        if kind is WithRoom:
            ticks.leave(topic)  # there was no room to have it done later, either
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("buffer", [float("inf"), 1])
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_an_actor_whose_join_fails_is_no_subscriber(topic: Any, buffer: float, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        ticks.publish_nowait("a", 1, retain=True)
        ticks.publish_nowait("a.b", 2, retain=True)
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Reader)
            done = fault(lambda: ticks.join(topic, Reader.take, owner=ref, buffer=buffer))
            assert_consistent(ticks)
            assert len(ticks) == int(done)
            await wait_all_tasks_blocked()
            if done:
                assert await ref.call(Reader.all) == [1] if topic == "a" else [1, 2]
                assert ticks.publish_nowait("a", 3) == 1
                await wait_all_tasks_blocked()
                assert (await ref.call(Reader.all))[-1] == 3
            else:
                assert ticks.publish_nowait("a", 3) == 0
                ticks.join(topic, Reader.take, owner=ref, buffer=buffer)
                assert ticks.publish_nowait("a", 3) == 1
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_a_leave_that_fails_can_be_done_again(topic: Any, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        ended: list[bool] = []

        async def receive(feed: Any) -> None:
            with suppress(trio.EndOfChannel):
                await feed.receive()
            ended.append(True)

        async with ticks.subscribe(topic) as feed, trio.open_nursery() as nursery:
            nursery.start_soon(receive, feed)
            await wait_all_tasks_blocked()
            done = fault(lambda: ticks.leave(topic))
            assert_consistent(ticks)
            if not done:
                ticks.leave(topic)
            assert len(ticks) == 0
            assert ticks.publish_nowait("a", 1) == 0
            await wait_all_tasks_blocked()
            assert ended == [True]
            nursery.cancel_scope.cancel()
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize(
    ("kind", "later"), [(AtCall, False), (WithRoom, False), (AtCall, True)]
)  # the stack of the loop is never full
@pytest.mark.parametrize("waiting", ["publishers", "receivers"])
def test_an_end_that_fails_half_way_still_wakes_all_that_wait(
    waiting: str, later: bool, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    wake_at_once(monkeypatch, 1)

    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        woken: list[object] = []

        async def wait() -> None:
            if waiting == "publishers":
                woken.append(await ticks.publish("a", 1))
            else:
                with pytest.raises(trio.EndOfChannel):
                    await feed.receive()
                woken.append(0)

        async with ticks.subscribe("a", buffer=0, overflow="wait") as feed, trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            if later:
                with inside(_waking, "_wake_others", fault):
                    feed.close()
                    await wait_all_tasks_blocked()
            elif not fault(feed.close):
                feed.close()
            await wait_all_tasks_blocked()
            assert woken == [0, 0, 0, 0]
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["leave", "close", "end of an actor", "end of a task"])
@pytest.mark.parametrize("topic", TOPICS, ids=str)
def test_an_end_that_is_told_in_a_failing_listener_leaves_nothing_half(topic: Any, how: str, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        ended: list[Any] = []

        async def receive(feed: Any) -> None:
            with suppress(trio.EndOfChannel):
                await feed.receive()
            ended.append("receiver")

        async def publish() -> None:
            assert await ticks.publish("a", 2) == 1  # the idle one
            ended.append("publisher")

        async with (
            staged() as stage,
            ticks.subscribe("other") as other,
            trio.open_nursery() as nursery,
        ):
            owner = await (stage.actor() if how == "end of an actor" else stage.task())
            async with (
                ticks.subscribe(topic, owner=owner) as idle,
                ticks.subscribe(topic, buffer=1, overflow="wait", owner=owner) as full,
            ):
                ticks.publish_nowait("a", 1)
                nursery.start_soon(publish)
                await wait_all_tasks_blocked()
                messages(idle)
                for _ in range(2):
                    nursery.start_soon(receive, idle)
                await wait_all_tasks_blocked()
                with inside(_EndOfSubscriptions, "__call__", fault):
                    if how == "leave":
                        ticks.leave(topic, owner=owner)
                    elif how == "close":
                        full.close()
                        ticks.leave(topic, owner=owner)
                    else:
                        await stage.end(owner)
                await wait_all_tasks_blocked()
                assert sorted(ended) == ["publisher", "receiver", "receiver"]
                assert ticks.topics() == ["other"]
                assert patterns_in(ticks) == 0
            assert ticks.publish_nowait("other", 1) == 1
            assert messages(other) == [1]
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("waiting", [False, True])
def test_a_publication_that_fails_tells_nobody_twice_and_breaks_no_subscriber(waiting: bool, kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        got: list[Any] = []

        async def receive(feed: Any) -> None:
            async for message in feed:
                got.append(message)

        async with (
            supervised() as supervisor,
            ticks.subscribe("a") as one,
            ticks.subscribe(Wildcard("a.#"), buffer=2, overflow="drop_oldest") as two,
            trio.open_nursery() as nursery,
        ):
            refs: list[ActorRef[Reader]] = []
            for buffer in (float("inf"), 2):
                ref = await supervisor.start_child(Reader)
                ticks.join("a", Reader.take, owner=ref, buffer=buffer)
                refs.append(ref)
            if waiting:
                nursery.start_soon(receive, one)
                await wait_all_tasks_blocked()
            done = fault(lambda: ticks.publish_nowait("a", 1))
            told = [one.statistics().buffered, two.statistics().buffered]
            assert max(told) <= 1
            if kind is WithRoom and not done and not waiting:
                assert told == [0, 0]
            assert ticks.publish_nowait("a", 2) == 4
            await wait_all_tasks_blocked()
            for found in (
                got if waiting else messages(one),
                messages(two),
                *[await ref.call(Reader.all) for ref in refs],
            ):
                assert found in ([1, 2], [2])
                assert not done or found == [1, 2]
            nursery.cancel_scope.cancel()
        assert_no_subscription(ticks)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("buffer", [float("inf"), 2])
def test_a_message_for_one_actor_gets_in_or_does_not(buffer: float) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Reader)
            ticks.join("a", Reader.take, owner=ref, buffer=buffer)
            done = fault(lambda: ticks.publish_nowait("a", 1))
            await wait_all_tasks_blocked()
            assert await ref.call(Reader.all) == ([1] if done else [])
            ticks.publish_nowait("a", 2)
            await wait_all_tasks_blocked()
            assert await ref.call(Reader.all) == ([1, 2] if done else [2])

    fails_at_every_call(WithRoom, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
def test_a_publisher_whose_wait_fails_stands_in_no_line(kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        async with ticks.subscribe("a", buffer=1, overflow="wait") as feed:
            ticks.publish_nowait("a", 0)
            ended: list[bool] = []

            async def publish() -> None:
                try:
                    await Stepped(ticks.publish("a", 1), fault)
                except (MemoryError, RecursionError):
                    ended.append(False)
                    await trio.sleep(5)
                    return
                ended.append(True)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(publish)
                await wait_all_tasks_blocked()
                assert feed.statistics().tasks_waiting_send == int(ended == [])
                got = messages(feed)
                await trio.sleep(1)
                assert got == ([0, 1] if ended == [True] else [0]) or (kind is AtCall and got == [0, 1])
            assert feed.statistics().tasks_waiting_send == 0
            assert ticks.publish_nowait("a", 2) == 1

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_receive_that_fails_as_it_begins_to_wait_takes_no_message(kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        async with ticks.subscribe("a") as feed:
            got: list[Any] = []

            async def receive() -> None:
                try:
                    got.append(await Stepped(feed.receive(), fault))
                except (MemoryError, RecursionError):
                    got.append(None)
                    await trio.sleep(5)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await wait_all_tasks_blocked()
                assert ticks.publish_nowait("a", 1) == 1
                await trio.sleep(1)
                assert got + messages(feed) in ([1], [None, 1]) or (got == [None] and kind is AtCall)
            assert feed.statistics().tasks_waiting_receive == 0

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_a_receive_that_fails_loses_no_message(kind: Kind) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: PubSub[Any, Any] = PubSub("ticks")
        got: list[Any] = []
        async with ticks.subscribe("a", buffer=2, overflow="wait") as feed:
            async with trio.open_nursery() as nursery:
                for message in range(4):
                    nursery.start_soon(ticks.publish, "a", message)
                    await wait_all_tasks_blocked()
                if not fault(lambda: got.append(feed.receive_nowait())):
                    assert kind is AtCall or feed.statistics().buffered == 2
                got += messages(feed)
                await wait_all_tasks_blocked()
                got += messages(feed)
            if kind is WithRoom:
                assert got == [0, 1, 2, 3]
            assert feed.statistics().tasks_waiting_send == 0

    fails_at_every_call(kind, scenario)
