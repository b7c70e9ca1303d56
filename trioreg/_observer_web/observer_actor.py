"""The observer as a child of a supervisor: `Observer`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from .._actors import Actor
from .._supervision import Child
from .serving import open_listeners, settings_of

if TYPE_CHECKING:
    from .._supervision import Engine


class Observer(Actor):
    """The observer as an actor, for your supervision tree.

    ::

        trioreg.run([child(Observer, "127.0.0.1:4001", read_only=False), child(Shop)])

    It has started when it listens. It prints its address with the token to stderr, once. After a restart it has the
    same token, and open pages go on. When it is shut down, it tells open pages that it ends, which takes half a second
    at most.

    If it can't listen, ``start_child`` raises `OSError`: the port may be in use. The arguments, and what else it
    raises, are those of `serve`.
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
        self.start_soon(opened.run, self._is_program_over)

    def _is_program_over(self) -> bool:
        """Whether the whole tree ends. Its own exit can't say it: it is shut down to be restarted, too."""
        cell = self.ref._cell
        child = None if cell is None else getattr(cell.life, "child", None)
        is_closing = True
        while isinstance(child, Child):
            engine = cast("Engine", child.parent)
            is_closing, child = engine.is_closing(), engine.own_child
        return is_closing
