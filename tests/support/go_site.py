"""Go on the web, for browsers that a test drives."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from go import game
from go import web as go_web
from go.game import games

from . import site


class Site(site.Site):
    """The program."""

    @property
    def url(self) -> str:
        """The address of the page."""
        return self.base

    def kill(self, id: str) -> None:
        """Kill the actor of a game, and wait for its end."""

        async def kill() -> None:
            ref = games.whereis(id)
            assert ref is not None
            ref.kill()
            await ref.wait()

        self.do(kill)

    @contextmanager
    def closed(self) -> Generator[None]:
        """In the block, nothing listens. The games go on."""
        self.do(lambda: self.supervisor.terminate_child("web"))
        yield
        self.do(lambda: self.supervisor.restart_child("web"))


def go_site() -> AbstractContextManager[Site]:
    """In the block, the program runs, with its games in memory."""
    return site.running_site(Site, lambda port: [*game.tree(":memory:"), *go_web.tree("127.0.0.1", port)])
