"""Every public method, from a thread or a Trio run that the object does not live in.

It is either documented as safe from any thread, or it is refused with a `RuntimeError` before anything has changed. The
methods are taken from ``trioreg.__all__``: a new one has to be added to `CALLS`, with a call that would do something.
"""

# The lambdas have no types.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import attrs
import pytest
import trio
from support.secret_agent import SecretAgent
from trio.testing import wait_all_tasks_blocked

import trioreg
from trioreg import (
    ANY,
    Actor,
    ActorRef,
    Address,
    ChildSpec,
    DynamicSupervisor,
    Entry,
    Feed,
    OnDemand,
    Partitions,
    PartitionSupervisor,
    Pool,
    PubSub,
    Registry,
    Reply,
    Supervisor,
    Timer,
    Via,
    Wildcard,
)


class Clock(Actor):
    """It gives away what belongs to its own run."""

    def me(self) -> Clock:
        return self

    def timer(self) -> Timer:
        return self.send_after(1000, "tick")

    def later(self) -> Reply[str]:
        self.reply: Reply[str] = Reply()
        return self.reply


@attrs.define
class World:
    """One object of each public class, alive in one Trio run."""

    supervisor: Supervisor
    dynamic: DynamicSupervisor
    inner: Supervisor
    partition_supervisor: PartitionSupervisor[Any]
    partitions: Partitions[Any]
    on_demand: OnDemand[str, SecretAgent]
    pool: Pool[SecretAgent]
    agent: ActorRef[SecretAgent]
    function: ActorRef[Any]
    clock: Clock
    timer: Timer
    reply: Reply[str]
    unique: Registry[Any, Any]
    many: Registry[Any, Any]
    via: Via[Any, Any, Any]
    feed: Feed[Any]
    topics: PubSub[str, str]

    def visible(self) -> object:
        """All that can be seen of these objects."""
        children = [
            (info.id, info.ref, info.state, info.restarts)
            for each in (self.supervisor, self.dynamic, self.inner, self.partition_supervisor)
            for info in each.which_children()
        ]
        engines = [
            (each._engine._lifecycle.is_closing, each._engine._lifecycle.closes_when_empty)
            for each in (self.supervisor, self.dynamic, self.inner, self.partition_supervisor)
        ]
        refs = [self.agent, self.clock.ref, self.inner.ref]
        return (
            children,
            engines,
            [(ref.is_alive, ref.exit, ref.statistics()) for ref in refs],
            self.on_demand.items(),
            (self.pool.statistics(), self.pool.workers()),
            repr(self.timer),
            self.reply.is_answered,
            [(each.tables(), each.meta("shape")) for each in (self.unique, self.many)],
            (self.topics.tables(), self.topics.retained("news")),
        )


async def look(entries: object) -> None:
    pass


def _spec() -> ChildSpec:
    return ChildSpec(SecretAgent, restart="temporary")


