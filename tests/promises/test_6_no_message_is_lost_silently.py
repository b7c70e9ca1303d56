"""Promise 6, no message is lost silently.

Each one is handled or withdrawn, or its sender learns of the end. What is left in the mailbox of an actor that ends is
reported.

The actor ends after the first step of any task, after the second one, and so on. An instrument counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import trio
from support.errors import Bang
from support.inside import BATCH
from support.steps import AtStep
from support.supervisors import supervised
from trio.lowlevel import add_instrument, remove_instrument
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Instrument,
    Message,
    OnDemand,
    PubSub,
    Registry,
    open_on_demand,
    open_pool,
)

STEPS = range(0, 40, 3)
SENDERS = 4


class Told(Instrument):
    """Where each message has gone: handled, failed, left."""

    def __init__(self) -> None:
        self.ends: dict[Message, list[str]] = {}

    def message_sent(self, message: Message, /) -> None:
        self.ends[message] = []

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.ends[message].append("handled")

    def message_left(self, message: Message, why: str, /) -> None:
        self.ends[message].append(why)


@contextmanager
def accounted_for() -> Generator[Told]:
    """Each message that is sent in the block has exactly one end."""
    told = Told()
    trioreg.add_instrument(told)
    try:
        yield told
    finally:
        trioreg.remove_instrument(told)
    assert told.ends
    assert Counter(len(ends) for ends in told.ends.values()) == {1: len(told.ends)}, told.ends


class Clerk(Actor):
    noted: ClassVar[list[object]] = []

    def __init__(self, key: str = "") -> None:
        self.key = key

    def finish(self) -> None:
        self.stop()

    def bang(self) -> None:
        raise Bang

    def ignore(self, what: object) -> None:
        pass

    async def note_slowly(self, what: object) -> object:
        self.noted.append(what)
        await trio.lowlevel.checkpoint()
        return what


END: dict[str, Callable[[ActorRef[Clerk]], object]] = {
    "kill": lambda ref: ref.kill(),
    "cancel": lambda ref: ref.cancel(),
    "crash": lambda ref: ref.cast_nowait(Clerk.bang) if ref.is_alive else None,
}


async def ask(address: Any, ends: list[str]) -> None:
    """Calls, one after the other. Each is answered, or the caller learns that the actor has ended."""
    for number in range(3):
        try:
            assert await address.call(Clerk.note_slowly, number) == number
            ends.append("answered")
        except (ActorExited, trioreg.NotRegistered, trioreg.NotRunning):
            ends.append("told")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", END)
async def test_each_message_to_an_actor_that_ends_at_any_step_has_one_end(
    how: str, step: int, autojump_clock: MockClock
) -> None:
    ends: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, restart="temporary")
        with accounted_for():
            instrument = AtStep(step, lambda: END[how](ref))
            add_instrument(instrument)
            async with trio.open_nursery() as nursery:
                for _ in range(SENDERS):
                    nursery.start_soon(ask, ref, ends)
                    if ref.is_alive:
                        ref.cast_nowait(Clerk.note_slowly, "cast")
                        ref.send_nowait("message")
            remove_instrument(instrument)
            ref.kill()
            await ref.wait()
    assert len(ends) == 3 * SENDERS


class Narrow(Clerk):
    mailbox_size = 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("cls", [Clerk, Narrow])
async def test_each_message_whose_sender_is_cancelled_at_any_step_is_handled_or_withdrawn(
    cls: type[Clerk], step: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a full mailbox, the message is in line for room, or not yet in the mailbox at all."""
    noted: list[object] = []
    monkeypatch.setattr(Clerk, "noted", noted)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(cls, restart="temporary")
        with accounted_for() as told:
            ref.cast_nowait(Clerk.note_slowly, "cast")
            async with trio.open_nursery() as nursery:
                instrument = AtStep(step, nursery.cancel_scope.cancel)
                add_instrument(instrument)
                for number in range(SENDERS):
                    nursery.start_soon(ref.call, Clerk.note_slowly, f"call {number}")
                    nursery.start_soon(ref.cast, Clerk.note_slowly, "cast")
            remove_instrument(instrument)
            begun = len(noted)
            await wait_all_tasks_blocked()
        assert set(noted[begun:]) <= {"cast"}  # no call begins whose caller is gone
        assert ref.statistics().queued == 0
        assert {each for ends in told.ends.values() for each in ends} <= {"handled", "withdrawn"}
        assert ref.is_alive


