"""`trioreg.debug`: a live actor is suspended and resumed, and ends meanwhile."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep, sweep_steps
from support.held import Cart, Shopper, items
from support.steps import AtStep
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    CallCycle,
    ChildSpec,
    DynamicSupervisor,
    Instrument,
    Message,
    NotRegistered,
    OnDemand,
    PubSub,
    Registry,
    Supervisor,
    debug,
    open_on_demand,
    open_pool,
)
from trioreg._runtime import UNUSUAL

carts: Registry[str, None] = Registry("carts")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    assert not UNUSUAL


# Suspend and resume


def test_ctrl_c_within_resume_still_resumes_the_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    resume_now: Callable[[Any], None] = vars(debug)["resume_now"]

    def interrupted(cell: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        resume_now(cell)

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Actor)
            await debug.suspend(ref)
            with pytest.raises(KeyboardInterrupt):
                await debug.resume(ref)
            assert not debug.is_suspended(ref)

    monkeypatch.setattr(debug, "resume_now", interrupted)
    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_suspended_actor_handles_nothing_until_it_is_resumed(autojump_clock: MockClock) -> None:
    changes: PubSub[str, str] = PubSub("changes")

    async def call(answers: list[object], method: Callable[..., Any], *args: object) -> None:
        answers.append(await ref.call(method, *args))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        await ref.call(Cart.remind, 1)
        changes.join("all", owner=ref)
        await debug.suspend(ref)
        assert debug.is_suspended(ref)
        answers: list[object] = []
        nursery.start_soon(call, answers, Cart.add, "called")
        await wait_all_tasks_blocked()
        ref.cast_nowait(Cart.add, "cast")
        ref.send_nowait("sent")
        changes.publish_nowait("all", "published")
        await trio.sleep(10)
        assert items(ref) == answers == []
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert not debug.is_suspended(ref)
        assert items(ref) == ["called", "cast", "sent", "published", "reminded"]
        assert answers == ["called"]


@pytest.mark.parametrize("method", [Cart.pay, Cart.wrapped])
async def test_it_finishes_what_it_handles_and_is_suspended_before_all_that_waits(
    method: Any, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(method)
        await wait_all_tasks_blocked()
        for number in range(3):
            ref.cast_nowait(Cart.add, number)
        await debug.suspend(ref)
        assert items(ref)[-1] == "paid"
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert items(ref)[-4:] == ["paid", 0, 1, 2]


async def test_a_handler_in_two_halves_is_not_cut_in_two(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        nursery.start_soon(ref.call, Cart.wrapped)
        while not items(ref):
            await trio.lowlevel.checkpoint()
        await debug.suspend(ref)
        assert items(ref) == ["begun", "paid"]
        await debug.resume(ref)


async def test_to_suspend_it_again_does_nothing_and_one_resume_is_enough(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await debug.suspend(ref)
        await debug.suspend(ref)
        await debug.resume(ref)
        assert await ref.call(Cart.add, "tea") == "tea"


async def test_to_resume_what_is_not_suspended_does_nothing(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, restart="temporary")
        await debug.resume(ref)
        assert await ref.call(Cart.add, "tea") == "tea"
        await ref.stop()
        await debug.resume(ref)
    with pytest.raises(NotRegistered):
        await debug.resume(carts.via("nobody"))


async def test_all_who_ask_while_it_is_at_work_learn_that_it_is_suspended_at_once(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay, 5)
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(debug.suspend, ref)
        await wait_all_tasks_blocked()
        assert not debug.is_suspended(ref)
        with trio.fail_after(5.5):
            await debug.suspend(ref)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 0
        await debug.resume(ref)
        assert await ref.call(Cart.add, "tea") == "tea"


async def test_a_resume_comes_before_a_suspension_that_still_waits(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay, 5)
        await wait_all_tasks_blocked()
        nursery.start_soon(debug.suspend, ref)
        await wait_all_tasks_blocked()
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 0
        assert ref.statistics().queued == 0
        assert await ref.call(Cart.add, "tea") == "tea"


async def test_it_can_be_suspended_again_before_it_has_gone_on(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await debug.suspend(ref)
        ref.cast_nowait(Cart.add, "tea")
        async with trio.open_nursery() as nursery:  # both in one pass of the scheduler, in either order
            nursery.start_soon(debug.resume, ref)
            nursery.start_soon(debug.suspend, ref)
        await debug.resume(ref)
        assert await ref.call(Cart.add, "milk") == "milk"
        assert items(ref) == ["tea", "milk"]


async def test_an_actor_that_starts_is_suspended_before_its_first_message(autojump_clock: MockClock) -> None:
    class Slow(Cart):
        async def on_started(self) -> None:
            await trio.sleep(1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow)
        ref.cast_nowait(Cart.add, "tea")
        await debug.suspend(ref)
        assert items(ref) == []
        await debug.resume(ref)


async def test_idle_timeout_begins_anew_when_it_is_resumed(autojump_clock: MockClock) -> None:
    class Idle(Cart):
        idle_timeout = 5

        async def on_idle(self) -> None:
            self.items.append(trio.current_time() - began)

    async with supervised() as supervisor:
        began = trio.current_time()
        ref = await supervisor.start_child(Idle)
        await trio.sleep(4)
        await debug.suspend(ref)
        await trio.sleep(100)
        await debug.resume(ref)
        await trio.sleep(6)
        assert items(ref) == [pytest.approx(109)]


async def test_handler_timeout_does_not_run_while_it_is_suspended(autojump_clock: MockClock) -> None:
    class Limited(Cart):
        handler_timeout = 2

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Limited)
        await ref.call(Cart.pay)
        await debug.suspend(ref)
        await trio.sleep(100)
        await debug.resume(ref)
        await ref.call(Cart.pay)
        assert items(ref) == ["paid", "paid"]


async def test_an_actor_can_hold_another_and_a_cycle_is_refused(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        one = await supervisor.start_child(Cart, restart="temporary")
        other = await supervisor.start_child(Cart, restart="temporary")
        await one.call(Cart.hold, other)
        assert debug.is_suspended(other)
        await debug.resume(other)
        for method in (Cart.hold, Cart.change):
            each = await supervisor.start_child(Cart, restart="temporary")
            with pytest.raises(ActorExited) as info:
                await each.call(method, each)
            assert isinstance(info.value.__cause__, CallCycle)
        one.cast_nowait(Cart.let_hold, other)
        assert isinstance((await other.wait()).error, CallCycle)


async def test_a_call_to_a_suspended_actor_is_no_cycle_with_whoever_suspended_it(autojump_clock: MockClock) -> None:
    class Holder(Cart):
        async def look(self, other: ActorRef[Cart]) -> object:
            await debug.suspend(other)
            await debug.replace_state(other, lambda cart: cart.items.append("tea"))
            await debug.resume(other)
            return await other.call(Cart.add, "milk")

    async with supervised() as supervisor:
        holder = await supervisor.start_child(Holder)
        other = await supervisor.start_child(Cart)
        assert await holder.call(Holder.look, other) == "milk"
        assert items(other) == ["tea", "milk"]


async def test_a_background_task_can_suspend_and_resume_its_own_actor(autojump_clock: MockClock) -> None:
    class Itself(Cart):
        def begin(self) -> None:
            self.start_soon(self.pause)

        async def pause(self) -> None:
            await debug.suspend(self.ref)
            await trio.sleep(3)
            await debug.resume(self.ref)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Itself)
        await ref.call(Itself.begin)
        await wait_all_tasks_blocked()
        before = trio.current_time()
        await ref.call(Cart.add, "tea")
        assert trio.current_time() - before == pytest.approx(3)


async def test_a_function_actor_is_refused(autojump_clock: MockClock) -> None:
    async def function() -> None:
        await trioreg.receive()

    async with supervised() as supervisor:
        ref = await supervisor.start_child(function)
        untyped = cast("ActorRef[Cart]", ref)
        with pytest.raises(TypeError, match="is a function actor: it takes its messages by itself"):
            await debug.suspend(untyped)
        with pytest.raises(TypeError, match="is a function actor"):
            await debug.replace_state(untyped, lambda cart: None)
        with pytest.raises(TypeError, match="is a function actor: it has no attributes"):
            debug.state(untyped)
        await debug.resume(untyped)
        assert not debug.is_suspended(ref)


async def test_what_is_no_address_is_refused(autojump_clock: MockClock) -> None:
    wrong = cast("ActorRef[Cart]", "cart")
    for attempt in (debug.suspend(wrong), debug.resume(wrong), debug.replace_state(wrong, print)):
        with pytest.raises(TypeError, match="ref must be the address of an actor"):
            await attempt
    for refused in (debug.state, debug.is_suspended, debug.trace):
        with pytest.raises(TypeError, match=r"ref must be the address of an actor .* not 'cart'"):
            cast("Any", refused)(wrong)


async def test_an_actor_that_has_ended_or_is_stopping_can_not_be_suspended(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart, restart="temporary")
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            with pytest.raises(ActorExited):
                await debug.suspend(ref)
        for ended in (debug.suspend(ref), debug.replace_state(ref, lambda cart: None)):
            with pytest.raises(ActorExited):
                await ended
        with pytest.raises(ActorExited):
            debug.state(ref)
        assert not debug.is_suspended(ref)


async def test_who_waits_for_a_suspension_learns_of_the_end(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart, restart="temporary")
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()

        async def expect_exit(what: Awaitable[object]) -> None:
            with pytest.raises(ActorExited) as info:
                await what
            assert info.value.exit.reason == "killed"

        nursery.start_soon(expect_exit, debug.suspend(ref))
        nursery.start_soon(expect_exit, debug.replace_state(ref, lambda cart: None))
        await wait_all_tasks_blocked()
        ref.kill()


# The end of a suspended actor


@pytest.mark.parametrize("end", ["cancel", "kill"])
async def test_an_end_works_at_once_on_a_suspended_actor(end: str, autojump_clock: MockClock) -> None:
    class Noting(Cart):
        async def on_stop(self, exit: trioreg.Exit) -> None:
            ends.append(exit.reason)

    ends: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Noting, restart="temporary")
        await debug.suspend(ref)
        ref.cast_nowait(Cart.add, "tea")
        before = trio.current_time()
        getattr(ref, end)()
        exit = await ref.wait()
        assert trio.current_time() == before
    assert (exit.reason, ends) == (("shutdown", ["shutdown"]) if end == "cancel" else ("killed", []))


async def test_to_stop_a_suspended_actor_resumes_it_so_it_handles_what_it_has(autojump_clock: MockClock) -> None:
    kept: list[object] = []

    class Noting(Cart):
        async def on_stop(self, exit: trioreg.Exit) -> None:
            kept.extend(self.items)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Noting, restart="temporary")
        await debug.suspend(ref)
        ref.cast_nowait(Cart.add, "tea")
        assert (await ref.stop()).reason == "normal"
        assert kept == ["tea"]


async def test_an_actor_asked_to_stop_before_it_is_suspended_just_stops(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart, restart="temporary")
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()

        async def expect_exit() -> None:
            with pytest.raises(ActorExited):
                await debug.suspend(ref)

        nursery.start_soon(expect_exit)
        await wait_all_tasks_blocked()
        assert (await ref.stop()).reason == "normal"


async def test_a_background_task_that_crashes_ends_a_suspended_actor_and_the_next_life_is_not_suspended(
    autojump_clock: MockClock,
) -> None:
    class Fragile(Cart):
        def begin(self) -> None:
            self.start_soon(self.crash)

        async def crash(self) -> None:
            await trio.sleep(1)
            raise OSError

    via = carts.via("a", of=Fragile)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, name=via)
        await ref.call(Fragile.begin)
        await debug.suspend(ref)
        assert (await ref.wait()).reason == "crashed"
        assert not debug.is_suspended(via)
        assert await via.call(Cart.add, "tea") == "tea"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_restart_of_several_and_a_shutdown_do_not_wait_for_suspended_actors(
    strategy: Any, autojump_clock: MockClock
) -> None:
    children = [ChildSpec(Cart, id=number, name=carts.via(f"{number}")) for number in range(3)]
    before = trio.current_time()
    async with supervising(children, strategy=strategy):
        vias = [carts.via(f"{number}", of=Cart) for number in range(3)]
        for via in vias:
            await debug.suspend(via)
        first = carts.whereis("0", of=Cart)
        assert first is not None
        first.kill()
        await wait_all_tasks_blocked()
        for via in vias:
            assert await via.call(Cart.add, "tea") == "tea"
            await debug.suspend(via)
    assert trio.current_time() == before


async def test_terminate_child_and_restart_child_work_on_a_suspended_actor(autojump_clock: MockClock) -> None:
    async with supervising([ChildSpec(Cart, id="a", name=carts.via("a"))]) as supervisor:
        via = carts.via("a", of=Cart)
        await debug.suspend(via)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        assert await via.call(Cart.add, "tea") == "tea"


# Supervisors, actors on demand, pools


async def test_a_suspended_supervisor_takes_no_calls_and_still_restarts_its_children(autojump_clock: MockClock) -> None:
    async with supervised() as top:
        ref = await top.start_child(Supervisor, [ChildSpec(Cart, name=carts.via("a"))])
        await debug.suspend(ref)
        with trio.move_on_after(1) as scope:
            await ref.call(Supervisor.count_children)
        assert scope.cancelled_caught
        via = carts.via("a", of=Cart)
        via.kill()
        await wait_all_tasks_blocked()
        assert await via.call(Cart.add, "tea") == "tea"
        await debug.resume(ref)
        assert (await ref.call(Supervisor.count_children)).active == 1
        await debug.suspend(ref)


async def test_a_child_that_suspends_its_supervisor_in_its_start_is_refused_or_goes_on(
    autojump_clock: MockClock,
) -> None:
    async def child(ref: ActorRef[DynamicSupervisor]) -> None:
        await debug.suspend(ref)

    async with supervised() as top:
        ref = await top.start_child(DynamicSupervisor)

        class Early(Actor):
            async def on_start(self) -> None:
                await debug.suspend(ref)

        await ref.call(DynamicSupervisor.start_child, Early)
        assert debug.is_suspended(ref)
        await debug.resume(ref)
        await ref.call(DynamicSupervisor.start_child, child, ref)


async def test_an_actor_on_demand_does_not_retire_while_it_is_suspended(autojump_clock: MockClock) -> None:
    shoppers: OnDemand[str, Shopper] = OnDemand("shoppers", Shopper, retire_after=10)
    via = shoppers.via("a")
    async with open_on_demand(shoppers):
        with pytest.raises(NotRegistered):
            await debug.suspend(via)
        await via.call(Cart.add, "tea")
        await trio.sleep(8)
        await debug.suspend(via)
        await trio.sleep(1000)
        assert debug.state(via) == {"items": ["tea"]}
        await debug.resume(via)
        await trio.sleep(8)
        assert len(shoppers) == 1  # the time before does not count
        await trio.sleep(8)
        assert len(shoppers) == 0


async def test_a_suspended_actor_on_demand_makes_no_room_and_the_shutdown_lets_it_finish(
    autojump_clock: MockClock,
) -> None:
    shoppers: OnDemand[str, Shopper] = OnDemand("shoppers", Shopper, max_running=1)
    async with open_on_demand(shoppers) as supervisor:
        await shoppers.via("a").call(Cart.add, "tea")
        await debug.suspend(shoppers.via("a"))
        with trio.move_on_after(5) as scope:
            await shoppers.via("b").call(Cart.add, "tea")
        assert scope.cancelled_caught
        await debug.resume(shoppers.via("a"))
        await shoppers.via("b").call(Cart.add, "tea")
        await debug.suspend(shoppers.via("b"))
        await shoppers.via("b").cast(Cart.add, "milk")
        before = trio.current_time()
        supervisor.stop()
    assert trio.current_time() == before


async def test_a_life_that_waits_for_room_is_suspended_before_its_first_message(autojump_clock: MockClock) -> None:
    shoppers: OnDemand[str, Shopper] = OnDemand("shoppers", Shopper, max_running=1)
    async with open_on_demand(shoppers) as supervisor, trio.open_nursery() as nursery:
        await shoppers.via("a").cast(Cart.pay, 3)
        await shoppers.via("b").cast(Cart.add, "tea")
        await wait_all_tasks_blocked()
        ref = shoppers.whereis("b")
        assert ref is not None
        nursery.start_soon(debug.suspend, ref)
        await trio.sleep(5)
        assert debug.is_suspended(ref)
        assert debug.state(ref) == {"items": []}
        supervisor.stop()


async def test_a_suspended_worker_of_a_pool_keeps_its_caller_waiting_and_no_other(autojump_clock: MockClock) -> None:
    async with open_pool(Cart, size=2) as pool:
        async with pool.claim() as worker:
            ref = worker
        await debug.suspend(ref)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(pool.call, Cart.add, "tea")
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            await pool.call(Cart.add, "tea")
            await debug.resume(ref)


async def test_the_shutdown_of_a_pool_lets_a_suspended_worker_finish_what_it_has(autojump_clock: MockClock) -> None:
    async with open_pool(Cart, size=1) as pool:
        async with pool.claim() as worker:
            ref = worker
        await debug.suspend(ref)
        with trio.move_on_after(1) as scope:
            await pool.call(Cart.pay)
        assert scope.cancelled_caught
        ref.cast_nowait(Cart.add, "tea")
        before = trio.current_time()
    assert trio.current_time() == before
    exit = ref.exit
    assert exit is not None
    assert exit.reason == "normal"


# What others see of it


async def test_instruments_and_statistics_see_no_message_of_it(autojump_clock: MockClock) -> None:
    class Notes(Instrument):
        def message_sent(self, message: Message, /) -> None:
            told.append(message)

        def handling(self, message: Message, /) -> None:
            told.append(message)

        def message_left(self, message: Message, why: str, /) -> None:
            told.append(message)

    told: list[Message] = []
    notes = Notes()
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart, restart="temporary")
        trioreg.add_instrument(notes)
        await debug.suspend(ref)
        during = ref.statistics()
        await debug.replace_state(ref, lambda cart: None)
        await debug.resume(ref)
        await debug.replace_state(ref, lambda cart: None)
        after = ref.statistics()
        trioreg.remove_instrument(notes)
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()
        trioreg.add_instrument(notes)
        with trio.move_on_after(0.1):
            await debug.suspend(ref)
        assert ref.statistics().queued == 0

        async def expect_exit() -> None:
            with pytest.raises(ActorExited):
                await debug.suspend(ref)

        nursery.start_soon(expect_exit)
        await wait_all_tasks_blocked()
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert told == []
    for each in (during, after):
        assert (each.queued, each.peak, each.handled, each.calls_in_flight) == (0, 0, 0, 0)


async def test_statistics_say_since_when_an_actor_is_suspended(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await debug.suspend(ref)
        since = trio.current_time()
        await trio.sleep(5)
        statistics = ref.statistics()
        assert (statistics.handling, statistics.handling_since) == ("trioreg.debug.suspend", since)
        assert "trioreg.debug.suspend" in str(trioreg.who(ref))
        await debug.resume(ref)
        await wait_all_tasks_blocked()
        assert ref.statistics().handling is None


async def test_who_says_what_waits_for_a_suspension_or_a_change(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        other = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay)
        other.cast_nowait(Cart.change, ref)
        await wait_all_tasks_blocked()
        nursery.start_soon(debug.suspend, ref, name="holding")
        await wait_all_tasks_blocked()
        assert [str(each) for each in trioreg.who(ref).waited_for_by] == [
            f"{other!r}: call trioreg.debug.replace_state",
            "task holding: call trioreg.debug.suspend",
        ]
        assert [str(each) for each in trioreg.who(other).waits_for] == [f"{ref!r}: call trioreg.debug.replace_state"]
        await trio.sleep(2)
        assert trioreg.who(ref).waited_for_by == ()
        await debug.resume(ref)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_a_suspension_that_waits_does_not_change_the_peak(gives_up: bool, autojump_clock: MockClock) -> None:
    async def call_for_a_while() -> None:
        with trio.move_on_after(1):
            await ref.call(Cart.add, "tea")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Cart)
        ref.cast_nowait(Cart.pay, 3)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.deadline = trio.current_time() + (2 if gives_up else 5)
            for _ in range(7):
                nursery.start_soon(call_for_a_while)
            await debug.suspend(ref)
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught is gives_up
        assert ref.statistics().peak == 7
        await debug.resume(ref)


async def test_a_bounded_mailbox_has_its_whole_room_while_it_is_suspended(autojump_clock: MockClock) -> None:
    class Small(Cart):
        mailbox_size = 2

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Small)
        await debug.suspend(ref)
        ref.cast_nowait(Cart.add, 1)
        ref.cast_nowait(Cart.add, 2)
        with pytest.raises(trioreg.MailboxFull):
            ref.cast_nowait(Cart.add, 3)
        await debug.resume(ref)
        await ref.cast(Cart.add, 3)
        await wait_all_tasks_blocked()
        assert items(ref) == [1, 2, 3]


async def test_another_thread_can_ask_and_not_change() -> None:
    def other() -> None:
        seen.append((debug.state(ref), debug.is_suspended(ref)))
        for refused in (debug.suspend(ref), debug.resume(ref), debug.replace_state(ref, lambda cart: None)):
            with pytest.raises(RuntimeError):
                trio.run(lambda refused=refused: refused)  # type: ignore[misc]

    seen: list[tuple[dict[str, object], bool]] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)
        await trio.to_thread.run_sync(other)
    assert seen == [({"items": []}, False)]


# Cancelled and killed at each step


async def test_a_suspension_that_is_cancelled_at_any_step_is_whole_or_has_left_nothing(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        for is_busy in (False, True):

            async def attempt(cancelling: Cancelling[Any], is_busy: bool = is_busy) -> None:
                ref = await supervisor.start_child(Cart, restart="temporary")
                if is_busy:
                    ref.cast_nowait(Cart.pay)
                    await wait_all_tasks_blocked()
                is_done = await cancelling.run(lambda: debug.suspend(ref))
                ref.cast_nowait(Cart.add, "tea")
                await trio.sleep(2)
                assert debug.is_suspended(ref) is is_done
                assert ("tea" in items(ref)) is not is_done
                await debug.resume(ref)
                assert (await ref.call(Cart.add, "milk")) == "milk"
                assert items(ref)[-2:] == ["tea", "milk"]
                await ref.stop()

            assert await sweep_steps(attempt) > 0


async def test_a_resume_that_is_cancelled_has_resumed_all_the_same(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Cart)

        async def attempt(cancelling: Cancelling[Any]) -> None:
            await debug.suspend(ref)
            await cancelling.run(lambda: debug.resume(ref))
            await ref.call(Cart.add, "tea")

        assert await sweep(attempt) == 1


@pytest.mark.parametrize("is_held", [False, True])
async def test_a_change_that_is_cancelled_at_any_step_is_done_or_not(is_held: bool, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:

        async def attempt(cancelling: Cancelling[Any]) -> None:
            ref = await supervisor.start_child(Cart, restart="temporary")
            if is_held:
                await debug.suspend(ref)
            else:
                ref.cast_nowait(Cart.pay)
                await wait_all_tasks_blocked()
            done = await cancelling.run(lambda: debug.replace_state(ref, lambda cart: cart.items.append("x")))
            await trio.sleep(2)
            assert items(ref).count("x") == done
            await debug.resume(ref)
            assert await ref.call(Cart.add, "milk") == "milk"
            await ref.stop()

        assert await sweep_steps(attempt) > 0


@pytest.mark.parametrize("end", ["cancel", "kill", "stop"])
@pytest.mark.parametrize("is_busy", [False, True])
def test_an_end_at_any_step_of_a_program_that_debugs_leaves_nothing_that_waits(end: str, is_busy: bool) -> None:
    class Own(Cart):
        def halt(self) -> None:
            self.stop()

    async def program(n: int) -> bool:
        outcomes: list[str] = []

        async def one(name: str, operation: Callable[[], Awaitable[object]]) -> None:
            try:
                await operation()
                outcomes.append(name)
            except ActorExited:
                outcomes.append(f"{name} refused")

        with trio.fail_after(1000):
            async with supervised() as supervisor:
                ref = await supervisor.start_child(Own, restart="temporary")
                if is_busy:
                    ref.cast_nowait(Cart.pay)
                    await wait_all_tasks_blocked()
                actor = cast("Any", ref)._cell.actor
                ending = AtStep(n, actor.stop if end == "stop" else getattr(ref, end))
                trio.lowlevel.add_instrument(ending)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(one, "suspend", lambda: debug.suspend(ref))
                    nursery.start_soon(one, "change", lambda: debug.replace_state(ref, lambda cart: None))
                    nursery.start_soon(one, "again", lambda: debug.suspend(ref))
                    nursery.start_soon(one, "call", lambda: ref.call(Cart.add, "tea"))
                    await trio.sleep(3)
                    await debug.resume(ref)
                trio.lowlevel.remove_instrument(ending)
                assert len(outcomes) == 4
                if ending.is_done:
                    await ref.wait()
                return ending.is_done

    for n in range(100):
        if not trio.run(program, n, clock=MockClock(autojump_threshold=0)):
            assert n > 5
            return
    raise AssertionError
