"""What a ``__del__`` asks for while the garbage collector runs: it is done a little later, and never lost."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.finalizers import Cyclic
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Reply


class Box(Actor):
    def __init__(self) -> None:
        self.got: list[object] = []

    def put(self, item: object) -> None:
        self.got.append(item)

    async def on_message(self, message: object) -> None:
        self.got.append(message)

    def content(self) -> list[object]:
        return self.got


MESSAGES: list[Callable[[ActorRef[Box]], object]] = [
    lambda ref: ref.cast_nowait(Box.put, "late"),
    lambda ref: ref.cast_nowait(Box.put, item="late"),
    lambda ref: ref.send_nowait("late"),
]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("send", MESSAGES)
async def test_a_message_of_a_finalizer_is_sent_after_the_collection(
    send: Callable[[ActorRef[Box]], object], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Box)
        await wait_all_tasks_blocked()
        Cyclic(lambda: send(ref))
        gc.collect()
        assert ref.statistics().queued == 0  # in the middle of a collection, nothing is woken
        await wait_all_tasks_blocked()
        assert await ref.call(Box.content) == ["late"]


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(("end", "reason"), [(ActorRef[Any].kill, "killed"), (ActorRef[Any].cancel, "shutdown")])
async def test_an_end_that_a_finalizer_asks_for_comes_after_the_collection(
    end: Callable[[ActorRef[Any]], None], reason: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Box, restart="temporary")
        Cyclic(lambda: end(ref))
        gc.collect()
        with trio.fail_after(1):
            assert (await ref.wait()).reason == reason


@pytest.mark.usefixtures("no_collection")
async def test_a_reply_that_a_finalizer_sends_arrives(autojump_clock: MockClock) -> None:
    class Lobby(Actor):
        def join(self, reply: Reply[str]) -> Reply[str]:
            return reply

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Lobby)
        reply = Reply[str]()
        answers: list[str] = []

        async def join() -> None:
            answers.append(await ref.call(Lobby.join, reply))

        nursery.start_soon(join)
        await wait_all_tasks_blocked()
        Cyclic(lambda: reply.send("welcome"))
        gc.collect()
        await wait_all_tasks_blocked()
        assert answers == ["welcome"]


@pytest.mark.usefixtures("no_collection")
async def test_a_message_of_a_finalizer_that_comes_too_late_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Box, restart="temporary")
        await wait_all_tasks_blocked()
        Cyclic(lambda: ref.send_nowait("too late"))
        gc.collect()
        ref.kill()
        with caplog.at_level(logging.ERROR, "trioreg"):
            await wait_all_tasks_blocked()
        assert "what was put off for a moment was not done" in caplog.text


def test_finalizers_lose_no_wake_up_whenever_the_collector_runs() -> None:
    """On Python 3.12 and newer the collector runs between any two statements, those of Trio's scheduler too."""
    sent = 0

    async def main() -> None:
        async with supervised() as supervisor:
            refs = [await supervisor.start_child(Box) for _ in range(3)]

            def send(number: int) -> None:
                nonlocal sent
                refs[number % 3].cast_nowait(Box.put, number)
                sent += 1

            async def work() -> None:
                for number in range(200):
                    mortal = await supervisor.start_child(Box, restart="temporary")
                    Cyclic(lambda number=number: send(number))  # type: ignore[misc]
                    Cyclic(mortal.kill)
                    await refs[number % 3].call(Box.content)
                    await mortal.wait()

            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(work)
            gc.collect()
            await wait_all_tasks_blocked()
            got = [item for ref in refs for item in await ref.call(Box.content)]
            assert len(got) == sent == 600

    before = gc.get_threshold()
    gc.set_threshold(7)
    try:
        trio.run(main)
    finally:
        gc.set_threshold(*before)


async def test_the_collector_is_watched_only_while_a_run_lasts() -> None:
    async with supervised() as supervisor:
        await supervisor.start_child(Box)
        watching = len(gc.callbacks)
    before = list(gc.callbacks)
    await trio.to_thread.run_sync(lambda: trio.run(_start_a_supervisor))
    assert gc.callbacks == before
    assert watching == len(before)


async def _start_a_supervisor() -> None:
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Box)
        ref.kill()
        with pytest.raises(ActorExited):
            await ref.call(Box.content)
