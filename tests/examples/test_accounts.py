"""The bank: the sum never changes, what was acknowledged is there, and nothing is paid twice."""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import accounts
import pytest
import trio
from bank import ledger, traffic
from bank.accounts import Account, Bank, open_bank
from bank.database import BankIsOpen, take_lock
from bank.ledger import Ledger
from bank.refusals import IdInUse, Overdraft, UnknownAccount, WrongTransfer
from bank.transfer import CASH, Transfer
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doc_blocks import ran_by
from support.processes import SECONDS, running
from trio.testing import wait_all_tasks_blocked

from trioreg.testing import checked, expect_crash

SCRIPT = Path(__file__).parents[2] / "examples" / "accounts.py"
ANN, BOB, EVE = 1, 2, 3


@pytest.fixture(scope="module", autouse=True)
def quick_disk() -> Generator[None]:
    """No test here pulls the plug, so no commit has to wait for the disk. Other processes keep `synchronous = FULL`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "SCHEMA", ledger.SCHEMA.replace("synchronous = FULL", "synchronous = OFF"))
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bank.db"


@asynccontextmanager
async def a_bank(path: Path, *, retire_after: float = 60, max_running: int = 1000) -> AsyncGenerator[Bank]:
    """A bank with 100 cents in each of three accounts, in which no actor may crash that a test does not kill."""
    async with checked(), open_bank(path, retire_after=retire_after, max_running=max_running) as bank:
        for number in (ANN, BOB, EVE):
            await bank.open(number)
            await bank.make(Transfer(CASH, number, 100, f"opening {number}"))
        yield bank


async def balances(bank: Bank) -> list[int]:
    """As the actors say. The database must say the same."""
    said = [await bank.balance(number) for number in (ANN, BOB, EVE)]
    assert [statement.balance for statement in await bank.database.run(Ledger.statements)] == said
    return said


def after(transfers: Iterable[Transfer]) -> dict[int, int]:
    """The naive model: what the balances have to be, if each of these is made once."""
    model: dict[int, int] = {}
    for transfer in {transfer.id: transfer for transfer in transfers}.values():
        if transfer.payer is not None:
            model[transfer.payer] -= transfer.amount
        model[transfer.payee] = model.get(transfer.payee, 0) + transfer.amount
    return model


def in_file(path: Path) -> tuple[dict[int, int], list[Transfer]]:
    """The balances and the transfers. The books have to be right."""
    books = Ledger(path)
    try:
        statements, transfers = books.statements(), books.transfers()
        assert all(statement.is_right for statement in statements)
        return {statement.number: statement.balance for statement in statements}, transfers
    finally:
        books.close()


# Transfers


async def test_a_transfer_moves_the_money(path: Path) -> None:
    async with a_bank(path) as bank:
        assert await bank.make(Transfer(ANN, BOB, 30))
        assert await balances(bank) == [70, 130, 100]


async def test_many_transfers_at_once_end_where_one_after_the_other_would(path: Path) -> None:
    transfers = list(traffic.plan(300, seed=7))
    async with checked(), open_bank(path) as bank:
        await traffic.open_accounts(bank)
        assert await traffic.make_all(bank, transfers) == 300
    assert in_file(path)[0] == after([*traffic.opening(), *transfers])


async def test_two_accounts_that_pay_each_other_at_once_do_not_block_each_other(path: Path) -> None:
    async with a_bank(path) as bank, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(bank.make, Transfer(ANN, BOB, 5))
            nursery.start_soon(bank.make, Transfer(BOB, ANN, 5))
    assert in_file(path)[0] == {ANN: 100, BOB: 100, EVE: 100}


async def test_with_room_for_one_actor_two_accounts_can_still_pay_each_other(path: Path) -> None:
    async with a_bank(path, max_running=1) as bank, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(bank.make, Transfer(ANN, BOB, 5))
            nursery.start_soon(bank.make, Transfer(BOB, ANN, 5))
    assert in_file(path)[0] == {ANN: 100, BOB: 100, EVE: 100}


async def test_the_payee_knows_of_a_transfer_as_soon_as_it_is_acknowledged(path: Path) -> None:
    async with a_bank(path) as bank:
        for number in range(1, 21):
            await bank.make(Transfer(ANN, BOB, 1))
            assert await bank.balance(BOB) == 100 + number  # asked before each transfer, so an actor had it in memory


async def test_a_balance_that_did_not_change_is_not_asked_for_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_bank(path) as bank:
        await bank.balance(ANN)
        monkeypatch.delattr(Ledger, "balance")
        assert await bank.balance(ANN) == 100


async def test_an_actor_that_retires_takes_nothing_with_it(path: Path) -> None:
    async with a_bank(path, retire_after=0.01) as bank:
        await bank.make(Transfer(ANN, BOB, 30))
        for _, actor in bank.accounts.items():
            await actor.wait()
        assert len(bank.accounts) == 0
        assert await balances(bank) == [70, 130, 100]


# Refusals


@pytest.mark.parametrize(
    ("payer", "payee", "amount", "id"),
    [
        (ANN, BOB, 0, "a"),
        (ANN, BOB, -1, "a"),
        (ANN, BOB, 10**12 + 1, "a"),
        pytest.param(ANN, BOB, 10**5000, "a", id="endless"),
        (ANN, BOB, 1.5, "a"),
        (ANN, BOB, True, "a"),
        (ANN, BOB, "5", "a"),
        (ANN, ANN, 5, "a"),
        (ANN, BOB, 5, ""),
        (ANN, BOB, 5, "x" * 101),
        (ANN, BOB, 5, "two\nlines"),
        (ANN, BOB, 5, "half a pair: \ud800"),
        (ANN, BOB, 5, 7),
    ],
)
def test_a_transfer_that_makes_no_sense_cannot_be_asked_for(payer: int, payee: int, amount: int, id: str) -> None:
    with pytest.raises(WrongTransfer) as caught:
        Transfer(payer, payee, amount, id)
    assert len(str(caught.value)) < 130


@pytest.mark.parametrize("number", [0, -1, 10**12 + 1, pytest.param(10**5000, id="endless"), True, 1.0, "1", None])
async def test_what_is_no_account_number_is_no_account(path: Path, number: int) -> None:
    async with a_bank(path) as bank:
        with pytest.raises(UnknownAccount, match="there is no account"):
            await bank.balance(number)
        with pytest.raises(UnknownAccount, match="there is no account"):
            await bank.open(number)
        with pytest.raises(UnknownAccount, match="there is no account"):
            Transfer(ANN, number, 5)


@pytest.mark.parametrize("transfer", [Transfer(4, ANN, 5), Transfer(ANN, 4, 5), Transfer(CASH, 4, 5)])
async def test_an_unknown_account_pays_and_gets_nothing(path: Path, transfer: Transfer) -> None:
    async with a_bank(path) as bank:
        with pytest.raises(UnknownAccount, match="there is no account 4"):
            await bank.make(transfer)
        assert await balances(bank) == [100, 100, 100]


async def test_an_account_cannot_pay_more_than_it_has(path: Path) -> None:
    async with a_bank(path) as bank:
        with pytest.raises(Overdraft, match="account 1 has 100 cents, not 101"):
            await bank.make(Transfer(ANN, BOB, 101))
        await bank.make(Transfer(ANN, BOB, 100))
        assert await balances(bank) == [0, 200, 100]


async def test_of_many_at_once_only_as_many_are_made_as_there_is_money_for(path: Path) -> None:
    refused: list[Transfer] = []

    async def make(bank: Bank, transfer: Transfer) -> None:
        try:
            await bank.make(transfer)
        except Overdraft:
            refused.append(transfer)

    async with a_bank(path) as bank:
        async with trio.open_nursery() as nursery:
            for payee in [BOB, EVE] * 5:
                nursery.start_soon(make, bank, Transfer(ANN, payee, 30))
        assert await bank.balance(ANN) == 10
        assert len(refused) == 7


async def test_opening_an_account_again_changes_nothing(path: Path) -> None:
    async with a_bank(path) as bank:
        await bank.open(ANN)
        assert await bank.balance(ANN) == 100


# The same id


async def test_a_transfer_that_is_asked_for_twice_is_made_once(path: Path) -> None:
    async with a_bank(path) as bank:
        transfer = Transfer(ANN, BOB, 60)
        assert [await bank.make(transfer), await bank.make(transfer)] == [True, False]
        assert await balances(bank) == [40, 160, 100]


async def test_a_made_transfer_is_acknowledged_again_even_if_the_payer_has_nothing_left(path: Path) -> None:
    async with a_bank(path) as bank:
        transfer = Transfer(ANN, BOB, 100)
        assert [await bank.make(transfer), await bank.make(transfer)] == [True, False]


async def test_a_transfer_that_ten_tasks_ask_for_at_once_is_made_once(path: Path) -> None:
    made: list[bool] = []
    transfer = Transfer(ANN, BOB, 5)
    async with a_bank(path) as bank:
        async with trio.open_nursery() as nursery:

            async def make() -> None:
                made.append(await bank.make(transfer))

            for _ in range(10):
                nursery.start_soon(make)
        assert sorted(made) == [False] * 9 + [True]
        assert await balances(bank) == [95, 105, 100]


@pytest.mark.parametrize("other", [(ANN, BOB, 6), (ANN, EVE, 5), (BOB, ANN, 5), (CASH, BOB, 5)])
async def test_the_id_of_another_transfer_is_refused(path: Path, other: tuple[int | None, int, int]) -> None:
    async with a_bank(path) as bank:
        await bank.make(Transfer(ANN, BOB, 5, "rent"))
        with pytest.raises(IdInUse, match="another transfer has the id 'rent'"):
            await bank.make(Transfer(*other, "rent"))
        assert await balances(bank) == [95, 105, 100]


async def test_a_refusal_does_not_use_up_the_id(path: Path) -> None:
    async with a_bank(path) as bank:
        transfer = Transfer(ANN, BOB, 150)
        with pytest.raises(Overdraft):
            await bank.make(transfer)
        await bank.make(Transfer(EVE, ANN, 50))
        assert await bank.make(transfer)


# Crashes, kills, cancellation


async def test_an_error_between_debit_and_credit_undoes_the_debit(path: Path) -> None:
    transfer = Transfer(ANN, BOB, 30)
    async with a_bank(path) as bank:
        await balances(bank)
        trigger = "CREATE TRIGGER t BEFORE UPDATE ON accounts WHEN NEW.number = 2 BEGIN SELECT RAISE(ABORT, 'bad'); END"
        await bank.database.run(execute, trigger)
        async with expect_crash(sqlite3.IntegrityError, match="bad") as crashes:
            await bank.make(transfer)
        assert len(crashes) == 3  # as often as the bank tries
        await bank.database.run(execute, "DROP TRIGGER t")
        assert await balances(bank) == [100, 100, 100]
        assert await bank.make(transfer)  # the caller can still ask
        assert await balances(bank) == [70, 130, 100]


def execute(books: Ledger, statement: str) -> None:
    books._connection.execute(statement)


class Gate:
    """Transactions stop at the gate, before or after they are done, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, after: bool = False) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        make = Ledger.make

        def stop_at_gate(books: Ledger, transfer: Transfer) -> bool:
            is_new = make(books, transfer) if after else None
            self.reached.set()
            assert self.opened.wait(SECONDS)
            return make(books, transfer) if is_new is None else is_new

        monkeypatch.setattr(Ledger, "make", stop_at_gate)


