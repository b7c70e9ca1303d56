"""The server: Hypercorn as an actor, which ends in order."""

import logging
import socket
import sys
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from trioreg import Actor

from .carts import names
from .guard import Guard
from .site import pages, site

LAST_SECONDS = 5  # for running requests when the shop closes

logger = logging.getLogger("webshop")


class Web(Actor):
    """The server. It has started when it listens, and it ends when the running requests have their answers."""

    def __init__(self, host: str, port: int, name: str) -> None:
        self.host = host
        self.port = port
        guarded = Guard(site, names={host, name})
        self.site = ASGIWrapper(cast("ASGIFramework", guarded))  # two libraries, two sets of types
        self.config = Config()
        self.config.errorlog = logger
        self.context = WorkerContext(None)  # tells the connections when the shop closes

    async def on_start(self) -> None:
        try:
            listeners = await trio.open_tcp_listeners(self.port, host=self.host)
        except OSError as error:
            where = f"{self.host}, port {self.port}: {error.strerror}"
            raise OSError(f"can't listen on {where}. Choose another --host, or --serve PORT (0: a free one)") from error
        self.port = listeners[0].socket.getsockname()[1]
        self.start_soon(self.serve, listeners)

    async def serve(self, listeners: list[trio.SocketListener]) -> None:
        """When this is cancelled, the connections are not: they are told to close, and get `LAST_SECONDS` for that."""
        async with trio.open_nursery() as nursery, trio.open_nursery() as connections:
            connections.cancel_scope.shield = True
            nursery.start_soon(self.accept, listeners, connections)
            await self.context.terminated.wait()

    async def accept(self, listeners: list[trio.SocketListener], connections: trio.Nursery) -> None:
        try:
            with pages.while_serving():
                await trio.serve_listeners(self.talk, listeners, handler_nursery=connections)
        finally:  # it is cancelled
            await self.context.terminated.set()
            connections.cancel_scope.deadline = trio.current_time() + LAST_SECONDS

    async def talk(self, stream: trio.SocketStream) -> None:
        """One connection. Bytes that Hypercorn does not expect end it. With Hypercorn's own `serve`, they end all."""
        if sys.platform == "linux":
            # Hypercorn shields what it sends from cancellation: a client that reads nothing would hold up the end.
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(LAST_SECONDS * 1000))
        try:
            await TCPServer(self.site, self.config, self.context, ConnectionState({}), cast("Any", stream))
        except* Exception as errors:
            logger.info("a connection has ended: %s", errors.exceptions[0])

    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


web = names.via("web", of=Web)
