"""A dispatcher: an event goes to each handler that is registered for it, and a handler is a function.

python dispatcher.py

Tasks and actors register handlers. A handler that raises is reported, and the others still run. An actor registers a
function that sends it a message: if the message crashes it, it is restarted, and registers again. The handlers of a
task or actor are gone in the step in which it ends.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeAlias

import attrs
import trio
from ending import exit_status

import trioreg
from trioreg import Actor, Entry, Is, Registry

logger = logging.getLogger("dispatcher")


@attrs.frozen
class Order:
    number: int
    thing: str
    count: int


Handler: TypeAlias = Callable[[Order], None]

handlers: Registry[str, Handler] = Registry("handlers", keys="duplicate")


def dispatch(event: str, order: Order) -> int:
    """Call each handler of an event, here and now. Returns how many have not raised."""
    failed = 0

    def call(entries: list[Entry[Handler]]) -> None:
        nonlocal failed
        for owner, handler in entries:
            try:
                handler(order)
            except Exception:  # the mistake of a handler is no mistake of the caller
                failed += 1
                logger.exception("a handler of %r failed: it belongs to %s", event, owner)

    return handlers.dispatch(event, call) - failed


# Handlers of actors. The function runs in the caller, and the method in the actor.


class Warehouse(Actor):
    def __init__(self) -> None:
        self.left = {"tea": 10, "milk": 10}

    async def on_start(self) -> None:
        handlers.register("order placed", lambda order: self.ref.cast_nowait(Warehouse.reserve, order))
        handlers.register("order cancelled", lambda order: self.ref.cast_nowait(Warehouse.put_back, order))

    def reserve(self, order: Order) -> None:
        self.left[order.thing] -= order.count

    def put_back(self, order: Order) -> None:
        self.left[order.thing] += order.count

    def stock(self) -> dict[str, int]:
        return self.left


class Invoices(Actor):
    def __init__(self) -> None:
        self.written = 0

    async def on_start(self) -> None:
        handlers.register("order placed", lambda order: self.ref.cast_nowait(Invoices.write, order))

    def write(self, order: Order) -> None:
        if order.count < 1:
            raise ValueError(f"order {order.number} is for {order.count} of {order.thing}")
        self.written += 1

    def count(self) -> int:
        return self.written


# A handler of a task. It runs in the caller, and changes what the task keeps.


def note(journal: list[str], event: str, order: Order) -> None:
    journal.append(f"{event}: {order.number}")


async def keep_journal(journal: list[str], *, task_status: trio.TaskStatus[None]) -> None:
    for event in ("order placed", "order cancelled"):
        handlers.register(event, partial(note, journal, event))
    task_status.started()
    await trio.sleep_forever()


# The story


class Log(logging.Handler):
    """Show each line of the log, without its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a full disk or a closed pipe: the next line of the story ends it
            print(f"   log: {record.getMessage()}")


def discount(order: Order) -> None:
    """A handler with a mistake: it divides by zero for an order of two."""
    print(f"   {100 // (order.count - 2)} % off")


async def story() -> None:
    journal: list[str] = []
    names: Registry[str, None] = Registry("names")
    invoices = names.via("invoices", of=Invoices)
    async with trioreg.open_supervisor() as supervisor:
        warehouse = await supervisor.start_child(Warehouse, id="warehouse")
        await supervisor.start_child(Invoices, name=invoices)
        async with trio.open_nursery() as nursery:
            await nursery.start(keep_journal, journal)

            print("1. Two actors and a task handle an order")
            print("   handlers:", dispatch("order placed", Order(1, "tea", 3)))
            print("   handlers:", dispatch("order cancelled", Order(1, "tea", 3)))
            print("   stock:", await warehouse.call(Warehouse.stock), "invoices:", await invoices.call(Invoices.count))
            print("   journal:", journal)

            print("2. A fourth handler raises, and the others still run")
            handlers.register("order placed", discount)
            print("   handlers:", dispatch("order placed", Order(2, "milk", 2)))
            print("   stock:", await warehouse.call(Warehouse.stock), "invoices:", await invoices.call(Invoices.count))
            handlers.unregister_match("order placed", Is(discount))

            print("3. A message crashes an actor: it is restarted, and registers again")
            print("   handlers:", dispatch("order placed", Order(3, "tea", 0)))
            print("   the actor has ended:", await invoices.wait())
            print("   invoices:", await invoices.call(Invoices.count))  # of the next life
            print("   handlers:", dispatch("order placed", Order(4, "tea", 1)))

            print("4. The task ends, then the actors: their handlers are gone")
            nursery.cancel_scope.cancel()
        print("   handlers:", dispatch("order placed", Order(5, "tea", 1)))
        print("   stock:", await warehouse.call(Warehouse.stock), "invoices:", await invoices.call(Invoices.count))
        supervisor.stop()
    print("   handlers:", dispatch("order placed", Order(6, "tea", 1)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    logging.getLogger().addHandler(Log())
    return exit_status(partial(trio.run, story))


if __name__ == "__main__":
    sys.exit(main())
