"""The accounts and their transfers in an SQLite file. Everything here blocks: `database.py` calls it in a thread."""

import os
import sqlite3

from attrs import frozen

from .refusals import IdInUse, Overdraft, UnknownAccount
from .transfer import Transfer

SCHEMA = """
BEGIN;
CREATE TABLE IF NOT EXISTS accounts (
    number INTEGER PRIMARY KEY,
    balance INTEGER NOT NULL DEFAULT 0 CHECK (typeof(balance) = 'integer' AND balance >= 0)
);
CREATE TABLE IF NOT EXISTS transfers (
    id TEXT PRIMARY KEY,
    payer INTEGER REFERENCES accounts,
    payee INTEGER NOT NULL REFERENCES accounts,
    amount INTEGER NOT NULL CHECK (typeof(amount) = 'integer' AND amount > 0)
);
CREATE INDEX IF NOT EXISTS payers ON transfers (payer);
CREATE INDEX IF NOT EXISTS payees ON transfers (payee);
"""

SETTINGS = """
PRAGMA journal_mode = WAL;   -- other connections read while this one writes
PRAGMA synchronous = FULL;   -- when COMMIT returns, the transfer is on the disk, also if the power fails then
"""

STATEMENT = """
SELECT number, balance,
    (SELECT coalesce(sum(amount), 0) FROM transfers WHERE payee = number),
    (SELECT coalesce(sum(amount), 0) FROM transfers WHERE payer = number)
FROM accounts
"""


@frozen
class Statement:
    """An account as of one moment: its balance, and what its transfers say."""

    number: int
    balance: int
    paid_in: int
    paid_out: int

    @property
    def is_right(self) -> bool:
        return self.balance == self.paid_in - self.paid_out


class Ledger:
    def __init__(self, path: str | os.PathLike[str]) -> None:
        # No implicit transactions. Each call may come from another thread, but two never come at once.
        # The whole path, because ":memory:" alone is no file for SQLite.
        self._connection = sqlite3.connect(os.path.abspath(path), isolation_level=None, check_same_thread=False)
        try:
            with self._connection as connection:
                connection.executescript(SCHEMA)
                connection.execute(f"{STATEMENT} LIMIT 1")
            self._connection.executescript(SETTINGS)
        except sqlite3.Error:  # it is no database, or has other tables
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def open(self, number: int) -> None:
        """Open an account, if it is not open already."""
        self._connection.execute("INSERT OR IGNORE INTO accounts (number) VALUES (?)", (number,))

    def balance(self, number: int) -> int:
        row = self._connection.execute("SELECT balance FROM accounts WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise UnknownAccount(f"there is no account {number}")
        return int(row[0])

    def make(self, transfer: Transfer) -> bool:
        """Make a transfer: both halves and its id, or nothing at all.

        Returns:
            Whether it was made now. If it was made before, it is not made again.
        """
        with self._connection as connection:  # commits at the end, and rolls back after an error
            connection.execute("BEGIN IMMEDIATE")
            wanted = (transfer.payer, transfer.payee, transfer.amount)
            query = "SELECT payer, payee, amount FROM transfers WHERE id = ?"
            made = connection.execute(query, (transfer.id,)).fetchone()
            if made is not None and made != wanted:
                raise IdInUse(f"another transfer has the id {transfer.id!r}")
            if made is None:
                if transfer.payer is not None:
                    self._add(transfer.payer, -transfer.amount)
                self._add(transfer.payee, transfer.amount)
                connection.execute("INSERT INTO transfers VALUES (?, ?, ?, ?)", (transfer.id, *wanted))
            return made is None

    def _add(self, number: int, amount: int) -> None:
        balance = self.balance(number)
        if balance + amount < 0:
            raise Overdraft(f"account {number} has {balance} cents, not {-amount}")
        self._connection.execute("UPDATE accounts SET balance = ? WHERE number = ?", (balance + amount, number))

    # The books

    def total(self) -> int:
        return int(self._connection.execute("SELECT coalesce(sum(balance), 0) FROM accounts").fetchone()[0])

    def statements(self) -> list[Statement]:
        return [Statement(*row) for row in self._connection.execute(STATEMENT)]

    def transfers(self) -> list[Transfer]:
        """All that were made, the oldest first."""
        query = "SELECT payer, payee, amount, id FROM transfers ORDER BY rowid"
        return [Transfer(*row) for row in self._connection.execute(query)]
