"""Publications to an audience: what each subscriber costs, and for how long the loop is held.

    python tests/benchmarks/audience.py [--quick] [--rounds N] [--json FILE] [--write-docs]

From 1 subscriber to 150,000: actors, whose method takes the message, and tasks, which receive it from a feed. Beside
them, Elixir's ``Registry.dispatch`` with a cast to each process, and, as the floor, bare Trio with a memory channel for
each task. At the end, 150,000 subscribers are published to while others join and leave.

To start 150,000 subscribers takes seconds, and to end them too. So each measurement has a process of its own, which is
gone as soon as it has answered. (In `run.py`, where one process measures many operations, they took minutes a round.)
This file is a peer too (`_peer.py`, ``audience.py --peer``).

The loop is held as long as the scheduler runs tasks without a look at I/O and timers. That is counted in processor
time: what other programs use does not count. A figure is the least of all rounds, but for one (`best`).
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any, NoReturn

import trio
from _peer import Operation, Sampler, answer_and_exit, serve
from _report import NOTHING, amount, machine, table, write_into_docs
from run import HERE, Peer
from trio.testing import wait_all_tasks_blocked

import trioreg

SIZES = (1, 100, 10_000, 150_000)
QUICK = 10_000
"""The largest size with ``--quick``."""

AT_ONCE = 20_000
"""A batch has as many publications as reach this many subscribers, and at least one."""

BATCHES = 7
JOINS = 1_000
"""How many subscribers join each second, and how many leave."""

STAYS = 1.0
"""How many seconds each of these is there."""

AT_MOST = 20
"""How many of them join, or leave, at one moment."""

SECONDS = 10.0
"""How long each measurement with them takes."""

Topics = trioreg.PubSub[str, str]
Leave = Callable[[], Awaitable[object]]
Come = Callable[[], Awaitable[Leave]]


class Pass(trio.abc.Instrument):
    """The longest pass of the scheduler over the tasks that can run, in seconds of processor time."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = thread_time()

    def after_io_wait(self, timeout: float) -> None:
        self._began = thread_time()

    def before_io_wait(self, timeout: float) -> None:
        self.longest = max(self.longest, thread_time() - self._began)


class Count:
    """Counts the messages that the members of the audience have handled, and wakes the one task that waits."""

    def __init__(self) -> None:
        self.left = 0
        self._done = trio.Event()

    def begin(self, messages: int) -> None:
        self.left = messages
        self._done = trio.Event()

    def down(self) -> None:
        self.left -= 1
        if not self.left:
            self._done.set()

    async def wait(self) -> None:
        await self._done.wait()
        assert not self.left  # no member was told twice


def no_count() -> None:
    """For those who come and go."""


class Member(trioreg.Actor):
    def __init__(self, topics: Topics, down: Callable[[], None]) -> None:
        self.down = down
        topics.join("topic", Member.note, owner=self.ref)

    def note(self, message: str) -> None:
        self.down()


@asynccontextmanager
async def actors(size: int, topics: Topics, down: Callable[[], None]) -> AsyncGenerator[Come]:
    """An audience of actors. It gives a function that has one more come, and returns what makes it leave."""

    async def come() -> Leave:
        return (await supervisor.start_child(Member, topics, no_count, restart="temporary")).stop

    async with trioreg.open_dynamic_supervisor() as supervisor:
        for _ in range(size):
            await supervisor.start_child(Member, topics, down)
        yield come


