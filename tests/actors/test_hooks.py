"""Hooks: `on_start`, `on_message`, `on_idle`; and hooks that are not async."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import Bang
from support.secret_agent import Refused, SecretAgent
from support.supervisors import supervised
from trio.lowlevel import currently_ki_protected
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit, Registry, raises


async def test_on_start_runs_before_any_message_and_before_start_child_returns(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("agents")

    class Starting(SecretAgent):
        async def on_start(self) -> None:
            names.via("James Bond").cast_nowait(SecretAgent.note, "message")
            await trio.sleep(1)
            self.notes.append("started")

    async with supervised() as supervisor:
        began = trio.current_time()
        ref = await supervisor.start_child(Starting, name=names.via("James Bond"))
        assert trio.current_time() - began == 1
        assert await ref.call(SecretAgent.read) == ["started", "message"]


async def test_send_calls_on_message(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(SecretAgent)
        messages: list[Any] = [1, None, ("a", "tuple"), {"a": "dict"}, SecretAgent.note, Exit("normal")]
        for message in messages:
            await ref.send(message)
        assert await ref.call(SecretAgent.read) == messages


class Silent(Actor):
    """It has no `on_message`."""

    def ping(self) -> str:
        return "pong"


async def test_a_message_without_on_message_is_logged_and_the_actor_lives(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Silent)
        await ref.send("what?")
        assert await ref.call(Silent.ping) == "pong"
    assert any("unexpected message: 'what?'" in record.getMessage() for record in caplog.records)


class Idle(Actor):
    """It notes at which times `on_idle` ran."""

    idle_timeout = 10

    def __init__(self) -> None:
        self.began = trio.current_time()
        self.idle_at: list[float] = []

    async def on_idle(self) -> None:
        self.idle_at.append(trio.current_time() - self.began)

    def ping(self) -> None: ...

    async def aping(self) -> None: ...

    @raises(Refused)
    def refuse(self) -> None:
        raise Refused

    def set_timeout(self, seconds: float | None) -> None:
        self.idle_timeout = seconds  # type: ignore[assignment]

    def read(self) -> list[float]:
        return list(self.idle_at)


async def test_on_idle_runs_after_each_idle_timeout_without_a_message(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(35)
        assert await ref.call(Idle.read) == [10, 20, 30]


@pytest.mark.parametrize("way", ["inline", "async", "cast", "refused"])
async def test_every_kind_of_message_delays_on_idle(way: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(6)
        if way == "inline":
            await ref.call(Idle.ping)
        elif way == "async":
            await ref.call(Idle.aping)
        elif way == "cast":
            ref.cast_nowait(Idle.ping)
        else:
            with pytest.raises(Refused):
                await ref.call(Idle.refuse)
        await trio.sleep(9)
        await ref.cast(Idle.ping)
        await wait_all_tasks_blocked()
        assert await ref.call(Idle.read) == []
        await trio.sleep(11)
        assert await ref.call(Idle.read) == [25]


@pytest.mark.parametrize("is_inline", [False, True])
async def test_a_handler_can_change_the_idle_timeout(is_inline: bool, autojump_clock: MockClock) -> None:
    async def set_timeout(ref: ActorRef[Idle], seconds: float | None) -> None:
        if is_inline:
            await ref.call(Idle.set_timeout, seconds)
        else:
            ref.cast_nowait(Idle.set_timeout, seconds)
            await wait_all_tasks_blocked()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Idle)
        await trio.sleep(1)
        await set_timeout(ref, None)
        await trio.sleep(99)
        assert await ref.call(Idle.read) == []
        await set_timeout(ref, 50)
        await trio.sleep(70)
        assert await ref.call(Idle.read) == [150]


async def test_an_error_in_on_idle_crashes_the_actor(autojump_clock: MockClock) -> None:
    class Fragile(Actor):
        idle_timeout = 1

        async def on_idle(self) -> None:
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        assert isinstance((await ref.wait()).error, Bang)


async def test_an_actor_that_stops_in_on_idle_ends_normally(autojump_clock: MockClock) -> None:
    class Session(Actor):
        idle_timeout = 5

        async def on_idle(self) -> None:
            self.stop()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Session, restart="temporary")
        assert await ref.wait() == Exit("normal")


async def test_a_wrong_idle_timeout_crashes_the_actor_and_is_not_raised_in_its_callers(
    autojump_clock: MockClock,
) -> None:
    class Sleepy(Actor):
        idle_timeout = 5

        async def on_idle(self) -> None: ...

        def set(self, timeout: Any) -> None:
            self.idle_timeout = timeout

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Sleepy, restart="temporary")
        await wait_all_tasks_blocked()
        with suppress(ActorExited):
            await ref.call(Sleepy.set, "soon")
        with trio.fail_after(1):
            exit = await ref.wait()
        assert isinstance(exit.error, TypeError)


async def test_a_sync_on_start_is_refused_by_name(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def on_start(self) -> None:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            pass

    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=r"Wrong.on_start must be an async function, but it returned None"):
            await supervisor.start_child(Wrong)


@pytest.mark.parametrize("place", ["on_stop", "start_soon"])
async def test_a_sync_on_stop_or_background_function_crashes_the_actor_and_is_named(
    place: str, autojump_clock: MockClock
) -> None:
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


class Opened(Actor):
    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.is_protected = currently_ki_protected()

    def read(self) -> tuple[bool, tuple[int, ...]]:
        return self.is_protected, self.numbers


@pytest.mark.parametrize("numbers", [(), (1,), (1, 2, 3)])
async def test_init_gets_its_arguments_and_is_open_to_ctrl_c(
    numbers: tuple[int, ...], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Opened, *numbers)
        assert await ref.call(Opened.read) == (False, numbers)


async def test_an_init_replaced_in_its_class_is_replaced_for_the_next_start(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: Opened) -> None:
        self.numbers = (7,)
        self.is_protected = currently_ki_protected()

    async with supervised() as supervisor:
        await supervisor.start_child(Opened)
        monkeypatch.setattr(Opened, "__init__", other)
        ref = await supervisor.start_child(Opened)
        assert await ref.call(Opened.read) == (False, (7,))


async def test_an_init_that_returns_something_is_refused(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def __init__(self) -> int:  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
            return 7

    async with supervised() as supervisor:
        with pytest.raises(TypeError, match="should return None, not 'int'"):
            await supervisor.start_child(Wrong)
