"""Messages and subscriptions that take a way which few do: odd topics, many topics, and changes that fail half-way."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import trio
from support.faults import fail_once
from support.inside import slices_of
from support.processes import in_a_fork
from support.supervisors import supervised
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import ActorRef, DynamicSupervisor, PubSub, Wildcard
from trioreg._pubsub import core, publishing, pubsub, subscribing
from trioreg._registry.names import Names
from trioreg._runtime import feed, sleeping


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks")


async def test_a_topic_that_is_not_hashable_is_refused_at_once(ticks: PubSub[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"topic must be hashable: \[\]"):
        ticks.publish_nowait([], 1)


async def test_the_ways_to_more_topics_than_are_kept_are_found_anew(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(core, "TOPICS_KEPT", 2)
    async with supervised() as supervisor:
        reader = await supervisor.start_child(Reader)
        for topic in range(5):
            ticks.join(topic, Reader.take, owner=reader)
        for message in range(3):
            for topic in range(5):
                assert ticks.publish_nowait(topic, (topic, message)) == 1
        assert len(ticks._kept) <= 2
        assert await reader.call(Reader.all) == [(topic, message) for message in range(3) for topic in range(5)]


async def test_the_audiences_of_more_topics_than_are_kept_are_found_anew(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(core, "TOPICS_KEPT", 2)
    async with supervised() as supervisor:
        readers = [await supervisor.start_child(Reader) for _ in range(2)]
        for topic in range(5):
            for reader in readers:
                ticks.join(topic, Reader.take, owner=reader)
        for message in range(3):
            for topic in range(5):
                assert ticks.publish_nowait(topic, (topic, message)) == 2
        assert 1 <= len(ticks._kept) <= 2
        for reader in readers:
            assert await reader.call(Reader.all) == [(topic, message) for message in range(3) for topic in range(5)]


@pytest.mark.parametrize(("count", "is_kept"), [(1, True), (2, True), (3, False)])
async def test_a_large_audience_is_not_kept(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, count: int, is_kept: bool
) -> None:
    monkeypatch.setattr(core, "MOST_KEPT", 2)
    async with supervised() as supervisor:
        await readers_of(ticks, supervisor, count)
        assert ticks.publish_nowait("a", "hello") == count
        assert ("a" in ticks._kept) is is_kept


async def test_an_audience_in_which_somebody_lets_publishers_wait_is_not_kept(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, ticks.subscribe("a", buffer=1, overflow="wait") as feed:
        ticks.join("a", Reader.take, owner=await supervisor.start_child(Reader))
        assert ticks.publish_nowait("a", 1) == 2
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", 2)
        assert feed.receive_nowait() == 1
        assert ticks.publish_nowait("a", 3) == 2


@pytest.mark.parametrize(("count", "module"), [(1, pubsub), (2, sleeping)])
async def test_a_message_that_can_not_wake_an_actor_is_not_sent(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, count: int, module: ModuleType
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    async with supervised() as supervisor:
        readers = await readers_of(ticks, supervisor, count)
        with monkeypatch.context() as patch:
            patch.setattr(module, "reschedule", fail)
            with pytest.raises(MemoryError):
                ticks.publish_nowait("a", "lost")
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", "next")
        for reader in readers:
            assert await reader.call(Reader.all) == ["known", "next"]


@pytest.mark.parametrize(("count", "module"), [(1, pubsub), (2, sleeping)])
async def test_a_message_reaches_an_actor_if_waking_it_fails_at_the_last_step(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock, count: int, module: ModuleType
) -> None:
    def reschedule(task: Any, value: Any) -> None:
        trio.lowlevel.reschedule(task, value)
        raise RecursionError

    async with supervised() as supervisor:
        readers = await readers_of(ticks, supervisor, count)
        with monkeypatch.context() as patch:
            patch.setattr(module, "reschedule", reschedule)
            assert ticks.publish_nowait("a", "sent") == count
        for reader in readers:
            assert await reader.call(Reader.all) == ["known", "sent"]


async def readers_of(ticks: PubSub[Any, Any], supervisor: DynamicSupervisor, count: int) -> list[ActorRef[Reader]]:
    """Actors that have joined the topic "a", and have got one message: the next one finds them waiting."""
    readers = [await supervisor.start_child(Reader) for _ in range(count)]
    for reader in readers:
        ticks.join("a", Reader.take, owner=reader)
    ticks.publish_nowait("a", "known")
    await wait_all_tasks_blocked()
    return readers


async def test_a_message_is_not_retained_if_the_choice_of_its_audience_fails(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    def where(value: object) -> bool:
        raise ZeroDivisionError

    async with ticks.subscribe("a") as early:
        for retain in (False, True):
            with pytest.raises(ZeroDivisionError):
                await ticks.publish("a", 1, where=where, retain=retain)
        with pytest.raises(trio.WouldBlock):
            early.receive_nowait()
    async with ticks.subscribe("a") as late:
        with pytest.raises(trio.WouldBlock):
            late.receive_nowait()


async def test_a_later_retained_message_stays_if_an_earlier_publication_fails(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    def where(value: object) -> bool:
        ticks.publish_nowait("a", "later", retain=True)
        raise ZeroDivisionError

    async with ticks.subscribe("a"):
        with pytest.raises(ZeroDivisionError):
            await ticks.publish("a", "earlier", where=where, retain=True)
    async with ticks.subscribe("a") as late:
        assert late.receive_nowait() == "later"


@pytest.mark.parametrize("topic", ["a", trioreg.Wildcard("a.*")])
async def test_a_second_subscription_that_fails_leaves_the_first_one_as_it_was(
    ticks: PubSub[Any, Any], topic: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail(*_: object) -> int:
        raise MemoryError

    async with ticks.subscribe(topic) as first:
        with monkeypatch.context() as patch:
            patch.setattr(Names, "insert", fail)
            with pytest.raises(MemoryError):
                async with ticks.subscribe(topic):
                    raise AssertionError("it must not begin")
        assert ticks.publish_nowait("a" if topic == "a" else "a.b", 1) == 1
        assert first.receive_nowait() == 1


async def test_a_subscription_that_fails_after_its_entry_was_made_leaves_no_entry(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail_late(function: Any, *args: Any) -> Any:
        if getattr(function, "__name__", "") == "delete":
            raise MemoryError
        return partial(function, *args)

    with monkeypatch.context() as patch:
        patch.setattr(subscribing, "partial", fail_late)
        with pytest.raises(MemoryError):
            async with ticks.subscribe("a"):
                raise AssertionError("it must not begin")
    assert ticks.publish_nowait("a", 1) == 0


async def test_a_receiver_finds_only_what_is_in_the_buffer_while_all_senders_are_being_cancelled(
    autojump_clock: MockClock,
) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a", buffer=1, overflow="wait") as full, trio.open_nursery() as nursery:
        for message in range(3):
            nursery.start_soon(ticks.publish, "a", message)
        await wait_all_tasks_blocked()
        first = full.receive_nowait()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        second = full.receive_nowait()
        assert {first, second} < {0, 1, 2}
        with pytest.raises(trio.WouldBlock):
            full.receive_nowait()


async def test_a_receive_that_had_begun_ends_as_the_feed_does_if_the_feed_is_closed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def closed_meanwhile() -> None:
        feed_of_a.close()
        await trio.lowlevel.cancel_shielded_checkpoint()

    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("a") as feed_of_a:
        ticks.publish_nowait("a", 1)
        with monkeypatch.context() as patch:
            patch.setattr(feed, "checkpoint", closed_meanwhile)
            with pytest.raises(trio.EndOfChannel):
                await feed_of_a.receive()
        with pytest.raises(trio.ClosedResourceError):
            await feed_of_a.receive()


async def test_a_publisher_that_fails_while_it_gives_up_its_places_stands_in_no_line(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    slices_of(monkeypatch, 1)
    async with AsyncExitStack() as stack:
        feeds = [await stack.enter_async_context(ticks.subscribe("a", buffer=0, overflow="wait")) for _ in range(3)]
        with pytest.RaisesGroup(MemoryError):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ticks.publish, "a", 1)
                await wait_all_tasks_blocked()
                assert [feed.statistics().tasks_waiting_send for feed in feeds] == [1, 1, 1]
                fail_once(monkeypatch, publishing, "cancel_shielded_checkpoint")
                nursery.cancel_scope.cancel()
        assert [feed.statistics().tasks_waiting_send for feed in feeds] == [0, 0, 0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
async def test_after_a_fork_the_child_has_no_patterns(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    def check() -> None:
        assert ticks._wildcards.size == 0

    async with ticks.subscribe(Wildcard("a.#")):
        assert ticks._wildcards.size == 1
        in_a_fork(check)


async def test_the_audience_is_kept_anew_when_a_second_actor_has_joined(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        readers = [await supervisor.start_child(Reader) for _ in range(2)]
        for message, reader in enumerate(readers):
            ticks.join("a", Reader.take, owner=reader)
            ticks.publish_nowait("a", message)
            assert [each.cell for each in ticks._kept["a"][3]] == [each._cell for each in readers[: message + 1]]
