"""The observer's own server, over real sockets: clients that are slow, dead or hostile, and its end."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from hypercorn.trio.tcp_server import TCPServer
from support.web import app_of, page_of, page_with
from support.web_client import Client
from trio.testing import wait_all_tasks_blocked

from trioreg._observer import Page
from trioreg._observer_web import Opened, connection, guard, server


class Site:
    """A server that runs."""

    nursery: trio.Nursery

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: list[trio.socket.SocketType] = []

    async def client(self, *, buffer: int | None = None) -> Client:
        made = trio.socket.socket()
        self.sockets.append(made)
        if buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await made.connect(("127.0.0.1", self.port))
        return Client(trio.SocketStream(made), self.port)

    async def status(self) -> str:
        """Whether it still answers."""
        answer = ""
        while not answer:  # on a busy machine, the time for the headers may be over before they are sent
            client = await self.client()
            with suppress(trio.BrokenResourceError):
                await client.get("/api/overview", "Connection: close")
            answer = await client.read_all()
        return answer.partition("\r\n")[0]


OK = "HTTP/1.1 200 "


@asynccontextmanager
async def serving(page: Page) -> AsyncGenerator[Site]:
    app = app_of(page)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    site = Site(listeners[0].socket.getsockname()[1])
    try:
        with trio.fail_after(20):
            async with trio.open_nursery() as site.nursery:
                site.nursery.start_soon(Opened(app, listeners, "").run)
                yield site
                site.nursery.cancel_scope.cancel()
    finally:
        for each in site.sockets:  # only now: the server ends without their help
            each.close()


def large() -> Page:
    """A page that is larger than what the system takes for a client that does not read, and new with each look."""
    numbers = iter(range(1_000_000))
    return page_of(lambda _: {"text": f"{next(numbers)}" + "x" * 8_000_000}, 0.01)


def counted() -> Page:
    numbers: Iterator[int] = iter(range(1_000_000))
    return page_of(lambda _: {"text": f"{next(numbers)}"}, 0.01)


# Pages


async def test_a_page_is_answered_over_a_real_connection_and_the_next_one_too() -> None:
    async with serving(page_with("hello")) as site:
        client = await site.client()
        for _ in range(3):
            await client.get("/api/overview")
            assert (await client.read_until("}")).startswith(OK)


async def test_the_server_does_not_say_what_it_is() -> None:
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/", "Connection: close")
        assert "hypercorn" not in (await client.read_all()).lower()


async def test_a_live_page_gets_looks_over_a_real_connection() -> None:
    async with serving(counted()) as site:
        client = await site.client()
        await client.get("/live/overview")
        await client.read_until(">2</p>")


# Slow and dead clients


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.05)
    async with serving(large()) as site:
        for target in ("/", "/live/overview"):
            client = await site.client(buffer=4096)
            await client.get(target)
            with pytest.raises(trio.BrokenResourceError):
                while True:  # until the other end is closed
                    await client.send("x")
                    await trio.sleep(0.01)
        assert (await site.status()).startswith(OK)


async def test_a_client_that_is_gone_takes_its_stream_with_it() -> None:
    async with serving(counted()) as site:
        before = len(site.nursery.child_tasks)
        client = await site.client()
        await client.get("/live/overview")
        await client.read_until(">1</p>")
        client.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no goodbye: a reset
        await client.stream.aclose()
        assert len(site.nursery.child_tasks) == before
        assert (await site.status()).startswith(OK)


@pytest.mark.parametrize(
    "begin",
    [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b",
        "\r\n\r\n",
    ],
)
async def test_a_client_that_does_not_finish_its_request_is_cut_off(
    begin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.05)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.send(begin)
        assert (await client.read_all())[:10] in ("", "HTTP/1.1 4")


async def test_a_client_that_sends_its_request_byte_by_byte_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.1)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await client.send("x")
                await trio.sleep(0.01)


async def test_a_body_that_does_not_come_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.05)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/", "Content-Length: 10")
        answer = await client.read_all()
        assert answer.startswith("HTTP/1.1 408 ")
        assert "\r\nconnection: close" in answer.lower()


async def test_an_endless_body_is_cut_off() -> None:
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/", "Transfer-Encoding: chunked")
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await client.send("1000\r\n" + "x" * 4096 + "\r\n")
        assert (await site.status()).startswith(OK)


async def test_an_endless_body_in_small_pieces_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # More pieces than Hypercorn keeps for the application: it would wait until somebody takes them.
    monkeypatch.setattr(guard, "SEND_SECONDS", 0.05)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/", "Transfer-Encoding: chunked")
        with suppress(trio.BrokenResourceError):
            await client.send("1\r\nx\r\n" * 10_000)
        await client.read_all()


async def test_many_requests_at_once_on_one_connection_do_not_outlive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SEND_SECONDS", 0.05)
    async with serving(counted()) as site:
        client = await site.client()
        for _ in range(100):
            await client.get("/live/overview")
        await client.read_until(">1</p>")
        await client.stream.aclose()
        assert (await site.status()).startswith(OK)
        # The block ends only when the connection has.


async def test_there_is_a_bound_for_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    async with serving(page_with("hello")) as site:
        clients = [await site.client() for _ in range(3)]
        await wait_all_tasks_blocked(0.01)
        refused = await site.client()
        with suppress(trio.BrokenResourceError):
            await refused.get("/api/overview")
        assert await refused.read_all() == ""
        await clients[0].stream.aclose()
        await wait_all_tasks_blocked(0.01)
        assert (await site.status()).startswith(OK)


# Bytes that are no request


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("\0\1\2\3\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/1.1\r\nA: b\n c\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "HTTP/1.1 400 "),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400 "),
        ("GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 400 "),
        (f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: {'b' * 100_000}\r\n\r\n", "HTTP/1.1 431 "),
        (f"GET /{'a' * 100_000} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "HTTP/1.1 431 "),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "HTTP/1.1 403 "),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", "HTTP/1.1 403 "),
    ],
)  # fmt: skip
async def test_bytes_that_are_no_request_are_refused_and_the_server_goes_on(sent: str, answer: str) -> None:
    async with serving(page_with("hello")) as site:
        client = await site.client()
        try:
            await client.send(sent)
            await client.stream.send_eof()
        except trio.BrokenResourceError:
            pass  # it is refused already
        assert (await client.read_all() or answer).startswith(answer)
        assert (await site.status()).startswith(OK)


@pytest.mark.parametrize(
    "sent",
    [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\xff" * 1000,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "HTTP2-Settings: !!!\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\xff\xff",
    ],
)
async def test_other_protocols_do_no_harm(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.1)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.1)
    monkeypatch.setattr(guard, "SEND_SECONDS", 0.1)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.send(sent)
        await client.stream.send_eof()
        assert (await site.status()).startswith(OK)
        await client.read_all()


async def test_what_hypercorn_does_not_expect_ends_one_connection_and_not_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(self: TCPServer) -> None:
        raise LookupError

    async with serving(page_with("hello")) as site:
        with monkeypatch.context() as patch:
            patch.setattr(TCPServer, "run", fail)
            assert await (await site.client()).read_all() == ""
        assert (await site.status()).startswith(OK)


async def test_a_client_that_sends_much_has_the_loop_for_a_little_of_it_at_a_time() -> None:
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    async with ours, theirs:
        await theirs.send_all(b"x" * 3000)
        tested = connection.Connection(ours)
        for max_bytes in (65536, None):
            assert len(await tested.receive_some(max_bytes)) == connection.MOST_AT_ONCE
        assert len(await tested.receive_some(10)) == 10


async def test_a_client_that_has_closed_its_side_keeps_its_connection_until_it_has_its_answer() -> None:
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    async with ours, theirs:
        tested = connection.Connection(ours)
        with tested.one_request():
            await theirs.send_eof()
            assert await tested.receive_some() == b""
            assert not tested.scope.cancel_called
        assert tested.scope.cancel_called


# The end


async def test_a_live_page_is_told_when_the_server_ends() -> None:
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/live/overview")
        await client.read_until("hello")
        site.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            assert "event: end\ndata: {}\n\n" in await client.read_all()


async def test_no_client_delays_the_end() -> None:
    async with serving(large()) as site:
        idle, half, dead, page, stream = [await site.client(buffer=4096) for _ in range(5)]
        await idle.get("/api/nothing")
        await idle.read_until("}")
        await half.send("GET / HT")
        await dead.get("/", "Content-Length: 10")
        await page.get("/")
        await stream.get("/live/overview")
        await stream.read_until("data")
        began = trio.current_time()
        site.nursery.cancel_scope.cancel()
    assert trio.current_time() - began < connection.SEND_SECONDS - 1  # a half second, and what a busy machine adds


async def test_a_connection_without_a_request_ends_at_once_with_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LAST_SECONDS", 1000)
    monkeypatch.setattr(server, "HEADER_SECONDS", 1000)
    async with serving(page_with("hello")) as site:
        client = await site.client()
        await client.get("/api/overview")
        await client.read_until("}")


async def test_nothing_listens_after_the_end() -> None:
    async with serving(page_with("hello")) as site:
        assert (await site.status()).startswith(OK)
    with pytest.raises(ConnectionRefusedError):
        await site.client()
    site.sockets.pop().close()
