"""`GeneratorExit` and `trio.Cancelled` that nothing outside has caused: crashes of the actor that raises them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.errors import Bang, a_cancelled_of_elsewhere, leaves
from support.processes import running
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, ChildSpec, Exit, Supervisor

ERRORS = [GeneratorExit(), a_cancelled_of_elsewhere()]


class Odd(Actor):
    """It raises the error of the test where the test says."""

    def __init__(self, error: BaseException, where: str = "", log: list[str] | None = None) -> None:
        self.error = error
        self.where = where
        self.log = [] if log is None else log

    def fail(self) -> None:
        raise self.error

    async def afail(self) -> None:
        raise self.error

    async def afail_later(self) -> None:
        await trio.lowlevel.checkpoint()
        raise self.error

    def fail_behind(self) -> Awaitable[None]:
        return self.afail_later()

    async def fail_in_a_group(self) -> None:
        await trio.lowlevel.checkpoint()
        raise BaseExceptionGroup("group", [self.error])

    def fail_beside(self) -> None:
        self.start_soon(self.afail_later)

    async def on_start(self) -> None:
        if self.where == "on_start":
            raise self.error

    async def on_message(self, message: object) -> None:
        raise self.error

    async def on_stop(self, exit: Exit) -> None:
        self.log.append(exit.reason)
        if self.where == "on_stop":
            raise self.error


class OddWhenIdle(Odd):
    idle_timeout = 1

    async def on_idle(self) -> None:
        raise self.error


async def odd_function(error: BaseException) -> None:
    await trio.sleep(1)
    raise error


def start_by(
    crash: Callable[[ActorRef[Odd]], object],
) -> Callable[[Supervisor, BaseException], Awaitable[ActorRef[Any]]]:
    async def start(supervisor: Supervisor, error: BaseException) -> ActorRef[Any]:
        ref = await supervisor.start_child(Odd, error, restart="temporary")
        await wait_all_tasks_blocked()
        crash(ref)
        return ref

    return start


async def on_stop(supervisor: Supervisor, error: BaseException) -> ActorRef[Any]:
    ref = await supervisor.start_child(Odd, error, "on_stop", restart="temporary")
    ref.cancel()
    return ref


async def on_idle(supervisor: Supervisor, error: BaseException) -> ActorRef[Any]:
    return await supervisor.start_child(OddWhenIdle, error, restart="temporary")


async def function(supervisor: Supervisor, error: BaseException) -> ActorRef[Any]:
    return await supervisor.start_child(odd_function, error, restart="temporary")


async def restarted_on_start(supervisor: Supervisor, error: BaseException) -> ActorRef[Any]:
    with pytest.raises(RuntimeError, match="the actor's code raised"):
        await supervisor.start_child(Odd, error, "on_start", restart="temporary")
    return await function(supervisor, error)


@pytest.mark.parametrize("error", ERRORS, ids=["GeneratorExit", "Cancelled"])
@pytest.mark.parametrize(
    "crash",
    [
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.fail)), id="sync handler"),
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.afail)), id="async handler"),
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.afail_later)), id="async handler, later"),
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.fail_behind)), id="sync handler around an async one"),
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.fail_in_a_group)), id="async handler, in a group"),
        pytest.param(start_by(lambda ref: ref.cast_nowait(Odd.fail_beside)), id="background task"),
        pytest.param(start_by(lambda ref: ref.send_nowait("message")), id="on_message"),
        restarted_on_start,
        on_stop,
        on_idle,
        function,
    ],
)
async def test_generator_exit_and_a_cancelled_of_elsewhere_are_crashes_of_their_actor_only(
    crash: Callable[[Supervisor, BaseException], Awaitable[ActorRef[Any]]],
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    async with supervising() as supervisor:
        sibling = await supervisor.start_child(Odd, Bang())
        ref = await crash(supervisor, error)
        with trio.fail_after(10):
            exit = await ref.wait()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, RuntimeError)
        assert exit.error.__cause__ is not None
        assert leaves(exit.error.__cause__) == [error]
        await wait_all_tasks_blocked()
        assert sibling.is_alive
    assert [record for record in caplog.records if record.levelno == logging.ERROR and repr(ref) in record.getMessage()]


@pytest.mark.parametrize("error", ERRORS, ids=["GeneratorExit", "Cancelled"])
@pytest.mark.parametrize("is_idle", [False, True])
@pytest.mark.parametrize("method", [Odd.fail, Odd.afail_later])
async def test_the_caller_of_a_handler_that_raises_one_of_them_gets_actor_exited_and_on_stop_runs(
    method: Any, is_idle: bool, error: BaseException, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Odd, error, "", log, restart="temporary")
        if is_idle:
            await wait_all_tasks_blocked()
        with trio.fail_after(10), pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert isinstance(caught.value.__cause__, RuntimeError)
        assert caught.value.exit.error is caught.value.__cause__
        assert (await ref.wait()).error is caught.value.__cause__
    assert log == ["crashed"]


@pytest.mark.parametrize("error", ERRORS, ids=["GeneratorExit", "Cancelled"])
async def test_an_actor_that_raises_one_of_them_is_restarted(error: BaseException, autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(Odd, args=(error,), id="odd")]) as supervisor:
        (before,) = supervisor.which_children()
        assert before.ref is not None
        before.ref.cast_nowait(Odd.afail)
        with trio.fail_after(10):
            await before.ref.wait()
        (after,) = supervisor.which_children()
        assert after.restarts == 1


async def test_a_handler_that_is_really_cancelled_has_not_crashed_whatever_it_raises_beside(
    autojump_clock: MockClock,
) -> None:
    class Slow(Actor):
        async def slow(self) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)

        def slow_beside(self) -> None:
            self.start_soon(self.slow)

    async with supervised() as supervisor:
        for method in (Slow.slow, Slow.slow_beside):
            ref = await supervisor.start_child(Slow, restart="temporary")
            ref.cast_nowait(method)
            await wait_all_tasks_blocked()
            ref.cancel()
            assert await ref.wait() == Exit("shutdown")


BREAKS_DOWN = """
import gc, logging, sys, trio, trio.testing, trioreg

class Agent(trioreg.Actor):
    async def on_message(self, message):
        await forever("handler")

    async def on_stop(self, exit):
        print("on_stop runs")

async def forever(name):
    try:
        await trio.sleep_forever()
    finally:
        print(name, "is closed")

async def main():
    async with trio.open_nursery() as nursery, trioreg.open_dynamic_supervisor() as supervisor:
        (await supervisor.start_child(Agent)).send_nowait("message")
        await supervisor.start_child(forever, "function")
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

        def abort(_):
            raise KeyError("a bug in an abort function")

        await trio.lowlevel.wait_task_rescheduled(abort)

log = logging.getLogger("trioreg")
log.setLevel("DEBUG")
show = logging.StreamHandler(sys.stdout)
show.addFilter(lambda record: "crashed" in record.getMessage())
log.addHandler(show)
try:
    trio.run(main)
except trio.TrioInternalError:
    pass
gc.collect()  # now Python closes the coroutines that the run has left
"""


def test_when_a_run_breaks_down_its_actors_are_closed_and_have_not_crashed() -> None:
    """Nothing can be awaited, so `on_stop` can't run. In a process of its own: Trio complains loudly."""
    with running([sys.executable, "-c", BREAKS_DOWN]) as process:
        output, _ = process.communicate()
    assert sorted(output.splitlines()) == ["function is closed", "handler is closed"]
