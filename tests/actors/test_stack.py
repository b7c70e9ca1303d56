"""`ActorRef.stack`, and what `ActorRef.statistics` says of the handler: where an actor is, also when it hangs."""

from __future__ import annotations

import gc
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from traceback import StackSummary
from typing import Any

import pytest
import trio
from support.interrupts import tracing
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorExited, ActorRef, ActorStatistics, Exit


async def pages() -> AsyncIterator[int]:
    yield 1
    await trio.sleep(10)


class Printer(Actor):
    async def print_all(self) -> None:
        async for _ in pages():
            pass

    async def print_side_by_side(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 10)
            nursery.start_soon(trio.sleep, 10)

    def wrap(self) -> Any:
        return self.print_all()

    @trioreg.raises(KeyError)
    async def fail(self) -> None:
        await trio.sleep(1)
        raise KeyError("paper")

    def block(self, ask: Callable[[], None]) -> None:
        ask()

    async def run(self, ask: Callable[[], None]) -> None:
        ask()


def names(stack: StackSummary) -> list[str]:
    return [frame.name for frame in stack]


async def test_a_handler_stands_where_it_waits(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        assert names(printer.stack()) == []
        printer.cast_nowait(Printer.print_all)
        await wait_all_tasks_blocked()
        assert names(printer.stack()) == ["print_all", "pages"]
        assert printer.stack()[-1].line == "await trio.sleep(10)"
        await trio.sleep(20)
        assert names(printer.stack()) == []


async def test_a_handler_with_a_nursery_stands_at_its_end(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        printer.cast_nowait(Printer.print_side_by_side)
        await wait_all_tasks_blocked()
        assert names(printer.stack()) == ["print_side_by_side"]


async def test_a_function_actor_stands_in_its_function(autojump_clock: MockClock) -> None:
    async def work() -> None:
        await trio.sleep(10)

    async with supervised() as supervisor:
        worker = await supervisor.start_child(work)
        assert names(worker.stack()) == ["work"]
        assert worker.statistics().handling is None


async def test_an_actor_that_has_ended_stands_nowhere(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer, restart="temporary")
        await printer.stop()
        with pytest.raises(ActorExited, match=r"<Printer #\d+> has ended: normal"):
            printer.stack()


class Look:
    """Looks at an actor while a handler of it runs: in place of the handler, from a thread, or in a signal handler."""

    def __init__(self, ref: ActorRef[Any], way: str) -> None:
        self.ref = ref
        self.way = way
        self.seen: tuple[StackSummary, ActorStatistics] | None = None

    def look(self, *_: object) -> None:
        self.seen = self.ref.stack(), self.ref.statistics()

    def __call__(self) -> None:
        if self.way == "itself":
            self.look()
        elif self.way == "thread":
            thread = threading.Thread(target=self.look)
            thread.start()
            thread.join()
        else:
            before = signal.signal(signal.SIGINT, self.look)
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.signal(signal.SIGINT, before)


async def call(ref: ActorRef[Printer], look: Look) -> None:
    await ref.call(Printer.block, look)


async def cast(ref: ActorRef[Printer], look: Look) -> None:
    ref.cast_nowait(Printer.block, look)
    await wait_all_tasks_blocked()


async def two_casts(ref: ActorRef[Printer], look: Look) -> None:
    ref.cast_nowait(Printer.block, lambda: None)
    ref.cast_nowait(Printer.block, look)
    await wait_all_tasks_blocked()


@pytest.mark.parametrize("send", [call, cast, two_casts])
@pytest.mark.parametrize("way", ["itself", "thread", "signal"])
async def test_a_sync_handler_that_blocks_the_loop_is_seen_at_work(way: str, send: Any) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        other = await supervisor.start_child(Printer)
        await wait_all_tasks_blocked()
        look, look_at_other = Look(printer, way), Look(other, way)

        def both() -> None:
            look()
            look_at_other()

        await send(printer, both)
        assert look.seen is not None and look_at_other.seen is not None
        stack, statistics = look.seen
        assert names(stack)[:3] == ["block", "both", "__call__"]
        assert (statistics.handling, statistics.handling_since) == ("Printer.block", None)
        assert statistics.calls_in_flight == (send is call)
        assert look_at_other.seen[0] == []
        assert look_at_other.seen[1].handling is None


@pytest.mark.parametrize("way", ["itself", "thread", "signal"])
async def test_an_async_handler_that_blocks_the_loop_is_seen_at_work(way: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        look = Look(printer, way)
        await printer.call(Printer.run, look)
        assert look.seen is not None
        stack, statistics = look.seen
        assert names(stack)[:2] == ["run", "__call__"]
        assert (statistics.handling, statistics.handling_since) == ("Printer.run", 0.0)


@pytest.mark.parametrize(("method", "name"), [(Printer.print_all, "Printer.print_all"), (Printer.wrap, "Printer.wrap")])
async def test_statistics_say_which_handler_hangs_and_since_when(
    method: Any, name: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        await trio.sleep(3)
        printer.cast_nowait(method)
        await trio.sleep(2)
        seen = printer.statistics()
        assert (seen.handling, seen.handling_since) == (name, 3.0)
        await trio.sleep(20)
        assert printer.statistics().handling is None


async def test_a_handler_is_no_longer_at_work_after_an_error_that_it_declares(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        printer = await supervisor.start_child(Printer)
        with pytest.raises(KeyError):
            await printer.call(Printer.fail)
        assert printer.statistics().handling is None


async def test_to_ask_keeps_nothing_of_a_message(autojump_clock: MockClock) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    class Curious(Actor):
        own_turn = True

        def look(self, text: str) -> str | None:
            return self.ref.statistics().handling

    with tracing(None):  # under a debugger, and coverage is one, the frame keeps a copy of its variables
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Curious)
            text = Text("long")
            kept = weakref.ref(text)
            assert await ref.call(Curious.look, text) == f"{Curious.__qualname__}.look"
            del text
            await wait_all_tasks_blocked()
            gc.collect()
            assert kept() is None


class Slow(Actor):
    def __init__(self, hook: str) -> None:
        self.hook = hook

    async def on_start(self) -> None:
        await trio.sleep(5 * (self.hook == "on_start"))

    async def on_started(self) -> None:
        await trio.sleep(5 * (self.hook == "on_started"))

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(5 * (self.hook == "on_stop"))


@pytest.mark.parametrize("hook", ["on_start", "on_started", "on_stop"])
async def test_statistics_say_which_hook_hangs(hook: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start_child, Slow, hook)
        await wait_all_tasks_blocked()
        ref = supervisor.which_children()[0].ref
        assert ref is not None
        assert (ref.statistics().handling == f"Slow.{hook}") is (hook != "on_stop")
        await trio.sleep(10)
        assert ref.statistics().handling is None
        ref.cancel()
        await wait_all_tasks_blocked()
        if hook == "on_stop":
            seen = ref.statistics()
            assert (seen.handling, seen.handling_since) == ("Slow.on_stop", 10.0)
            assert names(ref.stack()) == ["on_stop"]


async def test_a_start_that_fails_leaves_no_hook_at_work(autojump_clock: MockClock) -> None:
    class Failing(Actor):
        def __init__(self) -> None:
            self.start_soon(self.linger)

        async def linger(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(5)

        async def on_start(self) -> None:
            raise OSError("no paper")

    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def start() -> None:
            with pytest.raises(OSError, match="no paper"):
                await supervisor.start_child(Failing)

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        ref = supervisor.which_children()[0].ref
        assert ref is not None
        assert (ref.state, ref.statistics().handling) == ("ending", None)
