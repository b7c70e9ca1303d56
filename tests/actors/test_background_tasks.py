"""Background tasks: `Actor.start_soon`."""

from __future__ import annotations

import pytest
import trio
from support.errors import Bang, leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, Exit


class Parent(Actor):
    """It has background tasks."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def work(self, seconds: float) -> None:
        self.start_soon(self._work, seconds)

    async def _work(self, seconds: float) -> None:
        try:
            await trio.sleep(seconds)
            self.log.append("done")
        except trio.Cancelled:
            self.log.append("cancelled")
            raise

    def crash(self, seconds: float) -> None:
        self.start_soon(self._crash, seconds)

    async def _crash(self, seconds: float) -> None:
        await trio.sleep(seconds)
        raise Bang

    def read(self) -> list[str]:
        return self.log


async def test_a_background_task_runs_beside_the_handlers(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent)
        await ref.call(Parent.work, 1)
        assert await ref.call(Parent.read) == []
        await trio.sleep(2)
        assert await ref.call(Parent.read) == ["done"]
        assert ref.is_alive


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
async def test_background_tasks_end_with_their_actor(end: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent, restart="temporary")
        await ref.call(Parent.work, 1000)
        log = await ref.call(Parent.read)
        await wait_all_tasks_blocked()
        if end == "stop":
            await ref.stop()
        else:
            getattr(ref, end)()
            await ref.wait()
        assert log == ["cancelled"]


async def test_a_background_task_that_crashes_crashes_its_actor_and_cancels_the_others(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Parent, restart="temporary")
        await ref.call(Parent.work, 1000)
        await ref.call(Parent.crash, 1)
        log = await ref.call(Parent.read)
        exit = await ref.wait()
        assert isinstance(exit.error, Bang)
        assert log == ["cancelled"]


async def test_a_background_task_cannot_be_started_while_the_actor_is_ending(autojump_clock: MockClock) -> None:
    class Late(Parent):
        async def on_stop(self, exit: Exit) -> None:
            with pytest.raises(ActorExited):
                self.work(1)
            self.log.append("refused")

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Late, restart="temporary")
        log = await ref.call(Parent.read)
        await ref.stop()
        assert log == ["refused"]


async def test_the_exit_has_the_errors_of_all_background_tasks(autojump_clock: MockClock) -> None:
    class Fragile(Parent):
        def __init__(self) -> None:
            super().__init__()
            for _ in range(3):
                self.start_soon(self._stubborn)

        async def _stubborn(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        await wait_all_tasks_blocked()
        ref.kill()
        error = (await ref.wait()).error
        assert error is not None
        assert [type(leaf) for leaf in leaves(error)] == [Bang] * 3


async def test_start_soon_refuses_an_object_that_is_not_callable(autojump_clock: MockClock) -> None:
    class Wrong(Actor):
        def work(self) -> str:
            with pytest.raises(TypeError, match="async_fn must be an async function, not None"):
                self.start_soon(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return "lives"

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Wrong)
        assert await ref.call(Wrong.work) == "lives"


class Reading(Actor):
    """Its background task hands all that it reads to a handler."""

    async def on_started(self) -> None:
        self.start_soon(self._read)

    async def _read(self) -> None:
        while True:
            await self.ref.cast(Reading.hear)
            await self.ref.call(Reading.hear)

    async def hear(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize(("end", "reason"), [("cancel", "shutdown"), ("kill", "killed")])
async def test_a_background_task_that_sends_to_its_actor_at_its_end_does_not_crash_it(
    end: str, reason: str, steps: int, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Reading, restart="temporary")
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        getattr(ref, end)()
        assert (await ref.wait()).reason == reason


class Greeting(Actor):
    """It is cancelled in the middle of its `on_started`, and goes on."""

    async def on_started(self) -> None:
        self.ref.cancel()
        self.start_soon(trio.sleep_forever)


async def test_an_actor_that_starts_a_background_task_after_its_end_has_come_does_not_crash(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Greeting, restart="temporary")
        assert await ref.wait() == Exit("shutdown")
