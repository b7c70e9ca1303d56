"""`settled`: it waits until every actor is idle and every thread is back, and raises if that can never be."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Awaitable
from functools import partial
from typing import Any

import pytest
import trio
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    NotRegistered,
    OnDemand,
    Reply,
    debug,
    open_dynamic_supervisor,
    open_on_demand,
    open_pool,
)
from trioreg.testing import NotSettled, crash, explore, hang, settled, slow


class Worker(Actor):
    """It passes each message on, and notes it."""

    def __init__(self, log: list[object] | None = None, to: ActorRef[Worker] | None = None) -> None:
        self.log: list[object] = [] if log is None else log
        self.to = to
        self.owed: list[Reply[str]] = []

    async def do(self, item: str, seconds: float = 0) -> None:
        await trio.sleep(seconds)
        self.log.append(item)
        if self.to is not None:
            await self.to.cast(Worker.do, f"{item}!", seconds)

    async def in_thread(self, may_end: threading.Event) -> None:
        await trio.to_thread.run_sync(may_end.wait)
        self.log.append("back")

    def beside_in_thread(self, may_end: threading.Event) -> None:
        self.start_soon(self.in_thread, may_end)

    async def wait_for(self, event: trio.Event) -> None:
        await event.wait()

    async def ask(self, other: ActorRef[Worker], event: trio.Event) -> None:
        await other.call(Worker.wait_for, event)

    def later(self) -> Reply[str]:
        reply = Reply[str]()
        self.owed.append(reply)
        return reply

    async def settle(self) -> None:
        await settled()

    def settle_beside(self) -> None:
        self.start_soon(settled)


class Starting(Actor):
    """It never starts."""

    def __init__(self, hung: ActorRef[Worker]) -> None:
        self.hung = hung

    async def on_start(self) -> None:
        self.start_soon(self.hung.call, Worker.wait_for, trio.Event())
        await trio.sleep_forever()


def missing() -> ActorRef[Any]:
    raise AssertionError("the child has no life")


class TestItWaits:
    async def test_until_all_that_follows_from_a_message_is_handled(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            last = await supervisor.start_child(Worker, log)
            first = await supervisor.start_child(Worker, log, last)
            await first.cast(Worker.do, "tea")
            await settled()
            assert log == ["tea", "tea!"]

    async def test_until_handlers_that_sleep_are_done(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            last = await supervisor.start_child(Worker, log)
            first = await supervisor.start_child(Worker, log, last)
            await first.cast(Worker.do, "tea", 3)
            await settled()
            assert log == ["tea", "tea!"]
            assert trio.current_time() == 6

    async def test_with_a_real_clock_as_well(self) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, log)
            await ref.cast(Worker.do, "tea", 0.01)
            await settled()
            assert log == ["tea"]

    async def test_until_a_thread_is_back_and_the_virtual_clock_stands_still(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        may_end = threading.Event()
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, log)
            await ref.cast(Worker.in_thread, may_end)
            threading.Timer(0.05, may_end.set).start()
            with trio.fail_after(1):
                await settled()
            assert log == ["back"]
            assert trio.current_time() == 0

    async def test_until_a_thread_is_back_even_if_something_is_due_in_virtual_time(
        self, autojump_clock: MockClock
    ) -> None:
        may_end = threading.Event()
        async with trio.open_nursery() as nursery, supervised() as supervisor:
            nursery.start_soon(trio.sleep, 10)
            ref = await supervisor.start_child(Worker, list[object]())
            await ref.cast(Worker.in_thread, may_end)
            threading.Timer(0.05, may_end.set).start()
            await settled()
            assert trio.current_time() == 0
            nursery.cancel_scope.cancel()

    async def test_until_the_thread_of_a_background_task_is_back(self) -> None:
        log: list[object] = []
        may_end = threading.Event()
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, log)
            await ref.call(Worker.beside_in_thread, may_end)
            threading.Timer(0.05, may_end.set).start()
            await settled()
            assert log == ["back"]

    async def test_until_the_thread_of_a_function_is_back(self) -> None:
        may_end = threading.Event()

        async def work() -> None:
            await trio.to_thread.run_sync(may_end.wait)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(work, restart="temporary")
            threading.Timer(0.05, may_end.set).start()
            await settled()
            assert not ref.is_alive

    async def test_until_an_actor_that_ends_has_ended(self, autojump_clock: MockClock) -> None:
        async def work() -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(3)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(work)
            await wait_all_tasks_blocked()
            ref.cancel()
            await settled()
            assert not ref.is_alive

    async def test_until_a_message_that_is_handled_beside_others_is_done(self, autojump_clock: MockClock) -> None:
        class Games(DynamicSupervisor):
            def prepare(self) -> Awaitable[None]:
                return trio.sleep(3)  # noqa: ASYNC105  # it is awaited in a turn of its own

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Games)
            await ref.cast(Games.prepare)
            await settled()
            assert trio.current_time() == 3

    async def test_until_a_crashed_actor_has_been_restarted(self, autojump_clock: MockClock) -> None:
        spec = ChildSpec(Worker, id="worker", backoff=Backoff(initial=7))
        async with supervising([spec]) as supervisor:
            before = supervisor.which_child("worker").ref
            assert before is not None
            crash(before, OSError())
            await settled()
            assert supervisor.which_child("worker").state == "running"
            crash(supervisor.which_child("worker").ref or missing(), OSError())
            await settled()
            assert supervisor.which_child("worker").restarts == 2
            assert trio.current_time() >= 7

    async def test_until_a_supervisor_has_started_its_children(self, autojump_clock: MockClock) -> None:
        class Slow(Actor):
            async def on_start(self) -> None:
                await trio.sleep(5)

        async with supervising([ChildSpec(DynamicSupervisor, id="below")]) as top:
            below = top.which_child("below").ref
            assert below is not None
            await below.cast(DynamicSupervisor.start_child, Slow)
            await settled()
            assert trio.current_time() == 5

    async def test_for_slow_actors(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, log)
            with slow(ref, 3):
                await settled()
                assert trio.current_time() == 0
                await ref.cast(Worker.do, "tea")
                await settled()
                assert log == ["tea"]
                assert trio.current_time() == 3


class TestItDoesNotWait:
    async def test_for_a_thread_of_another_task_before_time_goes_on(self, autojump_clock: MockClock) -> None:
        async def wait() -> None:
            await trio.to_thread.run_sync(may_end.wait, abandon_on_cancel=True)

        log: list[object] = []
        may_end = threading.Event()
        async with trio.open_nursery() as nursery, supervised() as supervisor:
            nursery.start_soon(wait)
            ref = await supervisor.start_child(Worker, log)
            await ref.cast(Worker.do, "tea", 3)
            await settled()
            assert (log, trio.current_time()) == (["tea"], 3)
            nursery.cancel_scope.cancel()
            may_end.set()

    async def test_where_no_actor_is(self, autojump_clock: MockClock) -> None:
        await settled()

    async def test_for_timers_and_functions_that_sleep(self, autojump_clock: MockClock) -> None:
        class Clock(Actor):
            async def on_start(self) -> None:
                self.send_every(1, "tick")

        async with supervised() as supervisor:
            await supervisor.start_child(Clock)
            await supervisor.start_child(trio.sleep_forever)
            await supervisor.start_child(trioreg.receive)
            await (await supervisor.start_child(trio.sleep_forever)).send("it never takes this")
            await settled()
            assert trio.current_time() == 0

    async def test_for_an_answer_that_an_idle_actor_owes(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Worker)
            nursery.start_soon(ref.call, Worker.later)
            await settled()
            nursery.cancel_scope.cancel()

    @pytest.mark.parametrize("hold", ["hang", "suspend"])
    async def test_for_actors_that_are_held(self, autojump_clock: MockClock, hold: str) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker)
            if hold == "hang":
                with hang(ref):
                    await ref.cast(Worker.do, "tea")
                    await settled()
            else:
                await debug.suspend(ref)
                await ref.cast(Worker.do, "tea")
                await settled()

    async def test_for_other_tasks_that_settle(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, log)
            await ref.cast(Worker.do, "tea", 3)
            await ref.cast(Worker.settle_beside)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(settled)
            assert log == ["tea"]


class Keyed(Actor):
    """An actor on demand."""

    def __init__(self, key: str, log: list[object]) -> None:
        self.log = log

    async def do(self, item: str, seconds: float = 0) -> None:
        await trio.sleep(seconds)
        self.log.append(item)


class TestItSees:
    async def test_the_workers_of_a_pool_and_not_who_waits_for_one(self, autojump_clock: MockClock) -> None:
        async with open_pool(Worker, size=1) as pool, trio.open_nursery() as nursery, pool.claim() as worker:
            nursery.start_soon(pool.call, Worker.do, "waits")
            await settled()
            await worker.cast(Worker.do, "tea", 3)
            await settled()
            assert trio.current_time() == 3

    async def test_actors_on_demand(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed, log)
        async with open_on_demand(keyed):
            await keyed.via("a").cast(Keyed.do, "tea", 3)
            await settled()
            assert log == ["tea"]
            with slow(keyed.via("a"), 2):
                await keyed.via("a").cast(Keyed.do, "milk")
                await settled()
            assert trio.current_time() == 5
            with hang(keyed.via("a")):
                await keyed.via("a").cast(Keyed.do, "sugar")
                await settled()
                assert log == ["tea", "milk"]
            await settled()
            assert log == ["tea", "milk", "sugar"]
            with pytest.raises(NotRegistered):
                hang(keyed.via("b")).__enter__()

    async def test_the_same_under_every_schedule(self) -> None:
        async def scenario() -> None:
            log: list[object] = []
            async with open_dynamic_supervisor() as supervisor:
                last = await supervisor.start_child(Worker, log)
                first = await supervisor.start_child(Worker, log, last)
                await first.cast(Worker.do, "tea", 1)
                await settled()
                assert log == ["tea", "tea!"]
                crash(last, OSError())
                await settled()
                assert not last.is_alive
                supervisor.stop()

        await trio.to_thread.run_sync(partial(explore, scenario, runs=30))


class TestItRaises:
    async def test_if_nothing_can_happen_any_more(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            other = await supervisor.start_child(Worker)
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.ask, other, trio.Event())
            await ref.cast(Worker.do, "tea")
            with pytest.raises(NotSettled) as caught:
                await settled()
            text = re.sub(r"#\d+", "#N", str(caught.value))
            text = re.sub(r"at \S+:\d+", "at FILE:N", text)
            assert text.splitlines() == [
                "2 actors can't become idle: no task can run, nothing is due before the deadline in 2 hours 47 minutes,"
                " and no thread works",
                "  Worker #N under dynamic supervisor: handles Worker.wait_for",
                "    at FILE:N, in wait_for: await event.wait()",
                "  Worker #N under dynamic supervisor: handles Worker.ask, 1 message in its mailbox, waits for "
                "<Worker #N>: call Worker.wait_for",
                "    at FILE:N, in ask: await other.call(Worker.wait_for, event)",
            ]
            assert [report.ref for report in caught.value.actors] == [other, ref]

    async def test_with_the_first_ones_of_many(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            for _ in range(12):
                ref = await supervisor.start_child(Worker)
                await ref.cast(Worker.wait_for, trio.Event())
            with pytest.raises(NotSettled) as caught:
                await settled()
            lines = str(caught.value).splitlines()
            assert lines[0].startswith("12 actors can't become idle")
            assert len(lines) == 1 + 2 * 10 + 1
            assert lines[-1] == "  and 2 more actors"

    async def test_with_actors_that_start_and_waits_of_background_tasks(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            hung = await supervisor.start_child(Worker)
            nursery.start_soon(supervisor.start_child, Starting, hung)
            with pytest.raises(NotSettled) as caught:
                await settled()
            assert re.search(
                r"Starting #\d+ under dynamic supervisor: starting, handles Starting.on_start, "
                r"waits for <Worker #\d+>: call Worker.wait_for\n",
                str(caught.value),
            )
            nursery.cancel_scope.cancel()

    async def test_with_a_function_that_does_not_take_its_next_message(self, autojump_clock: MockClock) -> None:
        async def take_one() -> None:
            await trioreg.receive()
            await trio.sleep_forever()

        async with supervised() as supervisor:
            ref = await supervisor.start_child(take_one)
            await ref.send("one")
            await settled()
            await ref.send("two")
            with pytest.raises(NotSettled, match=r"take_one #\d+ under dynamic supervisor: 1 message in its mailbox"):
                await settled()

    async def test_with_the_task_that_waits(self, autojump_clock: MockClock) -> None:
        class Beside(Actor):
            async def begin(self) -> None:
                self.start_soon(hung.call, Worker.wait_for, trio.Event())
                await trio.sleep_forever()

        async with supervised() as supervisor:
            hung = await supervisor.start_child(Worker)
            await (await supervisor.start_child(Beside)).cast(Beside.begin)
            with pytest.raises(NotSettled) as caught:
                await settled()
            text = re.sub(r"#\d+", "#N", str(caught.value))
            assert "waits for <Worker #N>: call Worker.wait_for (in Beside #N, Address.call)\n" in text

    async def test_with_a_child_that_waits_for_its_restart(self, autojump_clock: MockClock) -> None:
        class Failing(Actor):
            async def on_start(self) -> None:
                if next(lives):
                    raise OSError

        lives = iter(range(100))
        spec = ChildSpec(Failing, id="failing", backoff=Backoff(initial=100, maximum=100))
        async with supervising([spec], max_restarts=math.inf) as supervisor:
            crash(supervisor.which_child("failing").ref or missing(), OSError())
            with pytest.raises(NotSettled, match=r"  Failing under supervisor: restarting$"), trio.fail_after(50):
                await settled()

    async def test_before_a_deadline_of_its_own(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, trio.Event())
            with pytest.raises(NotSettled, match="nothing is due before the deadline in 60"), trio.fail_after(60):
                await settled()

    async def test_before_a_deadline_with_a_real_clock_too(self) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, trio.Event())
            with pytest.raises(NotSettled), trio.fail_after(200):
                await settled()

    async def test_after_timers_that_come_before_the_deadline(self, autojump_clock: MockClock) -> None:
        class Clock(Actor):
            async def on_start(self) -> None:
                self.send_every(1, "tick")

            async def on_message(self, message: object) -> None:
                pass

        async with supervised() as supervisor:
            await supervisor.start_child(Clock)
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, trio.Event())
            with pytest.raises(NotSettled), trio.fail_after(9.5):
                await settled()
            assert trio.current_time() == 9

    async def test_after_a_deadline_that_changes_nothing(self, autojump_clock: MockClock) -> None:
        class Shielded(Actor):
            async def wait(self) -> None:
                with trio.move_on_after(5), trio.CancelScope(shield=True):
                    await may_end.wait()

        may_end = trio.Event()
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Shielded)
            await ref.cast(Shielded.wait)
            try:
                with pytest.raises(NotSettled):
                    await settled()
                assert trio.current_time() == 5
            finally:
                may_end.set()

    @pytest.mark.parametrize("deadline", [math.inf, 60])
    async def test_in_each_task_that_waits(self, autojump_clock: MockClock, deadline: float) -> None:
        told: list[float] = []

        async def settle(deadline: float) -> None:
            with trio.CancelScope(deadline=deadline), pytest.raises(NotSettled):
                await settled()
            told.append(deadline)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, trio.Event())
            async with trio.open_nursery() as nursery:
                for each in (deadline, math.inf, math.inf):
                    nursery.start_soon(settle, each)
            assert sorted(told) == [deadline, math.inf, math.inf]
            assert trio.current_time() == 0

    async def test_not_while_an_actor_waits_for_the_network(self) -> None:
        class Reader(Actor):
            async def read(self, stream: trio.SocketStream) -> None:
                log.append(await stream.receive_some())

        log: list[object] = []
        ours, theirs = trio.socket.socketpair()
        with ours, theirs:
            async with supervised() as supervisor:
                ref = await supervisor.start_child(Reader)
                await ref.cast(Reader.read, trio.SocketStream(ours))
                sender = threading.Timer(0.05, os.write, [theirs.fileno(), b"tea"])
                sender.start()
                await settled()
                assert log == [b"tea"]

    @pytest.mark.parametrize("cushion", [0, 0.01])
    async def test_not_if_another_task_that_waits_goes_on(self, autojump_clock: MockClock, cushion: float) -> None:
        event = trio.Event()

        async def set_it() -> None:
            for _ in range(3):
                await wait_all_tasks_blocked(cushion)
            event.set()

        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, event)
            nursery.start_soon(set_it)
            await settled()
            assert event.is_set()

    async def test_if_another_task_has_waited_for_the_same_moment(self, autojump_clock: MockClock) -> None:
        async def rest() -> None:
            await wait_all_tasks_blocked()
            await trio.sleep_forever()

        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Worker)
            await ref.cast(Worker.wait_for, trio.Event())
            nursery.start_soon(rest)
            with pytest.raises(NotSettled):
                await settled()
            nursery.cancel_scope.cancel()

    async def test_in_a_handler_which_could_never_be_done(self) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Worker, restart="temporary")
            await ref.cast(Worker.settle)
            exit = await ref.wait()
            assert isinstance(exit.error, RuntimeError)
            assert re.search(r"<Worker #\d+> can't become idle while it waits in settled\(\)", str(exit.error))

    def test_outside_of_a_run(self) -> None:
        with pytest.raises(RuntimeError):
            settled().send(None)


async def test_it_is_a_checkpoint_and_leaves_no_instrument() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker)
        await ref.cast(Worker.wait_for, trio.Event())
        instruments: Any = trio.lowlevel.current_task()._runner.instruments
        with trio.CancelScope() as scope:
            scope.cancel()
            await settled()
        assert scope.cancelled_caught
        assert "task_scheduled" not in instruments
