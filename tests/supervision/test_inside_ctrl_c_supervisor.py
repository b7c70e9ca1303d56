"""Tests the inside: Ctrl-C where a supervisor opens and closes its block."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.inside import OPENING, interrupted_at
from trio.testing import MockClock

from trioreg import Actor, ChildSpec, open_supervisor


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


def test_ctrl_c_at_any_line_that_opens_or_closes_a_supervisor_breaks_nothing() -> None:
    ended: list[bool] = []
    lines = 0
    at = 0

    def interrupt(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if frame.f_code.co_name != OPENING:
            return None
        if event == "line":
            lines += 1
            if lines == at:
                signal.raise_signal(signal.SIGINT)
        return interrupt

    async def main() -> None:
        async with open_supervisor([ChildSpec(Actor)]):
            raise Bang

    before = sys.gettrace()
    while at <= lines:
        at += 1
        lines = 0
        sys.settrace(interrupt)
        try:
            trio.run(main, clock=MockClock(autojump_threshold=0))
        except BaseException as error:
            ended.append({type(leaf) for leaf in leaves(error)} <= {KeyboardInterrupt, Bang})
        finally:
            sys.settrace(before)
    assert len(ended) > 5
    assert all(ended)
