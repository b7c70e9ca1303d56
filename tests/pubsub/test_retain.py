"""retain=True: a later subscriber first gets the last retained message of its topic."""

from __future__ import annotations

import math
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
import trio
from support.faults import fail_once
from support.inside import assert_no_subscription, retained_at_a_time, slices_of
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Feed, PubSub, Wildcard
from trioreg._pubsub.retained import Retained


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks")


async def test_the_last_retained_message_comes_first(ticks: PubSub[Any, Any]) -> None:
    for message in (1, 2):
        ticks.publish_nowait("a", message, retain=True)
    await ticks.publish("b", 3, retain=True)
    ticks.publish_nowait("a", 4)
    assert ticks.retained("a") == [2]
    async with ticks.subscribe("a") as feed:
        ticks.publish_nowait("a", 5)
        assert messages(feed) == [2, 5]


async def test_a_message_that_is_told_is_not_told_again_as_a_retained_one(ticks: PubSub[Any, Any]) -> None:
    async with ticks.subscribe("a") as feed:
        ticks.publish_nowait("a", 1, retain=True)
        await ticks.publish("a", 2, retain=True)
        assert messages(feed) == [1, 2]


async def test_a_pattern_gets_the_retained_message_of_each_topic_that_it_matches(ticks: PubSub[Any, Any]) -> None:
    for topic in ("a.1", "a.2", "b.1", 7):
        ticks.publish_nowait(topic, topic, retain=True)
    async with ticks.subscribe(Wildcard("a.*")) as some, ticks.subscribe(Wildcard("#")) as every:
        assert messages(some) == ["a.1", "a.2"]
        assert messages(every) == ["a.1", "a.2", "b.1"]


async def test_a_pattern_gets_many_retained_messages_as_they_were_when_it_came_and_then_what_is_published(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    retained_at_a_time(monkeypatch, 2)
    for number in range(10):
        ticks.publish_nowait(f"a.{number}", number, retain=True)
    got: list[Any] = []

    async def subscribe() -> None:
        async with ticks.subscribe(Wildcard("a.#")) as feed:
            got.extend(messages(feed))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscribe)
        while not len(ticks):
            await trio.lowlevel.checkpoint()
        assert not got  # other tasks run on the way
        assert ticks.publish_nowait("a.9", "more", retain=True) == 1
        ticks.forget("a.8")
    assert got == [*range(10), "more"]


