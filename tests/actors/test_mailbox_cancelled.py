"""Operations on a mailbox, cancelled at each checkpoint and after each step of any task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.errors import Bang
from support.lobby import Lobby, SmallLobby, assert_at_rest, open_later, ways_to_note
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorExited, ActorRef, NoReply, Registry, Reply


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("join", [Lobby.join, Lobby.ajoin])
async def test_a_call_with_a_deferred_reply_cancelled_at_any_step_leaves_nothing_in_flight(
    join: Callable[[Lobby], Reply[str]], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            lobby = await ref.call(Lobby.itself)
            if is_busy:
                ref.cast_nowait(Lobby.block)

            async def begin_later() -> None:
                await trio.sleep(1)
                lobby.gate.set()
                await trio.sleep(1)
                await ref.call(Lobby.begin)

            nursery.start_soon(begin_later)
            completed = await cancelling.run(lambda: ref.call(join))
            assert not completed or cancelling.value == "welcome"
            assert not completed or lobby.notes == ["join"]
            await trio.sleep(3)
            assert lobby.notes in ([], ["join"])
            assert_at_rest(ref)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize(
    ("method", "notes"),
    [(Lobby.mixed, ["mixed", "rest"]), (Lobby.answered, ["answered"]), (Lobby.forget, ["forget"])],
    ids=["mixed", "answered", "forget"],
)
async def test_a_call_answered_in_another_way_cancelled_at_any_step_is_handled_once_or_withdrawn(
    method: Callable[[Lobby], Any], notes: list[str], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def call() -> str | None:
            try:
                return cast("str", await ref.call(method))
            except NoReply:
                return None

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            lobby = await ref.call(Lobby.itself)
            if is_busy:
                ref.cast_nowait(Lobby.block)
                lobby.gate.set()
            completed = await cancelling.run(call)
            assert not completed or cancelling.value == (None if method is Lobby.forget else "welcome")
            await wait_all_tasks_blocked()
            assert lobby.notes in ([notes] if completed else [[], notes])
            assert_at_rest(ref)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("method", [Lobby.bang, Lobby.abang])
async def test_a_crashing_call_cancelled_at_any_step_crashes_the_actor_once_or_not_at_all(
    method: Callable[[Lobby], Any], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        lives: list[ActorRef[Lobby]] = []

        class Counted(Lobby):
            def __init__(self) -> None:
                super().__init__()
                lives.append(self.ref)

        async def call() -> None:
            with pytest.raises(ActorExited) as caught:
                await ref.call(method)
            assert isinstance(caught.value.__cause__, Bang)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Counted)
            await wait_all_tasks_blocked()
            if is_busy:
                (await ref.call(Lobby.itself)).gate.set()
                ref.cast_nowait(Lobby.block)
            completed = await cancelling.run(call)
            await wait_all_tasks_blocked()
            assert len(lives) in ([2] if completed else [1, 2])
            assert ref.is_alive == (len(lives) == 1)
            assert_at_rest(lives[-1])

    await sweep_steps(attempt)


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_a_message_that_waits_for_room_in_an_ending_actor_and_is_cancelled_at_any_step_was_not_sent(
    operation: str, end: str, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(SmallLobby, restart="temporary")
            lobby = await ref.call(Lobby.itself)
            ref.cast_nowait(Lobby.block)
            await wait_all_tasks_blocked()
            ref.cast_nowait(Lobby.note, "first")
            sends = ways_to_note(ref, "mine")

            async def end_it() -> None:
                await trio.sleep(1)
                if end == "stop":
                    nursery.start_soon(ref.stop)
                    await wait_all_tasks_blocked()
                    lobby.gate.set()
                else:
                    getattr(ref, end)()

            async def send() -> None:
                with pytest.raises(ActorExited):
                    await sends[operation]()

            nursery.start_soon(end_it)
            await cancelling.run(send)
            await ref.wait()
            assert lobby.notes == (["first"] if end == "stop" else [])

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_by_name", [False, True])
async def test_a_stop_behind_a_full_mailbox_cancelled_at_any_step_still_stops_the_actor(
    is_by_name: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SmallLobby, restart="temporary", name=names.via("lobby"))
            lobby = await ref.call(Lobby.itself)
            ref.cast_nowait(Lobby.block)
            await wait_all_tasks_blocked()
            ref.cast_nowait(Lobby.note, "first")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(open_later, lobby)
                completed = await cancelling.run(names.via("lobby").stop if is_by_name else ref.stop)
                assert not completed or cancelling.value is ref.exit
                exit = await ref.wait()
            assert exit.reason == "normal"
            assert lobby.notes == ["first"]
            assert names.count() == 0

    await sweep_steps(attempt)


async def test_a_wait_for_a_crashing_actor_cancelled_at_any_step_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Lobby, restart="temporary", name=names.via("lobby"))
            lobby = await ref.call(Lobby.itself)
            ref.cast_nowait(Lobby.block)
            ref.cast_nowait(Lobby.bang)
            await wait_all_tasks_blocked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(open_later, lobby)
                completed = await cancelling.run(names.via("lobby").wait)
                assert not completed or cancelling.value is ref.exit
                assert (await ref.wait()).reason == "crashed"

    await sweep_steps(attempt)
