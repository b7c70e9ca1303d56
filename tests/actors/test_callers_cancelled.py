"""Senders and callers that are cancelled, at each of their checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import Address, Registry


async def test_a_waiting_call_is_withdrawn_when_its_caller_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        ref.cast_nowait(SecretAgent.note, "before")
        with trio.move_on_after(1):
            await ref.call(SecretAgent.note, "withdrawn")
        ref.cast_nowait(SecretAgent.note, "after")
        busy.set()
        assert await ref.call(SecretAgent.read) == ["before", "after"]


async def test_a_running_handler_goes_on_when_its_caller_is_cancelled(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)

        class Slow(SecretAgent):
            async def slow(self) -> None:
                await trio.sleep(2)
                self.notes.append("done")

        slow = await supervisor.start_child(Slow)
        with trio.move_on_after(1) as scope:
            await slow.call(Slow.slow)
        assert scope.cancelled_caught
        assert await slow.call(SecretAgent.read) == ["done"]
        assert ref.is_alive


async def test_of_many_calls_only_the_cancelled_ones_are_withdrawn(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        busy = trio.Event()
        await ref.cast(SecretAgent.wait_for, busy)
        scopes: list[trio.CancelScope] = []

        async def call(number: int) -> None:
            with scopes[number]:
                await ref.call(SecretAgent.note, number)

        async with trio.open_nursery() as nursery:
            for number in range(200):
                scopes.append(trio.CancelScope())
                nursery.start_soon(call, number)
                await wait_all_tasks_blocked()
            for number, scope in enumerate(scopes):
                if number % 3:
                    scope.cancel()
            await wait_all_tasks_blocked()
            busy.set()
        assert await ref.call(SecretAgent.read) == [number for number in range(200) if number % 3 == 0]


@pytest.mark.parametrize("method", [SecretAgent.note, SecretAgent.anote])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_a_call_cancelled_at_any_checkpoint_is_handled_once_or_withdrawn(
    method: Any, is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent)
            await idle(ref)
            if is_busy:
                ref.cast_nowait(SecretAgent.anote, "busy")
            completed = await cancelling.run(lambda: ref.call(method, "called"))
            await wait_all_tasks_blocked()
            notes = await ref.call(SecretAgent.read)
            assert notes.count("called") <= 1
            assert not completed or notes.count("called") == 1
            await ref.call(SecretAgent.note, "next")
            assert (await ref.call(SecretAgent.read))[-1] == "next"
            assert ref.statistics().queued == 0

    await sweep(attempt)


@pytest.mark.parametrize("operation", ["cast", "send"])
async def test_a_cast_or_send_cancelled_at_any_checkpoint_was_not_sent(
    operation: str, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent)
            if operation == "cast":
                completed = await cancelling.run(lambda: ref.cast(SecretAgent.note, 1))
            else:
                completed = await cancelling.run(lambda: ref.send(1))
            await wait_all_tasks_blocked()
            assert await ref.call(SecretAgent.read) == ([1] if completed else [])

    await sweep(attempt)


async def test_a_stop_cancelled_at_any_checkpoint_still_stops_the_actor(autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent, restart="temporary")
            ref.cast_nowait(SecretAgent.anote, 1)
            await cancelling.run(ref.stop)
            assert (await ref.wait()).reason == "normal"

    await sweep(attempt)


async def test_a_wait_cancelled_at_any_checkpoint_changes_nothing(autojump_clock: MockClock) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SecretAgent, restart="temporary")
            if cancelling.n > 1:
                ref.cast_nowait(SecretAgent.bang)
            completed = await cancelling.run(ref.wait)
            assert completed == (cancelling.n > 1)
            assert completed or await ref.call(SecretAgent.read) == []

    await sweep(attempt)


async def test_every_await_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await idle(ref)
        with assert_checkpoints():
            await ref.call(SecretAgent.read)
        with assert_checkpoints():
            await ref.call(SecretAgent.aread)
        with assert_checkpoints():
            await ref.cast(SecretAgent.note, 1)
        with assert_checkpoints():
            await ref.send(1)
        with assert_checkpoints():
            await supervisor.start_child(SecretAgent)
        with assert_checkpoints():
            await ref.stop()
        with assert_checkpoints():
            await ref.wait()
        with assert_checkpoints():
            await ref.stop()


@pytest.mark.parametrize("way", ["call", "cast", "send", "wait", "stop"])
@pytest.mark.parametrize("to", ["a reference to an ended actor", "a name that no actor has", "a waiting name"])
async def test_a_caller_that_is_cancelled_does_not_learn_that_there_is_no_actor(way: str, to: str) -> None:
    agents: Registry[str, None] = Registry("agents", keys="unique")
    async with supervised() as supervisor:
        ended = await supervisor.start_child(SecretAgent)
        await ended.stop()
    address: Address[SecretAgent] = ended
    if to != "a reference to an ended actor":
        address = agents.via("James Bond", wait=to == "a waiting name")
    arguments: dict[str, tuple[Any, ...]] = {
        "call": (SecretAgent.read,),
        "cast": (SecretAgent.note, "too late"),
        "send": ("too late",),
    }
    with trio.CancelScope() as scope:
        scope.cancel()
        await getattr(address, way)(*arguments.get(way, ()))
    assert scope.cancelled_caught
