"""Tests the inside: a failure at any call within a message, or within the end of an actor, breaks nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call, inside
from support.inside import ask_to_stop, is_idle
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ActorRef, Registry
from trioreg._actors import handler

KINDS = [AtCall, WithRoom]


class Box(Actor):
    def __init__(self) -> None:
        self.got: list[object] = []

    def put(self, item: object) -> None:
        self.got.append(item)

    async def on_message(self, message: object) -> None:
        self.got.append(message)

    async def sleep(self) -> None:
        await trio.sleep(1)

    def content(self) -> list[object]:
        return self.got


NAMES: Registry[str, None] = Registry("names")

MESSAGES: dict[str, Callable[[ActorRef[Box], object], None]] = {
    "cast": lambda ref, item: ref.cast_nowait(Box.put, item),
    "cast by keyword": lambda ref, item: ref.cast_nowait(Box.put, item=item),
    "cast by name": lambda ref, item: NAMES.via("box").cast_nowait(Box.put, item),
    "cast by key": lambda ref, item: NAMES.cast_nowait("box", Box.put, item),
    "send": lambda ref, item: ref.send_nowait(item),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["idle", "woken", "busy"])
@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_fails_on_its_way_is_not_sent_and_blocks_nothing(message: str, state: str, kind: Any) -> None:
    send = MESSAGES[message]

    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Box, name=NAMES.via("box"))
            await wait_all_tasks_blocked()
            send(ref, 0)
            if state == "idle":
                await wait_all_tasks_blocked()
                assert is_idle(ref)
            elif state == "busy":
                await ref.cast(Box.sleep)
                send(ref, 1)
            before = [0, 1] if state == "busy" else [0]
            sent = fault(lambda: send(ref, 2))
            send(ref, 3)
            assert await ref.call(Box.content) == [*before, *([2] if sent else []), 3]
            with trio.fail_after(1):
                await ref.stop()

    fails_at_every_call(kind, scenario)


ENDS: dict[str, Callable[[ActorRef[Any]], None]] = {
    "stop": ask_to_stop,
    "cancel": lambda ref: ref.cancel(),
    "kill": lambda ref: ref.kill(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["idle", "woken", "scoped", "busy"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("again", ENDS)
def test_an_end_that_fails_on_its_way_can_be_asked_for_again(end: str, again: str, state: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Box, restart="temporary")
            await wait_all_tasks_blocked()
            if state == "woken":
                ref.send_nowait("message")
            if state in ("scoped", "busy"):
                await ref.cast(Box.sleep)
            if state == "scoped":
                await trio.sleep(2)
            done = fault(lambda: ENDS[end](ref))
            if not done:
                ENDS[again](ref)
            with trio.fail_after(10):
                exit = await ref.wait()
            if done:
                assert exit.reason == {"stop": "normal", "cancel": "shutdown", "kill": "killed"}[end]

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ENDS)
def test_an_end_that_fails_on_its_way_does_not_hang_the_shutdown(end: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Box)
            await wait_all_tasks_blocked()
            fault(lambda: ENDS[end](ref))

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
def test_a_first_message_that_fails_on_its_way_says_why_and_not_that_there_is_no_such_method() -> None:
    async def scenario(fault: Fault) -> None:
        class Clerk(Box):
            @staticmethod
            def file(item: object) -> None:
                pass

            @classmethod
            def burn(cls, item: object) -> None:
                pass

        async with supervised() as supervisor:
            ref: Any = await supervisor.start_child(Clerk)
            for method in (Clerk.file, Clerk.burn):
                with inside(handler, "name_in", fault), suppress(MemoryError):
                    ref.cast_nowait(method, 1)
                ref.cast_nowait(method, 2)

    fails_at_every_call(AtCall, scenario)
