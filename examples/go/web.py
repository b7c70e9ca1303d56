"""Go in a browser: a page, and a WebSocket for each browser that shows a game.

The server is an actor of the tree. Hypercorn serves a Starlette application in the same Trio run, so a WebSocket is a
task like any other. It subscribes to its game, and calls the game by its id. When the browser goes, its subscription
ends.

A browser sends {"move": "D4"}, {"move": "pass"} or {"move": "resign"}. It gets the whole game after each change, and
{"error": "..."} for a move that the rules forbid.
"""

import ipaddress
import logging
import re
import socket
import sys
from contextlib import suppress
from json import loads
from pathlib import Path
from typing import Any, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from trioreg import Actor, ChildSpec, Feed, TrioregError

from .game import Game, State, games, services, watchers
from .names import BadName, game_id, player_name, shown
from .rules import SIZES, IllegalMove

LONGEST_MESSAGE = 200  # characters
LONGEST_REASON = 123  # bytes, says the protocol
PATIENCE = 5.0  # seconds that a client may take to read

REFUSED = 1008  # closes a WebSocket, and the browser does not come back
AGAIN = 1012  # the same, and the browser comes back

logger = logging.getLogger("go.web")


class BadMessage(ValueError):
    """A message has no move in it. The text is for the client."""


class WebServer(Actor):
    """It listens for browsers. When it has started, its port is in `services`."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.app = ASGIWrapper(cast("ASGIFramework", application(host)))  # two libraries, two sets of types
        self.config = Config()
        self.config.websocket_max_message_size = LONGEST_MESSAGE
        self.config.websocket_ping_interval = 20  # finds the clients that have lost their network
        self.config.errorlog = logger

    async def on_start(self) -> None:
        try:
            listeners = await trio.open_tcp_listeners(self.port, host=self.host)
        except OSError as error:
            where = f"{self.host}, port {self.port}: {error.strerror}"
            raise OSError(f"can't listen on {where}. Choose another --host, or --web PORT (0: a free one)") from error
        services.register("web", listeners[0].socket.getsockname()[1])
        self.start_soon(trio.serve_listeners, self.serve, listeners)

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection. Bytes that Hypercorn does not expect end it. With Hypercorn's own `serve`, they end all."""
        if sys.platform == "linux":
            # Hypercorn shields what it sends from cancellation: a client that reads nothing would hold up the shutdown.
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
        try:
            await TCPServer(self.app, self.config, WorkerContext(None), ConnectionState({}), cast("Any", stream))
        except* Exception as errors:
            logger.info("a connection has ended: %s", errors.exceptions[0])


def tree(host: str, port: int) -> list[ChildSpec]:
    """It needs the games, so it comes after them, and ends before them."""
    return [ChildSpec(WebServer, (host, port), id="web", shutdown=PATIENCE + 2)]


def application(host: str) -> Starlette:
    page = StaticFiles(directory=Path(__file__).parent / "page", html=True)
    routes = [
        WebSocketRoute("/games/{game}/live", visit),
        WebSocketRoute("/{path:path}", refuse),
        Mount("/", page),  # it knows no WebSockets
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, host=host)])


# A browser at a game


async def visit(websocket: WebSocket) -> None:
    """One WebSocket, from its start to its end."""
    await websocket.accept()
    try:
        visitor = Visitor(websocket)
    except BadName as error:
        await websocket.close(REFUSED, f"{error}".encode()[:LONGEST_REASON].decode(errors="ignore"))
        return
    try:
        await visitor.stay()
    except* TrioregError as errors:  # the game was killed before it answered, or the server closes
        logger.info("a browser has to come back: %s", errors.exceptions[0])
    finally:
        with trio.move_on_after(1, shield=True):
            await websocket.close(AGAIN)


async def refuse(websocket: WebSocket) -> None:
    await websocket.close(REFUSED)


class Visitor:
    """A browser that shows a game. If it says no player, it watches.

    Raises:
        BadName: The game or the player can't have that name, or no board has that size.
    """

    def __init__(self, websocket: WebSocket) -> None:
        query = websocket.query_params
        self.websocket = websocket
        self.game = game_id(websocket.path_params["game"])
        self.player = player_name(query["player"]) if "player" in query else ""
        self.size = query.get("size", "9")
        if self.size not in map(str, SIZES):
            raise BadName(f"a board has the size 9, 13 or 19, not {shown(self.size)}")

    async def stay(self) -> None:
        """Until the browser goes. A browser that is slow misses states, and gets the newest one."""
        game = games.via(self.game)
        async with (
            watchers.subscribe(self.game, value=self.player, buffer=1, overflow="drop_oldest") as states,
            trio.open_nursery() as nursery,
        ):
            if self.player:
                await game.call(Game.join, self.player, int(self.size))
            self.state = await game.call(Game.show)
            nursery.start_soon(self.show_each, states)
            nursery.start_soon(self.show_who_is_here)
            await self.hear()
            nursery.cancel_scope.cancel()

    async def hear(self) -> None:
        with suppress(WebSocketDisconnect):  # the browser has gone
            while True:
                await self.obey(await self.websocket.receive_text())

    async def obey(self, text: str) -> None:
        try:
            if not self.player:
                raise BadMessage("you watch this game")
            await games.via(self.game).call(Game.play, self.player, move_of(text))
        except (BadMessage, IllegalMove) as error:
            await self.websocket.send_json({"error": f"{error}"})

    async def show_each(self, states: Feed[State]) -> None:
        async for state in states:
            self.state = state
            await self.show()

    async def show_who_is_here(self) -> None:
        with watchers.watch(self.game, initial=True, buffer=1, overflow="drop_oldest") as changes:
            async for _ in changes:
                await self.show()

    async def show(self) -> None:
        here = [name for _, name in watchers.members(self.game)]
        players = self.state.players
        away = [color for color, name in players.items() if name not in here]
        watching = len([name for name in here if name not in players.values()])
        await self.websocket.send_json({"game": self.state.as_json(), "away": away, "watching": watching})


def move_of(text: str | None) -> str:
    """The move in a message. The text is None if the message has bytes."""
    try:
        match loads(text or ""):
            case {"move": str(move)}:
                return move
            case _:
                pass
    except (ValueError, RecursionError):
        pass
    raise BadMessage('a message is text such as {"move": "D4"}')


# Other sites


HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}


class Guard:
    """Other sites that are open in the browser can't play.

    They can open a WebSocket to any address. The header ``Origin`` says which site it is. And a site can give its own
    name the address 127.0.0.1 (DNS rebinding), so ``Host`` must be an IP address or one of our names.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        self.names = {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "lifespan" or self.is_ours(scope):
            await self.app(scope, receive, send_with_headers)
        else:
            refusal = PlainTextResponse("This address is for another site.\n", 403)
            await refusal(scope, receive, send_with_headers)

    def is_ours(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        name = re.sub(r":\d+$", "", host).strip("[]")
        if name not in self.names and not is_address(name):
            return False
        return scope["type"] == "http" or headers.get("origin") in (f"http://{host}", f"https://{host}")


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
