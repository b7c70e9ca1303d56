"""Tests the inside: Ctrl-C at each line of a timer, of the limit for handlers, and of waits for several functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from support.inside import assert_nothing_left_behind
from support.interrupts import interrupted_at_each_line

from trioreg import Actor, DynamicSupervisor, Registry, await_many, open_dynamic_supervisor


class Clock(Actor):
    handler_timeout = 5

    def begin(self) -> None:
        self.cast_every(1, Clock.strike)

    def strike(self) -> None:
        self.stop("struck")

    async def hang(self) -> None:
        await trio.sleep_forever()


async def job(seconds: float) -> float:
    await trio.sleep(seconds)
    return seconds


async def waits_for_all(supervisor: DynamicSupervisor) -> None:
    await await_many([await supervisor.start_child(job, seconds, restart="temporary") for seconds in (1, 2)])


async def times(supervisor: DynamicSupervisor) -> None:
    clock = await supervisor.start_child(Clock, restart="temporary")
    await clock.cast(Clock.begin)
    await clock.wait()


async def is_too_slow(supervisor: DynamicSupervisor) -> None:
    clock = await supervisor.start_child(Clock, restart="temporary")
    await clock.cast(Clock.hang)
    await clock.wait()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("work", "files"),
    [
        (waits_for_all, ("results.py", "ends.py")),
        (times, ("timer.py", "start_soon.py", "background.py")),
        (is_too_slow, ("handler_timeout.py", "start_soon.py", "background.py")),
    ],
)
def test_ctrl_c_at_any_line_leaves_nothing_behind(
    work: Callable[[DynamicSupervisor], Awaitable[None]], files: tuple[str, ...]
) -> None:
    names: Registry[str, None] = Registry("names")

    async def main() -> None:
        async with open_dynamic_supervisor(at_end="stop") as supervisor:
            await work(supervisor)

    for place, errors in interrupted_at_each_line(main, *files):
        assert errors == {KeyboardInterrupt}, place
        assert_nothing_left_behind(names)
