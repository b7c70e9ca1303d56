"""Runs a program of the docs as a reader would, in a process of its own: ``python as_a_reader.py shop.py 42``.

Time is virtual: it moves in small steps, and stops after the given number of seconds. Then the program prints a line
``READY``, and a test can send the signal that a reader would send.
"""

from __future__ import annotations

import runpy
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

STEP = 0.125
"""Seconds, in a number that floats have exactly."""

RUN = trio.run


class SaysReady(trio.abc.Instrument):
    """Says it when nothing more happens: so the signal comes while no code runs."""

    def before_io_wait(self, timeout: float) -> None:
        if timeout > 1:
            trio.lowlevel.remove_instrument(self)
            threading.Thread(target=say_ready, args=[threading.get_ident()], daemon=True).start()


def say_ready(loop: int) -> None:
    """Say it when the thread of the loop waits for I/O, and the code of the instrument has returned."""
    while sys._current_frames()[loop].f_code.co_name != "get_events":
        time.sleep(0.001)  # for the other thread: the test has a time limit
    print("READY", flush=True)


def run_until(seconds: float) -> Callable[..., object]:
    def run(main: Callable[..., Awaitable[object]], *args: object, **options: Any) -> object:
        clock = MockClock()

        async def pass_time() -> None:
            for _ in range(round(seconds / STEP)):
                await wait_all_tasks_blocked()
                clock.jump(STEP)
            await wait_all_tasks_blocked()
            trio.lowlevel.add_instrument(SaysReady())

        async def main_in_time() -> None:
            trio.lowlevel.spawn_system_task(pass_time)
            await main(*args)

        options["clock"] = clock
        return RUN(main_in_time, **options)

    return run


if __name__ == "__main__":
    program, seconds = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio, "run", run_until(float(seconds)))
        runpy.run_path(program, run_name="__main__")
