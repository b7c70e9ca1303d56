"""Scenarios of supervisors: restarts under a name, restarts of several, starts from all sides, and shutdowns."""

from __future__ import annotations

import math
from random import Random
from typing import Any, Literal

import trio
from support.errors import leaves
from support.inside import assert_nothing_left
from support.watcher import watching
from trio.testing import wait_all_tasks_blocked

from soak.scene import PAUSES, Boom, pause, plans
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    CallCycle,
    ChildNotFound,
    ChildSpec,
    Exit,
    NotRegistered,
    NotRunning,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)


class Server(Actor):
    """It answers, and crashes when it is told to. It notes its lives."""

    def __init__(self, lives: list[str], name: str, slow: int = 0) -> None:
        self.lives = lives
        self.name = name
        self.slow = slow
        self.seen: list[int] = []

    async def on_start(self) -> None:
        await pause(self.slow)
        self.lives.append(f"+{self.name}")

    async def on_stop(self, exit: Exit) -> None:
        await pause(self.slow)
        self.lives.append(f"-{self.name}")

    def ask(self, number: int) -> int:
        self.seen.append(number)
        return number

    async def ask_slowly(self, number: int) -> int:
        self.seen.append(number)
        await trio.lowlevel.checkpoint()
        return number

    def crash(self) -> None:
        raise Boom

    async def crash_later(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Boom


async def a_restart_keeps_the_name(draw: Random) -> None:
    """Clients call an actor by name and crash it. The name has a holder at each moment, and each call an end."""
    registry: Registry[str, None] = Registry("names")
    steps = [(what, wait) for what in ("ask", "ask_slowly", "crash", "crash_later", "kill") for wait in PAUSES]
    programs = plans(draw, steps, tasks=4, length=4)
    slow, waits = draw.choice([-1, 0, 1]), draw.random() < 0.7
    lives: list[str] = []
    answers = 0

    async def client(number: int) -> None:
        nonlocal answers
        address = registry.via("server", wait=waits)
        for at, (what, wait) in enumerate(programs[number]):
            await pause(wait)
            try:
                if what == "kill":
                    registry.via("server").kill()
                elif what.startswith("crash"):
                    await address.cast(getattr(Server, what))
                else:
                    assert await address.call(getattr(Server, what), 10 * number + at) == 10 * number + at
                answers += 1
            except ActorExited as error:
                assert error.exit.error is None or isinstance(error.exit.error, Boom)
                answers += 1
            except NotRegistered:
                raise AssertionError("the name was free during a restart") from None

    async with open_supervisor(
        [ChildSpec(Server, (lives, "s", slow), name=registry.via("server"))], max_restarts=math.inf
    ) as supervisor:
        with trio.fail_after(100), watching(registry):
            async with trio.open_nursery() as nursery:
                for number in range(len(programs)):
                    nursery.start_soon(client, number, name=f"client {number}")
            await trio.sleep(5)
            (child,) = supervisor.which_children()
            assert child.state == "running"
            assert registry.whereis("server") is child.ref
        supervisor.stop()
    assert answers == sum(map(len, programs))
    assert lives[-1] == "-s"
    assert_nothing_left(registry)


async def restarts_of_several_keep_the_order(draw: Random) -> None:
    """Children of a group crash at the same moments. Afterwards all run, started in order, each under its name."""
    registry: Registry[str, None] = Registry("names")
    strategy: Literal["one_for_all", "rest_for_one"] = draw.choice(["one_for_all", "rest_for_one"])
    lives: list[str] = []
    specs = [
        ChildSpec(Server, (lives, name, draw.choice([-1, 0, 1])), id=name, name=registry.via(name)) for name in "abc"
    ]
    crashes = [
        (draw.choice("abc"), draw.choice(["crash", "crash_later", "kill", "stop"]), draw.choice(PAUSES))
        for _ in range(5)
    ]

    async def crash(name: str, how: str, wait: int) -> None:
        await pause(wait)
        address = registry.via(name)
        try:
            if how == "kill":
                address.kill()
            elif how == "stop":
                await address.stop()
            else:
                await address.cast(getattr(Server, how))
        except (NotRegistered, ActorExited):
            pass

    with trio.fail_after(100):
        async with open_supervisor(specs, strategy=strategy, max_restarts=math.inf) as supervisor:
            with watching(registry):
                async with trio.open_nursery() as nursery:
                    for number, (name, how, wait) in enumerate(crashes):
                        nursery.start_soon(crash, name, how, wait, name=f"crash {number} of {name}")
                await trio.sleep(20)
                assert [child.state for child in supervisor.which_children()] == ["running"] * 3, (
                    strategy,
                    crashes,
                    lives,
                    supervisor.which_children(),
                )
                assert [registry.whereis(name) for name in "abc"] == [c.ref for c in supervisor.which_children()]
            supervisor.stop()
    assert lives[-3:] == ["-c", "-b", "-a"]
    running: set[str] = set()
    for life in lives:
        # A killed child writes no end: then its next start is the first that is heard of it.
        (running.add if life[0] == "+" else running.discard)(life[1:])
    assert running == set()
    assert_nothing_left(registry)


async def one_start_of_a_name(draw: Random) -> None:
    """Clients start children under two names, get them, and end them. A name has one actor, which each of them gets."""
    registry: Registry[str, None] = Registry("names")
    steps = [
        (what, key, wait)
        for what in ("get", "get", "start", "terminate", "crash", "look")
        for key in "ab"
        for wait in PAUSES
    ]
    programs = plans(draw, steps, tasks=4, length=4)
    slow = draw.choice([-1, 0, 1])
    lives: list[str] = []

    async with open_dynamic_supervisor(max_restarts=math.inf) as supervisor:

        async def client(number: int) -> None:
            for what, key, wait in programs[number]:
                await pause(wait)
                name = registry.via(key, of=Server)
                try:
                    if what == "get":
                        ref = await supervisor.start_or_get(Server, lives, key, slow, name=name)
                        assert ref.state != "starting"
                    elif what == "start":
                        await supervisor.start_child(Server, lives, key, slow, name=name)
                    elif what == "terminate":
                        found = registry.whereis(key)
                        if found is not None:
                            await supervisor.terminate_child(found)
                            assert not found.is_alive
                    elif what == "crash":
                        await name.cast(Server.crash)
                    else:
                        assert len([c for c in supervisor.which_children() if c.id == key]) <= 1
                except (AlreadyRegistered, NotRegistered, ActorExited, ChildNotFound):
                    pass

        with trio.fail_after(200), watching(registry):
            async with trio.open_nursery() as nursery:
                for number in range(len(programs)):
                    nursery.start_soon(client, number, name=f"client {number}")
            await trio.sleep(10)
            children = supervisor.which_children()
            assert all(child.state == "running" for child in children), children
            assert {child.ref for child in children} == {owner for _, owner, _ in registry.select_nowait()}
        supervisor.stop()
    assert_nothing_left(registry)


async def a_shutdown_leaves_nothing(draw: Random) -> None:
    """A tree is shut down, gives up, or is cancelled, while clients call, start and crash its actors. Each client gets
    an end, and no task and no name is left."""
    registry: Registry[str, None] = Registry("names")
    steps = [(what, wait) for what in ("call", "cast", "start", "crash", "wait", "terminate") for wait in PAUSES]
    programs = plans(draw, steps, tasks=4, length=4)
    how, after = draw.choice(["stop", "cancel", "give up", "raise"]), draw.choice([-1, 0, 0, 1, 2])
    slow, limit = draw.choice([-1, 0, 1]), draw.choice([0, 2, math.inf])
    lives: list[str] = []
    over: list[int] = []
    before = trio.lowlevel.current_statistics().tasks_living
    known = (
        ActorExited,
        NotRegistered,
        NotRunning,
        AlreadyRegistered,
        ChildNotFound,
        RestartLimitExceeded,
        Boom,
        CallCycle,
    )

    async def client(number: int, supervisor: Supervisor) -> None:
        address = registry.via("b", wait=number % 2 == 0)
        try:
            for what, wait in programs[number]:
                await pause(wait)
                try:
                    if what == "call":
                        assert await address.call(Server.ask_slowly, number) == number
                    elif what == "cast":
                        await address.cast(Server.ask, number)
                    elif what == "start":
                        await supervisor.start_child(Server, lives, f"new {number}", slow, restart="temporary")
                    elif what == "crash":
                        await address.cast(Server.crash)
                    elif what == "wait":
                        with trio.move_on_after(1):
                            await registry.via("a").wait()
                    else:
                        await supervisor.terminate_child("c")
                except known:
                    pass
        finally:
            over.append(number)

    with trio.move_on_after(200) as limit_of_time:
        async with trio.open_nursery() as outside:
            with trio.CancelScope() as scope:
                try:
                    specs = [ChildSpec(Server, (lives, name, slow), id=name, name=registry.via(name)) for name in "abc"]
                    async with open_supervisor(specs, max_restarts=limit) as supervisor:
                        for number in range(len(programs)):
                            outside.start_soon(client, number, supervisor, name=f"client {number}")
                        await pause(after)
                        if how == "stop":
                            supervisor.stop()
                        elif how == "cancel":
                            scope.cancel()
                        elif how == "raise":
                            raise Boom
                        else:
                            for _ in range(9):
                                ref = registry.whereis("a")
                                if isinstance(ref, ActorRef) and ref.is_alive:
                                    ref.kill()
                                await trio.lowlevel.checkpoint()
                            await trio.sleep(1)
                            supervisor.stop()
                except* known as group:
                    errors = leaves(group)
                    assert all(isinstance(error, known) for error in errors)
            # The tree has ended: a client that waits for a name would wait for ever.
            assert not any(registry.lookup(name) for name in "abc")
            await wait_all_tasks_blocked()
            outside.cancel_scope.deadline = trio.current_time() + 50
    assert not limit_of_time.cancelled_caught, "it hangs"
    assert sorted(over) == list(range(len(programs)))[: len(over)] and len(over) in (0, len(programs))
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert_nothing_left(registry)


SCENARIOS: list[Any] = [
    a_restart_keeps_the_name,
    restarts_of_several_keep_the_order,
    one_start_of_a_name,
    a_shutdown_leaves_nothing,
]
