"""The web shop with the observer in it, for browsers that a test drives."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from web_shop import tree
from webshop.server import web
from webshop.site import pages

from . import site


class Shop(site.Site):
    """The program."""

    path = "/observer"

    @property
    def url(self) -> str:
        """The address of the observer, with its token."""
        return pages.url(self.base)

    def server(self) -> str:
        """The number of the server that runs now, as in ``<Web #6>``."""
        return str(web.whereis()).partition("#")[2].rstrip(">")

    def kill_server(self) -> None:
        """Kill the actor that is the server. Its supervisor starts the next one."""

        async def kill() -> None:
            ref: Any = web.whereis()
            ref.kill()
            await ref.wait()

        self.do(kill)

    def restart_server(self) -> None:
        """End the server in order, and start the next one."""

        async def restart() -> None:
            (id,) = (info.id for info in self.supervisor.which_children() if info.ref is web.whereis())
            await self.supervisor.terminate_child(id)
            await self.supervisor.restart_child(id)

        self.do(restart)


def shop_site() -> AbstractContextManager[Shop]:
    """In the block, the program runs, with its carts in memory."""
    return site.running_site(Shop, lambda port: tree("127.0.0.1", port))