CALLS: dict[str, Callable[[World], object]] = {
    "Actor.cast_after": lambda w: w.clock.cast_after(1, Clock.me),
    "Actor.cast_every": lambda w: w.clock.cast_every(1, Clock.me),
    "Actor.send_after": lambda w: w.clock.send_after(1, "x"),
    "Actor.send_every": lambda w: w.clock.send_every(1, "x"),
    "Actor.start_soon": lambda w: w.clock.start_soon(trio.sleep_forever),
    "Actor.stop": lambda w: w.clock.stop(),
    "ActorRef.result": lambda w: w.function.result(),
    "ActorRef.stack": lambda w: w.agent.stack(),
    "ActorRef.statistics": lambda w: w.agent.statistics(),
    "Backoff.delay": lambda w: trioreg.Backoff().delay(1),
    "DynamicSupervisor.start_child": lambda w: w.dynamic.start_child(_spec()),
    "DynamicSupervisor.start_or_get": lambda w: w.dynamic.start_or_get(SecretAgent, name=w.unique.via("new", 1)),
    "DynamicSupervisor.stop": lambda w: w.dynamic.stop(),
    "DynamicSupervisor.terminate_child": lambda w: w.dynamic.terminate_child(w.dynamic.which_children()[0].ref),
    "DynamicSupervisor.which_child": lambda w: w.dynamic.which_child(w.dynamic.which_children()[0].ref),
    "DynamicSupervisor.which_children": lambda w: w.dynamic.which_children(),
    "OnDemand.items": lambda w: w.on_demand.items(),
    "OnDemand.via": lambda w: w.on_demand.via("new").cast_nowait(SecretAgent.note, "x"),
    "OnDemand.whereis": lambda w: w.on_demand.whereis("agent"),
    "Feed.aclose": lambda w: w.feed.aclose(),
    "Feed.close": lambda w: w.feed.close(),
    "Feed.receive": lambda w: w.feed.receive(),
    "Feed.receive_nowait": lambda w: w.feed.receive_nowait(),
    "Feed.receive_some": lambda w: w.feed.receive_some(),
    "Feed.statistics": lambda w: w.feed.statistics(),
    "PartitionSupervisor.via": lambda w: w.partition_supervisor.via(0).kill(),
    "Partitions.partition_of": lambda w: w.partitions.partition_of("x"),
    "Partitions.start_child": lambda w: w.partitions.start_child(0, SecretAgent),
    "Partitions.start_or_get": lambda w: w.partitions.start_or_get(0, SecretAgent, name=w.unique.via("new", 1)),
    "Partitions.via": lambda w: w.partitions.via(0).kill(),
    "Partitions.whereis": lambda w: w.partitions.whereis(0),
    "Pool.call": lambda w: w.pool.call(SecretAgent.echo, "text"),
    "Pool.cast": lambda w: w.pool.cast(SecretAgent.note, "x"),
    "Pool.claim": lambda w: w.pool.claim().__aenter__(),
    "Pool.map": lambda w: w.pool.map(SecretAgent.echo, ["text"]),
    "Pool.resize": lambda w: w.pool.resize(3),
    "Pool.statistics": lambda w: w.pool.statistics(),
    "Pool.workers": lambda w: w.pool.workers(),
    "PubSub.count": lambda w: w.topics.count("news"),
    "PubSub.dropped": lambda w: w.topics.dropped("news", w.agent),
    "PubSub.dump": lambda w: w.topics.dump(),
    "PubSub.forget": lambda w: w.topics.forget("news"),
    "PubSub.join": lambda w: w.topics.join("news", SecretAgent.note, owner=w.agent),
    "PubSub.leave": lambda w: w.topics.leave("news", owner=w.agent),
    "PubSub.members": lambda w: w.topics.members("news"),
    "PubSub.publish": lambda w: w.topics.publish("news", "late"),
    "PubSub.publish_nowait": lambda w: w.topics.publish_nowait("news", "late", retain=True),
    "PubSub.retained": lambda w: w.topics.retained("news"),
    "PubSub.subscribe": lambda w: w.topics.subscribe("news").__aenter__(),
    "PubSub.tables": lambda w: w.topics.tables(),
    "PubSub.topics": lambda w: w.topics.topics(),
    "PubSub.topics_of": lambda w: w.topics.topics_of(w.agent),
    "PubSub.update_value": lambda w: w.topics.update_value("news", lambda _: "new", owner=w.agent),
    "PubSub.watch": lambda w: w.topics.watch("news").__enter__(),
    "Registry.acquire": lambda w: w.unique.acquire("new", 1),
    "Registry.add": lambda w: w.unique.add("total", 1),
    "Registry.cast_all": lambda w: w.many.cast_all("agent", SecretAgent.echo, "text"),
    "Registry.cast_nowait": lambda w: w.unique.cast_nowait("agent", SecretAgent.note, "x"),
    "Registry.count": lambda w: w.unique.count(),
    "Registry.count_match": lambda w: w.unique.count_match("agent", ANY),
    "Registry.count_select": lambda w: w.unique.count_select(ANY, ANY),
    "Registry.delete_meta": lambda w: w.unique.delete_meta("shape"),
    "Registry.dispatch": lambda w: w.many.dispatch("agent", len),
    "Registry.dispatch_parallel": lambda w: w.many.dispatch_parallel("agent", look),
    "Registry.dump": lambda w: w.unique.dump(),
    "Registry.hold": lambda w: w.unique.hold("new", 1).__enter__(),
    "Registry.items": lambda w: w.unique.items(),
    "Registry.keys": lambda w: w.unique.keys(w.agent),
    "Registry.lock": lambda w: w.unique.lock("new").__aenter__(),
    "Registry.lookup": lambda w: w.unique.lookup("agent"),
    "Registry.match": lambda w: w.unique.match("agent", ANY),
    "Registry.meta": lambda w: w.unique.meta("shape"),
    "Registry.put_meta": lambda w: w.unique.put_meta("shape", "round"),
    "Registry.refs": lambda w: w.many.refs("agent", of=SecretAgent),
    "Registry.register": lambda w: w.unique.register("new", 1, owner=w.agent),
    "Registry.select": lambda w: w.unique.select(ANY, ANY),
    "Registry.select_nowait": lambda w: w.unique.select_nowait(ANY, ANY),
    "Registry.take": lambda w: w.unique.take("agent", 2, owner=w.clock.ref),
    "Registry.tables": lambda w: w.unique.tables(),
    "Registry.total": lambda w: w.unique.total("total"),
    "Registry.transfer": lambda w: w.unique.transfer("agent", w.clock.ref, owner=w.agent),
    "Registry.unregister": lambda w: w.unique.unregister("agent", owner=w.agent),
    "Registry.unregister_match": lambda w: w.unique.unregister_match("agent", ANY, owner=w.agent),
    "Registry.update_value": lambda w: w.unique.update_value("agent", lambda value: 2, owner=w.agent),
    "Registry.values": lambda w: w.unique.values("agent", w.agent),
    "Registry.via": lambda w: w.unique.via("agent").kill(),
    "Registry.wait_for": lambda w: w.unique.wait_for("never"),
    "Registry.watch": lambda w: w.unique.watch("agent").__enter__(),
    "Registry.whereis": lambda w: w.unique.whereis("agent"),
    "Reply.fail": lambda w: w.reply.fail(ValueError()),
    "Reply.send": lambda w: w.reply.send("answer"),
    "Supervisor.count_children": lambda w: w.supervisor.count_children(),
    "Supervisor.delete_child": lambda w: w.supervisor.delete_child("ended"),
    "Supervisor.restart_child": lambda w: w.supervisor.restart_child("ended"),
    "Supervisor.start_child": lambda w: w.supervisor.start_child(_spec()),
    "Supervisor.stop": lambda w: w.supervisor.stop(),
    "Supervisor.terminate_child": lambda w: w.supervisor.terminate_child("inner"),
    "Supervisor.tree": lambda w: w.supervisor.tree(),
    "Supervisor.which_child": lambda w: w.supervisor.which_child("inner"),
    "Supervisor.which_children": lambda w: w.supervisor.which_children(),
    "Timer.cancel": lambda w: w.timer.cancel(),
    "Via.whereis": lambda w: w.via.whereis(),
    "Wildcard.matches": lambda w: Wildcard("news.*").matches("news.today"),
    "await_many": lambda w: trioreg.await_many([w.function]),
    "current": lambda w: trioreg.current(),
    "race": lambda w: trioreg.race([w.function]),
    "receive": lambda w: trioreg.receive(),
    "send_after": lambda w: trioreg.send_after(1, "x"),
    "send_every": lambda w: trioreg.send_every(1, "x"),
    "who": lambda w: trioreg.who(w.agent),
}


