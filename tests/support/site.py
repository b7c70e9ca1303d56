"""A supervised program with a web server, for browsers that a test drives. It runs in a thread beside the test."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from typing import ClassVar, TypeVar

import trio

from trioreg import ChildSpec, Supervisor, open_supervisor

T = TypeVar("T")


class Site:
    """The program.

    Attributes:
        path: Where its pages are on the server.
        base: The address of the pages, without a slash at the end.
    """

    path: ClassVar[str] = ""

    def __init__(self, port: int, supervisor: Supervisor, token: trio.lowlevel.TrioToken) -> None:
        self.base = f"http://127.0.0.1:{port}{self.path}"
        self.supervisor = supervisor
        self.token = token

    def do(self, async_fn: Callable[[], Awaitable[T]]) -> T:
        """Call a function in the program's Trio run, and wait for its result."""
        return trio.from_thread.run(async_fn, trio_token=self.token)


S = TypeVar("S", bound=Site)


@contextmanager
def running_site(kind: type[S], children: Callable[[int], Sequence[ChildSpec]]) -> Generator[S]:
    """In the block, the program runs: a supervisor with the children that ``children`` returns for a free port."""
    answers: queue.SimpleQueue[S | BaseException] = queue.SimpleQueue()
    ending = trio.Event()

    async def main() -> None:
        port = free_port()  # the same after a restart
        async with open_supervisor(children(port), at_end="stop") as supervisor:
            answers.put(kind(port, supervisor, trio.lowlevel.current_trio_token()))
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
        site.token.run_sync_soon(ending.set)
        thread.join(30)
    if not answers.empty():
        error = answers.get()
        assert isinstance(error, BaseException)
        raise error


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
