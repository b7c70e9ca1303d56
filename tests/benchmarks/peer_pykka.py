"""Pykka's side of the benchmarks. An actor is a thread. Pykka has no names; the nearest thing is an actor's URN."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, NoReturn

import pykka
from _peer import CASTS, Memory, Sampler, serve

IDLE_THREADS = 500
"""Fewer than `IDLE`: many systems do not allow 20,000 threads."""


class Server(pykka.ThreadingActor):
    def __init__(self) -> None:
        super().__init__()
        self.casts = 0

    def on_receive(self, message: Any) -> Any:
        kind, value = message
        if kind == "note":
            self.casts += 1
            return None
        return value if kind == "echo" else self.casts


def call(sampler: Sampler) -> list[float]:
    urn = Server.start().actor_urn

    def run(n: int) -> None:
        for _ in range(n):
            ref = pykka.ActorRegistry.get_by_urn(urn)
            assert ref is not None
            ref.ask(("echo", "text"))

    try:
        return sampler.sync(run)
    finally:
        pykka.ActorRegistry.stop_all()


def cast(sampler: Sampler) -> list[float]:
    ref = Server.start()

    def run(n: int) -> None:
        for _ in range(n):
            for number in range(CASTS):
                ref.tell(("note", number))
            ref.ask(("count", None))

    try:
        return sampler.sync(run, CASTS)
    finally:
        pykka.ActorRegistry.stop_all()


def start_stop(sampler: Sampler) -> list[float]:
    def run(n: int) -> None:
        for _ in range(n):
            Server.start().stop()

    return sampler.sync(run)


def memory_rss(sampler: Sampler) -> NoReturn:
    Server.start()
    used = Memory(is_resident=True)
    for _ in range(IDLE_THREADS):
        Server.start()
    used.answer(IDLE_THREADS)


if __name__ == "__main__":
    serve(
        {"pykka": version("pykka")},
        {"call": call, "cast": cast, "start_stop": start_stop, "memory_rss": memory_rss},
    )