def calls_of(name: str, of: Callable[[World], Address[Any]]) -> dict[str, Callable[[World], object]]:
    """The methods of an address, under the name of its class."""
    return {
        f"{name}.call": lambda w: of(w).call(SecretAgent.read),
        f"{name}.cancel": lambda w: of(w).cancel(),
        f"{name}.cast": lambda w: of(w).cast(SecretAgent.note, "x"),
        f"{name}.cast_nowait": lambda w: of(w).cast_nowait(SecretAgent.note, "x"),
        f"{name}.kill": lambda w: of(w).kill(),
        f"{name}.send": lambda w: of(w).send("x"),
        f"{name}.send_nowait": lambda w: of(w).send_nowait("x"),
        f"{name}.stop": lambda w: of(w).stop(),
        f"{name}.wait": lambda w: of(w).wait(),
    }


CALLS.update(calls_of("ActorRef", lambda w: w.agent))
CALLS.update(calls_of("Via", lambda w: w.via))

# These always raise, or make something of their own: there is nothing to protect.
OWN = {
    "ChildSpec.as_significant",
    "ChildSpec.named",
    "ChildSpec.restarted",
    "ChildSpec.with_id",
    "ChildSpec.within",
    "OnDemandSupervisor.start_child",
    "RegistryInfo.dump",
    "RegistryInfo.tables",
    "Table.format",
    "Tree.format",
    "Tree.walk",
    "add_instrument",
    "dump",
    "registries",
    "remove_instrument",
    "tree",
    "PoolSupervisor.start_child",
    "PoolSupervisor.terminate_child",
    "current_owner",
    "PartitionSupervisor.start_child",
    "child",
    "connection_handler",
    "open_dynamic_supervisor",
    "open_on_demand",
    "open_partition_supervisor",
    "open_pool",
    "open_stream",
    "open_supervisor",
    "raises",
    "run",
}
# Hooks are the user's own code, and an `Agent`'s methods are messages.
HOOKS = {"on_idle", "on_message", "on_start", "on_started", "on_stop", *vars(trioreg.Instrument)}
NOT_CALLED = HOOKS | {"get", "update", "get_and_update"}


def public_callables() -> dict[str, Any]:
    """Each public function, and each public method under the name of the class that defines it or is exported."""
    found: dict[str, Any] = {}
    for name in trioreg.__all__:
        value = getattr(trioreg, name)
        if inspect.isfunction(value):
            found[name] = value
        if not inspect.isclass(value) or issubclass(value, BaseException | Entry):
            continue
        for method in dir(value):
            function = getattr(value, method)
            if not method.startswith("_") and inspect.isfunction(function) and method not in NOT_CALLED:
                found[f"{name}.{method}"] = function
    return found


