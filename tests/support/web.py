"""The observer's application without a server: pages made up for a test, and a client that calls it as ASGI says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import attrs
import jinja2
import trio

from trioreg._observer import Observation, Page, Params
from trioreg._observer_web import ObserverApp
from trioreg._observer_web.html import Html

TOKEN = "a-token-of-the-tests"
HOST = "127.0.0.1:4001"
ORIGIN = f"http://{HOST}"
BEARER = {"authorization": f"Bearer {TOKEN}"}

TEMPLATES = {
    "page.html": '<title>{{ title }}</title><main id="live">{% include page.name ~ ".html" %}</main>',
    "overview.html": '<p title="{{ data.text }}">{{ data.text }}</p>',
    "error.html": "<h1>{{ status }} {{ title }}</h1><p>{{ sentence }}</p>",
    "no_token.html": "<h1>{{ title }}</h1>",
    "confirm.html": "{{ token }}",
    "acted.html": "<p>{{ sentence }}</p><a>{{ number }} {{ label }}</a>",
}


def templates() -> Html:
    loader = jinja2.DictLoader(TEMPLATES)
    html = Html(jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined))
    html.load_now()  # a virtual clock does not wait for a thread
    return html


def page_of(look: Callable[[Params], Mapping[str, object]], seconds: float = 1.0) -> Page:
    """The overview, with the data that ``look`` gives."""

    async def view(observation: Observation, params: Params) -> Mapping[str, object]:
        await trio.lowlevel.checkpoint()
        return look(params)

    return Page("overview", "Overview", view, seconds)


def page_with(text: str) -> Page:
    return page_of(lambda _: {"text": text})


def app_of(*pages: Page, read_only: bool = True, hosts: Sequence[str] = ()) -> ObserverApp:
    return ObserverApp(token=TOKEN, read_only=read_only, hosts=hosts, pages=pages, html=templates())


@attrs.frozen
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        (value,) = [value for each, value in self.headers if each == name]
        return value

    @property
    def cookie(self) -> str:
        """The cookie as a browser sends it back."""
        return self.header("set-cookie").partition(";")[0]


def scope_of(
    target: str, headers: Mapping[str, str] | Sequence[tuple[str, str]], method: str = "GET", root_path: str = ""
) -> dict[str, Any]:
    path, _, query = target.partition("?")
    pairs = [*headers.items()] if isinstance(headers, Mapping) else [*headers]
    if not any(name == "host" for name, _ in pairs):
        pairs.insert(0, ("host", HOST))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs if value is not None],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 4001),
    }


async def ask(
    app: Any,
    target: str = "/",
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = BEARER,
    *,
    method: str = "GET",
    body: bytes = b"",
    root_path: str = "",
) -> Answer:
    """One request, and the whole answer."""
    begun: dict[str, Any] = {}
    pieces: list[bytes] = []
    to_read = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if to_read:
            return to_read.pop()
        await trio.sleep_forever()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            begun.update(message)
        else:
            pieces.append(message["body"])

    await app(scope_of(target, headers, method, root_path), receive, send)
    answered = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in begun["headers"]]
    return Answer(begun["status"], answered, b"".join(pieces))


async def log_in(app: Any) -> dict[str, str]:
    """The headers of a browser that has opened the address with the token."""
    answer = await ask(app, f"/?token={TOKEN}", {})
    return {"cookie": answer.cookie}


class Listener:
    """A client of one live stream: it takes what is sent, as long as the test lets it."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.events: list[tuple[str, Any]] = []
        self.pieces: list[bytes] = []
        self.is_over = False
        self.may_read = trio.Event()
        self.may_read.set()
        self._is_gone = trio.Event()
        self._is_asked = False

    async def listen(self, app: Any, target: str = "/live/overview", headers: Mapping[str, str] = BEARER) -> None:
        await app(scope_of(target, headers), self._receive, self._send)
        self.is_over = True

    def leave(self) -> None:
        self._is_gone.set()

    async def _receive(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if not self._is_asked:
            self._is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._is_gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        await self.may_read.wait()
        await trio.lowlevel.checkpoint()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.pieces.append(message["body"])
        if message["body"].startswith(b"event: "):
            name, data = message["body"].decode().removeprefix("event: ").rstrip("\n").split("\ndata: ")
            self.events.append((name, json.loads(data)))
        elif message["body"]:
            self.events.append(("", message["body"]))
