"""The types of a pool: the workers' class, their methods and arguments, and what comes back."""

from __future__ import annotations

from typing import assert_type

import trio
from trio.testing import MockClock

from trioreg import Actor, ActorRef, Done, Failed, Pool, Reply, open_pool


class Adder(Actor):
    def __init__(self, start: int) -> None:
        self.start = start

    def add(self, number: int, times: int = 1) -> int:
        return self.start + number * times

    async def later(self, number: int) -> str:
        await trio.sleep(1)
        return str(number)

    def reply(self) -> Reply[bytes]:
        reply = Reply[bytes]()
        reply.send(b"")
        return reply


class Other(Actor):
    def other(self) -> None:
        pass


async def test_a_pool_knows_the_class_of_its_workers(autojump_clock: MockClock) -> None:
    adders: Pool[Adder] = Pool("adders", Adder, 5, size=1)
    async with open_pool(adders) as same:
        assert_type(same, Pool[Adder])
    async with open_pool(Adder, 5, size=1) as pool:
        assert_type(pool, Pool[Adder])
        assert_type(await pool.call(Adder.add, 1), int)
        assert_type(await pool.call(Adder.add, 1, times=2), int)
        assert_type(await pool.call(Adder.later, 1), str)
        assert_type(await pool.call(Adder.reply), bytes)
        assert_type(await pool.call(Adder.add, 1, retries=1), int)
        assert_type(await pool.call(Adder.later, 1, retries=1, idempotent=True), str)
        async with pool.claim() as worker:
            assert_type(worker, ActorRef[Adder])
        assert_type(pool.workers(), list[ActorRef[Adder]])
        async with pool.map(Adder.later, [1, 2]) as texts:
            assert_type([text async for text in texts], list[str])
        async with pool.map(Adder.add, [1, 2], on_error="return", ordered=False) as sums:
            async for each in sums:
                assert_type(each, Done[int, int] | Failed[int])


async def wrong(pool: Pool[Adder]) -> None:
    """Never called: each line is an error to the type checkers."""
    open_pool(Adder, "five", size=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    open_pool(Adder, 5)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await pool.call(Adder.add, "one")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await pool.call(Other.other)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await pool.cast(Adder.add, "one")  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    pool.map(Adder.later, ["one"])  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
