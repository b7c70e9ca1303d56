"""A shop with a cart for each customer: actors on demand, which their first message starts and which end when idle.

python carts.py

Three hundred customers shop, at most thirty carts are in memory, and each cart is kept in a database when it ends.
At the end the database has what all customers have put into their carts, each thing once.
"""

import argparse
import json
import random
import sqlite3
import sys
from functools import partial

import trio
from ending import exit_status

import trioreg
from trioreg import Actor, ChildSpec, Exit, OnDemand, OnDemandSupervisor

CUSTOMERS = 300
THINGS = ("tea", "milk", "bread")


class Cart(Actor):
    """The cart of one customer. It loads what its last life has saved."""

    def __init__(self, customer: int, database: sqlite3.Connection) -> None:
        self.customer = customer
        self.database = database
        query = "SELECT items, lives FROM carts WHERE customer = ?"
        row = database.execute(query, (customer,)).fetchone()
        self.items: dict[str, int] = json.loads(row[0]) if row else {}
        self.lives = row[1] + 1 if row else 1

    async def on_stop(self, exit: Exit) -> None:
        values = self.customer, json.dumps(self.items), self.lives
        self.database.execute("REPLACE INTO carts VALUES (?, ?, ?)", values)

    def add(self, thing: str, count: int) -> int:
        self.items[thing] = self.items.get(thing, 0) + count
        return sum(self.items.values())


database = sqlite3.connect(":memory:")
carts: OnDemand[int, Cart] = OnDemand("carts", Cart, database, retire_after=0.05, max_running=30)


async def shop(customer: int, most: list[int]) -> None:
    """One customer comes by three times. The address is always good, whether the cart is in memory or not."""
    for thing in THINGS:
        await trio.sleep(random.random() * 0.3)
        await carts.via(customer).call(Cart.add, thing, 1 + customer % 3)
        most[0] = max(most[0], sum(ref.state == "running" for _, ref in carts.items()))


async def story() -> None:
    database.execute("CREATE TABLE carts (customer PRIMARY KEY, items, lives)")
    most = [0]
    async with trioreg.open_supervisor([ChildSpec(OnDemandSupervisor, (carts,))]) as supervisor:
        async with trio.open_nursery() as nursery:
            for customer in range(CUSTOMERS):
                nursery.start_soon(shop, customer, most)
        supervisor.stop()
    saved = [(key, json.loads(items)) for key, items, _ in database.execute("SELECT * FROM carts")]
    is_right = all(items == dict.fromkeys(THINGS, 1 + customer % 3) for customer, items in saved)
    (lives,) = database.execute("SELECT sum(lives) FROM carts").fetchone()
    print(f"{len(saved)} carts were saved, each with what its customer wanted: {is_right}")
    print("at most 30 were in memory:", most[0] <= 30)
    print("carts were loaded again:", lives > CUSTOMERS, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    return exit_status(partial(trio.run, story))


if __name__ == "__main__":
    sys.exit(main())
