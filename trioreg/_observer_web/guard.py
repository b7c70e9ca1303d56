"""What stands before each page: bounds, names, origins, the token. What comes past it may see the program.

A request is refused before anything of the program is looked at. Each answer has the headers of `answers.SECURITY`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode

import attrs
import trio
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from .._runtime import SafeLogger
from .answers import SECURITY, Refused, plain
from .sessions import BEARER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .addresses import Hosts
    from .sessions import Sessions

LONGEST_URL = 4096
LONGEST_BODY = 4096
"""In bytes."""

MOST_HEADERS = 100
LONGEST_HEADERS = 16384
"""All together, in bytes."""

MOST_PARAMS = 50

BODY_SECONDS = 5.0
"""How long a request may take until it is complete, once its headers are there."""

SEND_SECONDS = 5.0
"""How long a client may take for each piece of an answer."""

logger = SafeLogger("trioreg.observer")


class Gone(Exception):
    """The client is not there any more, or does not read."""


@attrs.frozen
class Asked:
    """A request that has passed the guard.

    Attributes:
        params: The parameters of its address, the token not among them.
        session: Who asks.
        body: The whole body.
        content_type: What the body is, as the client says.
        base: The prefix under which the observer is mounted, as it stands in addresses.
    """

    params: dict[str, str]
    session: str
    body: bytes
    content_type: str
    base: str


class Guard:
    """An ASGI application around another one. In the scope of the other one is an `Asked`, as ``"asked"``."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Callable[[], Hosts],
        sessions: Callable[[], Sessions],
        refuse: Callable[[Refused, Scope], Awaitable[Response]],
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._sessions = sessions
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        error: Exception | None = None
        try:
            try:
                asked = await self._check(scope, receive)
                if isinstance(asked, Response):
                    await asked(scope, receive, answer.send)
                    return
                scope = {**scope, "asked": asked}
                await self._app(scope, receive, answer.send)
            except (Refused, HTTPException) as refused:  # the second is of the router
                if not isinstance(refused, Refused):
                    refused = Refused(refused.status_code, f"{refused.detail}.", refused.headers or {})
                if not answer.has_begun:
                    await (await self._refuse(refused, scope))(scope, receive, answer.send)
        except Gone:
            pass
        except Exception as raised:
            error = raised
        if error is not None:
            await self._fail(error, answer, scope, receive)

    async def _fail(self, error: Exception, answer: _Answer, scope: Scope, receive: Receive) -> None:
        logger.report(error, "request_failed", "the observer could not answer a request for %.200r", route_path(scope))
        if not answer.has_begun:
            response = plain(500, "The observer failed to answer. The log of the program says why.")
            with suppress(Gone):
                await response(scope, receive, answer.send)

    async def _check(self, scope: Scope, receive: Receive) -> Asked | Response:
        query: bytes = scope["query_string"]
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
        if len(raw_path) + len(query) > LONGEST_URL:
            raise Refused(414, f"The address must have at most {LONGEST_URL} bytes.")
        headers = _Headers(scope["headers"])
        method: str = scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            raise Refused(405, "The method must be GET or POST.", {"allow": "GET, HEAD, POST"})
        body = await _body_of(headers, receive)
        host = self._check_host(headers)
        session_of_bearer = self._bearer(headers)
        self._check_origin(scope, headers, host, may_lack_origin=session_of_bearer is not None)
        params = _params_of(query)
        base = base_of(scope)
        token = params.pop("token", None)
        if token is not None and method != "POST":
            return self._exchange(scope, headers, token, params, base)
        session = session_of_bearer or self._session(headers)
        if session is None and route_path(scope).startswith("/static/"):
            session = ""  # these files are public: they are in the package
        if session is None:
            raise Refused(
                401,
                "The observer needs its token. Open the address that the program printed at its start: it ends with "
                "?token=... If you followed a link of another site, load this page again.",
                {"www-authenticate": "Bearer"},
            )
        content_type = headers.one("content-type").partition(";")[0].strip().lower()
        return Asked(params, session, body, content_type, base)

    def _check_host(self, headers: _Headers) -> str:
        hosts = headers.all("host")
        if len(hosts) != 1:
            raise Refused(400, "The request must have one header Host.")
        if not self._hosts().allows(hosts[0]):
            raise Refused(
                403, f"The observer does not answer for the host {hosts[0]!r}. If it is yours, give it with hosts=."
            )
        return hosts[0].lower()

    def _check_origin(self, scope: Scope, headers: _Headers, host: str, *, may_lack_origin: bool) -> None:
        """The page that sends this request is one of ours, or a user opens a page."""
        origins = headers.all("origin")
        for origin in origins:
            scheme, _, origin_host = origin.lower().partition("://")
            if scheme not in ("http", "https") or origin_host != host:
                raise Refused(403, f"The request comes from another origin: {origin!r}.")
        if scope["method"] == "POST" and not origins and not may_lack_origin:
            raise Refused(403, "The request must have the header Origin.")
        site = headers.one("sec-fetch-site")
        if site not in ("", "same-origin", "none"):
            is_opened = (
                scope["method"] == "GET"
                and headers.one("sec-fetch-mode") == "navigate"
                and headers.one("sec-fetch-dest") == "document"
            )
            if not is_opened:
                raise Refused(403, f"The request comes from another site (Sec-Fetch-Site: {site!r}).")

    def _bearer(self, headers: _Headers) -> str | None:
        given = headers.all("authorization")
        if not given:
            return None
        scheme, _, token = given[0].partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer" or not self._sessions().knows(token.strip()):
            raise Refused(401, "The token in the header Authorization belongs to another observer.")
        return BEARER

    def _session(self, headers: _Headers) -> str | None:
        sessions = self._sessions()
        # One cookie has several values if another site of this host has set one. It can't make a valid one.
        for name, value in headers.cookies():
            if name == sessions.cookie and (session := sessions.of(value)) is not None:
                return session
        return None

    def _exchange(self, scope: Scope, headers: _Headers, token: str, params: dict[str, str], base: str) -> Response:
        """A session for the token: a cookie, and the same address without it."""
        sessions = self._sessions()
        if not sessions.knows(token):
            raise Refused(
                401,
                "The token in the address belongs to another observer. Each start of a program makes a new one.",
            )
        path = quote(route_path(scope).lstrip("/\\"))  # "//other.site" would lead to another site
        address = f"{base}/{path}" + (f"?{urlencode(params, errors='replace')}" if params else "")
        response: Response
        if headers.one("sec-fetch-site") in ("", "same-origin", "none"):
            response = Response(status_code=303, headers={"location": address})
        else:
            # After a link of another site, a redirect would come without the cookie. A page of our own has it.
            response = HTMLResponse(_GO_ON.format(quote(address, safe="/?=&%+")))
        response.set_cookie(
            sessions.cookie,
            sessions.begin(),
            path=base or "/",
            httponly=True,
            samesite="strict",
            secure=scope.get("scheme") == "https",
        )
        return response


