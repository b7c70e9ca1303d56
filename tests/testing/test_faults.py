"""Faults from outside: `crash`, `hang` and `slow`."""

from __future__ import annotations

import logging
import math
from typing import Any, cast

import pytest
import trio
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    HandlerTimeout,
    MailboxFull,
    NotRegistered,
    OnDemand,
    Registry,
    Reply,
    Supervisor,
    TreeSupervisor,
    debug,
    open_on_demand,
    tree,
    who,
)
from trioreg._testing import CrashWatch
from trioreg.testing import crash, hang, settled, slow


class Cart(Actor):
    """It notes what it handles and when."""

    def __init__(self, log: list[object] | None = None) -> None:
        self.log: list[object] = [] if log is None else log

    def add(self, item: str) -> str:
        self.log.append((item, trio.current_time()))
        return item

    async def pay(self, seconds: float) -> None:
        await trio.sleep(seconds)
        self.log.append(("paid", trio.current_time()))

    async def on_message(self, message: object) -> None:
        self.log.append((message, trio.current_time()))

    async def on_stop(self, exit: Exit) -> None:
        self.log.append(str(exit))


class Impatient(Cart):
    handler_timeout = 5


class Small(Cart):
    mailbox_size = 2


class Restless(Cart):
    idle_timeout = 10

    async def on_idle(self) -> None:
        self.log.append(("idle", trio.current_time()))


class Keyed(Actor):
    def __init__(self, key: str) -> None:
        self.key = key

    def answer_after(self, seconds: float) -> Reply[str]:
        reply: Reply[str] = Reply()
        self.start_soon(self.answer, reply, seconds)
        return reply

    async def answer(self, reply: Reply[str], seconds: float) -> None:
        await trio.sleep(seconds)
        reply.send("done")


def carts_of(top: Supervisor) -> ActorRef[DynamicSupervisor]:
    ref = top.which_child("carts").ref
    assert ref is not None
    return ref


async def start_cart(below: ActorRef[DynamicSupervisor]) -> ActorRef[Cart]:
    start: Any = DynamicSupervisor.start_child  # mypy does not see through its overloads
    return cast("ActorRef[Cart]", await below.call(start, Cart))


def below_top() -> TreeSupervisor:
    [supervisor] = tree().supervisors
    below = supervisor.children[0].below
    assert below is not None
    return below


def items(log: list[object]) -> list[object]:
    return [each[0] if isinstance(each, tuple) else each for each in cast("list[Any]", log)]


