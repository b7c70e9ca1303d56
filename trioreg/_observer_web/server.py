"""The observer's own server: Hypercorn's HTTP on connections of ours, with an end that no client can delay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from logging import DEBUG
from typing import TYPE_CHECKING, Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from .._runtime import SafeLogger, split
from .connection import Connection
from .guard import LONGEST_HEADERS, LONGEST_URL

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework
    from starlette.types import Message, Receive, Scope, Send

    from .app import ObserverApp

MOST_CONNECTIONS = 100
"""How many connections may be open. One more is closed at once."""

HEADER_SECONDS = 5.0
"""How long a client may take until the headers of its first or next request are complete."""

LAST_SECONDS = 0.5
"""How long the live streams may take to say goodbye when the server ends."""

logger = SafeLogger("trioreg.observer")


class Server:
    """Serves an application on some listeners, until it is cancelled."""

    def __init__(self, app: ObserverApp, listeners: Iterable[trio.SocketListener]) -> None:
        self._app = app
        self._listeners = [*listeners]
        self._connections: set[Connection] = set()
        self._config = _config()
        self._context = WorkerContext(None)

    async def run(self, is_for_good: Callable[[], bool] = lambda: True) -> None:
        """Serve. When it is cancelled, it takes `LAST_SECONDS` at most.

        Args:
            is_for_good: Asked then: whether live pages are told that the program is over.
        """
        ending = trio.Event()
        self._app.state.begin()
        async with trio.open_nursery() as outside:
            outside.start_soon(_set_at_the_end, ending)
            # The connections are not cancelled with this task: live pages are told of the end first.
            with trio.CancelScope(shield=True):
                await self._serve(ending, is_for_good)
            outside.cancel_scope.cancel()

    async def _serve(self, ending: trio.Event, is_for_good: Callable[[], bool]) -> None:
        async with trio.open_nursery() as beside:
            beside.start_soon(self._end_connections, ending)
            async with trio.open_nursery() as connections:
                accepting = trio.CancelScope()
                connections.start_soon(self._accept, accepting, connections)
                await ending.wait()
                accepting.cancel()
                self._app.state.end(says_goodbye=is_for_good())
                await self._context.terminated.set()  # connections without a request end at once
            beside.cancel_scope.cancel()

    async def _end_connections(self, ending: trio.Event) -> None:
        await ending.wait()
        await trio.sleep(LAST_SECONDS)
        for connection in [*self._connections]:
            connection.end()

    async def _accept(self, accepting: trio.CancelScope, connections: trio.Nursery) -> None:
        with accepting:
            await trio.serve_listeners(self._serve_one, self._listeners, handler_nursery=connections)

    async def _serve_one(self, stream: trio.SocketStream) -> None:
        if len(self._connections) >= MOST_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        connection = Connection(stream)
        self._connections.add(connection)
        try:
            with connection.scope:
                app = ASGIWrapper(cast("ASGIFramework", _OneRequest(self._app, connection)))
                try:
                    await TCPServer(app, self._config, self._context, ConnectionState({}), cast("Any", connection))
                except* Exception as group:
                    # A client can send what Hypercorn does not expect. That ends this connection, and nothing else.
                    text = "the observer has closed a connection: %s"
                    logger.log(DEBUG, "request_failed", text, group.exceptions[0], exc_info=group)
        finally:
            connection.socket.close()
            self._connections.discard(connection)
            if connection.exit is not None:
                try:
                    raise connection.exit
                finally:
                    connection.exit = None  # its traceback leads here: no cycle


class _OneRequest:
    """The application, for one connection. A request that is answered before it is complete ends the connection.

    Hypercorn would wait for ever until somebody takes the rest of its body.
    """

    def __init__(self, app: ObserverApp, connection: Connection) -> None:
        self._app = app
        self._connection = connection

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_complete = scope["type"] != "http"

        async def receive_and_see() -> Message:
            nonlocal is_complete
            message = await receive()
            is_complete = is_complete or not message.get("more_body")
            return message

        async def send_and_say(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_complete and scope["http_version"] in ("1.0", "1.1"):
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        with self._connection.one_request():
            try:
                await self._app(scope, receive_and_see, send_and_say)
            except (Exception, trio.Cancelled, GeneratorExit):
                raise
            except BaseException as error:
                cancelled, exit = split(error)
                if exit is None or isinstance(exit, Exception):
                    raise
                # Ctrl-C or `SystemExit`. Hypercorn would log it as an error of a page, and go on.
                self._connection.exit = exit
                self._connection.end()
                if cancelled is not None:
                    raise cancelled from None
            finally:
                if not is_complete:
                    self._connection.end()


async def _set_at_the_end(ending: trio.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        ending.set()


def _config() -> Config:
    config = Config()
    config.errorlog = logging.getLogger("hypercorn.error")  # its lines have none of our fields
    config.include_server_header = False
    config.keep_alive_timeout = HEADER_SECONDS
    config.h11_max_incomplete_size = LONGEST_HEADERS + LONGEST_URL
    config.h2_max_concurrent_streams = 10
    config.websocket_max_message_size = 1  # there are none
    return config
