"""Crashes: what callers and senders get, and what the log says."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit


@pytest.mark.parametrize("method", [SecretAgent.bang, SecretAgent.abang])
@pytest.mark.parametrize("is_idle", [False, True])
async def test_the_caller_of_a_crashing_handler_gets_actor_exited_caused_by_the_error(
    method: Callable[[SecretAgent], Any], is_idle: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(SecretAgent.read)
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert caught.value.ref is ref
        assert caught.value.exit.reason == "crashed"
        assert isinstance(caught.value.__cause__, Bang)
        assert caught.value.exit.error is caught.value.__cause__
        exit = await ref.wait()
        assert exit.reason == "crashed"
        assert exit.error is caught.value.__cause__


async def test_calls_casts_and_sends_to_a_crashed_actor_raise_actor_exited(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        ref.cast_nowait(SecretAgent.bang)
        await ref.wait()
        operations: list[Callable[[], Awaitable[object]]] = [
            lambda: ref.call(SecretAgent.read),
            lambda: ref.cast(SecretAgent.note, 1),
            lambda: ref.send(1),
        ]
        for operation in operations:
            with pytest.raises(ActorExited) as caught:
                await operation()
            assert caught.value.ref is ref
            assert isinstance(caught.value.__cause__, Bang)
        at_once: list[Callable[[], None]] = [
            lambda: ref.cast_nowait(SecretAgent.note, 1),
            lambda: ref.send_nowait(1),
        ]
        for now in at_once:
            with pytest.raises(ActorExited):
                now()


async def test_queued_callers_get_actor_exited_as_soon_as_the_actor_crashes(
    autojump_clock: MockClock,
) -> None:
    class Slow(SecretAgent):
        async def slow_bang(self) -> None:
            await trio.sleep(1)
            raise Bang

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(3)

    learned: list[float] = []

    async def call(ref: ActorRef[Slow], method: Any) -> None:
        with pytest.raises(ActorExited) as caught:
            await ref.call(method)
        assert isinstance(caught.value.__cause__, Bang)
        assert caught.value.was_sent
        learned.append(trio.current_time() - began)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary")
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call, ref, Slow.slow_bang)
            await wait_all_tasks_blocked()
            for method in (Slow.read, Slow.aread, Slow.read):
                nursery.start_soon(call, ref, method)
        assert ref.is_alive
        assert learned == [1, 1, 1, 1]
        with pytest.raises(ActorExited) as late:
            await ref.call(Slow.read)
        assert not late.value.was_sent
        assert trio.current_time() - began == 1
        await ref.wait()
        assert trio.current_time() - began == 4


async def test_an_error_in_on_stop_makes_the_exit_a_crash(autojump_clock: MockClock) -> None:
    class Fragile(SecretAgent):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        exit = await ref.stop()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, Bang)


class Failures(ExceptionGroup[Exception]):
    """An exception group that can't be taken apart without the loss of its class."""


class Failing(Actor):
    def __init__(self, where: str) -> None:
        self.where = where

    async def on_start(self) -> None:
        await self.fail_at("on_start")

    async def fail_at(self, where: str) -> None:
        if self.where == where:
            raise Failures("failures", [Bang(where)])

    def fail_beside(self) -> None:
        self.start_soon(self.fail_at, "background")

    async def on_stop(self, exit: Exit) -> None:
        await self.fail_at("on_stop")


@pytest.mark.parametrize("where", ["handler", "background", "on_stop"])
async def test_the_error_of_an_exit_is_the_group_that_was_raised_and_no_copy(
    where: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Failing, where, restart="temporary")
        if where == "on_stop":
            ref.cancel()
        elif where == "background":
            await ref.call(Failing.fail_beside)
        else:
            await ref.cast(Failing.fail_at, "handler")
        exit = await ref.wait()
        assert type(exit.error) is Failures


async def test_start_child_raises_the_group_that_on_start_has_raised(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        with pytest.raises(Failures):
            await supervisor.start_child(Failing, "on_start")


# The log


class Frail(Actor):
    def __init__(self) -> None:
        self.secret = "007"

    def bang(self, text: str) -> None:
        raise ZeroDivisionError(text)


@pytest.mark.parametrize("is_queued", [False, True])
async def test_the_log_of_a_crash_shows_the_message_and_not_the_state(
    is_queued: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Frail, restart="temporary")
        if is_queued:
            ref.cast_nowait(Frail.bang, "boom")
        else:
            with pytest.raises(ActorExited):
                await ref.call(Frail.bang, "boom")
        await ref.wait()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "in Frail.bang('boom')" in record.getMessage()
    assert repr(ref) in record.getMessage()
    assert "007" not in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_the_log_of_a_crash_shows_the_state_if_log_state_is_set(caplog: pytest.LogCaptureFixture) -> None:
    class Open(Frail):
        log_state = True

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Open, restart="temporary")
        ref.cast_nowait(Frail.bang, "boom")
        await ref.wait()
    assert "'secret': '007'" in caplog.text


@pytest.mark.parametrize("has_dict", [False, True])
async def test_a_crash_is_logged_although_the_state_has_no_repr(
    has_dict: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Unshowable:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    class Slotted(Actor):
        __slots__ = ("x",)
        log_state = True

        def bang(self, argument: object) -> None:
            raise Bang

    class Open(Slotted):
        def __init__(self) -> None:
            self.y = Unshowable()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Open if has_dict else Slotted, restart="temporary")
        ref.cast_nowait(Slotted.bang, Unshowable())
        assert isinstance((await ref.wait()).error, Bang)
    assert [record for record in caplog.records if record.levelno == logging.ERROR and "bang" in record.getMessage()]


async def test_the_log_of_a_background_crash_does_not_name_the_cancelled_handler(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Worker(Actor):
        async def on_start(self) -> None:
            self.start_soon(self._work)

        async def _work(self) -> None:
            await trio.sleep(1)
            raise Bang

        async def slow(self) -> None:
            await trio.sleep_forever()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        await ref.cast(Worker.slow)
        await ref.wait()
    (crash,) = [record.getMessage() for record in caplog.records if record.exc_info]
    assert crash.endswith("ended (crashed: Bang())")