class TestCrash:
    async def test_the_supervisor_restarts_the_actor_which_keeps_its_name(self) -> None:
        carts: Registry[str, None] = Registry("carts")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="permanent")
            crash(carts.via("a"), OSError("disk"))
            exit = await ref.wait()
            assert exit.reason == "crashed"
            assert repr(exit.error) == "OSError('disk')"
            await wait_all_tasks_blocked()
            assert carts.whereis("a") is not ref
            assert carts.whereis("a") is not None

    async def test_the_handler_is_cancelled_and_its_caller_has_the_error_as_cause(
        self, autojump_clock: MockClock
    ) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log, restart="temporary")
            async with trio.open_nursery() as nursery:

                @nursery.start_soon
                async def call() -> None:
                    with pytest.raises(ActorExited) as caught:
                        await ref.call(Cart.pay, 10)
                    assert isinstance(caught.value.__cause__, OSError)
                    assert caught.value.was_begun

                @nursery.start_soon
                async def call_behind() -> None:
                    await trio.sleep(1)
                    with pytest.raises(ActorExited) as caught:
                        await ref.call(Cart.add, "tea")
                    assert isinstance(caught.value.__cause__, OSError)
                    assert not caught.value.was_begun

                await trio.sleep(2)
                crash(ref, OSError("disk"))
            assert trio.current_time() == 2
            assert log == ["crashed: OSError('disk')"]

    async def test_the_casts_in_the_mailbox_are_lost_and_the_log_counts_them(
        self, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            await ref.cast(Cart.pay, 10)
            await ref.cast(Cart.add, "tea")
            await wait_all_tasks_blocked()
            with caplog.at_level(logging.WARNING):
                crash(ref, OSError("disk"))
                await ref.wait()
            assert "1 unhandled message" in caplog.text
            assert f"trioreg.testing.crash() raised this in {ref!r}" in caplog.text

    async def test_a_start_that_it_interrupts_raises_the_error(self, autojump_clock: MockClock) -> None:
        class Slow(Actor):
            async def on_start(self) -> None:
                refs.append(self.ref)
                await trio.sleep(10)

        refs: list[ActorRef[Any]] = []
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            @nursery.start_soon
            async def start() -> None:
                with pytest.raises(OSError, match="disk"):
                    await supervisor.start_child(Slow)

            await trio.sleep(1)
            crash(refs[0], OSError("disk"))

    async def test_a_function_actor_crashes_too(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(trio.sleep, 10, restart="temporary")
            crash(ref, OSError("disk"))
            assert isinstance((await ref.wait()).error, OSError)

    async def test_a_supervisor_ends_its_children_and_is_restarted(self, autojump_clock: MockClock) -> None:
        children = [ChildSpec(DynamicSupervisor, id="carts")]
        async with supervising(children) as top:
            below = carts_of(top)
            cart = await start_cart(below)
            crash(below, OSError("disk"))
            await below.wait()
            assert cart.exit is not None
            assert cart.exit.reason == "shutdown"
            await wait_all_tasks_blocked()
            assert carts_of(top) is not below
            assert carts_of(top).is_alive

    async def test_background_tasks_are_cancelled(self, autojump_clock: MockClock) -> None:
        class Busy(Actor):
            async def on_start(self) -> None:
                self.start_soon(self._work)

            async def _work(self) -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    ended.append("work")

        ended: list[str] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Busy, restart="temporary")
            await wait_all_tasks_blocked()
            crash(ref, OSError("disk"))
            await ref.wait()
            assert ended == ["work"]

    @pytest.mark.parametrize("method", ["call", "cast"])
    async def test_an_actor_can_crash_itself_and_ends_after_the_handler(self, method: str) -> None:
        class Doomed(Actor):
            def fall(self) -> str:
                crash(self.ref, OSError("disk"))
                return "answered"

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Doomed, restart="temporary")
            if method == "call":
                assert await ref.call(Doomed.fall) == "answered"
            else:
                await ref.cast(Doomed.fall)
            assert isinstance((await ref.wait()).error, OSError)

    async def test_an_actor_that_has_ended_or_is_ending_is_an_error(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            ref.cancel()
            with pytest.raises(ActorExited, match="is ending: shutdown"):
                crash(ref, OSError())
            await ref.wait()
            with pytest.raises(ActorExited, match="has ended: shutdown"):
                crash(ref, OSError())

    async def test_what_is_wrong_is_said_before_anything_happens(self) -> None:
        carts: Registry[str, None] = Registry("carts")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with pytest.raises(TypeError, match=r"^error must be an instance of Exception, not 'disk'$"):
                crash(ref, cast("Any", "disk"))
            with pytest.raises(TypeError, match=r"not <class 'OSError'>: write OSError\(\.\.\.\)$"):
                crash(ref, cast("Any", OSError))
            with pytest.raises(TypeError, match=r"^ref must be the address of an actor \(.*\), not 'a'$"):
                crash(cast("Any", "a"), OSError())
            with pytest.raises(NotRegistered):
                crash(carts.via("a"), OSError())
            assert ref.state == "running"

    async def test_no_watch_of_crashes_takes_it_for_a_fault_of_the_program(self) -> None:
        async with supervised() as supervisor:
            one = await supervisor.start_child(Cart, restart="temporary")
            other = await supervisor.start_child(Cart, restart="temporary")
            watch = CrashWatch()
            watch.begin()
            crash(one, OSError("disk"))
            other._cell.fail(OSError("disk"))  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
            await wait_all_tasks_blocked()
            assert [each.ref for each in watch.unexpected()] == [other]
            watch.end()

    async def test_an_error_that_refuses_notes_is_raised_as_it_is(self) -> None:
        class Frozen(Exception):
            def __setattr__(self, name: str, value: object) -> None:
                raise AttributeError(name)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            crash(ref, Frozen())
            assert isinstance((await ref.wait()).error, Frozen)


class TestHang:
    async def test_all_messages_wait_and_are_handled_in_order_at_the_end(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with hang(ref):
                with trio.move_on_after(10) as scope:
                    await ref.call(Cart.add, "given up")
                assert scope.cancelled_caught
                ref.cast_nowait(Cart.add, "cast")
                await ref.send("sent")
                await trio.sleep(10)
                assert debug.state(ref)["log"] == []
            assert await ref.call(Cart.add, "called") == "called"
            assert items(cast("list[object]", debug.state(ref)["log"])) == ["cast", "sent", "called"]

    async def test_the_message_at_work_is_finished(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            await ref.cast(Cart.pay, 3)
            await ref.cast(Cart.add, "tea")
            await wait_all_tasks_blocked()
            with hang(ref):
                await trio.sleep(10)
                assert log == [("paid", 3)]
            await wait_all_tasks_blocked()
            assert log == [("paid", 3), ("tea", 10)]

    async def test_it_is_seen_to_hang_and_counts_as_no_message(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with hang(ref):
                await trio.sleep(4)
                assert "trioreg.testing.hang, for 4.0 seconds" in str(who(ref))
                assert ref.statistics().queued == 0
            await wait_all_tasks_blocked()
            assert ref.statistics().handling is None
            assert (ref.statistics().handled, ref.statistics().peak) == (0, 0)

    async def test_a_handler_timeout_crashes_it(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Impatient, restart="temporary")
            with hang(ref):
                exit = await ref.wait()
            assert trio.current_time() == 5
            assert isinstance(exit.error, HandlerTimeout)
            assert "trioreg.testing.hang" in str(exit.error)

    async def test_a_stop_waits_for_the_end_of_the_block(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with hang(ref), trio.move_on_after(10):
                await ref.stop()
            assert trio.current_time() == 10
            assert str(await ref.wait()) == "normal"

    @pytest.mark.parametrize("end", ["cancel", "kill", "terminate", "crash"])
    async def test_what_cancels_a_handler_ends_it(self, autojump_clock: MockClock, end: str) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            with hang(ref):
                await wait_all_tasks_blocked()
                if end == "cancel":
                    ref.cancel()
                elif end == "kill":
                    ref.kill()
                elif end == "crash":
                    crash(ref, OSError())
                else:
                    await supervisor.terminate_child(ref)
                await ref.wait()

    async def test_a_bounded_mailbox_fills_up(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Small)
            with hang(ref):
                await wait_all_tasks_blocked()
                ref.cast_nowait(Cart.add, "tea")
                ref.cast_nowait(Cart.add, "milk")
                with pytest.raises(MailboxFull):
                    ref.cast_nowait(Cart.add, "sugar")
            assert await ref.call(Cart.add, "last") == "last"

    async def test_the_next_life_does_not_hang(self, autojump_clock: MockClock) -> None:
        carts: Registry[str, None] = Registry("carts")
        async with supervised() as supervisor:
            via = carts.via("a", of=Cart)
            ref = await supervisor.start_child(Cart, name=via, restart="permanent")
            with hang(via):
                ref.kill()
                await ref.wait()
                await wait_all_tasks_blocked()
                assert await via.call(Cart.add, "tea") == "tea"

    async def test_a_change_of_its_state_waits(self, autojump_clock: MockClock) -> None:
        def rename(cart: Cart) -> None:
            cart.log.append("changed")

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with hang(ref), trio.move_on_after(10):
                await wait_all_tasks_blocked()
                await debug.replace_state(ref, rename)
            assert trio.current_time() == 10
            assert debug.state(ref)["log"] == []
            await debug.replace_state(ref, rename)
            assert debug.state(ref)["log"] == ["changed"]

    async def test_a_supervisor_starts_no_child_and_still_restarts_those_that_it_has(
        self, autojump_clock: MockClock
    ) -> None:
        async with supervising([ChildSpec(DynamicSupervisor, id="carts")]) as top:
            below = carts_of(top)
            cart = await start_cart(below)
            with hang(below):
                crash(cart, OSError("disk"))
                await settled()
                [child] = below_top().children
                assert (child.state, child.restarts) == ("running", 1)
                with trio.move_on_after(10) as scope:
                    await start_cart(below)
                assert scope.cancelled_caught
            await start_cart(below)
            assert len(below_top().children) == 2

    async def test_a_block_that_is_over_before_the_actor_has_its_turn_leaves_nothing(self) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            for _ in range(3):
                with hang(ref):
                    pass
            await wait_all_tasks_blocked()
            assert await ref.call(Cart.add, "tea") == "tea"
            assert (ref.statistics().handled, ref.statistics().peak, ref.statistics().queued) == (1, 0, 0)

    async def test_two_blocks_for_one_actor_end_in_any_order(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            one, other = hang(ref), hang(ref)
            one.__enter__()
            other.__enter__()
            await wait_all_tasks_blocked()
            one.__exit__(None, None, None)
            ref.cast_nowait(Cart.add, "tea")
            await wait_all_tasks_blocked()
            assert debug.state(ref)["log"] == []
            other.__exit__(None, None, None)
            await wait_all_tasks_blocked()
            assert items(cast("list[object]", debug.state(ref)["log"])) == ["tea"]

    async def test_what_is_wrong_is_said_at_the_beginning(self) -> None:
        carts: Registry[str, None] = Registry("carts")
        async with supervised() as supervisor:
            function = await supervisor.start_child(trio.sleep_forever)
            with pytest.raises(TypeError, match=r"is a function actor: it takes its messages by itself"):
                hang(cast("Any", function)).__enter__()
            with pytest.raises(TypeError, match=r"^ref must be the address of an actor"):
                hang(cast("Any", "a"))
            with pytest.raises(NotRegistered):
                hang(carts.via("a", of=Cart)).__enter__()
            ref = await supervisor.start_child(Cart)
            block = hang(ref)
            with block, pytest.raises(RuntimeError, match=r"^this hang\(\.\.\.\) is already entered"):
                block.__enter__()
            await ref.stop()
            with pytest.raises(ActorExited):
                hang(ref).__enter__()
            with pytest.raises(TypeError, match=r"^write 'with hang\(\.\.\.\)', not 'async with"):
                async with cast("Any", hang(ref)):
                    pass


class TestSlow:
    async def test_each_message_takes_that_much_longer(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            with slow(ref, 3):
                assert await ref.call(Cart.add, "called") == "called"
                await ref.cast(Cart.add, "cast")
                await ref.cast(Cart.pay, 1)
                await ref.send("sent")
                await trio.sleep(20)
                assert await ref.call(Cart.add, "later") == "later"
            assert await ref.call(Cart.add, "quick") == "quick"
            assert log == [("called", 3), ("cast", 6), ("paid", 10), ("sent", 13), ("later", 26), ("quick", 26)]

    async def test_the_messages_that_wait_already_are_slow_too(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            await ref.cast(Cart.pay, 1)
            await ref.cast(Cart.add, "tea")
            await ref.cast(Cart.add, "milk")
            await wait_all_tasks_blocked()
            with slow(ref, 3):
                await trio.sleep(5)
            await wait_all_tasks_blocked()
            assert log == [("paid", 1), ("tea", 4), ("milk", 5)]

    async def test_several_add_up_and_a_hang_outweighs_them(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with slow(ref, 1), slow(ref, 2):
                await ref.call(Cart.add, "tea")
                assert trio.current_time() == 3
                with hang(ref), trio.move_on_after(5):
                    await ref.call(Cart.add, "milk")
                assert trio.current_time() == 8
                await ref.call(Cart.add, "milk")
                assert trio.current_time() == 11

    async def test_after_a_hang_that_no_message_came_into_it_is_slow(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with slow(ref, 1):
                with hang(ref):
                    await trio.sleep(10)
                await wait_all_tasks_blocked()
                assert ref.statistics().handling is None
                await ref.call(Cart.add, "tea")
                assert trio.current_time() == 11

    async def test_between_messages_it_is_idle(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Restless, log)
            with slow(ref, 3):
                await trio.sleep(5)
                assert ref.statistics().handling is None
                await ref.call(Cart.add, "tea")
                await trio.sleep(20)
            assert log == [("tea", 8), ("idle", 21)]

    @pytest.mark.parametrize("is_idle", [True, False])
    @pytest.mark.parametrize("seconds", [0, 5])
    async def test_an_actor_on_demand_makes_room_for_another(
        self, autojump_clock: MockClock, is_idle: bool, seconds: float
    ) -> None:
        keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed, max_running=1)
        async with open_on_demand(keyed), trio.open_nursery() as nursery:
            await keyed.via("a").call(Keyed.answer_after, 0)
            with slow(keyed.via("a"), 3):
                nursery.start_soon(keyed.via("a").call, Keyed.answer_after, seconds)
                await trio.sleep(10 if is_idle else 0)
                assert await keyed.via("b").call(Keyed.answer_after, 0) == "done"
            assert trio.current_time() == (10 if is_idle else 3 + seconds)

    async def test_an_actor_on_demand_retires_between_its_messages(self, autojump_clock: MockClock) -> None:
        keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed, retire_after=10)
        async with open_on_demand(keyed):
            await keyed.via("a").call(Keyed.answer_after, 0)
            with slow(keyed.via("a"), 3):
                await trio.sleep(20)
                assert await keyed.via("a").call(Keyed.answer_after, 0) == "done"
            assert trio.current_time() == 20

    async def test_a_call_that_is_given_up_is_withdrawn(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            with slow(ref, 3):
                with trio.move_on_after(1):
                    await ref.call(Cart.add, "tea")
                await trio.sleep(20)
            assert log == []

    async def test_a_stop_of_an_idle_actor_is_not_slow(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with slow(ref, 3):
                await wait_all_tasks_blocked()
                assert str(await ref.stop()) == "normal"
            assert trio.current_time() == 0

    async def test_it_handles_what_waits_before_it_stops(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            with slow(ref, 3):
                await ref.cast(Cart.add, "tea")
                await ref.cast(Cart.add, "milk")
                await ref.stop()
            assert log == [("tea", 3), ("milk", 6), "normal"]

    async def test_it_can_be_ended_while_it_is_slow(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, restart="temporary")
            with slow(ref, 100):
                await ref.cast(Cart.add, "tea")
                await wait_all_tasks_blocked()
                ref.cancel()
                await ref.wait()
            assert trio.current_time() == 0

    async def test_suspend_and_replace_state_work_meanwhile(self, autojump_clock: MockClock) -> None:
        log: list[object] = []
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart, log)
            with slow(ref, 3):
                await wait_all_tasks_blocked()
                await debug.suspend(ref)
                assert trio.current_time() == 0
                await ref.cast(Cart.add, "tea")
                await trio.sleep(10)
                assert log == []
                await debug.resume(ref)
                await trio.sleep(10)
                assert log == [("tea", 13)]

    async def test_an_instrument_sees_the_messages_only(self, autojump_clock: MockClock) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            async with debug.trace(ref) as feed:
                with slow(ref, 3):
                    await ref.call(Cart.add, "tea")
                    await ref.send("milk")
                    await trio.sleep(10)
                seen = [await feed.receive(), await feed.receive()]
            assert [(each.kind, each.args) for each in seen] == [("call", ("tea",)), ("send", ("milk",))]

    async def test_a_supervisor_is_slow_to_start_children(self, autojump_clock: MockClock) -> None:
        async with supervising([ChildSpec(DynamicSupervisor, id="carts")]) as top:
            below = carts_of(top)
            with slow(below, 3):
                cart = await start_cart(below)
                assert trio.current_time() == 3
                assert await cart.call(Cart.add, "tea") == "tea"

    @pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
    async def test_seconds_are_finite_and_not_negative(self, seconds: float) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with pytest.raises(ValueError, match=r"^seconds must be at least 0 and finite, not"):
                slow(ref, seconds)
            with pytest.raises(TypeError, match=r"^seconds must be a number, not '3'"):
                slow(ref, cast("Any", "3"))

    def test_what_is_no_actor_is_refused_before_the_block(self) -> None:
        with pytest.raises(TypeError, match=r"^ref must be the address of an actor \(.*\), not 'a'$"):
            slow(cast("Any", "a"), 1)

    async def test_no_time_at_all_changes_nothing(self) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Cart)
            with slow(ref, 0):
                assert await ref.call(Cart.add, "tea") == "tea"
                assert await ref.call(Cart.add, "milk") == "milk"
