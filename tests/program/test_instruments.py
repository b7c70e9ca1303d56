"""What an instrument is told, and in which order."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any, cast

import pytest
import trio
from support.supervisors import supervised, supervising
from support.topics import Reader
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Exit, Instrument, Message, PubSub, Registered, Registry, Unregistered
from trioreg._runtime import UNUSUAL


class Cart(Actor):
    idle_timeout = 5

    def add(self, item: str) -> str:
        return item

    async def pay(self) -> None:
        await trio.sleep(1)

    def wrapped(self) -> Any:
        return self.pay()

    def fail(self) -> None:
        raise OSError("no disk")

    @trioreg.raises(KeyError)
    def find(self) -> None:
        raise KeyError("tea")

    def remind(self) -> None:
        self.cast_after(1, Cart.add, "milk")

    async def on_message(self, message: object) -> None: ...

    async def on_idle(self) -> None: ...


class Notes(Instrument):
    """Notes each hook, as a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kept: list[Message] = []

    def actor_starting(self, ref: ActorRef[Any], /) -> None:
        self.lines.append("starting")

    def actor_started(self, ref: ActorRef[Any], /) -> None:
        self.lines.append("started")

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        assert carts.whereis("a") is not ref
        self.lines.append(f"exited {exit.reason}")

    def restarted(self, ref: ActorRef[Any], restarts: int, /) -> None:
        self.lines.append(f"restarted {restarts}")

    def gave_up(self, supervisor: str, error: trioreg.RestartLimitExceeded, /) -> None:
        self.lines.append(f"gave up {supervisor}")

    def message_sent(self, message: Message, /) -> None:
        self.kept.append(message)
        self.lines.append(f"sent {message.kind}")

    def handling(self, message: Message, /) -> None:
        self.lines.append(f"handling {message.method}{message.args}")

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.lines.append(f"handled {value}" if error is None else f"handled {type(error).__name__}")

    def message_left(self, message: Message, why: str, /) -> None:
        self.lines.append(f"left {message.method} {why}")


class Names(Instrument):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def registered(self, event: Registered[Any, Any], /) -> None:
        self.lines.append(f"+ {event.key} in {event.registry}")

    def unregistered(self, event: Unregistered[Any, Any], /) -> None:
        self.lines.append(f"- {event.key} in {event.registry}")

    def published(self, pubsub: str, topic: Hashable, message: object, count: int, /) -> None:
        self.lines.append(f"{pubsub}/{topic}: {message} to {count}")


carts: Registry[str, None] = Registry("carts")


async def test_an_actor_is_told_from_its_start_to_its_end(autojump_clock: MockClock) -> None:
    notes = Notes()
    trioreg.add_instrument(notes)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="temporary")
        await ref.stop()
    assert notes.lines == ["starting", "started", "exited normal"]


