"""What a type checker says of an actor's own code, and of many functions: as in `test_types.py`."""

from __future__ import annotations

from typing import assert_type

import trio

import trioreg
from trioreg import Actor, ActorRef, Exit, Function, HandlerTimeout, Timer, await_many, connection_handler, race


class Clock(Actor):
    handler_timeout = 5

    async def on_started(self) -> None:
        assert_type(self.cast_after(5, Clock.strike, "five"), Timer)
        assert_type(self.cast_after(0.5, Clock.strike, what="five", times=5), Timer)
        assert_type(self.cast_every(5, Clock.chime, "five"), Timer)
        self.cast_every(5, Alarm.ring)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_after(5, Clock.strike)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.cast_after(5, Clock.strike, 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_every(5, Clock.strike, "five", time=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.cast_every("5", Clock.strike, "five")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.cast_after(5, Other.strike, "five")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.stop("a value")
        self.stop()

    def strike(self, what: str, times: int = 1) -> None: ...

    async def chime(self, what: str) -> bytes:
        return what.encode()


class Alarm(Clock):
    def ring(self) -> None:
        self.cast_after(1, Clock.strike, "one")
        self.cast_after(1, Alarm.ring)


class Other(Actor):
    def strike(self, what: str) -> None: ...


async def ends(clock: ActorRef[Clock]) -> None:
    exit = await clock.wait()
    assert_type(exit, Exit)
    assert_type(exit.value, object)
    if isinstance(exit.error, HandlerTimeout):
        assert_type(exit.error.seconds, float)
        assert_type([frame.name for frame in exit.error.stack], list[str])


class Session(Actor):
    def __init__(self, stream: trio.SocketStream, greeting: str) -> None: ...


class AnyStream(Actor):
    def __init__(self, stream: trio.abc.Stream) -> None: ...


async def serve_one(stream: trio.SSLStream[trio.SocketStream], number: int) -> None: ...


async def connections(sessions: trioreg.DynamicSupervisor, names: trioreg.Registry[str, None]) -> None:
    await trio.serve_tcp(connection_handler(sessions, Session, "hello"), 80)
    await trio.serve_tcp(connection_handler(names.via("sessions"), AnyStream, shutdown=3), 80)
    await connection_handler(sessions, serve_one, 7)(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connection_handler(sessions, Session)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connection_handler(sessions, Session, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connection_handler(sessions, Session, "hello", shutdown="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    connection_handler(sessions, len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await trio.serve_tcp(connection_handler(sessions, serve_one, 7), 80)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def fetch(url: str) -> bytes:
    return url.encode()


async def count(url: str) -> int:
    return len(url)


async def many(
    pages: list[ActorRef[Function[bytes]]],
    counts: list[ActorRef[Function[int]]],
    any_result: ActorRef[Function],
    clock: ActorRef[Clock],
) -> None:
    assert_type(await await_many(pages), list[bytes])
    assert_type(await await_many(ref for ref in counts), list[int])
    assert_type(await race(pages), bytes)
    both: list[ActorRef[Function[bytes | int]]] = [*pages, *counts]
    assert_type(await await_many(both), list[bytes | int])
    assert_type(await await_many([any_result]), list[object])
    assert_type(await race({counts[0]: 1}), int)
    await await_many([clock])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await race(counts[0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
