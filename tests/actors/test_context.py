"""Context variables: a handler sees its actor's context, in each of the ways in which it can run."""

from __future__ import annotations

import contextvars
from typing import Any

import trio
from support.secret_agent import idle
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


async def test_every_kind_of_handler_runs_in_the_actors_own_context(autojump_clock: MockClock) -> None:
    class Contextual(Actor):
        def __init__(self) -> None:
            self.seen: list[str] = []
            variable.set("of the actor")

        def get(self) -> str:
            self.seen.append(variable.get())
            return variable.get()

        async def aget(self) -> str:
            await trio.lowlevel.checkpoint()
            return self.get()

        def put(self, value: str) -> None:
            variable.set(value)

        def behind(self) -> None:
            self.start_soon(self.aget)

        async def on_message(self, message: Any) -> None:
            self.get()

        def read(self) -> list[str]:
            return self.seen

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Contextual)
        variable.set("of the caller")
        assert await ref.call(Contextual.get) == "of the actor"
        await idle(ref)
        assert await ref.call(Contextual.get) == "of the actor"
        assert await ref.call(Contextual.aget) == "of the actor"
        ref.cast_nowait(Contextual.get)
        ref.cast_nowait(Contextual.behind)
        ref.send_nowait("message")
        await wait_all_tasks_blocked()
        assert await ref.call(Contextual.read) == ["of the actor"] * 6
        # The next handler sees what one handler sets, in each way in which they can run. The caller does not see it.
        await idle(ref)
        await ref.call(Contextual.put, "new")
        assert await ref.call(Contextual.get) == "new"
        assert await ref.call(Contextual.aget) == "new"
        ref.cast_nowait(Contextual.put, "newer")
        await idle(ref)
        assert await ref.call(Contextual.get) == "newer"
        assert variable.get() == "of the caller"


async def test_a_background_task_started_from_outside_runs_in_the_actors_context(autojump_clock: MockClock) -> None:
    class Contextual(Actor):
        def __init__(self) -> None:
            self.seen: list[str] = []
            variable.set("of the actor")

        def itself(self) -> Contextual:
            return self

        async def look(self) -> None:
            self.seen.append(variable.get())

    async with supervised() as supervisor:
        variable.set("of the caller")
        actor = await (await supervisor.start_child(Contextual)).call(Contextual.itself)
        actor.start_soon(actor.look)
        await wait_all_tasks_blocked()
        assert actor.seen == ["of the actor"]


async def test_every_life_of_a_child_begins_in_the_context_of_its_supervisor(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    class Contextual(Actor):
        def __init__(self) -> None:
            seen.append(variable.get())
            variable.set("of the last life")

    variable.set("of the supervisor")
    async with supervised() as supervisor:
        variable.set("of the starter")
        ref = await supervisor.start_child(Contextual)
        ref.kill()
        await wait_all_tasks_blocked()
    assert seen == ["of the supervisor", "of the supervisor"]
