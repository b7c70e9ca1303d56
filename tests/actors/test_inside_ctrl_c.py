"""Tests the inside: Ctrl-C at the points of an actor's life where a message or a wait would be lost."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from support.errors import leaves
from support.inside import interrupted_at
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import Actor, ActorRef, Reply, open_dynamic_supervisor


def test_ctrl_c_within_start_soon_does_not_hang_the_end() -> None:
    class Busy(Actor):
        def begin(self) -> None:
            self.start_soon(trio.sleep_forever)

    async def main() -> None:
        with trio.move_on_after(5):
            async with open_dynamic_supervisor() as supervisor:
                ref = await supervisor.start_child(Busy)
                interrupt()
                await ref.cast(Busy.begin)
                await trio.sleep_forever()

    with (
        interrupted_at("before a background task is started") as interrupt,
        pytest.raises(BaseExceptionGroup) as caught,
    ):
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert {type(leaf) for leaf in leaves(caught.value)} == {KeyboardInterrupt}


def test_ctrl_c_within_reply_send_does_not_lose_the_answer() -> None:
    answers: list[str] = []

    class Lobby(Actor):
        def join(self, reply: Reply[str]) -> Reply[str]:
            return reply

    async def main() -> None:
        reply = Reply[str]()

        async def join() -> None:
            answers.append(await ref.call(Lobby.join, reply))

        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            nursery.start_soon(join)
            await wait_all_tasks_blocked()
            interrupt()
            with suppress(KeyboardInterrupt):
                reply.send("welcome")
            with suppress(KeyboardInterrupt):
                await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()

    with interrupted_at("before a call is answered") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert answers == ["welcome"]


@pytest.mark.parametrize("end", ["cancel", "kill"])
def test_ctrl_c_within_the_end_of_an_actor_still_ends_it(end: str) -> None:
    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Actor, restart="temporary")
            await wait_all_tasks_blocked()
            interrupt()
            with suppress(KeyboardInterrupt):
                getattr(ref, end)()
            with suppress(KeyboardInterrupt):
                await trio.lowlevel.checkpoint()
            await wait_all_tasks_blocked()
            assert not ref.is_alive

    with interrupted_at("before what an actor does is cancelled") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))


def test_ctrl_c_within_stop_still_stops_the_actor() -> None:
    class Stopping(Actor):
        def end(self) -> None:
            interrupt()
            with suppress(KeyboardInterrupt):
                self.stop()

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Stopping, restart="temporary")
            await wait_all_tasks_blocked()
            with suppress(KeyboardInterrupt):
                await ref.cast(Stopping.end)
                await trio.sleep(1)
            with trio.fail_after(1):
                assert (await ref.wait()).reason == "normal"

    with interrupted_at("before a message is put into a mailbox") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))


def test_ctrl_c_within_receive_does_not_lose_the_message() -> None:
    received: list[object] = []

    async def function() -> None:
        received.append(await trioreg.receive())

    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(function, restart="temporary")
            await wait_all_tasks_blocked()
            interrupt()
            ref.send_nowait("message")
            with suppress(KeyboardInterrupt):
                await wait_all_tasks_blocked()

    with interrupted_at("after a message was taken from a mailbox") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert received == ["message"]


def test_ctrl_c_within_the_message_of_a_timer_does_not_lose_it() -> None:
    received: list[object] = []

    class Alarm(Actor):
        async def on_start(self) -> None:
            self.send_after(1, "now")

        async def on_message(self, message: object) -> None:
            received.append(message)

    async def main() -> None:
        with trio.fail_after(10):
            async with supervised() as supervisor:
                await supervisor.start_child(Alarm, restart="temporary")
                await wait_all_tasks_blocked()
                interrupt()
                with suppress(KeyboardInterrupt):
                    await trio.sleep(2)

    with interrupted_at("before an actor is woken for a message") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert received == ["now"]


def test_ctrl_c_at_the_beginning_of_a_wait_ends_the_wait() -> None:
    class Watcher(Actor):
        async def watch(self, other: ActorRef[Any]) -> None:
            interrupt()
            with suppress(KeyboardInterrupt), trio.move_on_after(1):
                await other.wait()

        async def ask(self, other: ActorRef[Watcher]) -> str:
            return await other.call(Watcher.answer)

        async def answer(self) -> str:
            return "no cycle"

    async def main() -> None:
        async with supervised() as supervisor:
            ann = await supervisor.start_child(Watcher)
            bob = await supervisor.start_child(Watcher)
            await wait_all_tasks_blocked()
            await ann.cast(Watcher.watch, bob)
            with suppress(KeyboardInterrupt):
                await trio.sleep(1)
            await trio.sleep(2)
            assert await bob.call(Watcher.ask, ann) == "no cycle"

    with interrupted_at("after a wait for an actor has begun") as interrupt:
        trio.run(main, clock=MockClock(autojump_threshold=0))