@pytest.mark.parametrize("step", STEPS)
async def test_each_message_to_a_name_whose_actor_is_restarted_at_any_step_has_one_end(
    step: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    ends: list[str] = []
    async with supervised() as supervisor:
        with accounted_for():
            ref = await supervisor.start_child(Clerk, name=names.via("clerk"))
            instrument = AtStep(step, ref.kill)
            add_instrument(instrument)
            async with trio.open_nursery() as nursery:
                for _ in range(SENDERS):
                    nursery.start_soon(ask, names.via("clerk", wait=True), ends)
            remove_instrument(instrument)
            await wait_all_tasks_blocked()
    assert len(ends) == 3 * SENDERS


@pytest.mark.parametrize("step", STEPS)
async def test_each_message_to_an_actor_on_demand_is_answered_though_its_life_retires_at_any_step(
    step: int, autojump_clock: MockClock
) -> None:
    clerks: OnDemand[str, Clerk] = OnDemand("clerks", Clerk)
    ends: list[str] = []

    def retire() -> None:
        ref = clerks.whereis("key")
        if ref is not None and ref.state == "running":
            ref.cast_nowait(Clerk.finish)

    async with open_on_demand(clerks) as supervisor:
        with accounted_for():
            instrument = AtStep(step, retire)
            add_instrument(instrument)
            async with trio.open_nursery() as nursery:
                for _ in range(SENDERS):
                    nursery.start_soon(ask, clerks.via("key"), ends)
            remove_instrument(instrument)
            await wait_all_tasks_blocked()
        supervisor.stop()
    assert ends == ["answered"] * 3 * SENDERS


@pytest.mark.parametrize("step", STEPS)
async def test_each_call_of_a_pool_is_answered_or_its_caller_learns_that_the_worker_has_ended(
    step: int, autojump_clock: MockClock
) -> None:
    ends: list[str] = []
    async with open_pool(Clerk, size=2) as pool:
        with accounted_for():
            instrument = AtStep(step, pool.workers()[0].kill)
            add_instrument(instrument)
            async with trio.open_nursery() as nursery:
                for _ in range(SENDERS):
                    nursery.start_soon(ask, pool, ends)
            remove_instrument(instrument)
            await wait_all_tasks_blocked()
    assert len(ends) == 3 * SENDERS
    assert ends.count("told") <= 1


@pytest.mark.parametrize("step", STEPS)
async def test_each_publication_to_an_actor_that_ends_at_any_step_has_one_end(
    step: int, autojump_clock: MockClock
) -> None:
    topics: PubSub[str, str] = PubSub("topics")
    reached = 0
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Clerk, restart="temporary") for _ in range(3)]
        for ref in refs:
            topics.join("topic", Clerk.note_slowly, owner=ref)
        with accounted_for() as told:
            instrument = AtStep(step, refs[1].kill)
            add_instrument(instrument)
            for number in range(6):
                reached += await topics.publish("topic", f"message {number}")
                await trio.lowlevel.checkpoint()
            remove_instrument(instrument)
            for ref in refs:
                ref.kill()
                await ref.wait()
        assert len(told.ends) == reached


@pytest.mark.parametrize("step", STEPS)
async def test_a_supervisor_that_shuts_down_at_any_step_leaves_no_caller_without_an_answer(
    step: int, autojump_clock: MockClock
) -> None:
    ends: list[str] = []
    async with supervised() as outer:
        inner = await outer.start_child(trioreg.DynamicSupervisor, restart="temporary")
        refs = [await inner.call(trioreg.DynamicSupervisor.start_child, trioreg.ChildSpec(Clerk)) for _ in range(2)]
        with accounted_for():
            instrument = AtStep(step, inner.cancel)
            add_instrument(instrument)
            async with trio.open_nursery() as nursery:
                for number in range(SENDERS):
                    nursery.start_soon(ask, refs[number % 2], ends)
            remove_instrument(instrument)
            inner.cancel()
            await inner.wait()
    assert len(ends) == 3 * SENDERS


async def test_an_actor_that_lets_other_tasks_run_on_the_way_handles_every_message(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk)
        with accounted_for() as told:
            for number in range(2 * BATCH):
                ref.cast_nowait(Clerk.ignore, number)
            await wait_all_tasks_blocked()
        assert len(told.ends) == 2 * BATCH


async def test_what_is_left_of_an_actor_that_ends_is_reported_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Clerk, restart="temporary")
        for number in range(3):
            ref.cast_nowait(Clerk.note_slowly, number)
        ref.kill()
        await ref.wait()
    assert [record for record in caplog.records if "3 unhandled messages" in record.getMessage()]