async def until(event: threading.Event) -> None:
    await trio.to_thread.run_sync(event.wait, SECONDS)


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
async def test_the_actor_of_the_payer_is_killed_and_the_transfer_is_made_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    async with a_bank(path) as bank:
        await balances(bank)
        gate = Gate(monkeypatch, after=after)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bank.make, Transfer(ANN, BOB, 30))
            await until(gate.reached)
            bank.accounts.via(ANN).kill()
            await wait_all_tasks_blocked()
            gate.opened.set()
        assert await balances(bank) == [70, 130, 100]


async def test_the_payee_learns_of_it_even_if_the_payer_is_killed_in_between(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_bank(path) as bank:
        await balances(bank)  # the actors have these in memory
        gate = Gate(monkeypatch)
        async with trio.open_nursery() as nursery:
            # To the actor, not to the bank, which would ask its next life.
            nursery.start_soon(bank.accounts.via(ANN).call, Account.make, Transfer(ANN, BOB, 30))
            await until(gate.reached)
            bank.accounts.via(ANN).kill()
            gate.opened.set()
            await bank.accounts.via(ANN).wait()
        assert await balances(bank) == [70, 130, 100]


async def test_a_caller_that_gives_up_in_the_line_of_its_account_has_not_paid(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_bank(path) as bank:
        gate = Gate(monkeypatch)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bank.make, Transfer(ANN, BOB, 30))
            await until(gate.reached)
            with trio.move_on_after(0):
                await bank.make(Transfer(ANN, EVE, 1))
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as waiting:
                    waiting.start_soon(bank.make, Transfer(ANN, EVE, 1))
                    await wait_all_tasks_blocked()
                    scope.cancel()
            gate.opened.set()
        assert await balances(bank) == [70, 130, 100]


async def test_a_caller_that_gives_up_later_has_paid_and_can_find_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer = Transfer(ANN, BOB, 30)
    async with a_bank(path) as bank:
        gate = Gate(monkeypatch)
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bank.make, transfer)
                await until(gate.reached)
                scope.cancel()
        assert scope.cancelled_caught
        gate.opened.set()
        assert not await bank.make(transfer)  # it was made, so it is not made now
        assert await balances(bank) == [70, 130, 100]


