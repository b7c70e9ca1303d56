"""`Agent`, `Actor.send_after`, `Actor.send_every`, `ActorRef.statistics`, and replies that are thrown away."""

from __future__ import annotations

import gc
import logging
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorStatistics, Agent, NoReply, Reply, Timer


async def test_an_agent_gets_and_updates_its_value() -> None:
    async with supervised() as supervisor:
        counter = await supervisor.start_child(Agent[int], lambda: 1)
        await counter.cast(Agent[int].update, lambda n: n + 1)
        assert await counter.call(Agent[int].get, lambda n: n * 10) == 20
        assert await counter.call(Agent[int].get_and_update, lambda n: (f"was {n}", n + 5)) == "was 2"
        assert await counter.call(Agent[int].get, lambda n: n) == 7


async def test_each_life_of_an_agent_begins_with_a_new_value() -> None:
    agents: trioreg.Registry[str, None] = trioreg.Registry("agents")
    async with supervised() as supervisor:
        via = agents.via("list")
        first = await supervisor.start_child(Agent[list[int]], list, name=via)
        await via.call(Agent[list[int]].get, lambda items: items.append(1))
        first.kill()
        await first.wait()
        assert await via.call(Agent[list[int]].get, len) == 0


async def test_an_agent_needs_a_way_to_make_its_value() -> None:
    async with supervised() as supervisor:
        wrong: Any = 7
        with pytest.raises(TypeError, match=r"initial must be callable.*7"):
            await supervisor.start_child(Agent[int], wrong)


class Clock(Actor):
    def __init__(self) -> None:
        self.heard: list[tuple[float, object]] = []
        self.began = trio.current_time()
        self.timer: Timer | None = None

    async def on_message(self, message: Any) -> None:
        self.heard.append((trio.current_time() - self.began, message))

    def after(self, seconds: float, message: object) -> None:
        self.timer = self.send_after(seconds, message)

    def every(self, seconds: float, message: object) -> None:
        self.timer = self.send_every(seconds, message)

    def cancel_timer(self) -> None:
        assert self.timer is not None
        self.timer.cancel()

    def read(self) -> list[tuple[float, object]]:
        return self.heard


async def test_send_after_sends_once_when_it_is_time(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, "tick")
        await trio.sleep(20)
        assert await clock.call(Clock.read) == [(5, "tick")]


async def test_send_every_sends_until_it_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.every, 3, "tick")
        await trio.sleep(10)
        await clock.call(Clock.cancel_timer)
        await trio.sleep(10)
        assert await clock.call(Clock.read) == [(3, "tick"), (6, "tick"), (9, "tick")]


@pytest.mark.parametrize("mailbox_size", [None, 1])
async def test_messages_that_repeat_do_not_pile_up_while_their_actor_is_busy(
    mailbox_size: int | None, autojump_clock: MockClock
) -> None:
    class Busy(Clock):
        async def work(self, seconds: float) -> None:
            await trio.sleep(seconds)

    Busy.mailbox_size = mailbox_size
    async with supervised() as supervisor:
        busy = await supervisor.start_child(Busy)
        await busy.call(Clock.every, 3, "tick")
        await busy.call(Busy.work, 10)
        await busy.call(Busy.work, 1)
        await trio.sleep(2)
        heard = await busy.call(Clock.read)
        assert [time for time, _ in heard] == [10, 12]


async def test_messages_that_repeat_do_not_pile_up_while_a_function_does_not_receive(autojump_clock: MockClock) -> None:
    heard: list[float] = []

    async def function() -> None:
        began = trio.current_time()
        trioreg.send_every(3, "tick")
        await trio.sleep(10)
        for _ in range(2):
            assert await trioreg.receive() == "tick"
            heard.append(trio.current_time() - began)

    async with supervised() as supervisor:
        await (await supervisor.start_child(function)).wait()
    assert heard == [10, 12]


async def test_a_cancelled_timer_sends_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock)
        await clock.call(Clock.after, 5, "tick")
        await clock.call(Clock.cancel_timer)
        await trio.sleep(20)
        assert await clock.call(Clock.read) == []


async def test_a_timer_does_not_outlive_its_actor(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        clock = await supervisor.start_child(Clock, restart="temporary")
        await clock.call(Clock.after, 1000, "tick")
        began = trio.current_time()
        assert (await clock.stop()).reason == "normal"
        assert trio.current_time() == began


async def test_a_timer_that_is_due_while_its_actor_stops_does_not_crash_it(autojump_clock: MockClock) -> None:
    class Busy(Clock):
        async def work(self) -> None:
            self.after(1, "tick")
            self.stop()
            await trio.sleep(3)

    async with supervised() as supervisor:
        busy = await supervisor.start_child(Busy, restart="temporary")
        await busy.cast(Busy.work)
        assert (await busy.wait()).reason == "normal"


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), ("1", TypeError), (True, TypeError)])
async def test_a_wrong_time_is_refused(seconds: Any, error: type[Exception]) -> None:
    class Wrong(Clock):
        @trioreg.raises(TypeError, ValueError)
        def wrong(self) -> None:
            self.send_after(seconds, "tick")

    async with supervised() as supervisor:
        clock = await supervisor.start_child(Wrong)
        with pytest.raises(error, match="seconds"):
            await clock.call(Wrong.wrong)
        assert clock.is_alive


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


async def test_the_caller_learns_that_its_reply_was_thrown_away() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Owing)

        async def call() -> None:
            with pytest.raises(NoReply) as caught:
                await ref.call(Owing.owe)
            assert caught.value.ref is ref

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            await ref.call(Owing.forget)
            gc.collect()
        assert ref.is_alive


async def test_statistics_tell_what_an_actor_is_busy_with(autojump_clock: MockClock) -> None:
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
                queued=3, peak=3, handled=1, calls_in_flight=2, started_at=now, restarts=0
            )
            nursery.cancel_scope.cancel()
        event.set()
        await wait_all_tasks_blocked()
        after = ref.statistics()
        assert (after.queued, after.peak, after.handled, after.calls_in_flight) == (0, 3, 5, 0)


async def test_statistics_tell_how_often_an_actor_was_restarted(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clock)
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


class Frail(Actor):
    def __init__(self) -> None:
        self.secret = "007"

    def bang(self, text: str) -> None:
        raise ZeroDivisionError(text)


@pytest.mark.parametrize("is_queued", [False, True])
async def test_a_crash_report_tells_the_message_and_not_the_state(
    is_queued: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Frail, restart="temporary")
        if is_queued:
            ref.cast_nowait(Frail.bang, "boom")
        else:
            with pytest.raises(ActorExited):
                await ref.call(Frail.bang, "boom")
        await ref.wait()
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "in Frail.bang('boom')" in record.getMessage()
    assert repr(ref) in record.getMessage()
    assert "007" not in record.getMessage()
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ZeroDivisionError)


async def test_a_crash_report_tells_the_state_where_it_was_asked_to(caplog: pytest.LogCaptureFixture) -> None:
    class Open(Frail):
        log_state = True

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Open, restart="temporary")
        ref.cast_nowait(Frail.bang, "boom")
        await ref.wait()
    assert "'secret': '007'" in caplog.text
