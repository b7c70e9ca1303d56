"""Go on the web, for browsers that a test drives: the program runs in a thread beside the test."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import trio
from go import game
from go import web as go_web
from go.game import games

from trioreg import Supervisor, open_supervisor

T = TypeVar("T")


class Site:
    """The program.

    Attributes:
        base: The address of the page, without a slash at the end.
    """

    def __init__(self, port: int, supervisor: Supervisor, token: trio.lowlevel.TrioToken) -> None:
        self.base = self.url = f"http://127.0.0.1:{port}"
        self._supervisor = supervisor
        self._token = token

    def kill(self, id: str) -> None:
        """Kill the actor of a game, and wait for its end."""

        async def kill() -> None:
            ref = games.whereis(id)
            assert ref is not None
            ref.kill()
            await ref.wait()

        self._do(kill)

    @contextmanager
    def closed(self) -> Generator[None]:
        """In the block, nothing listens. The games go on."""
        self._do(lambda: self._supervisor.terminate_child("web"))
        yield
        self._do(lambda: self._supervisor.restart_child("web"))

    def _do(self, async_fn: Callable[[], Awaitable[T]]) -> T:
        return trio.from_thread.run(async_fn, trio_token=self._token)


@contextmanager
def go_site() -> Generator[Site]:
    """In the block, the program runs, with its games in memory."""
    answers: queue.SimpleQueue[Site | BaseException] = queue.SimpleQueue()
    ending = trio.Event()

    async def main() -> None:
        port = free_port()  # the same after a restart
        children = [*game.tree(":memory:"), *go_web.tree("127.0.0.1", port)]
        async with open_supervisor(children, at_end="stop") as supervisor:
            answers.put(Site(port, supervisor, trio.lowlevel.current_trio_token()))
            await ending.wait()

    def run() -> None:
        try:
            trio.run(main)
        except BaseException as error:
            answers.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    site = answers.get(timeout=30)
    if isinstance(site, BaseException):
        raise site
    try:
        yield site
    finally:
        site._token.run_sync_soon(ending.set)
        thread.join(30)
    if not answers.empty():
        error = answers.get()
        assert isinstance(error, BaseException)
        raise error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
