"""`open_stream`: leaving and cancelling the block, and what surrounds an item: context, names, actor."""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextvars import ContextVar

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.errors import Bang, leaves
from support.streams import BOTH, Gone, OnError, Work, double, taken
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Actor, CallCycle, Done, Failed, Outcome, Registry, current, current_owner, open_stream

# Leaving


async def test_leaving_the_block_cancels_the_running_items_and_waits_for_them(autojump_clock: MockClock) -> None:
    over: list[float] = []

    async def clean_up(seconds: float) -> None:
        try:
            await trio.sleep(seconds)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(100)
            over.append(seconds)

    with Gone():
        async with open_stream(clean_up, [1, 1000, 1000], max_concurrency=3) as stream:
            async for _ in stream:
                break
    assert over == [1, 1000, 1000]
    assert trio.current_time() == pytest.approx(201)


async def test_leaving_the_block_of_a_cancelled_scope_is_cancelled_and_waits_for_the_items(
    autojump_clock: MockClock,
) -> None:
    work = Work()
    with trio.CancelScope() as scope:
        async with open_stream(work, [10, 20], max_concurrency=2):
            await wait_all_tasks_blocked()
            scope.cancel()
        raise AssertionError("it was not cancelled")
    assert scope.cancelled_caught
    assert sorted(work.cancelled) == sorted(work.started) == [10, 20]


@pytest.mark.filterwarnings("ignore::trio.TrioDeprecationWarning")
@pytest.mark.parametrize("strict", [True, False])
def test_leaving_the_block_of_a_cancelled_scope_is_cancelled_although_no_item_runs(strict: bool) -> None:
    nothing: list[int] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with open_stream(double, nothing, max_concurrency=2):
                await wait_all_tasks_blocked()
                scope.cancel()
            raise AssertionError("it was not cancelled")
        assert scope.cancelled_caught

    trio.run(main, strict_exception_groups=strict)


