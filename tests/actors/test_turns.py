"""An actor with many messages lets other tasks run after each batch."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
from support.inside import BATCH, COMPACT
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef


class Endless(Actor):
    """It sends itself the next message, for a long time."""

    def __init__(self) -> None:
        self.left = 10 * BATCH

    def again(self, send: Callable[[ActorRef[Endless]], None]) -> None:
        self.left -= 1
        if self.left:
            send(self.ref)

    def by_cast(self) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_cast))

    def by_cast_with_a_keyword(self, *, keyword: int = 0) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_cast_with_a_keyword, keyword=1))

    async def by_async_cast(self) -> None:
        self.again(lambda ref: ref.cast_nowait(Endless.by_async_cast))

    def by_coroutine_cast(self) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            self.again(lambda ref: ref.cast_nowait(Endless.by_coroutine_cast))

        return rest()

    async def on_message(self, message: object) -> None:
        self.again(lambda ref: ref.send_nowait(message))


FIRST: dict[str, Callable[[ActorRef[Endless]], None]] = {
    "cast": lambda ref: ref.cast_nowait(Endless.by_cast),
    "cast with a keyword": lambda ref: ref.cast_nowait(Endless.by_cast_with_a_keyword),
    "async cast": lambda ref: ref.cast_nowait(Endless.by_async_cast),
    "cast around an async one": lambda ref: ref.cast_nowait(Endless.by_coroutine_cast),
    "message": lambda ref: ref.send_nowait("message"),
}


@pytest.mark.parametrize("first", FIRST)
async def test_an_actor_that_is_never_done_lets_other_tasks_run(first: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Endless, restart="temporary")
        await wait_all_tasks_blocked()
        FIRST[first](ref)
        turns = 0
        while ref.statistics().handled < 10 * BATCH:
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns >= 10


class Wrapped(Actor):
    """Its handler returns a coroutine, which goes on in the actor's own task and counts for the batch too."""

    def note(self) -> Coroutine[Any, Any, None]:
        async def rest() -> None:
            pass

        return rest()


async def test_an_actor_with_many_coroutine_handlers_lets_other_tasks_run(
    autojump_clock: MockClock,
) -> None:
    most = 0

    class Meter(trio.abc.Instrument):
        handled = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.handled = ref.statistics().handled

        def after_task_step(self, task: trio.lowlevel.Task) -> None:
            nonlocal most
            most = max(most, ref.statistics().handled - self.handled)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Wrapped)
        await wait_all_tasks_blocked()
        for _ in range(4 * BATCH):
            nursery.start_soon(ref.call, Wrapped.note)
        meter = Meter()
        trio.lowlevel.add_instrument(meter)
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(meter)
        assert ref.statistics().handled == 4 * BATCH
        assert most <= BATCH + 1


# After a batch the actor lets other tasks run, and all the calls in its mailbox may be withdrawn in that time.


@pytest.mark.parametrize("notes", [BATCH - 1, BATCH, BATCH + 1])
async def test_calls_withdrawn_between_two_batches_do_not_crash_the_actor(
    notes: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await wait_all_tasks_blocked()
        event = trio.Event()
        ref.cast_nowait(SecretAgent.wait_for, event)
        for _ in range(notes):
            ref.cast_nowait(SecretAgent.note, "a note")
        await wait_all_tasks_blocked()
        for _ in range(COMPACT + 1):
            nursery.start_soon(ref.call, SecretAgent.read)
        await wait_all_tasks_blocked()
        event.set()
        while ref.statistics().handled < notes:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            assert ref.is_alive
            assert len(await ref.call(SecretAgent.read)) == notes
