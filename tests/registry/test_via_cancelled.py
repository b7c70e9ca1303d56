"""Messages by name, cancelled at each checkpoint and after each step of any task: handled once, or not sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.inside import assert_nothing_left
from support.lobby import Lobby, SmallLobby, assert_at_rest, ways_to_note
from support.spy import Spy
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import ActorRef, Exit, Registry


@pytest.fixture
def names() -> Registry[str, Any]:
    return Registry("names")


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("operation", ["call", "async call", "refused call", "cast", "send"])
async def test_a_message_by_name_cancelled_at_any_step_is_handled_once_or_not_sent(
    operation: str, is_busy: bool, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        via = names.via("James Bond")

        async def refused() -> None:
            with pytest.raises(KeyError, match="mine"):
                await via.call(Spy.refuse, "mine")

        async def call_async() -> None:
            await via.call(Spy.anote, "mine")

        operations: dict[str, Callable[[], Awaitable[object]]] = {
            "call": lambda: via.call(Spy.note, "mine"),
            "async call": call_async,
            "refused call": refused,
            "cast": lambda: via.cast(Spy.note, "mine"),
            "send": lambda: via.send("mine"),
        }
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Spy, log, name=via)
            await wait_all_tasks_blocked()
            if is_busy:
                ref.cast_nowait(Spy.anote, "busy")
            completed = await cancelling.run(operations[operation])
            await wait_all_tasks_blocked()
            assert log.count("mine") in ([1] if completed else [0, 1] if "call" in operation else [0])
            assert ref.statistics().queued == ref.statistics().calls_in_flight == 0
            assert await via.call(Spy.note, "next") == "next"
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("operation", ["wait", "stop"])
async def test_a_wait_or_stop_by_name_cancelled_at_any_step_leaves_no_waiting_task(
    operation: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Spy, log, name=names.via("James Bond"), restart="temporary")
            if operation == "wait":
                ref.cast_nowait(Spy.anote, "busy")
                nursery.start_soon(ref.stop)
            completed = await cancelling.run(getattr(names.via("James Bond"), operation))
            assert not completed or cancelling.value is ref.exit
            if operation == "stop" and cancelling.n == 0:
                assert ref.is_alive
                ref.cancel()
            await ref.wait()
            assert log.count("stopped") == 1
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("cls", [Lobby, SmallLobby])
@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_a_message_that_waits_for_a_name_cancelled_at_any_step_is_handled_once_or_not_sent(
    operation: str, cls: type[Lobby], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        via = names.via("lobby", wait=True)
        sends = ways_to_note(via, "mine")
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def start_later() -> None:
                await trio.sleep(1)
                await supervisor.start_child(cls, name=names.via("lobby"))

            nursery.start_soon(start_later)
            completed = await cancelling.run(sends[operation])
            await trio.sleep(2)
            ref = cast("ActorRef[Lobby]", names.whereis("lobby"))
            assert (await ref.call(Lobby.itself)).notes in (
                [["mine"]] if completed else [[], ["mine"]] if operation == "call" else [[]]
            )
            assert_at_rest(ref)

    assert await sweep_steps(attempt) > 1


@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_a_message_that_waits_for_the_next_life_cancelled_at_any_step_is_handled_once_or_not_sent(
    operation: str, autojump_clock: MockClock
) -> None:
    class Slow(Lobby):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)

    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        via = names.via("lobby", wait=True)
        sends = ways_to_note(via, "mine")
        async with supervised() as supervisor:
            first = await supervisor.start_child(Slow, name=names.via("lobby"))
            await wait_all_tasks_blocked()
            first.cancel()
            completed = await cancelling.run(sends[operation])
            await trio.sleep(2)
            ref = cast("ActorRef[Lobby]", names.whereis("lobby"))
            assert ref is not first
            assert (await ref.call(Lobby.itself)).notes in (
                [["mine"]] if completed else [[], ["mine"]] if operation == "call" else [[]]
            )
            assert_at_rest(ref)

    assert await sweep_steps(attempt) > 1
