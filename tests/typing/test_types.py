"""What a type checker says of a user's code: checked by mypy and pyright in the typing session.

A line that ends in an ignore comment must be an error: both checkers report an ignore that nothing needs. In pytest
only the last test runs.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Literal, NoReturn, assert_type

import trio

import trioreg
from trioreg import (
    ANY,
    ActorRef,
    Done,
    Entry,
    Exit,
    Failed,
    Feed,
    Function,
    Is,
    Outcome,
    Owner,
    Registry,
    Reply,
    TaskStream,
    Var,
    Via,
    current_owner,
    open_stream,
)


class Agent(trioreg.Actor):
    def __init__(self, codename: str, rank: int = 7) -> None:
        self.codename = codename
        self.rank = rank

    def echo(self, text: str) -> str:
        return f"{self.codename}: {text}"

    async def count(self, up_to: int, *, step: int = 1) -> list[int]:
        return list(range(0, up_to, step))

    def later(self, text: str) -> Reply[bytes]:
        return Reply[bytes]()

    async def later_still(self) -> Reply[float]:
        return Reply[float]()

    @staticmethod
    def static(number: int) -> int:
        return number

    @classmethod
    def of_class(cls, number: int) -> int:
        return number


class DoubleAgent(Agent):
    def betray(self, whom: str) -> bool:
        return True


class Other(trioreg.Actor):
    def echo(self, text: str) -> str:
        return text


async def worker(jobs: int, name: str) -> bytes:
    return name.encode() * jobs


async def nothing() -> None: ...


async def endless() -> NoReturn:
    await trio.sleep_forever()
    raise AssertionError


async def calls(ref: ActorRef[Agent], double: ActorRef[DoubleAgent]) -> None:
    assert_type(await ref.call(Agent.echo, "text"), str)
    assert_type(await ref.call(Agent.count, 3), list[int])
    assert_type(await ref.call(Agent.count, 3, step=2), list[int])
    assert_type(await ref.call(Agent.later, "text"), bytes)
    assert_type(await ref.call(Agent.later_still), float)
    assert_type(await double.call(Agent.echo, "text"), str)
    assert_type(await double.call(DoubleAgent.betray, "M"), bool)
    as_base: ActorRef[Agent] = double
    assert_type(await as_base.wait(), Exit)


async def wrong_calls(ref: ActorRef[Agent], function: ActorRef[Function]) -> None:
    await ref.call(Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ref.call(Agent.echo)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    await ref.call(Agent.count, 1, stepp=2)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    await ref.call(Other.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ref.call(DoubleAgent.betray, "M")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await function.call(Agent.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def no_instance_in_their_types(ref: ActorRef[Agent]) -> None:
    await ref.call(Agent.static, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await ref.call(Agent.of_class, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def casts(ref: ActorRef[Agent]) -> None:
    await ref.cast(Agent.echo, "text")
    ref.cast_nowait(Agent.count, 3, step=1)
    await ref.cast(Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ref.cast_nowait(Agent.echo)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ref.cast_nowait(Other.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ref.send_nowait(object())


async def in_nurseries(ref: ActorRef[Agent], agents: trioreg.Registry[str, None]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ref.call, Agent.echo, "text")
        nursery.start_soon(ref.call, Agent.later, "text")
        nursery.start_soon(ref.call, Agent.later_still)
        nursery.start_soon(ref.cast, Agent.echo, "text")
        nursery.start_soon(agents.via("James Bond").call, Agent.echo, "text")
        nursery.start_soon(ref.call, Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        nursery.start_soon(ref.cast, Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        nursery.start_soon(ref.call, Other.echo, "x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def agents(counter: ActorRef[trioreg.Agent[int]], supervisor: trioreg.DynamicSupervisor) -> None:
    assert_type(await supervisor.start_child(trioreg.Agent[int], lambda: 0), ActorRef[trioreg.Agent[int]])
    await supervisor.start_child(trioreg.Agent[int], 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await counter.call(trioreg.Agent[int].update, lambda n: n + 1)
    await counter.call(trioreg.Agent[int].update, lambda n: str(n))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await counter.call(trioreg.Agent[str].get, str.upper)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def by_name(agents: trioreg.Registry[str, int]) -> None:
    via = agents.via("James Bond", 7)
    assert_type(via, Via[str, int])
    assert_type(await via.call(Agent.echo, "text"), str)
    assert_type(await via.call(Agent.count, 3), list[int])
    await via.call(Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(agents.lookup("James Bond"), list[Entry[int]])
    assert_type(agents.whereis("James Bond"), Owner | None)
    assert_type(agents.values("James Bond", current_owner()), list[int])
    assert_type(agents.keys(current_owner()), list[str])
    agents.keys()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agents.values("James Bond")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agents.keys()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agents.values("James Bond")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    agents.lookup(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    agents.register("James Bond", "007")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def by_typed_name(
    agents: Registry[str, None], ranks: Registry[str, int], supervisor: trioreg.DynamicSupervisor
) -> None:
    via = agents.via("James Bond", of=Agent)
    assert_type(via, Via[str, None, Agent])
    assert_type(ranks.via("James Bond", 7, of=Agent), Via[str, int, Agent])
    assert_type(ranks.via("James Bond", of=Agent), trioreg.Address[Agent])
    assert_type(await via.call(Agent.echo, "text"), str)
    assert_type(await agents.via("James Bond", wait=True, of=DoubleAgent).call(Agent.echo, "text"), str)
    via.cast_nowait(Agent.count, 3, step=1)
    await via.call(Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await via.call(Other.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    via.cast_nowait(Other.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await via.call(DoubleAgent.betray, "M")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(await supervisor.start_child(Agent, "James Bond", name=via), ActorRef[Agent])
    assert_type(agents.whereis("James Bond", of=Agent), ActorRef[Agent] | None)
    assert_type(agents.refs("James Bond", of=Agent), list[ActorRef[Agent]])
    assert_type(agents.refs("James Bond"), list[ActorRef[Any]])
    assert_type(agents.whereis("worker", of=Function[bytes]), ActorRef[Function[bytes]] | None)
    agents.via("James Bond", of="Agent")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    agents.via("James Bond", None, True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


def casts_by_key(ranks: Registry[str, int]) -> None:
    ranks.cast_nowait("James Bond", Agent.echo, "text")
    ranks.cast_nowait("James Bond", Agent.count, 3, step=1)
    ranks.cast_nowait(7, Agent.echo, "text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ranks.cast_nowait("James Bond", Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ranks.cast_nowait("James Bond", Agent.echo)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ranks.cast_nowait("James Bond", "echo")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]


def group_casts(rooms: Registry[str, int]) -> None:
    assert_type(rooms.cast_all("lobby", Agent.echo, "text"), int)
    rooms.cast_all("lobby", Agent.count, 3, step=1)
    rooms.cast_all("lobby", Agent.echo, "text", on_full="drop")
    rooms.cast_all("lobby", Agent.later_still, on_full="raise")
    rooms.cast_all("lobby", Agent.count, 3, on_full="raise")
    rooms.cast_all(7, Agent.echo, "text")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rooms.cast_all("lobby", Agent.echo, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
    rooms.cast_all("lobby", Agent.echo, 7, on_full="drop")  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    rooms.cast_all("lobby", Agent.echo)  # type: ignore[call-arg, arg-type]  # pyright: ignore[reportCallIssue]
    rooms.cast_all("lobby", Agent.echo, "text", on_full="wait")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    rooms.cast_all("lobby", "echo")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def watching(ranks: Registry[str, int]) -> None:
    with ranks.watch("James Bond", initial=True, buffer=10, overflow="drop_oldest") as events:
        assert_type(events, Feed[trioreg.Event[str, int]])
        assert_type(await events.receive(), trioreg.Registered[str, int] | trioreg.Unregistered[str, int])
        async for event in events:
            assert_type(event.value, int)
    ranks.watch(overflow="wait")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def values_left_out(
    ranks: Registry[str, int],
    maybe: Registry[str, int | None],
    names: Registry[str, None],
    anything: Registry[str, Any],
    objects: Registry[str, object],
    supervisor: trioreg.DynamicSupervisor,
) -> None:
    ranks.register("James Bond")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ranks.hold("James Bond")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await ranks.acquire("James Bond")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ranks.register("James Bond", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(ranks.register("James Bond", 7), Owner)
    assert_type(maybe.register("James Bond", 7), Owner)
    for registry in (maybe, names, anything, objects):
        assert_type(registry.register("James Bond", None), Owner)
    ranks.take("James Bond")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    assert_type(ranks.take("James Bond", 7), Owner | None)
    assert_type(names.take("James Bond"), Owner | None)
    ranks.take("James Bond", of=Agent)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    assert_type(ranks.take("James Bond", 7, of=Agent), ActorRef[Agent] | None)
    assert_type(names.take("James Bond", of=Agent), ActorRef[Agent] | None)
    assert_type(maybe.register("James Bond"), Owner)
    assert_type(names.register("James Bond"), Owner)
    assert_type(anything.register("James Bond"), Owner)
    assert_type(objects.register("James Bond"), Owner)
    with maybe.hold("James Bond"), names.hold("James Bond"), anything.hold("James Bond"):
        assert_type(await maybe.acquire("James Bond"), Owner)
        assert_type(await names.acquire("James Bond", owner=names.whereis("M")), Owner)
    names.register(7)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    # Without a value it is still an address; but not one to be registered under.
    assert_type(maybe.via("James Bond"), Via[str, int | None])
    assert_type(names.via("James Bond", wait=True), Via[str, None])
    assert_type(await ranks.via("James Bond", wait=True).call(Agent.echo, "text"), str)
    await supervisor.start_child(Agent, "James Bond", name=ranks.via("James Bond", 7))
    await supervisor.start_child(Agent, "James Bond", name=ranks.via("James Bond"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def starts(supervisor: trioreg.DynamicSupervisor, agents: trioreg.Registry[str, None]) -> None:
    assert_type(await supervisor.start_child(Agent, "James Bond", 7, name=agents.via("James Bond")), ActorRef[Agent])
    assert_type(await supervisor.start_child(DoubleAgent, "Vesper", 1), ActorRef[DoubleAgent])
    assert_type(await supervisor.start_child(partial(Agent, "James Bond", rank=7)), ActorRef[Agent])
    assert_type(await supervisor.start_child(worker, 3, "name"), ActorRef[Function[bytes]])
    assert_type(await supervisor.start_child(partial(worker, 3, name="name")), ActorRef[Function[bytes]])
    assert_type(await supervisor.start_child(nothing), ActorRef[Function[None]])
    assert_type(await supervisor.start_or_get(worker, 3, "name", name=agents.via("Q")), ActorRef[Function[bytes]])
    assert_type(await supervisor.start_child(trioreg.ChildSpec(worker, (3, "name"))), ActorRef[Any])
    assert_type(await supervisor.start_or_get(trioreg.ChildSpec(nothing, name=agents.via("Q"))), ActorRef[Any])
    assert_type(await supervisor.start_child(lambda: worker(3, "name")), ActorRef[Function[bytes]])
    backoff = trioreg.Backoff()
    assert_type(await supervisor.start_child(Agent, "James Bond", backoff=backoff), ActorRef[Agent])
    assert_type(await supervisor.start_or_get(Agent, "M", 1, name=agents.via("M"), backoff=backoff), ActorRef[Agent])


async def wrong_starts(supervisor: trioreg.DynamicSupervisor) -> None:
    await supervisor.start_child(Agent, 7, 7)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await supervisor.start_child(worker, "name", 3)  # type: ignore[arg-type, call-arg, type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await supervisor.start_child(worker, restart="sometimes", *(1, "x"))  # type: ignore[call-overload, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # noqa: B026
    await supervisor.start_child(Agent, "James Bond", backoff=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await supervisor.start_or_get(worker, 3, "name")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await supervisor.start_child(len, "name")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def takes(
    any_result: ActorRef[Function], wider: ActorRef[Function[bytes | None]], actor: ActorRef[Agent]
) -> None:
    assert_type(await wider.result(), bytes | None)
    assert_type(await any_result.result(), object)
    assert_type(any_result, ActorRef[Function[object]])
    await actor.result()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


async def results(supervisor: trioreg.DynamicSupervisor, actor: ActorRef[Agent], wide: ActorRef[Function]) -> None:
    ref = await supervisor.start_child(worker, 3, "name")
    assert_type(await ref.result(), bytes)
    await takes(ref, ref, actor)
    await takes(wide, wide, actor)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await (await supervisor.start_child(nothing)).result(), None)
    await (await supervisor.start_child(endless)).result()


async def numbers() -> AsyncIterator[int]:
    yield 1


async def count_letters(text: str) -> int:
    return len(text)


async def anything(stream: TaskStream[int | None]) -> None: ...


async def streams(channel: trio.MemoryReceiveChannel[str], mode: Literal["raise", "return"]) -> None:
    async with open_stream(count_letters, ["text"], max_concurrency=2) as lengths:
        assert_type(lengths, TaskStream[int])
        async for length in lengths:
            assert_type(length, int)
    async with open_stream(count_letters, channel, max_concurrency=2, ordered=False, on_error="raise") as lengths:
        assert_type(lengths, TaskStream[int])
    async with open_stream(count_letters, {"text"}, max_concurrency=2, on_error="return") as outcomes:
        assert_type(outcomes, TaskStream[Done[str, int] | Failed[str]])
        async for outcome in outcomes:
            assert_type(outcome, Outcome[str, int])
            match outcome:
                case Done(item, value):
                    assert_type(item, str)
                    assert_type(value, int)
                case Failed(item, error):
                    assert_type(item, str)
                    assert_type(error, Exception)
    async with open_stream(count_letters, ["text"], max_concurrency=2, on_error=mode) as either:
        assert_type(either, TaskStream[int | Done[str, int] | Failed[str]])
    async with open_stream(lambda ref: ref.result(), list[ActorRef[Function[bytes]]](), max_concurrency=2) as texts:
        assert_type(texts, TaskStream[bytes])
    await anything(lengths)


async def wrong_streams() -> None:
    open_stream(count_letters, [7], max_concurrency=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    open_stream(count_letters, numbers(), max_concurrency=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    open_stream(len, ["text"], max_concurrency=2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    open_stream(count_letters, ["text"])  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    open_stream(count_letters, ["text"], max_concurrency=2, on_error="exit")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def inside() -> None:
    class Own(trioreg.Actor):
        def nothing(self) -> None: ...

        async def on_start(self) -> None:
            own: ActorRef[Own] = self.ref
            await own.call(Own.nothing)
            self.start_soon(worker, 3, "name")
            self.start_soon(worker, "name", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def programs() -> None:
    assert_type(trioreg.run([trioreg.ChildSpec(Agent, ("James Bond", 7))]), signal.Signals | None)
    trioreg.run(trioreg.ChildSpec(worker, (3, "name")), auto_shutdown="never")
    trioreg.run(worker)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_declaring_errors_keeps_the_type() -> None:
    def plain(self: Agent, x: int) -> str:
        return str(x)

    checked: Callable[[Agent, int], str] = trioreg.raises(KeyError)(plain)
    assert checked is plain
    awaited: Callable[[int, str], Awaitable[bytes]] = worker
    assert awaited is worker


def everything(names: Registry[str, int]) -> None:
    assert_type(names.items(), list[tuple[str, Entry[int]]])
    assert_type(names.select_nowait(), list[tuple[str, Owner, int]])
    assert_type(names.select_nowait(into=len), list[int])
    assert_type(names.select_nowait(into=(Var("x"),)), list[tuple[Any, ...]])
    assert_type(len(names), int)
    assert_type("x" in names, bool)


async def queries_with_variables(names: Registry[str, int]) -> None:
    def is_long(name: str) -> bool:
        return len(name) > 7

    name = Var("name")
    assert_type(await names.select(name, into=name), list[Any])
    assert_type(names.select_nowait(Var("name"), ANY, int, where=is_long, into=Var("name")), list[Any])
    assert_type(names.select_nowait(Var("name"), into=Is("name")), list[Any])
    assert_type(names.select_nowait(Var("name"), into={"name": Var("name")}), list[dict[Any, Any]])
    assert_type(await names.select(name, value=Var("number"), into=[name, Var("number")]), list[list[Any]])
    for shown, number in await names.select(name, value=Var("number"), into=(name, Var("number"))):
        print(shown.upper(), number + 1)
    assert_type(names.select_nowait(name, into="always this"), list[object])
    assert_type(names.select_nowait(Var("name"), where=is_long, into=is_long), list[bool])
    assert_type(names.select_nowait(Var("name"), where=is_long), list[tuple[str, Owner, int]])
    assert_type(names.select_nowait(ANY, into=None), list[tuple[str, Owner, int]])
    for found in names.select_nowait(name, into=name):
        print(found)  # an unknown type would be an error of pyright here
