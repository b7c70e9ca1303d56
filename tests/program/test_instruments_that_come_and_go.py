"""An instrument is added, removed, or fails, while messages are on their way."""

from __future__ import annotations

import gc
import weakref

import pytest
import trio
from support.faults import WithRoom
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, Instrument, Message, PubSub


class Cart(Actor):
    def add(self, item: str) -> str:
        return item

    async def pay(self) -> None:
        await trio.sleep(1)


class Notes(Instrument):
    """Notes what becomes of each message."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message_sent(self, message: Message, /) -> None:
        self.lines.append(f"sent {message.method}")

    def handling(self, message: Message, /) -> None:
        self.lines.append(f"handling {message.method}")

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.lines.append(f"handled {message.method}")

    def message_left(self, message: Message, why: str, /) -> None:
        self.lines.append(f"left {message.method} {why}")


class Publications(Instrument):
    def __init__(self) -> None:
        self.told: list[object] = []

    def published(self, pubsub: str, topic: object, message: object, count: int, /) -> None:
        self.told.append(message)


async def test_a_dead_letter_is_told_if_the_instrument_that_saw_it_sent_is_gone(autojump_clock: MockClock) -> None:
    first, second = Notes(), Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart, restart="temporary")
        trioreg.add_instrument(first)
        ref.cast_nowait(Cart.add, "tea")
        trioreg.remove_instrument(first)
        trioreg.add_instrument(second)
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(second)
    assert first.lines == ["sent Cart.add"]
    assert second.lines == ["left Cart.add exited"]


@pytest.mark.parametrize("is_alone", [True, False])
async def test_an_instrument_that_was_away_is_not_told_the_rest_of_a_message(
    is_alone: bool, autojump_clock: MockClock
) -> None:
    notes, other = Notes(), Notes()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        if not is_alone:
            trioreg.add_instrument(other)
        trioreg.add_instrument(notes)
        ref.cast_nowait(Cart.pay)
        trioreg.remove_instrument(notes)
        await wait_all_tasks_blocked()
        trioreg.add_instrument(notes)
        await trio.sleep(2)
        await ref.call(Cart.add, "tea")
        trioreg.remove_instrument(notes)
    assert notes.lines == ["sent Cart.pay", "sent Cart.add", "handling Cart.add", "handled Cart.add"]


async def test_publications_are_told_from_the_moment_in_which_the_instrument_is_added(
    autojump_clock: MockClock,
) -> None:
    publications = Publications()
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        topics.join("news", Cart.add, owner=ref)
        for text in ("rain", "snow"):  # from the second one on, a publication to one actor takes the shortest way
            topics.publish_nowait("news", text)
            await wait_all_tasks_blocked()
        trioreg.add_instrument(publications)
        topics.publish_nowait("news", "sun")
        await wait_all_tasks_blocked()
        topics.publish_nowait("news", "fog")
        trioreg.remove_instrument(publications)
        topics.publish_nowait("news", "wind")
    assert publications.told == ["sun", "fog"]


class Quiet(Instrument):
    def message_sent(self, message: Message, /) -> None: ...


class Deep(Instrument):
    def message_sent(self, message: Message, /) -> None:
        down(5)
        raise ZeroDivisionError


def down(frames: int) -> None:
    if frames:
        down(frames - 1)


async def test_a_hook_that_fails_on_a_full_stack_is_no_failure_of_the_message(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    """The sender is deep in the stack: there is room for the hook, and none to remove the instrument."""
    quiet = Quiet()
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        await wait_all_tasks_blocked()

        def send_with(instrument: Instrument, frames: int) -> bool:
            trioreg.add_instrument(instrument)
            return WithRoom(frames)(lambda: ref.cast_nowait(Cart.add, "tea"))

        await ref.call(Cart.add, "tea")
        sent: list[bool] = []
        for frames in range(40):
            with_quiet = send_with(quiet, frames)
            trioreg.remove_instrument(quiet)
            sent.append(with_quiet)
            assert send_with(Deep(), frames) == with_quiet
            await ref.call(Cart.add, "tea")  # with all the room that it needs
        assert sent == sorted(sent) and sent[0] is False and sent[-1] is True
    removed = [record for record in caplog.records if vars(record)["event_name"] == "instrument_removed"]
    assert len(removed) == 40


async def test_an_actor_that_waits_keeps_nothing_of_a_message_that_was_watched(autojump_clock: MockClock) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    trioreg.add_instrument(Quiet())
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Cart)
        await wait_all_tasks_blocked()
        text = Text("tea")
        kept = weakref.ref(text)
        ref.cast_nowait(Cart.add, text)
        del text
        await wait_all_tasks_blocked()
        gc.collect()
        assert kept() is None