async def test_a_task_that_waits_gets_a_message_though_its_pattern_matches_no_retained_one(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    ticks.publish_nowait("b", 0, retain=True)
    got: list[Any] = []
    is_there = False

    async def subscribe() -> None:
        nonlocal is_there
        async with ticks.subscribe(Wildcard("a.#"), buffer=0) as feed:
            is_there = True
            got.append(await feed.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscribe)
        while not is_there:
            await trio.lowlevel.checkpoint()
        assert ticks.publish_nowait("a", 1) == 1
    assert got == [1]


async def test_a_pattern_whose_entry_is_cancelled_at_any_step_leaves_no_subscription(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    retained_at_a_time(monkeypatch, 2)
    for steps in range(8):
        ticks: PubSub[Any, Any] = PubSub("ticks")
        for number in range(10):
            ticks.publish_nowait(f"a.{number}", number, retain=True)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def subscribe(ticks: PubSub[Any, Any] = ticks) -> None:
                    async with ticks.subscribe(Wildcard("a.#")):
                        await trio.sleep_forever()

                nursery.start_soon(subscribe)
                for _ in range(steps):
                    await trio.lowlevel.cancel_shielded_checkpoint()
                scope.cancel()
        assert_no_subscription(ticks)


async def test_a_pattern_whose_entry_is_cancelled_when_memory_is_short_leaves_no_subscription(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    retained_at_a_time(monkeypatch, 2)
    for number in range(10):
        ticks.publish_nowait(f"a.{number}", number, retain=True)

    async def cancel() -> None:
        while not ticks.count(Wildcard("a.#")):
            await trio.lowlevel.cancel_shielded_checkpoint()
        failed.append(fail_once(monkeypatch, Feed, "close"))
        scope.cancel()

    failed: list[list[str]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel)
        with trio.CancelScope() as scope:
            async with ticks.subscribe(Wildcard("a.#")):
                raise AssertionError("entered")
        await wait_all_tasks_blocked()
        assert_no_subscription(ticks)
    assert failed == [["close"]]


async def test_forget_drops_it(ticks: PubSub[Any, Any]) -> None:
    assert ticks.forget("a") is False
    ticks.publish_nowait("a", None, retain=True)
    assert ticks.retained("a") == [None]
    assert ticks.forget("a") is True
    assert ticks.forget("a") is False
    assert ticks.retained("a") == []
    async with ticks.subscribe("a") as feed:
        assert messages(feed) == []


@pytest.mark.parametrize("method", ["retained", "forget"])
async def test_what_can_be_no_topic_has_no_retained_message(ticks: PubSub[Any, Any], method: str) -> None:
    ticks.publish_nowait("a", 1, retain=True)
    with pytest.raises(TypeError, match="topic must be hashable"):
        getattr(ticks, method)({})


async def test_what_could_not_be_published_is_not_retained(ticks: PubSub[Any, Any]) -> None:
    async with ticks.subscribe("a", buffer=0, overflow="wait"):
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", 1, retain=True)
    assert ticks.retained("a") == []


@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
@pytest.mark.parametrize("buffer", [0, 1, 2])
async def test_retained_messages_do_not_count_in_the_buffer_of_a_feed(
    ticks: PubSub[Any, Any], buffer: int, overflow: Any
) -> None:
    for number in range(5):
        ticks.publish_nowait(f"a.{number}", number, retain=True)
    async with ticks.subscribe(Wildcard("a.*"), buffer=buffer, overflow=overflow) as feed:
        assert feed.statistics().buffered == 0
        for message in range(buffer):
            assert ticks.publish_nowait("a.x", message) == 1
        assert messages(feed) == [0, 1, 2, 3, 4, *range(buffer)]
        assert feed.dropped == 0


@pytest.mark.parametrize("overflow", ["error", "drop_oldest", "drop_newest", "wait"])
@pytest.mark.parametrize("buffer", [1, 2, math.inf])
async def test_retained_messages_do_not_count_in_the_buffer_of_an_actor(
    ticks: PubSub[Any, Any], buffer: float, overflow: Any, autojump_clock: MockClock
) -> None:
    for number in range(5):
        ticks.publish_nowait(f"a.{number}", number, retain=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        until = trio.Event()
        ref.cast_nowait(Reader.hold, until)
        ticks.join(Wildcard("a.*"), Reader.take, owner=ref, buffer=buffer, overflow=overflow)
        more = [*range(10, 10 + int(min(buffer, 3)))]
        for message in more:
            assert ticks.publish_nowait("a.x", message) == 1
        until.set()
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [0, 1, 2, 3, 4, *more]
        ticks.publish_nowait("a.x", "last")
        await wait_all_tasks_blocked()
        assert (await ref.call(Reader.all))[-1] == "last"


@pytest.mark.parametrize("buffer", [1, math.inf])
async def test_an_actor_that_leaves_at_once_still_handles_the_retained_messages(
    ticks: PubSub[Any, Any], buffer: float, autojump_clock: MockClock
) -> None:
    ticks.publish_nowait("a.1", 1, retain=True)
    ticks.publish_nowait("a.2", 2, retain=True)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join(Wildcard("a.*"), Reader.take, owner=ref, buffer=buffer)
        ticks.leave(Wildcard("a.*"), owner=ref)
        await wait_all_tasks_blocked()
        assert await ref.call(Reader.all) == [1, 2]


async def test_a_task_that_waits_behind_the_retained_message_misses_nothing(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    ticks.publish_nowait("a", 0, retain=True)
    got: list[Any] = []

    async def subscriber() -> None:
        async with ticks.subscribe("a", buffer=0) as feed:
            got.append(await feed.receive())
            got.append(await feed.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(subscriber)
        while not got:
            await trio.lowlevel.checkpoint()
        assert ticks.publish_nowait("a", 1) == 1
    assert got == [0, 1]


async def test_one_who_joins_while_a_large_audience_is_told_is_greeted_with_the_message(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    async with (
        ticks.subscribe("a") as one,
        ticks.subscribe("a") as two,
        ticks.subscribe("a") as three,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: ticks.publish("a", 1, retain=True))
        while not messages(one):
            await trio.lowlevel.checkpoint()
        async with ticks.subscribe("a") as late:
            await wait_all_tasks_blocked()
            assert messages(late) == [1]
        assert messages(two) == messages(three) == [1]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("waits", [False, True])
async def test_one_who_subscribes_in_the_middle_of_a_publication_gets_it_once(
    ticks: PubSub[Any, Any], waits: bool, autojump_clock: MockClock
) -> None:
    ticks.publish_nowait("a", "before", retain=True)
    async with supervised() as supervisor, ticks.subscribe("a") as first:
        assert messages(first) == ["before"]
        late = await supervisor.start_child(Reader)

        def join(_: object) -> bool:
            ticks.join("a", Reader.take, owner=late, once=True)
            return True

        if waits:
            assert await ticks.publish("a", "now", where=join, retain=True) == 1
        else:
            assert ticks.publish_nowait("a", "now", where=join, retain=True) == 1
        await wait_all_tasks_blocked()
        assert messages(first) == await late.call(Reader.all) == ["now"]


def anyone(_: object) -> bool:
    return True


@pytest.mark.parametrize("where", [None, anyone])
async def test_one_who_joins_in_the_step_that_retains_a_message_gets_it_once(
    ticks: PubSub[Any, Any], where: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep: Any = Retained[Any, Any].keep
    async with supervised() as supervisor:
        late = await supervisor.start_child(Reader)

        def keep_and_join(*args: Any, **kwargs: Any) -> Any:
            undo = keep(*args, **kwargs)
            ticks.join("a", Reader.take, owner=late)  # as a finalizer may do
            return undo

        monkeypatch.setattr(Retained, "keep", keep_and_join)
        assert await ticks.publish("a", "now", where=where, retain=True) == 0
        assert await late.call(Reader.all) == ["now"]


async def join_a_little_later(ticks: PubSub[Any, Any], topic: object, reader: ActorRef[Reader]) -> None:
    await trio.lowlevel.checkpoint()
    ticks.join(topic, Reader.take, owner=reader)


async def test_one_who_joins_at_the_first_checkpoint_of_a_publication_gets_it_once(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        for number in range(20):  # the order of two tasks that can both run is random
            reader = await supervisor.start_child(Reader)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(ticks.publish, number, number, retain=True))
                nursery.start_soon(join_a_little_later, ticks, number, reader)
            assert await reader.call(Reader.all) == [number]


@pytest.mark.parametrize("before", [[], ["before"]])
async def test_what_fails_in_the_middle_of_a_publication_is_not_retained(
    ticks: PubSub[Any, Any], before: list[str]
) -> None:
    for message in before:
        ticks.publish_nowait("a", message, retain=True)

    def fail(_: object) -> bool:
        raise ValueError("where")

    async with ticks.subscribe("a", buffer=1, overflow="wait") as feed:
        with pytest.raises(ValueError, match="where"):
            ticks.publish_nowait("a", "failed", where=fail, retain=True)
        assert ticks.retained("a") == before
        with pytest.raises(ValueError, match="where"):
            await ticks.publish("a", "failed", where=fail, retain=True)
        assert ticks.retained("a") == before
        ticks.publish_nowait("a", "fills it")
        with pytest.raises(trio.WouldBlock):
            ticks.publish_nowait("a", "no room", retain=True)
        assert ticks.retained("a") == before
        assert messages(feed) == [*before, "fills it"]


async def test_a_message_for_chosen_subscribers_is_retained_for_all(ticks: PubSub[Any, Any]) -> None:
    await ticks.publish("a.b", 1, where=lambda value: False, retain=True)
    assert ticks.retained("a.b") == [1]
    async with ticks.subscribe("a.b") as feed, ticks.subscribe(Wildcard("a.*")) as pattern:
        assert messages(feed) == messages(pattern) == [1]


@pytest.mark.parametrize("before", [[], ["before"], [None]])
@pytest.mark.parametrize("first_to_fail", ["older", "newer"])
async def test_of_two_publications_that_fail_at_the_same_time_neither_is_retained(
    ticks: PubSub[Any, Any], before: list[object], first_to_fail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)
    fails_at = {"older": 10, "newer": 15} if first_to_fail == "older" else {"older": 15, "newer": 5}
    for message in before:
        ticks.publish_nowait("a", message, retain=True)
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        for number in range(20):
            await stack.enter_async_context(ticks.subscribe("a", value=number))

        async def publish(message: str) -> None:
            with pytest.raises(ValueError, match="where"):
                await ticks.publish("a", message, where=partial(chosen, message), retain=True)

        def chosen(message: str, number: Any) -> bool:
            if message == "older" and number == 0:
                nursery.start_soon(publish, "newer")
            if number == fails_at[message]:
                raise ValueError("where")
            return True

        await publish("older")
    assert ticks.retained("a") == before


async def test_a_publication_that_fails_does_not_undo_a_later_one_with_the_same_message(
    ticks: PubSub[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 1)

    def fail_a_little_later(number: Any) -> bool:
        if number == 0:
            ticks.publish_nowait("a", "same", retain=True)
            return True
        raise ValueError("where")

    async with ticks.subscribe("a", value=0), ticks.subscribe("a", value=1):
        with pytest.raises(ValueError, match="where"):
            await ticks.publish("a", "same", where=fail_a_little_later, retain=True)
    assert ticks.retained("a") == ["same"]


def test_the_next_run_begins_without_retained_messages(ticks: PubSub[Any, Any]) -> None:
    async def first() -> None:
        ticks.publish_nowait("a", 1, retain=True)

    async def second() -> None:
        assert ticks.retained("a") == []
        assert ticks.forget("a") is False
        async with ticks.subscribe("a") as feed:
            assert messages(feed) == []
            ticks.publish_nowait("b", 2, retain=True)
            assert ticks.retained("a") == []
            assert ticks.retained("b") == [2]

    trio.run(first)
    trio.run(second)