@asynccontextmanager
async def tasks(size: int, topics: Topics, down: Callable[[], None]) -> AsyncGenerator[Come]:
    """The same, of tasks."""

    async def receive(
        down: Callable[[], None], *, task_status: trio.TaskStatus[trio.CancelScope] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.CancelScope() as scope:
            async with topics.subscribe("topic") as feed:
                task_status.started(scope)
                async for _ in feed:
                    down()

    async def come() -> Leave:
        scope: trio.CancelScope = await nursery.start(receive, no_count)

        async def leave() -> None:
            scope.cancel()

        return leave

    async with trio.open_nursery() as nursery:
        for _ in range(size):
            nursery.start_soon(receive, down)
        await wait_all_tasks_blocked()
        yield come


Audience = Callable[[int, Topics, Callable[[], None]], AbstractAsyncContextManager[Come]]
KINDS: dict[str, Audience] = {"actors": actors, "tasks": tasks}


def collect() -> float:
    """Collect all garbage there is. Returns the seconds for which that holds the loop the next time."""
    gc.collect()
    began = thread_time()
    gc.collect()
    return thread_time() - began


async def least(size: int, count: Count, publish: Callable[[], Awaitable[object]]) -> list[float]:
    """Nanoseconds for each subscriber, until told and until handled; and those for which the loop was held."""
    figures: list[list[float]] = []
    n = max(1, AT_ONCE // size)
    for _ in range(BATCHES):
        gc.collect()
        await trio.lowlevel.checkpoint()
        passes = Pass()
        trio.lowlevel.add_instrument(passes)
        await trio.lowlevel.checkpoint()
        passes.longest = 0.0
        told = handled = 0.0
        for _ in range(n):
            count.begin(size)
            began = perf_counter()
            await publish()
            told += perf_counter() - began
            await count.wait()
            handled += perf_counter() - began
        trio.lowlevel.remove_instrument(passes)
        figures.append([told / (n * size) * 1e9, handled / (n * size) * 1e9, passes.longest * 1e9])
    return [min(figure) for figure in zip(*figures, strict=True)]


async def audience(kind: str, size: int) -> NoReturn:
    topics: Topics = trioreg.PubSub("topics")
    count = Count()

    async def publish_nowait() -> None:
        topics.publish_nowait("topic", "hello")

    gc.disable()
    async with KINDS[kind](size, topics, count.down):
        gc.enable()
        collect()
        gc.freeze()
        at_once = await least(size, count, publish_nowait)
        in_slices = await least(size, count, partial(topics.publish, "topic", "hello"))
        answer_and_exit([*at_once, *in_slices])
    raise AssertionError("unreachable")


async def channels(size: int) -> NoReturn:
    """One sender, and many receivers with a memory channel each."""
    senders: list[trio.MemorySendChannel[str]] = []
    count = Count()

    async def receive(channel: trio.MemoryReceiveChannel[str]) -> None:
        async for _ in channel:
            count.down()

    async def send() -> None:
        for sender in senders:
            sender.send_nowait("hello")

    gc.disable()
    async with trio.open_nursery() as nursery:
        for _ in range(size):
            sender, receiver = trio.open_memory_channel[str](10)
            senders.append(sender)
            nursery.start_soon(receive, receiver)
        await wait_all_tasks_blocked()
        gc.enable()
        collect()
        gc.freeze()
        answer_and_exit(await least(size, count, send))
    raise AssertionError("unreachable")


async def coming_and_going(kind: str, size: int) -> NoReturn:
    """Publish without a pause, while others join and leave.

    Answers with the nanoseconds for which the loop was held, in three periods: with the garbage collector as it is,
    after `gc.freeze`, and with the collector off. Then how many joined each second, and how many left. Then the
    nanoseconds of a full collection before `gc.freeze`.
    """
    topics: Topics = trioreg.PubSub("topics")
    count = Count()
    there: deque[tuple[float, Leave]] = deque()
    joined = left = 0
    took = 0.0

    async def join(come: Come) -> None:
        nonlocal joined
        there.append((trio.current_time(), await come()))
        joined += 1

    async def come_and_go(come: Come) -> None:
        nonlocal left
        began, asked = trio.current_time(), 0
        async with trio.open_nursery() as nursery:
            while True:
                now = trio.current_time()
                # After a pause of the collector they don't come all at once.
                for _ in range(min(AT_MOST, int((now - began) * JOINS) - asked)):
                    nursery.start_soon(join, come)
                    asked += 1
                for _ in range(AT_MOST):
                    if there and there[0][0] <= now - STAYS:
                        nursery.start_soon(there.popleft()[1])
                        left += 1
                await trio.sleep(0.002)

    async def period() -> float:
        nonlocal took
        passes = Pass()
        trio.lowlevel.add_instrument(passes)
        await trio.lowlevel.checkpoint()
        passes.longest = 0.0
        began = perf_counter()
        while perf_counter() - began < SECONDS:
            count.begin(size)
            await topics.publish("topic", "hello")
            await count.wait()
        trio.lowlevel.remove_instrument(passes)
        took += perf_counter() - began
        return passes.longest

    gc.disable()
    async with KINDS[kind](size, topics, count.down) as come, trio.open_nursery() as nursery:
        collection = collect()
        gc.enable()
        nursery.start_soon(come_and_go, come)
        await trio.sleep(STAYS)  # from now on as many leave as join
        joined_before = joined
        as_it_is = await period()
        gc.freeze()
        frozen = await period()
        gc.disable()
        off = await period()
        rates = [(joined - joined_before) / took, left / took]
        answer_and_exit([as_it_is * 1e9, frozen * 1e9, off * 1e9, *rates, collection * 1e9])
    raise AssertionError("unreachable")


def in_trio(measure: Callable[..., Awaitable[NoReturn]], *args: Any) -> Operation:
    def run(_: Sampler) -> list[float]:
        trio.run(measure, *args)
        raise AssertionError("unreachable")

    return run


OPERATIONS: dict[str, Operation] = {
    **{f"{kind}_{size}": in_trio(audience, kind, size) for kind in KINDS for size in SIZES},
    **{f"channels_{size}": in_trio(channels, size) for size in SIZES},
    **{f"{kind}_coming_and_going_{size}": in_trio(coming_and_going, kind, size) for kind in KINDS for size in SIZES},
}
"""Each ends its process with the answer."""


def plan(sizes: tuple[int, ...]) -> list[tuple[str, str]]:
    """What to measure: peer and operation."""
    has_elixir = shutil.which("elixir") is not None
    return [
        *[("trioreg", f"{kind}_{size}") for size in sizes for kind in (*KINDS, "channels")],
        *[("elixir", f"audience_{size}") for size in sizes if has_elixir],
        *[("trioreg", f"{kind}_coming_and_going_{sizes[-1]}") for kind in KINDS],
    ]


def ask(peer: str, operation: str) -> list[float]:
    command = [sys.executable, __file__, "--peer"]
    if peer == "elixir":
        # More processes than its default limit of 262,144.
        command = ["elixir", "--erl", "+P 1000000", str(HERE / "peer_elixir.exs")]
    with Peer(peer, command) as process:
        return process.measure(operation, 0.0, BATCHES)


def best(operation: str, rounds: list[list[float]]) -> list[float]:
    """The least of each figure. With the collector as it is, the greatest: full collections come only now and then."""
    figures = [min(part) for part in zip(*rounds, strict=True)]
    if "coming_and_going" in operation:
        figures[0] = max(answer[0] for answer in rounds)
    return figures


def held(nanoseconds: float) -> str:
    return f"{nanoseconds / 1e6:,.1f} ms"


def tables(data: dict[str, list[float]], sizes: tuple[int, ...]) -> str:
    """All figures, as tables."""

    def row(who: str, size: int, how: str, figures: list[float] | None) -> list[list[str]]:
        if figures is None:
            return []
        told, handled, *longest = figures
        return [[who, f"{size:,}", how, amount(told, "ns"), amount(handled, "ns"), *map(held, longest)]]

    rows: list[list[str]] = []
    for size in sizes:
        for kind in KINDS:
            figures = data[f"{kind}_{size}"]
            rows += row(kind, size, "`publish_nowait`", figures[:3])
            rows += row(kind, size, "`await publish`", figures[3:])
        rows += row("tasks", size, "bare Trio: a memory channel each", data[f"channels_{size}"])
        rows += row("processes", size, "Elixir", data.get(f"audience_{size}"))
    publications = table(
        ["audience", "of", "how", "told, each", "until handled, each", "loop held for"],
        [[*cells, NOTHING][:6] for cells in rows],
    )
    others: list[list[str]] = []
    for kind in KINDS:
        as_it_is, frozen, off, joins, leaves, collection = data[f"{kind}_coming_and_going_{sizes[-1]}"]
        cells = [*map(held, (as_it_is, frozen, off)), held(collection)]
        others.append([f"{sizes[-1]:,} {kind}", f"{joins:,.0f}", f"{leaves:,.0f}", *cells])
    busy = table(
        [
            *("audience", "joins a second", "leaves a second", "loop held for", "… after `gc.freeze`"),
            *("… collector off", "a full collection"),
        ],
        others,
    )
    return f"{publications}\n\n{busy}"


def main() -> None:
    parser = argparse.ArgumentParser(description="What does each subscriber cost, and for how long is the loop held?")
    parser.add_argument("--quick", action="store_true", help=f"only sizes up to {QUICK:,}, one round")
    parser.add_argument("--rounds", type=int, metavar="N", help="how many rounds (default: 2, with --quick 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="renew the tables in docs/performance.md")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        serve({"trio": trio.__version__}, OPERATIONS)
        return
    if arguments.quick and arguments.write_docs:
        parser.error("--write-docs needs all sizes: leave out --quick")
    sizes = tuple(size for size in SIZES if size <= QUICK or not arguments.quick)
    rounds: int = arguments.rounds or (1 if arguments.quick else 2)
    answers: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for peer, operation in plan(sizes):
            print(operation, file=sys.stderr)
            answers.setdefault(operation, []).append(ask(peer, operation))
    data = {operation: best(operation, found) for operation, found in answers.items()}
    of = "One round" if rounds == 1 else f"The least of {rounds} rounds (the second table begins with the greatest)"
    shown = f"{tables(data, sizes)}\n\n{of}; {machine()}."
    print(shown)
    if arguments.json:
        whole: dict[str, Any] = {"machine": machine(), "rounds": rounds, "figures": answers}
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        write_into_docs("audience", shown)


if __name__ == "__main__":
    main()
