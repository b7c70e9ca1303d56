"""Tests the inside: a failure at any call within background work, a timer or a reply breaks nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Reply, Timer

KINDS = [AtCall, WithRoom]


class Worker(Actor):
    def __init__(self) -> None:
        self.got: list[object] = []

    def work(self, do: Callable[[Worker], object]) -> None:
        do(self)

    async def on_message(self, message: object) -> None:
        self.got.append(message)


WORK: dict[str, Callable[[Worker], object]] = {
    "start_soon": lambda actor: actor.start_soon(trio.sleep_forever),
    "send_after": lambda actor: actor.send_after(1, "late"),
    "send_every": lambda actor: actor.send_every(1, "late"),
}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # it was made, and then no task
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize("work", WORK)
def test_background_work_that_does_not_begin_does_not_hang_the_end(work: str, is_first: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, restart="temporary")
            if not is_first:
                await ref.call(Worker.work, WORK["start_soon"])
            await ref.call(Worker.work, lambda actor: fault(lambda: WORK[work](actor)))
            with trio.fail_after(1):
                await ref.stop()

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [False, True])
def test_a_timer_whose_cancel_has_failed_goes_on_and_can_be_cancelled(again: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, restart="temporary")
            got: list[object] = []
            timers: list[Timer] = []

            def begin(actor: Worker) -> None:
                actor.got = got
                timers.append(actor.send_after(5, "late"))

            await ref.call(Worker.work, begin)
            await wait_all_tasks_blocked()
            done = fault(timers[0].cancel)
            if again and not done:
                timers[0].cancel()
            await trio.sleep(10)
            assert got == ([] if done or again else ["late"])
            await ref.stop()

    fails_at_every_call(kind, scenario)


class Lobby(Actor):
    def join(self, reply: Reply[str]) -> Reply[str]:
        return reply


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("how", ["send", "fail"])
def test_an_answer_that_fails_on_its_way_can_be_given_again(how: str, again: bool, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Lobby, restart="temporary")
            reply = Reply[str]()
            answers: list[str] = []

            async def join() -> None:
                try:
                    answers.append(await ref.call(Lobby.join, reply))
                except ZeroDivisionError:
                    answers.append("fail")
                except ActorExited:
                    answers.append("exited")

            def answer() -> None:
                if how == "send":
                    reply.send("send")
                else:
                    reply.fail(ZeroDivisionError())

            nursery.start_soon(join)
            await wait_all_tasks_blocked()
            done = fault(answer)
            if again and not done:
                answer()
            await wait_all_tasks_blocked()
            if not done and not again:
                assert not reply.is_answered or answers == [how]
                await ref.stop()
                await wait_all_tasks_blocked()
            assert answers in ([how], *([] if done or again else [["exited"]]))

    fails_at_every_call(kind, scenario)
