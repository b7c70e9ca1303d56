"""Actors on demand: started by a message, retired when idle, and started again."""

from __future__ import annotations

import logging
import math
from threading import Event, Thread
from typing import Any

import pytest
import trio
from support.carts import Cart, Shop
from support.errors import Bang
from support.steps import AtStep
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    Backoff,
    CallCycle,
    ChildSpec,
    MailboxFull,
    NotRegistered,
    NotRunning,
    OnDemand,
    OnDemandSupervisor,
    Registry,
    Reply,
    current,
    open_on_demand,
    open_supervisor,
)
from trioreg._supervision.on_demand_lives import Lives
from trioreg.testing import explore

LIVES = "trioreg._supervision.on_demand_supervisor.Lives"

# A start on first use


async def test_the_first_message_starts_the_actor(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts()
    async with open_on_demand(carts):
        address = carts.via("a")
        assert (len(carts), carts.whereis("a")) == (0, None)
        assert await address.call(Cart.note, 1) == 1
        address.cast_nowait(Cart.note, 2)
        await address.cast(Cart.note, 3)
        address.send_nowait(4)
        await address.send(5)
        assert await address.call(Cart.note, 6) == 6
    assert shop.handled == {"a": [1, 2, 3, 4, 5, 6]}
    assert shop.lives == {"a": 1}


@pytest.mark.parametrize("form", ["call", "cast", "send", "cast_nowait", "send_nowait"])
async def test_every_form_of_message_starts_it(form: str, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts()
    async with open_on_demand(carts):
        args = (1,) if form.startswith("send") else (Cart.note, 1)
        result = getattr(carts.via("a"), form)(*args)
        if result is not None:
            await result
        await wait_all_tasks_blocked()
        assert shop.handled["a"] == [1]


async def test_ten_thousand_first_messages_at_once_start_one_actor(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.start_takes = 1
    carts = shop.carts()
    async with open_on_demand(carts), trio.open_nursery() as nursery:
        for number in range(10_000):
            nursery.start_soon(carts.via("a").call, Cart.note, number)
    assert shop.lives == {"a": 1}
    assert sorted(shop.handled["a"]) == list(range(10_000))


async def test_a_start_that_fails_fails_for_all_who_wait_and_leaves_nothing_behind(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    shop.start_takes = 1
    shop.fails["a"] = 1
    carts = shop.carts()
    errors: list[ActorExited] = []

    async def ask() -> None:
        try:
            await carts.via("a").call(Cart.note, 1)
        except ActorExited as error:
            errors.append(error)

    async with open_on_demand(carts) as supervisor:
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
        assert len(errors) == 100
        assert all(isinstance(error.__cause__, Bang) for error in errors)
        assert (len(carts), carts.registry.items(), supervisor.which_children()) == (0, [], [])
        assert await carts.via("a").call(Cart.note, 2) == 2
    assert shop.lives == {"a": 2}


async def test_a_message_that_is_wrong_starts_nothing() -> None:
    carts: OnDemand[str, Cart] = Shop().carts()
    untyped: Any = carts.via("a")
    async with open_on_demand(carts):
        for wrong in [(Cart.note,), (Actor.stop,), (str.upper,)]:
            with pytest.raises(TypeError):
                await untyped.call(*wrong)
            with pytest.raises(TypeError):
                await untyped.cast(*wrong)
            with pytest.raises(TypeError):
                untyped.cast_nowait(*wrong)
        assert (len(carts), carts.registry.items()) == (0, [])


async def test_what_is_no_message_starts_nothing() -> None:
    carts = Shop().carts()
    async with open_on_demand(carts):
        address = carts.via("a")
        for end in (address.cancel, address.kill):
            with pytest.raises(NotRegistered):
                end()
        for wait in (address.stop, address.wait):
            with pytest.raises(NotRegistered):
                await wait()
        assert len(carts) == 0


async def test_without_its_supervisor_a_message_is_refused(autojump_clock: MockClock) -> None:
    carts = Shop().carts()
    for _ in range(2):
        with pytest.raises(NotRunning, match=r"^carts is not running: send messages while open_on_demand\(\.\.\.\) or"):
            await carts.via("a").call(Cart.note, 1)
        async with open_on_demand(carts):
            await carts.via("a").call(Cart.note, 1)
    with pytest.raises(NotRunning, match="carts"):
        carts.via("a").cast_nowait(Cart.note, 1)


async def test_only_one_supervisor_at_a_time_runs_them() -> None:
    carts = Shop().carts()
    async with open_on_demand(carts):
        with pytest.raises(ExceptionGroup) as caught:
            async with open_on_demand(carts):
                pass
        assert caught.group_contains(RuntimeError, match="another supervisor")
        assert await carts.via("a").call(Cart.note, 1) == 1


async def test_only_one_of_two_threads_that_open_them_at_once_runs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    carts = Shop().carts()
    opened: list[str] = []

    async def open_them(who: str) -> None:
        try:
            async with open_on_demand(carts):
                opened.append(who)
                await trio.lowlevel.checkpoint()
        except* RuntimeError:
            opened.append("refused")

    def meanwhile(*args: Any) -> Any:
        monkeypatch.setattr(LIVES, Lives)
        other = Thread(target=trio.run, args=(open_while_it_opens,))
        other.start()
        assert is_open.wait(10)
        threads.append(other)
        return Lives(*args)

    threads: list[Thread] = []
    is_open, may_close = Event(), Event()

    async def open_while_it_opens() -> None:
        async with open_on_demand(carts):
            opened.append("other")
            is_open.set()
            await trio.to_thread.run_sync(may_close.wait, 10)

    monkeypatch.setattr(LIVES, meanwhile)
    await open_them("this")
    may_close.set()
    await trio.to_thread.run_sync(threads[0].join)
    assert opened == ["other", "refused"]


async def test_a_message_from_another_thread_is_refused() -> None:
    carts = Shop().carts()
    async with open_on_demand(carts):
        with pytest.raises(RuntimeError, match="thread"):
            await trio.to_thread.run_sync(lambda: carts.via("a").cast_nowait(Cart.note, 1))
        assert len(carts) == 0


async def test_a_finalizer_can_send_the_first_message(autojump_clock: MockClock) -> None:
    import gc

    shop = Shop()
    carts = shop.carts()

    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            carts.via("a").cast_nowait(Cart.note, "from __del__")

    async with open_on_demand(carts):
        Cycle()
        gc.collect()
        await wait_all_tasks_blocked()
    assert shop.handled == {"a": ["from __del__"]}


# The names


async def test_the_name_is_in_the_registry_that_is_given(autojump_clock: MockClock) -> None:
    shop = Shop()
    names: Registry[str, None] = Registry("names", partitions=4)
    carts = shop.carts(registry=names)
    async with open_on_demand(carts):
        assert await carts.via("a").call(Cart.note, 1) == 1
        assert names.whereis("a") is carts.whereis("a")
        names.register("b")
        with pytest.raises(AlreadyRegistered):
            await carts.via("b").call(Cart.note, 1)
        names.unregister("b")
        assert await carts.via("b").call(Cart.note, 1) == 1
    assert names.count() == 0


async def test_each_life_has_a_value_of_its_own_beside_its_name(autojump_clock: MockClock) -> None:
    totals: Registry[str, int | None] = Registry("totals")
    before: list[int | None] = []

    class Summed(Actor):
        def __init__(self, key: str) -> None:
            self.key = key

        def put(self, total: int) -> None:
            before.append(totals.update_value(self.key, lambda _: total)[1])

        def fail(self) -> None:
            raise OSError

    carts = OnDemand("carts", Summed, registry=totals)
    async with open_on_demand(carts):
        await carts.via("a").call(Summed.put, 7)
        await carts.via("b").call(Summed.put, 8)
        assert await totals.select(value=7) == [("a", carts.whereis("a"), 7)]
        carts.via("a").cast_nowait(Summed.fail)
        await wait_all_tasks_blocked()
        assert [key for key, _ in totals.items()] == ["b"]
        await carts.via("a").call(Summed.put, 9)
        first = carts.whereis("b")
        assert first is not None
        first.kill()
        await carts.via("b").call(Summed.put, 10)  # it waits for the end of the first life
    assert before == [None, None, None, None]


async def test_a_listener_on_demand_that_is_not_run_is_as_one_that_is_not_there(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts()
    names: Registry[str, None] = Registry("names", listeners=[carts.via("log")])
    names.register("before")
    async with open_on_demand(carts):
        names.register("while")
        await wait_all_tasks_blocked()
    names.register("after")
    assert [event.key for event in shop.handled["log"]] == ["while"]
    assert caplog.records == []


async def test_all_that_run_are_listed() -> None:
    carts = Shop().carts()
    async with open_on_demand(carts) as supervisor:
        for key in "abc":
            await carts.via(key).call(Cart.note, 1)
        assert len(carts) == 3
        assert carts.items() == [(key, carts.whereis(key)) for key in "abc"]
        assert [child.ref for child in supervisor.which_children()] == [ref for _, ref in carts.items()]
        assert "'b'" in supervisor.tree()


def test_an_address_is_a_value() -> None:
    carts, others = Shop().carts(), Shop().carts()
    assert carts.via("a") == carts.via("a") != carts.via("b")
    assert carts.via("a") != others.via("a")
    assert len({carts.via("a"), carts.via("a")}) == 1
    assert repr(carts.via("a")) == "<via carts 'a'>"
    with pytest.raises(TypeError, match="key must be hashable"):
        carts.via([])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "options",
    list[dict[str, Any]](
        [
            {"retire_after": 0},
            {"retire_after": "x"},
            {"max_running": 0},
            {"max_running": 1.5},
            {"backoff": 1},
            {"limit": 3},
            {"shutdown": -1},
            {"registry": Registry("topics", keys="duplicate")},
            {"registry": 1},
        ]
    ),
)
def test_a_wrong_option_is_refused_by_name(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises((TypeError, ValueError), match="OnDemand" if "topics" in repr(options) else name):
        Shop().carts(**options)


async def test_a_function_can_not_be_started_on_demand() -> None:
    async def worker(key: str) -> None: ...

    with pytest.raises(TypeError, match="factory must be an Actor class"):
        OnDemand("workers", worker)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]


# Retirement


async def test_an_idle_actor_is_retired_not_before_its_time_and_at_most_a_tenth_later(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    carts = shop.carts(retire_after=100)
    async with open_on_demand(carts):
        address = carts.via("a")
        await address.call(Cart.note, 1)
        for _ in range(5):
            await trio.sleep(99)
            await address.call(Cart.note, 1)
        assert shop.lives == {"a": 1}
        ref = carts.whereis("a")
        assert ref is not None
        began = trio.current_time()
        exit = await ref.wait()
        assert exit.reason == "normal"
        assert 100 <= trio.current_time() - began <= 110
        assert (len(carts), carts.registry.count()) == (0, 0)
        await address.call(Cart.note, 1)
    assert shop.lives == {"a": 2}


class Busy(Cart):
    idle_timeout = None

    def later(self, seconds: float) -> Reply[str]:
        reply = Reply[str]()

        async def answer() -> None:
            await trio.sleep(seconds)
            reply.send("late")

        self.start_soon(answer)
        return reply


async def test_an_actor_that_has_something_to_do_is_not_retired(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Busy, retire_after=1)
    async with open_on_demand(carts):
        await carts.via("a").call(Busy.note_slowly, 1, 50)
        assert await carts.via("b").call(Busy.later, 50) == "late"
    assert shop.lives == {"a": 1, "b": 1}


class Ticking(Cart):
    idle_timeout = 3

    async def on_idle(self) -> None:
        pass

    def begin(self, how: str) -> None:
        if how == "cast_every":
            self.cast_every(2.7, Ticking.tick)
        elif how == "send_every":
            self.send_every(2.7, "tick")
        elif how == "send_after":
            self.send_after(9.5, "tick")

    async def tick(self) -> None:
        pass

    async def on_message(self, message: object) -> None:
        pass


@pytest.mark.parametrize("how", ["cast_every", "send_every", "send_after", "on_idle"])
async def test_what_an_actor_does_by_itself_does_not_keep_it(how: str, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Ticking, retire_after=10)
    async with open_on_demand(carts):
        await carts.via("a").call(Ticking.begin, how)
        ref = carts.whereis("a")
        with trio.fail_after(20):
            await ref.wait()


class AtWork(Cart):
    idle_seconds = 0.0

    async def on_idle(self) -> None:
        await self.work(self.idle_seconds)

    def begin(self, how: str, seconds: float) -> None:
        if how == "cast_every":
            self.cast_every(1, AtWork.work, seconds)
        elif how == "send_every":
            self.send_every(1, seconds)
        else:
            self.idle_timeout = 1 - seconds
            self.idle_seconds = seconds

    async def work(self, seconds: float) -> None:
        if seconds:
            await trio.sleep(seconds)

    async def on_message(self, message: Any) -> None:
        await self.work(message)


@pytest.mark.parametrize("seconds", [0, 0.6])
@pytest.mark.parametrize("how", ["cast_every", "send_every", "on_idle"])
async def test_an_actor_that_is_at_work_by_itself_each_time_it_is_looked_at_is_retired(
    how: str, seconds: float, autojump_clock: MockClock
) -> None:
    # It is looked at once a second, too.
    shop = Shop()
    carts: Any = shop.carts(AtWork, retire_after=10)
    async with open_on_demand(carts):
        await carts.via("a").call(AtWork.begin, how, seconds)
        ref = carts.whereis("a")
        with trio.fail_after(12 + seconds + 0.1):
            await ref.wait()


async def test_an_actor_whose_own_work_takes_several_looks_is_retired(autojump_clock: MockClock) -> None:
    class Slow(AtWork):
        idle_timeout = 1
        idle_seconds = 4.5

    shop = Shop()
    carts: Any = shop.carts(Slow, retire_after=10)
    async with open_on_demand(carts):
        await carts.via("a").call(Slow.note, "x")
        ref = carts.whereis("a")
        with trio.fail_after(30):
            await ref.wait()


async def test_an_actor_that_is_sent_messages_beside_its_own_work_is_not_retired(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(AtWork, retire_after=10)
    async with open_on_demand(carts):
        await carts.via("a").call(AtWork.begin, "cast_every", 0.6)
        ref = carts.whereis("a")
        for _ in range(10):
            await trio.sleep(9.5)
            carts.via("a").cast_nowait(AtWork.note, "x")
        assert ref.is_alive
        sent_last = trio.current_time()
        with trio.fail_after(13):
            await ref.wait()
        assert trio.current_time() - sent_last >= 10


async def test_two_thousand_are_retired_and_started_again(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(retire_after=10)
    async with open_on_demand(carts):
        for life in (1, 2):
            for number in range(2_000):
                carts.via(str(number)).cast_nowait(Cart.note, life)
            await wait_all_tasks_blocked()
            assert len(carts) == 2_000
            await trio.sleep(12)
            assert len(carts) == 0
    assert set(shop.lives.values()) == {2}


@pytest.mark.parametrize("mailbox_size", [None, 1])
@pytest.mark.parametrize("how", ["retire", "stop", "stop itself", "stop while busy"])
async def test_a_message_at_any_step_of_an_end_is_handled_once(
    how: str, mailbox_size: int | None, autojump_clock: MockClock
) -> None:
    class Slow(Cart):
        async def on_stop(self, exit: Any) -> None:
            await super().on_stop(exit)
            await trio.lowlevel.checkpoint()

    Slow.mailbox_size = mailbox_size
    n = 0
    is_over = False
    lives: set[int] = set()
    while not is_over:
        shop = Shop()
        shop.stop_takes = 1
        carts: Any = shop.carts(Slow, retire_after=10)
        address = carts.via("a")
        go = trio.Event()
        sent = ["first"]

        async def ask(carts: Any = carts, go: trio.Event = go) -> None:
            await go.wait()
            assert await carts.via("a").call(Slow.note, "asked") == "asked"

        async def tell(carts: Any = carts, go: trio.Event = go) -> None:
            await go.wait()
            await carts.via("a").cast(Slow.note, "told")

        def post(carts: Any = carts, go: trio.Event = go, sent: list[str] = sent) -> None:
            go.set()
            try:
                carts.via("a").cast_nowait(Slow.note, "posted")
                carts.via("a").cast_nowait(Slow.note, "posted 2")
            except MailboxFull:
                return
            sent.append("posted")

        async with open_on_demand(carts), trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(tell)
            await address.call(Slow.note, "first")
            ref = carts.whereis("a")
            step = AtStep(n, post)
            if how == "retire":
                await trio.sleep(10.5)
            trio.lowlevel.add_instrument(step)
            if how == "stop while busy":
                address.cast_nowait(Slow.note_slowly, "slow")
            if how == "stop itself":
                address.cast_nowait(Slow.finish)
            elif how != "retire":
                nursery.start_soon(ref.stop)
            await ref.wait()
            trio.lowlevel.remove_instrument(step)
            is_over = not step.is_done
            if is_over:
                post()
        handled = shop.handled["a"]
        assert sorted({"asked", "told", *handled}) == sorted(set(handled)), (n, handled)
        assert len(set(handled)) == len(handled), (n, handled)
        if mailbox_size is None:
            assert handled.index("posted") < handled.index("posted 2"), (n, handled)
        elif "posted" in sent:
            assert "posted" in handled
        lives.add(shop.lives["a"])
        n += 1
    assert n > 4
    assert 2 in lives


async def test_messages_to_a_stopping_actor_wait_for_its_next_life(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 5
    carts = shop.carts()
    address = carts.via("a")
    async with open_on_demand(carts), trio.open_nursery() as nursery:
        await address.call(Cart.note, 0)
        first = carts.whereis("a")
        nursery.start_soon(address.stop)
        await trio.sleep(1)
        assert first is not None and first.state == "ending"
        for number in range(1, 4):
            address.cast_nowait(Cart.note, number)
        assert carts.registry.whereis("a") is first
        second = carts.whereis("a")
        assert second is not None and second is not first and second.state == "starting"
        assert len(carts) == 1
        assert await address.call(Cart.note, 4) == 4
        assert trio.current_time() >= 5
        assert carts.registry.whereis("a") is second
    assert shop.handled["a"] == [0, 1, 2, 3, 4]


async def test_calls_that_wait_for_room_in_a_stopping_actor_go_to_its_next_life(autojump_clock: MockClock) -> None:
    class Small(Cart):
        mailbox_size = 1

    shop = Shop()
    carts: Any = shop.carts(Small)
    address = carts.via("a")
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await address.call(Small.note, number))

    async with open_on_demand(carts), trio.open_nursery() as nursery:
        address.cast_nowait(Small.note_slowly, "slow", 5)
        await wait_all_tasks_blocked()
        for number in range(5):
            nursery.start_soon(ask, number)
        with trio.move_on_after(1):
            await address.call(Small.note, "given up before")
        nursery.start_soon(address.cast, Small.note, "cast")
        await wait_all_tasks_blocked()
        nursery.start_soon(address.stop)
        with trio.move_on_after(1):
            await address.call(Small.note, "given up after")
    assert sorted(answers) == list(range(5))
    assert sorted(map(str, shop.handled["a"])) == ["0", "1", "2", "3", "4", "cast", "slow"]
    assert shop.lives == {"a": 2}


async def test_a_next_life_that_all_callers_have_given_up_is_not_started(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 5
    carts = shop.carts()
    address = carts.via("a")
    async with open_on_demand(carts) as supervisor, trio.open_nursery() as nursery:
        await address.call(Cart.note, 0)
        nursery.start_soon(address.stop)
        await trio.sleep(1)
        with trio.move_on_after(1):
            await address.call(Cart.note, 1)
        await trio.sleep(5)
        assert (len(carts), carts.registry.count(), supervisor.which_children()) == (0, 0, [])
    assert (shop.lives, shop.handled) == ({"a": 1}, {"a": [0]})


@pytest.mark.parametrize("how", ["cancel", "kill"])
async def test_an_actor_that_hangs_in_its_start_can_be_ended(how: str, autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.start_takes = math.inf
    carts = shop.carts()
    async with open_on_demand(carts), trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorExited):
                await carts.via("a").call(Cart.note, 1)

        await wait_all_tasks_blocked()
        ref = carts.whereis("a")
        assert ref is not None and ref.state == "starting"
        getattr(ref, how)()
        assert (await ref.wait()).reason in ("shutdown", "killed")
        assert trio.current_time() == 0
        shop.start_takes = 0
        assert await carts.via("a").call(Cart.note, 2) == 2


# Crashes


async def test_a_crash_is_told_to_its_callers_and_the_next_message_starts_anew(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts()
    address = carts.via("a")
    async with open_on_demand(carts):
        with pytest.raises(ActorExited) as caught:
            await address.call(Cart.crash)
        assert isinstance(caught.value.__cause__, Bang)
        assert await address.call(Cart.note, 1) == 1
    assert shop.lives == {"a": 2}
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None and isinstance(record.exc_info[1], Bang)


async def test_a_declared_error_is_no_crash() -> None:
    shop = Shop()
    carts = shop.carts()
    async with open_on_demand(carts):
        with pytest.raises(ValueError, match="1"):
            await carts.via("a").call(Cart.refuse, 1)
        await carts.via("a").call(Cart.note, 1)
    assert shop.lives == {"a": 1}


async def test_after_a_crash_the_next_start_waits_for_the_backoff(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(backoff=Backoff(initial=1, maximum=100))
    address = carts.via("a")
    async with open_on_demand(carts):
        waits: list[float] = []
        for _ in range(4):
            began = trio.current_time()
            with pytest.raises(ActorExited):
                await address.call(Cart.crash)
            waits.append(trio.current_time() - began)
        assert waits == [0, 1, 2, 4]
        await trio.sleep(50)
        began = trio.current_time()
        await address.call(Cart.note, 1)
        assert trio.current_time() == began  # the wait counts from the crash
        await address.stop()
        with pytest.raises(ActorExited):
            await address.call(Cart.crash)
        began = trio.current_time()
        await address.call(Cart.note, 1)
        assert trio.current_time() - began == 1  # an orderly end begins the waits anew
        await carts.via("b").call(Cart.note, 1)  # each key has its own


async def test_a_kill_is_told_and_ends_only_that_life(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts()
    address = carts.via("a")

    async with open_on_demand(carts):
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ask() -> None:
                with pytest.raises(ActorExited):
                    await address.call(Cart.note_slowly, 1, 10)

            await wait_all_tasks_blocked()
            address.kill()
        assert await address.call(Cart.note, 2) == 2


async def test_a_next_life_can_be_ended_before_it_has_begun(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.stop_takes = 5
    carts = shop.carts()
    address = carts.via("a")
    async with open_on_demand(carts), trio.open_nursery() as nursery:
        await address.call(Cart.note, 0)
        first = carts.whereis("a")
        assert first is not None
        nursery.start_soon(first.stop)
        await trio.sleep(1)

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorExited):
                await address.call(Cart.note, 1)

        await wait_all_tasks_blocked()
        second = carts.whereis("a")
        assert second is not None and second is not first
        second.cancel()
        assert (await second.wait()).reason == "shutdown"
        assert trio.current_time() == 1
        assert carts.registry.whereis("a") is first
        assert await address.call(Cart.note, 2) == 2
    assert shop.handled["a"] == [0, 2]


async def test_a_life_behind_one_that_is_ended_before_it_has_begun_waits_for_the_first(
    autojump_clock: MockClock,
) -> None:
    shop = Shop()
    shop.stop_takes = 5
    carts = shop.carts()
    address = carts.via("a")
    async with open_on_demand(carts), trio.open_nursery() as nursery:
        await address.call(Cart.note, 0)
        first = carts.whereis("a")
        assert first is not None
        nursery.start_soon(first.stop)
        await trio.sleep(1)
        address.cast_nowait(Cart.note, "lost, and the log says so")
        second = carts.whereis("a")
        assert second is not None
        second.cancel()
        address.cast_nowait(Cart.note, 1)  # in the same step
        await trio.sleep(1)
        assert second.state == "ended"
        assert carts.registry.whereis("a") is first
        assert await address.call(Cart.note, 2) == 2
        assert trio.current_time() == 5
    assert shop.handled["a"] == [0, 1, 2]


async def test_a_crash_that_ends_the_program_leaves_the_block() -> None:
    class Exiting(Cart):
        def leave(self) -> None:
            raise SystemExit(3)

    carts: Any = Shop().carts(Exiting)
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_on_demand(carts):
            carts.via("a").cast_nowait(Exiting.leave)
            await trio.sleep_forever()
    assert caught.group_contains(SystemExit)


# Cycles


class Caller(Cart):
    async def ask(self, key: str) -> object:
        return await self.shop.on_demand.via(key).call(Cart.note, f"from {self.key}")

    async def ask_back(self, key: str) -> object:
        carts: OnDemand[str, Any] = self.shop.on_demand
        return await carts.via(key).call(Caller.ask, self.key)

    async def stop_and_ask(self, key: str) -> object:
        self.stop()
        return await self.ask(key)


async def test_an_actor_calls_another_one() -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller)
    async with open_on_demand(carts):
        assert await carts.via("a").call(Caller.ask, "b") == "from a"


@pytest.mark.parametrize("method", [Caller.ask, Caller.ask_back, Caller.stop_and_ask])
async def test_a_call_that_could_never_be_answered_is_a_cycle(method: Any, autojump_clock: MockClock) -> None:
    shop = Shop()
    carts: Any = shop.carts(Caller)
    async with open_on_demand(carts):
        with pytest.raises(ActorExited) as caught:
            await carts.via("a").call(method, "b" if method is Caller.ask_back else "a")
        cause: BaseException | None = caught.value
        while cause is not None and not isinstance(cause, CallCycle):
            cause = cause.__cause__
        assert cause is not None


# In a tree, and the end


async def test_it_is_part_of_a_tree(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(retire_after=10)
    async with open_supervisor(children=[ChildSpec(OnDemandSupervisor, (carts,))]) as supervisor:
        assert await carts.via("a").call(Cart.note, 1) == 1
        assert "carts" in supervisor.tree() or "'a'" in supervisor.tree()
        (info,) = supervisor.which_children()
        ref: ActorRef[OnDemandSupervisor] | None = info.ref
        assert ref is not None
        ref.kill()
        await ref.wait()
        await wait_all_tasks_blocked()
        assert await carts.via("a").call(Cart.note, 2) == 2
        supervisor.stop()
    assert (len(carts), carts.registry.count()) == (0, 0)


async def test_its_supervisor_starts_no_child_by_hand() -> None:
    carts = Shop().carts()
    async with open_on_demand(carts) as supervisor:
        with pytest.raises(TypeError, match="a message to its address"):
            await supervisor.start_child(Cart)


async def test_a_child_can_be_terminated(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts()
    async with open_on_demand(carts) as supervisor:
        await carts.via("a").call(Cart.note, 1)
        ref = carts.whereis("a")
        assert ref is not None
        await supervisor.terminate_child(ref)
        assert (len(carts), supervisor.which_children()) == (0, [])
        await carts.via("a").call(Cart.note, 2)
    assert shop.lives == {"a": 2}


async def test_at_the_end_each_handles_what_it_has(autojump_clock: MockClock) -> None:
    shop = Shop()
    shop.start_takes = 0.1
    carts = shop.carts(max_running=2, backoff=Backoff(initial=100, maximum=1000), shutdown=60)

    async def send_too_late() -> None:
        await trio.sleep(1)
        for key in ("a", "new"):
            with pytest.raises(NotRunning):
                carts.via(key).cast_nowait(Cart.note, "too late")

    async with trio.open_nursery() as nursery, open_on_demand(carts):
        with pytest.raises(ActorExited):
            await carts.via("crashed").call(Cart.crash)
        carts.via("crashed").cast_nowait(Cart.note, 1)  # in its backoff
        for key in "abcd":
            for number in range(3):
                carts.via(key).cast_nowait(Cart.note_slowly, number)
        nursery.start_soon(send_too_late)
    assert shop.handled == {**{key: [0, 1, 2] for key in "abcd"}, "crashed": [1]}
    assert shop.most == 2
    assert trio.current_time() < 10
    assert (len(carts), carts.registry.count()) == (0, 0)


async def test_at_the_end_an_actor_that_takes_too_long_is_killed(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop()
    carts = shop.carts(shutdown=2)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, math.inf)
        carts.via("b").cast_nowait(Cart.note_slowly, 1, 1)
        await wait_all_tasks_blocked()
        refs = dict(carts.items())
    assert trio.current_time() == 2
    assert [(ref.exit and ref.exit.reason) for ref in refs.values()] == ["killed", "normal"]
    assert "its 2 seconds to end are over" in caplog.text


async def test_at_the_end_an_actor_that_goes_on_when_it_is_killed_is_killed_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Cart):
        async def go_on(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)

    carts: Any = Shop().carts(Stubborn, shutdown=2)
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Stubborn.go_on)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 10
    assert caplog.text.count("its 2 seconds to end are over") == 1


async def test_with_shutdown_kill_nothing_is_handled_at_the_end(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(shutdown="kill")
    async with open_on_demand(carts):
        carts.via("a").cast_nowait(Cart.note_slowly, 1, 5)
        await wait_all_tasks_blocked()
    assert trio.current_time() == 0
    assert (len(carts), carts.registry.count()) == (0, 0)


async def test_a_cancelled_block_ends_all_in_order(autojump_clock: MockClock) -> None:
    shop = Shop()
    carts = shop.carts(max_running=1)
    with trio.move_on_after(1):
        async with open_on_demand(carts):
            for key in "abc":
                carts.via(key).cast_nowait(Cart.note_slowly, key, 2)
            await trio.sleep_forever()
    assert (len(carts), carts.registry.count()) == (0, 0)
    assert shop.handled == {"a": ["a"], "b": ["b"], "c": ["c"]}


async def test_inside_a_handler_the_current_actor_is_the_life() -> None:
    class Own(Cart):
        def own(self) -> bool:
            return current() is self.ref

    carts: Any = Shop().carts(Own)
    async with open_on_demand(carts):
        assert await carts.via("a").call(Own.own)


def test_a_call_whose_actor_is_stopped_at_its_checkpoint_is_handled_by_the_next_life_in_any_order() -> None:
    lives: set[int] = set()

    async def scenario() -> None:
        shop = Shop()
        carts = shop.carts()
        async with open_on_demand(carts), trio.open_nursery() as nursery:
            await carts.via("a").call(Cart.note, 1)
            nursery.start_soon(carts.via("a").stop)
            assert await carts.via("a").call(Cart.note, 2) == 2
        assert shop.handled == {"a": [1, 2]}
        lives.add(shop.lives["a"])

    explore(scenario, runs=20)
    assert lives == {1, 2}  # it was stopped before, and behind
