"""One actor for each connection: `connection_handler`."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.errors import Bang
from support.inside import assert_nothing_left_behind
from support.interrupts import interrupted_at_each_line
from support.supervisors import supervised, supervising
from trio.testing import MockClock, open_stream_to_socket_listener, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ChildSpec, DynamicSupervisor, Exit, Registry, connection_handler, open_dynamic_supervisor


class Session(Actor):
    """It echoes lines, and says goodbye when it ends."""

    def __init__(self, stream: trio.abc.Stream, events: list[str] | None = None) -> None:
        self.stream = stream
        self.events = [] if events is None else events

    async def on_start(self) -> None:
        self.start_soon(self.read)

    async def read(self) -> None:
        with suppress(trio.BrokenResourceError):
            while chunk := await self.stream.receive_some():
                if b"crash" in chunk:
                    raise Bang
                await self.stream.send_all(chunk)
        self.stop()

    async def on_stop(self, exit: Exit) -> None:
        self.events.append(exit.reason)
        with suppress(trio.BrokenResourceError):
            await self.stream.send_all(f"goodbye: {exit.reason}".encode())


async def all_of(client: trio.SocketStream) -> bytes:
    received = bytearray()
    async with client:
        with suppress(trio.BrokenResourceError):
            async for chunk in client:
                received += chunk
    return bytes(received)


class Server:
    """A server in a nursery. It ends when `scope` is cancelled."""

    def __init__(self, listener: trio.SocketListener, scope: trio.CancelScope) -> None:
        self.listener = listener
        self.scope = scope
        self.has_ended = trio.Event()
        self.clients: list[trio.SocketStream] = []

    async def connect(self) -> trio.SocketStream:
        client = await open_stream_to_socket_listener(self.listener)
        self.clients.append(client)
        return client


@asynccontextmanager
async def serving(handler: Any) -> AsyncGenerator[Server]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        server = Server(listener, trio.CancelScope())

        async def serve() -> None:
            with server.scope:
                await trio.serve_listeners(handler, [listener])
            server.has_ended.set()

        nursery.start_soon(serve)
        yield server
        server.scope.cancel()
        await server.has_ended.wait()
    for client in server.clients:
        await client.aclose()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


async def test_each_connection_has_an_actor_of_its_own_that_ends_with_it() -> None:
    async with supervised() as supervisor, serving(connection_handler(supervisor, Session)) as server:
        clients = [await server.connect() for _ in range(3)]
        for number, client in enumerate(clients):
            await client.send_all(str(number).encode())
            assert await client.receive_some() == str(number).encode()
        assert supervisor.count_children().active == 3
        await clients[0].send_eof()
        assert await all_of(clients[0]) == b"goodbye: normal"
        while supervisor.count_children().active != 2:
            await trio.lowlevel.checkpoint()


async def test_an_async_function_can_serve_a_connection() -> None:
    async def greet(stream: trio.SocketStream, greeting: bytes) -> None:
        await stream.send_all(greeting)

    async with supervised() as supervisor, serving(connection_handler(supervisor, greet, b"hello")) as server:
        assert await all_of(await server.connect()) == b"hello"


@pytest.mark.parametrize("first", ["server", "sessions"])
async def test_all_connections_say_goodbye_on_shutdown_and_nothing_is_logged(
    first: str, caplog: pytest.LogCaptureFixture
) -> None:
    count = 200
    received: list[bytes] = []

    async def collect(client: trio.SocketStream) -> None:
        received.append(await all_of(client))

    async with (
        trio.open_nursery() as nursery,
        supervised() as supervisor,
        serving(connection_handler(supervisor, Session)) as server,
    ):
        for _ in range(count):
            nursery.start_soon(collect, await server.connect())
        while supervisor.count_children().active < count:
            await trio.lowlevel.checkpoint()
        if first == "server":
            server.scope.cancel()
        else:
            supervisor.stop()
        while len(received) < count:
            await trio.lowlevel.checkpoint()
        server.scope.cancel()
        await server.has_ended.wait()
        assert supervisor.count_children().active == 0
    assert received == [b"goodbye: shutdown"] * count
    assert warnings(caplog) == []


@pytest.mark.parametrize("first", ["server", "sessions"])
async def test_a_thousand_connections_end_without_a_line_in_the_log_though_every_third_client_is_gone(
    first: str, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []
    pairs = [trio.testing.memory_stream_pair() for _ in range(1000)]

    async def serve(stream: trio.abc.Stream) -> None:
        async with stream:
            await handler(stream)

    async with open_dynamic_supervisor(at_end="stop") as supervisor, trio.open_nursery() as nursery:
        handler = connection_handler(supervisor, Session, events)
        for near, _ in pairs:
            nursery.start_soon(serve, near)
        await wait_all_tasks_blocked()
        for _, far in pairs[::3]:
            await far.aclose()
        if first == "server":
            nursery.cancel_scope.cancel()
        else:
            supervisor.stop()
    assert len(events) == 1000
    for number, (_, far) in enumerate(pairs):
        if number % 3:
            assert [await far.receive_some(), await far.receive_some()] == [b"goodbye: shutdown", b""]
    assert warnings(caplog) == []


@pytest.mark.parametrize("client", ["stays", "is gone before", "is gone in the middle", "says it is done"])
async def test_a_handler_that_is_cancelled_at_any_step_leaves_no_actor_and_does_not_use_its_stream_later(
    client: str, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def attempt(cancelling: Cancelling[None]) -> None:
        events: list[str] = []
        near, far = trio.testing.memory_stream_pair()

        async def act() -> None:
            with suppress(trio.BrokenResourceError):
                await far.send_all(b"hello")
            if client == "is gone in the middle":
                await far.aclose()
            elif client != "is gone before":
                await far.receive_some()
                await far.send_eof()

        if client == "is gone before":
            await far.aclose()
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            if client != "is gone before":
                nursery.start_soon(act)
            await cancelling.run(lambda: connection_handler(supervisor, Session, events)(near))
            assert supervisor.count_children().specs == 0
            said = list(events)
            await near.aclose()
            await wait_all_tasks_blocked()
            assert events == said

    await sweep_steps(attempt)
    assert warnings(caplog) == []


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_at_any_line_of_a_handler_leaves_no_actor() -> None:
    names: Registry[str, None] = Registry("names")

    async def main() -> None:
        near, far = trio.testing.memory_stream_pair()
        await far.send_eof()
        async with open_dynamic_supervisor(at_end="stop") as supervisor:
            await connection_handler(supervisor, Session)(near)

    for place, errors in interrupted_at_each_line(main, "connections.py", "shutdown.py"):
        assert errors == {KeyboardInterrupt}, place
        assert_nothing_left_behind(names)


async def test_the_server_has_ended_only_when_every_actor_has(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    class Slow(Actor):
        def __init__(self, stream: trio.abc.Stream) -> None:
            self.stream = stream

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(3)
            await self.stream.send_all(b"bye")
            ended.append(trio.current_time())

    near, far = trio.testing.memory_stream_pair()
    async with supervised() as supervisor:
        handler = connection_handler(supervisor, Slow)
        began = trio.current_time()
        with trio.move_on_after(1):
            await handler(near)
        assert trio.current_time() - began == 4
        assert ended == [began + 4]
        assert await far.receive_some() == b"bye"


async def test_an_actor_that_takes_longer_than_its_shutdown_is_killed_and_one_line_says_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Actor):
        def __init__(self, stream: trio.abc.Stream) -> None: ...

        async def on_start(self) -> None:
            self.start_soon(self.hang)

        async def hang(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(30)

    near, _ = trio.testing.memory_stream_pair()
    async with supervised() as supervisor:
        began = trio.current_time()
        with trio.move_on_after(1):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection_handler(supervisor, Stubborn, shutdown=2), near)
                await trio.sleep(0.5)
                supervisor.stop()  # and half a second later the handler ends it too
        assert trio.current_time() - began == 30
    assert len([line for line in warnings(caplog) if "is killed: its 2 seconds to end are over" in line]) == 1


async def test_a_crash_closes_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async with supervised() as supervisor, serving(connection_handler(supervisor, Session)) as server:
        for _ in range(5):  # more than the supervisor would restart
            client = await server.connect()
            await client.send_all(b"crash")
            assert await all_of(client) == b"goodbye: crashed"
        client = await server.connect()
        await client.send_all(b"still there")
        assert await client.receive_some() == b"still there"
    assert len(warnings(caplog)) == 5


async def test_an_actor_that_waits_for_its_server_closes_its_connection_only(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Busy(Actor):
        def ping(self) -> None: ...

        async def serve(self, supervisor: DynamicSupervisor) -> str:
            await connection_handler(supervisor, ask, self.ref)("a stream")
            return "it goes on"

    async def ask(stream: str, server: trioreg.ActorRef[Busy]) -> None:
        await server.call(Busy.ping)

    async with supervised() as supervisor:
        server = await supervisor.start_child(Busy)
        assert await server.call(Busy.serve, supervisor) == "it goes on"
        assert supervisor.count_children().active == 1
    assert warnings(caplog) == ["a connection is closed: its handler failed"]


@pytest.mark.parametrize("place", ["__init__", "on_start"])
async def test_an_actor_that_does_not_start_closes_its_connection_only(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    fails = [True]

    class Fragile(Session):
        def __init__(self, stream: trio.SocketStream) -> None:
            super().__init__(stream)
            if place == "__init__" and fails.pop():
                raise Bang

        async def on_start(self) -> None:
            if place == "on_start" and fails.pop():
                raise Bang
            await super().on_start()

    async with supervised() as supervisor, serving(connection_handler(supervisor, Fragile)) as server:
        assert await all_of(await server.connect()) == b""
        fails.append(False)
        client = await server.connect()
        await client.send_all(b"hello")
        assert await client.receive_some() == b"hello"
    assert warnings(caplog) == ["a connection is closed: its actor did not start"]
    assert "Bang" in caplog.text


async def test_a_supervisor_that_is_full_or_ending_refuses_connections_with_a_line(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    near, _ = trio.testing.memory_stream_pair()
    other, _ = trio.testing.memory_stream_pair()

    async def stay(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with trioreg.open_dynamic_supervisor(max_children=1, name="sessions") as supervisor:
        handler = connection_handler(supervisor, stay)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handler, near)
            await wait_all_tasks_blocked()
            await handler(other)
            supervisor.stop()
    await handler(other)
    assert warnings(caplog) == [
        "a connection is refused: sessions can't have more children: max_children is 1",
        "a connection is refused: sessions is not running: it can't start a child",
    ]


async def test_a_start_that_is_cancelled_leaves_no_actor_with_a_closed_stream(autojump_clock: MockClock) -> None:
    class Slow(Actor):
        def __init__(self, stream: trio.abc.Stream) -> None: ...

        async def on_start(self) -> None:
            await trio.sleep(10)

    near, _ = trio.testing.memory_stream_pair()
    names: Registry[str, None] = Registry("names")
    async with supervising([ChildSpec(DynamicSupervisor, name=names.via("sessions"))]) as supervisor:
        with trio.move_on_after(1):
            await connection_handler(names.via("sessions"), Slow)(near)
        (sessions,) = supervisor.which_children()
        assert sessions.ref is not None
        assert (await sessions.ref.call(DynamicSupervisor.count_children)).specs == 0


async def test_a_tree_ends_the_server_first_then_the_sessions_then_what_they_need(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names: Registry[str, None] = Registry("names")
    events: list[str] = []
    listening = trio.Event()
    port = 0

    class Archive(Actor):
        def file(self) -> None:
            events.append("filed")

        async def on_stop(self, exit: Exit) -> None:
            events.append("archive closed")

    class Filing(Session):
        async def on_stop(self, exit: Exit) -> None:
            await super().on_stop(exit)
            await names.via("archive").call(Archive.file)

    async def serve() -> None:
        nonlocal port
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        listening.set()
        await trio.serve_listeners(connection_handler(names.via("sessions"), Filing), [listener])

    children = [
        ChildSpec(Archive, name=names.via("archive")),
        ChildSpec(DynamicSupervisor, name=names.via("sessions")),
        ChildSpec(serve, shutdown=math.inf),
    ]
    async with supervising(children):
        await listening.wait()
        clients = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(3)]
        for client in clients:
            await client.send_all(b"x")
            assert await client.receive_some() == b"x"
    assert [await all_of(client) for client in clients] == [b"goodbye: shutdown"] * 3
    assert events == ["filed"] * 3 + ["archive closed"]
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((None, Session), "supervisor must be a DynamicSupervisor or the address of one, not None"),
        (("supervisor", 7), "factory must be"),
    ],
)
async def test_wrong_arguments_are_refused_when_the_handler_is_made(arguments: Any, match: str) -> None:
    async with supervised() as supervisor:
        first, second = arguments
        with pytest.raises(TypeError, match=match):
            connection_handler(supervisor if first else first, second)
        with pytest.raises(ValueError, match="shutdown must be at least 0, not -1"):
            connection_handler(supervisor, partial(Session), shutdown=-1)


async def test_an_address_of_another_actor_closes_the_connection_and_says_why(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    near, _ = trio.testing.memory_stream_pair()
    names: Registry[str, None] = Registry("names")

    class Other(Actor): ...

    async with supervised() as supervisor:
        await connection_handler(names.via("sessions"), Session)(near)
        await supervisor.start_child(Other, name=names.via("sessions"))
        await connection_handler(names.via("sessions"), Session)(near)
    assert warnings(caplog) == [
        "a connection is refused: 'sessions' is not registered in 'names'",
        "a connection is closed: its actor did not start",
    ]
    assert "supervisor must lead to a DynamicSupervisor, not to <Other" in caplog.text
