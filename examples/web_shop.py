"""A web shop with a cart for each customer: Starlette on Hypercorn inside `trioreg.run`, with the observer beside it.

python web_shop.py                  customers shop over real sockets, then the shop closes
python web_shop.py --serve [PORT]   serves until Ctrl-C or SIGTERM: open the address that it prints

The first request of a customer starts the cart, and an idle cart ends. A cart that crashes costs one request. When the
shop closes, it takes no new connections; running requests get their answers; then the carts end, and the store last.
"""

import argparse
import logging
import os
import sqlite3
import sys
from contextlib import closing
from functools import partial
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import trio
from ending import exit_status

import trioreg
from trioreg import Actor, ChildSpec, OnDemandSupervisor

try:
    from webshop.carts import Store, alone, carts, store
    from webshop.server import LAST_SECONDS, Web, web
    from webshop.site import pages
except ModuleNotFoundError as error:
    install = 'In the source of trioreg, type: python -m pip install ".[observer]"'
    print(f"web_shop.py needs {error.name}. {install}", file=sys.stderr)
    sys.exit(2)


def tree(host: str, port: int, path: str = ":memory:", name: str = "localhost") -> list[ChildSpec]:
    """They end in reverse order: first the server, then the carts, which may need the store until their end."""
    return [
        ChildSpec(Store, (path,), name=store),
        ChildSpec(OnDemandSupervisor, (carts,), id="carts"),
        ChildSpec(Web, (host, port, name), name=web, shutdown=LAST_SECONDS + 1),
    ]


# The story: customers in the same program


async def ask(method: str, path: str, body: str | None = None, token: str = "") -> tuple[int, str]:
    """One request, in a thread, because `http.client` blocks."""
    return await trio.to_thread.run_sync(ask_in_thread, await web.call(Web.address), method, path, body, token)


def ask_in_thread(address: str, method: str, path: str, body: str | None, token: str) -> tuple[int, str]:
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


async def tell(who: str, method: str, path: str, body: str | None = None) -> None:
    print(f"{who}:", *await ask(method, f"/api/carts/{path}", body))


async def story() -> None:
    async with trioreg.open_supervisor(tree("127.0.0.1", 0), at_end="stop"):
        await tell("Ann takes two teas", "POST", "ann", '{"thing": "tea", "count": 2}')
        await tell("Bob's cart is another one", "GET", "bob")
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask, "POST", "/api/carts/bob", '{"thing": "milk", "count": 1}')
        await tell("Bob, after 20 requests at once", "GET", "bob")
        print("carts that run:", sorted(customer for customer, _ in carts.items()))

        await tell("An elephant", "POST", "ann", '{"thing": "elephant", "count": 1}')
        await tell("No teas at all", "POST", "ann", '{"thing": "tea", "count": -1}')
        await tell("No JSON", "POST", "ann", "two teas, please")
        await tell("A very long body", "POST", "ann", "x" * 100_000)

        await tell("Ann shares with nobody", "GET", "ann/share?people=0")
        await tell("Ann shares with Bob", "GET", "ann/share?people=2")

        status, _ = await ask("GET", "/observer/")
        print("The observer, without its token:", status)
        status, text = await ask("GET", "/observer/api/actors", token=pages.token)
        print("The observer, with it:", status, [name for name in ("ann", "bob", "store", "web") if name in text])

        await tell("Ann pays", "POST", "ann/pay")
        await tell("Ann pays again", "POST", "ann/pay")


class Announcement(Actor):
    """Says where the shop is. If that can't be printed, the program does not start."""

    async def on_start(self) -> None:
        address = await web.call(Web.address)
        print(f"the shop: {address}/\nthe observer: {pages.url(address + '/observer')}", flush=True)
        self.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="A web shop with a cart for each customer.")
    says = "serve until Ctrl-C or SIGTERM (PORT is 8000 if you give none; 0 is any free port)"
    parser.add_argument("--serve", metavar="PORT", type=int, nargs="?", const=8000, help=says)
    parser.add_argument("--host", help="where to listen (default: 127.0.0.1: this machine only)")
    says = "keep the carts in a file (default: in memory)"
    parser.add_argument("--database", metavar="FILE", type=file, default=":memory:", help=says)
    parser.add_argument("--name", help="the name in the address bar (default: localhost)")
    arguments = parser.parse_args()
    if arguments.serve is not None and not 0 <= arguments.serve <= 65535:
        parser.error(f"PORT must be from 0 to 65535, not {arguments.serve}")
    if arguments.serve is None and (arguments.host is not None or arguments.name is not None):
        parser.error("--host and --name need --serve: the story listens on this machine only")
    if arguments.serve is None and arguments.database != ":memory:":
        parser.error("--database needs --serve: the story keeps its carts in memory")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if arguments.serve is None:
        logging.disable()  # the story has a crash on purpose
        return exit_status(partial(trio.run, story), HTTPException, sqlite3.Error)
    return exit_status(partial(serve, arguments), sqlite3.Error, UnicodeError)  # UnicodeError: --host a..b


def serve(arguments: argparse.Namespace) -> None:
    host = "127.0.0.1" if arguments.host is None else arguments.host
    name = "localhost" if arguments.name is None else arguments.name
    children = tree(host, arguments.serve, arguments.database, name)
    with alone(arguments.database):
        trioreg.run([*children, ChildSpec(Announcement, restart="temporary")], name="shop")


def file(text: str) -> str:
    if not text or (os.path.exists(text) and not os.path.isfile(text)):  # a folder, a pipe, a device
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return text


if __name__ == "__main__":
    sys.exit(main())
