"""dump(): who waits for whom."""

from __future__ import annotations

import os
from typing import Any

import pytest
import trio
from support.dumps import SHOP, WORKS, Stock, Web, Works, found, names, part
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    Registry,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
)
from trioreg._program.dump import _described
from trioreg._program.wait_chains import WaitGraph


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
        assert who == f"  2 wait for 'stock'  {stock!r}  1 queued  in Stock.reserve for 42 seconds  under shop"
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


async def test_an_actor_whose_own_tasks_wait_for_each_other_is_no_cycle(autojump_clock: MockClock) -> None:
    async with open_supervisor(WORKS, at_end="stop"):
        a, b = found("a"), found("b")
        a.cast_nowait(Works.hang_with_background_task, "a")
        b.cast_nowait(Works.lock_beside, "key")
        await wait_all_tasks_blocked()
        assert part(trioreg.dump(), "Who waits for whom") == []


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
            assert lines[0] == "3 wait for a free worker under pool"
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


async def test_an_actor_whose_end_is_awaited_while_it_works_holds_up_no_one(autojump_clock: MockClock) -> None:
    class Watches(Actor):
        async def watch(self) -> None:
            await names.via("stock").wait()

    async with open_supervisor([*SHOP, ChildSpec(Watches, name=names.via("watches"))], at_end="stop"):
        found("watches").cast_nowait(Watches.watch)
        await wait_all_tasks_blocked()
        assert part(trioreg.dump(), "Who waits for whom") == []
        found("stock").cancel()


async def test_only_as_many_cycles_are_shown_as_you_ask_for(autojump_clock: MockClock) -> None:
    class Asking(Actor):
        def __init__(self, other: str) -> None:
            self.other = other

        async def ask(self) -> None:
            self.start_soon(self.find)
            await trio.sleep_forever()

        async def find(self) -> None:
            await names.via(self.other, of=Asking).call(Asking.ask)

    pairs = [("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]
    specs = [ChildSpec(Asking, (other,), name=names.via(name)) for name, other in pairs]
    async with open_supervisor(specs, at_end="stop"):
        for name in "ac":
            found(name).cast_nowait(Asking.ask)
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(limit=1), "Who waits for whom")
        assert lines[0] == "2 cycles, of these 1:"
        assert sum(line.startswith("A cycle") for line in lines) == 1


async def test_an_actor_that_waits_for_another_in_two_ways_is_counted_once_with_the_shorter_one(
    autojump_clock: MockClock,
) -> None:
    class Asking(Actor):
        async def ask(self, *others: str) -> None:
            async with trio.open_nursery() as nursery:
                for other in others:
                    last = ["last"] if other == "left" else []
                    nursery.start_soon(names.via(other, of=Asking).call, Asking.ask, *last)
                await trio.sleep_forever()

    specs = [ChildSpec(Asking, name=names.via(name)) for name in ("last", "left", "first")]
    async with open_supervisor(specs, at_end="stop"):
        first, last = found("first"), found("last")
        first.cast_nowait(Asking.ask, "left", "last")
        await wait_all_tasks_blocked()
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0].startswith("2 wait for 'last'")
        assert lines[-1].strip() == f"{first!r} -(call {Asking.ask.__qualname__})-> {last!r}"


async def test_an_actor_in_the_middle_of_a_change_is_counted_and_the_others_are_shown(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_at = WaitGraph._look_at

    def in_a_change(self: WaitGraph, ref: ActorRef[Any]) -> None:
        if ref is cart:
            raise RuntimeError("dictionary changed size during iteration")
        look_at(self, ref)

    async with open_supervisor(SHOP, at_end="stop"):
        stock, cart, web = map(found, ("stock", "cart", "web"))
        web.cast_nowait(Web.checkout)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(WaitGraph, "_look_at", in_a_change)
        lines = part(trioreg.dump(), "Who waits for whom")
        assert lines[0].startswith(f"1 waits for 'cart'  {cart!r}")
        assert lines[-1] == "... 1 actor could not be looked at in the middle of a change"
        stock.cast_nowait(Stock.restock)


async def test_an_actor_whose_stack_can_not_be_read_is_shown_without_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the frame is being changed")

    async with open_supervisor(SHOP, at_end="stop"):
        stock = found("stock")
        found("web").cast_nowait(Web.checkout)
        await wait_all_tasks_blocked()
        monkeypatch.setattr(ActorRef, "stack", fail)
        first, way = part(trioreg.dump(), "Who waits for whom")
        assert first.startswith("2 wait for 'stock'")
        assert way.endswith(repr(stock))
        stock.cast_nowait(Stock.restock)


async def test_an_actor_that_has_ended_waits_for_nothing(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Stock)
        await ref.stop()
        graph = WaitGraph([ref])
        assert (graph.targets, graph.unseen) == ({}, 0)


def test_an_actor_that_no_supervisor_of_the_run_has_is_shown_by_its_number() -> None:
    ref: Any = "<Stock #7>"
    assert _described(None, ref, 0.0) == repr(ref)
