"""The web shop with the observer in it, for browsers that a test drives. It runs in a thread beside the test."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

import trio
from web_shop import tree
from webshop.server import web
from webshop.site import pages

from trioreg import Supervisor, open_supervisor

from .go_site import free_port


class Shop:
    """The program.

    Attributes:
        url: The address of the observer, with its token.
        base: The same without the token and without a slash at the end.
    """

    def __init__(self, port: int, supervisor: Supervisor, token: trio.lowlevel.TrioToken) -> None:
        self.base = f"http://127.0.0.1:{port}/observer"
        self.url = pages.url(self.base)
        self._supervisor = supervisor
        self._token = token

    def server(self) -> str:
        """The number of the server that runs now, as in ``<Web #6>``."""
        return str(web.whereis()).partition("#")[2].rstrip(">")

    def kill_server(self) -> None:
        """Kill the actor that is the server. Its supervisor starts the next one."""

        async def kill() -> None:
            ref: Any = web.whereis()
            ref.kill()
            await ref.wait()

        self._do(kill)

    def restart_server(self) -> None:
        """End the server in order, and start the next one."""

        async def restart() -> None:
            (id,) = (info.id for info in self._supervisor.which_children() if info.ref is web.whereis())
            await self._supervisor.terminate_child(id)
            await self._supervisor.restart_child(id)

        self._do(restart)

    def _do(self, async_fn: Callable[[], Awaitable[None]]) -> None:
        trio.from_thread.run(async_fn, trio_token=self._token)


@contextmanager
def shop_site() -> Generator[Shop]:
    """In the block, the program runs, with its carts in memory."""
    answers: queue.SimpleQueue[Shop | BaseException] = queue.SimpleQueue()
    ending = trio.Event()

    async def main() -> None:
        port = free_port()  # the same after a restart
        async with open_supervisor(tree("127.0.0.1", port), at_end="stop") as supervisor:
            answers.put(Shop(port, supervisor, trio.lowlevel.current_trio_token()))
            await ending.wait()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            answers.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    shop = answers.get(timeout=30)
    if isinstance(shop, BaseException):
        raise shop
    try:
        yield shop
    finally:
        shop._token.run_sync_soon(ending.set)
        thread.join(30)
    if not answers.empty():
        error = answers.get()
        assert isinstance(error, BaseException)
        raise error
