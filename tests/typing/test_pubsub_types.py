"""What a type checker says of topics: nothing in here runs; see `test_types.py`."""

from __future__ import annotations

from typing import assert_type

from trioreg import Actor, ActorRef, Entry, Feed, FeedStatistics, PubSub, Registered, Unregistered, Wildcard


class Tick:
    price = 1.0


class Screen(Actor):
    def show(self, tick: Tick) -> None: ...

    async def show_later(self, tick: Tick) -> int:
        return 1

    def count(self, number: int) -> None: ...


ticks: PubSub[str, Tick] = PubSub("ticks", partitions=4)
pairs: PubSub[tuple[str, int], Tick] = PubSub("pairs")


async def subscribing(ref: ActorRef[Screen]) -> None:
    async with ticks.subscribe("nyse.ibm", buffer=100, overflow="drop_oldest", owner=ref) as feed:
        assert_type(feed, Feed[Tick])
        assert_type(await feed.receive(), Tick)
        assert_type(await feed.receive_some(10), list[Tick])
        assert_type(feed.statistics(), FeedStatistics)
        async for tick in feed:
            assert_type(tick, Tick)
    async with ticks.subscribe("nyse.ibm", once=True) as maybe:
        assert_type(maybe, Feed[Tick] | None)
    async with ticks.subscribe("nyse.ibm", once=False) as feed:
        assert_type(feed, Feed[Tick])
    ticks.subscribe(Wildcard("nyse.*"))
    ticks.subscribe(5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    ticks.subscribe("a", overflow="drop")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    pairs.subscribe(("a", 1))
    pairs.subscribe("a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def joining(ref: ActorRef[Screen]) -> None:
    assert_type(ticks.join("nyse.ibm", Screen.show), bool)
    ticks.join("nyse.ibm", Screen.show_later, owner=ref, once=True, buffer=5, overflow="wait")
    ticks.join(Wildcard("nyse.*"))
    ticks.join("nyse.ibm", Screen.count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(ticks.leave("nyse.ibm"), int)


async def publishing(ref: ActorRef[Screen]) -> None:
    assert_type(ticks.publish_nowait("nyse.ibm", Tick(), exclude=ref, where=lambda value: value is None), int)
    assert_type(await ticks.publish("nyse.ibm", Tick(), retain=True), int)
    ticks.publish_nowait("nyse.ibm", 5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    ticks.publish_nowait(Wildcard("nyse.*"), Tick())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert_type(ticks.retained("nyse.ibm"), list[Tick])


async def presence(ref: ActorRef[Screen]) -> None:
    assert_type(ticks.members("nyse.ibm"), list[Entry[object]])
    assert_type(ticks.topics(), list[str | Wildcard])
    assert_type(ticks.count("nyse.ibm"), int)
    assert_type(ticks.topics_of(ref), list[str | Wildcard])
    assert_type(ticks.dropped("nyse.ibm", ref), int)
    assert_type(ticks.update_value("nyse.ibm", lambda old: 7), int)
    ticks.count(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ticks.topics_of(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ticks.update_value("nyse.ibm", 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with ticks.watch("nyse.ibm", initial=True) as events:
        async for event in events:
            assert_type(event, Registered[str | Wildcard, object] | Unregistered[str | Wildcard, object])


def a_wildcard_of_its_own() -> None:
    class Special(Wildcard): ...  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues, reportUnusedClass]
