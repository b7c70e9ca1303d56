"""Tests the inside: a failure at any call within the end of an actor leaves nobody without an answer."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.faults import AtCall, Fault, fails_at_every_call, inside
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit, Reply, open_dynamic_supervisor
from trioreg._actors import Cell, life


class Busy(Actor):
    """Owes answers of every kind: in its handler, in its mailbox, to a waiting sender, by a `Reply`."""

    mailbox_size = 3

    def __init__(self, ended: list[str]) -> None:
        self.ended = ended
        self.owed: list[Reply[None]] = []

    async def on_start(self) -> None:
        self.start_soon(self.work)
        self.start_soon(self.work)

    async def work(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.ended.append("background")

    def later(self) -> Reply[None]:
        self.owed.append(Reply())
        return self.owed[-1]

    async def sleep(self) -> None:
        await trio.sleep_forever()

    async def crash(self) -> None:
        await trio.sleep(5)
        raise ZeroDivisionError

    def tell(self) -> None:
        pass

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)
        self.ended.append("on_stop")


ENDS: dict[str, Callable[[ActorRef[Busy]], object]] = {
    "cancelled": lambda ref: ref.cancel(),
    "crashed": lambda _: None,  # after some seconds
}
STEPS = ["_refuse_unanswered", "end_background_tasks", "_run_on_stop"]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no memory
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("restart", ["temporary", "permanent"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_an_end_that_fails_leaves_no_caller_unanswered_and_no_task_behind(
    step: str, end: str, restart: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fault: Fault) -> None:
        caplog.clear()
        over: list[str] = []
        ended: list[str] = []
        raised: list[BaseException] = []

        async def send(how: str, method: Any) -> None:
            try:
                await getattr(ref, how)(method)
            except ActorExited:
                over.append(how)

        async with trio.open_nursery() as nursery:  # the callers are no part of the tree
            ref: Any = None
            try:
                async with open_dynamic_supervisor() as supervisor:
                    ref = await supervisor.start_child(Busy, ended, restart=restart)

                    def is_that(of: Any) -> bool:
                        return not isinstance(of, Cell) or of.ref is ref

                    for _ in range(2):
                        nursery.start_soon(send, "call", Busy.later)
                        await wait_all_tasks_blocked()
                    nursery.start_soon(send, "call", Busy.crash if end == "crashed" else Busy.sleep)
                    await wait_all_tasks_blocked()
                    for method in (Busy.later, Busy.sleep):
                        nursery.start_soon(send, "call", method)
                        await wait_all_tasks_blocked()
                    ref.cast_nowait(Busy.tell)
                    nursery.start_soon(send, "cast", Busy.tell)
                    await wait_all_tasks_blocked()
                    nursery.start_soon(send, "call", Busy.later)
                    await wait_all_tasks_blocked()
                    with inside(life, step, fault, of=is_that):
                        ENDS[end](ref)
                        await ref.wait()
                    await trio.sleep(10)
                    await supervisor.start_child(Actor)
                    supervisor.stop()
            except BaseExceptionGroup as group:
                raised = leaves(group)
            await wait_all_tasks_blocked()
            assert sorted(over) == ["call"] * 6 + ["cast"]
            nursery.cancel_scope.cancel()
        assert ref.exit is not None
        assert not raised  # it is a crash of that actor, and of nothing else
        assert ended[:2] == ["background", "background"]
        if step != "_run_on_stop" or not fault.is_reached:
            assert "on_stop" in ended
        parts = ("SafeLogger", "__str__", "__repr__", "shown_", "_fields", "text_of", "_number")
        is_logging = any(part in fault.where for part in parts)
        if fault.is_reached and not is_logging:  # a line for which there is no memory is lost
            assert ref.exit.error is not None
            errors = leaves(ref.exit.error)
            assert MemoryError in map(type, errors)
            assert any(record.exc_info for record in caplog.records)

    fails_at_every_call(AtCall, scenario)
    gc.collect()  # while the warnings are ignored
