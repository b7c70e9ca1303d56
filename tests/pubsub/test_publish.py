"""publish() and publish_nowait(): which subscribers get a message, in which order, and what the publisher sees."""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.inside import assert_no_subscription, slices_of
from support.owners import staged
from support.supervisors import supervised
from support.topics import Reader, messages
from trio.testing import MockClock, assert_checkpoints, assert_no_checkpoints, wait_all_tasks_blocked

from trioreg import PubSub, Wildcard, current_owner


@pytest.fixture
def ticks() -> PubSub[Any, Any]:
    return PubSub("ticks")


async def publish_now(ticks: PubSub[Any, Any], *args: Any, **options: Any) -> int:
    return ticks.publish_nowait(*args, **options)


async def publish_and_wait(ticks: PubSub[Any, Any], *args: Any, **options: Any) -> int:
    return await ticks.publish(*args, **options)


WAYS = [publish_now, publish_and_wait]


@pytest.mark.parametrize("publish", WAYS)
async def test_a_publication_without_subscribers_reaches_nobody(ticks: PubSub[Any, Any], publish: Any) -> None:
    assert await publish(ticks, "a", 1) == 0


@pytest.mark.parametrize("publish", WAYS)
async def test_exclude_leaves_out_one_owner(ticks: PubSub[Any, Any], publish: Any, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, ticks.subscribe("a") as mine, ticks.subscribe(Wildcard("a")) as mine_too:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref)
        assert await publish(ticks, "a", 1, exclude=current_owner()) == 1
        assert messages(mine) == messages(mine_too) == []
        assert await publish(ticks, "a", 2, exclude=ref) == 2
        assert messages(mine) == messages(mine_too) == [2]
        assert await ref.call(Reader.all) == [1]


@pytest.mark.parametrize("publish", WAYS)
async def test_a_task_owner_that_is_only_equal_is_left_out_too(
    ticks: PubSub[Any, Any], publish: Any, autojump_clock: MockClock
) -> None:
    kept = current_owner()  # before the task has any name
    async with ticks.subscribe("a") as feed:
        assert await publish(ticks, "a", 1, exclude=kept) == 0
        assert messages(feed) == []


@pytest.mark.parametrize("publish", WAYS)
async def test_where_chooses_by_value(ticks: PubSub[Any, Any], publish: Any) -> None:
    async with ticks.subscribe("a", value=1) as one, ticks.subscribe("a", value=2) as two:
        assert await publish(ticks, "a", "x", where=lambda value: value == 2) == 1
        assert await publish(ticks, "a", "y", where=lambda value: value < 9) == 2
        assert await publish(ticks, "a", "z", where=lambda value: None) == 0
        assert (messages(one), messages(two)) == (["y"], ["x", "y"])


@pytest.mark.parametrize("size", [1, 500])
@pytest.mark.parametrize("publish", WAYS)
async def test_nobody_is_told_if_where_raises(
    ticks: PubSub[Any, Any], publish: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, size)
    ticks.publish_nowait("a", "kept", retain=True)

    async with ticks.subscribe("a", value=1) as one, ticks.subscribe("a", value=0) as two:
        messages(one)
        messages(two)
        with pytest.raises(ZeroDivisionError):
            await publish(ticks, "a", "x", where=lambda value: 1 / value, retain=True)
        assert messages(one) == messages(two) == []
        assert ticks.retained("a") == ["kept"]
        ticks.forget("a")
        with pytest.raises(ZeroDivisionError):
            await publish(ticks, "a", "x", where=lambda value: 1 / value, retain=True)
        assert ticks.retained("a") == []


@pytest.mark.parametrize("publish", WAYS)
async def test_a_subscription_that_where_ends_is_not_told(ticks: PubSub[Any, Any], publish: Any) -> None:
    async with ticks.subscribe("a", value=1) as one, ticks.subscribe("a", value=2) as two:
        assert await publish(ticks, "a", "x", where=lambda value: [True, ticks.leave("a")]) == 0
        assert messages(one) == messages(two) == []


async def test_an_actor_that_where_takes_out_is_not_told(ticks: PubSub[Any, Any], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reader)
        ticks.join("a", Reader.take, owner=ref)
        assert ticks.publish_nowait("a", 1, where=lambda value: ticks.leave("a", owner=ref)) == 0
        assert await ref.call(Reader.all) == []


@pytest.mark.parametrize("publish", WAYS)
async def test_each_subscriber_gets_the_very_object(ticks: PubSub[Any, Any], publish: Any) -> None:
    message = object()
    async with ticks.subscribe("a") as one, ticks.subscribe("a") as two:
        await publish(ticks, "a", message)
        assert messages(one)[0] is messages(two)[0] is message


@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (([], 1), {}, r"topic must be hashable: \[\]"),
        ((Wildcard("#"), 1), {}, r"topic must be a topic, not Wildcard\('#'\)"),
        (("a", 1), {"exclude": "me"}, "exclude must be an ActorRef or a TaskOwner, not 'me'"),
        (("a", 1), {"where": 7}, "where"),
        (("a", 1), {"where": trio.sleep}, "where"),
    ],
)
@pytest.mark.parametrize("publish", WAYS)
async def test_a_wrong_argument_is_refused_before_anybody_is_told(
    ticks: PubSub[Any, Any], publish: Any, args: Any, options: dict[str, Any], words: str
) -> None:
    async with ticks.subscribe(Wildcard("#")) as feed:
        with pytest.raises(TypeError, match=words):
            await publish(ticks, *args, retain=True, **options)
        assert messages(feed) == []
        assert ticks.retained("a") == []


