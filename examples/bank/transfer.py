"""A transfer: who pays whom how much, and an id. A `Transfer` that exists is a possible one."""

from typing import Final
from uuid import uuid4

from attrs import Factory, frozen

from .refusals import UnknownAccount, WrongTransfer

CASH: Final = None
"""Stands for the payer of a deposit."""

MOST_CENTS = 10**12
HIGHEST_NUMBER = 10**12
LONGEST_ID = 100


@frozen
class Transfer:
    """Some money that goes from one account to another one.

    The bank makes a transfer once, however often you ask. So if you do not know whether yours was made, ask again with
    the same id.

    Attributes:
        payer: The account number, or `CASH`: then this is a deposit.
        payee: The account number.
        amount: How many cents.
        id: Any text that no other transfer has. By default a random one.
    """

    payer: int | None
    payee: int
    amount: int
    id: str = Factory(lambda: uuid4().hex)

    def __attrs_post_init__(self) -> None:
        if self.payer is not None:
            check_number(self.payer)
        check_number(self.payee)
        if self.payer == self.payee:
            raise WrongTransfer(f"account {self.payee} cannot pay itself")
        if type(self.amount) is not int or not 1 <= self.amount <= MOST_CENTS:
            raise WrongTransfer(f"an amount is a number of cents from 1 to {MOST_CENTS}, not {shown(self.amount)}")
        if type(self.id) is not str or not self.id.isprintable() or not 1 <= len(self.id) <= LONGEST_ID:
            raise WrongTransfer(f"an id is a text of 1 to {LONGEST_ID} printable characters, not {shown(self.id)}")


def check_number(number: int) -> int:
    """A key of another type would be another actor for the same account: ``True == 1``, and SQLite takes "1" for 1."""
    if type(number) is not int or not 1 <= number <= HIGHEST_NUMBER:
        raise UnknownAccount(f"there is no account {shown(number)}")
    return number


def shown(value: object) -> str:
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**20 else "a number that long"
    return text if len(text) <= 40 else f"{text[:40]}..."
