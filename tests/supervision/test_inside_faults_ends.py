"""Tests the inside: a failure at any call within an end or a start that a supervisor is asked for breaks nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, Stepped, WithRoom, fails_at_every_call
from support.inside import ask_to_stop
from support.supervisors import supervised
from trio.testing import wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildNotFound,
    ChildSpec,
    NotRunning,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)

KINDS = [AtCall, WithRoom]


class Crashing(Actor):
    def bang(self) -> None:
        raise ZeroDivisionError


class Slow(Actor):
    async def on_start(self) -> None:
        await trio.sleep_forever()


def opened(kind: Any) -> Any:
    return open_dynamic_supervisor() if kind == "dynamic" else open_supervisor(strategy=kind)


OPENED = ["dynamic", "one_for_one", "one_for_all"]


async def crash(ref: Any) -> None:
    with suppress(ActorExited):
        await ref.call(Crashing.bang)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("supervisor", OPENED)
def test_a_termination_that_fails_as_it_begins_can_be_asked_for_again(supervisor: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        async with opened(supervisor) as parent:
            ref = await parent.start_child(Crashing, name=names.via("child"))
            with suppress(MemoryError):
                await Stepped(parent.terminate_child(ref), fault)
            with suppress(ChildNotFound):
                await parent.terminate_child(ref)
            assert names.count() == 0
            parent.stop()

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("supervisor", OPENED)
def test_a_child_whose_termination_has_failed_is_restarted_as_before(supervisor: str, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        async with opened(supervisor) as parent:
            ref = await parent.start_child(Crashing, name=names.via("child"))
            with suppress(MemoryError):
                await Stepped(parent.terminate_child(ref), fault)
            await wait_all_tasks_blocked()
            if names.count():
                await crash(ref)
                await trio.sleep(1)
                assert names.whereis("child") not in (None, ref)
            parent.stop()

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
def test_a_termination_that_fails_does_not_hang_who_waits_for_the_child(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        async with open_dynamic_supervisor() as parent, trio.open_nursery() as nursery:
            ref = await parent.start_child(Crashing, name=names.via("child"), backoff=Backoff(10))
            await crash(ref)
            await wait_all_tasks_blocked()
            nursery.start_soon(lambda: parent.start_or_get(Crashing, name=names.via("child")))
            await wait_all_tasks_blocked()
            with suppress(MemoryError):
                await Stepped(parent.terminate_child(ref), fault)
            await trio.sleep(20)
            assert names.count() == 1
            parent.stop()

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("starting", [False, True])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("supervisor", OPENED)
def test_a_supervisor_whose_stop_has_failed_ends_all_the_same(
    supervisor: str, again: bool, starting: bool, kind: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        with trio.CancelScope() as scope:
            async with opened(supervisor) as parent, trio.open_nursery() as nursery:
                await parent.start_child(Actor)

                async def start() -> None:
                    with suppress(ActorExited, NotRunning):
                        await parent.start_child(Slow)

                if starting:
                    nursery.start_soon(start)
                    nursery.start_soon(start)
                await wait_all_tasks_blocked()
                if not fault(parent.stop):
                    if again:
                        parent.stop()
                    else:
                        scope.cancel()

    fails_at_every_call(kind, scenario)


ENDS: dict[str, Callable[[ActorRef[Any]], None]] = {
    "stop": ask_to_stop,
    "cancel": lambda ref: ref.cancel(),
    "kill": lambda ref: ref.kill(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("end", ENDS)
def test_a_tree_whose_end_has_failed_half_way_ends_all_the_same(end: str, again: bool, kind: Any) -> None:
    below = ChildSpec(Supervisor, ([ChildSpec(Actor)],), id="below")

    async def scenario(fault: Fault) -> None:
        async with supervised() as top:
            ref = await top.start_child(ChildSpec(Supervisor, ([ChildSpec(Actor), below],), restart="temporary"))
            await wait_all_tasks_blocked()
            done = fault(lambda: ENDS[end](ref))
            if again and not done:
                ENDS[end](ref)
            if again or done:
                with trio.fail_after(50):
                    await ref.wait()

    fails_at_every_call(kind, scenario)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a generator is closed meanwhile
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
@pytest.mark.parametrize("start", ["start_child", "restart_child"])
def test_a_start_that_fails_on_its_way_leaves_nothing(start: str, strategy: Any, kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        names: Registry[str, None] = Registry("names")
        child = ChildSpec(Actor, name=names.via("child"), id="child")
        async with open_supervisor([child, ChildSpec(Actor)], strategy=strategy) as parent:
            await parent.terminate_child("child")
            if start == "start_child":
                parent.delete_child("child")
            begin: Any = (
                (lambda: parent.start_child(child))
                if start == "start_child"
                else (lambda: parent.restart_child("child"))
            )
            try:
                await Stepped(begin(), fault)
            except MemoryError:
                await wait_all_tasks_blocked()
                known = {info.id: info.state for info in parent.which_children()}
                assert names.count() == 0
                assert known.get("child") == (None if start == "start_child" else "ended")
                await begin()
            assert names.count() == 1
            parent.stop()
        assert names.count() == 0

    fails_at_every_call(kind, scenario)
