"""The observer: how soon a page is there, how long the loop is held for it, and what it costs the program.

    python tests/benchmarks/observer.py [--actors N] [--only pages|idle|open] [--json FILE] [--write-docs]

Three parts, each in a process of its own:

- pages: a program of 100,000 named actors. Each page is asked for over loopback, by a client in the same run, until its
  last byte is there. Meanwhile it is measured for how long the loop is held: that long the scheduler runs tasks without
  a look at I/O and timers. In processor time: what other programs use does not count. How much of it the garbage
  collector took is said beside.
- idle: a cast, a call, and a start with a stop, with the observer mounted and no page open, beside the same without it,
  in turns (`_pairs.py`).
- open: the same, while a page lives in a browser, as its stream does. Each piece is long, so that looks are in it.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, thread_time
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

import trio
from _pairs import Measure, ratios
from _peer import Operation, Sampler, answer_and_exit, serve
from _report import NOTHING, TIMES, amount, machine, table, write_into_docs
from peer_trioreg import Server, new_registry, supervising
from run import Peer
from trio.testing import wait_all_tasks_blocked

import trioreg
import trioreg.observer

ACTORS = 100_000
SUPERVISORS = 10
PAGES = (
    "",  # the overview
    "tree",
    "tree?q=77",
    "actors",
    "actors?q=77",
    "actors?sort=label",
    "actor?number=50000",
    "registries",
    "table?id=KEYS",
    "table?id=KEYS&q=77",
    "table?id=OWNERS",
    "topics",
    "log",
)
LIVE_SECONDS = 5.0
"""How long a page lives while the loop is watched."""

OPEN = ("overview", "tree", "actors")
PIECE, PAIRS = 0.005, 60
OPEN_PIECE, OPEN_PAIRS = 1.0, 7


Around = Callable[[], AbstractAsyncContextManager[object]]
"""The block in which something is measured."""


class Held(trio.abc.Instrument):
    """The longest passes of the scheduler over the tasks that can run, in seconds of processor time.

    Attributes:
        longest: The longest pass.
        collecting: How much of that the garbage collector took.
        without: The longest one, if the time of the collector is taken off each.
        step: The name of the longest step of a task, and its time, without the collector.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.longest = self.collecting = self.without = self._collected = self._step_collected = 0.0
        self.step = ("", 0.0)
        self._began = self._step_began = thread_time()

    def figures(self, page: str) -> list[float]:
        name, longest = self.step
        print(f"/{page}: the longest step has {longest * 1e3:.1f} ms, of {name}", file=sys.stderr)
        return [self.longest, self.collecting, self.without]

    def _collector(self, phase: str, _: object) -> None:
        if phase == "start":
            self._collector_began = thread_time()
        else:
            took = thread_time() - self._collector_began
            self._collected += took
            self._step_collected += took

    def __enter__(self) -> Held:
        gc.callbacks.append(self._collector)
        trio.lowlevel.add_instrument(self)
        return self

    def __exit__(self, *_: object) -> None:
        trio.lowlevel.remove_instrument(self)
        gc.callbacks.remove(self._collector)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._step_collected = 0.0
        self._step_began = thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = thread_time() - self._step_began - self._step_collected
        if took > self.step[1]:
            self.step = (task.name, took)

    def after_io_wait(self, timeout: float) -> None:
        self._collected = 0.0
        self._began = thread_time()

    def before_io_wait(self, timeout: float) -> None:
        took = thread_time() - self._began
        if took > self.longest:
            self.longest, self.collecting = took, self._collected
        self.without = max(self.without, took - self._collected)


