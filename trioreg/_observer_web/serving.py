"""From an address to a server that runs: what is checked before, what is printed, and what a restart keeps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress

import attrs
import trio

from .._runtime import SafeLogger
from .addresses import (
    Bind,
    Hosts,
    address_of,
    hosts_of,
    listen,
    parse_bind,
    require_hosts,
    require_loopback,
    url_of,
)
from .app import ObserverApp, require_flag
from .server import Server
from .sessions import require_token

logger = SafeLogger("trioreg.observer")


@attrs.frozen
class Settings:
    """What `serve` and `Observer` take. `settings_of` checks it."""

    bind: Bind
    read_only: bool
    allow_remote: bool
    hosts: tuple[str, ...]
    token: str | None = attrs.field(repr=False)


def settings_of(
    bind: str,
    *,
    read_only: bool = True,
    allow_remote: bool = False,
    hosts: Iterable[str] = (),
    token: str | None = None,
    argument: str = "bind",
) -> Settings:
    """The settings. `TypeError` or `ValueError` if one is not right. Errors call the address ``argument``."""
    parsed = parse_bind(bind, argument)
    require_flag("read_only", read_only)
    require_flag("allow_remote", allow_remote)
    if address_of(parsed.host) is not None:  # what a name leads to is asked later
        require_loopback(parsed, allow_remote)
    if token is not None:
        require_token(token)
    return Settings(parsed, read_only, allow_remote, tuple(sorted(require_hosts(hosts))), token)


class Opened:
    """An observer that listens. `run` serves.

    Attributes:
        app: The application.
        url: Its address, with the token.
    """

    def __init__(
        self,
        app: ObserverApp,
        listeners: list[trio.SocketListener],
        url: str,
        keep: Callable[[], object] = lambda: None,
    ) -> None:
        self.app = app
        self.url = url
        self._listeners = listeners
        self._keep = keep

    async def run(self, is_for_good: Callable[[], bool] = lambda: True) -> None:
        """Serve until it is cancelled, and then half a second longer at most.

        Args:
            is_for_good: Asked when it is cancelled: whether open pages are told that the program is over. If they are
                not, they ask again until the next observer answers.
        """
        try:
            await Server(self.app, self._listeners).run(is_for_good)
        finally:
            for listener in self._listeners:
                listener.socket.close()
            self._keep()

    async def run_beside(self) -> None:
        """Serve beside a program, which goes on if the observer fails."""
        try:
            await self.run()
        except* Exception as error:  # if the program ends meanwhile, there is a `trio.Cancelled` beside it
            logger.report(error, "observer_failed", "the observer has ended: the program goes on without it")


@attrs.frozen
class _Kept:
    """What the next observer with the same settings in this run takes over: an open page stays valid."""

    app: ObserverApp
    port: int
    url: str


_kept: trio.lowlevel.RunVar[dict[Settings, _Kept]] = trio.lowlevel.RunVar("trioreg observers")


async def open_listeners(settings: Settings) -> Opened:
    """Listen, and print the address with the token, if that has not been printed yet. A checkpoint.

    Raises:
        ValueError: The name leads to an address that is not of this machine alone, without ``allow_remote``.
        OSError: It can't listen there.
    """
    try:
        all_kept = _kept.get()
    except LookupError:
        _kept.set(all_kept := dict[Settings, _Kept]())
    before = all_kept.pop(settings, None)  # for one at a time: another one has an application of its own
    try:
        listeners = await _listen_again(settings, before)
    except BaseException:
        if before is not None:
            all_kept[settings] = before
        raise
    app = ObserverApp(read_only=settings.read_only, token=settings.token) if before is None else before.app
    app.hosts = Hosts(settings.hosts, hosts_of(settings.bind, listeners))
    url = app.url(url_of(settings.bind, listeners[0]))
    if before is None or before.url != url:
        _print_url(url)
    now = _Kept(app, listeners[0].socket.getsockname()[1], url)
    return Opened(app, listeners, url, lambda: all_kept.update({settings: now}))


async def _listen_again(settings: Settings, before: _Kept | None) -> list[trio.SocketListener]:
    if before is not None and not settings.bind.port:
        with suppress(OSError):  # the port that the system chose before, if it is still free
            return await listen(attrs.evolve(settings.bind, port=before.port), settings.allow_remote)
    return await listen(settings.bind, settings.allow_remote)


def _print_url(url: str) -> None:
    # To stderr, and not to the log: a log is kept, and read by others.
    with suppress(Exception):  # there may be no stderr
        print(f"trioreg observer: {url}", file=sys.stderr, flush=True)