_GO_ON = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>trioreg observer</title>'
    '<meta http-equiv="refresh" content="0;url={0}"></head><body><p><a href="{0}">Go on to the observer</a></p></body>'
    "</html>"
)


class _Headers:
    """The headers of a request, with their names in lower case."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        if len(raw) > MOST_HEADERS or sum(len(name) + len(value) for name, value in raw) > LONGEST_HEADERS:
            raise Refused(431, f"The request must have at most {MOST_HEADERS} headers with {LONGEST_HEADERS} bytes.")
        self._raw = [(name.decode("latin-1").lower(), value.decode("latin-1").strip()) for name, value in raw]

    def all(self, name: str) -> list[str]:
        return [value for each, value in self._raw if each == name]

    def one(self, name: str) -> str:
        """Its value; empty if it is not there. Of several, none is taken: it is a text that means nothing."""
        return ", ".join(self.all(name))

    def cookies(self) -> Iterator[tuple[str, str]]:
        for header in self.all("cookie"):
            for part in header.split(";"):
                name, _, value = part.partition("=")
                yield name.strip(), value.strip()


class _Answer:
    """What goes back to the client: with all headers, and each piece within its time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            message = {**message, "headers": _secured(message)}
        try:
            with trio.fail_after(SEND_SECONDS):
                await self._send(message)
        except (trio.TooSlowError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            raise Gone from None


def _secured(message: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    own: list[tuple[bytes, bytes]] = [*message.get("headers", ())]
    names = {name.lower() for name, _ in own}
    return own + [(name.encode(), value.encode()) for name, value in SECURITY.items() if name.encode() not in names]


async def _body_of(headers: _Headers, receive: Receive) -> bytes:
    """The whole body. All of it is read before the answer begins: then nothing of it is left in the connection."""
    length = headers.one("content-length")
    is_number = length.isascii() and length.isdigit() and len(length) < 10
    if length and not (is_number and int(length) <= LONGEST_BODY):
        raise Refused(413, f"The body must have at most {LONGEST_BODY} bytes.")
    body = bytearray()
    with trio.move_on_after(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message.get("body", b"")
            if len(body) > LONGEST_BODY:
                raise Refused(413, f"The body must have at most {LONGEST_BODY} bytes.")
            if not message.get("more_body", False):
                return bytes(body)
    raise Refused(408, f"The request was not complete after {BODY_SECONDS:.0f} seconds.")


def _params_of(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMS, errors="replace")
    except ValueError:
        raise Refused(400, f"The address must have at most {MOST_PARAMS} parameters.") from None
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in params:
            raise Refused(400, f"The parameter {name[:50]!r} is given twice.")
        params[name] = value
    return params


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form."""
    return _params_of(body)


def route_path(scope: Scope) -> str:
    """The path below the prefix under which the observer is mounted."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "").rstrip("/")
    # Some servers give the whole path, as the specification says, and others what is left of it.
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path[len(prefix) :]
    return path


def base_of(scope: Scope) -> str:
    """The prefix under which the observer is mounted, as it stands in addresses: empty, or "/observer"."""
    prefix: str = scope.get("root_path", "").strip("/")  # "//other.site" would lead to another site
    return quote(f"/{prefix}") if prefix else ""


def accepts_html(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
