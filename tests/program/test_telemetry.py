"""Spans of messages: their names and kinds, where they belong, and how they end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from support.supervisors import supervising
from support.telemetry import Seen, is_below, links_of, parent_id
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, PubSub, Reply
from trioreg.telemetry import Telemetry


class Shop(Actor):
    def __init__(self) -> None:
        self.reply = Reply[str]()

    def add(self, item: str) -> str:
        return item

    async def pay(self) -> None:
        await trio.sleep(1)

    def wrapped(self) -> Any:
        return self.pay()

    def later(self) -> Reply[str]:
        return self.reply

    def answer(self) -> None:
        self.reply.send("at last")

    @trioreg.raises(KeyError)
    def find(self) -> None:
        raise KeyError("tea")

    def fail(self) -> None:
        raise OSError("no disk")

    def remind(self) -> None:
        self.cast_after(1, Shop.add, "milk")
        self.send_after(2, "milk")

    async def ask(self, other: ActorRef[Shop]) -> str:
        return await other.call(Shop.add, "tea")

    async def on_message(self, message: object) -> None: ...


class OwnTurn(Shop):
    own_turn = True


@pytest.fixture
def seen() -> Seen:
    return Seen()


# Calls


@pytest.mark.parametrize("cls", [Shop, OwnTurn])
@pytest.mark.parametrize(("method", "args"), [(Shop.add, ("tea",)), (Shop.pay, ()), (Shop.wrapped, ())])
async def test_a_call_is_a_client_span_and_its_handler_a_server_span_below_it(
    seen: Seen, cls: type[Shop], method: Callable[..., Any], args: tuple[str, ...], autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(cls)
        await wait_all_tasks_blocked()
        with seen.tracer.start_as_current_span("request"):
            await ref.call(method, *args)
    name = f"{cls.__name__}.{method.__name__}"
    assert seen.lines() == [f"SERVER {name}", f"CLIENT {name}", "INTERNAL request"]
    server, client, request = seen.spans
    assert is_below(server, client)
    assert is_below(client, request)
    for span in (server, client):
        assert span.attributes == {
            "rpc.system.name": "trioreg",
            "rpc.method": name,
            "trioreg.actor.class": cls.__name__,
            "trioreg.message.outcome": "ok",
        }
        assert span.status.status_code is StatusCode.UNSET


async def test_a_call_in_a_handler_is_below_that_handler(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        first, second = await supervisor.start_child(Shop), await supervisor.start_child(Shop)
        assert await first.call(Shop.ask, second) == "tea"
    assert is_below(seen.one("Shop.add", SpanKind.CLIENT), seen.one("Shop.ask", SpanKind.SERVER))


async def test_the_client_span_of_a_reply_ends_when_the_reply_is_sent(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ref.call, Shop.later)
            await wait_all_tasks_blocked()
            assert seen.lines() == ["SERVER Shop.later"]
            await ref.call(Shop.answer)
    assert is_below(seen.one("Shop.later", SpanKind.SERVER), seen.one("Shop.later", SpanKind.CLIENT))
    assert seen.lines().index("CLIENT Shop.later") < seen.lines().index("SERVER Shop.answer")


async def test_a_declared_error_is_an_error_of_the_call_and_none_of_its_handler(
    seen: Seen, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        with pytest.raises(KeyError):
            await ref.call(Shop.find)
    server, client = seen.spans
    assert server.attributes is not None
    assert client.attributes is not None
    assert server.status.status_code is StatusCode.UNSET
    assert client.status.status_code is StatusCode.ERROR
    assert server.attributes["rpc.response.status_code"] == client.attributes["rpc.response.status_code"] == "KeyError"
    assert "error.type" not in server.attributes
    assert client.attributes["error.type"] == "KeyError"
    assert server.attributes["trioreg.message.outcome"] == "declared_error"
    assert server.events == client.events == ()


@pytest.mark.parametrize("cls", [Shop, OwnTurn])
async def test_a_crash_is_an_error_of_both_and_recorded_once(
    seen: Seen, cls: type[Shop], autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(cls, restart="temporary")
        await wait_all_tasks_blocked()
        with pytest.raises(trioreg.ActorExited):
            await ref.call(Shop.fail)
    server, client = seen.spans
    assert (server.kind, client.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert server.attributes is not None
    assert client.attributes is not None
    assert (server.status.status_code, server.status.description) == (StatusCode.ERROR, "no disk")
    assert server.attributes["error.type"] == "OSError"
    assert [event.name for event in server.events] == ["exception"]
    assert client.status.status_code is StatusCode.ERROR
    assert client.attributes["error.type"] == "trioreg.ActorExited"
    assert client.events == ()


async def test_a_caller_that_is_cancelled_ends_its_span_then_and_without_an_error(
    seen: Seen, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        with trio.move_on_after(0.5):
            await ref.call(Shop.pay)
        (client,) = seen.spans
        await trio.sleep(1)
    server = seen.one("Shop.pay", SpanKind.SERVER)
    assert client.kind is SpanKind.CLIENT
    assert is_below(server, client)
    assert client.attributes is not None
    assert client.attributes["trioreg.message.outcome"] == "cancelled"
    assert client.status.status_code is StatusCode.UNSET
    assert server.attributes is not None
    assert server.attributes["trioreg.message.outcome"] == "ok"


async def test_a_handler_that_is_cut_off_is_no_error_and_its_call_is_one(seen: Seen, autojump_clock: MockClock) -> None:
    async def expect_exited() -> None:
        with pytest.raises(trioreg.ActorExited):
            await ref.call(Shop.pay)

    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Shop, restart="temporary")
        nursery.start_soon(expect_exited)
        await wait_all_tasks_blocked()
        ref.kill()
    server, client = seen.spans
    assert server.attributes is not None
    assert server.attributes["trioreg.message.outcome"] == "cancelled"
    assert server.status.status_code is StatusCode.UNSET
    assert client.status.status_code is StatusCode.ERROR


# Casts and sends


async def worker() -> None:
    while True:
        await trioreg.receive()


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_cast_is_a_producer_span_and_its_handler_a_consumer_span_below_it(
    seen: Seen, is_slow: bool, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        if is_slow:
            await ref.cast(Shop.pay)
        else:
            ref.cast_nowait(Shop.add, "tea")
        await trio.sleep(2)
    name = "Shop.pay" if is_slow else "Shop.add"
    assert seen.lines() == [f"PRODUCER cast {name}", f"CONSUMER process {name}"]
    producer, consumer = seen.spans
    assert is_below(consumer, producer)
    shared = {
        "messaging.system": "trioreg",
        "messaging.destination.template": name,
        "trioreg.actor.class": "Shop",
        "trioreg.message.kind": "cast",
        "trioreg.message.method": name,
    }
    assert producer.attributes == {**shared, "messaging.operation.name": "cast", "messaging.operation.type": "send"}
    assert consumer.attributes == {
        **shared,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "trioreg.message.outcome": "ok",
    }


async def test_any_object_that_is_sent_has_the_same_two_spans(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref, function = await supervisor.start_child(Shop), await supervisor.start_child(worker)
        await ref.send("tea")
        function.send_nowait("tea")
        await wait_all_tasks_blocked()
    for name in ("Shop.on_message", "worker"):
        producer, consumer = seen.one(f"send {name}"), seen.one(f"process {name}")
        assert (producer.kind, consumer.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
        assert is_below(consumer, producer)


async def test_the_producer_span_lasts_until_the_actor_takes_the_message(seen: Seen, autojump_clock: MockClock) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        ref.cast_nowait(Shop.pay)
        await wait_all_tasks_blocked()
        ref.cast_nowait(Shop.add, "tea")
        await trio.sleep(0.5)
        assert seen.lines() == ["PRODUCER cast Shop.pay"]
        await trio.sleep(1)
    assert seen.lines()[1:] == ["CONSUMER process Shop.pay", "PRODUCER cast Shop.add", "CONSUMER process Shop.add"]


@pytest.mark.parametrize(("method", "error"), [(Shop.fail, "OSError"), (Shop.find, "KeyError")])
async def test_the_error_of_a_cast_is_for_nobody_so_the_consumer_span_has_it(
    seen: Seen, method: Callable[[Shop], None], error: str, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop, restart="temporary")
        ref.cast_nowait(method)
        await wait_all_tasks_blocked()
    producer, consumer = seen.spans
    assert producer.status.status_code is StatusCode.UNSET
    assert consumer.status.status_code is StatusCode.ERROR
    assert consumer.attributes is not None
    assert consumer.attributes["error.type"] == error
    assert [event.name for event in consumer.events] == ["exception"]


# Dead letters


async def test_a_message_that_is_left_ends_the_span_of_its_sender_with_the_reason(
    seen: Seen, autojump_clock: MockClock
) -> None:
    async def expect_exited() -> None:
        with pytest.raises(trioreg.ActorExited):
            await ref.call(Shop.later)

    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Shop, restart="temporary")
        ref.cast_nowait(Shop.pay)
        await wait_all_tasks_blocked()
        with trio.move_on_after(0.5):
            await ref.call(Shop.add, "tea")
        ref.cast_nowait(Shop.add, "milk")
        nursery.start_soon(expect_exited)
        await wait_all_tasks_blocked()
        ref.kill()
    for name, why, code in (
        ("Shop.add", "withdrawn", StatusCode.UNSET),
        ("cast Shop.add", "exited", StatusCode.ERROR),
        ("Shop.later", "exited", StatusCode.ERROR),
    ):
        span = seen.one(name)
        (event,) = span.events
        assert (event.name, dict(event.attributes or {})) == ("message_left", {"why": why})
        assert span.attributes is not None
        assert span.attributes["trioreg.message.outcome"] == why
        assert span.status.status_code is code
    assert seen.all("process Shop.add") == []


# Publications, timers, idle


@pytest.mark.parametrize("waits", [False, True])
async def test_a_publication_is_one_producer_span_to_which_all_its_handlers_link(
    seen: Seen, waits: bool, autojump_clock: MockClock
) -> None:
    topics: PubSub[str, str] = PubSub("topics")
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor, topics.subscribe("news"):
        refs = [await supervisor.start_child(Shop) for _ in range(2)]
        topics.join("news", Shop.add, owner=refs[0])
        topics.join("news", owner=refs[1])
        with seen.tracer.start_as_current_span("request"):
            for message in ("rain", "sun"):
                if waits:
                    await topics.publish("news", message)
                else:
                    topics.publish_nowait("news", message)
        await wait_all_tasks_blocked()
    publications, request = seen.all("publish topics", SpanKind.PRODUCER), seen.one("request")
    assert [is_below(publication, request) for publication in publications] == [True, True]
    assert publications[0].attributes == {
        "messaging.system": "trioreg",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "topics",
        "trioreg.publication.count": 3,
    }
    for name in ("process Shop.add", "process Shop.on_message"):
        consumers = seen.all(name, SpanKind.CONSUMER)
        assert [links_of(consumer) for consumer in consumers] == [[parent_id(each)] for each in publications]
        assert [consumer.parent for consumer in consumers] == [None, None]


async def test_a_publication_that_reaches_no_actor_has_a_span_too(seen: Seen, autojump_clock: MockClock) -> None:
    topics: PubSub[str, str] = PubSub("topics")
    trioreg.add_instrument(seen.telemetry)
    topics.publish_nowait("news", "rain")
    assert seen.lines() == ["PRODUCER publish topics"]


@pytest.mark.parametrize("message", ["rain", None])
async def test_a_retained_message_links_to_a_span_that_ends(
    seen: Seen, message: str | None, autojump_clock: MockClock
) -> None:
    topics: PubSub[str, Any] = PubSub("topics")
    trioreg.add_instrument(seen.telemetry)
    topics.publish_nowait("news", message, retain=True)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        topics.join("news", Shop.add, owner=ref)
        await wait_all_tasks_blocked()
        topics.publish_nowait("news", message)
        await wait_all_tasks_blocked()
    assert seen.lines() == [
        "PRODUCER publish topics",
        "PRODUCER publish",
        "CONSUMER process Shop.add",
        "PRODUCER publish topics",
        "CONSUMER process Shop.add",
    ]
    assert links_of(seen.spans[2]) == [parent_id(seen.spans[1])]


async def test_a_timers_handler_is_a_trace_of_its_own_that_links_to_who_set_it(
    seen: Seen, autojump_clock: MockClock
) -> None:
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        await ref.call(Shop.remind)
        await trio.sleep(3)
    setter = seen.one("Shop.remind", SpanKind.SERVER)
    for name in ("timer Shop.add", "timer Shop.on_message"):
        timer = seen.one(name)
        assert (timer.kind, timer.parent, links_of(timer)) == (SpanKind.INTERNAL, None, [parent_id(setter)])


async def test_on_idle_is_a_trace_of_its_own(seen: Seen, autojump_clock: MockClock) -> None:
    class Idler(Shop):
        idle_timeout = 1

        async def on_idle(self) -> None:
            self.stop()

    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        await supervisor.start_child(Idler, restart="temporary")
        await trio.sleep(2)
    (span,) = seen.spans
    assert span.name.startswith("idle ")
    assert (span.kind, span.parent, links_of(span)) == (SpanKind.INTERNAL, None, [])


# OpenTelemetry's side


async def test_what_is_not_sampled_is_not_described(seen: Seen, autojump_clock: MockClock) -> None:
    described: list[trioreg.Message] = []

    def describe(message: trioreg.Message) -> dict[str, str]:
        described.append(message)
        return {}

    seen = Seen(ALWAYS_OFF, describe)
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        await ref.call(Shop.add, "tea")
    assert seen.spans == []
    assert described == []
    assert seen.values("trioreg.messages", "trioreg.message.outcome") == {("ok",): 1}


async def test_more_attributes_come_with_both_spans_of_a_message(autojump_clock: MockClock) -> None:
    seen = Seen(attributes=lambda message: {"to": repr(message.to)})
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        await ref.call(Shop.add, "tea")
    assert [(span.attributes or {})["to"] for span in seen.spans] == [repr(ref), repr(ref)]


async def test_without_a_provider_the_global_one_is_used_and_none_is_no_error(autojump_clock: MockClock) -> None:
    telemetry = Telemetry()
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        assert await ref.call(Shop.add, "tea") == "tea"
    trioreg.remove_instrument(telemetry)


@pytest.mark.parametrize("step", ["on_start", "on_end"])
async def test_a_processor_that_raises_harms_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, step: str, autojump_clock: MockClock
) -> None:
    class Broken(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            if step == "on_start":
                raise ZeroDivisionError

        def on_end(self, span: ReadableSpan) -> None:
            if step == "on_end":
                raise ZeroDivisionError

    provider = TracerProvider()
    provider.add_span_processor(Broken())
    telemetry = Telemetry(tracer_provider=provider)
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        for _ in range(2):
            assert await ref.call(Shop.add, "tea") == "tea"
    trioreg.remove_instrument(telemetry)  # it is still there
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "trioreg.telemetry"
    assert "OpenTelemetry failed (ZeroDivisionError)" in record.getMessage()


async def test_an_exporter_that_raises_harms_nothing(autojump_clock: MockClock) -> None:
    class Broken(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            raise ZeroDivisionError

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Broken()))
    telemetry = Telemetry(tracer_provider=provider)
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        assert await ref.call(Shop.add, "tea") == "tea"
    trioreg.remove_instrument(telemetry)


async def test_more_attributes_that_fail_cost_no_span(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    def describe(message: trioreg.Message) -> dict[str, str]:
        raise ZeroDivisionError

    seen = Seen(attributes=describe)
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        await ref.call(Shop.add, "tea")
    assert seen.lines() == ["SERVER Shop.add", "CLIENT Shop.add"]
    assert "OpenTelemetry failed (ZeroDivisionError)" in caplog.text
