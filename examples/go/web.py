"""Go in a browser: a page, and a WebSocket for each browser that shows a game.

`serve_web` is a child of the tree. Hypercorn serves a Starlette application in the same Trio run, so a WebSocket is a task
like any other: it subscribes to its game, and calls the game by its id. When the browser is gone, so is the subscription.

A browser sends {"move": "D4"}, {"move": "pass"} or {"move": "resign"}. It gets the whole game after each change, and
{"error": "..."} for a move that the rules forbid.
"""

import ipaddress
import json
import logging
import re
import socket
import sys
from pathlib import Path

import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from trioreg import Feed, TrioregError

from .game import Game, State, games, services, watchers
from .rules import SIZES

PAGE = Path(__file__).parent / "page"

REFUSED = 1008
"""The browser does not try again."""
AGAIN = 1012
"""The browser comes back by itself."""

LONGEST_MESSAGE = 200
"""In characters."""
SECONDS_TO_READ = 5
"""A client that takes nothing for so long loses its connection."""

ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


async def serve_web(host: str, port: int) -> None:
    """Serve until cancelled. The port is in `services`, as "web"."""
    listeners = await trio.open_tcp_listeners(port, host=host)
    services.register("web", listeners[0].socket.getsockname()[1])
    if sys.platform == "linux":
        # Hypercorn shields each send from cancellation. A client that does not read would hold up the shutdown.
        for listener in listeners:
            listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SECONDS_TO_READ * 1000)
    config = Config()
    config.bind = [f"fd://{listener.socket.detach()}" for listener in listeners]
    config.websocket_max_message_size = LONGEST_MESSAGE
    config.websocket_ping_interval = 20  # finds clients that have lost their network
    config.errorlog = logging.getLogger("go.web")
    await serve(web_app(host), config)


def web_app(host: str) -> Starlette:
    routes = [
        WebSocketRoute("/games/{game}/live", visit),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, host=host)])


# A browser at a game


async def visit(websocket: WebSocket) -> None:
    """One WebSocket. Without a player's name it only watches."""
    game, player = websocket.path_params["game"], websocket.query_params.get("player", "")
    size = websocket.query_params.get("size", f"{SIZES[0]}")
    await websocket.accept()
    try:
        visitor = Visitor(websocket, checked_id(game), checked_name(player))
        if size not in map(str, SIZES):
            raise ValueError("A board has the size 9, 13 or 19.")
    except ValueError as error:
        await websocket.close(REFUSED, f"{error}")
        return
    try:
        await visitor.stay(int(size))
    except* TrioregError as group:  # the game did not answer: it was killed meanwhile, or the program ends
        logging.getLogger("go.web").info("game %s: %s", game, group.exceptions[0])
    finally:
        with trio.move_on_after(1, shield=True):
            await websocket.close(AGAIN)


class Visitor:
    """A browser that shows a game."""

    def __init__(self, websocket: WebSocket, game: str, player: str) -> None:
        self.websocket = websocket
        self.game = game
        self.player = player
        self.state: State

    async def stay(self, size: int) -> None:
        """Until the browser goes. Only the last state matters to it, so a slow one skips the states before."""
        game = games.via(self.game)
        async with (
            watchers.subscribe(self.game, value=self.player, buffer=1, overflow="drop_oldest") as states,
            trio.open_nursery() as nursery,
        ):
            if self.player:
                await game.call(Game.join, self.player, size)
            self.state = await game.call(Game.show)
            nursery.start_soon(self.tell_moves, states)
            nursery.start_soon(self.tell_who_is_here)
            await self.hear()
            nursery.cancel_scope.cancel()

    async def hear(self) -> None:
        async for text in self.websocket.iter_text():
            try:
                if not self.player:
                    raise ValueError("You watch this game.")
                await games.via(self.game).call(Game.play, self.player, move_of(text))
            except ValueError as error:  # an `IllegalMove` is one
                await self.websocket.send_json({"error": f"{error}"})

    async def tell_moves(self, states: Feed[State]) -> None:
        async for self.state in states:
            await self.show()

    async def tell_who_is_here(self) -> None:
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
    """The move in a message. `ValueError` with a sentence for the client if there is none."""
    try:
        match json.loads(text or ""):  # bytes come as None
            case {"move": str(move)}:
                return move
    except (ValueError, RecursionError):
        pass
    raise ValueError('A message is text such as {"move": "D4"}.')


def checked_id(text: str) -> str:
    if not ID.fullmatch(text):
        raise ValueError("The name of a game has 1 to 32 letters, digits, - and _.")
    return text


def checked_name(text: str) -> str:
    if text != text.strip() or len(text) > 24 or not text.isprintable():
        raise ValueError("A name has at most 24 characters.")
    return text


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
