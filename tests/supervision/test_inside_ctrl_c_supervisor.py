"""Tests the inside: Ctrl-C where a supervisor opens and closes its block."""

from __future__ import annotations

import signal
from contextlib import AbstractAsyncContextManager
from types import FrameType
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.inside import assert_nothing_left_behind, interrupted_at
from support.interrupts import interrupted_at_each_line, tracing
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ChildSpec,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_supervisor,
)
from trioreg._supervision.supervisor_base import SupervisorBase


def test_ctrl_c_while_a_supervisor_notices_its_cancellation_does_not_hang_it() -> None:
    async def main() -> None:
        with trio.CancelScope() as scope:
            async with open_supervisor([ChildSpec(Actor)]):
                interrupt()
                scope.cancel()
                await trio.sleep_forever()
        await trio.lowlevel.checkpoint()

    with (
        interrupted_at("before a supervisor closes", is_protected=True) as interrupt,
        pytest.raises(BaseException) as caught,  # noqa: PT011 - alone or in a group, as it comes
    ):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert {type(leaf) for leaf in leaves(caught.value)} == {KeyboardInterrupt}


# Ctrl-C while a supervisor opens or closes its block once left tasks behind, and Trio itself broke down.


@pytest.mark.usefixtures("interruptible")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then Ctrl-C came
@pytest.mark.parametrize(
    ("opening", "ending"),
    [
        ("supervisor", "end"),
        ("supervisor", "error"),
        ("supervisor", "cancel"),
        ("dynamic supervisor", "end"),
        ("partition supervisor", "end"),
    ],
)
def test_ctrl_c_at_any_line_that_opens_or_closes_a_supervisor_breaks_nothing(opening: str, ending: str) -> None:
    names: Registry[str, None] = Registry("names")

    def open_block() -> AbstractAsyncContextManager[object]:
        if opening == "supervisor":
            return open_supervisor([ChildSpec(trio.lowlevel.checkpoint, restart="temporary")])
        if opening == "dynamic supervisor":
            return open_dynamic_supervisor()
        return open_partition_supervisor(1, ChildSpec(trio.lowlevel.checkpoint, restart="temporary"))

    async def main() -> None:
        names.register("outside")
        with trio.CancelScope() as scope:
            async with open_block():
                names.register("inside")
                if ending == "cancel":
                    scope.cancel()
                if ending == "error":
                    raise Bang

    for place, errors in interrupted_at_each_line(main, "supervisor_block.py", "engine.py"):
        assert errors <= {KeyboardInterrupt, Bang}, place
        assert_nothing_left_behind(names)


async def test_the_block_of_a_supervisor_is_entered_once() -> None:
    block = open_supervisor()
    async with block:
        pass
    with pytest.raises(RuntimeError, match="open another one"):
        await block.__aenter__()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("line", [1, 2, 3, 4, 5])
def test_ctrl_c_while_a_supervisor_below_another_one_waits_for_its_children_breaks_nothing(line: int) -> None:
    """Trio's `trio.Event` is not safe from Ctrl-C: a task that it interrupts there would be woken after its end."""
    names: Registry[str, None] = Registry("names")
    lines = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        caller = frame.f_back
        if frame.f_code is not trio.Event.wait.__code__ or caller is None:
            return None
        if caller.f_code is SupervisorBase.on_start.__code__ and event == "line":
            lines += 1
            if lines == line:
                signal.raise_signal(signal.SIGINT)
        return trace

    async def main() -> None:
        below = ChildSpec(Supervisor, ([ChildSpec(Actor, name=names.via("bond"))],))
        with tracing(trace):
            async with open_supervisor([below], max_restarts=0) as supervisor:
                await wait_all_tasks_blocked()
                supervisor.stop()

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - alone or in a group, as it comes
        trio.run(main)
    assert {type(leaf) for leaf in leaves(caught.value)} == {KeyboardInterrupt}
    assert_nothing_left_behind(names)
