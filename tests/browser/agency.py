"""The program that the browser looks at, in a process of its own. It prints the address of its observer.

It takes words from its standard input, a line for each, and answers each with a line: ``storm`` begins a thousand
restarts a second, ``calm`` ends them, ``betray`` crashes an agent, ``restarts`` does nothing. The answer is how many
restarts there were in the storm.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterable

import trio

import trioreg
from trioreg import Actor, ChildSpec, Pool, PoolSupervisor, PubSub, Registry, Supervisor, child
from trioreg.observer import Observer

LONG = "Überlänge mit Umlauten äöüß " * 357  # 10,000 characters
SCRIPT = '<script>document.title = "hacked"</script>'
CARTS = 120
SPARKS = 10
PORT = sys.argv[1] if sys.argv[1:] else "0"

agents: Registry[str, None] = Registry("agents", partitions=1)
carts: Registry[str, None] = Registry("carts", partitions=4)
sparks: Registry[int, None] = Registry("sparks", partitions=1)
odd: Registry[str, str] = Registry("odd", partitions=1)
news: PubSub[str, str] = PubSub("news")


class SecretAgent(Actor):
    """Its class allows its state to be shown."""

    log_state = True

    def __init__(self, codename: str) -> None:
        self.codename = codename

    def betray(self) -> None:
        raise ValueError("<b>treason</b>")


class Cart(Actor):
    def __init__(self, customer: str) -> None:
        self.customer = customer


class Reader(Actor):
    async def on_start(self) -> None:
        for topic in ("weather", "sports", LONG):
            news.join(topic, Reader.read)

    def read(self, text: str) -> None: ...


class Worker(Actor):
    pass


class Spark(Actor):
    restarts = -SPARKS  # the first lives are none

    def __init__(self) -> None:
        Spark.restarts += 1


async def storm() -> None:
    """A thousand restarts a second: ten actors are killed each ten milliseconds."""
    while True:
        for number in range(SPARKS):
            spark = sparks.whereis(number, of=Spark)
            if spark is not None:
                spark.kill()
        await trio.sleep(SPARKS / 1000)


async def console() -> None:
    raging = trio.CancelScope()

    async def rage() -> None:
        with raging:
            await storm()

    async with trio.open_nursery() as nursery:
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            match line.strip():
                case "storm":
                    nursery.start_soon(rage)
                case "calm":
                    raging.cancel()
                case "betray":
                    agents.via("Vesper Lynd", of=SecretAgent).cast_nowait(SecretAgent.betray)
                case _:
                    pass
            print(Spark.restarts, flush=True)
        await trio.sleep_forever()


def under(name: str, specs: Iterable[ChildSpec]) -> ChildSpec:
    """A supervisor that never gives up."""
    return child(Supervisor, list(specs), max_restarts=math.inf).with_id(name)


NAMES = ("James Bond", "Mr. White", "Vesper Lynd", "Q", "Eve Moneypenny", "Felix Leiter")
CUSTOMERS = [f"c-{number:03}" for number in range(CARTS)]

TREE = [
    under("agents", (child(SecretAgent, name).named(agents.via(name)).restarted("transient") for name in NAMES)),
    under("carts", (child(Cart, name).named(carts.via(name)) for name in CUSTOMERS)),
    under("sparks", (child(Spark).named(sparks.via(number)) for number in range(SPARKS))),
    under("odd", (child(Cart, name).named(odd.via(name, name)) for name in (LONG, SCRIPT))),
    child(Reader),
    child(PoolSupervisor, Pool("printers", Worker, size=3)),
    child(console),
    child(Observer, f"127.0.0.1:{PORT}", read_only=False),  # last: a test begins when its address is printed
]

if __name__ == "__main__":
    # The address of the observer is all that this program says on stderr.
    logging.getLogger("trioreg").setLevel(logging.INFO)
    logging.getLogger("trioreg").addHandler(logging.NullHandler())
    logging.getLogger("trioreg").propagate = False
    trioreg.run(TREE, name="program")