def is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or function.__name__ in {"acquire", "claim", "lock", "subscribe"}


PUBLIC = public_callables()


def test_the_calls_of_this_test_are_the_whole_public_surface() -> None:
    tried = {PUBLIC[name] for name in CALLS}
    assert {name for name, function in PUBLIC.items() if function not in tried} - OWN - {"Address.stop"} == set()


async def open_world(stack: AsyncExitStack) -> World:
    unique: Registry[Any, Any] = Registry("unique", totals=True)
    many: Registry[Any, Any] = Registry("many", keys="duplicate")
    for each in (unique, many):
        each.put_meta("shape", "square")
    partitions: Partitions[Any] = Partitions("partitions", 2)

    async def forever() -> None:
        await trio.sleep_forever()

    async def nothing() -> None:
        pass

    inner = ChildSpec(Inner, ([ChildSpec(SecretAgent)],), id="inner")
    children = [inner, ChildSpec(forever), ChildSpec(nothing, id="ended")]
    supervisor = await stack.enter_async_context(trioreg.open_supervisor(children))
    dynamic = await stack.enter_async_context(trioreg.open_dynamic_supervisor())
    partitioned = await stack.enter_async_context(trioreg.open_partition_supervisor(partitions, DynamicSupervisor))
    on_demand: OnDemand[str, SecretAgent] = OnDemand("on demand", SecretAgent)
    await stack.enter_async_context(trioreg.open_on_demand(on_demand))
    await on_demand.via("agent").call(SecretAgent.echo, "text")
    pool = await stack.enter_async_context(trioreg.open_pool(SecretAgent, size=2))
    agent = await dynamic.start_child(SecretAgent, name=unique.via("agent", 1), restart="temporary")
    many.register("agent", owner=agent)
    clock = await (await dynamic.start_child(Clock, restart="temporary")).call(Clock.me)
    nursery = await stack.enter_async_context(trio.open_nursery())
    nursery.start_soon(clock.ref.call, Clock.later)
    topics: PubSub[str, str] = PubSub("topics")
    topics.join("news", SecretAgent.note, owner=agent)
    topics.publish_nowait("news", "early", retain=True)
    await wait_all_tasks_blocked()
    made = made_inner[-1]
    return World(
        supervisor,
        dynamic,
        made,
        partitioned,
        partitions,
        on_demand,
        pool,
        agent,
        cast("ActorRef[Any]", supervisor.which_children()[1].ref),
        clock,
        await clock.ref.call(Clock.timer),
        clock.reply,
        unique,
        many,
        unique.via("agent"),
        stack.enter_context(unique.watch("agent", initial=True)),
        topics,
    )


made_inner: list[Inner] = []


class Inner(Supervisor):
    def __init__(self, children: list[ChildSpec]) -> None:
        super().__init__(children)
        made_inner.append(self)


async def await_it(function: Callable[[World], object], world: World) -> None:
    result = function(world)
    if isinstance(result, Awaitable):
        await result


def in_a_plain_thread(function: Callable[[World], object], world: World) -> None:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            function(world)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if caught:
        raise caught[0]


def in_another_run(function: Callable[[World], object], world: World) -> None:
    async def main() -> None:
        with trio.fail_after(5):
            await await_it(function, world)

    trio.run(main)


def call_it(function: Callable[[World], object], world: World) -> None:
    function(world)


PLACES: dict[str, Callable[[Callable[[World], object], World], None]] = {
    "a worker thread": call_it,
    "a thread of its own": in_a_plain_thread,
    "another run": in_another_run,
}


# Nothing can be awaited where there is no run.
CASES = [(name, place) for name in CALLS for place in PLACES if place == "another run" or not is_async(PUBLIC[name])]


@pytest.mark.parametrize(("name", "place"), CASES)
async def test_a_public_method_is_refused_in_a_foreign_thread_or_documented_as_safe(name: str, place: str) -> None:
    async with AsyncExitStack() as stack:
        world = await open_world(stack)
        before = world.visible()
        is_safe = "any thread" in (PUBLIC[name].__doc__ or "")
        try:
            await trio.to_thread.run_sync(PLACES[place], CALLS[name], world)
        except trio.TrioInternalError:
            raise
        except RuntimeError:
            assert not is_safe
            assert world.visible() == before
        else:
            assert is_safe, "neither refused, nor documented as safe from any thread"
            await wait_all_tasks_blocked()
        # Nothing is half done: each ends as it does without that call.
        world.reply.send("answer")
        for supervisor in (world.supervisor, world.dynamic, world.partition_supervisor):
            supervisor.stop()
