"""Tests the inside: an actor can't tell a shared turn from a turn of its own.

A program runs twice in virtual time: once as it is, and once with turns of its own for each actor. All operations of a
burst happen in one step. What each actor handles, in which order, its numbers, and how it ends must be the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from typing import Any, Literal, TypeAlias

import trio
from hypothesis import given
from hypothesis import strategies as st
from support.inside import ask_to_stop
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    DynamicSupervisor,
    Exit,
    PubSub,
    Registry,
    TrioregError,
    Wildcard,
    current_owner,
    open_dynamic_supervisor,
    raises,
)
from trioreg._actors import keep_own_turns
from trioreg.debug import resume, suspend
from trioreg.testing import crash, hang, slow

ACTORS = 6
Effect: TypeAlias = Literal["note", "crash", "declared", "coroutine", "stop", "cancel", "cast", "send", "leave", "task"]
Step: TypeAlias = tuple[str, int, Effect]


class World:
    """What the actors of one program share."""

    def __init__(self) -> None:
        self.topics: PubSub[str, Any] = PubSub("topics")
        self.rooms: Registry[str, None] = Registry("rooms", keys="duplicate")
        self.refs: dict[int, ActorRef[Any]] = {}
        self.log: list[list[object]] = [[] for _ in range(ACTORS)]
        self.done = [0] * ACTORS


class Member(Actor):
    """It keeps what it handles. The kind of the actor is in the class."""

    def __init__(self, number: int, world: World) -> None:
        self.number = number
        self.world = world
        self.note("born")
        world.refs[number] = self.ref
        world.rooms.register("room", owner=self.ref)
        world.topics.join("a.b", type(self).take, owner=self.ref)
        if number % 2:
            world.topics.join(Wildcard("a.*"), type(self).take, owner=self.ref)
        world.topics.join("c", type(self).later if number == 3 else type(self).take, owner=self.ref)
        if number == 4:
            world.topics.join("c", owner=self.ref)

    def note(self, what: object) -> None:
        self.world.log[self.number].append(what)

    @raises(LookupError)
    def take(self, message: tuple[int, Effect]) -> object:
        self.note(message)
        effect = message[1]
        if effect == "crash":
            raise ValueError
        if effect == "declared":
            raise LookupError
        if effect == "coroutine":
            return self.go_on(message)
        if effect == "stop":
            self.stop("a value")
        elif effect == "cancel":
            self.ref.cancel()
        elif effect == "cast":
            self.ref.cast_nowait(type(self).note, ("by itself", message))
        elif effect == "send":
            self.ref.send_nowait(("by itself", message))
        elif effect == "leave":
            self.world.topics.leave("a.b", owner=current_owner())
        elif effect == "task":
            self.start_soon(self.work)
        return None

    async def later(self, message: tuple[int, Effect]) -> None:
        self.note("later")
        result: Any = self.take(message)
        if isinstance(result, Coroutine):
            await result

    async def go_on(self, message: object) -> None:
        self.note(("goes on", message))

    async def work(self) -> None:
        await trio.lowlevel.checkpoint()
        self.world.done[self.number] += 1  # in no order

    async def on_message(self, message: object) -> None:
        self.note(("sent", message))

    async def on_stop(self, exit: Exit) -> None:
        self.note(("stops", exit.reason))


class Bounded(Member):
    mailbox_size = 2


class Own(Member):
    own_turn = True


class Starting(Member):
    """It has a scope from its start on."""

    async def on_start(self) -> None:
        self.note("starts")


class Idle(Member):
    idle_timeout = 3

    async def on_idle(self) -> None:
        self.note("idle")


WAITING = {"cancel all", "call", "publish", "suspend", "resume"}
"""What takes several steps of several tasks, which Trio runs in no order: it is done after the burst."""

CLASSES: list[type[Member]] = [Member, Starting, Bounded, Member, Idle, Own]


def _operate(
    world: World, supervisors: list[trio.CancelScope], blocks: ExitStack, nursery: trio.Nursery, step: Step
) -> None:
    operation, number, effect = step
    message = (number, effect)
    ref = world.refs[number % ACTORS]
    cls: Any = CLASSES[number % ACTORS]
    if operation in ("a.b", "c"):
        world.topics.publish_nowait(operation, message)
    elif operation == "publish":
        nursery.start_soon(world.topics.publish, "a.b", message)
    elif operation == "cast_all":
        world.rooms.cast_all("room", Member.take, message, on_full="drop")
    elif operation == "cancel all":
        supervisors[number % 2].cancel()
    elif not ref.is_alive:
        pass
    elif operation == "stop":
        ask_to_stop(ref)
    elif operation == "cancel":
        ref.cancel()
    elif operation == "kill":
        ref.kill()
    elif ref.state != "running":
        pass
    elif operation == "cast":
        if not (number % ACTORS == 2 and ref.statistics().queued >= 2):
            ref.cast_nowait(cls.take, message)
    elif operation == "send":
        if not (number % ACTORS == 2 and ref.statistics().queued >= 2):
            ref.send_nowait(message)
    elif operation == "crash":
        crash(ref, OSError("from outside"))
    elif operation == "call":
        nursery.start_soon(_try, ref.call, cls.take, message)
    elif operation == "suspend":
        nursery.start_soon(_try, suspend, ref)
    elif operation == "resume":
        nursery.start_soon(_try, resume, ref)
    elif operation == "hang":
        blocks.enter_context(hang(ref))
    elif operation == "slow":
        blocks.enter_context(slow(ref, 1))
    elif operation == "let through":
        blocks.close()


async def _try(function: Callable[..., Any], *args: object) -> None:
    with trio.move_on_after(50), suppress(TrioregError, LookupError):
        await function(*args)


async def _run(bursts: list[list[Step]], found: list[object]) -> None:
    world = World()
    scopes: list[trio.CancelScope] = []

    async def supervise(task_status: trio.TaskStatus[DynamicSupervisor]) -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            async with open_dynamic_supervisor(max_restarts=float("inf")) as supervisor:
                task_status.started(supervisor)
                await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        supervisors = [await nursery.start(supervise) for _ in range(2)]
        all_refs: list[ActorRef[Any]] = []
        for number, cls in enumerate(CLASSES):
            await supervisors[number % 2].start_child(cls, number, world, restart="transient")
        await wait_all_tasks_blocked()
        with ExitStack() as blocks:
            for burst in bursts:
                for step in burst:
                    if step[0] not in WAITING:
                        _operate(world, scopes, blocks, nursery, step)
                for ref in world.refs.values():
                    if ref not in all_refs:
                        all_refs.append(ref)
                found.append([_seen(ref, with_peak=False) for ref in world.refs.values()])
                await wait_all_tasks_blocked()
                found.append([_seen(ref, with_peak=True) for ref in world.refs.values()])
                found.append([list(each) for each in world.log])
                for step in burst:
                    if step[0] in WAITING:
                        _operate(world, scopes, blocks, nursery, step)
                        await wait_all_tasks_blocked()
        await trio.sleep(100)
        found.append([_seen(ref, with_peak=False) for ref in [*all_refs, *world.refs.values()]])
        found += [world.log, world.done]
        nursery.cancel_scope.cancel()


def _seen(ref: ActorRef[Any], with_peak: bool) -> object:
    if ref._cell is None:
        exit = ref.exit
        assert exit is not None
        return exit.reason, exit.value, type(exit.error)
    numbers = ref.statistics()
    return ref.state, numbers.queued, numbers.handled, numbers.restarts, numbers.peak if with_peak else None


EFFECTS = st.sampled_from(
    ["note", "note", "note", "crash", "declared", "coroutine", "stop", "cancel", "cast", "send", "leave", "task"]
)
OPERATIONS = st.sampled_from(
    [
        *3 * ["a.b", "c", "cast_all"],
        "publish",
        "cancel all",
        "stop",
        "cancel",
        "kill",
        "cast",
        "send",
        "crash",
        "call",
        "suspend",
        "resume",
        "hang",
        "slow",
        "let through",
    ]
)
STEPS: st.SearchStrategy[Any] = st.tuples(OPERATIONS, st.integers(0, ACTORS - 1), EFFECTS)


@given(st.lists(st.lists(STEPS, min_size=1, max_size=6), min_size=1, max_size=5))
def test_what_an_actor_handles_does_not_depend_on_whose_turn_it_is(bursts: list[list[Step]]) -> None:
    found: list[list[object]] = []
    for is_shared in (True, False):
        seen: list[object] = []
        records = _Records()
        logger = logging.getLogger("trioreg")
        logger.addHandler(records)

        async def main(is_shared: bool = is_shared, seen: list[object] = seen) -> None:
            if not is_shared:
                keep_own_turns()
            await _run(bursts, seen)

        try:
            trio.run(main, clock=MockClock(autojump_threshold=0))
        finally:
            logger.removeHandler(records)
        found.append([*seen, sorted(records.lines)])
    assert found[0] == found[1]


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.levelname} {record.msg}")
