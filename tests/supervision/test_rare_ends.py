"""Supervisors and children that end at a rare moment, or whose end fails at first."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio
from support.children import bang, went_on, worker
from support.errors import leaves
from support.finalizers import Cyclic
from support.supervisors import supervised
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, OnDemand, Registry, open_dynamic_supervisor, open_on_demand, open_supervisor
from trioreg._supervision.lifecycle import Lifecycle
from trioreg.testing import explore


class Stubborn(Actor):
    """A handler of it can't be cancelled for one second."""

    def __init__(self, key: str) -> None: ...

    async def hang(self) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)


async def child() -> ActorRef[Stubborn]:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Stubborn, "a", shutdown=1)
        ref.cast_nowait(Stubborn.hang)
        await wait_all_tasks_blocked()
    return ref


async def actor_on_demand() -> ActorRef[Stubborn]:
    actors: OnDemand[str, Stubborn] = OnDemand("actors", Stubborn, shutdown=1)
    async with open_on_demand(actors):
        actors.via("a").cast_nowait(Stubborn.hang)
        ref = actors.whereis("a")
        assert ref is not None
        await wait_all_tasks_blocked()
    return ref


@pytest.mark.parametrize("ended", [child, actor_on_demand])
def test_an_actor_that_ends_just_in_time_is_not_said_to_be_killed(
    ended: Callable[[], Awaitable[ActorRef[Stubborn]]], caplog: pytest.LogCaptureFixture
) -> None:
    reasons: set[str] = set()

    async def scenario() -> None:
        caplog.clear()
        ref = await ended()
        reason = (await ref.wait()).reason
        reasons.add(reason)
        assert ("is killed" in caplog.text) == (reason == "killed")

    explore(scenario, runs=10)
    assert len(reasons) == 2


async def test_a_supervisor_that_is_being_ended_from_outside_gives_up_without_an_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    log: list[str] = []
    async with open_supervisor([worker(log, "a"), worker(log, "b")], max_restarts=0) as supervisor:
        supervisor._engine.forgives_crashes(lambda: True)
        bang(supervisor, "a")
        await went_on()
    assert log == ["+a", "+b", "-a", "-b"]
    assert "giving up" in caplog.text


@pytest.mark.usefixtures("no_collection")
async def test_a_block_that_a_finalizer_stops_ends_after_the_collection(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(Worker, log, "a")
        Cyclic(supervisor.stop)
        gc.collect()
        assert not supervisor._engine.is_closing()  # in the middle of a collection, nothing is woken
        await went_on()
    assert log == ["+a", "-a"]


# A block that can not be entered, or not be left, at first


def fail(*_: object, **__: object) -> Any:
    raise MemoryError


@pytest.mark.filterwarnings("ignore::trio.TrioDeprecationWarning")
@pytest.mark.parametrize("strict", [True, False])
def test_a_block_whose_supervisor_can_not_begin_raises_that_and_is_not_entered(
    strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        before = trio.lowlevel.current_statistics().tasks_living
        with monkeypatch.context() as patch:
            patch.setattr(trio.Nursery, "start_soon", fail)
            with pytest.raises((MemoryError, BaseExceptionGroup)) as caught:
                async with open_supervisor([worker([], "a")]):
                    await went_on()
        assert [type(leaf) for leaf in leaves(caught.value)] == [MemoryError]
        assert trio.lowlevel.current_statistics().tasks_living == before

    trio.run(main, clock=MockClock(autojump_threshold=0), strict_exception_groups=strict)


@pytest.mark.filterwarnings("ignore::trio.TrioDeprecationWarning")
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("at_end", ["wait", "stop"])
def test_a_block_whose_end_fails_at_first_raises_that_when_its_children_have_ended(
    at_end: Any, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    async def main() -> None:
        with pytest.raises((MemoryError, BaseExceptionGroup)) as caught:
            async with open_supervisor([worker(log, "a"), worker(log, "b", stop=1)], at_end=at_end):
                name = "close_if_done" if at_end == "wait" else "close"
                real = getattr(Lifecycle, name)
                calls: Iterator[Any] = iter([fail])

                def next_call(*args: Any) -> Any:
                    return next(calls, real)(*args)

                monkeypatch.setattr(Lifecycle, name, next_call)
        assert [type(leaf) for leaf in leaves(caught.value)] == [MemoryError]
        assert log == ["+a", "+b", "-b", "-a"]

    trio.run(main, clock=MockClock(autojump_threshold=0), strict_exception_groups=strict)


# A start that waits


async def test_a_child_that_is_started_by_hand_may_wait_in_its_start_for_a_name(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    class Waits(Actor):
        async def on_start(self) -> None:
            await names.wait_for("later")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.start_child, Waits)
        await trio.sleep(1)
        await supervisor.start_child(Worker, log, "later", name=names.via("later"))
        await wait_all_tasks_blocked()
        assert [child.state for child in supervisor.which_children()] == ["running", "running"]
