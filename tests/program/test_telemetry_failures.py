"""OpenTelemetry when a part of it fails, and messages that `Telemetry` has not seen from the start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeter, NoOpMeterProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan
from support.pools import Hand, Site
from support.supervisors import supervising
from support.telemetry import Seen
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, Message, PubSub, Registry, open_pool
from trioreg._telemetry import Failures, Publications, Spans
from trioreg._telemetry.metrics import _lengths, _registries_of
from trioreg.telemetry import Telemetry


class Shop(Actor):
    def add(self, item: str) -> str:
        return item

    async def pay(self) -> None:
        await trio.sleep(1)

    async def on_message(self, message: object) -> None:
        await trio.sleep(1)


class Reader(Shop):
    def __init__(self, news: PubSub[str, str]) -> None:
        news.join("topic")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


class Broken:
    """A histogram or a counter."""

    def record(self, *_: object) -> None:
        raise ZeroDivisionError

    add = record


class BrokenMeter(NoOpMeter):
    def create_histogram(self, *_: Any, **__: Any) -> Any:
        return Broken()

    create_counter = create_histogram


class BrokenMeters(NoOpMeterProvider):
    def get_meter(self, name: str, *_: Any, **__: Any) -> NoOpMeter:
        return BrokenMeter(name)


async def test_a_meter_that_raises_harms_nothing_and_is_logged_once(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    telemetry = Telemetry(meter_provider=BrokenMeters())
    trioreg.add_instrument(telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        for _ in range(2):
            assert await ref.call(Shop.add, "tea") == "tea"
    trioreg.remove_instrument(telemetry)  # it is still there
    (said,) = errors(caplog)
    assert "OpenTelemetry failed (ZeroDivisionError)" in said


async def test_messages_from_before_it_was_added_have_no_span(autojump_clock: MockClock) -> None:
    before, seen = Seen(), Seen()
    trioreg.add_instrument(before.telemetry)
    async with supervising() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Shop)
        nursery.start_soon(ref.call, Shop.pay)
        await wait_all_tasks_blocked()
        ref.cast_nowait(Shop.add, "tea")
        nursery.start_soon(ref.call, Shop.pay)
        await wait_all_tasks_blocked()
        trioreg.add_instrument(seen.telemetry)
        await trio.sleep(1.5)
        ref.cast_nowait(Shop.add, "milk")
        ref.kill()
        nursery.cancel_scope.cancel()
    assert {line.split()[0] for line in before.lines()} == {"CLIENT", "SERVER", "PRODUCER", "CONSUMER"}
    assert seen.lines() == ["PRODUCER cast Shop.add"]


async def test_a_subclass_can_leave_messages_out(autojump_clock: MockClock) -> None:
    class WithoutTea(Telemetry):
        def message_sent(self, message: Message, /) -> None:
            if message.args != ("tea",):
                super().message_sent(message)

    seen = Seen()
    trioreg.add_instrument(WithoutTea(tracer_provider=seen.tracers))
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        for item in ("tea", "milk"):
            assert await ref.call(Shop.add, item) == item
    assert seen.lines() == ["SERVER Shop.add", "CLIENT Shop.add"]


async def test_a_publication_that_a_subscriber_leaves_unhandled_has_a_span(autojump_clock: MockClock) -> None:
    seen = Seen()
    trioreg.add_instrument(seen.telemetry)
    pubsub: PubSub[str, str] = PubSub("news")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Reader, pubsub)
        for text in ("first", "second"):
            await pubsub.publish("topic", text)
        await wait_all_tasks_blocked()
        ref.kill()
    assert seen.lines().count("PRODUCER publish news") == 2


async def test_a_message_that_is_left_and_is_not_sampled_is_no_error(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    seen = Seen(ALWAYS_OFF)
    trioreg.add_instrument(seen.telemetry)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Shop)
        ref.cast_nowait(Shop.pay)
        await wait_all_tasks_blocked()
        ref.cast_nowait(Shop.add, "tea")
        ref.kill()
    assert seen.lines() == errors(caplog) == []


class BrokenSpan(NonRecordingSpan):
    def is_recording(self) -> bool:
        raise ZeroDivisionError


@pytest.mark.parametrize("step", ["left", "finish"])
def test_a_span_that_raises_when_it_ends_is_reported(step: str, caplog: pytest.LogCaptureFixture) -> None:
    spans, span = Spans(None, None, Failures()), BrokenSpan(INVALID_SPAN_CONTEXT)
    if step == "left":
        spans.left(span, "exited")
    else:
        spans.finish(span)
    assert "OpenTelemetry failed (ZeroDivisionError)" in errors(caplog)[0]


class WithoutEvents(NonRecordingSpan):
    def is_recording(self) -> bool:
        return True

    def add_event(self, *_: object, **__: object) -> None:
        raise ZeroDivisionError


def test_a_span_that_takes_no_event_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    Spans(None, None, Failures()).left(WithoutEvents(INVALID_SPAN_CONTEXT), "exited")
    assert "OpenTelemetry failed (ZeroDivisionError)" in errors(caplog)[0]


def test_a_publication_ends_when_another_one_is_told_first() -> None:
    seen = Seen()
    publications = Publications(Spans(seen.tracers, None, Failures()))
    publications.of("first", Context())
    publications.published("news", "second", 1, Context())
    assert seen.lines() == ["PRODUCER publish", "PRODUCER publish news"]


def test_names_are_counted_although_a_registry_is_added_meanwhile() -> None:
    class Changing:
        looks = 0

        def __iter__(self) -> Iterator[object]:
            self.looks += 1
            if self.looks < 3:
                raise RuntimeError("Set changed size during iteration")
            return iter(["a registry"])

    class NeverStill:
        def __iter__(self) -> Iterator[object]:
            raise RuntimeError("Set changed size during iteration")

    changing: Any = SimpleNamespace(registries=Changing())
    never_still: Any = SimpleNamespace(registries=NeverStill())
    assert _registries_of(changing) == ["a registry"]
    assert _registries_of(never_still) == []


def test_an_actor_that_ends_while_mailboxes_are_measured_is_left_out() -> None:
    ended: Any = SimpleNamespace(_cell=None)
    actors: Any = [ended]
    assert list(_lengths(actors)) == []


def test_names_of_a_run_that_is_over_and_workers_of_a_pool_are_not_counted() -> None:
    seen = Seen()
    registry: Registry[str, None] = Registry("names")

    async def main() -> None:
        trioreg.add_instrument(seen.telemetry)
        async with open_pool(Hand, Site(), size=1, name="hands"):
            registry.register("name")
            assert ("names",) in seen.values("trioreg.registry.name.count", "trioreg.registry")

    trio.run(main)
    assert seen.values("trioreg.registry.name.count", "trioreg.registry") == {}