async def test_a_restart_is_told_after_the_end_before_it(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"))
        trioreg.add_instrument(notes)
        ref.kill()
        await wait_all_tasks_blocked()
        trioreg.remove_instrument(notes)
    assert notes.lines == ["exited killed", "restarted 1", "starting", "started"]


async def test_a_supervisor_that_gives_up_is_told_with_its_path(autojump_clock: MockClock) -> None:
    notes = Notes()
    trioreg.add_instrument(notes)
    with pytest.RaisesGroup(trioreg.RestartLimitExceeded, trioreg.ActorExited):
        async with trioreg.open_dynamic_supervisor(max_restarts=0, name="shop") as supervisor:
            (await supervisor.start_child(Cart)).kill()
            await trio.sleep_forever()
    assert "gave up shop" in notes.lines


@pytest.mark.parametrize(
    ("method", "result"), [(Cart.add, "tea"), (Cart.pay, "None"), (Cart.wrapped, "None"), (Cart.find, "KeyError")]
)
async def test_a_call_is_told_once_from_the_sender_to_the_result(
    method: Any, result: str, autojump_clock: MockClock
) -> None:
    notes = Notes()
    args = ("tea",) if method is Cart.add else ()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"))
        trioreg.add_instrument(notes)
        if result == "KeyError":
            with pytest.raises(KeyError):
                await ref.call(method, *args)
        else:
            await ref.call(method, *args)
        trioreg.remove_instrument(notes)
    assert notes.lines == ["sent call", f"handling Cart.{method.__name__}{args}", f"handled {result}"]


async def test_each_way_to_send_has_its_kind(autojump_clock: MockClock) -> None:
    notes = Notes()
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"))
        topics.join("news", Cart.add, owner=ref)
        trioreg.add_instrument(notes)
        ref.cast_nowait(Cart.add, "tea")
        await ref.cast(Cart.add, item="tea")
        ref.send_nowait("hello")
        await ref.send("hello")
        topics.publish_nowait("news", "rain")
        ref.cast_nowait(Cart.remind)
        await trio.sleep(8)
        trioreg.remove_instrument(notes)
    kinds = [message.kind for message in notes.kept]
    assert kinds == ["cast", "cast", "send", "send", "publication", "cast", "timer", "idle"]
    assert sum(line.startswith("handling") for line in notes.lines) == len(kinds)
    assert sum(line.startswith("handled") for line in notes.lines) == len(kinds)


async def test_a_function_actor_is_done_with_a_message_when_it_takes_the_next(autojump_clock: MockClock) -> None:
    async def worker() -> None:
        while True:
            await trioreg.receive()

    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        trioreg.add_instrument(notes)
        for number in range(2):
            ref.send_nowait(number)
        await wait_all_tasks_blocked()
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert notes.lines == [
        "sent send",
        "sent send",
        "handling None(0,)",
        "handled None",
        "handling None(1,)",
        "handled Cancelled",
        "exited killed",
    ]


async def test_a_message_that_nobody_handles_is_told_with_the_reason(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="temporary")
        ref.cast_nowait(Cart.add, "before")
        trioreg.add_instrument(notes)
        ref.cast_nowait(Cart.pay)
        with trio.move_on_after(0.5):
            await ref.call(Cart.add, "withdrawn")
        ref.cast_nowait(Cart.add, "left")
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert [line for line in notes.lines if line.startswith("left")] == [
        "left Cart.add withdrawn",
        "left Cart.add exited",
    ]


async def test_a_message_from_before_the_instrument_is_told_if_nobody_handles_it(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="temporary")
        ref.cast_nowait(Cart.add, "before")
        trioreg.add_instrument(notes)
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert notes.lines == ["left Cart.add exited", "exited killed"]


async def test_a_second_instrument_is_told_of_a_dead_letter_from_before_it(autojump_clock: MockClock) -> None:
    first, second = Notes(), Notes()
    trioreg.add_instrument(first)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="temporary")
        ref.cast_nowait(Cart.add, "before")
        trioreg.add_instrument(second)
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(second)
        trioreg.remove_instrument(first)
    assert second.lines == ["left Cart.add exited", "exited killed"]


async def test_a_crash_is_told_as_handled_with_its_error(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, name=carts.via("a"), restart="temporary")
        trioreg.add_instrument(notes)
        with pytest.raises(trioreg.ActorExited):
            await ref.call(Cart.fail)
        await ref.wait()
        trioreg.remove_instrument(notes)
    assert notes.lines == ["sent call", "handling Cart.fail()", "handled OSError", "exited crashed"]


@pytest.mark.parametrize("is_killed", [False, True])
async def test_what_the_runtime_sends_itself_is_not_told(is_killed: bool, autojump_clock: MockClock) -> None:
    notes = Notes()
    trioreg.add_instrument(notes)
    async with trioreg.open_pool(Cart, size=1) as pool:
        with trio.move_on_after(0.5):
            await pool.call(Cart.pay)
        worker = notes.kept[0].to  # the pool asks it to say when it is done
        if is_killed:
            worker.kill()
            await worker.wait()
        await pool.call(Cart.add, "tea")
        trioreg.remove_instrument(notes)
    assert [line for line in notes.lines if line.startswith(("sent", "handling", "left"))] == [
        "sent call",
        "handling Cart.pay()",
        "sent call",
        "handling Cart.add('tea',)",
    ]


async def test_names_and_publications_are_told_of_registries_from_before_and_after(autojump_clock: MockClock) -> None:
    names = Names()
    before: Registry[str, None] = Registry("before")
    before.register("a")
    trioreg.add_instrument(names)
    after: Registry[str, None] = Registry("after")
    topics: PubSub[str, str] = PubSub("topics")
    after.register("b")
    before.unregister("a")
    async with topics.subscribe("news") as feed:
        topics.publish_nowait("news", "rain")
        await topics.publish("news", "sun")
        assert feed.receive_nowait() == "rain"
    trioreg.remove_instrument(names)
    assert names.lines == [
        "+ b in after",
        "- a in before",
        "+ news in topics",
        "topics/news: rain to 1",
        "topics/news: sun to 1",
        "- news in topics",
    ]


