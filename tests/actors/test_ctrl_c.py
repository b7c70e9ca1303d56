"""Where Ctrl-C arrives in a program that `trio.run` runs."""

from __future__ import annotations

import signal

import pytest
import trio

from trioreg import Actor, ActorExited, Exit, open_supervisor

pytestmark = pytest.mark.usefixtures("interruptible")


class Worker(Actor):
    def __init__(self, ends: list[Exit]) -> None:
        self.ends = ends

    async def work(self) -> str:
        signal.raise_signal(signal.SIGINT)
        await trio.lowlevel.checkpoint()
        return "done"

    async def on_stop(self, exit: Exit) -> None:
        self.ends.append(exit)


async def use(ends: list[Exit]) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        worker = await supervisor.start_child(Worker, ends)
        await worker.call(Worker.work)
        await trio.sleep(1)


def test_ctrl_c_in_a_handler_ends_its_actor_and_its_caller_learns_of_it() -> None:
    ends: list[Exit] = []
    with pytest.RaisesGroup(KeyboardInterrupt, ActorExited):
        trio.run(use, ends)
    assert [exit.reason for exit in ends] == ["crashed"]


def test_ctrl_c_that_is_restricted_to_checkpoints_reaches_the_main_task_and_no_actor() -> None:
    ends: list[Exit] = []
    with pytest.RaisesGroup(KeyboardInterrupt):
        trio.run(use, ends, restrict_keyboard_interrupt_to_checkpoints=True)
    assert [exit.reason for exit in ends] == ["shutdown"]