async def test_what_was_begun_is_finished_when_the_bank_closes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    gate.opened.set()
    async with a_bank(path) as bank:
        gate.reached.clear()
        gate.opened.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bank.make, Transfer(ANN, BOB, 30))
            await until(gate.reached)
            nursery.cancel_scope.cancel()
        gate.opened.set()
    assert in_file(path)[0] == {ANN: 70, BOB: 130, EVE: 100}


async def test_a_bank_that_is_cancelled_closes_its_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Ledger] = []
    close = Ledger.close

    def note(books: Ledger) -> None:
        closed.append(books)
        close(books)

    monkeypatch.setattr(Ledger, "close", note)
    with trio.CancelScope() as scope:
        async with open_bank(path):
            scope.cancel()
            await trio.sleep_forever()
    assert len(closed) == 1


# The model

NUMBERS = st.integers(1, 3)
PAYMENTS = st.tuples(
    st.none() | NUMBERS, NUMBERS, st.integers(1, 150), st.integers(1, 8).map(lambda number: f"id {number}")
)
STEPS = st.lists(PAYMENTS | NUMBERS | st.just("restart"), max_size=15)


@settings(max_examples=settings().max_examples // 3)
@given(STEPS)
async def test_the_bank_does_what_a_dict_does(steps: list[tuple[int | None, int, int, str] | int | str]) -> None:
    """A tuple is a transfer, a number is an account whose actor is killed."""
    model = {ANN: 0, BOB: 0, EVE: 0}
    made: dict[str, Transfer] = {}
    with TemporaryDirectory() as folder:
        bank_at = Path(folder) / "bank.db"
        for some in runs(steps):
            async with checked(), open_bank(bank_at) as bank:
                for number in model:
                    await bank.open(number)
                for step in some:
                    if isinstance(step, int):
                        if bank.accounts.whereis(step) is not None:
                            bank.accounts.via(step).kill()
                    else:
                        await pay(bank, step, model, made)
                    assert {number: await bank.balance(number) for number in model} == model


def runs(
    steps: list[tuple[int | None, int, int, str] | int | str],
) -> list[list[tuple[int | None, int, int, str] | int]]:
    """The steps between two restarts."""
    parts: list[list[tuple[int | None, int, int, str] | int]] = [[]]
    for step in steps:
        if isinstance(step, str):
            parts.append([])
        else:
            parts[-1].append(step)
    return parts


async def pay(
    bank: Bank, step: tuple[int | None, int, int, str], model: dict[int, int], made: dict[str, Transfer]
) -> None:
    payer, payee, amount, id = step
    if payer == payee:
        with pytest.raises(WrongTransfer):
            Transfer(*step)
        return
    transfer = Transfer(*step)
    if id in made and made[id] != transfer:
        with pytest.raises(IdInUse):
            await bank.make(transfer)
    elif id in made:
        assert not await bank.make(transfer)
    elif payer is not None and model[payer] < amount:
        with pytest.raises(Overdraft):
            await bank.make(transfer)
    else:
        assert await bank.make(transfer)
        made[id] = transfer
        model[payee] += amount
        if payer is not None:
            model[payer] -= amount


# The program

ENDLESS = ("--transfers", "1000000")
ENVIRONMENT = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": ""}


def talking(*arguments: str | Path) -> AbstractContextManager[subprocess.Popen[str]]:
    return running([sys.executable, str(SCRIPT), *map(str, arguments)], env=ENVIRONMENT)


def test_kill_9_in_the_middle_of_transfers_loses_nothing_that_was_acknowledged(path: Path) -> None:
    chance = random.Random(9)
    acknowledged: set[str] = set()
    made: list[str] = []
    for _ in range(3):
        with talking("--database", path, *ENDLESS, "--seed", "5") as process:
            assert process.stdout is not None
            for _ in range(len(acknowledged) + chance.randrange(1, 30)):
                acknowledged.add(id_of(process.stdout.readline()))
            with pytest.raises(BankIsOpen):
                take_lock(path)
            process.kill()
            acknowledged |= {id_of(line) for line in process.stdout if line.endswith("\n")}
        money, transfers = in_file(path)
        made = [transfer.id for transfer in transfers]
        assert acknowledged <= set(made)
        assert len(made) == len(set(made))
        assert sum(money.values()) == traffic.ACCOUNTS * traffic.FIRST_DEPOSIT
        assert money == after(transfers)

    wanted = list(traffic.plan(len(made) + 20, seed=5))

    async def make_the_rest() -> int:
        async with open_bank(path) as bank:
            return await traffic.make_all(bank, wanted)

    assert trio.run(make_the_rest) == len(wanted) + traffic.ACCOUNTS - len(made)
    assert in_file(path)[0] == after([*traffic.opening(), *wanted])  # each was made once, before the kill or after it


def id_of(line: str) -> str:
    assert ": transfer 5-" in line
    return line.rpartition(": ")[2].rstrip()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a single process")
def test_ctrl_c_ends_it_in_order(path: Path) -> None:
    with talking("--database", path, *ENDLESS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "")
    assert not path.with_name("bank.db-wal").exists()  # the database was closed


def test_a_closed_pipe_ends_it_quietly(path: Path) -> None:
    with talking("--database", path, *ENDLESS) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program in this process. It gives the exit status, the output and the errors."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        try:
            status = accounts.main()
        except SystemExit as left:
            status = 0 if left.code is None else int(left.code)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_the_accounts_stay_in_the_file_that_is_given(path: Path, run: Run) -> None:
    right = f"{traffic.ACCOUNTS * traffic.FIRST_DEPOSIT} cents, and the books are right"
    for said in ("5 transfers were made now, and 0 earlier", "0 transfers were made now, and 5 earlier"):
        status, out, err = run("--database", path, "--transfers", "5")
        assert out.splitlines()[5:] == [f"{said}: {right}"]
        assert (status, err) == (0, "")


def test_a_bank_that_is_open_is_not_opened_again(path: Path, run: Run) -> None:
    lock = take_lock(path)
    assert run("--database", path) == (2, "", f"accounts.py: another program has {path}\n")
    lock.close()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights of their own")
def test_a_bank_that_is_open_is_not_opened_again_through_a_link(path: Path, run: Run) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    lock = take_lock(path)
    assert run("--database", link) == (2, "", f"accounts.py: another program has {link}\n")
    lock.close()


def no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 100)


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("no/bank.db", "unable to open database file"),
        ("x" * 300, "unable to open database file"),
        ("diary.txt", "file is not a database"),
    ],
)
def test_a_file_that_is_no_database_gets_one_line(path: Path, run: Run, name: str, report: str) -> None:
    path = path.parent / name
    if name == "diary.txt":
        no_database(path)
    assert run("--database", path) == (2, "", f"accounts.py: can't keep accounts in {path}: {report}\n")


