"""`ActorRef.result`: what the function of a function actor returns."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, settle, sweep
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints

from trioreg import Actor, ActorExited, ActorRef, CallCycle, Exit, Function, current


async def test_result_returns_the_value_of_the_function(autojump_clock: MockClock) -> None:
    async def add(a: int, b: int) -> int:
        await trio.sleep(1)
        return a + b

    async with supervised() as supervisor:
        ref = await supervisor.start_child(add, 1, 2)
        assert await ref.result() == 3
        assert await ref.result() == 3


async def test_result_may_be_none(autojump_clock: MockClock) -> None:
    async def nothing() -> None: ...

    async with supervised() as supervisor:
        ref = await supervisor.start_child(nothing)
        result: object = await ref.result()  # type: ignore[func-returns-value]
        assert result is None
        assert (await ref.wait()).has_returned


async def test_any_number_of_tasks_may_ask_for_a_result(autojump_clock: MockClock) -> None:
    async def slow() -> str:
        await trio.sleep(1)
        return "done"

    async def ask(ref: ActorRef[Function[str]]) -> None:
        got.append(await ref.result())

    got: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(slow)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, ref)
    assert got == ["done"] * 3


async def test_result_of_a_crashed_function_raises_actor_exited_caused_by_the_error(autojump_clock: MockClock) -> None:
    async def crash() -> int:
        await trio.sleep(1)
        raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(crash, restart="temporary")
        for _ in range(2):  # before the end, and after it
            with pytest.raises(ActorExited) as caught:
                await ref.result()
            assert caught.value.ref is ref
            assert caught.value.exit.reason == "crashed"
            assert isinstance(caught.value.__cause__, Bang)


@pytest.mark.parametrize(("end", "reason"), [("cancel", "shutdown"), ("kill", "killed"), ("stop", "normal")])
async def test_a_function_ended_before_it_returned_has_no_result(
    end: str, reason: str, autojump_clock: MockClock
) -> None:
    async def endless() -> int:
        await trio.sleep_forever()
        return 7

    async with supervised() as supervisor:
        ref = await supervisor.start_child(endless, restart="temporary")
        await settle()
        if end == "stop":
            await ref.stop()
        else:
            getattr(ref, end)()
        with pytest.raises(ActorExited) as caught:
            await ref.result()
        assert caught.value.exit == Exit(reason)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert caught.value.__cause__ is None
        assert not caught.value.exit.has_returned


async def test_a_function_that_returns_after_its_cancellation_has_a_result(autojump_clock: MockClock) -> None:
    async def persistent() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return "done"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(persistent, restart="temporary")
        await settle()
        ref.cancel()
        assert await ref.result() == "done"


async def test_an_actor_of_a_class_has_no_result(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Actor, restart="temporary")
        for _ in range(2):
            with pytest.raises(TypeError, match=r"<Actor #\d+> is an Actor: only a function actor has a result"):
                await ref.result()
            await ref.stop()


async def test_a_function_that_waits_for_its_own_result_closes_a_cycle(autojump_clock: MockClock) -> None:
    async def own() -> object:
        with pytest.raises(CallCycle):
            await current().result()
        return "went on"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(own)
        assert await ref.result() == "went on"


async def test_result_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async def quick() -> int:
        return 1

    async with supervised() as supervisor:
        ref = await supervisor.start_child(quick)
        with assert_checkpoints():
            await ref.result()
        with assert_checkpoints():
            await ref.result()


async def test_a_wait_for_a_result_cancelled_at_any_checkpoint_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    async def slow() -> str:
        await trio.sleep(1)
        return "done"

    async def attempt(cancelling: Cancelling[str]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(slow)
            if await cancelling.run(ref.result):
                assert cancelling.value == "done"
            assert await ref.result() == "done"

    await sweep(attempt)


async def test_each_life_has_a_result_of_its_own(autojump_clock: MockClock) -> None:
    lives: list[ActorRef[Any]] = []

    async def second_time() -> int:
        lives.append(current())
        await trio.sleep(1)
        if len(lives) == 1:
            raise Bang
        return len(lives)

    async with supervised() as supervisor:
        first = await supervisor.start_child(second_time)
        with pytest.raises(ActorExited):
            await first.result()
        await settle()
        assert await lives[1].result() == 2


async def test_the_type_of_a_function_reference_can_be_subscripted_at_run_time() -> None:
    assert repr(ActorRef[Function[int]]) == "trioreg.ActorRef[trioreg.Function[int]]"
