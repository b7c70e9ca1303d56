"""Function actors: any async function under a supervisor, with a mailbox of its own."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from support.cancellation import settle
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Exit, current, receive


async def test_the_return_value_is_in_the_exit(autojump_clock: MockClock) -> None:
    async def add(a: int, b: int) -> int:
        return a + b

    async with supervised() as supervisor:
        ref = await supervisor.start_child(add, 1, 2)
        assert await ref.wait() == Exit("normal", value=3)


async def test_an_exception_is_in_the_exit(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(crash, restart="temporary")
        exit = await ref.wait()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, Bang)


async def test_current_gives_a_function_its_reference_in_all_its_tasks(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def worker() -> None:
        async def below() -> None:
            seen.append(current())

        seen.append(current())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(below)
        await trio.lowlevel.checkpoint()
        seen.append(current())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await ref.wait()
    assert seen == [ref, ref, ref]


async def test_current_gives_an_actor_its_reference(autojump_clock: MockClock) -> None:
    class Own(Actor):
        def sync(self) -> object:
            return current()

        async def asynchronous(self) -> object:
            await trio.lowlevel.checkpoint()
            return current()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Own)
        await wait_all_tasks_blocked()
        assert await ref.call(Own.sync) is ref
        assert await ref.call(Own.asynchronous) is ref
        with pytest.raises(RuntimeError, match="outside of an actor"):
            current()


async def test_current_outside_of_an_actor_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(RuntimeError, match="outside of an actor"):
        current()
    with pytest.raises(RuntimeError, match=r"^receive\(\) was called outside of an actor"):
        await receive()


def test_current_outside_of_trio_is_refused() -> None:
    with pytest.raises(RuntimeError):
        current()


async def test_current_in_a_task_that_a_function_actor_started_outside_is_refused(autojump_clock: MockClock) -> None:
    refused: list[bool] = []

    async def outside() -> None:
        with pytest.raises(RuntimeError, match="outside of an actor"):
            current()
        refused.append(True)

    async def worker(nursery: trio.Nursery) -> None:
        nursery.start_soon(outside)
        await trio.sleep(1)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        await supervisor.start_child(worker, nursery)
        await wait_all_tasks_blocked()
        assert refused == [True]


async def test_a_function_actor_has_no_methods_to_call(autojump_clock: MockClock) -> None:
    class Other(Actor):
        def method(self) -> None: ...

    async def worker() -> None:
        await trio.sleep_forever()

    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(worker)
        for method in (Other.method, worker):
            with pytest.raises(TypeError, match="this is a function actor"):
                await ref.call(method)
            with pytest.raises(TypeError, match="this is a function actor"):
                ref.cast_nowait(method)
        assert ref.is_alive


async def test_a_stopped_function_actor_first_receives_its_messages(
    autojump_clock: MockClock,
) -> None:
    got: list[object] = []

    async def worker() -> None:
        while True:
            got.append(await receive())
            await trio.sleep(1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        for number in range(3):
            ref.send_nowait(number)
        await wait_all_tasks_blocked()
        assert await ref.stop() == Exit("normal")
    assert got == [0, 1, 2]


async def test_stop_ends_a_function_actor_that_never_receives(autojump_clock: MockClock) -> None:
    async def worker() -> None:
        await trio.sleep_forever()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        assert await ref.stop() == Exit("normal")


async def test_a_function_actor_stopped_while_it_starts_ends_normally(
    autojump_clock: MockClock,
) -> None:
    got: list[object] = []

    async def worker() -> None:
        await trio.sleep(1)
        while True:
            got.append(await receive())

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(worker, restart="temporary")
        ref.send_nowait("sent before the stop")
        nursery.start_soon(ref.stop)
        exit = await ref.wait()
    assert exit.reason == "normal"
    assert got in (["sent before the stop"], [])


@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_cancel_and_kill_end_a_function_actor_at_once(end: str, autojump_clock: MockClock) -> None:
    cleaned: list[str] = []

    async def worker() -> None:
        try:
            await receive()
        finally:
            cleaned.append("up")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        await wait_all_tasks_blocked()
        getattr(ref, end)()
        assert (await ref.wait()).reason == {"cancel": "shutdown", "kill": "killed"}[end]
    assert cleaned == ["up"]


async def test_messages_to_a_function_actor_that_has_ended_are_refused(autojump_clock: MockClock) -> None:
    async def worker() -> str:
        return "done"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await ref.wait()
        with pytest.raises(ActorExited) as caught:
            await ref.send("too late")
        assert caught.value.exit == Exit("normal", value="done")
        with pytest.raises(ActorExited):
            ref.send_nowait("too late")


async def test_messages_that_a_function_actor_did_not_receive_are_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        await receive()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        for number in range(3):
            ref.send_nowait(number)
        await ref.wait()
    assert any("2 unhandled messages" in record.getMessage() for record in caplog.records)


async def test_a_partial_passes_keyword_arguments(autojump_clock: MockClock) -> None:
    async def worker(a: int, *, b: int) -> tuple[int, int]:
        return a, b

    async with supervised() as supervisor:
        ref = await supervisor.start_child(functools.partial(worker, b=2), 1)
        assert (await ref.wait()).value == (1, 2)
        assert repr(ref).startswith("<worker #")


async def test_wrong_arguments_raise_in_the_start_and_are_no_crash(autojump_clock: MockClock) -> None:
    async def worker(a: int) -> None: ...

    start: Any
    async with supervised() as supervisor:
        start = supervisor.start_child
        before = supervisor.tree()
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            await start(worker)
        assert supervisor.tree() == before


async def test_a_function_actor_that_catches_its_cancellation_has_still_ended(autojump_clock: MockClock) -> None:
    async def worker() -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return "caught"
        return "never"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        await settle()
        ref.cancel()
        assert await ref.wait() == Exit("shutdown", value="caught")
