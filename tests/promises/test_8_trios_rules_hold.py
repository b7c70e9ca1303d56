"""Promise 8, Trio's rules hold: every await of the public API is a checkpoint, and a cancelled caller learns it.

Each public async function and block is awaited here where it need not wait: so a checkpoint that is missing shows.
`test_each_public_async_function_is_awaited_here` holds the list complete.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from support.errors import leaves
from support.interrupts import interrupted_at_each_line
from support.supervisors import supervised, supervising
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    Address,
    ChildSpec,
    DynamicSupervisor,
    Feed,
    Function,
    NotRunning,
    OnDemand,
    Partitions,
    PartitionSupervisor,
    Pool,
    PubSub,
    Registry,
    Supervisor,
    TaskStream,
    Via,
    await_many,
    open_dynamic_supervisor,
    open_on_demand,
    open_partition_supervisor,
    open_pool,
    open_stream,
    open_supervisor,
    race,
    receive,
)


class Quick(Actor):
    def __init__(self, key: str = "") -> None:
        self.key = key

    def work(self) -> None:
        pass


async def returns() -> int:
    return 7


async def nothing(*_: object) -> None:
    pass


@attrs.frozen
class World:
    """One of each, running and idle."""

    fixed: Supervisor
    dynamic: DynamicSupervisor
    ref: ActorRef[Quick]
    done: ActorRef[Function[int]]
    names: Registry[str, int]
    via: Via[str, int, Any]
    topics: PubSub[str, str]
    feed: Feed[str]
    partitions: Partitions[DynamicSupervisor]
    parts: PartitionSupervisor[DynamicSupervisor]
    carts: OnDemand[str, Quick]
    cart: ActorRef[Quick]
    on_demand: trioreg.OnDemandSupervisor
    pool: Pool[Quick]
    stream: TaskStream[None]


@asynccontextmanager
async def world() -> AsyncGenerator[World]:
    names: Registry[str, int] = Registry("names")
    topics: PubSub[str, str] = PubSub("topics")
    carts: OnDemand[str, Quick] = OnDemand("carts", Quick)
    pool: Pool[Quick] = Pool("pool", Quick, size=2)
    partitions: Partitions[DynamicSupervisor] = Partitions("partitions", 2)
    async with (
        supervising([ChildSpec(Quick, id="one", restart="temporary")]) as fixed,
        supervised() as dynamic,
        open_on_demand(carts) as on_demand,
        open_pool(pool),
        open_partition_supervisor(partitions, DynamicSupervisor, at_end="stop") as parts,
        topics.subscribe("topic") as feed,
        open_stream(nothing, range(9), max_concurrency=2) as stream,
    ):
        assert feed is not None
        ref = await dynamic.start_child(Quick, name=names.via("quick", 1), restart="temporary")
        done = await dynamic.start_child(returns, restart="temporary")
        topics.publish_nowait("topic", "message")
        carts.via("key").cast_nowait(Quick.work)
        await wait_all_tasks_blocked()
        cart = carts.whereis("key")
        assert cart is not None
        yield World(
            fixed, dynamic, ref, done, names, names.via("quick", 1), topics, feed, partitions, parts, carts, cart,
            on_demand, pool, stream,
        )  # fmt: skip


AWAITS: dict[str, Callable[[World], Awaitable[object]]] = {
    "Address.call": lambda w: w.carts.via("key").call(Quick.work),
    "Address.cast": lambda w: w.carts.via("key").cast(Quick.work),
    "Address.send": lambda w: w.carts.via("key").send(1),
    "Address.stop": lambda w: w.names.via("quick", wait=True).stop(),
    "ActorRef.call": lambda w: w.ref.call(Quick.work),
    "ActorRef.cast": lambda w: w.ref.cast(Quick.work),
    "ActorRef.send": lambda w: w.ref.send(1),
    "ActorRef.wait": lambda w: w.done.wait(),
    "ActorRef.stop": lambda w: w.ref.stop(),
    "ActorRef.result": lambda w: w.done.result(),
    "Via.call": lambda w: w.via.call(Quick.work),
    "Via.cast": lambda w: w.via.cast(Quick.work),
    "Via.send": lambda w: w.via.send(1),
    "Via.stop": lambda w: w.via.stop(),
    "await_many": lambda w: await_many([w.done]),
    "race": lambda w: race([w.done]),
    "Supervisor.start_child": lambda w: w.fixed.start_child(Quick),
    "Supervisor.terminate_child": lambda w: w.fixed.terminate_child("one"),
    "DynamicSupervisor.start_child": lambda w: w.dynamic.start_child(Quick),
    "DynamicSupervisor.start_or_get": lambda w: w.dynamic.start_or_get(Quick, name=w.names.via("quick", 1)),
    "DynamicSupervisor.terminate_child": lambda w: w.dynamic.terminate_child(w.ref),
    "OnDemandSupervisor.terminate_child": lambda w: w.on_demand.terminate_child(w.cart),
    "PartitionSupervisor.terminate_child": lambda w: w.parts.terminate_child(0),
    "Partitions.start_child": lambda w: w.partitions.start_child("key", Quick),
    "Partitions.start_or_get": lambda w: w.partitions.start_or_get("key", Quick, name=w.names.via("another", 1)),
    "Feed.receive": lambda w: w.feed.receive(),
    "Feed.receive_some": lambda w: w.feed.receive_some(),
    "Feed.aclose": lambda w: w.feed.aclose(),
    "PubSub.publish": lambda w: w.topics.publish("nobody", "message"),
    "Pool.call": lambda w: w.pool.call(Quick.work),
    "Pool.cast": lambda w: w.pool.cast(Quick.work),
    "Pool.resize": lambda w: w.pool.resize(2),
    "Registry.select": lambda w: w.names.select("nobody"),
    "Registry.count_select": lambda w: w.names.count_select(),
    "Registry.acquire": lambda w: w.names.acquire("free", 1),
    "Registry.wait_for": lambda w: w.names.wait_for("quick"),
    "Registry.dispatch_parallel": lambda w: w.names.dispatch_parallel("quick", nothing),
    "TaskStream.__anext__": lambda w: w.stream.__anext__(),
}

ELSEWHERE = {
    "Supervisor.restart_child": "needs a child that has ended",
    "PartitionSupervisor.restart_child": "the same",
    "Address.wait": "waits for an end, and then there is no name any more",
    "Via.wait": "the same",
    "receive": "only in a function actor",
    # Refused at once, whatever the arguments.
    "OnDemandSupervisor.start_child": "refused",
    "PartitionSupervisor.start_child": "refused",
    "PoolSupervisor.start_child": "refused",
    "PoolSupervisor.terminate_child": "refused",
}
"""What has a test of its own below, or awaits nothing."""

BLOCKS: dict[str, Callable[[World], AbstractAsyncContextManager[object]]] = {
    "open_supervisor": lambda _: open_supervisor([]),
    "open_dynamic_supervisor": lambda _: open_dynamic_supervisor(),
    "open_partition_supervisor": lambda _: open_partition_supervisor(1, Quick, at_end="stop"),
    "open_on_demand": lambda _: open_on_demand(OnDemand("others", Quick)),
    "open_pool": lambda _: open_pool(Quick, size=1),
    "open_stream": lambda _: open_stream(nothing, [], max_concurrency=1),
    "Pool.claim": lambda w: w.pool.claim(),
    "PubSub.subscribe": lambda w: w.topics.subscribe("other"),
    "Registry.lock": lambda w: w.names.lock("key"),
}


def public_async_functions() -> set[str]:
    found: set[str] = set()
    for public in trioreg.__all__:
        thing = getattr(trioreg, public)
        if not inspect.isclass(thing):
            if inspect.iscoroutinefunction(inspect.unwrap(thing) if callable(thing) else thing):
                found.add(public)
            continue
        for name in dir(thing):
            if name.startswith("on_") or (name.startswith("_") and name != "__anext__"):
                continue  # what you write yourself, and what is private
            function = getattr(thing, name, None)
            if callable(function) and inspect.iscoroutinefunction(inspect.unwrap(function)):
                found.add(f"{public}.{name}")
    return found


def test_each_public_async_function_is_awaited_here() -> None:
    assert public_async_functions() == {*AWAITS, *ELSEWHERE}


@pytest.mark.parametrize("which", AWAITS)
async def test_an_await_that_need_not_wait_is_a_checkpoint(which: str, autojump_clock: MockClock) -> None:
    async with world() as w:
        with assert_checkpoints():
            await AWAITS[which](w)


@pytest.mark.parametrize("which", AWAITS)
async def test_an_await_in_a_cancelled_scope_raises_cancelled(which: str, autojump_clock: MockClock) -> None:
    async with world() as w:
        with trio.CancelScope() as scope:
            scope.cancel()
            await AWAITS[which](w)
        assert scope.cancelled_caught


@pytest.mark.parametrize("which", BLOCKS)
async def test_a_block_has_a_checkpoint_where_it_is_entered_and_can_be_cancelled_there(
    which: str, autojump_clock: MockClock
) -> None:
    async with world() as w:
        with assert_checkpoints():
            async with BLOCKS[which](w):
                pass
        is_entered = False
        with trio.CancelScope() as scope:
            scope.cancel()
            async with BLOCKS[which](w):
                is_entered = True
                await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert not is_entered or which.startswith("open_")  # a nursery is entered without a checkpoint, too


async def test_a_restart_is_a_checkpoint(autojump_clock: MockClock) -> None:
    async with world() as w:
        await w.fixed.terminate_child("one")
        spec = ChildSpec(Quick, id="two")
        await w.fixed.start_child(spec)
        await w.fixed.terminate_child("two")
        with assert_checkpoints():
            await w.fixed.restart_child("two")
        await w.parts.terminate_child(0)
        with assert_checkpoints():
            await w.parts.restart_child(0)


async def test_a_wait_for_an_end_by_name_can_be_cancelled(autojump_clock: MockClock) -> None:
    async with world() as w:
        for address in (w.via, w.carts.via("key")):
            with trio.move_on_after(1) as scope:
                await address.wait()
            assert scope.cancelled_caught


async def test_receive_is_a_checkpoint_though_a_message_is_there(autojump_clock: MockClock) -> None:
    async def function() -> object:
        trioreg.current().send_nowait("here")
        with assert_checkpoints():
            return await receive()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(function, restart="temporary")
        assert await ref.result() == "here"


async def test_a_shutdown_that_cancels_an_actor_swallows_no_cancellation_of_the_outside(
    autojump_clock: MockClock,
) -> None:
    """The scope around a supervisor is cancelled while a child ends: the block ends, and the scope has caught it."""
    ended: list[BaseException] = []

    class Slow(Actor):
        async def work(self) -> None:
            try:
                await trio.sleep_forever()
            except trio.Cancelled as error:
                ended.extend(leaves(error))
                raise

    with trio.CancelScope() as scope:
        async with open_supervisor([ChildSpec(Slow, id="slow")]) as supervisor:
            (child,) = supervisor.which_children()
            assert child.ref is not None
            child.ref.cast_nowait(Slow.work)
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert len(ended) == 1


NOT_RUNNING: dict[str, Callable[[Pool[Quick], Address[Quick]], Awaitable[object]]] = {
    "Pool.call": lambda pool, _: pool.call(Quick.work),
    "Pool.cast": lambda pool, _: pool.cast(Quick.work),
    "Pool.claim": lambda pool, _: pool.claim().__aenter__(),
    "Pool.resize": lambda pool, _: pool.resize(2),
    "Address.call": lambda _, address: address.call(Quick.work),
    "Address.cast": lambda _, address: address.cast(Quick.work),
    "Address.send": lambda _, address: address.send("hello"),
}


@pytest.mark.parametrize("which", NOT_RUNNING)
async def test_who_is_cancelled_does_not_learn_that_a_pool_or_an_actor_on_demand_does_not_run(
    which: str, autojump_clock: MockClock
) -> None:
    on_demand: OnDemand[str, Quick] = OnDemand("none", Quick)
    use = NOT_RUNNING[which]
    pool = Pool("none", Quick, size=1)
    with pytest.raises(NotRunning):
        await use(pool, on_demand.via("key"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await use(pool, on_demand.via("key"))
    assert scope.cancelled_caught


FROM_ANOTHER_RUN: dict[str, Callable[[World], object]] = {
    "call": lambda w: w.ref.call(Quick.work),
    "cast": lambda w: w.ref.cast(Quick.work),
    "cast_nowait": lambda w: w.ref.cast_nowait(Quick.work),
    "send_nowait": lambda w: w.ref.send_nowait("message"),
    "kill": lambda w: w.ref.kill(),
    "register": lambda w: w.names.register("name", 1),
    "start_child": lambda w: w.dynamic.start_child(Quick),
    "publish": lambda w: w.topics.publish("topic", "message"),
    "publish_nowait": lambda w: w.topics.publish_nowait("topic", "message"),
    "receive": lambda w: w.feed.receive(),
    "on demand": lambda w: w.carts.via("other").call(Quick.work),
    "pool": lambda w: w.pool.call(Quick.work),
}


@pytest.mark.parametrize("which", FROM_ANOTHER_RUN)
async def test_another_trio_run_in_a_thread_is_refused_and_changes_nothing(which: str) -> None:
    async with world() as w:

        async def other_run() -> None:
            result = FROM_ANOTHER_RUN[which](w)
            if inspect.isawaitable(result):
                await result

        before = w.ref.statistics(), w.names.count(), w.dynamic.count_children(), len(w.carts)
        with pytest.raises(RuntimeError) as caught:
            await trio.to_thread.run_sync(trio.run, other_run)
        assert not isinstance(caught.value, trio.TrioInternalError)
        assert (w.ref.statistics(), w.names.count(), w.dynamic.count_children(), len(w.carts)) == before


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("does", ["register", "unregister", "transfer", "take"])
def test_ctrl_c_at_any_line_of_a_change_leaves_no_half_of_it(does: str) -> None:
    names: Registry[str, int] = Registry("names")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            other = await nursery.start(other_task)
            me = trioreg.current_owner()
            try:
                match does:
                    case "register":
                        names.register("name", 1)
                    case "unregister":
                        names.register("name", 1)
                        names.unregister("name")
                    case "transfer":
                        names.register("name", 1)
                        names.transfer("name", other)
                    case _:
                        names.register("name", 1, owner=other)
                        names.take("name", 1)
            finally:
                held = [owner for owner in (me, other) if names.keys(owner)]
                assert held == [entry.owner for entry in names.lookup("name")]
                nursery.cancel_scope.cancel()

    async def other_task(*, task_status: trio.TaskStatus[trioreg.Owner]) -> None:
        task_status.started(trioreg.current_owner())
        await trio.sleep_forever()

    for place, errors in interrupted_at_each_line(main, "registration.py", "names.py"):
        assert errors <= {KeyboardInterrupt}, place
        assert names.count() == 0, place
