"""explore() and what comes from outside of Trio: threads and sockets. A run waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trioreg.testing import ScheduleFailed, explore

Scenario = Callable[[], Awaitable[object]]


def failure_of(scenario: Scenario, **options: Any) -> ScheduleFailed:
    with pytest.raises(ScheduleFailed) as caught:
        explore(scenario, **options)
    return caught.value


class WhenItSleeps(trio.abc.Instrument):
    """Sets an event as soon as Trio sleeps in real time."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def before_io_wait(self, timeout: float) -> None:
        if timeout > 0:
            self.event.set()


def test_a_run_waits_for_a_thread_before_time_goes_on() -> None:
    async def scenario() -> None:
        with trio.fail_after(1):
            await trio.to_thread.run_sync(time.sleep, 0.01)

    explore(scenario, runs=2)


def test_a_thread_may_use_the_run_that_waits_for_it() -> None:
    async def scenario() -> None:
        await trio.to_thread.run_sync(trio.from_thread.run, trio.sleep, 5)

    explore(scenario, runs=2)


def test_a_run_waits_for_a_socket_before_time_goes_on() -> None:
    async def scenario() -> None:
        ours, theirs = trio.socket.socketpair()
        with ours, theirs, trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ours.recv, 1)
                await wait_all_tasks_blocked()
                await theirs.send(b"x")

    explore(scenario, runs=2)


def test_a_thread_that_does_not_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioreg._testing.one_run._LONGEST_REAL", 0.05)
    gate = threading.Event()

    async def scenario() -> None:
        await trio.to_thread.run_sync(gate.wait, abandon_on_cancel=True)

    try:
        assert "all tasks wait for a thread:\n" in str(failure_of(scenario, runs=1))
    finally:
        gate.set()


def test_a_run_waits_for_a_thread_that_trio_does_not_know_of() -> None:
    async def scenario() -> None:
        news = trio.Event()
        token = trio.lowlevel.current_trio_token()
        sleeps = WhenItSleeps()

        def tell() -> None:
            sleeps.event.wait(30)
            token.run_sync_soon(news.set)

        thread = threading.Thread(target=tell)
        trio.lowlevel.add_instrument(sleeps)
        thread.start()
        await news.wait()
        thread.join()

    explore(scenario, runs=1)


def test_a_thread_that_wakes_nothing_is_waited_for_as_long_as_it_runs() -> None:
    threads: list[threading.Thread] = []

    async def scenario() -> None:
        sleeps = WhenItSleeps()
        threads.append(threading.Thread(target=sleeps.event.wait, args=(30,)))
        trio.lowlevel.add_instrument(sleeps)
        threads[-1].start()
        await trio.sleep_forever()

    assert "All tasks are blocked, and nothing can wake one of them" in str(failure_of(scenario, runs=1))
    assert not any(thread.is_alive() for thread in threads)
