"""Erlang's Observer for a running program: its supervision tree, actors and registries, live in a browser.

Install ``trioreg[observer]``. The guide is "How to: see your program live" in the docs. ``python -m trioreg.observer
URL`` shows the same in a terminal.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

try:
    import hypercorn as _hypercorn
    import jinja2 as _jinja2
    import rich as _rich
    import starlette as _starlette
except ModuleNotFoundError as _error:  # any other error is one of that package: it says itself what is wrong
    _sentence = f'trioreg.observer needs {_error.name}: pip install "trioreg[observer]"'
    if __name__ == "__main__":
        sys.exit(_sentence)
    raise ModuleNotFoundError(_sentence, name=_error.name) from _error

import trio

from ._observer_terminal import main as _main
from ._observer_web import Observer, ObserverApp, Opened, open_listeners, settings_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["Observer", "ObserverApp", "app", "serve"]

del _hypercorn, _jinja2, _rich, _starlette  # they are there


def app(*, read_only: bool = True, token: str | None = None, hosts: Iterable[str] = ()) -> ObserverApp:
    """The observer as an ASGI application, to mount under any prefix of another one that runs on Trio.

    ::

        from trioreg import observer

        pages = observer.app()
        site = Starlette(routes=[Mount("/observer", pages)])
        print(pages.url("http://127.0.0.1:8000/observer"))

    It observes the Trio run that its requests are answered in. While no page is open, it costs nothing but a handler
    of the log, from the first request on. Not a checkpoint.

    Args:
        read_only: With True, the pages have no actions. With False, anyone with the token can kill, stop, restart and
            terminate actors, after a confirmation.
        token: The token that opens the pages: 16 to 200 letters, digits and ``-._~``. None: a random one.
        hosts: Names under which browsers reach it, as in ``"tools.example.org"``, with a port or without. IP addresses
            and ``localhost`` need not be given. Other names are refused: another site could send a browser here.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """
    return ObserverApp(read_only=read_only, token=token, hosts=hosts)


async def serve(
    bind: str = "127.0.0.1:4001",
    *,
    read_only: bool = True,
    allow_remote: bool = False,
    hosts: Iterable[str] = (),
    token: str | None = None,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the observer of this Trio run, until it is cancelled.

    ::

        from trioreg import observer

        async with trio.open_nursery() as nursery:
            url = await nursery.start(observer.serve)

    It prints its address with the token to stderr, as Jupyter does. When it is cancelled, it tells open pages that it
    ends, which takes half a second at most. A request that fails is logged, and never raised. A checkpoint. While no
    page is open, it costs as little as `app`.

    Args:
        bind: Where to listen: ``"127.0.0.1:4001"``, ``"[::1]:4001"`` or ``"localhost:4001"``. With port 0 the system
            chooses a free one.
        read_only: As in `app`.
        allow_remote: Whether ``bind`` may be an address that other machines can reach. The token and all data then
            go over the network without encryption.
        hosts: Names under which browsers reach it, beside the address itself, as in `app`.
        token: As in `app`.
        task_status: For ``nursery.start``, which returns the address with the token.

    Raises:
        OSError: It can't listen there. The message has the address.
        TypeError, ValueError: An argument is not what is said above.
    """
    opened = await open_listeners(
        settings_of(bind, read_only=read_only, allow_remote=allow_remote, hosts=hosts, token=token)
    )
    task_status.started(opened.url)
    await opened.run()


def _prepare(bind: str) -> Callable[[], Awaitable[Opened]]:  # pyright: ignore[reportUnusedFunction]  # run() does
    """For ``trioreg.run(observe=...)``: checks the argument, and returns what listens there."""
    settings = settings_of(bind, argument="observe")

    async def open_there() -> Opened:
        return await open_listeners(settings)

    return open_there


if __name__ == "__main__":
    sys.exit(_main())
