"""Tracebacks: they begin in the user's code, of a crash as well as of the caller's error."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock

import trioreg
from trioreg import Actor, ActorExited, ActorRef, Agent, DynamicSupervisor, Exit


class Crashing(Actor):
    """It crashes in the hook or handler that the test names."""

    def __init__(self, where: str = "") -> None:
        self.where = where

    async def on_start(self) -> None:
        await self.crash_at("on_start")

    async def on_message(self, message: object) -> None:
        raise Bang("on_message")

    async def on_stop(self, exit: Exit) -> None:
        await self.crash_at("on_stop")

    async def crash_at(self, where: str) -> None:
        await trio.sleep(1)
        if self.where == where:
            raise Bang(where)

    def bang(self) -> None:
        raise Bang("bang")

    async def bang_later(self) -> None:
        await trio.sleep(1)
        raise Bang("bang_later")

    def bang_behind(self) -> Awaitable[None]:
        return self.bang_later()

    def bang_beside(self) -> None:
        self.start_soon(self.bang_later)


class Idle(Actor):
    idle_timeout = 1.0

    async def on_idle(self) -> None:
        raise Bang("on_idle")


async def function() -> None:
    await trio.sleep(1)
    raise Bang("function")


def not_a_value(_: int) -> int:
    raise Bang("not_a_value")


async def start(supervisor: DynamicSupervisor, where: str = "") -> ActorRef[Crashing]:
    return await supervisor.start_child(Crashing, where, restart="temporary")


async def sync_handler(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    ref = await start(supervisor)
    with pytest.raises(ActorExited):
        await ref.call(Crashing.bang)
    return ref


def cast_to(method: Callable[[Crashing], object]) -> Callable[[DynamicSupervisor], Awaitable[ActorRef[Any]]]:
    async def cast(supervisor: DynamicSupervisor) -> ActorRef[Any]:
        ref = await start(supervisor)
        ref.cast_nowait(method)
        return ref

    return cast


async def on_message(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    ref = await start(supervisor)
    ref.send_nowait("message")
    return ref


async def on_stop(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    ref = await start(supervisor, "on_stop")
    ref.cancel()
    return ref


async def on_idle(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    return await supervisor.start_child(Idle, restart="temporary")


async def background_task(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    ref = await start(supervisor)
    await ref.call(Crashing.bang_beside)
    return ref


async def function_actor(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    return await supervisor.start_child(function, restart="temporary")


async def function_of_an_agent(supervisor: DynamicSupervisor) -> ActorRef[Any]:
    ref = await supervisor.start_child(Agent[int], int, restart="temporary")
    with pytest.raises(ActorExited):
        await ref.call(Agent[int].update, not_a_value)
    return ref


@pytest.mark.parametrize(
    "crash",
    [
        sync_handler,
        pytest.param(cast_to(Crashing.bang), id="cast_to_a_sync_handler"),
        pytest.param(cast_to(Crashing.bang_later), id="async_handler"),
        pytest.param(cast_to(Crashing.bang_behind), id="sync_handler_around_an_async_one"),
        on_message,
        on_stop,
        on_idle,
        background_task,
        function_actor,
        function_of_an_agent,
    ],
)
async def test_the_traceback_of_a_crash_begins_in_the_users_code(
    crash: Callable[[DynamicSupervisor], Awaitable[ActorRef[Any]]], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await crash(supervisor)
        error = (await ref.wait()).error
    assert isinstance(error, Bang)
    frames = traceback.extract_tb(error.__traceback__)
    assert frames[0].name == str(error)
    assert {frame.filename for frame in frames} == {__file__}


@pytest.mark.parametrize("method", [Crashing.bang, Crashing.bang_later])
async def test_between_the_caller_and_its_error_are_at_most_two_frames_of_the_runtime(
    method: Callable[[Crashing], Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await start(supervisor)
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
    frames = traceback.extract_tb(caught.value.__traceback__)
    runtime = str(trioreg.__file__).rpartition("__init__")[0]
    assert frames[0].filename == __file__
    assert 1 <= len([frame for frame in frames if frame.filename.startswith(runtime)]) <= 2


async def test_an_error_raised_by_the_runtime_keeps_its_frames(autojump_clock: MockClock) -> None:
    """Without the frames of the runtime nothing would be left of its traceback."""
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match="initial must be callable") as caught:
            await supervisor.start_child(Agent[int], cast("Any", 3))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "__init__"
