"""The server: Hypercorn as an actor, which ends in order."""

import logging
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve  # pyright: ignore[reportUnknownVariableType]  # it has a bare `dict`

from trioreg import Actor

from .carts import names
from .site import site

LAST_SECONDS = 5  # for running requests when the shop closes


class Web(Actor):
    """The server. It has started when it listens, and it ends when the running requests have their answers."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.config = Config()
        self.config.graceful_timeout = LAST_SECONDS
        self.config.errorlog = logging.getLogger("hypercorn.error")

    async def on_start(self) -> None:
        listeners = await trio.open_tcp_listeners(self.port, host=self.host)
        self.port = listeners[0].socket.getsockname()[1]
        self.config.bind = [f"fd://{listener.socket.detach()}" for listener in listeners]
        self.start_soon(self.serve)

    async def serve(self) -> None:
        """When this is cancelled, Hypercorn is not: it is told to close, and gets `LAST_SECONDS` for that."""
        cancelled = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(set_when_cancelled, cancelled)
            application = cast(Any, site)  # Hypercorn and Starlette have other types for the same ASGI
            with trio.CancelScope(shield=True):
                await serve(application, self.config, shutdown_trigger=cancelled.wait)

    def address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


async def set_when_cancelled(event: trio.Event) -> None:
    try:
        await trio.sleep_forever()
    finally:
        event.set()


web = names.via("web", of=Web)
