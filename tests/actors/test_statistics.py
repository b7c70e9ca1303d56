"""`ActorRef.statistics`: what an actor is busy with, and what has waited."""

from __future__ import annotations

import pytest
import trio
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorStatistics, Reply


class Owing(Actor):
    def __init__(self) -> None:
        self.replies: list[Reply[str]] = []

    def owe(self) -> Reply[str]:
        reply = Reply[str]()
        self.replies.append(reply)
        return reply

    def forget(self) -> None:
        self.replies.clear()

    async def wait(self, event: trio.Event) -> None:
        await event.wait()


async def test_statistics_count_queued_handled_and_open_messages(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        await trio.sleep(7)
        ref = await supervisor.start_child(Owing)
        now = trio.current_time()
        event = trio.Event()

        async def call_owe() -> None:
            await ref.call(Owing.owe)

        async def call_wait() -> None:
            await ref.call(Owing.wait, event)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_owe)
            await wait_all_tasks_blocked()
            nursery.start_soon(call_wait)
            await wait_all_tasks_blocked()
            for _ in range(3):
                ref.cast_nowait(Owing.forget)
            assert ref.statistics() == ActorStatistics(
                queued=3,
                peak=3,
                handled=1,
                calls_in_flight=2,
                started_at=now,
                restarts=0,
                mailbox_size=None,
                handling="Owing.wait",
                handling_since=now,
            )
            nursery.cancel_scope.cancel()
        event.set()
        await wait_all_tasks_blocked()
        after = ref.statistics()
        assert (after.queued, after.peak, after.handled, after.calls_in_flight) == (0, 3, 5, 0)


async def test_statistics_count_restarts(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Owing)
        for restarts in range(3):
            assert ref.statistics().restarts == restarts
            ref.kill()
            await ref.wait()
            (child,) = supervisor.which_children()
            assert child.ref is not None
            ref = child.ref


async def test_statistics_of_an_ended_actor_are_refused() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Owing, restart="temporary")
        await ref.stop()
        with pytest.raises(ActorExited):
            ref.statistics()


async def test_a_call_handled_in_the_callers_turn_is_in_flight_meanwhile(autojump_clock: MockClock) -> None:
    class Curious(Actor):
        def look(self) -> int:
            return self.ref.statistics().calls_in_flight

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Curious)
        await wait_all_tasks_blocked()
        assert await ref.call(Curious.look) == 1


async def test_the_peak_counts_withdrawn_calls(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        ref.cast_nowait(SecretAgent.wait_for, trio.Event())
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(ref.call, SecretAgent.read)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        statistics = ref.statistics()
        assert (statistics.queued, statistics.peak) == (0, 5)
