"""A program of `trioreg.run` that serves until a signal ends it, and then looks whether anything is left.

Run as ``python -m soak.served SEED``.
"""

from __future__ import annotations

import signal
import sys

import trio

import trioreg
from soak.exploring import no_log
from soak.storm_world import World
from trioreg import ChildSpec


async def tell() -> None:
    print("begins", flush=True)
    await trio.sleep_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    world = World(int(sys.argv[1]))
    try:
        with no_log():
            trioreg.run([ChildSpec(tell), *world.tree()])
    finally:
        try:
            world.assert_empty()
        except AssertionError as error:
            print(f"left behind: {error!r}", flush=True)
            raise
        print("ended in order", flush=True)
