"""A client of a WebSocket over a real socket."""

from __future__ import annotations

import json
from collections import deque
from types import TracebackType
from typing import Any, Self, cast

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    RejectConnection,
    Request,
    TextMessage,
)


class Rejected(Exception):
    """The server has answered with a status, and without a WebSocket."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Closed(Exception):
    """The server has closed the WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocketClient:
    """A WebSocket that the test reads when it wants to. As a block, it closes its socket at the end."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: deque[Event] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: tuple[type[BaseException], BaseException, TracebackType]) -> None:
        await trio.aclose_forcefully(self._stream)

    async def send(self, message: object) -> None:
        """Send an object as JSON."""
        await self.send_data(json.dumps(message))

    async def send_data(self, data: str | bytes, *, finished: bool = True) -> None:
        """Send a message, or with ``finished=False`` a fragment that others follow."""
        event: TextMessage | BytesMessage
        if isinstance(data, str):
            event = TextMessage(data, message_finished=finished)
        else:
            event = BytesMessage(data, message_finished=finished)
        await self._stream.send_all(self._protocol.send(event))

    async def receive(self) -> Any:
        """The next message, out of JSON.

        Raises:
            Closed: The server has closed the WebSocket.
        """
        data = ""
        while True:
            event = await self._next_event()
            if isinstance(event, CloseConnection):
                await self._stream.send_all(self._protocol.send(event.response()))
                raise Closed(event.code, event.reason or "")
            if isinstance(event, Message):  # a `Ping` of Hypercorn needs no answer
                data += cast("str", event.data)  # pyright: ignore[reportUnknownMemberType]  # it is text in each test
                if event.message_finished:
                    return json.loads(data)

    async def shake_hands(self, host: str, target: str, origin: str | None) -> None:
        headers = [] if origin is None else [(b"origin", origin.encode())]
        await self._stream.send_all(self._protocol.send(Request(host, target, extra_headers=headers)))
        event = await self._next_event()
        if isinstance(event, RejectConnection):
            raise Rejected(event.status_code)
        assert isinstance(event, AcceptConnection), event

    async def _next_event(self) -> Event:
        while not self._events:
            data = await self._stream.receive_some()
            self._protocol.receive_data(data or None)
            self._events.extend(self._protocol.events())
        return self._events.popleft()


async def connect(port: int, target: str, *, host: str | None = None, origin: str | None = "") -> WebSocketClient:
    """A WebSocket to a server on this machine. By default, its origin is the server's own page.

    Raises:
        Rejected: The server refuses it.
    """
    host = host or f"127.0.0.1:{port}"
    client = WebSocketClient(await trio.open_tcp_stream("127.0.0.1", port))
    try:
        await client.shake_hands(host, target, f"http://{host}" if origin == "" else origin)
    except BaseException:
        await client.__aexit__()
        raise
    return client
