"""The pool of connections: each job is done, whatever breaks, and each connection is closed at the end."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import connection_pool
import pytest
import trio
from bank import ledger, traffic
from bank.accounts import open_bank
from bank.ledger import Statement
from connection_pool import Connection
from support.doc_blocks import ran_by
from support.processes import running

from trioreg import open_pool
from trioreg.testing import checked, expect_crash

SCRIPT = Path(__file__).parents[2] / "examples" / "connection_pool.py"
ENVIRONMENT = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "", "COLUMNS": "120"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bank with 200 accounts, of which number 50 is wrong. No commit waits for the disk."""
    monkeypatch.setattr(ledger, "SCHEMA", ledger.SCHEMA.replace("synchronous = FULL", "synchronous = OFF"))
    monkeypatch.setattr(connection_pool, "ACCOUNTS", 200)
    monkeypatch.setattr(connection_pool, "WRONG", 50)
    connection_pool.make_bank(tmp_path / "bank.db")
    return tmp_path / "bank.db"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """All connections that are opened."""
    opened: list[sqlite3.Connection] = []
    connect = connection_pool.connect

    def note(path: Path) -> sqlite3.Connection:
        opened.append(connect(path))
        return opened[-1]

    monkeypatch.setattr(connection_pool, "connect", note)
    return opened


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return True
    return False


WRONG = [Statement(50, 5001, 5000, 0)]


async def test_the_wrong_account_is_found(path: Path, connections: list[sqlite3.Connection]) -> None:
    async with checked():
        assert await connection_pool.check(path, 4, set()) == WRONG
    assert len(connections) == 4
    assert all(map(is_closed, connections))


async def test_a_connection_that_breaks_is_replaced_and_no_job_is_lost(
    path: Path, connections: list[sqlite3.Connection], capsys: pytest.CaptureFixture[str]
) -> None:
    async with checked(), expect_crash(sqlite3.ProgrammingError) as crashes:
        assert await connection_pool.check(path, 2, {50, 100}) == WRONG
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "200 of 200 accounts checked",
        "connections lost and replaced: 2",
    ]
    assert len(crashes) == 2
    assert len(connections) == 4
    assert all(map(is_closed, connections))


async def test_without_another_try_a_job_meets_the_broken_connection(path: Path) -> None:
    async with checked(), open_pool(Connection, path, size=1) as pool:
        await pool.call(Connection.lose)
        async with expect_crash(sqlite3.ProgrammingError):
            await pool.call(Connection.statement, 1)
        assert (await pool.call(Connection.statement, 1)).is_right  # by the next connection


async def test_what_is_given_up_leaves_the_connections_free(path: Path) -> None:
    async with checked(), open_pool(Connection, path, size=2) as pool:
        with trio.CancelScope() as scope:
            async with pool.map(Connection.statement, range(1, 201)) as statements:
                async for statement in statements:
                    if statement.number == 20:
                        scope.cancel()
        assert scope.cancelled_caught
        async with pool.claim(), pool.claim():
            assert pool.statistics().crashes == 0


async def test_a_statement_is_right_while_the_bank_makes_transfers(path: Path, tmp_path: Path) -> None:
    bank_at = tmp_path / "busy.db"
    numbers = [1 + number % traffic.ACCOUNTS for number in range(400)]
    async with checked(), open_bank(bank_at) as bank:
        await traffic.open_accounts(bank)
        async with open_pool(Connection, bank_at, size=2) as pool, trio.open_nursery() as nursery:
            nursery.start_soon(traffic.make_all, bank, traffic.plan(200))
            async with pool.map(Connection.statement, numbers) as statements:
                assert [statement.number async for statement in statements if statement.is_right] == numbers


async def test_a_connection_that_is_opened_while_the_pool_ends_is_closed(
    path: Path, connections: list[sqlite3.Connection]
) -> None:
    async with (
        checked(),
        open_pool(Connection, path, size=1) as pool,
        expect_crash(sqlite3.ProgrammingError),
    ):
        await pool.call(Connection.lose)
        await pool.call(Connection.statement, 1)
        # The block is left while the next connection is opened, or a little before or after that.
    assert all(map(is_closed, connections))


