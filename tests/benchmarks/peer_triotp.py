"""TriOTP's side of the benchmarks. It runs in a venv of its own, because TriOTP 0.2 pins Trio 0.19."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.metadata import version
from itertools import count
from typing import Any, NoReturn

import trio
from _peer import CASTS, Memory, Operation, Sampler, serve

# Imported by name, and untyped: TriOTP is not installed where the type checkers run.
gen_server: Any = import_module("triotp.gen_server")
mailbox: Any = import_module("triotp.mailbox")
supervisor: Any = import_module("triotp.supervisor")
dynamic_supervisor: Any = import_module("triotp.dynamic_supervisor")

IDLE_SERVERS = 2_000


class Life:
    """Tells when a server has begun and ended: TriOTP's `start_child` returns before the server is there."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.ended = trio.Event()
        self.casts = 0


# The callbacks of the server: in TriOTP a server is a module, and it is this one.


async def init(life: Life) -> Life:
    life.begun.set()
    return life


async def terminate(reason: BaseException | None, life: Life) -> None:
    life.ended.set()


async def handle_call(message: tuple[str, Any], caller: Any, life: Life) -> tuple[Any, Life]:
    kind, value = message
    return gen_server.Reply(payload=value if kind == "echo" else life.casts), life


async def handle_cast(message: tuple[str, Any], life: Life) -> tuple[Any, Life]:
    if message[0] == "stop":
        return gen_server.Stop(), life
    life.casts += 1
    return gen_server.NoReply(), life


async def start(name: str, life: Life) -> None:
    await gen_server.start(sys.modules[__name__], life, name=name)


async def start_child(name: str) -> Life:
    life = Life()
    temporary = supervisor.restart_strategy.TEMPORARY
    await dynamic_supervisor.start_child(
        "supervisor", supervisor.child_spec(id=name, task=start, args=[name, life], restart=temporary)
    )
    await life.begun.wait()
    return life


def in_triotp(measure: Callable[[Sampler], Awaitable[list[float]]]) -> Operation:
    async def main(sampler: Sampler) -> list[float]:
        mailbox._init()  # as TriOTP's node does: each run has its own tables of names
        async with trio.open_nursery() as nursery:
            await nursery.start(dynamic_supervisor.start, supervisor.options(), "supervisor")
            samples = await measure(sampler)
            nursery.cancel_scope.cancel()
        return samples

    return lambda sampler: trio.run(main, sampler)


async def call(sampler: Sampler) -> list[float]:
    await start_child("James Bond")

    async def run(n: int) -> None:
        for _ in range(n):
            await gen_server.call("James Bond", ("echo", "text"))

    return await sampler.wait(run)


async def cast(sampler: Sampler) -> list[float]:
    await start_child("James Bond")

    async def run(n: int) -> None:
        for _ in range(n):
            for number in range(CASTS):
                await gen_server.cast("James Bond", ("note", number))
            await gen_server.call("James Bond", ("count", None))

    return await sampler.wait(run, CASTS)


async def start_stop(sampler: Sampler) -> list[float]:
    numbers = count()

    async def run(n: int) -> None:
        for _ in range(n):
            name = f"agent {next(numbers)}"
            life = await start_child(name)
            await gen_server.cast(name, ("stop", None))
            await life.ended.wait()

    return await sampler.wait(run)


async def _memory(*, is_resident: bool) -> NoReturn:
    await start_child("warm-up")
    used = Memory(is_resident=is_resident)
    for number in range(IDLE_SERVERS):
        await start_child(f"agent {number}")
    used.answer(IDLE_SERVERS)


async def memory(_: Sampler) -> list[float]:
    return await _memory(is_resident=False)


async def memory_rss(_: Sampler) -> list[float]:
    return await _memory(is_resident=True)


if __name__ == "__main__":
    serve(
        {"triotp": version("triotp"), "trio": trio.__version__},
        {
            "call": in_triotp(call),
            "call_async": in_triotp(call),  # all its handlers are async
            "cast": in_triotp(cast),
            "cast_awaited": in_triotp(cast),  # and so are all its casts
            "start_stop": in_triotp(start_stop),
            "memory": in_triotp(memory),
            "memory_rss": in_triotp(memory_rss),
        },
    )
