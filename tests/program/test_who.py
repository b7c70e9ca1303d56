"""`who`: all that one actor can be asked."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
import trio
from support.side_by_side import reading
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Exit, PubSub, Registry, Reply, Waiting, open_pool, who
from trioreg._actors import post, waiting
from trioreg._actors.waiting import LOOKED_AT

carts: Registry[str, None] = Registry("carts")


class Bank(Actor):
    def __init__(self) -> None:
        self.replies: list[Reply[None]] = []

    async def debit(self) -> None:
        await trio.sleep_forever()

    def debit_later(self) -> Reply[None]:
        self.replies.append(Reply())
        return self.replies[-1]


class Cart(Actor):
    async def pay(self, bank: ActorRef[Bank]) -> None:
        await bank.call(Bank.debit)

    async def pay_later(self, bank: ActorRef[Bank]) -> None:
        await bank.call(Bank.debit_later)


async def test_a_hanging_actor_shows_its_handler_since_when_and_whom_it_waits_for(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        bank = await supervisor.start_child(Bank, id="bank")
        cart = await supervisor.start_child(Cart, name=carts.via("a-17"))
        await trio.sleep(5)
        cart.cast_nowait(Cart.pay, bank)
        await trio.sleep(2)
        report = who(carts.via("a-17"))
        assert report.ref is cart
        assert (report.handling, report.handling_since, report.at) == ("Cart.pay", 5.0, 7.0)
        assert report.waits_for == (Waiting("call", "call Bank.debit", bank),)
        assert report.names == (("carts", "a-17"),)
        assert [frame.name for frame in report.stack] == ["pay"]
        (waiting,) = who(bank).waited_for_by
        assert (waiting.ref, waiting.what) == (cart, "call Bank.debit")
        bank.kill()
        await wait_all_tasks_blocked()


async def test_an_actor_that_waits_for_a_reply_shows_that() -> None:
    async with supervising() as supervisor:
        bank = await supervisor.start_child(Bank)
        cart = await supervisor.start_child(Cart)
        cart.cast_nowait(Cart.pay_later, bank)
        await wait_all_tasks_blocked()
        assert who(cart).waits_for == (Waiting("reply", "the Reply of Bank.debit_later", bank),)
        (waiting,) = who(bank).waited_for_by
        assert (waiting.kind, waiting.ref) == ("reply", cart)


async def test_an_actor_that_has_ended_is_known_by_its_reference() -> None:
    async with supervising() as supervisor:
        cart = await supervisor.start_child(Cart, name=carts.via("a-17"), restart="temporary")
        await cart.stop()
        report = who(cart)
        assert (report.state, report.names, report.supervisor) == ("ended", (), None)
        assert report.exit == cart.exit
        assert str(report).splitlines() == [f"{repr(cart)[1:-1]}  ended", "  exit           normal"]


async def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(TypeError, match=r"address must be an ActorRef, or a name from Registry\.via\(\), not 'a-17'"):
        trioreg.who("a-17")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(trioreg.NotRegistered):
        who(carts.via("a-17"))


class Slow(Actor):
    mailbox_size = 1

    def __init__(self, start: float = 0, stop: float = 0) -> None:
        self.start = start
        self.stop_after = stop

    async def on_start(self) -> None:
        await trio.sleep(self.start)

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(self.stop_after)

    async def work(self) -> None:
        await trio.sleep(10)

    async def do(self, function: Callable[[], Awaitable[object]]) -> None:
        await function()

    async def do_later(self, function: Callable[[], Awaitable[object]]) -> None:
        self.start_soon(function)


async def waits(function: Callable[[], Awaitable[object]]) -> tuple[Waiting, ...]:
    """What an actor waits for that runs this function."""
    async with supervised() as supervisor:
        other = await supervisor.start_child(Slow)
        other.cast_nowait(Slow.do, function)
        await wait_all_tasks_blocked()
        return who(other).waits_for


async def test_an_actor_shows_that_it_waits_for_room(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        slow.cast_nowait(Slow.work)
        await wait_all_tasks_blocked()
        slow.cast_nowait(Slow.work)
        assert await waits(lambda: slow.cast(Slow.work)) == (Waiting("room", "room in the mailbox", slow),)


async def test_an_actor_shows_that_it_waits_for_an_end(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        assert await waits(slow.wait) == (Waiting("end", "the end", slow),)


async def test_an_actor_shows_that_it_waits_for_a_start(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        (waiting,) = await waits(lambda: supervisor.start_child(Slow, 5))
        assert waiting == Waiting("start", "the start", waiting.ref)
        assert waiting.ref is not None and repr(waiting.ref).startswith("<Slow #")


async def test_an_actor_shows_that_it_waits_for_a_name(autojump_clock: MockClock) -> None:
    assert await waits(lambda: carts.wait_for("b")) == (Waiting("name", "the name 'b'"),)


async def test_an_actor_shows_that_it_waits_for_a_free_worker(autojump_clock: MockClock) -> None:
    async with open_pool(Slow, size=1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.call, Slow.work)
        await wait_all_tasks_blocked()
        assert await waits(lambda: pool.call(Slow.work)) == (Waiting("worker", "a free worker", pool.workers()[0]),)


async def test_a_background_task_shows_the_call_that_it_waits_for(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bank = await supervisor.start_child(Bank)
        slow = await supervisor.start_child(Slow)

        async def debit() -> None:
            await bank.call(Bank.debit)

        slow.cast_nowait(Slow.do_later, debit)
        await wait_all_tasks_blocked()
        report = who(slow)
        assert (report.handling, report.waits_for) == (None, ())
        (task,) = report.tasks
        assert task.waits_for == (Waiting("call", "call Bank.debit", bank),)
        assert task.name == f"{report.label}, {debit.__qualname__}"
        assert [frame.name for frame in task.stack] == ["debit"]


async def test_tasks_in_nurseries_of_a_handler_are_shown_and_those_of_other_actors_are_not(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)

        async def several() -> None:
            async with trio.open_nursery() as nursery, trioreg.open_supervisor([trioreg.ChildSpec(Bank)]):
                nursery.start_soon(trio.sleep, 10, name="sleeper")

        slow.cast_nowait(Slow.do, several)
        await wait_all_tasks_blocked()
        assert "sleeper" in [task.name for task in who(slow).tasks]
        assert not [task.name for task in who(slow).tasks if task.name.startswith("Bank")]


async def test_the_callers_of_a_busy_actor_are_shown_with_actors_and_tasks(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        bank = await supervisor.start_child(Bank)
        cart = await supervisor.start_child(Cart)
        nursery.start_soon(bank.call, Bank.debit, name="teller")
        await wait_all_tasks_blocked()
        cart.cast_nowait(Cart.pay, bank)
        nursery.start_soon(bank.wait, name="watcher")
        await wait_all_tasks_blocked()
        assert who(bank).waited_for_by == (
            Waiting("call", "call Bank.debit", None, "teller"),
            Waiting("call", "call Bank.debit", cart, who(cart).label),
            Waiting("end", "the end", None, "watcher"),
        )
        assert [str(each) for each in who(bank).waited_for_by] == [
            "task teller: call Bank.debit",
            f"{cart!r}: call Bank.debit",
            "task watcher: the end",
        ]
        nursery.cancel_scope.cancel()


async def test_senders_that_wait_for_room_are_shown(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        slow = await supervisor.start_child(Slow)
        slow.cast_nowait(Slow.work)
        await wait_all_tasks_blocked()
        slow.cast_nowait(Slow.work)
        nursery.start_soon(slow.cast, Slow.work, name="caster")
        await wait_all_tasks_blocked()
        nursery.start_soon(slow.call, Slow.work, name="caller")
        await wait_all_tasks_blocked()
        assert {(each.kind, each.task) for each in who(slow).waited_for_by} == {("room", "caster"), ("call", "caller")}
        nursery.cancel_scope.cancel()


async def test_a_call_that_was_given_up_waits_for_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bank = await supervisor.start_child(Bank)
        bank.cast_nowait(Bank.debit)
        with trio.move_on_after(1):
            await bank.call(Bank.debit)
        assert who(bank).waited_for_by == ()


class Clerk(Actor):
    def ask(self, bank: ActorRef[Bank]) -> tuple[Waiting, ...]:
        post(bank, lambda _value, _error: None, Bank.debit)
        return who(bank).waited_for_by

    def leave(self, nursery: trio.Nursery, bank: ActorRef[Bank]) -> None:
        nursery.start_soon(bank.call, Bank.debit, name="elsewhere")


async def test_a_call_without_a_waiting_task_is_shown_before_the_actor_has_its_turn(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        bank = await supervisor.start_child(Bank)
        clerk = await supervisor.start_child(Clerk)
        await wait_all_tasks_blocked()
        assert await clerk.call(Clerk.ask, bank) == (Waiting("call", "call Bank.debit", clerk),)


async def test_a_task_that_an_actor_has_started_elsewhere_is_a_task(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        bank = await supervisor.start_child(Bank)
        clerk = await supervisor.start_child(Clerk)
        await clerk.call(Clerk.leave, nursery, bank)
        await wait_all_tasks_blocked()
        assert who(bank).waited_for_by == (Waiting("call", "call Bank.debit", None, "elsewhere"),)
        nursery.cancel_scope.cancel()


class Opening(Actor):
    def __init__(self, bank: ActorRef[Bank]) -> None:
        self.bank = bank

    async def on_start(self) -> None:
        self.start_soon(self.bank.call, Bank.debit)
        await trio.sleep_forever()


async def test_a_starting_actor_shows_what_its_background_tasks_wait_for(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        bank = await supervisor.start_child(Bank)
        nursery.start_soon(supervisor.start_child, Opening, bank)
        await wait_all_tasks_blocked()
        ref = supervisor.which_children()[1].ref
        assert ref is not None
        assert who(ref).waits_for == (Waiting("call", "call Bank.debit", bank),)
        nursery.cancel_scope.cancel()


async def test_a_starting_actor_shows_what_it_is_at(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: supervisor.start_child(Slow, 5), name="starter")
        await wait_all_tasks_blocked()
        (child,) = supervisor.which_children()
        assert child.ref is not None
        report = who(child.ref)
        assert (report.state, report.handling, report.handling_since) == ("starting", "Slow.on_start", 0.0)
        assert (report.supervisor, report.child_id, report.started_at) == ("supervisor", "Slow", None)
        assert report.waited_for_by == (Waiting("start", "the start", None, "starter"),)


async def test_an_ending_actor_shows_its_exit(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow, 0, 3)
        slow.cancel()
        await wait_all_tasks_blocked()
        report = who(slow)
        assert (report.state, report.handling) == ("ending", "Slow.on_stop")
        assert report.exit is not None and report.exit.reason == "shutdown"


async def test_a_supervisor_shows_the_starts_that_it_is_at(autojump_clock: MockClock) -> None:
    games = trioreg.ChildSpec(trioreg.DynamicSupervisor, id="games")
    async with supervising([games], name="program") as supervisor, trio.open_nursery() as nursery:
        ref = supervisor.which_child("games").ref
        assert ref is not None
        # A type checker can't see through all these overloads.
        start: Any = trioreg.DynamicSupervisor.start_child
        nursery.start_soon(partial(ref.call, start, Slow, 5), name="asker")
        await wait_all_tasks_blocked()
        report = who(ref)
        assert (report.is_supervisor, report.supervisor, report.child_id) == (True, "program", "games")
        assert report.waited_for_by == (Waiting("call", "call DynamicSupervisor.start_child", None, "asker"),)
        (task,) = report.tasks
        assert task.name == f"{report.label}, DynamicSupervisor.start_child"
        assert [(each.kind, each.what) for each in task.waits_for] == [("start", "the start")]
        child = task.waits_for[0].ref
        assert child is not None
        assert who(child).supervisor == "program/games"


async def test_all_names_are_shown_each_with_its_registry(autojump_clock: MockClock) -> None:
    rooms: Registry[str, int] = Registry("rooms", keys="duplicate")
    ticks: PubSub[str, str] = PubSub("ticks")
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow, name=carts.via("a-17"))
        rooms.register("lobby", 1, owner=slow)
        rooms.register("lobby", 2, owner=slow)
        ticks.join("nyse", owner=slow)
        assert who(slow).names == (("carts", "a-17"), ("rooms", "lobby"), ("ticks", "nyse"))


async def test_only_the_first_messages_of_a_long_queue_are_looked_at(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        bank = await supervisor.start_child(Bank)
        for _ in range(3 * LOOKED_AT):
            nursery.start_soon(bank.call, Bank.debit)
        await wait_all_tasks_blocked()
        report = who(bank)
        assert (report.queued, len(report.waited_for_by)) == (3 * LOOKED_AT - 1, LOOKED_AT + 1)
        assert "and 91 more" in str(report)
        nursery.cancel_scope.cancel()


async def test_the_text_shows_a_hang_in_a_few_lines(autojump_clock: MockClock) -> None:
    games = trioreg.ChildSpec(trioreg.Supervisor, ([trioreg.ChildSpec(Cart, name=carts.via("a-17"))],), id="games")
    async with supervising([games], name="program") as supervisor:
        bank = await supervisor.start_child(Bank)
        carts.via("a-17").kill()
        await wait_all_tasks_blocked()
        cart = carts.whereis("a-17", of=Cart)
        assert cart is not None
        cart.cast_nowait(Cart.pay, bank)
        await trio.sleep(12.5)
        cart.cast_nowait(Cart.pay, bank)
        lines = str(who(cart)).splitlines()
        assert lines[:8] == [
            f"Cart #{cart._number} 'a-17'  running",
            "  under          program/games, child 'a-17', restarted 1 time",
            "  names          carts 'a-17'",
            "  messages       1 waiting (peak 1), 0 handled",
            "  handling       Cart.pay, for 12.5 seconds",
            f"  waits for      {bank!r}: call Bank.debit",
            "  stands at",
            f'    File "{__file__}", line {Cart.pay.__code__.co_firstlineno + 1}, in pay',
        ]
        assert lines[8:] == ["      await bank.call(Bank.debit)"]
        cart.kill()
        await wait_all_tasks_blocked()


class Blocking(Actor):
    reports: ClassVar[list[trioreg.ActorReport]] = []

    def block(self) -> None:
        thread = threading.Thread(target=lambda: self.reports.append(who(self.ref)))
        thread.start()
        thread.join()


async def test_an_actor_can_be_asked_from_another_thread_while_the_loop_is_blocked(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Blocking)
        await wait_all_tasks_blocked()
        await ref.call(Blocking.block)
        (report,) = Blocking.reports
        assert (report.handling, report.stack[0].name) == ("Blocking.block", "block")


# From other threads, in the middle of anything


class Changing(Actor):
    mailbox_size = 5

    async def change(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.walk)

    async def walk(self) -> None:
        async for _ in self.steps():
            await trio.lowlevel.checkpoint()

    async def steps(self) -> AsyncIterator[int]:
        yield 1

    def note(self) -> None:
        pass


async def test_another_thread_may_ask_in_the_middle_of_each_change() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Changing)

        def ask() -> None:
            for _ in range(10):
                who(ref)
                ref.stack()
                ref.statistics()

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            async with reading(ask, reads=100, writes=300) as rounds:
                for _ in rounds:
                    ref.cast_nowait(Changing.note)
                    ref.cast_nowait(Changing.note)
                    await ref.call(Changing.change)
        finally:
            sys.setswitchinterval(before)


async def test_an_actor_that_loses_its_child_in_another_thread_has_ended() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Bank)
        cell = ref._cell
        assert cell is not None
        child = cell.life.child
        del cell.life.child  # as another thread sees it, in the last step of the actor
        try:
            with pytest.raises(trioreg.ActorExited):
                ref.statistics()
            assert who(ref).supervisor is None
        finally:
            cell.life.child = child


async def test_a_queue_that_changes_while_it_is_read_is_read_again() -> None:
    class Changed(list[object]):
        times = 2

        def __iter__(self) -> Iterator[object]:
            if self.times:
                self.times -= 1
                raise RuntimeError("deque mutated during iteration")
            return super().__iter__()

    assert waiting._first(Changed([1, 2, 3]), 2) == [1, 2]


async def test_a_nursery_that_is_being_made_has_no_tasks_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_nursery() -> None:
        async with trio.open_nursery():
            await trio.sleep_forever()

    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        slow.cast_nowait(Slow.do, in_nursery)
        await wait_all_tasks_blocked()
        with monkeypatch.context() as patch:

            def being_made(self: trio.Nursery) -> frozenset[trio.lowlevel.Task]:
                raise AttributeError("_children")

            patch.setattr(trio.Nursery, "child_tasks", property(being_made))
            assert who(slow).tasks == ()


async def test_a_generator_that_ends_while_it_is_looked_at_ends_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Slow)
        slow.cast_nowait(Slow.work)
        await wait_all_tasks_blocked()
        frames = trio.lowlevel.Task.iter_await_frames

        def ends(self: trio.lowlevel.Task) -> Iterator[Any]:
            yield from frames(self)
            raise AttributeError("'NoneType' object has no attribute 'f_lineno'")

        with monkeypatch.context() as patch:
            patch.setattr(trio.lowlevel.Task, "iter_await_frames", ends)
            assert [frame.name for frame in slow.stack()] == ["work"]
