"""dump(): all that a program can be asked, as text; and run(dump_on=...), which prints it at a signal."""

from __future__ import annotations

import contextlib
import io
import math
import os
import signal
import sys
from typing import Any

import pytest
import trio
from support.programs import TERM, gets, run
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    Pool,
    PubSub,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
)
from trioreg._program import dump_signal

names: Registry[str, None] = Registry("names")
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")


class Stock(Actor):
    def __init__(self) -> None:
        self.is_ready = trio.Event()

    async def reserve(self, item: str) -> None:
        await self.is_ready.wait()

    def restock(self) -> None:
        self.is_ready.set()


class Cart(Actor):
    async def pay(self) -> None:
        await names.via("stock", of=Stock).call(Stock.reserve, "tea")


class Web(Actor):
    async def checkout(self) -> None:
        await names.via("cart", of=Cart).call(Cart.pay)


SHOP = [
    ChildSpec(Stock, name=names.via("stock")),
    ChildSpec(Supervisor, ([ChildSpec(Cart, name=names.via("cart"))],), id="carts"),
    ChildSpec(Web, name=names.via("web")),
]


def part(text: str, title: str) -> list[str]:
    """The lines of one part of a dump; none if it has no such part."""
    for each in text.split("\n\n"):
        head, *lines = each.splitlines()
        if head == title:
            return [line.removeprefix("  ") for line in lines]
    return []


def found(name: str) -> ActorRef[Any]:
    ref = names.whereis(name)
    assert isinstance(ref, ActorRef)
    return ref  # pyright: ignore[reportUnknownVariableType]  # isinstance() loses the parameter


# What it shows


async def test_a_hang_begins_with_the_actor_that_all_others_wait_for(autojump_clock: MockClock) -> None:
    async with open_supervisor(SHOP, name="shop", at_end="stop"):
        stock, cart, web = map(found, ("stock", "cart", "web"))
        web.cast_nowait(Web.checkout)
        await trio.sleep(42)
        stock.cast_nowait(Stock.restock)
        head, first, *_ = trioreg.dump().split("\n\n")
        assert head == f"trioreg, process {os.getpid()}: 4 actors under shop"
        title, who, where, way = first.splitlines()
        assert title == "Who waits for whom"
        assert who == f"  2 wait for 'stock'  {stock!r}  1 queued  in Stock.reserve for 42 seconds  in shop"
        assert where.startswith("    at ")
        assert where.endswith("in reserve: await self.is_ready.wait()")
        assert way == f"    {web!r} -(call Cart.pay)-> {cart!r} -(call Stock.reserve)-> {stock!r}"


async def test_a_task_that_waits_is_shown_too(autojump_clock: MockClock) -> None:
    async with open_supervisor(SHOP, at_end="stop"), trio.open_nursery() as nursery:
        stock = names.via("stock", of=Stock)
        nursery.start_soon(stock.call, Stock.reserve, "tea", name="the buyer")
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0].startswith("1 waits for 'stock'")
        assert lines[-1].strip() == f"task the buyer -(call Stock.reserve)-> {found('stock')!r}"
        nursery.cancel_scope.cancel()


async def test_a_hang_of_two_actors_in_a_cycle_is_shown_as_a_cycle(autojump_clock: MockClock) -> None:
    class Asking(Actor):
        def __init__(self, other: str) -> None:
            self.other = other
            self.is_found = trio.Event()

        async def ask(self) -> None:  # it waits for a background task: so trioreg can't refuse the call as a cycle
            self.start_soon(self.find)
            await self.is_found.wait()

        async def find(self) -> None:
            await names.via(self.other, of=Asking).call(Asking.ask)

    specs = [ChildSpec(Asking, (other,), name=names.via(name)) for name, other in (("a", "b"), ("b", "a"))]
    async with open_supervisor(specs, at_end="stop"):
        found("a").cast_nowait(Asking.ask)
        await wait_all_tasks_blocked()
        a, b = found("a"), found("b")
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0] == "A cycle: none of 2 can go on, if each waits for its background tasks"
        assert (
            lines[1].strip()
            == f"{a!r} -(call {Asking.ask.__qualname__})-> {b!r} -(call {Asking.ask.__qualname__})-> {a!r}"
        )
        assert [line.strip() for line in lines if "is_found.wait" in line]
        assert len(lines) == 2 + 2 * 2


