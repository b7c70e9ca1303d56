"""The limit for handlers: `Actor.handler_timeout`."""

from __future__ import annotations

import gc
import math
import traceback
import weakref
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit, HandlerTimeout, Reply, raises


class Fetcher(Actor):
    handler_timeout = 5.0

    def __init__(self) -> None:
        self.exits: list[Exit] = []

    async def fetch(self, seconds: float) -> str:
        await self.wait_for_an_answer(seconds)
        return "page"

    async def wait_for_an_answer(self, seconds: float) -> None:
        await trio.sleep(seconds)  # it stands here

    def fetch_later(self, seconds: float) -> Any:
        return self.fetch(seconds)  # a sync method that returns a coroutine

    async def shield(self, seconds: float) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)
        return "shielded"

    async def clean_up_badly(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Bang

    async def ask(self, other: ActorRef[Fetcher], seconds: float) -> str:
        return await other.call(Fetcher.fetch, seconds)

    def promise(self, seconds: float) -> Reply[str]:
        reply = Reply[str]()

        async def answer() -> None:
            await trio.sleep(seconds)
            reply.send("page")

        self.start_soon(answer)
        return reply

    async def on_message(self, message: Any) -> None:
        await trio.sleep(message)


class Patient(Fetcher):
    handler_timeout = 100


def stood(error: BaseException | None) -> HandlerTimeout:
    assert isinstance(error, HandlerTimeout)
    return error


@pytest.mark.parametrize("way", ["cast", "cast by keyword", "sync that returns a coroutine", "on_message"])
async def test_a_handler_that_takes_longer_crashes_the_actor(way: str, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        began = trio.current_time()
        if way == "cast":
            ref.cast_nowait(Fetcher.fetch, 60)
        elif way == "cast by keyword":
            ref.cast_nowait(Fetcher.fetch, seconds=60)
        elif way == "on_message":
            ref.send_nowait(60)
        else:
            ref.cast_nowait(Fetcher.fetch_later, 60)
        exit = await ref.wait()
        assert (exit.reason, trio.current_time() - began) == ("crashed", 5)
        assert isinstance(exit.error, trio.TooSlowError)


async def test_the_caller_learns_of_it_and_the_next_life_goes_on(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher)
        with pytest.raises(ActorExited) as caught:
            await ref.call(Fetcher.fetch, 60)
        assert stood(caught.value.__cause__).ref is ref
        (child,) = supervisor.which_children()
        assert child.ref is not None
        assert await child.ref.call(Fetcher.fetch, 4) == "page"


async def test_the_error_shows_where_the_handler_stood(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        ref.cast_nowait(Fetcher.fetch, 60)
        error = stood((await ref.wait()).error)
    assert (error.handler, error.seconds) == ("Fetcher.fetch", 5)
    assert [frame.name for frame in error.stack] == ["fetch", "wait_for_an_answer"]
    text = str(error)
    assert text.startswith(f"Fetcher.fetch of {ref!r} took longer than 5 seconds: it stood in wait_for_an_answer, ")
    assert text.endswith("await trio.sleep(seconds)  # it stands here")
    shown = "".join(traceback.format_exception(error))
    assert "await self.wait_for_an_answer(seconds)" in shown
    assert "await trio.sleep(seconds)  # it stands here" in shown
    assert "in Fetcher.fetch(60)" in caplog.text


async def test_handlers_within_their_time_are_not_disturbed(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher)
        for _ in range(5):
            assert await ref.call(Fetcher.fetch, 4) == "page"
            assert await ref.call(Fetcher.fetch_later, 4) == "page"
        await trio.sleep(100)
        assert await ref.call(Fetcher.fetch, 4) == "page"
        assert ref.is_alive


async def test_each_handler_has_the_whole_time(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        began = trio.current_time()
        ref.cast_nowait(Fetcher.fetch, 3)
        ref.cast_nowait(Fetcher.fetch, 60)
        await ref.wait()
        assert trio.current_time() - began == 8


async def test_the_time_of_a_handler_is_over_when_it_raises_a_declared_error(autojump_clock: MockClock) -> None:
    class Picky(Fetcher):
        @raises(Bang)
        async def refuse(self) -> None:
            raise Bang

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Picky)
        with pytest.raises(Bang):
            await ref.call(Picky.refuse)
        await trio.sleep(60)
        assert ref.is_alive


@pytest.mark.parametrize("repeat", range(20))  # two tasks are due at once, and the scheduler takes either first
async def test_a_handler_that_ends_just_in_time_leaves_the_next_one_its_whole_time(
    repeat: int, autojump_clock: MockClock
) -> None:
    began: list[float] = []

    class Noting(Fetcher):
        async def wait_for_an_answer(self, seconds: float) -> None:
            began.append(trio.current_time())
            await trio.sleep(seconds)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Noting, restart="temporary")
        for _ in range(10):
            ref.cast_nowait(Fetcher.fetch, 5)
        ref.cast_nowait(Fetcher.fetch, 60)
        await ref.wait()
        assert trio.current_time() - began[-1] == 5


async def test_a_handler_that_shields_itself_has_crashed_when_its_time_is_up_and_ends_later(
    autojump_clock: MockClock,
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        ref.cast_nowait(Fetcher.shield, 20)
        await trio.sleep(6)
        assert ref.state == "ending"
        assert ref.exit is not None
        assert stood(ref.exit.error).stack[-1].name == "shield"
        await ref.wait()
        assert trio.current_time() >= 20


async def test_an_error_of_the_handler_on_its_way_out_is_kept_beside_the_timeout(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        ref.cast_nowait(Fetcher.clean_up_badly)
        error = (await ref.wait()).error
        assert error is not None
        assert [type(each) for each in leaves(error)] == [HandlerTimeout, Bang]


async def test_a_wait_for_another_actor_counts_and_only_the_waiting_actor_crashes(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        slow = await supervisor.start_child(Patient)
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        with pytest.raises(ActorExited) as caught:
            await ref.call(Fetcher.ask, slow, 60)
        assert stood(caught.value.__cause__).stack[-1].name == "ask"
        assert slow.is_alive


async def test_an_answer_that_comes_later_has_no_limit(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fetcher)
        assert await ref.call(Fetcher.promise, 60) == "page"


async def test_on_idle_has_the_limit_and_the_hooks_of_the_start_and_the_end_have_not(
    autojump_clock: MockClock,
) -> None:
    class Slow(Fetcher):
        idle_timeout = 10

        async def on_start(self) -> None:
            await trio.sleep(20)

        async def on_started(self) -> None:
            await trio.sleep(20)

        async def on_idle(self) -> None:
            await trio.sleep(60)

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(20)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Slow, restart="temporary", shutdown=50)
        began = trio.current_time()
        assert stood((await ref.wait()).error).handler.endswith("Slow.on_idle")
        assert trio.current_time() - began == 20 + 10 + 5 + 20


async def test_the_limit_is_inherited_and_a_subclass_can_change_it(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Patient)
        assert await ref.call(Fetcher.fetch, 60) == "page"


async def test_an_actor_with_a_limit_stops_and_is_killed_as_any_other(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        for end in ("stop", "kill"):
            ref = await supervisor.start_child(Fetcher, restart="temporary")
            await ref.call(Fetcher.fetch, 1)
            began = trio.current_time()
            if end == "stop":
                assert (await ref.stop()).reason == "normal"
            else:
                ref.cast_nowait(Fetcher.fetch, 4)
                await trio.sleep(1)
                ref.kill()
                assert (await ref.wait()).reason == "killed"
            assert trio.current_time() - began <= 1


async def test_an_actor_below_an_actor_with_a_limit_has_its_own(autojump_clock: MockClock) -> None:
    class Outer(Fetcher):
        async def run(self) -> float:
            began = trio.current_time()
            async with supervised() as supervisor:
                ref = await supervisor.start_child(Fetcher, restart="temporary")
                await trio.sleep(1)
                ref.cast_nowait(Fetcher.fetch, 60)
                await trio.sleep(3.5)
                assert ref.is_alive
            return trio.current_time() - began

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Outer)
        assert await ref.call(Outer.run) == 4.5


@pytest.mark.parametrize(
    ("seconds", "error"),
    [("5", TypeError), (True, TypeError), (0, ValueError), (-1, ValueError), (math.inf, ValueError)],
)
async def test_a_wrong_handler_timeout_is_refused_when_the_class_is_first_started(
    seconds: Any, error: type[Exception]
) -> None:
    wrong = type("Wrong", (Actor,), {"handler_timeout": seconds})
    async with supervised() as supervisor:
        with pytest.raises(error, match=r"Wrong.handler_timeout must be .*, not "):
            await supervisor.start_child(wrong)


async def test_a_handler_that_shields_itself_answers_its_caller_if_it_returns_after_all(
    autojump_clock: MockClock,
) -> None:
    async def call(answers: list[object]) -> None:
        answers.append(await ref.call(Fetcher.shield, 20))

    answers: list[object] = []
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Fetcher, restart="temporary")
        nursery.start_soon(call, answers)
        await trio.sleep(6)
        with pytest.raises(ActorExited) as caught:
            await ref.call(Fetcher.shield, 1)
        assert isinstance(caught.value.exit.error, HandlerTimeout)
        assert answers == []
        await ref.wait()
        await wait_all_tasks_blocked()
        assert answers == ["shielded"]


async def test_the_arguments_of_a_handler_are_not_kept_when_it_has_ended(autojump_clock: MockClock) -> None:
    class Page:
        pass

    class Reader(Fetcher):
        async def read(self, page: Page) -> None:
            await trio.sleep(1)

    async with supervised() as supervisor:
        reader = await supervisor.start_child(Reader)
        page = Page()
        left = weakref.ref(page)
        await reader.call(Reader.read, page)
        del page
        gc.collect()
        assert left() is None
