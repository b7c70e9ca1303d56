"""What once went wrong with errors, or was told badly: a small test for each."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Agent,
    AlreadyRegistered,
    CallCycle,
    ChildNotEnded,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    MaxChildren,
    Registry,
    Reply,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
    receive,
)


class Bang(Exception):
    """An error."""


class Sound(Actor):
    def __init__(self) -> None:
        self.log: list[object] = []

    def note(self, what: object) -> None:
        self.log.append(what)

    def read(self) -> list[object]:
        return self.log

    def fail(self) -> None:
        raise Bang

    async def block(self, event: trio.Event) -> None:
        await event.wait()


class Bad(Actor):
    async def on_start(self) -> None:
        raise Bang


# A child that did not start crashed the supervisor that was asked for it by a call, with all its children.


async def keep(ref: ActorRef[Any], ask: Callable[[], Awaitable[object]], error: type[Exception]) -> None:
    """``ask`` fails with that error, and the supervisor and its children live on."""
    children = [child.ref for child in await ref.call(DynamicSupervisor.which_children)]
    with pytest.raises(error):
        await ask()
    assert [child.ref for child in await ref.call(DynamicSupervisor.which_children)] == children


async def test_a_call_of_a_dynamic_supervisor_that_fails_is_its_callers_error(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as top:
        ref: ActorRef[Any] = await top.start_child(partial(DynamicSupervisor, max_children=1))
        named = ChildSpec(Sound, name=names.via("a"))
        start_or_get: Any = DynamicSupervisor.start_or_get  # mypy does not see its overloads through a call's
        await keep(ref, lambda: ref.call(DynamicSupervisor.start_child, Bad), Bang)
        await keep(ref, lambda: ref.call(DynamicSupervisor.terminate_child, ref), ChildNotFound)
        await keep(ref, lambda: ref.call(start_or_get, Bad, name=names.via("a")), Bang)
        await ref.call(DynamicSupervisor.start_child, named)
        await keep(ref, lambda: ref.call(DynamicSupervisor.start_child, Sound), MaxChildren)
        other: ActorRef[Any] = await top.start_child(DynamicSupervisor)
        await keep(other, lambda: other.call(DynamicSupervisor.start_child, named), AlreadyRegistered)
        await keep(other, lambda: other.call(DynamicSupervisor.start_child, ChildSpec(Sound, args=(1,))), TypeError)


async def test_a_call_of_a_supervisor_that_fails_is_its_callers_error(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(Supervisor, [ChildSpec(Sound, id="a")])
        await keep(ref, lambda: ref.call(Supervisor.start_child, Bad), Bang)
        await keep(ref, lambda: ref.call(Supervisor.restart_child, "a"), ChildNotEnded)
        await keep(ref, lambda: ref.call(Supervisor.delete_child, "a"), ChildNotEnded)
        await keep(ref, lambda: ref.call(Supervisor.delete_child, "b"), ChildNotFound)
        await keep(ref, lambda: ref.call(Supervisor.terminate_child, "b"), ChildNotFound)


async def test_a_child_that_calls_its_supervisor_while_that_starts_it_by_a_call_does_not_start(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as top:
        ref = await top.start_child(DynamicSupervisor, restart="temporary")

        class Asking(Actor):
            async def on_start(self) -> None:
                await ref.call(DynamicSupervisor.count_children)

        with pytest.raises(CallCycle):
            await ref.call(DynamicSupervisor.start_child, Asking)
        assert (await ref.call(DynamicSupervisor.count_children)).specs == 0


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_child_of_the_list_that_calls_its_supervisor_while_both_start_is_refused_at_once(
    depth: int, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")

    class Asking(Actor):
        async def on_start(self) -> None:
            await names.via("supervisor").call(Supervisor.count_children)

    spec = ChildSpec(Asking)
    for _ in range(depth):
        spec = ChildSpec(Supervisor, args=([spec],))
    async with supervised() as top:
        with pytest.raises(CallCycle) as caught:
            await top.start_child(Supervisor, spec.args[0], name=names.via("supervisor"))
        assert len(caught.value.path) == depth + 2
        assert trio.current_time() == 0


# A crash that was not over when its supervisor was stopped left the block, even that of a temporary child.


@pytest.mark.parametrize("restart", ["temporary", "transient", "permanent"])
@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_crash_that_is_not_restarted_any_more_leaves_the_block_unless_its_child_is_temporary(
    opener: Any, restart: Any, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    raised: list[BaseException] = []
    try:
        async with opener() as supervisor:
            ref = await supervisor.start_child(Sound, restart=restart)
            with pytest.raises(ActorExited):
                await ref.call(Sound.fail)
            supervisor.stop()
    except BaseExceptionGroup as group:
        raised = leaves(group)
    assert [type(error) for error in raised] == ([] if restart == "temporary" else [Bang])
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


async def test_an_error_of_a_temporary_child_in_the_shutdown_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Sore(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    async with open_supervisor([ChildSpec(Sore, restart="temporary")]) as supervisor:
        supervisor.stop()
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


# Messages of errors.


async def test_actor_exited_says_how_the_actor_ends_or_has_ended(autojump_clock: MockClock) -> None:
    event = trio.Event()
    async with supervised() as supervisor:

        async def told(end: str) -> list[str]:
            ref = await supervisor.start_child(Sound, restart="temporary")
            messages: list[str] = []
            await ref.cast(Sound.block, event)
            await wait_all_tasks_blocked()
            if end == "stop":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(ref.stop)
                    await wait_all_tasks_blocked()
                    messages.append(await refused(ref))
                    event.set()
            elif end == "crash":
                crashing = await supervisor.start_child(Sound, restart="temporary")
                with pytest.raises(ActorExited) as caught:
                    await crashing.call(Sound.fail)
                await crashing.wait()
                return [str(caught.value), await refused(crashing)]
            else:
                getattr(ref, end)()
                messages.append(await refused(ref))
            await ref.wait()
            return [*messages, await refused(ref)]

        async def refused(ref: ActorRef[Sound]) -> str:
            with pytest.raises(ActorExited) as caught:
                await ref.call(Sound.read)
            return str(caught.value)

        def without_number(messages: list[str]) -> list[str]:
            return [" ".join(message.split()[2:]) for message in messages]

        assert without_number(await told("cancel")) == ["is ending: shutdown", "has exited: shutdown"]
        assert without_number(await told("kill")) == ["is ending: killed", "has exited: killed"]
        assert without_number(await told("crash")) == ["has crashed: Bang()", "has crashed: Bang()"]
        assert without_number(await told("stop")) == ["is ending: normal", "has exited: normal"]


async def test_a_handler_that_was_only_cancelled_is_not_named_in_the_log_of_a_crash(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Worker(Actor):
        async def on_start(self) -> None:
            self.start_soon(self._work)

        async def _work(self) -> None:
            await trio.sleep(1)
            raise Bang

        async def slow(self) -> None:
            await trio.sleep_forever()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Worker, restart="temporary")
        await ref.cast(Worker.slow)
        await ref.wait()
    (crash,) = [record.getMessage() for record in caplog.records if record.exc_info]
    assert crash.endswith("ended (crashed: Bang())")


async def test_receive_outside_of_an_actor_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"^receive\(\) was called outside of an actor"):
        await receive()


async def test_a_supervisors_stop_as_a_message_names_the_class_and_the_way(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(DynamicSupervisor)
        with pytest.raises(TypeError, match=r"^DynamicSupervisor.stop can't be sent as a message: use ref.stop\(\)"):
            await ref.call(DynamicSupervisor.stop)


async def test_children_without_a_name_are_shown_once(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sound)
        assert supervisor.tree().splitlines()[1] == f"└── {ref!r}"

        class Selfish(Actor):
            async def ask(self) -> str:
                with pytest.raises(CallCycle) as caught:
                    await self.ref.call(Selfish.ask)
                return str(caught.value)

        selfish = await supervisor.start_child(Selfish)
        assert (await selfish.call(Selfish.ask)).endswith(f": {selfish!r} -> {selfish!r}")


# A made-up id took one that was given to a child later in the list, which then did not start.


async def test_a_made_up_id_leaves_those_that_are_given_alone(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Sound), ChildSpec(Sound, id="Sound"), ChildSpec(Sound)]) as supervisor:
        assert [child.id for child in supervisor.which_children()] == ["Sound 2", "Sound", "Sound 3"]
        await supervisor.terminate_child("Sound")
        supervisor.delete_child("Sound")
        await supervisor.start_child(Sound)
        assert [child.id for child in supervisor.which_children()] == ["Sound 2", "Sound 3", "Sound"]
        supervisor.stop()


# A wait for room in a mailbox that can't have any was endless.


class Narrow(Actor):
    mailbox_size = 1

    async def flood(self, to: ActorRef[Narrow] | None) -> None:
        await trio.sleep(1)
        for _ in range(2):
            await (to or self.ref).cast(Narrow.flood, self.ref)

    async def flood_beside(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(self.ref.send, "room?")


@pytest.mark.parametrize("is_beside", [False, True])
async def test_an_actor_that_waits_for_room_in_its_own_mailbox_is_refused(
    is_beside: bool, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Narrow, restart="temporary")
        await (ref.cast(Narrow.flood_beside) if is_beside else ref.cast(Narrow.flood, None))
        exit = await ref.wait()
        assert exit.error is not None
        assert [type(error) for error in leaves(exit.error)] == [CallCycle]


async def test_two_actors_that_wait_for_room_in_each_others_mailbox_are_refused(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ann = await supervisor.start_child(Narrow, restart="temporary")
        bob = await supervisor.start_child(Narrow, restart="temporary")
        await ann.cast(Narrow.flood, bob)
        await bob.cast(Narrow.flood, ann)
        await wait_all_tasks_blocked()
        await ann.cast(Narrow.flood, bob)
        await bob.cast(Narrow.flood, ann)
        errors = [(await ref.wait()).error for ref in (ann, bob)]
        # The second to wait is refused; the first learns that there will be no room.
        assert {type(error) for error in errors} == {CallCycle, ActorExited}
        assert trio.current_time() == 1


async def test_a_wait_for_room_that_is_over_is_part_of_no_cycle(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        mailbox_size = 1

        async def rest(self) -> None:
            await trio.sleep(1)

        async def ask(self, other: ActorRef[Eager]) -> str:
            return await other.call(Eager.answer)

    class Eager(Actor):
        async def fill(self, slow: ActorRef[Slow]) -> None:
            for _ in range(3):
                await slow.cast(Slow.rest)
            with trio.move_on_after(0.5):
                await slow.cast(Slow.rest)

        def answer(self) -> str:
            return "here"

    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        eager = await supervisor.start_child(Eager)
        await eager.call(Eager.fill, slow)
        assert trio.current_time() == 1.5
        assert await slow.call(Slow.ask, eager) == "here"


async def test_a_background_task_may_wait_for_room_in_the_mailbox_of_its_actor(autojump_clock: MockClock) -> None:
    class Beside(Sound):
        mailbox_size = 1

        async def on_start(self) -> None:
            self.start_soon(self._tell)

        async def _tell(self) -> None:
            for number in range(5):
                await self.ref.cast(Beside.note, number)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Beside)
        await wait_all_tasks_blocked()
        assert await ref.call(Beside.read) == [0, 1, 2, 3, 4]


# What an actor sends to itself while it stops made a crash of its orderly end.


@pytest.mark.parametrize("is_idle", [True, False])
@pytest.mark.parametrize("size", [None, 1])
async def test_what_a_stopping_actor_sends_to_itself_is_left_and_reported(
    size: int | None, is_idle: bool, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Talking(Sound):
        mailbox_size = size

        def last(self) -> None:
            self.stop()
            self.ref.cast_nowait(Talking.note, "a cast")
            self.ref.send_nowait("a message")

        async def very_last(self) -> None:
            self.stop()
            await self.ref.cast(Talking.note, what="a cast")
            await self.ref.send("a message")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Talking, restart="transient")
        await (ref.call(Talking.last) if is_idle else ref.call(Talking.very_last))
        assert await ref.wait() == Exit("normal")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.endswith("ended (normal) with 2 unhandled messages in its mailbox")


async def test_others_are_refused_while_an_actor_stops(autojump_clock: MockClock) -> None:
    event = trio.Event()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sound, restart="transient")
        await ref.cast(Sound.block, event)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            with pytest.raises(ActorExited):
                ref.cast_nowait(Sound.note, 1)
            with pytest.raises(ActorExited):
                await ref.send(1)
            event.set()


@pytest.mark.parametrize("end", ["stop", "cancel"])
async def test_what_a_background_task_has_waiting_for_room_when_its_actor_ends_is_left_and_reported(
    end: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Full(Sound):
        mailbox_size = 1

        async def on_start(self) -> None:
            self.send_after(1, "a timer")
            self.start_soon(self._tell)

        async def _tell(self) -> None:
            await trio.sleep(1)
            await self.ref.cast(Full.note, "a result")

        async def on_message(self, message: object) -> None:
            self.note(message)

    event = trio.Event()
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Full, restart="transient")
        await ref.cast(Full.block, event)
        await wait_all_tasks_blocked()
        await ref.cast(Full.note, "full")
        await trio.sleep(2)
        if end == "cancel":
            ref.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            event.set()
        assert ref.exit == Exit("normal" if end == "stop" else "shutdown")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"with {2 if end == 'stop' else 3} unhandled messages" in warning


# Mistakes that were told badly, or not at all.


class Forgetful(DynamicSupervisor):
    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_a_supervisor_whose_on_start_does_not_start_the_children_says_so(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        with pytest.raises(RuntimeError, match=r"^Forgetful.on_start\(\) must call await super\(\).on_start\(\)"):
            await top.start_child(Forgetful)


async def test_a_sync_on_start_is_named(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def on_start(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=r"Wrong.on_start must be an async function, but it returned None"):
            await supervisor.start_child(Wrong)


@pytest.mark.parametrize("place", ["on_stop", "start_soon"])
async def test_a_sync_function_that_should_be_async_is_named(place: str, autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def on_stop(self, exit: Exit) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

    class Working(Actor):
        def work(self) -> None:
            self.start_soon(self.compute)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

        def compute(self) -> int:
            return 7

    async with supervised() as supervisor:
        ref: ActorRef[Any] = await supervisor.start_child(Wrong if place == "on_stop" else Working, restart="temporary")
        if place == "on_stop":
            await ref.stop()
        else:
            await ref.cast(Working.work)
        error = (await ref.wait()).error
        assert isinstance(error, TypeError)
        name, result = ("Wrong.on_stop", None) if place == "on_stop" else ("Working.compute", 7)
        assert str(error).endswith(f"{name} must be an async function, but it returned {result}")


async def test_what_can_not_be_called_is_no_background_task(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def work(self) -> str:
            with pytest.raises(TypeError, match="async_fn must be an async function, not None"):
                self.start_soon(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return "lives"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Wrong)
        assert await ref.call(Wrong.work) == "lives"


async def test_an_async_function_is_no_new_value_of_an_agent(autojump_clock: MockClock) -> None:
    async def later(value: int) -> int:
        return value

    async with supervised() as supervisor:
        for method in (Agent[int].update, Agent[int].get_and_update):
            ref = await supervisor.start_child(Agent[int], lambda: 0, restart="temporary")
            with pytest.raises(ActorExited) as caught:
                await ref.call(method, later)  # type: ignore[arg-type]  # pyright: ignore
            assert isinstance(caught.value.__cause__, TypeError)
            assert "fn must be a sync function" in str(caught.value.__cause__)
        with pytest.raises(TypeError, match="initial must be a sync function"):
            await supervisor.start_child(Agent[Any], partial(later, 1))


def test_a_reply_can_not_be_subclassed() -> None:
    with pytest.raises(TypeError, match="Reply can't be subclassed"):
        type("Answer", (Reply,), {})


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
@pytest.mark.parametrize("how", ["stop", "terminate_child"])
async def test_a_child_that_is_killed_because_its_time_was_over_is_a_warning(
    opener: Any, how: str, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async def slow() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    async with opener(name="program") as supervisor:
        ref = await supervisor.start_child(slow, shutdown=3, restart="temporary")
        await wait_all_tasks_blocked()
        if how == "terminate_child":
            await supervisor.terminate_child(ref)
        supervisor.stop()
    assert ref.exit == Exit("killed")
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert (
        warning.replace("'slow'", "slow") == f"program: child slow, {ref!r}, is killed: its 3 seconds to end are over"
    )
