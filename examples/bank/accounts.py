"""An actor for each account that is in use, started by its first message, and the `Bank` in front of them.

No actor ever waits for another one. So a transfer from A to B and one from B to A cannot block each other:

1. The payer's actor gets the message. It makes one transfer after the other.
2. The database makes the transfer, in one transaction. This is the moment when the money moves.
3. The payee's actor is told to forget the balance that it has in memory, and no actor waits for that.

All that an actor knows is in the database too. So it may end at any time, and its next life loses nothing.
"""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Concatenate, ParamSpec, TypeVar

from trioreg import Actor, ActorExited, Backoff, NotRegistered, OnDemand, Registry, open_on_demand, raises

from .database import Database, open_database
from .ledger import Ledger
from .refusals import Refused
from .transfer import Transfer, check_number

P = ParamSpec("P")
R = TypeVar("R")

TRIES = 3


class Account(Actor):
    """One account. All its payments go through this actor, and it keeps the balance in memory while nothing changes."""

    def __init__(self, number: int, names: Registry[int, None], database: Database) -> None:
        self.number = number
        self.names = names
        self.database = database
        self.known_balance: int | None = None

    @raises(Refused)
    async def balance(self) -> int:
        if self.known_balance is None:
            self.known_balance = await self.database.run(Ledger.balance, self.number)
        return self.known_balance

    @raises(Refused)
    async def make(self, transfer: Transfer) -> bool:
        """Make a transfer out of this account, or a deposit into it."""
        try:
            return await self.database.run(Ledger.make, transfer)
        finally:  # also if the transaction failed in a way that we do not understand
            self.forget()
            if transfer.payee != self.number:
                self.tell(transfer.payee)

    def tell(self, payee: int) -> None:
        """No await has come since the commit. So the payee has this in its mailbox before the caller has its answer."""
        with suppress(NotRegistered, ActorExited):  # it does not run, or it is ending: its next life asks the database
            self.names.via(payee, of=Account).cast_nowait(Account.forget)

    def forget(self) -> None:
        """The balance has changed. The next question for it goes to the database."""
        self.known_balance = None


class Bank:
    """All accounts. If an actor crashes while it works for you, the bank asks its next life, with the same id."""

    def __init__(self, accounts: OnDemand[int, Account], database: Database) -> None:
        self.accounts = accounts
        self.database = database

    async def open(self, number: int) -> None:
        """Open an account, if it is not open already. Its balance is 0 then."""
        await self.database.run(Ledger.open, check_number(number))

    async def balance(self, number: int) -> int:
        """How many cents are in an account.

        Raises:
            UnknownAccount: There is no such account.
            ActorExited: The actor of the account has crashed again and again.
        """
        return await self._ask(number, Account.balance)

    async def make(self, transfer: Transfer) -> bool:
        """Make a transfer or a deposit, once. When this returns, it is on the disk.

        Returns:
            Whether it was made now. False: it was made before, by an earlier call with the same id.

        Raises:
            Refused: The bank has not made it.
            ActorExited: The actor of the payer has crashed again and again. Perhaps the transfer is made. To find out,
                ask again with the same transfer, also after a restart of the program.
        """
        number = transfer.payee if transfer.payer is None else transfer.payer
        return await self._ask(number, Account.make, transfer)

    async def _ask(
        self, number: int, method: Callable[Concatenate[Account, P], Awaitable[R]], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        account = self.accounts.via(check_number(number))
        for _ in range(TRIES - 1):
            with suppress(ActorExited):
                return await account.call(method, *args, **kwargs)
        return await account.call(method, *args, **kwargs)


@asynccontextmanager
async def open_bank(
    path: str | os.PathLike[str], *, retire_after: float = 60, max_running: int = 1000
) -> AsyncGenerator[Bank]:
    """Open the bank with this database. When the block is left, what was begun is finished, and the file is closed."""
    names: Registry[int, None] = Registry("account numbers")
    async with open_database(path) as database:
        accounts: OnDemand[int, Account] = OnDemand(
            "accounts",
            Account,
            names,
            database,
            registry=names,
            retire_after=retire_after,
            max_running=max_running,
            backoff=Backoff(initial=0.01, maximum=5),
        )
        async with open_on_demand(accounts):
            yield Bank(accounts, database)
