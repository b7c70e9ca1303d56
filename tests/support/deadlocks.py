"""Random programs of actors that wait for each other, with and without a search for cycles of waits."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any, Literal, TypeAlias, cast

import attrs
import pytest
import trio
from hypothesis import strategies as st
from trio.testing import MockClock

import trioreg
from trioreg import Actor, ActorRef, CallCycle, OnDemand, Pool, PubSub, Registry, TrioregError
from trioreg._actors import any_wait, deadlock
from trioreg._pool import pool_engine, stuck

Kind = Literal[
    "sleep",
    "ping",
    "call",
    "cast",
    "start",
    "on_start",
    "get",
    "many",
    "race",
    "both",
    "pool",
    "claim",
    "demand",
    "publish",
    "stop",
]
Ref: TypeAlias = "ActorRef[Any]"

PARENT = 3
FOREVER = 10_000


@attrs.frozen(eq=False)
class Step:
    """One thing that an actor does, perhaps with steps that another actor does for it.

    Attributes:
        target: The number of an actor, or `PARENT`: the actor that has started this one. For "sleep", the seconds.
        parts: The steps that others do for it: all parts, side by side, for "many", "race" and "both"; else the first.
    """

    kind: Kind
    target: int = 0
    parts: tuple[tuple[Step, ...], ...] = ()

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join([str(self.target), *map(str, map(list, self.parts))])})"


@attrs.frozen
class Program:
    """What each of some plain tasks asks of an actor, one after the other, and how the tasks are scheduled."""

    askers: tuple[tuple[Step, ...], ...]
    mailbox_size: int | None = None
    workers: int = 1
    room: int = 1
    seed: int = 0


def steps(*, claims: bool) -> st.SearchStrategy[Step]:
    targets = st.integers(0, PARENT)
    leaves = st.one_of(
        st.builds(Step, st.just("sleep"), st.integers(0, 2)),
        st.builds(Step, st.just("ping"), targets),
        st.builds(Step, st.sampled_from(cast("list[Kind]", ["stop", "publish"]))),
    )

    def more(inner: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
        part = st.lists(inner, max_size=3).map(tuple)
        one = st.tuples(part)
        some = st.lists(part, min_size=1, max_size=2).map(tuple)
        return st.one_of(
            st.builds(Step, st.sampled_from(cast("list[Kind]", ["call", "call", "cast"])), targets, one),
            st.builds(Step, st.sampled_from(cast("list[Kind]", ["get", "demand"])), targets, one),
            st.builds(
                Step,
                st.sampled_from(cast("list[Kind]", ["start", "on_start", "pool"] + ["claim"] * claims)),
                st.just(0),
                one,
            ),
            st.builds(Step, st.sampled_from(cast("list[Kind]", ["many", "race", "both"])), st.just(0), some),
        )

    return st.recursive(leaves, more, max_leaves=12)


def programs(*, claims: bool) -> st.SearchStrategy[Program]:
    asked = st.tuples(st.lists(steps(claims=claims), max_size=4).map(tuple))
    asker = st.lists(st.builds(Step, st.just("call"), st.integers(0, 2), asked), min_size=1, max_size=2).map(tuple)
    return st.builds(
        Program,
        st.lists(asker, min_size=1, max_size=3).map(tuple),
        mailbox_size=st.sampled_from([None, 1]),
        workers=st.integers(1, 2),
        room=st.integers(1, 2),
        seed=st.integers(0, 3),
    )


@attrs.define
class World:
    """What the actors of one run share.

    Attributes:
        open: The steps that have begun and not ended, by their numbers.
        hung: The steps that have not ended when nothing happens any more, by their numbers.
        refused: The step that has met the first `CallCycle`, and the error; None if there was none.
    """

    supervisor: trioreg.DynamicSupervisor
    scope: trio.CancelScope
    actors: list[ActorRef[Node]] = attrs.Factory(list[Any])
    pool: Pool[Worker] | None = None
    names: Registry[int, None] = attrs.Factory(lambda: Registry("names"))
    topics: PubSub[str, None] = attrs.Factory(lambda: PubSub("topics"))
    demand: OnDemand[int, OnCall] | None = None
    open: dict[int, Step] = attrs.Factory(dict[int, Step])
    count: int = 0
    refused: tuple[int, Step, CallCycle] | None = None
    hung: dict[int, Step] = attrs.Factory(dict[int, Step])


class Worked(Actor):
    """It does the steps that it is asked for."""

    def __init__(self, world: World, parent: Ref | None = None, first: tuple[Step, ...] = ()) -> None:
        self.world = world
        self.parent = parent
        self.first = first
        self.children: list[Ref] = []

    async def on_start(self) -> None:
        await do(self.world, self.first, self.ref, self.parent, self.children)

    async def run(self, steps: tuple[Step, ...]) -> None:
        await do(self.world, steps, self.ref, self.parent, self.children)

    def ping(self) -> None: ...

    async def hear(self, message: None) -> None:
        await trio.sleep(1)


class Node(Worked): ...


class Small(Node):
    mailbox_size = 1


class Worker(Worked): ...


class OnCall(Worked):
    def __init__(self, key: int, world: World) -> None:
        super().__init__(world)


async def function(world: World, parent: Ref | None, steps: tuple[Step, ...]) -> None:
    await do(world, steps, None, parent, [])


async def do(
    world: World,
    steps: tuple[Step, ...],
    own: Ref | None,
    parent: Ref | None,
    children: list[Ref],
) -> None:
    for step in steps:
        world.count += 1
        number = world.count
        world.open[number] = step
        try:
            await do_one(world, step, own, parent, children)
        except CallCycle as error:
            if world.refused is None:
                world.refused = number, step, error
            world.scope.cancel()
        except TrioregError:
            pass
        del world.open[number]


async def do_one(
    world: World,
    step: Step,
    own: Ref | None,
    parent: Ref | None,
    children: list[Ref],
) -> None:
    me = own or parent  # a function handles no message: what it starts calls its parent
    target: Ref
    if step.target == PARENT and step.kind != "sleep":
        target = parent or world.actors[0]
    else:
        target = world.actors[step.target % 3]
    first = step.parts[0] if step.parts else ()
    start = world.supervisor.start_child
    assert world.pool is not None
    match step.kind:
        case "sleep":
            await trio.sleep(step.target)
        case "ping":
            await target.call(Worked.ping)
        case "call":
            await target.call(Worked.run, first)
        case "cast":
            await target.cast(Worked.run, first)
        case "start":
            await start(function, world, me, first, restart="temporary")
        case "on_start":
            children.append(await start(Node, world, me, first, restart="temporary"))
        case "get":
            name = world.names.via(step.target)
            await world.supervisor.start_or_get(Node, world, me, first, name=name, restart="temporary")
        case "demand":
            assert world.demand is not None
            await world.demand.via(step.target).call(Worked.run, first)
        case "publish":
            await world.topics.publish("topic", None)
        case "many" | "race":
            refs = [await start(function, world, me, part, restart="temporary") for part in step.parts]
            await (trioreg.await_many if step.kind == "many" else trioreg.race)(refs)
        case "both":
            async with trio.open_nursery() as nursery:
                for part in step.parts:
                    nursery.start_soon(do, world, part, me, parent, children)
        case "pool":
            await world.pool.call(Worked.run, first)
        case "claim":
            async with world.pool.claim() as worker:
                await worker.call(Worked.ping)
                await do(world, first, me, parent, children)
        case "stop":
            if children:
                await children[-1].stop()


def run(program: Program, *, searches: bool) -> World:
    """Run a program until nothing happens any more, or until the first `CallCycle`."""
    result: list[World] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trioreg.open_dynamic_supervisor(max_restarts=math.inf) as supervisor:
                world = World(supervisor, scope)
                result.append(world)
                kind = Node if program.mailbox_size is None else Small
                world.actors += [await supervisor.start_child(kind, world, restart="temporary") for _ in range(3)]
                for actor in world.actors:
                    world.topics.join("topic", Worked.hear, buffer=1, overflow="wait", owner=actor)
                world.demand = OnDemand("on call", OnCall, world, max_running=program.room)
                async with (
                    trioreg.open_on_demand(world.demand),
                    trioreg.open_pool(Worker, world, size=program.workers) as world.pool,
                    trio.open_nursery() as nursery,
                ):
                    for asker in program.askers:
                        nursery.start_soon(ask, world, asker)
                    await trio.sleep(FOREVER)
                    world.hung = dict(world.open)
                    scope.cancel()

    async def ask(world: World, asker: tuple[Step, ...]) -> None:
        for step in asker:
            with suppress(TrioregError):
                await world.actors[step.target].call(Worked.run, step.parts[0])

    scheduler: Any = trio._core._run  # Trio shows no way to have one schedule twice
    scheduler._r.seed(program.seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
        if not searches:
            search_for_nothing(patch)
        trio.run(main, clock=MockClock(autojump_threshold=0))
    return result[0]


def search_for_nothing(patch: pytest.MonkeyPatch) -> None:
    def nothing_found(*_: object, **__: object) -> list[Any]:
        return []

    def no_error(*_: object) -> None:
        return None

    patch.setattr(deadlock, "_path", nothing_found)
    patch.setattr(any_wait, "_stuck", nothing_found)
    for module in (stuck, pool_engine):
        patch.setattr(module, "cycle_of_claims", no_error)
