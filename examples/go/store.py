"""Where games live: what has happened in each of them, in order, in an SQLite database.

An entry is a line of text, such as "black is Ann" or "black D4". The store does not know what it means. When `append`
has returned, the entry is on disk. SQLite runs in a thread, so a slow disk does not hold up the rest of the program.
"""

import os
import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager

import trio

import trioreg

TABLE = "CREATE TABLE IF NOT EXISTS entries (game TEXT, number INTEGER, entry TEXT, PRIMARY KEY (game, number))"


@contextmanager
def alone(path: str) -> Generator[None]:
    """In the block, this program alone has the games: two of them would show different boards of the same game.

    It locks a file beside the database. The system frees the lock when this program ends, also by ``kill -9``.

    Raises:
        sqlite3.Error: Another program has the games, or the folder can't be written.
    """
    beside = path if path == ":memory:" else f"{os.path.realpath(path)}.lock"  # a link to the games is the same games
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(closing(sqlite3.connect(beside, timeout=0, isolation_level=None)))
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            reason = "another program has them" if error.sqlite_errorcode == sqlite3.SQLITE_BUSY else error
            raise sqlite3.OperationalError(f"can't keep games in {path}: {reason}") from error
        yield


class Store(trioreg.Actor):
    """All games. An actor does one thing at a time, so a game that starts again reads all that its last life wrote.

    An error of the database, such as a full disk, is an answer to the game: it costs one move, and does not crash this.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    async def on_start(self) -> None:
        try:
            self.database = await trio.to_thread.run_sync(self._open)
        except sqlite3.Error as error:
            raise sqlite3.OperationalError(f"can't keep games in {self.path}: {error}") from error

    async def on_stop(self, exit: trioreg.Exit) -> None:
        await trio.to_thread.run_sync(self.database.close)

    @trioreg.raises(sqlite3.Error)
    async def append(self, game: str, number: int, entry: str) -> None:
        """Keep an entry. Its number is how many entries of that game are before it."""
        await trio.to_thread.run_sync(self._append, game, number, entry)

    @trioreg.raises(sqlite3.Error)
    async def read(self, game: str) -> list[str]:
        """All entries of a game. A game without moves has none."""
        return await trio.to_thread.run_sync(self._read, game)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        try:
            database.execute(TABLE)
            database.execute("SELECT game, number, entry FROM entries LIMIT 1")
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error:  # it is no database, or has other tables
            database.close()
            raise
        return database

    def _append(self, game: str, number: int, entry: str) -> None:
        self.database.execute("INSERT INTO entries VALUES (?, ?, ?)", (game, number, entry))

    def _read(self, game: str) -> list[str]:
        query = "SELECT entry FROM entries WHERE game = ? ORDER BY number"
        return [entry for (entry,) in self.database.execute(query, (game,))]
