"""The size sweep: does the cost stay flat, and for how long is the loop held?

    python tests/benchmarks/sweep.py [--quick] [--json FILE] [--write-docs]

It measures trioreg alone: from 1 name to 1,000,000, from 1 owner of a key to 150,000, from 1 actor to 100,000. At each
size it measures what one more costs. Each size has a process of its own: this file is a peer too (`_peer.py`,
``sweep.py --peer``), and each size is one of its operations.

The keys that are looked up are a thousand keys spread over the table. If the table is larger than the processor's
caches, keys taken at random from all of it would measure those caches.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import trio
from _peer import Operation, Sampler, serve
from _report import amount, machine, median, table, write_into_docs
from peer_trioreg import Server, new_registry, supervising
from run import Peer
from trio.testing import wait_all_tasks_blocked

import trioreg

NAMES = (1, 100, 1_000, 10_000, 100_000, 1_000_000)
OWNERS = (1, 100, 10_000, 150_000)
ACTORS = (1, 100, 10_000, 100_000)
HELD = 100_000
"""How many entries or actors there are when the longest step of the loop is measured."""

PROBES = 1_000
QUICK = 10_000
"""The largest size with ``--quick``."""


def probes(names: int) -> list[str]:
    step = max(1, names // PROBES)
    return [f"agent {number}" for number in range(0, names, step)]


def look_up(registry: trioreg.Registry[str, None], keys: list[str], sampler: Sampler) -> list[float]:
    def run(n: int) -> None:
        look = registry.lookup
        for _ in range(n):
            for key in keys:
                look(key)

    return sampler.sync(run, len(keys))


def register(registry: trioreg.Registry[str, None], keys: list[str], sampler: Sampler) -> list[float]:
    def run(n: int) -> None:
        for _ in range(n):
            for key in keys:
                registry.register(key)
                registry.unregister(key)

    return sampler.sync(run, len(keys))


async def release(registry: trioreg.Registry[str, None], sampler: Sampler) -> list[float]:
    """The end of a task that holds a thousand more names: the cost of each name."""

    async def hold(task_status: trio.TaskStatus[None]) -> None:
        for number in range(PROBES):
            registry.register(f"other {number}")
        task_status.started()
        await trio.sleep_forever()

    async def run(n: int) -> float:
        counted = 0.0
        for _ in range(n):
            async with trio.open_nursery() as nursery:
                await nursery.start(hold)
                began = perf_counter()
                nursery.cancel_scope.cancel()
            counted += perf_counter() - began
        return counted

    return await sampler.wait(run, PROBES)


def sizes(names: int) -> Callable[[Sampler], Awaitable[dict[str, list[float]]]]:
    """What one more name costs beside ``names`` others, and the memory of each of these."""

    async def measure(sampler: Sampler) -> dict[str, list[float]]:
        registry = new_registry()
        keys = [f"agent {number}" for number in range(names)]  # strings that the program has anyway
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for key in keys:
            registry.register(key)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        found = {
            "lookup": look_up(registry, probes(names), sampler),
            "register": register(registry, [f"another {number}" for number in range(PROBES)], sampler),
            "release": await release(registry, sampler),
            "memory": [taken / names],
        }
        assert registry.count() == names
        return found

    return measure


def owners(number: int) -> Callable[[Sampler], Awaitable[dict[str, list[float]]]]:
    """What one more subscriber of a duplicate key costs beside ``number`` others."""

    async def measure(sampler: Sampler) -> dict[str, list[float]]:
        topics: trioreg.Registry[str, None] = trioreg.Registry("topics", keys="duplicate")

        async def subscribe() -> None:
            topics.register("topic")
            await trio.sleep_forever()

        async def leave(n: int) -> float:
            counted = 0.0
            for _ in range(n):
                async with trio.open_nursery() as some:
                    for _ in range(PROBES):
                        some.start_soon(subscribe)
                    await wait_all_tasks_blocked()
                    began = perf_counter()
                    some.cancel_scope.cancel()
                counted += perf_counter() - began
            return counted

        async with trio.open_nursery() as nursery:
            for _ in range(number):
                nursery.start_soon(subscribe)
            await wait_all_tasks_blocked()
            looked_up = look_up(topics, ["topic"], sampler)
            found = {
                "lookup": [sample / number for sample in looked_up],
                "register": register(topics, ["topic"], sampler),
                "release": await sampler.wait(leave, PROBES),
            }
            nursery.cancel_scope.cancel()
        return found

    return measure


def actors(number: int) -> Callable[[Sampler], Awaitable[dict[str, list[float]]]]:
    """What one more named actor costs beside ``number`` others."""

    async def measure(sampler: Sampler) -> dict[str, list[float]]:
        registry = new_registry()
        names = [registry.via(f"another {index}") for index in range(200)]
        refs: list[trioreg.ActorRef[Server]] = []
        took: dict[str, float] = {}

        async with supervising() as supervisor:
            for index in range(number):
                await supervisor.start_child(Server, name=registry.via(f"agent {index}"))

            async def start() -> None:
                for name in names:
                    refs.append(await supervisor.start_child(Server, name=name, restart="temporary"))

            async def call() -> None:
                for name in names:
                    await name.call(Server.echo, "text")

            async def stop() -> None:
                while refs:
                    await refs.pop().stop()

            async def run(n: int) -> float:
                took.clear()
                for _ in range(n):
                    for step in (start, call, stop):
                        began = perf_counter()
                        await step()
                        took[step.__name__] = took.get(step.__name__, 0.0) + perf_counter() - began
                figures.append({step: seconds / (n * len(names)) * 1e9 for step, seconds in took.items()})
                return sum(took.values())

            figures: list[dict[str, float]] = []
            await sampler.wait(run)
            return {step: [figure[step] for figure in figures[-sampler.batches :]] for step in took}
        raise AssertionError("unreachable")

    return measure


class Stretch(trio.abc.Instrument):
    """Measures the longest step of any task: all other tasks wait that long."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def __enter__(self) -> Stretch:
        gc.collect()
        trio.lowlevel.add_instrument(self)
        self._began = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        # The current step does not count: it began before the instrument was there, or ends after it is gone.
        trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = perf_counter()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.longest = max(self.longest, perf_counter() - self._began)

    @property
    def figures(self) -> list[float]:
        return [self.longest * 1e9]


