"""Actors on demand with `max_running`: who makes room, and who waits for it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    CallCycle,
    DynamicSupervisor,
    MailboxFull,
    OnDemand,
    Pool,
    Registry,
    Reply,
    open_dynamic_supervisor,
    open_on_demand,
    open_pool,
    race,
)


async def test_the_one_that_was_used_the_longest_time_ago_makes_room(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=3)
    async with open_on_demand(carts):
        for key in "abc":
            await carts.via(key).call(Cart.note, 1)
        carts.via("a").cast_nowait(Cart.note, 2)
        carts.via("b").send_nowait(2)
        await wait_all_tasks_blocked()
        await carts.via("d").call(Cart.note, 1)
        assert {key for key, _ in carts.items()} == {"a", "b", "d"}
        await carts.via("e").call(Cart.note, 1)
        assert {key for key, _ in carts.items()} == {"b", "d", "e"}
    assert shop.most == 3


@pytest.mark.parametrize("how", ["name", "reference", "group"])
async def test_a_message_that_does_not_come_through_its_address_is_a_use_too(
    how: str, autojump_clock: MockClock
) -> None:
    shop = Shop()
    carts = shop.carts(max_running=2)
    async with open_on_demand(carts):
        for key in "ab":
            await carts.via(key).call(Cart.note, 1)
        ref = carts.whereis("a")
        assert ref is not None
        if how == "name":
            carts.registry.via("a", of=Cart).cast_nowait(Cart.note, 2)
        elif how == "reference":
            await ref.call(Cart.note, 2)
        else:
            carts.registry.cast_all("a", Cart.note, 2)
        await wait_all_tasks_blocked()
        await carts.via("c").call(Cart.note, 1)
        assert {key for key, _ in carts.items()} == {"a", "c"}
        await carts.via("d").call(Cart.note, 1)
        assert {key for key, _ in carts.items()} == {"c", "d"}  # the use of "a" counts once, and before "c"


async def test_an_actor_at_work_is_passed_over(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=2)
    async with open_on_demand(carts):
        carts.via("busy").cast_nowait(Cart.note_slowly, 1, 10)
        await carts.via("idle").call(Cart.note, 1)
        await carts.via("new").call(Cart.note, 1)
        assert trio.current_time() == 0
        assert {key for key, _ in carts.items()} == {"busy", "new"}


async def test_an_actor_that_was_sent_something_while_it_was_at_work_is_not_asked_to_stop(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts = shop.carts(max_running=1)
    async with open_on_demand(carts):
        for message in range(3):
            carts.via("busy").cast_nowait(Cart.note_slowly, message, 10)
            if not message:
                await wait_all_tasks_blocked()
                carts.via("new").cast_nowait(Cart.note, 1)
            await trio.sleep(6)
    assert shop.handled == {"busy": [0, 1, 2], "new": [1]}
    assert shop.lives == {"busy": 1, "new": 1}


async def test_where_none_is_idle_the_starts_wait_in_order_for_the_first_that_is(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=2)
    begun: list[tuple[str, float]] = []

    async def ask(key: str) -> None:
        await carts.via(key).call(Cart.note_slowly, 1, 1)
        begun.append((key, trio.current_time()))

    async with open_on_demand(carts):
        carts.via("x").cast_nowait(Cart.note_slowly, 1, 100)
        carts.via("y").cast_nowait(Cart.note_slowly, 1, 10)
        carts.via("y").cast_nowait(Cart.note_slowly, 2, 10)
        async with trio.open_nursery() as nursery:
            for key in "abcd":
                nursery.start_soon(ask, key)
                await wait_all_tasks_blocked()
        assert begun == [("a", 21), ("b", 22), ("c", 23), ("d", 24)]
        assert shop.most == 2


async def test_no_more_actors_make_room_than_starts_wait(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=3)
    async with open_on_demand(carts):
        for seconds, key in enumerate("xyz", 1):
            carts.via(key).cast_nowait(Cart.note_slowly, 1, seconds)
        await carts.via("a").call(Cart.note, 1)
        assert trio.current_time() == 1
        await trio.sleep(5)
        assert {key for key, _ in carts.items()} == {"y", "z", "a"}


async def test_an_actor_that_owes_an_answer_makes_no_room_before_it_has_given_it(autojump_clock: MockClock) -> None:
    class Later(Cart):
        def later(self, seconds: float) -> Reply[str]:
            reply = Reply[str]()
            self.send_after(seconds, reply)
            return reply

        async def on_message(self, message: Any) -> None:
            message.send("late")

    shop = Shop()
    carts: Any = shop.carts(Later, max_running=1)
    answers: list[tuple[object, float]] = []

    async def ask(key: str, method: Any, arg: Any) -> None:
        answers.append((await carts.via(key).call(method, arg), trio.current_time()))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        nursery.start_soon(ask, "a", Later.later, 5)
        nursery.start_soon(ask, "a", Later.later, 7)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, "b", Later.note, 1)
    assert sorted(answers, key=str) == sorted([(1, 7.0), ("late", 5.0), ("late", 7.0)], key=str)


async def test_a_handler_that_needs_room_itself_still_gives_its_answer_later(autojump_clock: MockClock) -> None:
    class Later(Cart):
        def pass_on(self, key: str) -> Reply[str]:
            self.shop.on_demand.via(key).cast_nowait(Cart.note, "passed on")
            reply = Reply[str]()
            self.send_after(5, reply)
            return reply

        async def on_message(self, message: Any) -> None:
            message.send("late")

    shop = Shop()
    carts: Any = shop.carts(Later, max_running=1)
    async with open_on_demand(carts):
        await carts.via("a").call(Cart.note, 1)
        await wait_all_tasks_blocked()
        assert await carts.via("a").call(Later.pass_on, "b") == "late"  # it ran in the turn of its caller
        await wait_all_tasks_blocked()
        assert shop.handled["b"] == ["passed on"]


async def test_what_is_asked_for_again_while_it_makes_room_waits_behind_the_one_it_makes_room_for(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    shop.stop_takes = 1
    carts = shop.carts(max_running=1)
    order: list[str] = []

    async def ask(key: str) -> None:
        await carts.via(key).call(Cart.note, 1)
        order.append(key)

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        await ask("a")
        for key in "ba":
            nursery.start_soon(ask, key)
            await wait_all_tasks_blocked()
    assert order == ["a", "b", "a"]


async def test_a_start_that_all_callers_have_given_up_takes_no_room(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=1)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 10)
        with trio.move_on_after(1):
            await carts.via("b").call(Cart.note, 1)
        await trio.sleep(20)
        assert "b" not in shop.lives
        assert carts.whereis("b") is None


# Cycles


async def test_to_be_asked_for_room_takes_up_no_room_in_a_bounded_mailbox(autojump_clock: MockClock) -> None:
    class Small(Cart):
        mailbox_size = 1

    shop = Shop()
    carts = shop.carts(Small, max_running=1)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1)
        await wait_all_tasks_blocked()
        carts.via("b").cast_nowait(Cart.note, 1)
        ref = carts.whereis("a")
        assert ref is not None
        assert ref.statistics().queued == 0
        carts.via("a").cast_nowait(Cart.note, 2)
        assert ref.statistics().queued == 1
        with pytest.raises(MailboxFull):
            carts.via("a").cast_nowait(Cart.note, 3)
    assert shop.handled == {"a": [1, 2], "b": [1]}


@pytest.mark.parametrize("behind", [0, 1, 3])
async def test_to_be_asked_for_room_does_not_count_in_the_peak(behind: int, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=2)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 2)
        carts.via("x").cast_nowait(Cart.note_slowly, 1, 1)  # it makes the room
        await wait_all_tasks_blocked()
        ref = carts.whereis("a")
        assert ref is not None
        before = ref.statistics().peak
        carts.via("b").cast_nowait(Cart.note, 1)
        for number in range(behind):
            carts.via("a").cast_nowait(Cart.note, number)
        assert ref.statistics().peak == max(before, behind)
        await trio.sleep(5)
        assert ref.statistics().peak == max(before, behind)
        assert ref.statistics().handled == 1 + behind


async def test_to_be_asked_for_room_is_no_message_that_a_crash_leaves_unhandled(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts(max_running=1)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1)
        await wait_all_tasks_blocked()
        carts.via("b").cast_nowait(Cart.note, 1)
        ref = carts.whereis("a")
        assert ref is not None
        ref.cancel()
        await ref.wait()
    assert shop.handled == {"a": [1], "b": [1]}
    assert "unhandled" not in caplog.text


class Caller(Cart):
    async def ask(self, key: str) -> object:
        return await self.shop.on_demand.via(key).call(Cart.note, f"from {self.key}")

    async def ask_plain(self, name: str) -> object:
        return await names.via(name).call(Plain.pass_on, 1)

    async def ask_in_turn(self, *keys: str) -> object:
        if len(keys) == 1:
            return await self.ask(*keys)
        carts: OnDemand[str, Any] = self.shop.on_demand
        return await carts.via(keys[0]).call(Caller.ask_in_turn, *keys[1:])


class Plain(Actor):
    def __init__(self, carts: OnDemand[str, Any], seconds: float) -> None:
        self.carts = carts
        self.seconds = seconds

    async def pass_on(self, what: object) -> object:
        await trio.sleep(self.seconds)
        return what if self.seconds else await self.carts.via("other").call(Caller.note, what)


names: Registry[str, None] = Registry("names")


def is_cycle(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, CallCycle):
        error = error.__cause__
    return error is not None


async def test_a_call_that_waits_for_the_room_of_its_own_caller_is_a_cycle(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller, max_running=2)
    async with open_on_demand(carts):
        with pytest.raises(ActorExited) as caught:
            await carts.via("a").call(Caller.ask_in_turn, "b", "c")
        assert is_cycle(caught.value)
        await carts.via("x").call(Caller.note, 1)


async def test_a_call_to_a_life_in_its_backoff_is_a_cycle_if_there_is_no_room_for_it(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller, max_running=1, backoff=Backoff(initial=5, maximum=5))
    async with open_on_demand(carts):
        with pytest.raises(ActorExited):
            await carts.via("a").call(Caller.crash)
        carts.via("a").cast_nowait(Caller.note, 1)
        with pytest.raises(ActorExited) as caught, trio.fail_after(4):
            await carts.via("b").call(Caller.ask, "a")
        assert is_cycle(caught.value)
    assert shop.handled == {"a": [1]}


async def test_a_cycle_through_a_life_in_its_backoff_is_found_when_the_last_room_is_taken(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller, max_running=2, backoff=Backoff(initial=5, maximum=5))
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await carts.via("b").call(Caller.ask, "a"))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        with pytest.raises(ActorExited):
            await carts.via("a").call(Caller.crash)
        carts.via("a").cast_nowait(Caller.note, 1)
        nursery.start_soon(ask)  # there is room for "a"
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited) as caught, trio.fail_after(4):
            await carts.via("c").call(Caller.ask, "b")
        assert is_cycle(caught.value)
    assert answers == ["from b"]
    assert shop.handled == {"a": [1, "from b"]}


async def test_a_cycle_through_room_and_another_actor_is_found(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller, max_running=1)
    async with open_on_demand(carts), open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(Plain, carts, 0.0, name=names.via("plain"), restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await carts.via("a").call(Caller.ask_plain, "plain")
        assert is_cycle(caught.value)


async def ask_for_room(carts: OnDemand[str, Any], key: str, seconds: float) -> object:
    if seconds:
        await trio.sleep(seconds)
    return await carts.via(key).call(Cart.note, "from a task")


class Racer(Cart):
    async def race(self, supervisor: DynamicSupervisor, *keys: str, seconds: float = 0, sleeps: bool = False) -> object:
        carts: OnDemand[str, Any] = self.shop.on_demand
        refs: list[Any] = [
            await supervisor.start_child(ask_for_room, carts, key, seconds, restart="temporary") for key in keys
        ]
        if sleeps:
            refs.append(await supervisor.start_child(trio.sleep, 5, restart="temporary"))
        return await race(refs)


@pytest.mark.parametrize("seconds", [0, 1])
@pytest.mark.parametrize("keys", ["b", "bb", "bc"])
async def test_a_race_between_tasks_that_all_wait_for_the_room_of_its_caller_is_a_cycle(
    keys: str, seconds: int, autojump_clock: MockClock
) -> None:
    shop = Shop()
    carts: Any = shop.carts(Racer, max_running=1)
    async with open_on_demand(carts), open_dynamic_supervisor() as supervisor:
        with pytest.raises(ActorExited) as caught, trio.fail_after(2):
            await carts.via("a").call(Racer.race, supervisor, *keys, seconds=seconds)
        assert is_cycle(caught.value)
        supervisor.stop()


async def test_a_race_that_one_task_can_win_without_room_is_no_cycle(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Racer, max_running=1)
    async with open_on_demand(carts), open_dynamic_supervisor(at_end="stop") as supervisor:
        assert await carts.via("a").call(Racer.race, supervisor, "b", sleeps=True) is None
        assert trio.current_time() == 5
        await wait_all_tasks_blocked()
    assert shop.handled == {"b": ["from a task"]}


class Fetcher(Actor):
    async def fetch(self, carts: OnDemand[str, Any], key: str, seconds: float) -> object:
        return await ask_for_room(carts, key, seconds)


class Starter(Actor):
    def __init__(self, carts: OnDemand[str, Any]) -> None:
        self.carts = carts

    async def on_start(self) -> None:
        await ask_for_room(self.carts, "b", 0)


class Owner(Cart):
    async def use(self, pool: Pool[Fetcher]) -> object:
        return await pool.call(Fetcher.fetch, self.shop.on_demand, "c", 0)

    async def start(self, supervisor: ActorRef[DynamicSupervisor]) -> object:
        return await supervisor.call(DynamicSupervisor.start_child, Starter, self.shop.on_demand)


async def test_a_wait_for_workers_that_need_the_waiter_or_its_room_is_a_cycle(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Owner, max_running=1)
    errors: list[ActorExited] = []

    async def fetch(key: str, seconds: float) -> None:
        try:
            await pool.call(Fetcher.fetch, carts, key, seconds)
        except ActorExited as error:
            errors.append(error)

    async with open_on_demand(carts), open_pool(Fetcher, size=2) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(fetch, "a", 1)
        nursery.start_soon(fetch, "b", 2)
        await wait_all_tasks_blocked()
        with pytest.raises(ActorExited) as caught, trio.fail_after(3):
            await carts.via("a").call(Owner.use, pool)
    assert any(is_cycle(error) for error in [*errors, caught.value])


async def test_a_start_that_needs_the_room_of_the_actor_that_has_asked_for_it_is_a_cycle(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts: Any = shop.carts(Owner, max_running=1)
    async with open_on_demand(carts), open_dynamic_supervisor(at_end="stop") as outer:
        supervisor = await outer.start_child(DynamicSupervisor)
        with pytest.raises(ActorExited) as caught, trio.fail_after(1):
            await carts.via("a").call(Owner.start, supervisor)
        assert is_cycle(caught.value)


class Chain(Cart):
    async def chain(self, length: int) -> int:
        carts: Any = self.shop.on_demand
        return 1 + await carts.via(length).call(Chain.chain, length - 1) if length else 0


async def test_a_cycle_at_the_end_of_a_long_chain_of_calls_is_found(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Chain, max_running=1500)
    logging.disable()
    try:
        async with open_on_demand(carts):
            with pytest.raises(ActorExited) as caught:
                await carts.via("first").call(Chain.chain, 1501)
    finally:
        logging.disable(logging.NOTSET)
    assert is_cycle(caught.value)


async def test_a_call_that_waits_for_room_that_will_come_is_no_cycle(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller, max_running=2)
    async with open_on_demand(carts), open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(Plain, carts, 5.0, name=names.via("slow"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(carts.via("a").call, Caller.ask_plain, "slow")
            await wait_all_tasks_blocked()
            assert await carts.via("b").call(Caller.ask, "c") == "from b"
            assert trio.current_time() == 5
        supervisor.stop()


async def test_a_look_whether_an_actor_is_idle_does_not_count_as_its_use(autojump_clock: MockClock) -> None:
    carts: Any = Shop().carts(max_running=2, retire_after=10)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 3)  # at work when it is looked at, after a second
        await trio.sleep(1.5)
        await carts.via("b").call(Cart.note, 2)
        await trio.sleep(3)
        await carts.via("c").call(Cart.note, 3)
        assert [carts.whereis(key) is not None for key in "abc"] == [False, True, True]
