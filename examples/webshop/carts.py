"""The shop: a store, and a cart for each customer. It knows nothing of the web."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from typing import TypedDict

import trio

from trioreg import Actor, Exit, OnDemand, Registry, RestartLimit, raises

PRICES = {"bread": 320, "milk": 150, "tea": 475}  # in cents
MOST = 1000  # of one thing in a cart

names: Registry[str, None] = Registry("names")


@contextmanager
def alone(path: str) -> Generator[None]:
    """In the block, this program alone has the carts: two of them would sell the same cart twice.

    It locks a file beside the database. The system frees the lock when this program ends, also by ``kill -9``.

    Raises:
        sqlite3.Error: Another program has the carts, or the folder can't be written.
    """
    beside = path if path == ":memory:" else f"{os.path.realpath(path)}.lock"  # a link to the carts is the same carts
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(closing(sqlite3.connect(beside, timeout=0, isolation_level=None)))
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            reason = "another program has them" if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else error
            raise sqlite3.OperationalError(f"can't keep carts in {path}: {reason}") from error
        yield


class Store(Actor):
    """What is in the carts, in SQLite. It works in a thread: a disk may be slow, and nothing else must wait for it.

    An error of the database, such as a full disk, is an answer: it costs one request, and not the shop.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    async def on_start(self) -> None:
        try:
            self.database = await trio.to_thread.run_sync(open_database, self.path)
        except sqlite3.Error as error:
            raise sqlite3.OperationalError(f"can't keep carts in {self.path}: {error}") from error

    @raises(sqlite3.Error)
    async def load(self, customer: str) -> dict[str, int]:
        query = "SELECT thing, count FROM items WHERE customer = ? ORDER BY thing"
        return dict(await trio.to_thread.run_sync(self.run, query, (customer,)))

    @raises(sqlite3.Error)
    async def save(self, customer: str, thing: str, count: int) -> None:
        await trio.to_thread.run_sync(self.run, "REPLACE INTO items VALUES (?, ?, ?)", (customer, thing, count))

    @raises(sqlite3.Error)
    async def clear(self, customer: str) -> None:
        await trio.to_thread.run_sync(self.run, "DELETE FROM items WHERE customer = ?", (customer,))

    def run(self, query: str, values: tuple[str | int, ...]) -> list[tuple[str, int]]:
        with self.database:
            return self.database.execute(query, values).fetchall()

    async def on_stop(self, exit: Exit) -> None:
        self.database.close()


def open_database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)  # one thread at a time, as the store is one actor
    try:
        database.execute("CREATE TABLE IF NOT EXISTS items (customer, thing, count, PRIMARY KEY (customer, thing))")
        database.execute("SELECT customer, thing, count FROM items LIMIT 1")
    except sqlite3.Error:  # it is no database, or it has other things
        database.close()
        raise
    return database


store = names.via("store", of=Store, wait=True)  # while the store restarts, a cart waits for it


class Declined(Exception):
    """What the customer wants does not work. The text says why. It is no crash."""


class Contents(TypedDict):
    items: dict[str, int]
    total: int


class Cart(Actor):
    """The cart of one customer. Each change is saved before it is answered, so a crash loses nothing."""

    handler_timeout = 10

    def __init__(self, customer: str) -> None:
        self.customer = customer

    async def on_start(self) -> None:
        self.items = await store.call(Store.load, self.customer)

    def contents(self) -> Contents:
        return {"items": dict(self.items), "total": sum(PRICES[thing] * count for thing, count in self.items.items())}

    @raises(Declined)
    async def add(self, thing: str, count: int) -> Contents:
        total = self.items.get(thing, 0) + count
        if total > MOST:
            raise Declined(f"a cart has room for {MOST} of each thing")
        await store.call(Store.save, self.customer, thing, total)
        self.items[thing] = total
        return self.contents()

    def share(self, people: int) -> int:
        return self.contents()["total"] // people  # the bug that we have left in: there is no check for 0 people

    @raises(Declined)
    async def pay(self) -> Contents:
        paid = self.contents()
        if not paid["items"]:
            raise Declined("this cart is empty")
        await charge(paid["total"])
        await store.call(Store.clear, self.customer)
        self.items = {}
        return paid


async def charge(cents: int) -> None:
    """Stands for the bank, which takes its time."""
    await trio.sleep(0.1)


carts: OnDemand[str, Cart] = OnDemand("carts", Cart, retire_after=300, max_running=1000, limit=RestartLimit(5, 10))