async def test_a_publication_to_one_idle_actor_is_told_to_an_instrument_without_hooks_for_messages(
    autojump_clock: MockClock,
) -> None:
    names = Names()
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        topics.join("news", Cart.add, owner=ref)
        await wait_all_tasks_blocked()
        trioreg.add_instrument(names)
        topics.publish_nowait("news", "rain")
        trioreg.remove_instrument(names)
    assert names.lines == ["topics/news: rain to 1"]


async def test_an_instrument_that_raises_is_removed_and_disturbs_nothing(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Broken(Instrument):
        def handling(self, message: Message, /) -> None:
            raise ZeroDivisionError

    broken, notes = Broken(), Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        trioreg.add_instrument(broken)
        trioreg.add_instrument(notes)
        assert await ref.call(Cart.add, "tea") == "tea"
        assert await ref.call(Cart.add, "milk") == "milk"
        with pytest.raises(KeyError):
            trioreg.remove_instrument(broken)
        trioreg.remove_instrument(notes)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "failed in handling(), and is removed" in record.getMessage()
    assert notes.lines.count("handled tea") == notes.lines.count("handled milk") == 1


async def test_an_instrument_that_is_removed_between_sees_no_end(autojump_clock: MockClock) -> None:
    notes = Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        trioreg.add_instrument(notes)
        ref.cast_nowait(Cart.pay)
        await wait_all_tasks_blocked()
        trioreg.remove_instrument(notes)
        late = Notes()
        trioreg.add_instrument(late)
        await trio.sleep(2)
        trioreg.remove_instrument(late)
    assert notes.lines == ["sent cast", "handling Cart.pay()"]
    assert late.lines == []


@pytest.mark.unwatched("it is about a run without an instrument for messages")
async def test_without_hooks_for_messages_no_message_takes_the_long_way(autojump_clock: MockClock) -> None:
    class Starts(Instrument):
        def actor_started(self, ref: ActorRef[Any], /) -> None: ...

    instrument = Starts()
    trioreg.add_instrument(instrument)
    assert not UNUSUAL
    notes = Notes()
    trioreg.add_instrument(notes)
    assert UNUSUAL
    trioreg.remove_instrument(notes)
    trioreg.remove_instrument(instrument)
    assert not UNUSUAL


def test_the_end_of_the_run_removes_its_instruments() -> None:
    async def main() -> None:
        trioreg.add_instrument(Notes())

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert not UNUSUAL


async def test_what_is_no_instrument_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(TypeError, match=r"instrument must be an instance of trioreg\.Instrument, not 5"):
        trioreg.add_instrument(cast("Instrument", 5))
    with pytest.raises(KeyError):
        trioreg.remove_instrument(Notes())


def test_outside_of_trio_there_is_nothing_to_watch() -> None:
    with pytest.raises(RuntimeError):
        trioreg.add_instrument(Notes())


async def test_a_publication_that_has_had_room_is_not_withdrawn_with_its_publisher(autojump_clock: MockClock) -> None:
    left: list[str] = []

    class Watching(Instrument):
        def message_left(self, message: Message, why: str, /) -> None:
            left.append(why)

    ticks: PubSub[str, int] = PubSub("ticks")
    gates = [trio.Event() for _ in range(3)]
    async with supervised() as supervisor:
        trioreg.add_instrument(Watching())
        refs = [await supervisor.start_child(Reader) for _ in range(2)]
        for ref, gate in zip(refs, gates, strict=False):
            ticks.join("a", Reader.take, buffer=1, overflow="wait", owner=ref)
            ref.cast_nowait(Reader.hold, gate)
        await wait_all_tasks_blocked()
        assert ticks.publish_nowait("a", 1) == 2
        refs[0].cast_nowait(Reader.hold, gates[2])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ticks.publish, "a", 2)
            await wait_all_tasks_blocked()
            gates[0].set()  # the first one has room now, and does not come to the message yet
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert left == ["withdrawn"]
        for gate in gates:
            gate.set()
        assert [await ref.call(Reader.all) for ref in refs] == [[1, 2], [1]]