async def test_a_name_that_no_one_has_is_shown_with_the_actors_that_wait_for_it(autojump_clock: MockClock) -> None:
    class Waits(Actor):
        async def wait(self) -> None:
            await names.wait_for("nobody")

    async with open_supervisor([ChildSpec(Waits, id="w")], at_end="stop") as supervisor:
        ref = supervisor.which_child("w").ref
        assert ref is not None
        ref.cast_nowait(Waits.wait)
        await wait_all_tasks_blocked()
        assert part(trioreg.dump(), "Who waits for whom") == [
            "1 waits for the name 'nobody', which has no owner",
            f"  {ref!r} -(the name 'nobody')-> nobody",
        ]


class Works(Actor):
    async def hang(self) -> None:
        await trio.sleep_forever()

    async def ask(self, pool: Pool[Any]) -> None:
        await pool.call(Works.hang)

    async def lock(self, key: str) -> None:
        async with names.lock(key):
            await trio.sleep_forever()

    async def lock_and_call(self, key: str, other: str) -> None:
        async with names.lock(key):
            await trio.sleep(1)
            await names.via(other, of=Works).call(Works.hang)

    async def hang_with_background_task(self, other: str) -> None:
        self.start_soon(names.via(other, of=Works).call, Works.hang)
        await trio.sleep_forever()


WORKS = [ChildSpec(Works, name=names.via(name)) for name in "abc"]


async def test_the_holder_of_a_lock_is_shown_with_the_actors_that_wait_for_it(autojump_clock: MockClock) -> None:
    async with open_supervisor(WORKS, at_end="stop"):
        for name in "ab":
            found(name).cast_nowait(Works.lock, "key")
            await wait_all_tasks_blocked()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0].startswith(f"1 waits for 'a'  {found('a')!r}")
        assert lines[-1].strip() == f"{found('b')!r} -(a lock)-> {found('a')!r}"
        (waiting,) = trioreg.who(found("b")).waits_for
        assert (waiting.kind, waiting.ref) == ("lock", found("a"))


async def test_a_lock_of_a_plain_task_is_shown_with_the_task(autojump_clock: MockClock) -> None:
    async def holds() -> None:
        async with names.lock("key"):
            await trio.sleep_forever()

    async with open_supervisor(WORKS, at_end="stop"), trio.open_nursery() as nursery:
        nursery.start_soon(holds, name="holder")
        await wait_all_tasks_blocked()
        found("a").cast_nowait(Works.lock, "key")
        await wait_all_tasks_blocked()
        assert part(trioreg.dump(), "Who waits for whom") == [
            "1 waits for a lock, which task holder has",
            f"  {found('a')!r} -(a lock)-> task holder",
        ]
        nursery.cancel_scope.cancel()


async def test_a_cycle_over_a_lock_is_shown_as_a_cycle(autojump_clock: MockClock) -> None:
    async with open_supervisor(WORKS, at_end="stop"):
        found("a").cast_nowait(Works.lock_and_call, "key", "b")
        await wait_all_tasks_blocked()
        found("b").cast_nowait(Works.lock, "key")
        await trio.sleep(2)
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0] == "A cycle: none of 2 can go on"
        for name in "ab":
            found(name).kill()  # it is a real one


async def test_an_actor_that_hangs_beside_its_background_task_is_shown(autojump_clock: MockClock) -> None:
    async with open_supervisor(WORKS, at_end="stop"), trio.open_nursery() as nursery:
        a, b = found("a"), found("b")
        a.cast_nowait(Works.hang_with_background_task, "b")
        await wait_all_tasks_blocked()
        nursery.start_soon(a.call, Works.hang, name="caller")
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert [line.partition("  in ")[0] for line in lines if not line.startswith(" ")] == [
            f"2 wait for 'b'  {b!r}",
            f"1 waits for 'a'  {a!r}  1 queued",
        ]
        nursery.cancel_scope.cancel()


async def test_a_task_that_waits_for_a_start_is_shown(autojump_clock: MockClock) -> None:
    class Starts(Actor):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    async with open_dynamic_supervisor(at_end="stop") as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: supervisor.start_child(Starts), name="starter")
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[-1].strip().startswith("task starter -(the start)-> <")
        nursery.cancel_scope.cancel()


