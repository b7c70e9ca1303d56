"""What an instrument is told of a publication to an actor that has a buffer for its topic."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ChildSpec, DynamicSupervisor, Instrument, Message, PubSub, receive


class Fates(Instrument):
    """What became of each publication to an actor."""

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = {}

    def note(self, message: Message, fate: str) -> None:
        assert (message.kind, message.method and message.method.split(".")[0]) == ("publication", "Screen")
        self.of.setdefault(str(message.args[0]), []).append(fate)

    def message_sent(self, message: Message, /) -> None:
        self.note(message, "sent")

    def handling(self, message: Message, /) -> None:
        self.note(message, "handling")

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        self.note(message, f"handled {value}" if error is None else f"failed {type(error).__name__}")

    def message_left(self, message: Message, why: str, /) -> None:
        self.note(message, why)


class Screen(Actor):
    """It shows what is published, if it may."""

    def __init__(self, may_go_on: trio.Event) -> None:
        self.may_go_on = may_go_on

    def show(self, text: str) -> str:
        if text == "fail":
            raise OSError(text)
        return text.upper()

    async def show_later(self, text: str) -> str:
        await self.may_go_on.wait()
        return text.upper()

    def show_wrapped(self, text: str) -> Any:
        return self.show_later(text)

    async def on_message(self, message: str) -> None:
        await self.may_go_on.wait()


@pytest.mark.parametrize("method", [Screen.show, Screen.show_later, Screen.show_wrapped, None])
async def test_a_publication_through_a_buffer_is_told_from_the_publisher_to_the_result(
    method: Any, autojump_clock: MockClock
) -> None:
    fates, may_go_on = Fates(), trio.Event()
    topics: PubSub[str, str] = PubSub("topics")
    topics.publish_nowait("news", "snow", retain=True)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Screen, may_go_on)
        trioreg.add_instrument(fates)
        topics.join("news", method, owner=ref, buffer=2)
        topics.publish_nowait("news", "rain")
        may_go_on.set()
        await wait_all_tasks_blocked()
        await topics.publish("news", "sun")
        await wait_all_tasks_blocked()
        trioreg.remove_instrument(fates)
        topics.publish_nowait("news", "fog")
        await wait_all_tasks_blocked()
    handled = {text: f"handled {None if method is None else text.upper()}" for text in ("snow", "rain", "sun")}
    assert fates.of == {text: ["sent", "handling", handled[text]] for text in handled}


@pytest.mark.parametrize(
    ("overflow", "left"), [("drop_oldest", "rain"), ("drop_newest", "sun"), ("error", "sun"), ("wait", None)]
)
async def test_a_publication_that_finds_no_room_is_told_as_left(
    overflow: Any, left: str | None, autojump_clock: MockClock
) -> None:
    fates, may_go_on = Fates(), trio.Event()
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Screen, may_go_on)
        topics.join("news", Screen.show_later, owner=ref, buffer=1, overflow=overflow)
        trioreg.add_instrument(fates)
        for text in ("snow", "rain", "sun"):
            nursery.start_soon(topics.publish, "news", text)
            await wait_all_tasks_blocked()
        if left is not None:
            assert fates.of.pop(left) == ["sent", "dropped"]
        may_go_on.set()
        await wait_all_tasks_blocked()
        assert all(told == ["sent", "handling", f"handled {text.upper()}"] for text, told in fates.of.items())
        assert len(fates.of) == (3 if left is None else 2)
        trioreg.remove_instrument(fates)


async def test_publications_that_an_actor_leaves_behind_are_told_as_left(autojump_clock: MockClock) -> None:
    fates, may_go_on = Fates(), trio.Event()
    topics: PubSub[str, str] = PubSub("topics")
    scope = trio.CancelScope()

    async def give_up() -> None:
        with scope:
            await topics.publish("news", "given up")

    async with supervising() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Screen, may_go_on, restart="temporary")
        topics.join("news", Screen.show_later, owner=ref, buffer=2, overflow="wait")
        topics.publish_nowait("news", "handled")
        await wait_all_tasks_blocked()
        topics.publish_nowait("news", "from before")
        trioreg.add_instrument(fates)
        topics.publish_nowait("news", "in the buffer")
        nursery.start_soon(topics.publish, "news", "in line")
        nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        scope.cancel()
        await wait_all_tasks_blocked()
        assert fates.of.pop("given up") == ["sent", "withdrawn"]
        ref.kill()
        await ref.wait()
        await wait_all_tasks_blocked()
        trioreg.remove_instrument(fates)
    assert fates.of == {
        "from before": ["exited"],
        "in the buffer": ["sent", "exited"],
        "in line": ["sent", "exited"],
    }


async def test_a_retained_message_that_its_actor_leaves_behind_is_told_as_left(autojump_clock: MockClock) -> None:
    fates = Fates()
    topics: PubSub[str, str] = PubSub("topics")
    topics.publish_nowait("news", "snow", retain=True)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Screen, trio.Event(), restart="temporary")
        trioreg.add_instrument(fates)
        topics.join("news", Screen.show, owner=ref, buffer=2)
        topics.publish_nowait("news", "rain")
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(fates)
    assert fates.of == {"snow": ["sent", "exited"], "rain": ["sent", "exited"]}


@pytest.mark.parametrize("method", [Screen.show, Screen.show_later, Screen.show_wrapped])
async def test_a_publication_through_a_buffer_that_ends_its_actor_is_told_once(
    method: Any, autojump_clock: MockClock
) -> None:
    fates = Fates()
    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Screen, trio.Event(), restart="temporary")
        topics.join("news", method, owner=ref, buffer=2)
        trioreg.add_instrument(fates)
        topics.publish_nowait("news", "fail")
        await wait_all_tasks_blocked()
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(fates)
    assert fates.of == {"fail": ["sent", "handling", "failed OSError" if method is Screen.show else "failed Cancelled"]}


@pytest.mark.parametrize("buffer", [2, math.inf])
@pytest.mark.parametrize("is_ending", [False, True])
async def test_a_retained_message_that_an_actor_never_comes_to_is_told_as_left(
    buffer: float, is_ending: bool, autojump_clock: MockClock
) -> None:
    fates = Fates()
    topics: PubSub[str, str] = PubSub("topics")
    topics.publish_nowait("news", "retained", retain=True)
    async with supervising() as supervisor:
        ref = await supervisor.start_child(Screen, trio.Event(), restart="temporary")
        ref.cast_nowait(Screen.show_later, "at work")
        await wait_all_tasks_blocked()
        trioreg.add_instrument(fates)
        if is_ending:
            ref.kill()
        topics.join("news", owner=ref, buffer=buffer)
        ref.kill()
        await ref.wait()
        trioreg.remove_instrument(fates)
    assert fates.of == ({} if is_ending else {"retained": ["sent", "exited"]})


class SlowStart(Actor):
    async def on_start(self) -> None:
        await trio.sleep(1)


class Starts(Instrument):
    """The stages of each publication to a supervisor."""

    def __init__(self) -> None:
        self.of: dict[Message, list[str]] = {}

    def message_sent(self, message: Message, /) -> None:
        if message.kind == "publication":
            self.of[message] = ["sent"]

    def handling(self, message: Message, /) -> None:
        if message in self.of:
            self.of[message].append("handling")

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        if message in self.of:
            self.of[message].append("handled")


@pytest.mark.parametrize("is_killed", [False, True])
async def test_publications_that_are_handled_beside_each_other_are_each_told_their_own_end(
    is_killed: bool, autojump_clock: MockClock
) -> None:
    starts = Starts()
    topics: PubSub[str, type[Actor]] = PubSub("topics")
    trioreg.add_instrument(starts)
    async with supervising() as supervisor:
        other = await supervisor.start_child(DynamicSupervisor, restart="temporary")
        topics.join("to start", DynamicSupervisor.start_child, owner=other, buffer=3)
        for _ in range(3):
            topics.publish_nowait("to start", SlowStart)
        await trio.sleep(0.5)
        if is_killed:
            other.kill()
        await trio.sleep(1)
    assert list(starts.of.values()) == [["sent", "handling", "handled"]] * 3


async def test_a_publication_to_a_function_that_receives_it_is_told(autojump_clock: MockClock) -> None:
    told: list[tuple[str, object]] = []
    got: list[object] = []

    class Sent(Instrument):
        def message_sent(self, message: Message, /) -> None:
            told.append((message.kind, message.args))

    async def listen() -> None:
        got.append(await receive())

    topics: PubSub[str, str] = PubSub("topics")
    async with supervising() as supervisor:
        ref = await supervisor.start_child(ChildSpec(listen, restart="temporary"))
        trioreg.add_instrument(Sent())
        topics.join("news", owner=ref)
        topics.publish_nowait("news", "snow")
        await wait_all_tasks_blocked()
    assert got == ["snow"]
    assert told == [("publication", ("snow",))]
