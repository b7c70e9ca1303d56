"""The context that a message carries to its handler, and what stays with the actor."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from opentelemetry import baggage, context, trace
from support.supervisors import supervising
from support.telemetry import Seen, parent_id
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, DynamicSupervisor, Instrument, Message, PubSub
from trioreg.telemetry import Telemetry

logger = logging.getLogger("shop")


def request_id() -> str:
    return str(baggage.get_baggage("request.id") or "none")


def set_request_id(value: str) -> None:
    """As a handler does it that forgets to detach."""
    context.attach(baggage.set_baggage("request.id", value))


class Shop(Actor):
    idle_timeout = 5

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def note(self, _: object = None) -> None:
        self.seen.append(request_id())

    async def note_slowly(self) -> None:
        self.note()
        await trio.sleep(1)
        self.note()

    def wrapped(self) -> Any:
        return self.note_slowly()

    def attach(self) -> None:
        set_request_id("leaked")

    async def attach_slowly(self) -> None:
        set_request_id("leaked")
        await trio.sleep(0.1)

    def attach_and_crash_not(self) -> None:
        set_request_id("leaked")
        raise KeyError

    attach_and_crash_not = trioreg.raises(KeyError)(attach_and_crash_not)

    def remind(self) -> None:
        self.cast_after(1, Shop.note)

    async def on_message(self, message: object) -> None:
        self.note()

    async def on_idle(self) -> None:
        self.note()


class Tenant(Shop):
    """It has a context of its own."""

    async def on_start(self) -> None:
        set_request_id("own")


def in_request(function: Callable[..., object], *args: object) -> None:
    token = context.attach(baggage.set_baggage("request.id", "42"))
    try:
        function(*args)
    finally:
        context.detach(token)


@pytest.fixture
def telemetry() -> Telemetry:
    """With it and without an SDK: the context is carried all the same."""
    return Telemetry()


@pytest.mark.parametrize("method", [Shop.note, Shop.note_slowly, Shop.wrapped])
@pytest.mark.parametrize("way", ["call", "busy call", "cast", "cast_nowait"])
async def test_the_baggage_of_the_sender_is_in_the_handler_to_its_end(
    telemetry: Telemetry, method: Callable[[Shop], object], way: str, autojump_clock: MockClock
) -> None:
    noted: list[str] = []
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop, noted)
        await wait_all_tasks_blocked()
        if way == "busy call":
            ref.cast_nowait(Shop.attach_slowly)
        token = context.attach(baggage.set_baggage("request.id", "42"))
        if way == "cast_nowait":
            ref.cast_nowait(method)
        elif way == "cast":
            await ref.cast(method)
        else:
            await ref.call(method)
        assert request_id() == "42"
        context.detach(token)
        await trio.sleep(2)
    assert noted == (["42"] if method is Shop.note else ["42", "42"])


async def test_the_baggage_of_a_publisher_and_of_a_sender_is_in_the_handler(
    telemetry: Telemetry, autojump_clock: MockClock
) -> None:
    noted: list[str] = []
    topics: PubSub[str, str] = PubSub("topics")

    async def worker() -> None:
        while True:
            await trioreg.receive()
            noted.append(request_id())

    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop, noted)
        function = await supervisor.start_child(worker)
        topics.join("news", Shop.note, owner=ref)
        in_request(topics.publish_nowait, "news", "rain")
        in_request(ref.send_nowait, "tea")
        in_request(function.send_nowait, "tea")
        await wait_all_tasks_blocked()
        function.send_nowait("milk")
        await wait_all_tasks_blocked()
    assert noted.count("42") == 3
    assert noted[-1] == "none"


async def test_a_request_id_of_a_web_handler_is_in_the_log_of_an_actor_behind_another_one(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    class Stock(Actor):
        async def take(self) -> None:
            logger.warning("request %s: taken", request_id())

    class Till(Actor):
        async def sell(self, stock: ActorRef[Stock]) -> None:
            await stock.call(Stock.take)

    async def web_handler(number: int) -> None:
        context.attach(baggage.set_baggage("request.id", str(number)))
        await till.call(Till.sell, stock)

    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        stock, till = await supervisor.start_child(Stock), await supervisor.start_child(Till)
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(web_handler, number)
    lines = [record.getMessage() for record in caplog.records if record.name == "shop"]
    assert sorted(lines) == [f"request {number}: taken" for number in range(3)]


@pytest.mark.parametrize("cls", [Shop, Tenant])
@pytest.mark.parametrize("method", [Shop.attach, Shop.attach_slowly, Shop.attach_and_crash_not])
async def test_what_a_handler_attaches_is_gone_in_the_next_one_and_in_its_caller(
    telemetry: Telemetry, cls: type[Shop], method: Callable[[Shop], object], autojump_clock: MockClock
) -> None:
    noted: list[str] = []
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(cls, noted)
        await wait_all_tasks_blocked()
        if method is Shop.attach_and_crash_not:
            with pytest.raises(KeyError):
                await ref.call(method)
        else:
            await ref.call(method)
        assert request_id() == "none"
        ref.cast_nowait(Shop.note)
        await trio.sleep(10)  # it is idle once or twice
        trioreg.remove_instrument(telemetry)
        ref.cast_nowait(Shop.note)
        await wait_all_tasks_blocked()
    own = "own" if cls is Tenant else "none"
    assert noted[0] == "none"  # of the sender
    assert set(noted[1:]) == {own}


async def test_timers_and_on_idle_run_in_the_actors_own_context(
    telemetry: Telemetry, autojump_clock: MockClock
) -> None:
    noted: list[str] = []
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Tenant, noted)
        in_request(ref.cast_nowait, Shop.remind)
        await trio.sleep(8)
    assert noted == ["own", "own"]


async def test_a_message_handled_beside_others_leaves_nothing_in_the_supervisor_that_handles_it(
    autojump_clock: MockClock,
) -> None:
    noted: list[str] = []

    class Base(DynamicSupervisor):
        def note(self) -> None:
            noted.append(request_id())

        async def note_slowly(self) -> None:
            self.note()
            await trio.sleep(1)
            self.note()

        def wrapped(self) -> Coroutine[Any, Any, None]:
            return self.note_slowly()

        def remind(self) -> None:
            self.cast_after(0.5, Base.note)

    seen = Seen()
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Base)
        ref.cast_nowait(Base.remind)
        await wait_all_tasks_blocked()
        in_request(ref.cast_nowait, Base.wrapped)
        await trio.sleep(0.2)
        ref.cast_nowait(Base.note)
        await trio.sleep(0.1)
        assert noted == ["42", "none"]
        await trio.sleep(2)
        ref.cast_nowait(Base.note)
        await wait_all_tasks_blocked()
    assert noted == ["42", "none", "none", "42", "none"]
    assert len(seen.all("timer " + Base.note.__qualname__)) == 1


async def test_a_span_of_the_program_around_all_actors_is_no_parent_of_what_has_no_sender(
    autojump_clock: MockClock,
) -> None:
    seen = Seen()
    noted: list[str] = []
    trioreg.add_instrument(seen.telemetry)
    with seen.tracer.start_as_current_span("program"):
        async with supervising() as supervisor:
            await supervisor.start_child(Shop, noted)
            await trio.sleep(6)
    idle, program = seen.spans
    assert idle.name == "idle Shop.on_idle"
    assert idle.parent is None
    assert [link.context.span_id for link in idle.links] == [parent_id(program)]


async def test_a_function_actor_keeps_its_own_spans_around_receive(autojump_clock: MockClock) -> None:
    seen = Seen()
    current: list[str] = []

    def name_of_current() -> str:
        return str(getattr(trace.get_current_span(), "name", "none"))

    async def worker() -> None:
        for _ in range(2):
            with seen.tracer.start_as_current_span("round"):
                await trioreg.receive()
                current.append(name_of_current())
            current.append(name_of_current())

    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        ref.send_nowait("tea")
        ref.send_nowait("milk")
        await ref.wait()
    name = worker.__qualname__.rpartition(".")[2]
    assert current == [f"process {name}", "none"] * 2
    assert [span.parent for span in seen.all("round")] == [None, None]


async def test_a_function_actor_keeps_what_it_has_attached_itself(
    telemetry: Telemetry, autojump_clock: MockClock
) -> None:
    noted: list[str] = []

    async def worker() -> None:
        for number in range(3):
            token = context.attach(baggage.set_baggage("request.id", f"round {number}"))
            trioreg.send_after(1, "tick")  # it has no sender, so it is handled in the actor's own context
            await trioreg.receive()
            noted.append(request_id())
            context.detach(token)
            noted.append(request_id())

    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        await ref.wait()
    assert noted == ["round 0", "none", "round 1", "none", "round 2", "none"]


async def test_tasks_of_a_function_actor_that_receive_in_turn_keep_their_contexts(
    telemetry: Telemetry, autojump_clock: MockClock
) -> None:
    noted: list[str] = []

    async def receive_in(own: str, after: float) -> None:
        set_request_id(own)
        await trio.sleep(after)
        in_request(trioreg.current().send_nowait, "tea")
        await trioreg.receive()
        noted.append(request_id())
        await trio.sleep(2)
        trioreg.send_after(0.5, "tick")
        await trioreg.receive()
        noted.append(request_id())

    async def worker() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive_in, "first", 0)
            nursery.start_soon(receive_in, "second", 1)

    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        await ref.wait()
    assert noted == ["42", "42", "first", "second"]


async def test_two_of_them_leave_the_actors_context_as_it_was(autojump_clock: MockClock) -> None:
    noted: list[str] = []
    both = [Telemetry(), Seen().telemetry]
    for telemetry in both:
        trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Tenant, noted)
        in_request(ref.cast_nowait, Shop.note)
        await wait_all_tasks_blocked()
        for telemetry in both:
            trioreg.remove_instrument(telemetry)
        await ref.call(Shop.note)
    assert noted == ["42", "own"]


async def test_one_that_is_removed_while_a_handler_runs_leaves_the_context_to_the_next_one(
    telemetry: Telemetry, autojump_clock: MockClock
) -> None:
    noted: list[str] = []
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Tenant, noted)
        in_request(ref.cast_nowait, Shop.note_slowly)
        await wait_all_tasks_blocked()
        trioreg.remove_instrument(telemetry)
        trioreg.add_instrument(telemetry)
        await trio.sleep(6.5)
    assert noted == ["42", "42", "own"]


async def test_a_context_variable_of_a_web_handler_is_carried_by_a_small_instrument(autojump_clock: MockClock) -> None:
    id_of_request: ContextVar[str] = ContextVar("id_of_request", default="none")
    noted: list[str] = []

    class Carry(Instrument):
        def message_sent(self, message: Message, /) -> None:
            message.data[self] = id_of_request.get()

        def handling(self, message: Message, /) -> None:
            id_of_request.set(message.data[self])

    class Notes(Actor):
        def note(self) -> None:
            noted.append(id_of_request.get())

    trioreg.add_instrument(Carry())
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Notes)
        id_of_request.set("42")
        await ref.call(Notes.note)
        id_of_request.set("43")
        ref.cast_nowait(Notes.note)
        await wait_all_tasks_blocked()
    assert noted == ["42", "43"]