async def test_a_wait_for_any_worker_is_one_wait_and_no_cycle(autojump_clock: MockClock) -> None:
    class Worker(Works):
        async def call_a(self) -> None:
            await names.via("a", of=Works).call(Works.hang)

    async with (
        open_supervisor(WORKS, at_end="stop"),
        open_pool(Worker, size=2, name="pool") as pool,
        trio.open_nursery() as nursery,
    ):
        a, b = found("a"), found("b")
        nursery.start_soon(pool.call, Worker.hang)
        await wait_all_tasks_blocked()
        async with pool.claim() as worker:
            for ref in (a, b):
                ref.cast_nowait(Works.ask, pool)
            await wait_all_tasks_blocked()
            worker.cast_nowait(Worker.call_a)
            await wait_all_tasks_blocked()
            lines = part(trioreg.dump(), "Who waits for whom")
            assert not [line for line in lines if line.startswith("A cycle")]
            assert lines[0] == "3 wait for a free worker in pool"
            assert lines[1].strip().endswith(f"{a!r} -(a free worker)-> any worker")
            assert len([line for line in lines if "a free worker" in line]) == 2
            nursery.cancel_scope.cancel()
            for ref in (a, b, worker):
                ref.kill()


async def test_a_claim_is_shown_with_the_task_that_has_it(autojump_clock: MockClock) -> None:
    async def claims() -> None:
        async with pool.claim():
            await trio.sleep_forever()

    async with (
        open_supervisor(WORKS, at_end="stop"),
        open_pool(Works, size=1, name="pool") as pool,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(claims, name="claimer")
        await wait_all_tasks_blocked()
        found("a").cast_nowait(Works.ask, pool)
        await wait_all_tasks_blocked()
        (worker,) = pool.workers()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[1:] == ["  claimed by task claimer", f"  {found('a')!r} -(a free worker)-> {worker!r}"]
        lines = part(trioreg.dump(), "Pools")
        assert lines[1] == f"  {worker!r} is claimed by task claimer"
        assert lines[2].endswith("in claims: await trio.sleep_forever()")
        found("a").kill()
        nursery.cancel_scope.cancel()


async def test_a_key_whose_repr_raises_hides_no_wait(autojump_clock: MockClock) -> None:
    class Key:
        def __repr__(self) -> str:
            raise OSError

    class Waits(Actor):
        async def wait(self, registry: Registry[Key, None]) -> None:
            await registry.wait_for(Key())

    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Waits)
        ref.cast_nowait(Waits.wait, Registry[Key, None]("odd"))
        await wait_all_tasks_blocked()
        (shown,) = [wait.what for wait in trioreg.who(ref).waits_for]
        assert shown.startswith("the name <Key ")
        assert part(trioreg.dump(), "Who waits for whom")[0] == f"1 waits for {shown}, which has no owner"


async def test_a_name_is_a_part_of_one_line_and_any_stream_can_take_it(autojump_clock: MockClock) -> None:
    odd = "a\nb\ud800 \x1b[31m ümläut"
    specs = [ChildSpec(Works, id=odd), ChildSpec(Supervisor, ([ChildSpec(Works)],), id=odd * 2)]
    async with open_supervisor(specs, name=odd, at_end="stop") as supervisor, trio.open_nursery() as nursery:
        ref = supervisor.which_child(odd).ref
        assert ref is not None
        nursery.start_soon(ref.call, Works.hang, name=odd)
        await wait_all_tasks_blocked()
        for text in (trioreg.dump(), str(trioreg.tree()), str(trioreg.who(ref))):
            text.encode()
            assert all(line.isprintable() for line in text.split("\n"))
            assert "a\\nb\\ud800 \\x1b[31m ümläut" in text
        assert len(str(trioreg.tree()).splitlines()) == 4
        nursery.cancel_scope.cancel()


async def test_a_long_name_is_cut(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Works, name=names.via("x" * 10_000))], at_end="stop"):
        assert len(trioreg.dump()) < 1000