async def test_only_publish_is_a_checkpoint(ticks: PubSub[Any, Any]) -> None:
    async with ticks.subscribe("a"):
        with assert_checkpoints():
            await ticks.publish("a", 1)
        with assert_no_checkpoints():
            ticks.publish_nowait("a", 1)
    with assert_checkpoints():
        await ticks.publish("a", 1)


async def test_one_publisher_is_heard_in_order_by_each_subscriber(
    ticks: PubSub[Any, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 2)
    heard: list[list[Any]] = []

    async def listen(buffer: float, overflow: Any) -> None:
        got: list[Any] = []
        heard.append(got)
        async with ticks.subscribe("a", buffer=buffer, overflow=overflow) as feed:
            async for message in feed:
                got.append(message)
                if message % 7 == 0:
                    await trio.sleep(1)

    async def publish(publisher: int) -> None:
        for step in range(40):
            message = 100 * publisher + step
            if step % 3:
                await ticks.publish("a", message)
            else:
                try:
                    ticks.publish_nowait("a", message)
                except trio.WouldBlock:
                    await ticks.publish("a", message)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = [await supervisor.start_child(Reader) for _ in range(4)]
        for number, ref in enumerate(refs):
            if number % 2:
                ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
            else:
                ticks.join("a", Reader.take, owner=ref)
        for buffer, overflow in [(float("inf"), "error"), (0, "wait"), (1, "wait"), (3, "wait")]:
            nursery.start_soon(listen, buffer, overflow)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as publishers:
            for publisher in range(3):
                publishers.start_soon(publish, publisher)
        await trio.sleep(1000)
        heard += [await ref.call(Reader.all) for ref in refs]
        nursery.cancel_scope.cancel()
    assert len(heard) == 8
    for got in heard:
        for publisher in range(3):
            assert [message for message in got if message // 100 == publisher] == [
                100 * publisher + step for step in range(40)
            ]
    assert_no_subscription(ticks)


@pytest.mark.parametrize("sort", ["feed", "actor"])
async def test_a_publication_that_is_cancelled_at_any_step_is_told_to_all_with_room_or_to_nobody(
    sort: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices_of(monkeypatch, 2)

    async def attempt(cancelling: Cancelling[int]) -> None:
        ticks: PubSub[str, int] = PubSub("ticks")
        async with (
            staged() as stage,
            ticks.subscribe("a") as one,
            ticks.subscribe("a", buffer=1, overflow="wait") as two,
            ticks.subscribe("a" if sort == "feed" else "other", buffer=1, overflow="wait") as full,
            ticks.subscribe("a") as three,
            ticks.subscribe("a") as four,
            trio.open_nursery() as nursery,
        ):
            ref = await stage.supervisor.start_child(Reader)
            until = trio.Event()
            ref.cast_nowait(Reader.hold, until)
            if sort == "actor":
                ticks.join("a", Reader.take, owner=ref, buffer=1, overflow="wait")
            ticks.publish_nowait("a", 0)
            for feed in (one, two, three, four):
                messages(feed)

            async def make_room() -> None:
                await trio.sleep(1)
                until.set()
                if sort == "feed":
                    await full.receive()

            nursery.start_soon(make_room)
            done = await cancelling.run(lambda: ticks.publish("a", 1))
            got = [messages(feed) for feed in (one, two, three, four)]
            assert got in ([[1]] * 4, [[]] * 4)
            assert got == [[1]] * 4 or not done
            await trio.sleep(2)
            late = await ref.call(Reader.all) if sort == "actor" else [0, *messages(full)]
            assert late == ([0, 1] if done else [0])
            assert full.statistics().tasks_waiting_send == 0
        assert_no_subscription(ticks)

    assert await sweep(attempt) >= 3


async def test_a_publisher_that_is_cancelled_stands_in_no_line(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with (
        ticks.subscribe("a", buffer=1, overflow="wait") as one,
        ticks.subscribe("a", buffer=1, overflow="wait") as two,
    ):
        ticks.publish_nowait("a", 0)
        with trio.move_on_after(1):
            await ticks.publish("a", 1)
        assert one.statistics().tasks_waiting_send == two.statistics().tasks_waiting_send == 0
        assert messages(one) == messages(two) == [0]


async def test_a_publisher_that_is_being_cancelled_hands_nothing_over(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with ticks.subscribe("a", buffer=1, overflow="wait") as feed:
        ticks.publish_nowait("a", 0)
        scope = trio.CancelScope()

        async def publish() -> None:
            with scope:
                await ticks.publish("a", 1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await wait_all_tasks_blocked()
            nursery.start_soon(ticks.publish, "a", 2)
            await wait_all_tasks_blocked()
            scope.cancel()
            assert messages(feed) == [0, 2]  # before that task has had its turn
        assert scope.cancelled_caught


async def test_the_end_of_a_feed_disturbs_no_publisher_that_is_being_cancelled(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery, ticks.subscribe("a", buffer=0, overflow="wait"):
        nursery.start_soon(ticks.publish, "a", 1)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        ticks.leave("a")
    assert_no_subscription(ticks)


async def test_a_subscriber_that_crashes_on_a_message_is_the_trouble_of_no_publisher(
    ticks: PubSub[Any, Any], autojump_clock: MockClock
) -> None:
    class Screen(Reader):
        def show(self, message: object) -> None:
            raise ZeroDivisionError

    async with supervised() as supervisor, ticks.subscribe("a") as feed:
        ref = await supervisor.start_child(Screen, restart="temporary")
        ticks.join("a", Screen.show, owner=ref)
        assert ticks.publish_nowait("a", 1) == 2
        assert (await ref.wait()).reason == "crashed"
        assert messages(feed) == [1]
        assert len(ticks) == 1
