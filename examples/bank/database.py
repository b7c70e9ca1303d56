"""The ledger off the event loop: while SQLite waits for the disk, a thread waits, and all tasks go on.

One connection, and one thread at a time: a transaction has the connection for itself. Callers wait in line, first come,
first served. A caller that is cancelled in the line has done nothing. When the thread has begun, it is waited for: a
`Cancelled` never means "perhaps".
"""

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from typing import Concatenate, ParamSpec, TypeVar

import trio

from .ledger import Ledger

P = ParamSpec("P")
R = TypeVar("R")


class BankIsOpen(Exception):
    """Another program has the same database. The balances in the memory of both would be wrong soon."""


class Database:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._one_at_a_time = trio.CapacityLimiter(1)

    async def run(self, method: Callable[Concatenate[Ledger, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a method of the ledger in a thread: ``await database.run(Ledger.balance, 17)``."""
        return await trio.to_thread.run_sync(lambda: method(self._ledger, *args, **kwargs), limiter=self._one_at_a_time)


@asynccontextmanager
async def open_database(path: str | os.PathLike[str]) -> AsyncGenerator[Database]:
    """Open or make a database, for this program alone.

    Raises:
        BankIsOpen: Another program has it.
        sqlite3.Error: It cannot be opened, or it is no database.
    """
    try:
        lock, ledger = await trio.to_thread.run_sync(lock_and_open, path)
    except sqlite3.Error as error:
        raise sqlite3.OperationalError(f"can't keep accounts in {os.fspath(path)}: {error}") from error
    database = Database(ledger)
    with closing(lock):
        try:
            yield database
        finally:
            with trio.CancelScope(shield=True):
                await database.run(Ledger.close)


def lock_and_open(path: str | os.PathLike[str]) -> tuple[sqlite3.Connection, Ledger]:
    """The lock, and then the ledger: both, or none of them."""
    lock = take_lock(path)
    try:
        return lock, Ledger(path)
    except sqlite3.Error:  # it is no database
        lock.close()
        raise


def take_lock(path: str | os.PathLike[str]) -> sqlite3.Connection:
    """A lock on a file beside the database. The system frees it when this program ends, also by ``kill -9``."""
    beside = f"{os.path.realpath(path)}.lock"  # a link to the database is the same bank
    lock = sqlite3.connect(beside, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise BankIsOpen(f"another program has {os.fspath(path)}") from None
        raise
    return lock
