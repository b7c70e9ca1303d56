"""Faults in a start or a shutdown: what leaves the block, what is logged, and what ends in time."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.secret_agent import SecretAgent
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ChildSpec,
    Exit,
    open_dynamic_supervisor,
    open_supervisor,
)


@pytest.mark.parametrize("restart", ["temporary", "transient", "permanent"])
@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_crash_during_the_shutdown_leaves_the_block_unless_its_child_is_temporary(
    opener: Any, restart: Any, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    raised: list[BaseException] = []
    try:
        async with opener() as supervisor:
            ref = await supervisor.start_child(SecretAgent, restart=restart)
            with pytest.raises(ActorExited):
                await ref.call(SecretAgent.bang)
            supervisor.stop()
    except BaseExceptionGroup as group:
        raised = leaves(group)
    assert [type(error) for error in raised] == ([] if restart == "temporary" else [Bang])
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


async def test_an_error_of_a_temporary_child_during_the_shutdown_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Sore(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    async with open_supervisor([ChildSpec(Sore, restart="temporary")]) as supervisor:
        supervisor.stop()
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
@pytest.mark.parametrize("how", ["stop", "terminate_child"])
async def test_a_child_killed_after_its_shutdown_seconds_is_logged_as_a_warning(
    opener: Any, how: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    async with opener(name="program") as supervisor:
        ref = await supervisor.start_child(slow, shutdown=3, restart="temporary")
        await wait_all_tasks_blocked()
        if how == "terminate_child":
            await supervisor.terminate_child(ref)
        supervisor.stop()
    assert ref.exit == Exit("killed")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        warning.replace("'slow'", "slow") == f"program: child slow, {ref!r}, is killed: its 3 seconds to end are over"
    )
