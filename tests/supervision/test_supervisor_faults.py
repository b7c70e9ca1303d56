"""Faults in a start or a shutdown: what leaves the block, what is logged, and what ends in time."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable
from typing import Any, cast

import pytest
import trio
from support.errors import Bang, leaves
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    CallCycle,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Registry,
    Supervisor,
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


async def test_a_shutdown_ends_a_supervisor_whose_child_waits_for_its_name() -> None:
    names: Registry[str, None] = Registry("names")

    class Giving(Actor):
        def give(self) -> None:
            names.unregister("name")

        def bang(self) -> None:
            raise Bang

    async with open_supervisor([ChildSpec(Giving, name=names.via("name"))], max_restarts=math.inf) as supervisor:
        ref = cast("ActorRef[Giving]", names.whereis("name"))
        await ref.call(Giving.give)
        with names.hold("name"):
            ref.cast_nowait(Giving.bang)
            for _ in range(20):  # it tries again and again, so `wait_all_tasks_blocked` would never end
                await trio.lowlevel.checkpoint()
            supervisor.stop()
            await wait_all_tasks_blocked()
    assert names.count() == 0


# Starts


async def test_an_error_in_on_start_keeps_its_cause() -> None:
    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang from ZeroDivisionError()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_supervisor([ChildSpec(Fails)]):
            raise AssertionError("entered")
    (error,) = leaves(caught.value)
    assert isinstance(error, Bang)
    assert isinstance(error.__cause__, ZeroDivisionError)


async def test_a_factory_that_cancels_its_own_actor_ends_the_start() -> None:
    class Factory:
        def __call__(self) -> Awaitable[None]:
            trioreg.current().cancel()
            return trio.sleep_forever()  # noqa: ASYNC105 - it is what the factory makes

    async with supervised() as supervisor:
        with pytest.raises(trioreg.ActorExited):
            await supervisor.start_child(Factory(), restart="temporary")
        assert supervisor.count_children().specs == 0


class Slow(Actor):
    async def on_start(self) -> None:
        await trio.sleep_forever()


class Hanging(Actor):
    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep_forever()


STARTING = ChildSpec(Supervisor, ([ChildSpec(Hanging, shutdown=math.inf), ChildSpec(Slow)],), shutdown=5)


async def test_a_supervisor_cancelled_while_a_subtree_starts_waits_its_shutdown_seconds(
    autojump_clock: MockClock,
) -> None:
    now = trio.current_time()
    with trio.move_on_after(1):
        async with open_supervisor([STARTING]):
            raise AssertionError("entered")
    assert trio.current_time() == now + 1 + 5


async def test_a_cancelled_start_of_a_subtree_ends_within_its_shutdown_seconds(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        now = trio.current_time()
        with trio.move_on_after(1):
            await supervisor.start_child(STARTING)
        assert trio.current_time() == now + 1 + 5
        assert supervisor.count_children().specs == 0


class Forgetful(DynamicSupervisor):
    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_an_on_start_of_a_supervisor_without_super_is_refused(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        with pytest.raises(RuntimeError, match=r"^Forgetful.on_start\(\) must call await super\(\).on_start\(\)"):
            await top.start_child(Forgetful)


# Ids


async def test_a_generated_id_never_takes_a_given_one(autojump_clock: MockClock) -> None:
    async with open_supervisor(
        [ChildSpec(SecretAgent), ChildSpec(SecretAgent, id="SecretAgent"), ChildSpec(SecretAgent)]
    ) as supervisor:
        assert [child.id for child in supervisor.which_children()] == ["SecretAgent 2", "SecretAgent", "SecretAgent 3"]
        await supervisor.terminate_child("SecretAgent")
        supervisor.delete_child("SecretAgent")
        await supervisor.start_child(SecretAgent)
        assert [child.id for child in supervisor.which_children()] == ["SecretAgent 2", "SecretAgent 3", "SecretAgent"]
        supervisor.stop()


async def test_children_without_a_name_are_shown_once(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        assert supervisor.tree().splitlines()[1] == f"└── {ref!r}"

        class Selfish(Actor):
            async def ask(self) -> str:
                with pytest.raises(CallCycle) as caught:
                    await self.ref.call(Selfish.ask)
                return str(caught.value)

        selfish = await supervisor.start_child(Selfish)
        assert (await selfish.call(Selfish.ask)).endswith(f": {selfish!r} -> {selfish!r}")
