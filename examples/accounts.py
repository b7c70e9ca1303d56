"""A bank with an actor for each account number: whatever crashes, no money is lost, and none is paid twice.

python accounts.py                               tells a story: transfers, refusals, kills, a restart, a kill -9
python accounts.py --database FILE               the same, and the accounts stay in that file
python accounts.py --database FILE --transfers N prints each transfer when it is on the disk. End it with kill -9, start
                                                 it again, and it goes on: each transfer is made once

The accounts are in an SQLite file. `bank/accounts.py` has the actors, and docs/applications/accounts.md explains them.
"""

import argparse
import logging
import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
from bank import traffic
from bank.accounts import Bank, open_bank
from bank.database import BankIsOpen
from bank.ledger import Ledger
from bank.refusals import Refused
from bank.transfer import Transfer
from ending import exit_status

TRANSFERS = 100
KILLS = 20


async def story(path: Path) -> None:
    async with open_bank(path) as bank:
        await traffic.open_accounts(bank)
        await show(bank, f"{traffic.ACCOUNTS} accounts are open")
        await traffic.make_all(bank, traffic.plan(TRANSFERS, seed=1))
        await show(bank, f"{TRANSFERS} transfers, {traffic.AT_ONCE} at a time")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_actors, bank)
            await traffic.make_all(bank, traffic.plan(TRANSFERS, seed=2))
        await show(bank, f"{TRANSFERS} more, and {KILLS} actors are killed meanwhile")
        await show_refusals(bank)
        balances = await bank.database.run(Ledger.statements)
    async with open_bank(path) as bank:
        print("after a restart, the balances are the same:", await bank.database.run(Ledger.statements) == balances)
    acknowledged = await trio.to_thread.run_sync(kill_another_process, path)
    async with open_bank(path) as bank:
        made = {transfer.id for transfer in await bank.database.run(Ledger.transfers)}
        print("after a kill -9 in the middle, what was acknowledged is there:", acknowledged <= made)
        await traffic.make_all(bank, traffic.plan(TRANSFERS, seed=3))
        await show(bank, "the rest of its transfers is made")


async def show(bank: Bank, what: str) -> None:
    total = await bank.database.run(Ledger.total)
    are_right = all(statement.is_right for statement in await bank.database.run(Ledger.statements))
    print(f"{what}: {total} cents, and the books are {'right' if are_right else 'WRONG'}", flush=True)


async def kill_actors(bank: Bank) -> None:
    """The next message starts each of them again. If a call meets the end of an actor, `Bank.make` asks again."""
    for number in range(1, KILLS + 1):
        bank.accounts.via(number).kill()
        await trio.sleep(0.005)


async def show_refusals(bank: Bank) -> None:
    for payer, payee, amount in [(1, 2, 10**9), (1, 999, 5), (1, 2, -5)]:
        try:
            await bank.make(Transfer(payer, payee, amount))
        except Refused as error:
            print(f"{amount} cents from {payer} to {payee} is refused: {type(error).__name__}")


def kill_another_process(path: Path) -> set[str]:
    """Run this program on the same file, and kill it in the middle of its transfers. Return the ids that it printed."""
    command = [sys.executable, __file__, "--database", str(path), "--transfers", str(TRANSFERS), "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(TRANSFERS // 2)]
        process.kill()  # on Unix, this is kill -9
        lines += process.stdout.readlines()
    return {line.rpartition(": ")[2].rstrip() for line in lines if line.endswith("\n")}


async def make_transfers(path: Path, count: int, seed: int) -> None:
    def acknowledge(transfer: Transfer) -> None:
        print(f"{transfer.amount} cents from {transfer.payer} to {transfer.payee}: {transfer.id}", flush=True)

    async with open_bank(path) as bank:
        await traffic.open_accounts(bank)
        new = await traffic.make_all(bank, traffic.plan(count, seed), acknowledge)
        await show(bank, f"{new} transfers were made now, and {count - new} earlier")


# The command line


def number(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def file(text: str) -> Path:
    if not text or (os.path.exists(text) and not os.path.isfile(text)):  # a folder, a pipe, a device
        raise argparse.ArgumentTypeError(f"{text!r} is no file")
    return Path(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", metavar="FILE", type=file, help="the accounts (default: a temporary file)")
    parser.add_argument("--transfers", metavar="N", type=number, help="make N transfers, and print each")
    parser.add_argument("--seed", metavar="N", type=int, help="which transfers these are (default: 0)")
    arguments = parser.parse_args()
    if arguments.seed is not None and arguments.transfers is None:
        parser.error("--seed needs --transfers: the story has its own")
    return exit_status(partial(run, arguments), BankIsOpen, Refused, sqlite3.Error)


def run(arguments: argparse.Namespace) -> None:
    with TemporaryDirectory() as folder:
        path: Path = arguments.database or Path(folder) / "bank.db"
        # The story kills actors, and each is a warning. An error that ends the program is printed at the end.
        logging.getLogger("trioreg").setLevel(logging.CRITICAL)
        if arguments.transfers is None:
            trio.run(story, path)
        else:
            trio.run(make_transfers, path, arguments.transfers, arguments.seed or 0)


if __name__ == "__main__":
    sys.exit(main())