async def held_by_select() -> list[float]:
    registry: trioreg.Registry[int, int] = trioreg.Registry("numbers")
    for number in range(HELD):
        registry.register(number, number)
    with Stretch() as stretch:
        await trio.lowlevel.checkpoint()
        found = await registry.select(value=int)
    assert len(found) == HELD
    return stretch.figures


async def held_by_dispatch() -> list[float]:
    """Trioreg's own part of a dispatch: the function that gets each partition's entries does nothing."""
    topics: trioreg.Registry[str, None] = trioreg.Registry("topics", keys="duplicate", partitions=4)

    async def subscribe() -> None:
        topics.register("topic")
        await trio.sleep_forever()

    async def nothing(entries: list[trioreg.Entry[None]]) -> None:
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(HELD):
            nursery.start_soon(subscribe)
        await wait_all_tasks_blocked()
        with Stretch() as stretch:
            await trio.lowlevel.checkpoint()
            assert await topics.dispatch_parallel("topic", nothing) == HELD
        nursery.cancel_scope.cancel()
    return stretch.figures


async def held_by_end() -> list[float]:
    registry: trioreg.Registry[int, None] = trioreg.Registry("agents")
    stretch = Stretch()
    with trio.CancelScope() as scope:
        async with trioreg.open_dynamic_supervisor() as supervisor:
            for number in range(HELD):
                await supervisor.start_child(Server, name=registry.via(number))
            stretch.__enter__()
            scope.cancel()
            await trio.sleep_forever()
    stretch.__exit__()
    assert registry.count() == 0
    return stretch.figures


