"""Tests the inside: what comes just as an actor falls asleep, or as its idle time ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.idlers import Idler, Timed, listener
from support.inside import ask_to_stop, do_before_sleep, end_idle_time, is_idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef


@pytest.mark.parametrize("late", [False, True])
async def test_a_message_in_the_step_in_which_the_idle_timeout_ends_is_handled(
    late: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        heard: list[object] = []
        ref = await supervisor.start_child(Timed, heard)
        await wait_all_tasks_blocked()
        if late:
            # The actor is cancelled, and has not run yet: a sender must not take it for parked.
            end_idle_time(ref)
            assert not is_idle(ref)
        ref.send_nowait("message")
        await wait_all_tasks_blocked()
        assert heard == ["message"]
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert heard == ["message", "idle"]


@pytest.mark.parametrize("factory", [Idler, Timed, listener])
@pytest.mark.parametrize("operation", ["send", "stop", "cancel", "kill"])
async def test_an_actor_about_to_sleep_notices_what_a_finalizer_does(
    operation: str, factory: Any, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    """Falling asleep makes an object, which may run the garbage collector, which may run a ``__del__``."""
    async with supervised() as supervisor:
        heard: list[object] = []
        ref: ActorRef[Any] = await supervisor.start_child(factory, heard, restart="temporary")
        await wait_all_tasks_blocked()
        finalizers: dict[str, Callable[[], object]] = {
            "send": lambda: ref.send_nowait("message"),
            "stop": lambda: ask_to_stop(ref),
            "cancel": ref.cancel,
            "kill": ref.kill,
        }
        sleeps = do_before_sleep(monkeypatch, finalizers[operation])
        ref.send_nowait("message")
        with trio.fail_after(0.5):  # shorter than the idle timeout
            await wait_all_tasks_blocked()
            if operation == "send":
                assert heard == ["message", "message"]
                assert sleeps() == 2
            else:
                await ref.wait()
                assert sleeps() == 1
