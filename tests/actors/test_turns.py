"""An actor with many messages lets other tasks run after each batch."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.inside import BATCH, COMPACT, CRASHES_PER_TURN, REFUSED_PER_TURN
from support.secret_agent import SecretAgent
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Registry, Reply


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


# What an actor leaves unanswered at its end

MANY = 20 * REFUSED_PER_TURN


class Leaving(SecretAgent):
    """It ends with many messages unanswered, and keeps its own waiting until then."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[Reply[object]] = []

    async def wait_for_ever(self) -> None:
        await trio.sleep_forever()

    async def wait_for_an(self, event: trio.Event) -> None:
        await event.wait()

    def answer_later(self) -> Reply[object]:
        self.replies.append(Reply())
        return self.replies[-1]


class LeavingFull(Leaving):
    mailbox_size = 1


class LeavingFullOfTwo(Leaving):
    mailbox_size = 2


async def cast_many(ref: ActorRef[Leaving], nursery: trio.Nursery) -> None:
    for _ in range(MANY):
        ref.cast_nowait(SecretAgent.read)


def by_many(send: Callable[[ActorRef[Leaving]], Awaitable[object]]) -> Any:
    async def leave(ref: ActorRef[Leaving], nursery: trio.Nursery) -> None:
        async def one() -> None:
            with suppress(ActorExited):  # one message may fill the room that there is
                await send(ref)

        for _ in range(MANY):
            nursery.start_soon(one)

    return leave


@pytest.mark.parametrize(
    ("factory", "first", "leave"),
    [
        pytest.param(Leaving, Leaving.wait_for_ever, cast_many, id="casts"),
        pytest.param(Leaving, Leaving.wait_for_ever, by_many(lambda ref: ref.call(Leaving.read)), id="calls"),
        pytest.param(Leaving, Leaving.read, by_many(lambda ref: ref.call(Leaving.answer_later)), id="replies"),
        pytest.param(LeavingFull, Leaving.wait_for_ever, by_many(lambda ref: ref.cast(Leaving.read)), id="for room"),
    ],
)
@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_an_actor_that_ends_with_many_messages_lets_other_tasks_run_and_keeps_its_name(
    factory: type[Leaving],
    first: Callable[[Leaving], Any],
    leave: Callable[[ActorRef[Leaving], trio.Nursery], Awaitable[None]],
    end: str,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(factory, restart="temporary", name=names.via("leaving"))
        ref.cast_nowait(first)
        await wait_all_tasks_blocked()
        await leave(ref, nursery)
        await wait_all_tasks_blocked()
        getattr(ref, end)()
        turns = 0
        while ref.is_alive:
            assert names.whereis("leaving") is ref
            turns += 1
            if turns == 5:
                supervisor.stop()  # nothing cuts it off
            await trio.lowlevel.checkpoint()
        assert names.count() == 0
    assert turns >= MANY / REFUSED_PER_TURN
    lines = [record.getMessage() for record in caplog.records if "unhandled" in record.getMessage()]
    assert len(lines) == (1 if leave is cast_many or factory is LeavingFull else 0)
    if leave is cast_many:
        assert f"with {MANY} unhandled messages" in lines[0]


@pytest.mark.parametrize("then", ["goes on", "is done", "is killed"])
async def test_an_actor_that_is_asked_to_stop_refuses_many_that_wait_for_room_a_few_at_a_time(
    then: str, autojump_clock: MockClock
) -> None:
    may_go_on = trio.Event()
    refused: list[int] = []
    turn = 0

    async def cast() -> None:
        with pytest.raises(ActorExited):
            await ref.cast(Leaving.read)
        refused.append(turn)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(LeavingFullOfTwo, restart="temporary")
        ref.cast_nowait(Leaving.wait_for_an, may_go_on)
        await wait_all_tasks_blocked()
        for _ in range(2):
            ref.cast_nowait(Leaving.read)
        for _ in range(MANY):
            nursery.start_soon(cast)
        await wait_all_tasks_blocked()
        nursery.start_soon(ref.stop)
        while not refused:
            turn += 1
            await trio.lowlevel.checkpoint()
        if then == "is done":
            may_go_on.set()  # from now on there is room, and nobody gets it
        elif then == "is killed":
            ref.kill()
        while len(refused) < MANY:
            turn += 1
            await trio.lowlevel.checkpoint()
        ref.kill()
    # Trio takes the tasks of a turn in a random order, so two turns may look like one. A killed actor and its
    # supervisor may refuse at the same time.
    assert max(map(refused.count, refused)) <= 4 * REFUSED_PER_TURN


# Many crashes at once


@pytest.mark.parametrize("restart", ["temporary", "permanent"])
async def test_when_many_actors_crash_at_once_other_tasks_run_while_a_few_at_a_time_end(
    restart: Any, autojump_clock: MockClock
) -> None:
    names: Registry[int, None] = Registry("names")
    actors = 10 * CRASHES_PER_TURN
    ended: list[int] = []

    async def note_end(ref: ActorRef[SecretAgent]) -> None:
        with pytest.raises(ActorExited):
            await ref.call(SecretAgent.abang)
        await ref.wait()
        ended.append(turn)

    turn = 0
    async with supervised(max_restarts=math.inf) as supervisor, trio.open_nursery() as nursery:
        refs = [
            await supervisor.start_child(SecretAgent, name=names.via(number), restart=restart)
            for number in range(actors)
        ]
        for ref in refs:
            nursery.start_soon(note_end, ref)
        while len(ended) < actors:
            turn += 1
            await trio.lowlevel.checkpoint()
        assert names.count() == (actors if restart == "permanent" else 0)
    # Trio takes the tasks of a turn in a random order, so two turns may look like one.
    assert max(map(ended.count, ended)) <= 2 * CRASHES_PER_TURN
    assert len(set(ended)) >= 5


async def test_a_crash_that_waits_for_its_turn_can_be_killed_and_is_waited_for(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(SecretAgent, restart="temporary") for _ in range(5 * CRASHES_PER_TURN)]
        for ref in refs:
            ref.cast_nowait(SecretAgent.bang)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()  # now all have crashed
        assert any(ref.is_alive for ref in refs)
        for ref in refs:
            ref.kill()
        supervisor.stop()
    assert {ref.exit.reason for ref in refs if ref.exit is not None} == {"crashed"}