async def test_a_connection_of_the_pool_cannot_write(path: Path) -> None:
    async with (
        checked(),
        open_pool(Connection, path, size=1) as pool,
        expect_crash(sqlite3.OperationalError, match="readonly"),
    ):
        await pool.call(Connection.query, "DELETE FROM transfers")


async def test_a_pool_without_a_database_does_not_start(tmp_path: Path) -> None:
    with pytest.RaisesGroup(sqlite3.OperationalError):
        async with open_pool(Connection, tmp_path / "none.db", size=2):
            raise AssertionError("it has started")


# The program


def test_without_an_output_the_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it if the program is started without one
    with connection_pool.showing_progress(1) as show:
        show(1)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_in_a_terminal_the_progress_is_a_bar_and_the_cursor_comes_back(path: Path) -> None:
    terminal, inside = os.openpty()
    command = [sys.executable, str(SCRIPT), "--database", str(path)]
    environment = {**ENVIRONMENT, "TERM": "xterm", "LINES": "40"}
    with running(command, stdin=subprocess.DEVNULL, env=environment, stdout=inside) as process:
        os.close(inside)
        shown = b""
        while part := read(terminal):
            shown += part
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait() == 0
    os.close(terminal)
    text = shown.decode()
    assert "200/200" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # hidden, and shown again
    assert text.splitlines()[-1] == "account 50 has 5001 cents, and should have 5000"


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the program has ended
        return b""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_ctrl_c_closes_the_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_pool, "ACCOUNTS", 3000)
    connection_pool.make_bank(tmp_path / "bank.db")
    with running([sys.executable, str(SCRIPT), "--database", str(tmp_path / "bank.db")], env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "300 of 3000 accounts checked\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert err == "stopped, and all connections are closed\n"  # not to stdout: Ctrl-C ends its reader, too
    assert (process.returncode, "the books" in out) == (130, False)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the program in this process."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    try:
        return connection_pool.main()
    except SystemExit as left:
        return 0 if left.code is None else int(left.code)


def no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


def no_bank(path: Path) -> None:
    sqlite3.connect(path).close()


def half_a_bank(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE accounts (number, balance)")
        connection.executemany("INSERT INTO accounts VALUES (?, 0)", ((number,) for number in range(100)))


@pytest.mark.parametrize(
    ("make", "report"),
    [
        (half_a_bank, "no such table: transfers"),
        (Path.exists, "unable to open database file"),
        (no_database, "file is not a database"),
        (no_bank, "no such table: accounts"),
    ],
)
def test_a_file_that_is_no_database_gets_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], object],
    report: str,
) -> None:
    make(tmp_path / "bank.db")
    assert run(monkeypatch, "--database", tmp_path / "bank.db") == 2
    captured = capsys.readouterr()
    expected = f"connection_pool.py: can't read the accounts in {tmp_path / 'bank.db'}: {report}\n"
    assert (captured.out, captured.err) == ("", expected)


@pytest.mark.parametrize("arguments", [("--connections", "few"), ("one",)])
def test_wrong_arguments_get_the_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    assert capsys.readouterr().err.startswith("usage: connection_pool.py")


@pytest.mark.parametrize("path", ["", "/", os.devnull])
def test_what_is_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    assert run(monkeypatch, "--database", path) == 2
    assert capsys.readouterr().err.endswith(f"argument --database: '{path}' is no file\n")


@pytest.mark.parametrize("count", [-1, 0, 41, 10**30])
def test_a_wrong_number_of_connections_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    assert run(monkeypatch, "--connections", str(count)) == 2
    assert capsys.readouterr().err.endswith(f"argument --connections: must be from 1 to 40, not {count}\n")


def test_the_page_shows_what_it_prints() -> None:
    [shown] = ran_by("tests/examples/test_connection_pool.py")
    assert shown.code == (SCRIPT.parent / "expected" / "connection_pool.txt").read_text(encoding="utf-8")
