"""The observer as a child of a supervisor: `Observer`."""

from __future__ import annotations

from collections.abc import Iterable

from .._actors import Actor
from .program_end import is_program_over
from .serving import open_listeners, settings_of


class Observer(Actor):
    """The observer as an actor, for your supervision tree.

    ::

        trioreg.run([child(Observer, "127.0.0.1:4001", read_only=False), child(Shop)])

    It has started when it listens. It prints its address with the token to stderr, once. After a restart it has the
    same token, and open pages go on. When it is shut down, it tells open pages that it ends, which takes half a second
    at most.

    If it can't listen, ``start_child`` raises `OSError`: the port may be in use. It has the arguments of
    `serve`, and raises the same errors.
    """

    def __init__(
        self,
        bind: str = "127.0.0.1:4001",
        *,
        read_only: bool = True,
        allow_remote: bool = False,
        hosts: Iterable[str] = (),
        token: str | None = None,
    ) -> None:
        self._settings = settings_of(bind, read_only=read_only, allow_remote=allow_remote, hosts=hosts, token=token)

    async def on_start(self) -> None:
        opened = await open_listeners(self._settings)
        self.start_soon(opened.run, is_program_over)
