"""Function actors: any async function under a supervisor, with a mailbox of its own."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, settle, sweep
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, CallCycle, Exit, Function, Registry, current, receive


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


async def test_current_is_the_functions_own_reference_in_all_its_tasks(autojump_clock: MockClock) -> None:
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


async def test_current_in_an_actor_is_the_actor(autojump_clock: MockClock) -> None:
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
    with pytest.raises(RuntimeError, match="outside of an actor"):
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


async def test_receive_takes_messages_in_order(autojump_clock: MockClock) -> None:
    got: list[object] = []

    async def worker() -> None:
        while True:
            got.append(await receive())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        ref.send_nowait(0)
        for number in range(1, 5):
            await ref.send(number)
        ref.send_nowait(None)
        await wait_all_tasks_blocked()
        assert got == [0, 1, 2, 3, 4, None]


async def test_receive_can_be_given_up_and_loses_nothing(autojump_clock: MockClock) -> None:
    got: list[object] = []

    async def worker() -> None:
        while True:
            with trio.move_on_after(1):
                got.append(await receive())
                continue
            got.append("nothing")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await trio.sleep(2.5)
        ref.send_nowait("message")
        await trio.sleep(0.25)
        assert got == ["nothing", "nothing", "message"]


async def test_a_receive_that_is_cancelled_anywhere_loses_and_doubles_nothing(autojump_clock: MockClock) -> None:
    for waits_first in (False, True):

        async def attempt(cancelling: Cancelling[Any], waits_first: bool = waits_first) -> None:
            got: list[object] = []
            done = trio.Event()

            async def worker() -> None:
                if await cancelling.run(receive):
                    got.append(cancelling.value)
                done.set()
                while True:
                    got.append(await receive())

            async with supervised() as supervisor:
                names: Registry[str, None] = Registry("names")
                via = names.via("worker")
                if waits_first:
                    await supervisor.start_child(worker, name=via)
                    via.send_nowait("a")
                else:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(functools.partial(supervisor.start_child, worker, name=via))
                        while names.count() == 0:
                            await trio.lowlevel.checkpoint()
                        via.send_nowait("a")
                via.send_nowait("b")
                await wait_all_tasks_blocked()
                assert done.is_set()
                assert got == ["a", "b"]

        await sweep(attempt)


async def test_receive_is_a_checkpoint_also_when_there_is_a_message(autojump_clock: MockClock) -> None:
    done = trio.Event()

    async def worker() -> None:
        current().send_nowait("to myself")
        with assert_checkpoints():
            assert await receive() == "to myself"
        done.set()

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await done.wait()


async def test_two_tasks_cannot_wait_in_receive_at_once(autojump_clock: MockClock) -> None:
    refused = trio.Event()

    async def second() -> None:
        await wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="waiting in receive"):
            await receive()
        refused.set()

    got: list[object] = []

    async def worker() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second)
            got.append(await receive())

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker)
        await refused.wait()
        await ref.send("for the first")
        assert (await ref.wait()).reason == "normal"
    assert got == ["for the first"]


async def test_receive_is_not_for_actor_classes(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        async def take(self) -> None:
            with pytest.raises(RuntimeError, match="its messages come to on_message"):
                await receive()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Wrong)
        await ref.call(Wrong.take)


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


async def test_stop_ends_a_function_actor_behind_the_messages_it_has_yet_to_receive(
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


async def test_stop_of_a_function_actor_that_is_just_starting_does_not_lose_its_messages(
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


async def test_what_a_function_actor_did_not_receive_is_reported(
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


async def test_a_partial_gives_keyword_arguments(autojump_clock: MockClock) -> None:
    async def worker(a: int, *, b: int) -> tuple[int, int]:
        return a, b

    async with supervised() as supervisor:
        ref = await supervisor.start_child(functools.partial(worker, b=2), 1)
        assert (await ref.wait()).value == (1, 2)
        assert repr(ref).startswith("<worker #")


async def test_wrong_arguments_are_an_error_of_the_start_and_not_a_crash(autojump_clock: MockClock) -> None:
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


# Results


async def test_result_gives_what_the_function_returns(autojump_clock: MockClock) -> None:
    async def add(a: int, b: int) -> int:
        await trio.sleep(1)
        return a + b

    async with supervised() as supervisor:
        ref = await supervisor.start_child(add, 1, 2)
        assert await ref.result() == 3
        assert await ref.result() == 3


async def test_result_may_be_none(autojump_clock: MockClock) -> None:
    async def nothing() -> None: ...

    async with supervised() as supervisor:
        ref = await supervisor.start_child(nothing)
        result: object = await ref.result()  # type: ignore[func-returns-value]
        assert result is None
        assert (await ref.wait()).has_returned


async def test_any_number_of_tasks_may_ask_for_a_result(autojump_clock: MockClock) -> None:
    async def slow() -> str:
        await trio.sleep(1)
        return "done"

    async def ask(ref: ActorRef[Function[str]]) -> None:
        got.append(await ref.result())

    got: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(slow)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, ref)
    assert got == ["done"] * 3


async def test_result_of_a_crash_has_the_original_error_as_its_cause(autojump_clock: MockClock) -> None:
    async def crash() -> int:
        await trio.sleep(1)
        raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(crash, restart="temporary")
        for _ in range(2):  # before the end, and after it
            with pytest.raises(ActorExited) as caught:
                await ref.result()
            assert caught.value.ref is ref
            assert caught.value.exit.reason == "crashed"
            assert isinstance(caught.value.__cause__, Bang)


@pytest.mark.parametrize(("end", "reason"), [("cancel", "shutdown"), ("kill", "killed"), ("stop", "normal")])
async def test_what_was_ended_before_it_returned_has_no_result(
    end: str, reason: str, autojump_clock: MockClock
) -> None:
    async def endless() -> int:
        await trio.sleep_forever()
        return 7

    async with supervised() as supervisor:
        ref = await supervisor.start_child(endless, restart="temporary")
        await settle()
        if end == "stop":
            await ref.stop()
        else:
            getattr(ref, end)()
        with pytest.raises(ActorExited) as caught:
            await ref.result()
        assert caught.value.exit == Exit(reason)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert caught.value.__cause__ is None
        assert not caught.value.exit.has_returned


async def test_what_returns_although_it_was_ended_has_a_result(autojump_clock: MockClock) -> None:
    async def persistent() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return "done"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(persistent, restart="temporary")
        await settle()
        ref.cancel()
        assert await ref.result() == "done"


async def test_an_actor_has_no_result_alive_or_not(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref: Any = await supervisor.start_child(Actor, restart="temporary")
        for _ in range(2):
            with pytest.raises(TypeError, match=r"<Actor #\d+> is an Actor: only a function actor has a result"):
                await ref.result()
            await ref.stop()


async def test_a_function_that_waits_for_its_own_result_is_a_cycle(autojump_clock: MockClock) -> None:
    async def own() -> object:
        with pytest.raises(CallCycle):
            await current().result()
        return "went on"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(own)
        assert await ref.result() == "went on"


async def test_result_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async def quick() -> int:
        return 1

    async with supervised() as supervisor:
        ref = await supervisor.start_child(quick)
        with assert_checkpoints():
            await ref.result()
        with assert_checkpoints():
            await ref.result()


async def test_a_wait_for_a_result_that_is_cancelled_anywhere_leaves_the_function_alone(
    autojump_clock: MockClock,
) -> None:
    async def slow() -> str:
        await trio.sleep(1)
        return "done"

    async def attempt(cancelling: Cancelling[str]) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(slow)
            if await cancelling.run(ref.result):
                assert cancelling.value == "done"
            assert await ref.result() == "done"

    await sweep(attempt)


async def test_each_life_has_a_result_of_its_own(autojump_clock: MockClock) -> None:
    lives: list[ActorRef[Any]] = []

    async def second_time() -> int:
        lives.append(current())
        await trio.sleep(1)
        if len(lives) == 1:
            raise Bang
        return len(lives)

    async with supervised() as supervisor:
        first = await supervisor.start_child(second_time)
        with pytest.raises(ActorExited):
            await first.result()
        await settle()
        assert await lives[1].result() == 2


async def test_a_function_type_can_be_written_with_its_result_at_run_time() -> None:
    assert repr(ActorRef[Function[int]]) == "trioreg.ActorRef[trioreg.Function[int]]"


# Messages to oneself, later


async def test_a_function_gets_what_it_sends_itself_when_it_is_time(autojump_clock: MockClock) -> None:
    async def wait_for_tea() -> tuple[object, float]:
        began = trio.current_time()
        trioreg.send_after(180, "tea")
        return await trioreg.receive(), trio.current_time() - began

    async with supervised() as supervisor:
        ref = await supervisor.start_child(wait_for_tea)
        assert await ref.result() == ("tea", 180)


async def test_a_function_gets_what_it_sends_itself_again_and_again_until_it_cancels_that(
    autojump_clock: MockClock,
) -> None:
    async def count() -> list[float]:
        began = trio.current_time()
        timer = trioreg.send_every(10, "tick")
        times: list[float] = []
        for _ in range(3):
            assert await trioreg.receive() == "tick"
            times.append(trio.current_time() - began)
        timer.cancel()
        with trio.move_on_after(100):
            await trioreg.receive()
            raise AssertionError("cancelled")
        return times

    async with supervised() as supervisor:
        ref = await supervisor.start_child(count)
        assert await ref.result() == [10, 20, 30]


@pytest.mark.parametrize("send", [trioreg.send_after, trioreg.send_every])
async def test_a_message_to_oneself_is_refused_outside_of_an_actor(
    send: Callable[[float, object], trioreg.Timer],
) -> None:
    with pytest.raises(RuntimeError, match=rf"{send.__name__}\(\) was called outside of an actor"):
        send(1, "tea")


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), (math.inf, ValueError), ("1", TypeError)])
async def test_a_message_to_oneself_wants_a_number_of_seconds(seconds: Any, error: type[Exception]) -> None:
    async def send() -> None:
        with pytest.raises(error, match="seconds must be"):
            trioreg.send_after(seconds, "tea")

    async with supervised() as supervisor:
        await (await supervisor.start_child(send)).result()


# The second of two tasks got the message that had woken the first, at no checkpoint, and the first one got the error.
# (In which order Trio runs two tasks that are woken together is left to chance, so there are some rounds.)


async def test_a_message_that_has_woken_one_task_in_receive_is_not_taken_by_another(autojump_clock: MockClock) -> None:
    got: list[object] = []
    second = trio.Event()

    async def receive_later() -> None:
        await second.wait()
        with pytest.raises(RuntimeError, match="another task"):
            await receive()

    async def receive_both() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_later)
            got.extend([await receive(), await receive()])

    async with supervised() as supervisor:
        for _ in range(16):
            got.clear()
            second = trio.Event()
            ref = await supervisor.start_child(receive_both)
            await wait_all_tasks_blocked()
            second.set()
            ref.send_nowait("first")
            await wait_all_tasks_blocked()
            ref.send_nowait("second")
            assert (await ref.wait()).reason == "normal"
            assert got == ["first", "second"]