def in_trio(measure: Callable[[Sampler], Awaitable[dict[str, list[float]]]]) -> Operation:
    # A peer answers with a list of samples; here the list has one figure for each part, in order.
    return lambda sampler: [cast("float", median(part)) for part in trio.run(measure, sampler).values()]


def holding(measure: Callable[[], Awaitable[list[float]]], *, collects: bool) -> Operation:
    def run(_: Sampler) -> list[float]:
        if not collects:
            gc.disable()
        return trio.run(measure)

    return run


HOLDING = {
    "select": ("`select` over 100,000 entries", held_by_select),
    "dispatch": ("`dispatch_parallel` to 100,000 owners", held_by_dispatch),
    "end": ("the end of 100,000 actors", held_by_end),
}

OPERATIONS: dict[str, Operation] = {
    **{f"names-{size}": in_trio(sizes(size)) for size in NAMES},
    **{f"owners-{size}": in_trio(owners(size)) for size in OWNERS},
    **{f"actors-{size}": in_trio(actors(size)) for size in ACTORS},
    **{f"held-{name}": holding(measure, collects=True) for name, (_, measure) in HOLDING.items()},
    **{f"held-{name}-gc-off": holding(measure, collects=False) for name, (_, measure) in HOLDING.items()},
}


def ask(operation: str, rounds: int, batches: int) -> list[float]:
    """The median of each figure, over some rounds; each round has a fresh process."""
    answers: list[list[float]] = []
    for _ in range(rounds):
        with Peer("trioreg", [sys.executable, __file__, "--peer"]) as peer:
            answers.append(peer.measure(operation, 0.05, batches))
    return [cast("float", median(part)) for part in zip(*answers, strict=True)]


def tables(data: dict[str, list[float]]) -> str:
    """All figures, as tables."""

    def rows(kind: str, all_sizes: tuple[int, ...], units: str) -> list[list[str]]:
        return [
            [f"{size:,}", *(amount(figure, unit) for figure, unit in zip(figures, units.split(), strict=True))]
            for size in all_sizes
            if (figures := data.get(f"{kind}-{size}"))
        ]

    held = [
        [title, *(amount(data[operation][0], "ns") for operation in (f"held-{name}", f"held-{name}-gc-off"))]
        for name, (title, _) in HOLDING.items()
        if f"held-{name}" in data
    ]
    parts = [
        ["names", "look up", "register + unregister", "release, each", "memory of each"],
        rows("names", NAMES, "ns ns ns B"),
        ["owners of one key", "look up, for each owner", "register + unregister", "an owner's end"],
        rows("owners", OWNERS, "ns ns ns"),
        ["actors", "start one more", "call it by name", "stop it"],
        rows("actors", ACTORS, "ns ns ns"),
        ["the loop is held by", "for at most", "garbage collection off"],
        held,
    ]
    shown = [
        table(cast("list[str]", headers), cast("list[list[str]]", body))
        for headers, body in zip(parts[::2], parts[1::2], strict=True)
        if body
    ]
    return "\n\n".join([*shown, f"{machine()}."])


def main() -> None:
    parser = argparse.ArgumentParser(description="Does the cost stay flat, and for how long is the loop held?")
    parser.add_argument("--quick", action="store_true", help=f"only sizes up to {QUICK:,}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="renew the tables in docs/performance.md")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        serve({}, OPERATIONS)
        return
    if arguments.quick and arguments.write_docs:
        parser.error("--write-docs needs the whole sweep: leave out --quick")
    data: dict[str, list[float]] = {}
    for operation in OPERATIONS:
        size = operation.split("-")[1]
        if arguments.quick and (not size.isdigit() or int(size) > QUICK):
            continue
        print(operation, file=sys.stderr)
        data[operation] = ask(operation, 1 if arguments.quick else 3, 1 if arguments.quick else 3)
    shown = tables(data)
    print(shown)
    if arguments.json:
        whole: dict[str, Any] = {"machine": machine(), "figures": data}
        arguments.json.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        write_into_docs("sweep", shown)


if __name__ == "__main__":
    main()
