"""The observer as an ASGI application: which address leads to which page."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

import trio
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, Router

from .._observer import PAGES, BadParam, NotThere, Page, Params
from .._runtime import Identity
from .act import answer, question
from .addresses import Hosts
from .answers import Refused, plain, refused
from .guard import Asked, Guard, accepts_html, base_of, route_path
from .html import Html, encoded, shipped_html
from .sessions import Sessions, require_token
from .state import State
from .static_files import file_of
from .stream import Stream
from .while_serving import WhileServing

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

FIRST = "overview"


class ObserverApp(Identity):
    """The observer as an ASGI application. `trioreg.observer.app` makes one.

    Attributes:
        token: What opens it. Keep it secret.
        read_only: Whether there are no actions.
        hosts: The values of the header ``Host`` that are answered.
    """

    def __init__(
        self,
        *,
        read_only: bool = True,
        token: str | None = None,
        hosts: Iterable[str] = (),
        pages: Sequence[Page] = PAGES,
        html: Html | None = None,
    ) -> None:
        self.token: str = require_token(token)
        self.read_only: bool = require_flag("read_only", read_only)
        self.hosts: Hosts = Hosts(hosts)
        self._pages = {page.name: page for page in pages}
        self._html = shipped_html() if html is None else html
        self._state_of_run: trio.lowlevel.RunVar[State] = trio.lowlevel.RunVar("trioreg observer")
        routes = [
            Route("/", _Page(self._show), methods=["GET"]),
            Route("/static/{name}", _Page(self._show_file), methods=["GET"]),
            Route("/api/{name}", _Page(self._show_json), methods=["GET"]),
            Route("/live/{name}", _Live(self._stream), methods=["GET"]),
            *([] if self.read_only else self._routes_of_actions()),
            Route("/{name}", _Page(self._show), methods=["GET"]),
        ]
        router = Router(routes, redirect_slashes=False, default=_not_there)
        self._guard = Guard(router, lambda: self.hosts, lambda: self.state.sessions, self._refuse)

    def __repr__(self) -> str:
        return f"<trioreg observer{', read-only' if self.read_only else ''}>"

    def url(self, base: str) -> str:
        """The address for a browser, with the token in it. Not a checkpoint; constant time.

        Args:
            base: Where the application is, as in ``"http://127.0.0.1:8000/observer"``.

        Raises:
            ValueError: ``base`` is no such address.
        """
        if not isinstance(base, str) or not base.startswith(("http://", "https://")):
            raise ValueError(f'base must be an address as in "http://127.0.0.1:8000/observer", not {base!r}')
        return f"{base.rstrip('/')}/?token={self.token}"

    def while_serving(self) -> AbstractContextManager[None]:
        """A block for your server: the live pages in this Trio run end at its end.

        A live page is a request without an end, so a server that waits for its running requests would wait for it.
        Leave the block when your server begins to shut down::

            with pages.while_serving():
                await trio.serve_listeners(talk, listeners, handler_nursery=connections)

        If your server is an actor, or runs in one, and only this actor is restarted, the pages ask again until the next
        server answers. Otherwise they show that the program has ended, and stay like that until they are reloaded. That
        goes for a server in a plain nursery, too: if you start it again yourself, the block can't know that you will.
        A live page that is asked for later, through a connection that is still open, ends at once, until the block is
        entered again.

        `trioreg.observer.serve` and `trioreg.observer.Observer` do it by themselves. Entering and leaving are not
        checkpoints. Leaving costs as much as there are live pages, at most 32.

        Raises:
            RuntimeError: It is not entered in a Trio run.
        """
        return WhileServing(lambda: self.state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI interface."""
        if scope["type"] == "http":
            await self._guard(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    @property
    def state(self) -> State:
        """The state of the application in the current Trio run. The first request makes it."""
        try:
            return self._state_of_run.get()
        except LookupError:
            self._state_of_run.set(State(Sessions(self.token)))
            return self._state_of_run.get()

    # Pages

    def _page_of(self, name: str) -> Page:
        page = self._pages.get(name)
        if page is None:
            raise Refused(404, "There is no such page.")
        return page

    async def _show(self, asked: Asked, name: str) -> Response:
        page = self._page_of(name)
        html = await self._render("page.html", page, asked)
        return HTMLResponse(encoded(html))

    async def _show_json(self, asked: Asked, name: str) -> Response:
        data = await self._look(self._page_of(name), asked)
        return Response(json_of(data), media_type="application/json")

    async def _show_file(self, asked: Asked, name: str) -> Response:
        return file_of(name)

    async def _stream(self, asked: Asked, name: str, receive: Receive, send: Send) -> None:
        page = self._page_of(name)
        state = self.state

        async def look() -> str:
            return await self._render(f"{page.name}.html", page, asked)

        with state.one_stream(), state.observation.watching() as watch:
            await Stream(look, page, watch, state).run(receive, send)

    # Actions

    def _routes_of_actions(self) -> list[Route]:
        return [
            Route("/confirm", _Page(self._confirm), methods=["GET"]),
            Route("/act", _Page(self._act), methods=["POST"]),
        ]

    async def _confirm(self, asked: Asked, name: str) -> Response:
        data = await question(self._page_of("actor"), asked, self.state)
        html = await self._html.render("confirm.html", {**self._frame(asked), **data, "title": "Are you sure?"})
        return HTMLResponse(encoded(html))

    async def _act(self, asked: Asked, name: str) -> Response:
        data = await answer(self._page_of("actor"), asked, self.state)
        html = await self._html.render("acted.html", {**self._frame(asked), **data, "title": "Done"})
        return HTMLResponse(encoded(html))

    # Parts of answers

    async def _look(self, page: Page, asked: Asked) -> Mapping[str, object]:
        try:
            return await page.view(self.state.observation, Params(asked.params))
        except (BadParam, NotThere) as error:
            raise refused(error) from None

    async def _render(self, template: str, page: Page, asked: Asked) -> str:
        data = await self._look(page, asked)
        return await self._html.render(
            template, {**self._frame(asked), "data": data, "page": page, "title": page.title}
        )

    def _frame(self, asked: Asked) -> dict[str, object]:
        """What each template gets."""
        return {
            "pages": [*self._pages.values()],
            "base": asked.base,
            "read_only": self.read_only,
            "query": asked.params,
        }

    async def _refuse(self, error: Refused, scope: Scope) -> Response:
        """An error, as a page for people, as JSON for programs, and as a sentence for everything else."""
        path = route_path(scope)
        asked: Asked | None = scope.get("asked")
        headers = dict(error.headers)
        if path.startswith("/api/"):
            return Response(json_of({"error": error.sentence}), error.status, headers, "application/json")
        if path.startswith(("/live/", "/static/")):
            return plain(error.status, error.sentence, headers)
        if asked is not None:
            title = "Not there" if error.status == 404 else "This does not work"
            data = {**self._frame(asked), "title": title, "sentence": error.sentence, "status": error.status}
            return HTMLResponse(encoded(await self._html.render("error.html", data)), error.status, headers)
        if error.status == 401 and accepts_html(scope):
            data = {"title": "No token", "sentence": error.sentence, "base": base_of(scope)}
            return HTMLResponse(encoded(await self._html.render("no_token.html", data)), error.status, headers)
        return plain(error.status, error.sentence, headers)


class _Page:
    """The ASGI application of one route. (As a plain function, it would be given to the mounting application's own
    handlers of exceptions.)"""

    def __init__(self, show: Callable[[Asked, str], Awaitable[Response]]) -> None:
        self._show = show

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._show(scope["asked"], scope["path_params"].get("name", FIRST))
        await response(scope, receive, send)


class _Live:
    """The ASGI application of the live streams."""

    def __init__(self, stream: Callable[[Asked, str, Receive, Send], Awaitable[None]]) -> None:
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            raise Refused(405, "A live stream must be asked for with GET.", {"allow": "GET"})
        await self._stream(scope["asked"], scope["path_params"]["name"], receive, send)


async def _not_there(scope: Scope, receive: Receive, send: Send) -> None:
    if route_path(scope) == "":  # mounted, and the address ends without a slash
        address = quote(scope["path"]) + "/" if scope["path"] else "/"
        await Response(status_code=303, headers={"location": "/" + address.lstrip("/")})(scope, receive, send)
        return
    raise Refused(404, "There is no such page.")


def json_of(data: Mapping[str, object]) -> bytes:
    """JSON in ASCII. It has no infinity, so there ``null`` stands for it."""
    try:
        return json.dumps(data, allow_nan=False).encode()
    except ValueError:
        return json.dumps(finite(data), allow_nan=False).encode()


def finite(data: object) -> object:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: finite(value) for key, value in cast("Mapping[str, object]", data).items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in cast("list[object]", data)]
    return data


def require_flag(name: str, value: object) -> bool:
    """`TypeError` unless it is True or False: a text such as "no" would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    while (kind := (await receive())["type"]) != "lifespan.shutdown":
        await send({"type": f"{kind}.complete"})
    await send({"type": "lifespan.shutdown.complete"})
