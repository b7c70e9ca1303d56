"""Many transfers at once, for the story and the tests. A plan has the same ids in each run: it goes on after a kill."""

from collections.abc import Callable, Iterable, Iterator
from random import Random

import trioreg

from .accounts import Bank
from .transfer import CASH, Transfer

ACCOUNTS = 20
FIRST_DEPOSIT = 1_000_000
AT_ONCE = 10


def opening() -> list[Transfer]:
    """The first deposit of each account."""
    return [Transfer(CASH, number, FIRST_DEPOSIT, f"opening {number}") for number in range(1, ACCOUNTS + 1)]


def plan(count: int, seed: int = 0) -> Iterator[Transfer]:
    """Transfers between these accounts, by chance. An account is in many of them."""
    chance = Random(seed)
    for number in range(1, count + 1):
        payer, payee = chance.sample(range(1, ACCOUNTS + 1), 2)
        yield Transfer(payer, payee, chance.randint(1, 1000), f"transfer {seed}-{number}")


async def open_accounts(bank: Bank) -> None:
    """Open the accounts, each with its first deposit, if that was not done before."""
    for deposit in opening():
        await bank.open(deposit.payee)
    await make_all(bank, opening())


async def make_all(
    bank: Bank, transfers: Iterable[Transfer], on_made: Callable[[Transfer], object] = lambda transfer: None
) -> int:
    """Make transfers, many at a time, and say so of each as soon as the bank has acknowledged it.

    Returns:
        How many were made now. The others were made before.
    """

    async def make(transfer: Transfer) -> bool:
        is_new = await bank.make(transfer)
        on_made(transfer)
        return is_new

    async with trioreg.open_stream(make, transfers, max_concurrency=AT_ONCE, ordered=False) as made:
        return sum([is_new async for is_new in made])
