"""Tests the inside: a failure at any call within a stream's own work leaves the block, and no task stays behind."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call, inside

from trioreg import Failed, TaskStream, open_stream


async def double(item: int) -> int:
    await trio.sleep(item)
    return 2 * item


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no task
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("on_error", ["raise", "return"])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    ("step", "kind"),
    # What is the main function of a task has the whole stack.
    [("_feed", AtCall), ("_work", AtCall), ("__anext__", AtCall), ("__anext__", WithRoom), ("_close", AtCall)],
)
def test_a_stream_that_fails_at_any_step_ends_its_block_with_the_error(
    step: str, ordered: bool, on_error: Any, kind: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        taken: list[Any] = []
        streams: list[TaskStream[Any]] = []
        is_closed: list[bool] = []

        def items() -> Any:
            try:
                yield from (2, 1, 3)
            finally:
                is_closed.append(True)

        is_whole = False
        try:
            with inside(TaskStream, step, fault):
                options: Any = {"ordered": ordered, "on_error": on_error}
                opened = cast("Any", open_stream(double, items(), max_concurrency=2, **options))
                async with opened as stream:
                    streams.append(stream)
                    async for result in stream:
                        taken.append(getattr(result, "value", result))
                is_whole = True
        except* (MemoryError, RecursionError):
            pass
        if is_whole:
            values = [each for each in taken if not isinstance(each, Failed)]
            assert len(taken) == 3
            assert {*values} <= {2, 4, 6}
            assert len(values) == 3 or (fault.is_reached and step == "_work")
        else:
            assert fault.is_reached
        for left in streams:
            with pytest.raises(trio.ClosedResourceError):
                await anext(left)

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
def test_a_result_whose_taking_has_failed_is_not_lost(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with open_stream(double, [1, 2, 3], max_concurrency=3) as stream:
            await trio.sleep(5)
            taken: list[int] = []
            with suppress(MemoryError):
                taken.append(await Stepped(stream.__anext__(), fault))
            taken += [result async for result in stream]
            assert taken == [2, 4, 6]

    fails_at_every_call(kind, scenario)
