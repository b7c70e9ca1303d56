"""Strategies: which children are restarted when one ends, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.children import Failing, bang, ref_of, restarts, states_by_id, went_on, worker
from support.errors import Bang
from support.supervisors import supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ActorExited,
    ActorRef,
    Backoff,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
)


async def crash(ref: ActorRef[Failing]) -> None:
    ref.cast_nowait(Failing.bang)


async def kill(ref: ActorRef[Failing]) -> None:
    ref.kill()


async def cancel(ref: ActorRef[Failing]) -> None:
    ref.cancel()


async def stop(ref: ActorRef[Failing]) -> None:
    await ref.stop()


def shown(supervisor: Supervisor) -> dict[Any, str]:
    return {child.id: f"{child.state} {child.restarts}" for child in supervisor.which_children()}


# One child ends


ENDS: dict[str, Callable[[ActorRef[Failing]], Any]] = {
    "crashed": crash,
    "killed": kill,
    "shutdown": cancel,
    "normal": stop,
}

RESTARTED: dict[tuple[str, str], str] = {
    # (strategy, the child that ended): the stops and starts of a, b, c that follow, in order
    ("one_for_one", "a"): "+a",
    ("one_for_one", "b"): "+b",
    ("one_for_one", "c"): "+c",
    ("one_for_all", "a"): "-c -b +a +b +c",
    ("one_for_all", "b"): "-c -a +a +b +c",
    ("one_for_all", "c"): "-b -a +a +b +c",
    ("rest_for_one", "a"): "-c -b +a +b +c",
    ("rest_for_one", "b"): "-c +b +c",
    ("rest_for_one", "c"): "+c",
}


def is_restarted(restart: str, reason: str) -> bool:
    return restart == "permanent" or (restart == "transient" and reason in ("crashed", "killed"))


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize(("strategy", "ended"), RESTARTED)
async def test_a_strategy_says_which_children_are_restarted_in_which_order(
    strategy: Any, ended: str, restart: Any, reason: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, label, restart=restart if label == ended else "permanent") for label in "abc"]
        # A group restart counts once, or the supervisor would give up; the test below shows that it counts.
        async with open_supervisor(children, strategy=strategy, max_restarts=1) as supervisor:
            log.clear()
            await ENDS[reason](ref_of(supervisor, ended))
            await wait_all_tasks_blocked()
            own = [] if reason == "killed" else [f"-{ended}"]
            if is_restarted(restart, reason):
                expected = RESTARTED[strategy, ended].split()
                assert log == own + expected
                assert restarts(supervisor) == {label: int(f"+{label}" in expected) for label in "abc"}
                assert set(states_by_id(supervisor).values()) == {"running"}
            else:
                assert log == own
                left = dict.fromkeys("abc", "running")
                if restart == "temporary":
                    del left[ended]
                else:
                    left[ended] = "ended"
                assert states_by_id(supervisor) == left
            scope.cancel()


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize(("strategy", "ended"), RESTARTED)
async def test_a_supervisor_without_restarts_gives_up_where_it_would_restart_and_nowhere_else(
    strategy: Any, ended: str, restart: Any, reason: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    others = [label for label in "cba" if label != ended]
    children = [worker(log, label, restart=restart if label == ended else "permanent") for label in "abc"]
    is_left = False
    try:
        async with supervising(children, strategy=strategy, max_restarts=0) as supervisor:
            log.clear()
            await ENDS[reason](ref_of(supervisor, ended))
            await wait_all_tasks_blocked()
            is_left = True
    except RestartLimitExceeded as error:
        (cause,) = error.exceptions
        assert isinstance(cause, Bang if reason == "crashed" else ActorExited)
    assert is_left != is_restarted(restart, reason)
    assert log == ([] if reason == "killed" else [f"-{ended}"]) + [f"-{label}" for label in others]


SIBLINGS: dict[tuple[str, str], tuple[str, str, str | None]] = {
    # (restart type, what the child did before): its state and restarts, what a group restart does, and then again
    ("permanent", "runs"): ("running 0", "-s +s", "running 1"),
    ("permanent", "was terminated"): ("ended 0", "+s", "running 1"),
    ("permanent", "waits for its restart"): ("restarting 1", "+s", "running 1"),
    ("permanent", "was killed once"): ("running 1", "-s +s", "running 2"),
    ("transient", "runs"): ("running 0", "-s +s", "running 1"),
    ("transient", "has returned"): ("ended 0", "+s", "running 1"),
    ("transient", "was terminated"): ("ended 0", "+s", "running 1"),
    ("transient", "waits for its restart"): ("restarting 1", "+s", "running 1"),
    ("temporary", "runs"): ("running 0", "-s", None),
}


@pytest.mark.parametrize(("restart", "before"), SIBLINGS)
@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
@pytest.mark.parametrize("place", ["before", "after"])
async def test_what_a_group_restart_does_to_each_other_child(
    place: str, strategy: Any, restart: Any, before: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    backoff = Backoff(initial=100, maximum=100) if before == "waits for its restart" else None
    children = [worker(log, "a"), worker(log, "s", restart=restart, backoff=backoff)]
    if place == "before":
        children.reverse()
    async with supervising(children, strategy=strategy, max_restarts=2) as supervisor:
        if before == "has returned":
            await ref_of(supervisor, "s").stop()
        elif before == "was terminated":
            await supervisor.terminate_child("s")
        elif before != "runs":
            ref_of(supervisor, "s").kill()
        await wait_all_tasks_blocked()
        first, done, then = SIBLINGS[restart, before]
        assert shown(supervisor)["s"] == first
        log.clear()
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        is_member = strategy == "one_for_all" or place == "after"
        assert [entry for entry in log if entry[1] == "s"] == (done.split() if is_member else [])
        assert shown(supervisor).get("s") == (then if is_member else first)


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_group_restart_keeps_the_names(strategy: Any, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    children = [worker([], label, name=names.via(label)) for label in "abc"]
    with trio.CancelScope() as scope, watching(names):
        async with open_supervisor(children, strategy=strategy) as supervisor:
            bang(supervisor, "b")
            await wait_all_tasks_blocked()
            assert [await names.via(label).call(Failing.ping) for label in "abc"] == ["a", "b", "c"]
            scope.cancel()


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
@pytest.mark.parametrize("ended", ["a", "b", "c"])
async def test_leaving_the_block_waits_for_restarts(strategy: Any, ended: str, autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, label) for label in "abc"]
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def crash_later(supervisor: Supervisor) -> None:
                await trio.sleep(1)
                log.clear()
                bang(supervisor, ended)
                await trio.sleep(1)
                log.append("still there")
                scope.cancel()

            async with open_supervisor(children, strategy=strategy) as supervisor:
                nursery.start_soon(crash_later, supervisor)
    assert log == [f"-{ended}", *RESTARTED[strategy, ended].split(), "still there", "-c", "-b", "-a"]


# Several at once


@pytest.mark.parametrize("order", ["abc", "cba", "bac"])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_children_that_crash_at_once_are_restarted_once_each(
    strategy: Any, order: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervising([worker(log, label) for label in "abc"], strategy=strategy) as supervisor:
        log.clear()
        bang(supervisor, *order)
        await wait_all_tasks_blocked()
        started = [entry for entry in log if entry.startswith("+")]
        assert sorted(started) == ["+a", "+b", "+c"]
        if strategy != "one_for_one":
            assert started == ["+a", "+b", "+c"]
        assert restarts(supervisor) == {"a": 1, "b": 1, "c": 1}


async def test_children_that_crash_at_once_count_as_one_restart_for_one_for_all(autojump_clock: MockClock) -> None:
    labels = "abcdef"
    with trio.CancelScope() as scope:
        children = [worker([], label) for label in labels]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1) as supervisor:
            bang(supervisor, *labels)
            await wait_all_tasks_blocked()
            assert restarts(supervisor) == dict.fromkeys(labels, 1)
            scope.cancel()


async def test_children_that_crash_at_once_count_each_for_one_for_one(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(Bang, Bang):
        async with open_supervisor([worker([], "a"), worker([], "b")], max_restarts=1) as supervisor:
            bang(supervisor, "a", "b")
            await went_on()
