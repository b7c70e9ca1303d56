"""Tests the inside: `Receiver`, what a loop over a feed awaits, does all that a coroutine would do."""

from __future__ import annotations

import gc
import re
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Feed, Overflow, PubSub, Wildcard
from trioreg._runtime import receiver as receiver_module
from trioreg._runtime import sleeping
from trioreg._runtime.receiver import NOTHING, Receiver

Ticks = PubSub[str, Any]


async def test_a_loop_that_waits_again_leaves_no_new_object_to_the_collector(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[int] = []

    async def loop() -> None:
        async with ticks.subscribe("a") as feed:
            async for item in feed:
                got.append(item)

    async def publish(item: int) -> None:
        await ticks.publish("a", item)
        await wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(loop)
        await wait_all_tasks_blocked()
        await publish(1)
        gc.disable()
        try:
            before = gc.get_objects()  # it keeps them, so no new object gets the id of an old one
            old = {id(each) for each in before}
            await publish(2)
            new = [type(each).__name__ for each in gc.get_objects() if id(each) not in old]
            del before
        finally:
            gc.enable()
        nursery.cancel_scope.cancel()
    assert got == [1] * 100 + [2] * 100
    assert len(new) < 50


@pytest.mark.parametrize(
    "item", [None, (1, 2), (), StopIteration(7), ValueError("an item"), ValueError, NOTHING.__class__]
)
async def test_a_loop_gives_an_item_of_any_kind_as_it_is(item: object, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[object] = []

    async def loop() -> None:
        async for each in feed:
            got.append(each)

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(loop)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", item)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(got) == 1
    assert got[0] is item


async def test_tasks_may_share_one_iterator(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[tuple[str, int]] = []

    async def loop(name: str, items: AsyncIterator[int]) -> None:
        async for item in items:
            got.append((name, item))

    async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
        items = aiter(feed)
        for name in "xyz":
            nursery.start_soon(loop, name, items)
            await wait_all_tasks_blocked()
        assert feed.statistics().tasks_waiting_receive == 3
        for item in range(6):
            ticks.publish_nowait("a", item)
        await wait_all_tasks_blocked()
    assert sorted(item for _, item in got) == [0, 1, 2, 3, 4, 5]
    assert {("x", 0), ("y", 1), ("z", 2)} <= set(got)


async def test_an_anext_that_is_awaited_after_an_item_has_come_gives_this_item(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        asked = anext(aiter(feed))
        ticks.publish_nowait("a", 1)
        ticks.publish_nowait("a", 2)
        with assert_checkpoints():
            assert await asked == 1
        assert await anext(feed) == 2


async def test_two_tasks_call_anext_before_they_await_it_and_the_second_gets_an_error(
    autojump_clock: MockClock,
) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items = aiter(feed)
        first, second = anext(items), anext(items)

        async def wait() -> None:
            await first

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match=re.escape("another task awaits this: call anext() only when")):
            await second
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 2)
        assert await anext(items) == 2


async def test_what_two_tasks_ask_for_while_one_of_them_passes_a_checkpoint_goes_to_both(
    autojump_clock: MockClock,
) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[tuple[str, int]] = []
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items: Any = aiter(feed)
        late = anext(items)
        ticks.publish_nowait("a", 1)
        step = next(late)  # by hand: it is at its checkpoint now
        assert step is not None
        assert feed.receive_nowait() == 1

        async def ask() -> None:
            got.append(("second", await anext(items)))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 2)
        await wait_all_tasks_blocked()
        assert got == [("second", 2)]
        late.close()


async def test_an_iterator_that_was_refused_in_another_thread_can_be_used(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[int] = []

    async def ask() -> None:
        got.append(await anext(items))

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items: Any = aiter(feed)
        with pytest.raises(RuntimeError, match="another thread"):
            await trio.to_thread.run_sync(next, items)
        assert anext(items) is items
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
    assert got == [1]


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("way", ["item", "cancel", "close", "throw"])
async def test_an_iterator_is_free_after_each_wait(way: str, is_late: bool, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[int] = []

    async def ask() -> None:
        got.append(await anext(items))

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items: Any = aiter(feed)
        asked = anext(items)
        if is_late:
            ticks.publish_nowait("a", 0)
        if way == "item":
            if not is_late:
                nursery.start_soon(ticks.publish, "a", 0)
            assert await asked == 0
        elif way == "cancel":
            with trio.CancelScope() as scope:
                scope.cancel()
                await asked
        else:
            next(asked)
            trio.lowlevel.current_task().custom_sleep_data = None
            with suppress(ZeroDivisionError):
                asked.close() if way == "close" else asked.throw(ZeroDivisionError)
        assert feed.statistics().tasks_waiting_receive == 0
        if is_late and way != "item":
            assert feed.receive_nowait() == 0
        assert anext(items) is items
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        assert got == [1]


async def test_a_loop_whose_answer_cannot_be_made_loses_no_item(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    ticks: Ticks = PubSub("ticks")

    class NoMemory(StopIteration):
        def __init__(self, _: object) -> None:
            raise MemoryError

    async def ask() -> None:
        with pytest.raises(MemoryError):
            await anext(items)

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items: Any = aiter(feed)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(receiver_module, "StopIteration", NoMemory, raising=False)
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        monkeypatch.undo()
        assert feed.receive_nowait() == 1


async def test_what_is_asked_for_before_the_feed_is_closed_raises(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        asked = anext(aiter(feed))
        feed.close()
        with pytest.raises(trio.ClosedResourceError), trio.fail_after(1):
            await asked


async def test_what_is_asked_for_before_the_subscription_ends_raises(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        asked = anext(aiter(feed))
        ticks.leave("a")
        with pytest.raises(StopAsyncIteration), trio.fail_after(1):
            await asked


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_loop_lets_a_publisher_in_that_waits_for_room(is_late: bool, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a", buffer=0, overflow="wait") as feed, trio.open_nursery() as nursery:
        items = aiter(feed)
        asked = anext(items) if is_late else None
        nursery.start_soon(ticks.publish, "a", 1)
        await wait_all_tasks_blocked()
        with trio.fail_after(1):
            assert await (anext(items) if asked is None else asked) == 1


@pytest.mark.parametrize("topic", ["a", Wildcard("*")])
async def test_a_loop_begins_with_the_retained_message(topic: Any, autojump_clock: MockClock) -> None:
    ticks: PubSub[Any, int] = PubSub("ticks")
    got: list[int] = []
    ticks.publish_nowait("a", 1, retain=True)
    async with ticks.subscribe(topic) as feed:
        ticks.publish_nowait("a", 2)
        with trio.move_on_after(1):
            async for item in feed:
                got.append(item)
    assert got == [1, 2]


async def test_an_iterator_keeps_no_task_and_no_item_after_the_end(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")

    async def loop() -> None:
        async for _ in items:
            pass

    async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
        items: Any = aiter(feed)
        nursery.start_soon(loop)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        assert items.item is NOTHING
        feed.close()
        await wait_all_tasks_blocked()
        assert items.task is None


@pytest.mark.parametrize("way", ["cancel", "close", "throw"])
async def test_an_await_that_fails_after_an_item_has_come_loses_no_item(way: str, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        items: Any = aiter(feed)
        asked = anext(items)
        ticks.publish_nowait("a", 1)
        if way == "cancel":
            with trio.CancelScope() as scope:
                scope.cancel()
                await asked
        else:
            next(asked)  # a step by hand
            if way == "close":
                asked.close()
            else:
                with pytest.raises(ZeroDivisionError):
                    asked.throw(ZeroDivisionError)
        ticks.publish_nowait("a", 2)
        assert [await anext(items), await anext(items)] == [1, 2]


async def test_an_anext_with_a_default_gives_an_item_that_comes_before_the_await(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        asked = anext(aiter(feed), "the end")
        ticks.publish_nowait("a", 1)
        assert await asked == 1


async def test_a_step_of_a_loop_is_a_checkpoint(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items = aiter(feed)
        for item in range(2):

            async def publish(item: int = item) -> None:
                ticks.publish_nowait("a", item)

            nursery.start_soon(publish)
            with assert_checkpoints():
                assert await anext(items) == item
    with assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await anext(items)


async def test_the_default_of_anext_is_given_at_the_end(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[object] = []

    async def ask(items: AsyncIterator[int]) -> None:
        got.append(await anext(items, "item or end"))
        got.append(await anext(items, "the end"))

    async with trio.open_nursery() as nursery, ticks.subscribe("a") as feed:
        nursery.start_soon(ask, aiter(feed))
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
    assert got == [1, "the end"]


async def test_the_frames_of_a_task_that_waits_can_be_walked(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    tasks: list[trio.lowlevel.Task] = []

    async def loop() -> None:
        tasks.append(trio.lowlevel.current_task())
        async for _ in feed:
            pass

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(loop)
        await wait_all_tasks_blocked()
        assert [frame.f_code.co_name for frame, _ in tasks[0].iter_await_frames()] == ["loop"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("has_trio", [True, False])
async def test_in_another_thread_a_loop_is_refused(has_trio: bool, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")

    async def loop(feed: Feed[Any]) -> None:
        async for _ in feed:
            pass

    def run_loop() -> None:
        if has_trio:
            trio.run(loop, feed)
        else:
            loop(feed).send(None)

    async with ticks.subscribe("a") as feed:
        with pytest.raises(RuntimeError, match="this Feed lives in the Trio run of another thread"):
            await trio.to_thread.run_sync(run_loop)
        assert feed.statistics().tasks_waiting_receive == 0
        ticks.publish_nowait("a", 1)
        assert await feed.receive() == 1


async def test_a_wrapper_may_begin_the_wait_by_hand(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")

    class Wrapped:
        def __await__(self) -> Generator[object, Any, Any]:
            asked: Any = anext(items)
            sent = None
            try:
                while True:
                    sent = yield asked.send(sent)
            except StopIteration as stop:
                return stop.value

    async def ask() -> None:
        got.append(await Wrapped())

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        items = aiter(feed)
        got: list[object] = []
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        assert got == [1]


async def test_what_is_asked_for_can_be_the_start_of_a_task(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        nursery.start_soon(aiter(feed).__anext__)
        await wait_all_tasks_blocked()
        assert feed.statistics().tasks_waiting_receive == 1
        ticks.publish_nowait("a", 1)
        await wait_all_tasks_blocked()
        assert feed.statistics().buffered == 0


@pytest.mark.parametrize("way", ["waits", "asked before", "receives", "is thrown an error"])
async def test_an_error_in_a_wait_leaves_nothing_to_the_collector(way: str, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")

    async def wait() -> None:
        with trio.CancelScope() as scope:
            nursery.start_soon(end, scope)
            if way == "receives":
                await feed.receive()
            elif way == "asked before":
                asked = anext(aiter(feed))
                ticks.publish_nowait("a", 1)
                scope.cancel()
                await asked
            else:
                async for _ in feed:
                    pass

    async def end(scope: trio.CancelScope) -> None:
        await wait_all_tasks_blocked()
        scope.cancel()

    def throw() -> None:
        receiver: Any = Receiver(feed, StopAsyncIteration)
        for _ in range(2):
            try:
                next(receiver)
                receiver.throw(ZeroDivisionError())
            except ZeroDivisionError:
                pass
            ticks.publish_nowait("a", 1)  # so the second wait is of the other kind

    gc.collect()
    gc.disable()
    try:
        async with ticks.subscribe("a") as feed:
            if way == "is thrown an error":
                throw()
            else:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait)
                del nursery
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["close", "throw an error", "throw a class", "throw as before Python 3.12"])
@pytest.mark.parametrize("has_item", [False, True])
async def test_a_receiver_that_is_given_up_loses_no_item(way: str, has_item: bool, autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:

        async def wait() -> None:
            receiver: Any = Receiver(feed, StopAsyncIteration)
            next(receiver)
            if has_item:
                # What a publication does, but without waking the task: this task does not sleep.
                receiver.item = 1
                feed._leave_line(receiver)
            trio.lowlevel.current_task().custom_sleep_data = None
            assert feed.statistics().tasks_waiting_receive == (not has_item)
            error = ZeroDivisionError("thrown")
            if way == "close":
                receiver.close()
            else:
                how: dict[str, tuple[Any, ...]] = {
                    "throw an error": (error,),
                    "throw a class": (ZeroDivisionError,),
                    "throw as before Python 3.12": (ZeroDivisionError, error, None),
                }
                with pytest.raises(ZeroDivisionError) as raised:
                    receiver.throw(*how[way])
                assert way == "throw a class" or raised.value is error

        await wait()
        assert feed.statistics().tasks_waiting_receive == 0
        ticks.publish_nowait("a", 2)
        assert await feed.receive_some() == ([1, 2] if has_item else [2])


@pytest.mark.parametrize("is_loop", [False, True])
@pytest.mark.parametrize("is_closed", [False, True])
async def test_an_item_whose_task_is_cancelled_before_it_takes_it_is_the_next_one(
    is_loop: bool, is_closed: bool, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    ticks: Ticks = PubSub("ticks")

    async def loop() -> None:
        with scope:
            if not is_loop:
                await feed.receive()
            async for _ in feed:
                raise AssertionError

    async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(loop)
        await wait_all_tasks_blocked()
        with monkeypatch.context() as patch:
            # As in a finalizer: the task is woken a little later.
            patch.setattr(sleeping, "COLLECTING", [1])
            patch.setattr(sleeping, "is_finalizing", lambda: True)
            feed._put(1)
        ticks.publish_nowait("a", 2)
        scope.cancel()
        if is_closed:
            feed.close()
        await wait_all_tasks_blocked()
        assert feed.statistics().buffered == (0 if is_closed else 2)
        assert is_closed or await feed.receive_some() == [1, 2]


@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("is_loop", [False, True])
def test_an_item_whose_task_fails_when_it_goes_on_is_the_next_one(kind: Any, is_loop: bool) -> None:
    async def scenario(fault: Fault) -> None:
        ticks: Ticks = PubSub("ticks")
        got: list[int] = []
        async with ticks.subscribe("a") as feed, trio.open_nursery() as nursery:
            items = aiter(feed)  # it lives on: what it keeps would be lost

            async def first_of_loop() -> object:
                async for item in items:
                    return item
                return None

            async def receive() -> None:
                try:
                    got.append(await Stepped(first_of_loop() if is_loop else feed.receive(), fault))
                except MemoryError:
                    await trio.sleep(5)

            nursery.start_soon(receive)
            await wait_all_tasks_blocked()
            ticks.publish_nowait("a", 1)
            ticks.publish_nowait("a", 2)
            await trio.sleep(1)
            with trio.fail_after(10):
                got += [await feed.receive() for _ in range(2 - len(got))]
        assert got == [1, 2]

    fails_at_every_call(kind, scenario)


async def test_a_closed_feed_keeps_no_item_that_comes_back(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    async with ticks.subscribe("a") as feed:
        feed.close()
        feed._put_back(1)
        assert feed.statistics().buffered == 0


async def test_an_overflow_comes_in_a_loop_where_items_are_missing(autojump_clock: MockClock) -> None:
    ticks: Ticks = PubSub("ticks")
    got: list[int] = []
    async with ticks.subscribe("a", buffer=1, overflow="error") as feed:
        for item in range(3):
            ticks.publish_nowait("a", item)
        with pytest.raises(Overflow):
            async for item in feed:
                got.append(item)
    assert got == [0]