async def test_the_limit_holds_for_supervisors_that_have_none_above_them(autojump_clock: MockClock) -> None:
    async def connection(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor([ChildSpec(Works, name=names.via(f"w{number}"))], name=f"c{number}"):
            task_status.started()

    async with trio.open_nursery() as nursery:
        for number in range(50):
            await nursery.start(connection, number)
        found("w40").cast_nowait(Works.hang)
        await wait_all_tasks_blocked()
        text = trioreg.dump(limit=2)
        assert part(text, "The tree") == [
            "c40",
            f"└── 'w40'  {found('w40')!r}  in Works.hang for 0.0 seconds",
            "c0",
            f"└── 'w0'  {found('w0')!r}",
            "... 48 more, with 48 running",
        ]
        assert text.startswith(f"trioreg, process {os.getpid()}: 50 actors under c0, c1, c2, c3, c4, ...\n")
        nursery.cancel_scope.cancel()


async def test_an_actor_whose_end_is_awaited_while_it_works_holds_up_no_one(autojump_clock: MockClock) -> None:
    class Watches(Actor):
        async def watch(self) -> None:
            await names.via("stock").wait()

    async with open_supervisor([*SHOP, ChildSpec(Watches, name=names.via("watches"))], at_end="stop"):
        found("watches").cast_nowait(Watches.watch)
        await wait_all_tasks_blocked()
        assert part(trioreg.dump(), "Who waits for whom") == []
        found("stock").cancel()


async def test_a_program_in_which_nothing_is_unusual_shows_registries_and_the_tree_only(
    autojump_clock: MockClock,
) -> None:
    async with open_supervisor(SHOP, name="shop", at_end="stop"):
        await wait_all_tasks_blocked()
        titles = [each.splitlines()[0] for each in trioreg.dump().split("\n\n")][1:]
        assert titles == ["Registries", "The tree"]
        assert part(trioreg.dump(), "The tree") == str(trioreg.tree()).splitlines()


async def test_what_is_unusual_is_listed_the_worst_first(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        async def hang(self) -> None:
            await trio.sleep_forever()

        def note(self) -> None:
            pass

        def crash(self) -> None:
            raise OSError

    async with open_dynamic_supervisor(name="odd", max_restarts=math.inf, at_end="stop") as supervisor:
        for number in range(1, 4):
            await supervisor.start_child(Odd, name=names.via(str(number)), restart="permanent")
        for name, times in (("1", 1), ("2", 3), ("3", 2)):
            for _ in range(times):
                found(name).cast_nowait(Odd.crash)
                await trio.sleep(1)
        for name in "312":
            found(name).cast_nowait(Odd.hang)
            await trio.sleep(1)
            for _ in range(int(name)):
                found(name).cast_nowait(Odd.note)
        text = trioreg.dump(limit=2)

        def order(title: str) -> list[str]:
            return [line.split()[0] for line in part(text, title) if not line.startswith("  at ")]

        assert order("The most restarts") == ["'2'", "'3'", "..."]
        assert order("The longest queues") == ["'3'", "'2'", "..."]
        assert order("The handlers that run the longest") == ["'3'", "'1'", "..."]
        assert part(text, "The longest queues")[-1] == "... 1 more"


async def test_pools_registries_and_topics_are_shown_with_their_numbers(autojump_clock: MockClock) -> None:
    class Worker(Actor):
        async def work(self) -> None:
            await trio.sleep_forever()

    news: PubSub[str, str] = PubSub("news")
    crowd: Registry[int, None] = Registry("crowd")
    for key in range(1200):
        crowd.register(key)
    pool: Pool[Worker] = Pool("workers", Worker, size=1)
    async with open_pool(pool), news.subscribe("a"), news.subscribe("b"), trio.open_nursery() as nursery:
        async with open_supervisor(at_end="stop"):
            for _ in range(3):
                nursery.start_soon(pool.call, Worker.work)
            await trio.sleep(5)
            text = trioreg.dump()
            expected = ["workers: 1 workers, 1 busy, 0 free, 2 waiting, the first for 5.0 seconds"]
            assert part(text, "Pools") == expected
            me = trioreg.current_owner()
            assert part(text, "Registries") == [
                f"crowd: 1,200 names of 1 owners; the most: {me!r} 1,200",
                f"news of topics: 2 names of 1 owners; the most: {me!r} 2",
                "workers of a pool: 1 names of 1 owners",
            ]
            assert part(text, "Topics") == ["news 'a': 1 subscription", "news 'b': 1 subscription"]
        nursery.cancel_scope.cancel()


async def test_a_part_that_can_not_be_shown_says_so_and_the_others_are_shown(autojump_clock: MockClock) -> None:
    class Odd(str):
        def __lt__(self, other: object) -> bool:
            raise OSError

        __gt__ = __lt__

    Registry[str, None](Odd("odd")).register("a")
    names.register("b")
    async with open_supervisor(SHOP, name="shop", at_end="stop"):
        text = trioreg.dump()
        assert part(text, "Registries") == ["could not be shown: OSError()"]
        assert part(text, "The tree")[0] == "shop"


@pytest.mark.parametrize("limit", [-1, 1.5, "2"])
async def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="limit must be"):
        trioreg.dump(limit=limit)


def test_there_is_no_dump_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        trioreg.dump()


# At a signal


class Blocks(Actor):
    def block(self) -> None:
        signal.raise_signal(signal.SIGUSR1)


@posix
def test_a_signal_prints_where_the_code_stands_that_blocks_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        await names.via("blocks", of=Blocks).call(Blocks.block)

    shop = [ChildSpec(Blocks, name=names.via("blocks")), ChildSpec(drive, significant=True)]
    run(*shop, auto_shutdown="any_significant", dump_on=signal.SIGUSR1)
    lines = part(capfd.readouterr().err, "The loop")
    assert lines[0].startswith("runs <Blocks #")
    assert "Blocks.block, in task drive" in lines[0]
    assert [line.rsplit(" in ", 1)[1] for line in lines[1:]] == [
        'drive: await names.via("blocks", of=Blocks).call(Blocks.block)',
        "block: signal.raise_signal(signal.SIGUSR1)",
    ]


@posix
def test_a_signal_while_nothing_runs_says_that_nothing_blocks(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        token = trio.lowlevel.current_trio_token()
        token.run_sync_soon(signal.raise_signal, signal.SIGUSR1)
        await trio.sleep(1)

    tree = ChildSpec(drive, significant=True)
    assert run(tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1) is None
    err = capfd.readouterr().err
    assert "program" in part(err, "The tree")
    assert len(part(err, "The loop")) >= 1


@posix
def test_code_of_no_task_that_blocks_the_loop_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    class Blocking(trio.abc.Instrument):
        is_on = False

        def before_io_wait(self, timeout: float) -> None:
            if self.is_on:
                self.is_on = False
                signal.raise_signal(signal.SIGUSR1)

    blocking = Blocking()

    async def drive() -> None:
        blocking.is_on = True
        await trio.sleep(1)

    tree = ChildSpec(drive, significant=True)
    run(tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1, instruments=[blocking])
    lines = part(capfd.readouterr().err, "The loop")
    assert lines[0].startswith("runs code that belongs to no task. Nothing else runs until that returns.")
    assert lines[1].endswith("in before_io_wait: signal.raise_signal(signal.SIGUSR1)")


@posix
def test_the_program_goes_on_after_the_signal_and_the_handler_is_put_back(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert run(*SHOP, gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert part(capfd.readouterr().err, "The tree")[0] == "program"


@posix
def test_a_signal_before_the_first_step_says_that_the_program_has_not_begun(capfd: pytest.CaptureFixture[str]) -> None:
    class First(trio.abc.Instrument):
        def before_run(self) -> None:
            signal.raise_signal(signal.SIGUSR1)

    run(instruments=[First()], dump_on=signal.SIGUSR1)
    assert capfd.readouterr().err == "trioreg: the program has not begun yet, or is over\n"


class At(trio.abc.Instrument):
    """The signal comes before and after each step of the scheduler, up to the n-th."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.steps:
            self.steps -= 1
            signal.raise_signal(signal.SIGUSR1)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.before_task_step(task)


@posix
def test_a_signal_at_any_step_of_a_program_prints_whole_dumps(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*SHOP, gets(TERM), instruments=[At(200)], dump_on=signal.SIGUSR1) is TERM
    err = capfd.readouterr().err
    assert err.count("The loop") > 20
    assert "could not be shown" not in err


@posix
def test_a_signal_on_any_line_of_the_runtime_raises_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    # As a signal does, this interrupts between two lines: each 37th line that runs in the package.
    count = 0
    is_at_work = False

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal count, is_at_work
        if "/trioreg/" not in frame.f_code.co_filename or is_at_work:
            return None
        count += event == "line"
        if event == "line" and count % 37 == 0 and callable(signal.getsignal(signal.SIGUSR1)):
            is_at_work = True
            signal.raise_signal(signal.SIGUSR1)
            is_at_work = False
        return trace

    async def drive() -> None:
        await names.via("web", of=Web).cast(Web.checkout)
        await trio.sleep(1)
        found("cart").kill()
        await trio.sleep(1)

    tree = [*SHOP, ChildSpec(drive, significant=True)]
    sys.settrace(trace)
    try:
        run(*tree, auto_shutdown="any_significant", dump_on=signal.SIGUSR1)
    finally:
        sys.settrace(None)
    err = capfd.readouterr().err
    assert err.count("The loop") > 10
    assert "could not be shown" not in err


@posix
def test_without_a_real_stderr_the_text_goes_to_what_stands_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stands_for_it = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stands_for_it)
    run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1)
    assert "The tree" in stands_for_it.getvalue()


@posix
def test_a_signal_while_a_dump_is_being_made_adds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Storm(io.StringIO):
        dumps = 0

        def write(self, text: str) -> int:
            Storm.dumps += 1
            signal.raise_signal(signal.SIGUSR1)
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", storm := Storm())
    assert run(gets(signal.SIGUSR1), gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM
    assert storm.dumps == storm.getvalue().count("The tree") == 2


@posix
def test_a_pipe_that_no_one_reads_does_not_hold_up_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(write, b"x" * size)
    os.set_blocking(write, True)
    with open(read, "rb"), open(write, "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        monkeypatch.setattr(dump_signal, "PATIENCE", 0.0)
        assert run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM


@posix
def test_a_pipe_with_some_room_is_written_as_far_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(dump_signal, "PATIENCE", 0.0)
    many = [ChildSpec(Stock, id=f"{number} {'x' * 150}") for number in range(10)]
    with open(read, "rb") as end, open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stderr", pipe)
        signals = [gets(signal.SIGUSR1) for _ in range(60)]
        assert run(*many, *signals, gets(TERM), dump_on=signal.SIGUSR1) is TERM
        assert end.read(4096).startswith(b"trioreg, process")


@posix
@pytest.mark.parametrize("error", [NotImplementedError, TypeError, ValueError])
def test_a_stderr_without_a_number_is_written_to(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(io.StringIO):
        def fileno(self) -> int:
            raise error

    monkeypatch.setattr(sys, "stderr", odd := Odd())
    run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1)
    assert "The tree" in odd.getvalue()


@posix
def test_a_stderr_that_is_closed_disturbs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (None, io.TextIOWrapper(io.BytesIO())):
        if broken is not None:
            broken.close()
        monkeypatch.setattr(sys, "stderr", broken)
        assert run(gets(signal.SIGUSR1), gets(TERM), dump_on=signal.SIGUSR1) is TERM


@pytest.mark.parametrize(
    ("dump_on", "error"),
    [
        ("SIGUSR1", TypeError),
        (True, TypeError),
        (1.0, TypeError),
        (0, ValueError),
        (12345, ValueError),
        (signal.SIGTERM, ValueError),
        (signal.SIGINT, ValueError),
        *([] if sys.platform == "win32" else [(signal.SIGKILL, ValueError), (signal.SIGSTOP, ValueError)]),
    ],
)
def test_what_no_program_can_be_asked_by_is_refused_before_anything_starts(
    dump_on: Any, error: type[Exception]
) -> None:
    log: list[str] = []

    async def starts() -> None:
        log.append("started")

    with pytest.raises(error, match="dump_on must be"):
        run(ChildSpec(starts), dump_on=dump_on)
    assert log == []


def test_any_signal_that_can_be_handled_will_do(capfd: pytest.CaptureFixture[str]) -> None:
    async def drive() -> None:
        signal.raise_signal(signal.SIGABRT)

    run(ChildSpec(drive, significant=True), auto_shutdown="any_significant", dump_on=signal.SIGABRT)
    assert part(capfd.readouterr().err, "The tree")[0] == "program"
