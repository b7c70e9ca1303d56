"""A pool of connections to a database, with a progress bar: four connections check the books of 10,000 accounts.

python connection_pool.py                    makes a bank with one account that is wrong, and finds it
python connection_pool.py --database FILE    checks a bank that examples/accounts.py has made

A connection is an actor. It has one caller at a time, and if it breaks, the pool opens a new one. The story breaks two.
In a terminal you see a progress bar, made with `rich` (pip install rich). In a file or a pipe you get a line for each
tenth of the accounts.

The exit status is 0 if the check came to its end, 130 after Ctrl-C, and 143 after SIGTERM: each connection is
closed first.
"""

import argparse
import logging
import os
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from bank.ledger import STATEMENT, Ledger, Statement
from ending import exit_status

from trioreg import Actor, Exit, open_pool

try:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
except ModuleNotFoundError:
    print("connection_pool.py needs rich for its progress bar: python -m pip install rich", file=sys.stderr)
    sys.exit(2)

ACCOUNTS = 10_000
WRONG = 4711
MOST_CONNECTIONS = 40  # each query is in a thread, and Trio runs 40 of them at a time


class Connection(Actor):
    """A connection that only reads. One message at a time, so two threads never use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def on_start(self) -> None:
        try:
            self.connection = await trio.to_thread.run_sync(connect, self.path)
        except sqlite3.Error as error:
            raise sqlite3.OperationalError(f"can't read the accounts in {self.path}: {error}") from error

    async def on_stop(self, exit: Exit) -> None:
        self.connection.close()

    async def numbers(self) -> list[int]:
        return [number for (number,) in await self.query("SELECT number FROM accounts ORDER BY number")]

    async def statement(self, number: int) -> Statement:
        [row] = await self.query(f"{STATEMENT} WHERE number = ?", number)
        return Statement(*row)

    async def query(self, sql: str, *values: int) -> list[tuple[int, ...]]:
        return await trio.to_thread.run_sync(lambda: self.connection.execute(sql, values).fetchall())

    def lose(self) -> None:
        """What a network or a server does to a connection: from now on, each query is an error."""
        self.connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that works. Its queries run in threads of Trio, and not always in the same one."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        connection.execute(f"{STATEMENT} LIMIT 1")
    except sqlite3.Error:  # it is no bank
        connection.close()
        raise
    return connection


async def check(path: Path, connections: int, lose_at: set[int]) -> list[Statement]:
    """Check all accounts, and return the wrong ones. After some of them, a connection is lost."""
    async with open_pool(Connection, path, size=connections) as pool:
        numbers = await pool.call(Connection.numbers)
        with showing_progress(len(numbers)) as show:

            def on_progress(done: int, total: int | None) -> None:
                if done in lose_at:
                    pool.workers()[0].cast_nowait(Connection.lose)
                show(done)

            # To look twice does no harm. So if a connection breaks in the middle of a job, another one does the job.
            async with pool.map(
                Connection.statement, numbers, retries=2, idempotent=True, on_progress=on_progress
            ) as statements:
                wrong = [statement async for statement in statements if not statement.is_right]
        print("connections lost and replaced:", pool.statistics().crashes)
    return wrong


@contextmanager
@trio.lowlevel.enable_ki_protection  # a second Ctrl-C would leave the terminal without its cursor
def showing_progress(total: int) -> Generator[Callable[[int], None]]:
    """A function to call when a job is done, and a bar or lines that show it."""
    if sys.stdout is None or not sys.stdout.isatty():  # None: the program was started without one
        yield lambda done: print_each_tenth(done, total)
        return
    with Progress(
        TextColumn("checking accounts"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
    ) as progress:
        bar = progress.add_task("", total=total)
        yield lambda done: progress.update(bar, completed=done)


def print_each_tenth(done: int, total: int) -> None:
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"{done} of {total} accounts checked", flush=True)


def make_bank(path: Path) -> None:
    """A deposit in each account, and in one of them a cent too much."""
    Ledger(path).close()  # it makes the tables
    numbers = range(1, ACCOUNTS + 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO accounts VALUES (?, ?)", ((number, 100 * number) for number in numbers))
        deposits = ((f"deposit {number}", number, 100 * number) for number in numbers)
        connection.executemany("INSERT INTO transfers VALUES (?, NULL, ?, ?)", deposits)
        connection.execute("UPDATE accounts SET balance = balance + 1 WHERE number = ?", (WRONG,))


# The command line


def number(text: str) -> int:
    if not 1 <= (value := int(text)) <= MOST_CONNECTIONS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_CONNECTIONS}, not {value}")
    return value


def file(text: str) -> Path:
    if not text or (os.path.exists(text) and not os.path.isfile(text)):  # a folder, a pipe, a device
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return Path(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="FILE", type=file, help="the accounts (default: a new bank)")
    parser.add_argument("--connections", metavar="N", type=number, default=4, help="how many (default: 4)")
    arguments = parser.parse_args()
    status = exit_status(partial(run, arguments), sqlite3.Error)
    if status > 128:  # Ctrl-C or SIGTERM
        print("stopped, and all connections are closed", file=sys.stderr)
    return status


def run(arguments: argparse.Namespace) -> None:
    with TemporaryDirectory() as folder:
        path: Path = arguments.database or Path(folder) / "bank.db"
        lose_at = set[int]() if arguments.database else {ACCOUNTS // 4, ACCOUNTS // 2}
        logging.getLogger("trioreg").setLevel(logging.CRITICAL)  # each lost connection is an error in the log
        if arguments.database is None:
            make_bank(path)
        wrong = trio.run(check, path, arguments.connections, lose_at)
        for statement in wrong:
            by_transfers = statement.paid_in - statement.paid_out
            print(f"account {statement.number} has {statement.balance} cents, and should have {by_transfers}")
        if not wrong:
            print("the books are right")


if __name__ == "__main__":
    sys.exit(main())
