"""Sync handlers that return a coroutine: the actor awaits it, as the second half of the message."""

from __future__ import annotations

import functools
import gc
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.secret_agent import idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, DynamicSupervisor


class Wrapper(Actor):
    """Sync methods that return a coroutine."""

    def __init__(self) -> None:
        self.notes: list[object] = []

    def later(self, value: str) -> Coroutine[Any, Any, str]:
        return self._later(value)

    async def _later(self, value: str) -> str:
        await trio.lowlevel.checkpoint()
        self.notes.append(value)
        return value

    def sometimes(self, value: str, is_later: bool) -> Any:
        return self._later(value) if is_later else value

    def cast_then_later(self) -> Coroutine[Any, Any, str]:
        self.ref.cast_nowait(Wrapper.note, "after")
        return self._later("first")

    def cancel_caller(self, scope: trio.CancelScope) -> Coroutine[Any, Any, str]:
        scope.cancel()
        return self._later("goes on")

    def end_then_later(self) -> Coroutine[Any, Any, str]:
        self.ref.cancel()
        return self._later("never")

    def note(self, value: object) -> None:
        self.notes.append(value)

    def read(self) -> list[object]:
        return list(self.notes)

    partial_note = functools.partialmethod(note, "partial")


async def started(supervisor: DynamicSupervisor, is_idle: bool) -> ActorRef[Wrapper]:
    """A `Wrapper`, idle or with a message; of a new class, as a class remembers which methods returned a coroutine."""

    class Own(Wrapper):
        pass

    ref = await supervisor.start_child(Own, restart="temporary")
    await idle(ref)
    if not is_idle:
        ref.cast_nowait(Wrapper.read)
    return ref


async def test_the_coroutine_that_a_sync_handler_returns_is_awaited(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        for is_idle in (False, True):
            ref = await supervisor.start_child(Wrapper)
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(Wrapper.read)
            assert await ref.call(Wrapper.later, "one") == "one"
            assert await ref.call(Wrapper.later, "two") == "two"
            ref.cast_nowait(Wrapper.later, "three")
            assert await ref.call(Wrapper.read) == ["one", "two", "three"]


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_sync_handler_may_return_a_coroutine_now_and_a_value_later(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await started(supervisor, is_idle)
        for is_later in (False, True, False, True, False):
            await idle(ref)
            if not is_idle:
                ref.cast_nowait(Wrapper.read)
            result: object = await ref.call(Wrapper.sometimes, "value", is_later)
            assert result == "value"


@pytest.mark.parametrize("is_idle", [False, True])
async def test_no_message_is_handled_between_a_sync_handler_and_its_coroutine(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await started(supervisor, is_idle)
        assert await ref.call(Wrapper.cast_then_later) == "first"
        assert await ref.call(Wrapper.read) == ["first", "after"]


@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_coroutine_of_a_handler_goes_on_when_its_caller_is_cancelled(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await started(supervisor, is_idle)
        with trio.CancelScope() as scope:
            await ref.call(Wrapper.cancel_caller, scope)
        await wait_all_tasks_blocked()
        assert await ref.call(Wrapper.read) == ["goes on"]
        gc.collect()


@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_coroutine_of_a_handler_that_cancels_its_actor_is_closed(
    is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await started(supervisor, is_idle)
        with pytest.raises(ActorExited):
            await ref.call(Wrapper.end_then_later)
        await ref.wait()
    gc.collect()  # "coroutine ... was never awaited" is an error


class Halved(Actor):
    def fail(self, amount: int, *, text: str) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            raise ValueError

        return rest()


@pytest.mark.parametrize("is_idle", [False, True])
async def test_a_crash_in_the_coroutine_of_a_handler_is_logged_with_the_arguments(
    is_idle: bool, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Halved, restart="temporary")
        if is_idle:
            await wait_all_tasks_blocked()
        with suppress(ActorExited):
            await ref.call(Halved.fail, 7, text="seven")
        await ref.wait()
    assert "in Halved.fail(7, text='seven')" in caplog.text