@pytest.mark.filterwarnings("ignore::trio.TrioDeprecationWarning")
@pytest.mark.parametrize("strict", [True, False])
def test_a_stream_that_can_not_begin_leaves_its_block_at_once(strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError

    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        with pytest.raises(BaseException) as caught:  # noqa: PT011  # in a group, or not
            async with open_stream(double, [1], max_concurrency=1):
                raise AssertionError("it has begun")
        assert [type(leaf) for leaf in leaves(caught.value)] == [MemoryError]
        assert trio.lowlevel.current_statistics().tasks_living == before

    monkeypatch.setattr(sys.modules["trioreg._tasks.open_stream"], "copy_context", fail)
    trio.run(main, strict_exception_groups=strict)


async def test_taking_from_a_closed_stream_is_refused(autojump_clock: MockClock) -> None:
    async with open_stream(double, [1, 2], max_concurrency=2) as stream:
        pass
    with pytest.raises(trio.ClosedResourceError):
        await anext(stream)
    assert repr(stream) == "<TaskStream, closed>"


async def test_the_repr_of_a_stream_counts_running_items_and_waiting_results(autojump_clock: MockClock) -> None:
    async with open_stream(Work(), [1, 1, 5], max_concurrency=3) as stream:
        await trio.sleep(2)
        assert repr(stream) == "<TaskStream, 1 running, 2 waiting>"


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("ordered", [True, False])
async def test_no_item_begins_once_the_block_is_left(
    ordered: bool, on_error: OnError, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[int] = []

    async def work(item: int) -> int:
        begun.append(item)
        if is_left:
            raise Bang
        return item

    # To take a result makes room: the next items are being started when the block is left.
    for results in range(1, 6):
        is_left = False
        begun.clear()
        with Gone():
            async with open_stream(
                work, itertools.count(), max_concurrency=2, ordered=ordered, on_error=on_error
            ) as stream:
                for _ in range(results):
                    await anext(stream)
                is_left = True
                before = list(begun)
        assert begun == before
    assert caplog.records == []


@pytest.mark.parametrize("on_error", BOTH)
async def test_no_item_begins_once_the_block_has_raised(on_error: OnError, autojump_clock: MockClock) -> None:
    begun: list[int] = []
    before: list[int] = []

    async def work(item: int) -> int:
        begun.append(item)
        return item

    with pytest.raises(ExceptionGroup):
        async with open_stream(work, itertools.count(), max_concurrency=2, on_error=on_error) as stream:
            await anext(stream)
            before += begun
            raise Bang
    assert begun == before


async def test_no_item_is_taken_from_the_input_once_the_block_is_left(autojump_clock: MockClock) -> None:
    pulled: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            pulled.append(number)
            yield number

    for results in range(1, 6):
        pulled.clear()
        async with open_stream(double, numbers(), max_concurrency=1, buffer=results % 2) as stream:
            for _ in range(results):
                await anext(stream)
            before = list(pulled)
        assert pulled == before


# Cancellation and checkpoints


async def test_entering_taking_and_leaving_are_checkpoints(autojump_clock: MockClock) -> None:
    opened = open_stream(double, [1], max_concurrency=1)
    with assert_checkpoints():
        stream = await opened.__aenter__()
    await wait_all_tasks_blocked()
    with assert_checkpoints():
        assert await anext(stream) == 2
    with assert_checkpoints(), pytest.raises(StopAsyncIteration):
        await anext(stream)
    with assert_checkpoints():
        await opened.__aexit__(None, None, None)
    with assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await anext(stream)


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_take_cancelled_at_any_checkpoint_takes_nothing(seconds: float, autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[str]) -> None:
        async with open_stream(Work(), [seconds, 2], max_concurrency=2) as stream:
            got: list[str] = []
            if await cancelling.run(stream.__anext__):
                assert cancelling.value is not None
                got.append(cancelling.value)
            assert got + await taken(stream) == [f"{seconds} s", "2 s"]

    await sweep(attempt)


@pytest.mark.parametrize("on_error", BOTH)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_stream_cancelled_at_any_checkpoint_leaves_nothing_behind(
    is_async: bool, ordered: bool, on_error: OnError, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    registry: Registry[int, None] = Registry("at work")

    async def attempt(cancelling: Cancelling[list[int | Outcome[int, int]]]) -> None:
        closed: list[bool] = []
        active = 0

        async def work(item: int) -> int:
            nonlocal active
            active += 1
            try:
                registry.register(item)
                await trio.sleep(item % 3)
                return item
            finally:
                active -= 1

        def numbers() -> Generator[int]:
            try:
                yield from range(5)
            finally:
                closed.append(True)

        async def async_numbers() -> AsyncIterator[int]:
            try:
                for number in range(5):
                    await trio.lowlevel.checkpoint()
                    yield number
            finally:
                closed.append(True)

        async def operation() -> list[int | Outcome[int, int]]:
            items = async_numbers() if is_async else numbers()
            async with open_stream(work, items, max_concurrency=2, ordered=ordered, on_error=on_error) as stream:
                return await taken(stream)

        with Gone():
            if await cancelling.run(operation):
                assert cancelling.value is not None
                values = [each.value if isinstance(each, Done) else each for each in cancelling.value]
                assert sorted(values, key=repr) == list(range(5))
                assert closed == [True]
        assert active == 0
        assert registry.count() == 0
        assert closed in ([], [True])

    await sweep(attempt)
    assert caplog.records == []


# What surrounds an item


async def test_each_item_has_a_copy_of_the_callers_context(autojump_clock: MockClock) -> None:
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[str] = []

    def numbers() -> Iterator[int]:
        for number in range(3):
            variable.set("the input's")
            yield number

    async def work(item: int) -> None:
        seen.append(variable.get())
        variable.set("another item's")

    variable.set("the caller's")
    async with open_stream(work, numbers(), max_concurrency=1) as stream:
        variable.set("of later")
        await taken(stream)
    assert seen == ["the caller's"] * 3
    assert variable.get() == "of later"


async def test_a_name_that_an_item_registers_ends_with_the_item(autojump_clock: MockClock) -> None:
    registry: Registry[str, None] = Registry("at work")
    held: list[list[str]] = []

    async def work(name: str) -> None:
        registry.register(name)
        await trio.sleep(1)
        held.append(registry.keys(current_owner()))

    async with open_stream(work, ["James Bond", "Mr. White"], max_concurrency=1) as stream:
        await taken(stream)
        assert registry.keys(current_owner()) == []
    assert held == [["James Bond"], ["Mr. White"]]


async def test_the_items_of_a_stream_in_an_actor_run_as_that_actor(autojump_clock: MockClock) -> None:
    async def ask_current(item: int) -> object:
        return current()

    class Own(Actor):
        async def ask(self) -> list[object]:
            async with open_stream(ask_current, [1, 2], max_concurrency=2) as stream:
                return await taken(stream)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        assert await ref.call(Own.ask) == [ref, ref]


async def test_an_item_that_calls_the_actor_that_waits_for_the_stream_closes_a_cycle(autojump_clock: MockClock) -> None:
    class Own(Actor):
        async def ask(self) -> list[object]:
            async with open_stream(self.ask_again, [1], max_concurrency=2, on_error="return") as stream:
                return [type(each.error) async for each in stream if isinstance(each, Failed)]

        async def ask_again(self, item: int) -> object:
            return await self.ref.call(Own.ask)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        assert await ref.call(Own.ask) == [CallCycle]


async def test_the_task_of_an_item_is_named_after_the_function(autojump_clock: MockClock) -> None:
    async def fetch(item: int) -> str:
        return trio.lowlevel.current_task().name

    async with open_stream(fetch, [1], max_concurrency=2) as stream:
        (name,) = await taken(stream)
    assert name.endswith("fetch")
