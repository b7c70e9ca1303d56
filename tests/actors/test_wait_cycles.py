"""Cycles through waits for the end of an actor, or for room in a mailbox."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.errors import leaves
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, CallCycle, ChildSpec, Exit, Registry, open_supervisor, raises


async def test_an_actor_that_waits_for_its_own_stop_is_refused(autojump_clock: MockClock) -> None:
    class Suicidal(Actor):
        @raises(CallCycle)
        async def end(self) -> None:
            await self.ref.stop()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Suicidal)
        with pytest.raises(CallCycle):
            await ref.call(Suicidal.end)
        assert ref.is_alive


@pytest.mark.parametrize("is_stop_first", [False, True])
@pytest.mark.parametrize("operation", ["stop", "wait"])
async def test_waiting_for_the_end_of_an_actor_that_waits_for_an_answer_closes_a_cycle(
    operation: str, is_stop_first: bool, autojump_clock: MockClock
) -> None:
    class Boss(SecretAgent):
        @raises(CallCycle)
        async def end(self, other: ActorRef[Any], seconds: float) -> None:
            await trio.sleep(seconds)
            await (other.stop() if operation == "stop" else other.wait())

    class Worker(SecretAgent):
        @raises(CallCycle)
        async def report(self, boss: ActorRef[Any], seconds: float) -> None:
            await trio.sleep(seconds)
            await boss.call(SecretAgent.note, "report")

    cycles: list[CallCycle] = []

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        boss = await supervisor.start_child(Boss, restart="temporary")
        worker = await supervisor.start_child(Worker, restart="temporary")

        async def call(ref: ActorRef[Any], method: Any, other: ActorRef[Any], seconds: float) -> None:
            try:
                await ref.call(method, other, seconds)
            except CallCycle as cycle:
                cycles.append(cycle)

        nursery.start_soon(call, boss, Boss.end, worker, 1 if is_stop_first else 2)
        nursery.start_soon(call, worker, Worker.report, boss, 2 if is_stop_first else 1)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    assert len(cycles) == 1


class Narrow(Actor):
    mailbox_size = 1

    async def flood(self, to: ActorRef[Narrow] | None) -> None:
        await trio.sleep(1)
        for _ in range(2):
            await (to or self.ref).cast(Narrow.flood, self.ref)

    async def flood_beside(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(self.ref.send, "room?")


@pytest.mark.parametrize("is_beside", [False, True])
async def test_an_actor_that_waits_for_room_in_its_own_mailbox_is_refused(
    is_beside: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Narrow, restart="temporary")
        await (ref.cast(Narrow.flood_beside) if is_beside else ref.cast(Narrow.flood, None))
        exit = await ref.wait()
        assert exit.error is not None
        assert [type(error) for error in leaves(exit.error)] == [CallCycle]


async def test_two_actors_that_wait_for_room_in_each_others_mailboxes_are_refused(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ann = await supervisor.start_child(Narrow, restart="temporary")
        bob = await supervisor.start_child(Narrow, restart="temporary")
        await ann.cast(Narrow.flood, bob)
        await bob.cast(Narrow.flood, ann)
        await wait_all_tasks_blocked()
        await ann.cast(Narrow.flood, bob)
        await bob.cast(Narrow.flood, ann)
        errors = [(await ref.wait()).error for ref in (ann, bob)]
        # The second actor that waits is refused and crashes; so the first gets `ActorExited`.
        assert {type(error) for error in errors} == {CallCycle, ActorExited}
        assert trio.current_time() == 1


async def test_a_wait_for_room_that_is_over_is_not_part_of_a_cycle(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        mailbox_size = 1

        async def rest(self) -> None:
            await trio.sleep(1)

        async def ask(self, other: ActorRef[Eager]) -> str:
            return await other.call(Eager.answer)

    class Eager(Actor):
        async def fill(self, slow: ActorRef[Slow]) -> None:
            for _ in range(3):
                await slow.cast(Slow.rest)
            with trio.move_on_after(0.5):
                await slow.cast(Slow.rest)

        def answer(self) -> str:
            return "here"

    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        eager = await supervisor.start_child(Eager)
        await eager.call(Eager.fill, slow)
        assert trio.current_time() == 1.5
        assert await slow.call(Slow.ask, eager) == "here"


async def test_an_actor_may_wait_for_a_sender_in_the_step_in_which_it_lets_its_message_in(
    autojump_clock: MockClock,
) -> None:
    class Narrower(SecretAgent):
        mailbox_size = 1

        async def hold(self, until: trio.Event) -> None:
            await until.wait()

        async def ask(self, other: ActorRef[SecretAgent]) -> None:
            self.note(await other.call(SecretAgent.read))

    class Sender(SecretAgent):
        async def tell(self, narrow: ActorRef[Narrower]) -> None:
            await narrow.cast(Narrower.note, "told")
            self.note("sent")

    async with supervised() as supervisor:
        narrow = await supervisor.start_child(Narrower, restart="temporary")
        sender = await supervisor.start_child(Sender, restart="temporary")
        until = trio.Event()
        narrow.cast_nowait(Narrower.hold, until)
        await wait_all_tasks_blocked()
        narrow.cast_nowait(Narrower.ask, sender)
        sender.cast_nowait(Sender.tell, narrow)
        await wait_all_tasks_blocked()
        until.set()
        await wait_all_tasks_blocked()
        assert await narrow.call(SecretAgent.read) == [["sent"], "told"]


@pytest.mark.parametrize("how", ["stop", "wait"])
async def test_an_actor_may_wait_for_one_whose_wait_for_its_end_is_cancelled_in_this_step(
    how: str, autojump_clock: MockClock
) -> None:
    class Impatient(SecretAgent):
        async def end(self, other: ActorRef[Last]) -> None:
            with scope:
                await (other.stop() if how == "stop" else other.wait())

    class Last(SecretAgent):
        async def ask(self, other: ActorRef[SecretAgent]) -> None:
            await trio.sleep(1)
            scope.cancel()
            got.append(await other.call(SecretAgent.echo, "here"))

    scope = trio.CancelScope()
    got: list[str] = []
    async with supervised() as supervisor:
        impatient = await supervisor.start_child(Impatient, restart="temporary")
        last = await supervisor.start_child(Last, restart="temporary")
        last.cast_nowait(Last.ask, impatient)
        await impatient.call(Impatient.end, last)
        await wait_all_tasks_blocked()
    assert got == ['James Bond says: "here"']


async def test_a_background_task_may_wait_for_room_in_the_mailbox_of_its_actor(autojump_clock: MockClock) -> None:
    class Beside(SecretAgent):
        mailbox_size = 1

        async def on_start(self) -> None:
            self.start_soon(self._tell)

        async def _tell(self) -> None:
            for number in range(5):
                await self.ref.cast(Beside.note, number)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Beside)
        await wait_all_tasks_blocked()
        assert await ref.call(Beside.read) == [0, 1, 2, 3, 4]


async def test_an_actor_may_wait_for_another_one_whose_wait_for_its_name_is_being_cancelled(
    autojump_clock: MockClock,
) -> None:
    class Patient(Actor):
        async def ask_the_next(self) -> None:
            with scope:
                await names.via("leader", wait=True).call(Patient.answer)

        def answer(self) -> str:
            return "answered"

    class Leader(Actor):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            scope.cancel()
            got.append(await patient.call(Patient.answer))

    names: Registry[str, None] = Registry("names")
    scope = trio.CancelScope()
    got: list[str] = []
    async with open_supervisor() as supervisor, trio.open_nursery() as nursery:
        patient = await supervisor.start_child(Patient)
        leader = await supervisor.start_child(ChildSpec(Leader, name=names.via("leader"), restart="temporary"))
        nursery.start_soon(leader.stop)
        await wait_all_tasks_blocked()
        await patient.call(Patient.ask_the_next)
        await leader.wait()
        assert got == ["answered"]
        supervisor.stop()