def test_a_database_of_something_else_gets_one_line_and_stays_as_it_is(path: Path, run: Run) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE accounts (name)")
    before = path.read_bytes()
    report = f"accounts.py: can't keep accounts in {path}: no such column: number\n"
    assert run("--database", path, "--transfers", "5") == (2, "", report)
    assert path.read_bytes() == before


def test_a_file_may_have_the_name_that_sqlite_gives_to_the_memory(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run("--database", ":memory:", "--transfers", "5")
    assert "0 transfers were made now, and 5 earlier" in run("--database", ":memory:", "--transfers", "5")[1]


@pytest.mark.parametrize("arguments", [(), ("--transfers", "50")], ids=["story", "transfers"])
def test_a_database_that_fails_in_the_middle_gets_one_line(path: Path, run: Run, arguments: tuple[str, ...]) -> None:
    run("--database", path, "--transfers", "5")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER fault BEFORE INSERT ON transfers BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    status, _, err = run("--database", path, *arguments)
    assert re.fullmatch(r"accounts.py: <Account #\d+> has crashed: IntegrityError\('disk full'\)\n", err)
    assert status == 2


def test_a_transfer_of_the_plan_that_is_refused_gets_one_line(path: Path, run: Run) -> None:
    report = "accounts.py: an id is a text of 1 to 100 printable characters, not 'transfer 1000"
    status, out, err = run("--database", path, "--transfers", "5", "--seed", f"{10**99}")
    assert (status, out, err.count("\n"), err.startswith(report)) == (2, "", 1, True)


@pytest.mark.parametrize("arguments", [("--transfers", "0"), ("--transfers", "many"), ("one",), ("--seed", "x")])
def test_wrong_arguments_get_the_usage(run: Run, arguments: tuple[str, ...]) -> None:
    status, out, err = run(*arguments)
    assert err.startswith("usage: accounts.py")
    assert (status, out) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "report"),
    [
        (("--transfers", "many"), "argument --transfers: invalid number value: 'many'"),
        (("--database", ""), "argument --database: '' is no file"),
        (("--database", "/"), "argument --database: '/' is no file"),
        (("--database", os.devnull), f"argument --database: {os.devnull!r} is no file"),
        (("--seed", "7"), "--seed needs --transfers: the story has its own"),
    ],
)
def test_a_wrong_argument_is_named(run: Run, arguments: tuple[str, ...], report: str) -> None:
    assert run(*arguments)[2].endswith(f"accounts.py: error: {report}\n")


def test_help_says_what_it_shows(run: Run) -> None:
    status, out, err = run("--help")
    assert "no money is lost" in out
    assert (status, err) == (0, "")


def test_the_page_shows_what_it_prints() -> None:
    [shown] = ran_by("tests/examples/test_accounts.py")
    assert shown.code == (SCRIPT.parent / "expected" / "accounts.txt").read_text(encoding="utf-8")