class Browser:
    """A client in the same run, which keeps its own share of the loop's time small."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._token = parse_qs(parts.query)["token"][0]

    async def ask(self, path: str) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(self._host, self._port)
        head = f"GET /{path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nConnection: close\r\n"
        await stream.send_all(f"{head}Authorization: Bearer {self._token}\r\n\r\n".encode())
        return stream

    async def get(self, path: str) -> bytes:
        """The whole answer. Raises if its status is not 200."""
        answer = bytearray()
        async with await self.ask(path) as stream:
            while part := await stream.receive_some(65536):
                answer += part
        status = answer.partition(b"\r\n")[0]
        if b" 200 " not in status + b" ":
            raise RuntimeError(f"/{path}: {status.decode()}")
        return bytes(answer)


@asynccontextmanager
async def observing() -> AsyncGenerator[Browser]:
    """The observer serves in the block, and has been asked once."""
    async with trio.open_nursery() as nursery:
        browser = Browser(await nursery.start(trioreg.observer.serve, "127.0.0.1:0"))
        await browser.get("log")
        await wait_all_tasks_blocked(0.005)  # until the server has closed that connection
        yield browser
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def page_open(page: str) -> AsyncGenerator[None]:
    """A page lives in the block: its stream is read. At its begin the first look is there."""

    async def read(*, task_status: trio.TaskStatus[None]) -> None:
        async with await browser.ask(f"live/{page}") as stream:
            answer = await stream.receive_some(65536)
            while b"event: look" not in answer:
                answer += (part := await stream.receive_some(65536))
                if not part:
                    raise RuntimeError(f"/live/{page}: {answer.decode()}")
            task_status.started()
            while await stream.receive_some(65536):
                pass

    async with observing() as browser, trio.open_nursery() as nursery:
        await nursery.start(read)
        yield
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def after(around: Around) -> AsyncGenerator[None]:
    """Nothing is there in the block, but it was a moment ago: the caches of the processor are as in ``around``."""
    async with around():
        pass
    yield


# pages


async def start_program(actors: int, nursery: trio.Nursery) -> None:
    """Some supervisors of very many actors. They are started by ten tasks, and end with the process."""
    registry = new_registry()

    async def supervise(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with trioreg.open_dynamic_supervisor(name=f"shop {number}") as supervisor:
            for index in range(actors // SUPERVISORS):
                await supervisor.start_child(Server, name=registry.via(f"agent {number}-{index}"))
            task_status.started()
            await trio.sleep_forever()

    for number in range(SUPERVISORS):
        await nursery.start(supervise, number)


FIGURES = 6


async def pages(actors: int) -> NoReturn:
    """For each page: seconds until it is there, how many of them this process had, seconds the next time; and three of
    `Held`. NaN: no such page."""
    figures: list[float] = []
    gc.disable()
    async with trio.open_nursery() as nursery:
        await start_program(actors, nursery)
        gc.enable()
        gc.collect()
        async with observing() as browser:
            answer = await browser.get("api/registries")
            shown = json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])
            ids = {row["table"]: row["id"] for row in shown["tables"] if row["registry"] == "agents"}
            for page in PAGES:
                path = page.replace("KEYS", ids["KeyPartition0"]).replace("OWNERS", ids["PIDPartition0"])
                try:
                    figures += await first_paint(browser, path)
                except RuntimeError as error:
                    print(error, file=sys.stderr)
                    figures += [math.nan] * FIGURES
        for page in OPEN:
            with Held() as held:
                await trio.lowlevel.checkpoint()
                held.clear()
                async with page_open(page):
                    await trio.sleep(LIVE_SECONDS)
                figures += [math.nan] * 3 + held.figures(f"live/{page}")
        answer_and_exit(figures)  # to end 100,000 actors takes longer than all of this
    raise AssertionError("unreachable")


async def first_paint(browser: Browser, page: str) -> list[float]:
    took: list[float] = []
    worked = thread_time()
    with Held() as held:
        await trio.lowlevel.checkpoint()
        held.clear()
        for _ in range(3):
            began = perf_counter()
            await browser.get(page)
            took.append(perf_counter() - began)
            if len(took) == 1:
                worked = thread_time() - worked
            await trio.lowlevel.checkpoint()
    return [took[0], worked, min(took), *held.figures(page)]


# idle and open


async def cast(sampler: Sampler, around: Around) -> list[float]:
    name = new_registry().via("James Bond")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Server, name=name)

        async def run(n: int) -> float:
            async with around():
                began = sampler.clock()
                for _ in range(n):
                    for number in range(100):
                        name.cast_nowait(Server.note, number)
                    await ref.call(Server.count)
                return sampler.clock() - began

        return await sampler.wait(run, 100)
    raise AssertionError("unreachable")


async def call(sampler: Sampler, around: Around) -> list[float]:
    name = new_registry().via("James Bond")
    async with supervising() as supervisor:
        await supervisor.start_child(Server, name=name)

        async def run(n: int) -> float:
            async with around():
                began = sampler.clock()
                for _ in range(n):
                    await name.call(Server.echo, "text")
                return sampler.clock() - began

        return await sampler.wait(run)
    raise AssertionError("unreachable")


async def start_stop(sampler: Sampler, around: Around) -> list[float]:
    name = new_registry().via("James Bond")
    async with supervising() as supervisor:

        async def run(n: int) -> float:
            async with around():
                began = sampler.clock()
                for _ in range(n):
                    ref = await supervisor.start_child(Server, name=name, restart="temporary")
                    await ref.stop()
                return sampler.clock() - began

        return await sampler.wait(run)
    raise AssertionError("unreachable")


Work = Callable[[Sampler, Around], Awaitable[list[float]]]
WORK: dict[str, tuple[str, Work]] = {
    "cast": ("cast, sent and handled", cast),
    "call": ("call by name, idle actor", call),
    "start_stop": ("start a named actor and stop it", start_stop),
}


def beside(work: str, around: Around, seconds: float, pairs: int) -> Operation:
    """The ratio of each pair: the work in a block of ``around``, and after it."""

    def measure(_: Sampler) -> list[float]:
        def work_in(block: Around) -> Measure:
            return lambda sampler: WORK[work][1](sampler, block)

        return trio.run(ratios, work_in(around), work_in(partial(after, around)), seconds, pairs)

    return measure


OPERATIONS: dict[str, Operation] = {
    **{f"idle-{work}": beside(work, observing, PIECE, PAIRS) for work in WORK},
    **{
        f"{page}-{work}": beside(work, partial(page_open, page), OPEN_PIECE, OPEN_PAIRS)
        for page in OPEN
        for work in WORK
    },
}


def ask(operation: str, actors: int = 0) -> list[float]:
    """One operation, in a process of its own."""
    with Peer("trioreg", [sys.executable, __file__, "--peer", "--actors", str(actors)]) as peer:
        return peer.measure(operation, 0.0, 1)


def seconds(value: float) -> str:
    return NOTHING if math.isnan(value) else amount(value * 1e9, "ns")


def tables(data: Mapping[str, list[float]], actors: int) -> str:
    """All figures, as tables."""
    parts: list[str] = []
    if figures := data.get("pages"):
        paints = [
            [f"/{page}", *map(seconds, figures[index * FIGURES : (index + 1) * FIGURES])]
            for index, page in enumerate([*PAGES, *(f"live/{page}" for page in OPEN)])
        ]
        headers = [
            f"{actors:,} actors",
            "first paint",
            "of a core",
            "later",
            "held for",
            "by the collector",
            "without it",
        ]
        parts.append(table(headers, paints))
    rows: list[list[str]] = []
    for operation, found in data.items():
        if operation != "pages":
            page, _, work = operation.partition("-")
            low, middle, high = statistics.quantiles(found, n=4)
            title = "no page open" if page == "idle" else f"/{page} open"
            rows.append([WORK[work][0], title, f"{middle:.3f} {TIMES}", f"{low:.3f} to {high:.3f}"])
    if rows:
        parts.append(table(["the observer is mounted", "", "of the cost without", "quartiles"], rows))
    bars = "Bars: first paint 2 s, the loop held for 10 ms, no page open 1.00 within what the pairs differ."
    return "\n\n".join([*parts, f"{bars}\n{machine()}."])


def main() -> None:
    parser = argparse.ArgumentParser(description="What does the observer cost?")
    parser.add_argument("--actors", type=int, default=ACTORS, metavar="N", help="how many actors the program has")
    parser.add_argument("--only", choices=("pages", "idle", "open"), help="one of the three parts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write-docs", action="store_true", help="renew the tables in docs/performance.md")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    actors: int = arguments.actors

    def all_pages(_: Sampler) -> list[float]:
        return trio.run(pages, actors)

    if arguments.write_docs and (arguments.only or actors != ACTORS):
        parser.error("--write-docs needs the whole run: leave out --only and --actors")
    operations: dict[str, Operation] = {"pages": all_pages, **OPERATIONS}
    if arguments.peer:
        serve({}, operations)
        return
    data: dict[str, list[float]] = {}
    for operation in operations:
        part = operation.partition("-")[0]
        if arguments.only in (None, "open" if part in OPEN else part):
            print(operation, file=sys.stderr)
            data[operation] = ask(operation, actors)
    shown = tables(data, actors)
    print(shown)
    if arguments.write_docs:
        write_into_docs("observer", shown)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"machine": machine(), "figures": data}, indent=2) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
