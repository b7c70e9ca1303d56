"""trioreg's side of the benchmarks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any, NoReturn, cast

import trio
from _pairs import in_pairs
from _peer import ACTORS, AUDIENCES, CALLERS, CALLS, CASTS, IDLE, NAMES, PARTITIONS, Memory, Sampler, serve
from peer_trio import FLOORS, in_trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

import trioreg


class Server(trioreg.Actor):
    """The actor that the benchmarks call and cast to."""

    def __init__(self) -> None:
        self.casts = 0

    def echo(self, text: str) -> str:
        return text

    async def echo_async(self, text: str) -> str:
        return text

    def note(self, number: int) -> None:
        self.casts += 1

    def count(self) -> int:
        return self.casts


class Registrar(trioreg.Actor):
    """Takes each name and gives it back."""

    def __init__(self, registry: trioreg.Registry[str, None], keys: Sequence[str]) -> None:
        self.registry = registry
        self.keys = keys

    def register_and_unregister(self, n: int) -> None:
        register, unregister = self.registry.register, self.registry.unregister
        for _ in range(n):
            for key in self.keys:
                register(key)
                unregister(key)


class Latch:
    """Counts down, and wakes the task that made it when it reaches zero."""

    def __init__(self) -> None:
        self.task: Task = current_task()
        self.left = 0

    def down(self) -> None:
        self.left -= 1
        if not self.left:
            reschedule(self.task)

    async def wait(self) -> None:
        def abort(_: RaiseCancelT) -> Abort:
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)


class Subscriber(trioreg.Actor):
    def __init__(self, registry: trioreg.Registry[str, None], latch: Latch) -> None:
        self.latch = latch
        registry.register("topic")

    async def on_message(self, message: object) -> None:
        self.latch.down()

    def note(self, message: object) -> None:
        self.latch.down()


@asynccontextmanager
async def supervising() -> AsyncGenerator[trioreg.DynamicSupervisor]:
    """A supervisor; all its children end with the block."""
    with trio.CancelScope() as scope:
        async with trioreg.open_dynamic_supervisor() as supervisor:
            yield supervisor
            scope.cancel()
            await trio.sleep_forever()


def new_registry(partitions: int = 1) -> trioreg.Registry[str, None]:
    return trioreg.Registry("agents", keys="unique", partitions=partitions)


def names() -> list[str]:
    # Made anew for each use: the strings are equal to those in the table, but not the same objects.
    return [f"agent {number}" for number in range(NAMES)]


async def lookup(sampler: Sampler, partitions: int = 1) -> list[float]:
    registry = new_registry(partitions)
    for key in names():
        registry.register(key)
    keys = names()

    def run(n: int) -> None:
        look = registry.lookup
        for _ in range(n):
            for key in keys:
                look(key)

    return await sampler.wait(run, len(keys))


async def lookup_partitions(sampler: Sampler) -> list[float]:
    return await lookup(sampler, PARTITIONS)


async def register_by_actor(sampler: Sampler) -> list[float]:
    registry = new_registry()
    keys = names()
    async with supervising() as supervisor:
        registrar = await supervisor.start_child(Registrar, registry, keys)
        return await sampler.wait(lambda n: registrar.call(Registrar.register_and_unregister, n), len(keys))
    raise AssertionError("unreachable")


async def register_by_task(sampler: Sampler) -> list[float]:
    registry = new_registry()
    keys = names()

    def run(n: int) -> None:
        register, unregister = registry.register, registry.unregister
        for _ in range(n):
            for key in keys:
                register(key)
                unregister(key)

    return await sampler.wait(run, len(keys))


async def call(sampler: Sampler) -> list[float]:
    registry = new_registry()
    bond = registry.via("James Bond")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server, name=bond)

        async def run(n: int) -> None:
            for _ in range(n):
                await bond.call(Server.echo, "text")

        assert await ref.call(Server.echo, "text") == "text"
        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def call_async(sampler: Sampler) -> list[float]:
    registry = new_registry()
    bond = registry.via("James Bond")
    async with supervising() as supervisor:
        await supervisor.start_child(Server, name=bond)

        async def run(n: int) -> None:
            for _ in range(n):
                await bond.call(Server.echo_async, "text")

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def call_many(sampler: Sampler) -> list[float]:
    return await _call_many(sampler, Server.echo)


async def call_many_async(sampler: Sampler) -> list[float]:
    return await _call_many(sampler, Server.echo_async)


async def _call_many(sampler: Sampler, method: Callable[[Server, str], Any]) -> list[float]:
    """Each caller is a task with an actor of its own."""
    registry = new_registry()
    async with supervising() as supervisor:
        addresses = [registry.via(f"agent {number}") for number in range(CALLERS)]
        for address in addresses:
            await supervisor.start_child(Server, name=address)

        async def caller(address: trioreg.Via[str, None, Any], calls: int) -> None:
            for _ in range(calls):
                await address.call(method, "text")

        async def run(n: int) -> None:
            async with trio.open_nursery() as nursery:
                for address in addresses:
                    nursery.start_soon(caller, address, n * CALLS)

        return await sampler.wait(run, CALLERS * CALLS)
    raise AssertionError("unreachable")


async def cast_by_name(sampler: Sampler, instrument: trioreg.Instrument | None = None) -> list[float]:
    """By name, as `call` does it; perhaps while an instrument watches."""
    name = new_registry().via("James Bond")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server, name=name)

        async def run(n: int) -> None:
            # Only now: what is measured in turns with this one has no instrument.
            with nullcontext() if instrument is None else watched_by(instrument):
                for _ in range(n):
                    for number in range(CASTS):
                        name.cast_nowait(Server.note, number)
                    await ref.call(Server.count)

        samples = await sampler.wait(run, CASTS)
        assert await ref.call(Server.count) % CASTS == 0
        return samples
    raise AssertionError("unreachable")


@contextmanager
def watched_by(instrument: trioreg.Instrument) -> Generator[None]:
    trioreg.add_instrument(instrument)
    try:
        yield
    finally:
        trioreg.remove_instrument(instrument)


class Counting(trioreg.Instrument):
    """Counts what is handled."""

    def __init__(self) -> None:
        self.count = 0

    def handled(self, message: trioreg.Message, value: object, error: BaseException | None, /) -> None:
        self.count += 1


async def cast_inline(sampler: Sampler) -> list[float]:
    """By name, with an address made for each cast."""

    def send_casts(registry: trioreg.Registry[str, None]) -> None:
        for number in range(CASTS):
            registry.via("James Bond").cast_nowait(Server.note, number)

    return await _cast_with(sampler, send_casts)


async def cast_by_key(sampler: Sampler) -> list[float]:
    """By name, without an address."""

    def send_casts(registry: trioreg.Registry[str, None]) -> None:
        for number in range(CASTS):
            registry.cast_nowait("James Bond", Server.note, number)

    return await _cast_with(sampler, send_casts)


async def _cast_with(sampler: Sampler, send_casts: Callable[[trioreg.Registry[str, None]], None]) -> list[float]:
    registry = new_registry()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server, name=registry.via("James Bond"))

        async def run(n: int) -> None:
            for _ in range(n):
                send_casts(registry)
                await ref.call(Server.count)

        return await sampler.wait(run, CASTS)
    raise AssertionError("unreachable")


async def cast_by_reference(sampler: Sampler) -> list[float]:
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server)

        async def run(n: int) -> None:
            for _ in range(n):
                for number in range(CASTS):
                    ref.cast_nowait(Server.note, number)
                await ref.call(Server.count)

        return await sampler.wait(run, CASTS)
    raise AssertionError("unreachable")


async def cast_awaited(sampler: Sampler) -> list[float]:
    """The async form, by name: each cast is a checkpoint."""
    name = new_registry().via("James Bond")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server, name=name)

        async def run(n: int) -> None:
            for _ in range(n):
                for number in range(CASTS):
                    await name.cast(Server.note, number)
                await ref.call(Server.count)

        return await sampler.wait(run, CASTS)
    raise AssertionError("unreachable")


def send_to_all(entries: list[trioreg.Entry[None]]) -> None:
    for owner, _ in entries:
        cast("trioreg.ActorRef[Subscriber]", owner).send_nowait("hello")


def cast_to_all(entries: list[trioreg.Entry[None]]) -> None:
    for owner, _ in entries:
        cast("trioreg.ActorRef[Subscriber]", owner).cast_nowait(Subscriber.note, "hello")


async def dispatch(sampler: Sampler) -> list[float]:
    """Only the call counts: when it returns, all messages are in the mailboxes."""
    return await _dispatch(sampler, send_to_all, is_counted_to_the_end=False)


async def dispatch_handled(sampler: Sampler) -> list[float]:
    """The time until the last ``on_message`` has returned."""
    return await _dispatch(sampler, send_to_all, is_counted_to_the_end=True)


async def dispatch_cast_handled(sampler: Sampler) -> list[float]:
    """The time until the last sync method has returned; the messages are casts."""
    return await _dispatch(sampler, cast_to_all, is_counted_to_the_end=True)


async def _dispatch(
    sampler: Sampler, send: Callable[[list[trioreg.Entry[None]]], None], *, is_counted_to_the_end: bool
) -> list[float]:
    topics: trioreg.Registry[str, None] = trioreg.Registry("topics", keys="duplicate")
    latch = Latch()
    async with supervising() as supervisor:
        for _ in range(ACTORS):
            await supervisor.start_child(Subscriber, topics, latch)

        async def run(n: int) -> float | None:
            counted = 0.0
            for _ in range(n):
                latch.left = ACTORS
                began = sampler.clock()
                topics.dispatch("topic", send)
                counted += sampler.clock() - began
                await latch.wait()
            return None if is_counted_to_the_end else counted

        return await sampler.wait(run, ACTORS)
    raise AssertionError("unreachable")


class Member(trioreg.Actor):
    def __init__(self, topics: trioreg.PubSub[str, str], latch: Latch) -> None:
        self.latch = latch
        topics.join("topic", Member.note, owner=self.ref)

    def note(self, message: str) -> None:
        self.latch.down()


async def publish(sampler: Sampler, audience: int, *, is_counted_to_the_end: bool = False) -> list[float]:
    """To actors. When the call returns, all messages are in the mailboxes."""
    topics: trioreg.PubSub[str, str] = trioreg.PubSub("topics")
    latch = Latch()
    async with supervising() as supervisor:
        for _ in range(audience):
            await supervisor.start_child(Member, topics, latch)

        async def run(n: int) -> float | None:
            counted = 0.0
            for _ in range(n):
                latch.left = audience
                began = sampler.clock()
                topics.publish_nowait("topic", "hello")
                counted += sampler.clock() - began
                await latch.wait()
            return None if is_counted_to_the_end else counted

        return await sampler.wait(run, audience)
    raise AssertionError("unreachable")


async def publish_to_tasks(sampler: Sampler) -> list[float]:
    """To tasks, until the last one has received it and waits again."""
    topics: trioreg.PubSub[str, str] = trioreg.PubSub("topics")
    latch = Latch()

    async def member(*, task_status: trio.TaskStatus[None]) -> None:
        async with topics.subscribe("topic") as feed:
            task_status.started()
            async for _ in feed:
                latch.down()

    async with trio.open_nursery() as nursery:
        for _ in range(ACTORS):
            await nursery.start(member)

        async def run(n: int) -> None:
            for _ in range(n):
                latch.left = ACTORS
                topics.publish_nowait("topic", "hello")
                await latch.wait()

        samples = await sampler.wait(run, ACTORS)
        nursery.cancel_scope.cancel()
        return samples
    raise AssertionError("unreachable")


async def pool_claim(sampler: Sampler) -> list[float]:
    async with trioreg.open_pool(Server, size=8) as pool:

        async def run(n: int) -> None:
            for _ in range(n):
                async with pool.claim():
                    pass

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def pool_call(sampler: Sampler) -> list[float]:
    async with trioreg.open_pool(Server, size=8) as pool:

        async def run(n: int) -> None:
            for _ in range(n):
                await pool.call(Server.echo, "text")

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def start_stop(sampler: Sampler) -> list[float]:
    registry = new_registry()
    numbers = count()
    async with supervising() as supervisor:

        async def run(n: int) -> None:
            for _ in range(n):
                name = registry.via(f"agent {next(numbers)}")
                ref = await supervisor.start_child(Server, name=name, restart="temporary")
                await ref.stop()

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def start_cast_stop(sampler: Sampler) -> list[float]:
    registry = new_registry()
    numbers = count()
    async with supervising() as supervisor:

        async def run(n: int) -> None:
            for _ in range(n):
                name = registry.via(f"agent {next(numbers)}")
                ref = await supervisor.start_child(Server, name=name, restart="temporary")
                ref.cast_nowait(Server.note, 1)
                await ref.stop()

        return await sampler.wait(run)
    raise AssertionError("unreachable")


class Keyed(Server):
    """The same, for actors on demand."""

    def __init__(self, key: int) -> None:
        super().__init__()


STARTS = 1000
"""How many actors are started together, before all of them are ended again."""


async def start_child(sampler: Sampler) -> list[float]:
    """Only the starts are timed."""

    async def run(n: int) -> float:
        counted = 0.0
        for _ in range(n):
            registry: trioreg.Registry[int, None] = trioreg.Registry("servers")
            async with supervising() as supervisor:
                began = sampler.clock()
                for key in range(STARTS):
                    await supervisor.start_child(Keyed, key, name=registry.via(key), restart="temporary")
                counted += sampler.clock() - began
        return counted

    return await sampler.wait(run, STARTS)


async def start_by_message(sampler: Sampler) -> list[float]:
    """The same, by a call that each actor answers before the next one is started."""
    servers: trioreg.OnDemand[int, Keyed] = trioreg.OnDemand("servers", Keyed, retire_after=300)

    async def run(n: int) -> float:
        counted = 0.0
        for _ in range(n):
            async with trioreg.open_on_demand(servers):
                began = sampler.clock()
                for key in range(STARTS):
                    await servers.via(key).call(Keyed.echo, "text")
                counted += sampler.clock() - began
        return counted

    return await sampler.wait(run, STARTS)


async def call_on_demand(sampler: Sampler) -> list[float]:
    servers: trioreg.OnDemand[int, Keyed] = trioreg.OnDemand("servers", Keyed, retire_after=300)
    bond = servers.via(7)
    async with trioreg.open_on_demand(servers):

        async def run(n: int) -> None:
            for _ in range(n):
                await bond.call(Keyed.echo, "text")

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def cast_on_demand(sampler: Sampler) -> list[float]:
    servers: trioreg.OnDemand[int, Keyed] = trioreg.OnDemand("servers", Keyed, retire_after=300)
    bond = servers.via(7)
    async with trioreg.open_on_demand(servers):

        async def run(n: int) -> None:
            for _ in range(n):
                for number in range(CASTS):
                    bond.cast_nowait(Keyed.note, number)
                await bond.call(Keyed.count)

        return await sampler.wait(run, CASTS)
    raise AssertionError("unreachable")


async def memory(*, is_resident: bool) -> NoReturn:
    registry = new_registry()
    async with supervising() as supervisor:
        await supervisor.start_child(Server, name=registry.via("warm-up"))
        used = Memory(is_resident=is_resident)
        for number in range(IDLE):
            await supervisor.start_child(Server, name=registry.via(f"agent {number}"))
        used.answer(IDLE)
    raise AssertionError("unreachable")


MEASURES: dict[str, Callable[[Sampler], Awaitable[list[float]]]] = {
    "lookup": lookup,
    "lookup_partitions": lookup_partitions,
    "register_by_actor": register_by_actor,
    "register_by_task": register_by_task,
    "call": call,
    "call_async": call_async,
    "call_many": call_many,
    "call_many_async": call_many_async,
    "cast": cast_by_name,
    "cast_empty_instrument": partial(cast_by_name, instrument=trioreg.Instrument()),
    "cast_counting_instrument": partial(cast_by_name, instrument=Counting()),
    "cast_inline": cast_inline,
    "cast_by_key": cast_by_key,
    "cast_by_reference": cast_by_reference,
    "cast_awaited": cast_awaited,
    "dispatch": dispatch,
    "dispatch_handled": dispatch_handled,
    "dispatch_cast_handled": dispatch_cast_handled,
    **{name: partial(publish, audience=audience) for name, audience in AUDIENCES.items()},
    "publish_handled": partial(publish, audience=ACTORS, is_counted_to_the_end=True),
    "publish_to_tasks": publish_to_tasks,
    "pool_claim": pool_claim,
    "pool_call": pool_call,
    "start_stop": start_stop,
    "start_cast_stop": start_cast_stop,
    "start_child": start_child,
    "start_by_message": start_by_message,
    "call_on_demand": call_on_demand,
    "cast_on_demand": cast_on_demand,
}


if __name__ == "__main__":
    serve(
        {"trioreg": version("trioreg"), "trio": trio.__version__},
        {
            **{name: in_trio(measure) for name, measure in MEASURES.items()},
            "memory": lambda _: trio.run(lambda: memory(is_resident=False)),
            "memory_rss": lambda _: trio.run(lambda: memory(is_resident=True)),
        },
        in_pairs({**FLOORS, **MEASURES}),
    )
