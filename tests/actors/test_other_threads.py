"""Worker threads and other Trio runs: refused, and nothing changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from support.secret_agent import SecretAgent, idle
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorRef


def visible(ref: ActorRef[Any]) -> tuple[object, ...]:
    """All that can be seen of an actor from outside."""
    return ref.is_alive, ref.exit, ref.statistics()


OPERATIONS: dict[str, Callable[[ActorRef[SecretAgent]], object]] = {
    "cast": lambda ref: ref.cast_nowait(SecretAgent.note, "from the thread"),
    "send": lambda ref: ref.send_nowait("from the thread"),
    "cancel": lambda ref: ref.cancel(),
    "kill": lambda ref: ref.kill(),
}


@pytest.mark.parametrize("operation", list(OPERATIONS))
@pytest.mark.parametrize("is_idle", [False, True])
async def test_operations_from_a_worker_thread_are_refused_and_change_nothing(operation: str, is_idle: bool) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        event = trio.Event()
        await idle(ref)
        if not is_idle:
            ref.cast_nowait(SecretAgent.wait_for, event)
            await wait_all_tasks_blocked()
        before = visible(ref)
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(OPERATIONS[operation], ref)
        assert visible(ref) == before
        event.set()
        await wait_all_tasks_blocked()
        with trio.fail_after(5):
            assert await ref.call(SecretAgent.read) == []
        assert ref.is_alive


class Busy(Actor):
    def me(self) -> Busy:
        return self

    async def block(self, event: trio.Event) -> None:
        await event.wait()


@pytest.mark.parametrize("is_idle", [True, False])
@pytest.mark.parametrize("operation", ["start_soon", "send_after", "send_every", "stop"])
async def test_an_actors_own_methods_are_refused_in_a_worker_thread(operation: str, is_idle: bool) -> None:
    operations: dict[str, Callable[[Busy], object]] = {
        "start_soon": lambda busy: busy.start_soon(trio.sleep_forever),
        "send_after": lambda busy: busy.send_after(1, "message"),
        "send_every": lambda busy: busy.send_every(1, "message"),
        "stop": lambda busy: busy.stop(),
    }
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Busy, restart="temporary")
        await wait_all_tasks_blocked()
        busy = await ref.call(Busy.me)
        event = trio.Event()
        if not is_idle:
            ref.cast_nowait(Busy.block, event)
            await wait_all_tasks_blocked()
        before = visible(ref)
        tasks = trio.lowlevel.current_statistics().tasks_living
        with pytest.raises(RuntimeError):
            await trio.to_thread.run_sync(operations[operation], busy)
        assert visible(ref) == before
        event.set()
        with trio.fail_after(5):
            assert await ref.call(Busy.me) is busy
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            # Its end waits for no background task.
            assert (await ref.stop()).reason == "normal"


ASYNC_FORMS: dict[str, Callable[[ActorRef[SecretAgent]], Awaitable[object]]] = {
    "call": lambda ref: ref.call(SecretAgent.note, "elsewhere"),
    "async call": lambda ref: ref.call(SecretAgent.anote, "elsewhere"),
    "cast": lambda ref: ref.cast(SecretAgent.note, "elsewhere"),
    "send": lambda ref: ref.send("message"),
    "wait": lambda ref: ref.wait(),
    "stop": lambda ref: ref.stop(),
}


@pytest.mark.parametrize("operation", list(ASYNC_FORMS))
async def test_operations_from_another_trio_run_are_refused_and_change_nothing(operation: str) -> None:
    errors: list[BaseException] = []

    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent, restart="temporary")
        await wait_all_tasks_blocked()
        before = visible(ref)

        async def elsewhere() -> None:
            with trio.move_on_after(0.2):
                await ASYNC_FORMS[operation](ref)

        def run_elsewhere() -> None:
            try:
                trio.run(elsewhere)
            except BaseException as error:
                errors.append(error)

        await trio.to_thread.run_sync(run_elsewhere)
        assert visible(ref) == before
        with trio.fail_after(5):
            assert await ref.call(SecretAgent.read) == []
    assert [type(error) for error in errors] == [RuntimeError]
