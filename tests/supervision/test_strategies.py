"""Strategies: who is restarted when a child ends, in which order, and how often that counts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.errors import Bang, leaves
from support.supervisors import supervising
from support.watcher import watching
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ActorExited,
    ActorRef,
    Backoff,
    ChildNotEnded,
    ChildSpec,
    Exit,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_supervisor,
)


class Failing(Worker):
    """Those named in ``fails`` do not start, as often as is said."""

    def __init__(
        self, log: list[str], name: str, *, start: float = 0, stop: float = 0, fails: dict[str, int] | None = None
    ) -> None:
        super().__init__(log, name, start=start, stop=stop)
        self.fails = {} if fails is None else fails

    def begin(self) -> None:
        if self.fails.get(self.name, 0):
            self.fails[self.name] -= 1
            self.log.append(f"!{self.name}")
            raise Bang(f"start of {self.name}")
        super().begin()

    def exit(self) -> None:
        raise SystemExit(self.name)


def worker(
    log: list[str],
    label: str,
    *,
    start: float = 0,
    stop: float = 0,
    fails: dict[str, int] | None = None,
    **options: Any,
) -> ChildSpec:
    factory = functools.partial(Failing, log, label, start=start, stop=stop, fails=fails)
    return ChildSpec(factory, id=label, **options)


def ref_of(supervisor: Supervisor, id: object) -> ActorRef[Failing]:
    ref = next(child.ref for child in supervisor.which_children() if child.id == id)
    assert ref is not None
    return ref


def bang(supervisor: Supervisor, *ids: str) -> None:
    """Crash them, in this order, before any other task runs."""
    for id in ids:
        ref_of(supervisor, id).cast_nowait(Failing.bang)


def restarts(supervisor: Supervisor) -> dict[Any, int]:
    return {child.id: child.restarts for child in supervisor.which_children()}


def states(supervisor: Supervisor) -> dict[Any, str]:
    return {child.id: child.state for child in supervisor.which_children()}


def shown(supervisor: Supervisor) -> dict[Any, str]:
    return {child.id: f"{child.state} {child.restarts}" for child in supervisor.which_children()}


def counted(supervisor: Supervisor) -> int:
    """How many restarts there are in the window now."""
    return len(supervisor._engine.restarts.intensity.errors)


def errors_of(error: BaseException) -> list[str]:
    return [str(leaf) for leaf in leaves(error)]


async def crash(ref: ActorRef[Failing]) -> None:
    ref.cast_nowait(Failing.bang)


async def kill(ref: ActorRef[Failing]) -> None:
    ref.kill()


async def cancel(ref: ActorRef[Failing]) -> None:
    ref.cancel()


async def stop(ref: ActorRef[Failing]) -> None:
    await ref.stop()


# Who is restarted

ENDS: dict[str, Callable[[ActorRef[Failing]], Any]] = {
    "crashed": crash,
    "killed": kill,
    "shutdown": cancel,
    "normal": stop,
}

RESTARTED: dict[tuple[str, str], str] = {
    # (strategy, which one ended): what then happens to a, b, c, in order
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
async def test_who_is_restarted_in_which_order_with_what_count(
    strategy: Any, ended: str, restart: Any, reason: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, label, restart=restart if label == ended else "permanent") for label in "abc"]
        async with open_supervisor(children, strategy=strategy) as supervisor:
            log.clear()
            await ENDS[reason](ref_of(supervisor, ended))
            await wait_all_tasks_blocked()
            own = [] if reason == "killed" else [f"-{ended}"]
            if is_restarted(restart, reason):
                expected = RESTARTED[strategy, ended].split()
                assert log == own + expected
                assert restarts(supervisor) == {label: int(f"+{label}" in expected) for label in "abc"}
                assert set(states(supervisor).values()) == {"running"}
                assert counted(supervisor) == 1
            else:
                assert log == own
                assert counted(supervisor) == 0
                left = dict.fromkeys("abc", "running")
                if restart == "temporary":
                    del left[ended]
                else:
                    left[ended] = "ended"
                assert states(supervisor) == left
            scope.cancel()


@pytest.mark.parametrize("reason", ENDS)
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize(("strategy", "ended"), RESTARTED)
async def test_a_supervisor_that_may_not_restart_gives_up_for_what_it_would_restart_and_nothing_else(
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
    # (what a member of a restart of several is, what it does before): what it is, what is done to it, what it is then
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
async def test_what_a_restart_of_several_does_to_each_of_the_others(
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


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_temporary_child_is_ended_and_dropped_by_a_group_restart(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", restart="temporary"), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "-c", "-b", "+a", "+c"]
        assert list(states(supervisor)) == ["a", "c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_transient_child_that_ended_normally_is_started_again_by_a_group_restart(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a"), worker(log, "b", restart="transient")]
        async with open_supervisor(children, strategy=strategy) as supervisor:
            await ref_of(supervisor, "b").stop()
            assert states(supervisor) == {"a": "running", "b": "ended"}
            log.clear()
            bang(supervisor, "a")
            await wait_all_tasks_blocked()
            assert log == ["-a", "+a", "+b"]
            assert states(supervisor) == {"a": "running", "b": "running"}
            scope.cancel()


async def test_a_child_that_was_terminated_is_started_again_by_a_group_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a"), worker(log, "b")], strategy="one_for_all") as supervisor:
        await supervisor.terminate_child("b")
        log.clear()
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "+a", "+b"]


async def test_a_group_restart_starts_each_child_when_the_one_before_has_started(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b", start=1)]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "b")
        await trio.sleep(2.5)
        assert log == ["-b", "-a", "+a"]
        assert states(supervisor) == {"a": "running", "b": "starting"}
        await trio.sleep(1)
        assert log == ["-b", "-a", "+a", "+b"]


async def test_a_child_that_waits_for_its_turn_in_a_group_restart_is_shown_as_restarting(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b"), worker(log, "c", stop=1)]
    async with supervising(children, strategy="one_for_all") as supervisor:
        bang(supervisor, "a")
        await trio.sleep(0.5)
        assert states(supervisor) == {"a": "restarting", "b": "running", "c": "running"}
        await trio.sleep(1)
        assert states(supervisor) == {"a": "starting", "b": "restarting", "c": "restarting"}
        await trio.sleep(2)
        assert set(states(supervisor).values()) == {"running"}


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_a_restart_of_several_keeps_the_names(strategy: Any, autojump_clock: MockClock) -> None:
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
async def test_a_block_that_was_left_stays_for_a_restart(strategy: Any, ended: str, autojump_clock: MockClock) -> None:
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
async def test_a_crash_storm_restarts_each_once(strategy: Any, order: str, autojump_clock: MockClock) -> None:
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


async def test_a_crash_storm_counts_once_for_one_for_all(autojump_clock: MockClock) -> None:
    labels = "abcdef"
    with trio.CancelScope() as scope:
        children = [worker([], label) for label in labels]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1) as supervisor:
            bang(supervisor, *labels)
            await wait_all_tasks_blocked()
            assert restarts(supervisor) == dict.fromkeys(labels, 1)
            scope.cancel()


async def test_a_crash_storm_counts_each_for_one_for_one(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(Bang, Bang):
        async with open_supervisor([worker([], "a"), worker([], "b")], max_restarts=1) as supervisor:
            bang(supervisor, "a", "b")
            await trio.sleep(1000)
            raise AssertionError("the block went on")


async def test_a_crash_while_a_group_restart_ends_the_others_is_part_of_that_restart(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b"), worker(log, "c", stop=2)]
    async with supervising(children, strategy="one_for_all", max_restarts=1) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "b")
        await trio.sleep(2)
        assert log == ["-a", "-b", "-c", "+a", "+b", "+c"]
        assert restarts(supervisor) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_crash_of_one_that_a_group_restart_has_started_leads_to_another(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", start=2)]
    async with supervising(children, strategy=strategy) as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["-a", "-b", "+a", "-a", "+b", "-b", "+a", "+b"]
        assert restarts(supervisor) == {"a": 2, "b": 2}


# A restart that fails


@pytest.mark.parametrize(
    ("strategy", "then"),
    [("one_for_all", "-a +a +b +c"), ("rest_for_one", "+b +c")],
)
async def test_a_child_that_fails_to_restart_is_tried_again_with_its_own_group(
    strategy: Any, then: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, label, fails=fails) for label in "abc"]
    async with supervising(children, strategy=strategy, max_restarts=2) as supervisor:
        log.clear()
        fails["b"] = 1
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert log == ["-a", "-c", "-b", "+a", "!b", *then.split()]
        assert states(supervisor) == {"a": "running", "b": "running", "c": "running"}


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_restarts_that_fail_count(strategy: Any, autojump_clock: MockClock) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, label, fails=fails) for label in "ab"]
    with pytest.raises(RestartLimitExceeded) as caught:
        async with open_supervisor(children, strategy=strategy, max_restarts=2) as supervisor:
            fails["b"] = 100
            bang(supervisor, "b")
            await trio.sleep(1000)
            raise AssertionError("the block went on")
    assert errors_of(caught.value) == ["b", "start of b", "start of b"]
    assert fails["b"] == 98
    assert log[-1] == "-a"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_that_finds_a_name_taken_counts_and_is_tried_again(
    strategy: Any, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    with pytest.raises(RestartLimitExceeded) as caught:
        children = [worker(log, "a"), worker(log, "b", name=names.via("b"))]
        async with open_supervisor(children, strategy=strategy, max_restarts=1) as supervisor:
            ref = ref_of(supervisor, "b")
            bang(supervisor, "a")
            await ref.wait()
            with names.hold("b"):
                await trio.sleep(1000)
            raise AssertionError("the block went on")
    assert [type(error).__name__ for error in leaves(caught.value)] == ["Bang", "AlreadyRegistered"]


async def test_a_group_restart_after_a_backoff_starts_all_when_the_wait_is_over(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=4)), worker(log, "b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(3)
        assert log == ["-a"]
        assert states(supervisor) == {"a": "restarting", "b": "running"}
        await trio.sleep(2)
        assert log == ["-a", "-b", "+a", "+b"]


async def test_a_group_restart_restarts_one_that_waits_for_its_backoff_only_once(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=4)), worker(log, "b")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        bang(supervisor, "b")
        await trio.sleep(100)
        assert log == ["-a", "-b", "+a", "+b"]
        assert restarts(supervisor) == {"a": 1, "b": 1}


# One of several that fails to restart, and waits


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_those_behind_one_that_waits_for_its_next_try_are_shown_as_restarting(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [
        worker(log, "a", fails=fails),
        worker(log, "b", fails=fails, backoff=Backoff(initial=4)),
        worker(log, "c", fails=fails),
    ]
    async with supervising(children, strategy=strategy, max_restarts=5, max_seconds=100) as supervisor:
        log.clear()
        fails["b"] = 1
        bang(supervisor, "a")
        await trio.sleep(1)
        assert log == ["-a", "-c", "-b", "+a", "!b"]
        assert states(supervisor) == {"a": "running", "b": "restarting", "c": "restarting"}
        with pytest.raises(ChildNotEnded):
            await supervisor.restart_child("c")
        await trio.sleep(10)
        assert states(supervisor) == {"a": "running", "b": "running", "c": "running"}


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_one_behind_one_that_waits_for_its_next_try_can_be_terminated(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, "a", fails=fails, backoff=Backoff(initial=4)), worker(log, "b"), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        fails["a"] = 1
        ref_of(supervisor, "a").kill()
        await trio.sleep(5)
        log.clear()
        assert states(supervisor) == {"a": "restarting", "b": "restarting", "c": "restarting"}
        await supervisor.terminate_child("b")
        assert states(supervisor) == {"a": "restarting", "b": "ended", "c": "restarting"}
        supervisor.delete_child("b")
        await trio.sleep(10)
        assert log == ["+a", "+c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_those_behind_one_that_is_terminated_while_it_waits_for_its_next_try_are_started_without_it(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {}
    children = [worker(log, "a"), worker(log, "b", fails=fails, backoff=Backoff(initial=4)), worker(log, "c")]
    async with supervising(children, strategy=strategy) as supervisor:
        fails["b"] = 1
        bang(supervisor, "a")
        await trio.sleep(1)
        log.clear()
        await supervisor.terminate_child("b")
        await wait_all_tasks_blocked()
        assert log == ["+c"]
        assert states(supervisor) == {"a": "running", "b": "ended", "c": "running"}
        await trio.sleep(10)
        assert log == ["+c"]


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_block_that_was_left_stays_for_those_behind_one_that_waits(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails: dict[str, int] = {"a": 0}
    children = [worker(log, "a", fails=fails, backoff=Backoff(initial=4)), worker(log, "b")]
    with trio.fail_after(1000), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def disturb(supervisor: Supervisor) -> None:
                fails["a"] = 1
                ref_of(supervisor, "a").kill()
                await trio.sleep(5)
                await supervisor.terminate_child("a")
                log.append("terminated")
                await trio.sleep(5)
                log.append("still there")
                scope.cancel()

            async with open_supervisor(children, strategy=strategy) as supervisor:
                nursery.start_soon(disturb, supervisor)
    assert log == ["+a", "+b", "-b", "!a", "terminated", "+b", "still there", "-b"]


# Meanwhile, from outside


async def test_a_child_terminated_during_a_group_restart_is_left_out_of_it(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", start=2), worker(log, "b"), worker(log, "c")]
    async with supervising(children, strategy="one_for_all") as supervisor:
        log.clear()
        bang(supervisor, "a")
        await trio.sleep(1)
        await supervisor.terminate_child("b")
        await trio.sleep(2)
        assert log == ["-a", "-c", "-b", "+a", "+c"]
        assert states(supervisor) == {"a": "running", "b": "ended", "c": "running"}


async def test_a_child_terminated_while_a_group_restart_starts_it_does_not_count_as_a_failure(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a", start=2), worker(log, "b")]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1) as supervisor:
            log.clear()
            bang(supervisor, "b")
            await trio.sleep(1)
            await supervisor.terminate_child("a")
            await wait_all_tasks_blocked()
            assert log == ["-b", "-a", "+b"]
            assert states(supervisor) == {"a": "ended", "b": "running"}
            scope.cancel()


async def test_a_start_by_somebody_else_that_a_group_restart_interrupts_fails_and_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    outcome: list[Exit] = []
    with trio.CancelScope() as scope:
        async with open_supervisor([worker(log, "a")], strategy="one_for_all") as supervisor, trio.open_nursery() as n:

            async def start() -> None:
                with pytest.raises(ActorExited) as caught:
                    await supervisor.start_child(worker(log, "b", start=2))
                outcome.append(caught.value.exit)

            n.start_soon(start)
            await trio.sleep(1)
            bang(supervisor, "a")
            await trio.sleep(10)
            assert outcome == [Exit("shutdown")]
            assert states(supervisor) == {"a": "running"}
            assert log == ["+a", "-a", "+a"]
            scope.cancel()
    assert log == ["+a", "-a", "+a", "-a"]


async def does_not_start(supervisor: Supervisor, spec: ChildSpec) -> None:
    with pytest.raises(Bang):
        await supervisor.start_child(spec)


# Trio runs those that can run in any order: each time may be the one in which it matters.
@pytest.mark.parametrize("time", range(12))
async def test_a_start_by_somebody_else_that_fails_when_a_group_restart_begins_leaves_nothing(
    time: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a")], strategy="one_for_all") as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(does_not_start, supervisor, worker(log, "b", start=1, fails={"b": 1}))
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["+a", "-a", "!b", "+a"] or log == ["+a", "!b", "-a", "+a"]
        assert states(supervisor) == {"a": "running"}
    assert log[4:] == ["-a"]


async def test_a_start_by_somebody_else_that_fails_while_a_group_restart_ends_others_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a")], strategy="one_for_all") as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(does_not_start, supervisor, worker(log, "b", start=2, fails={"b": 1}))
        await wait_all_tasks_blocked()
        await supervisor.start_child(worker(log, "c", stop=2))
        await trio.sleep(1)
        bang(supervisor, "a")
        await trio.sleep(10)
        assert log == ["+a", "+c", "-a", "!b", "-c", "+a", "+c"]
        assert states(supervisor) == {"a": "running", "c": "running"}


@pytest.mark.parametrize("time", range(16))
async def test_a_child_terminated_when_a_group_restart_begins_is_left_out_of_it(
    time: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    specs = [worker(log, label) for label in "abc"]
    with trio.CancelScope() as scope:
        async with open_supervisor(specs, strategy="one_for_all") as supervisor, trio.open_nursery() as n:

            async def terminate() -> None:
                for _ in range(time % 4):
                    await trio.lowlevel.checkpoint()
                await supervisor.terminate_child("a")

            n.start_soon(terminate)
            bang(supervisor, "c")
            await wait_all_tasks_blocked()
            assert states(supervisor) == {"a": "ended", "b": "running", "c": "running"}
            scope.cancel()


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
async def test_a_supervisor_cancelled_at_any_time_of_a_group_restart_ends_all_and_frees_the_names(
    seconds: float, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    children = [worker(log, label, start=1, stop=1, name=names.via(label)) for label in "ab"]
    with trio.CancelScope() as scope, watching(names):
        async with open_supervisor(children, strategy="one_for_all") as supervisor:
            ref_of(supervisor, "a").kill()
            await trio.sleep(seconds)
            scope.cancel()
            await trio.sleep_forever()
    assert names.count() == 0
    assert log.count("+a") == log.count("-a") + 1  # the kill
    assert log.count("+b") == log.count("-b")


# Giving up


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_supervisor_gives_up_after_one_group_restart_too_many(strategy: Any, autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.raises(RestartLimitExceeded) as caught:
        children = [worker(log, "a"), worker(log, "b"), worker(log, "c")]
        async with open_supervisor(children, strategy=strategy, max_restarts=2) as supervisor:
            for _ in range(3):
                log.clear()
                bang(supervisor, "b")
                await trio.sleep(1)
            raise AssertionError("the block went on")
    assert errors_of(caught.value) == ["b", "b", "b"]
    assert log == ["-b", "-c", "-a"]


@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all", "rest_for_one"])
async def test_what_crashes_while_a_supervisor_gives_up_is_in_the_same_group(
    strategy: Any, autojump_clock: MockClock
) -> None:
    with pytest.raises(RestartLimitExceeded) as caught:
        async with open_supervisor([worker([], "a"), worker([], "b")], strategy=strategy, max_restarts=0) as supervisor:
            bang(supervisor, "a", "b")
            await trio.sleep(1000)
            raise AssertionError("the block went on")
    assert sorted(errors_of(caught.value)) == ["a", "b"]


async def test_group_restarts_that_are_far_enough_apart_go_on(autojump_clock: MockClock) -> None:
    with trio.CancelScope() as scope:
        children = [worker([], "a"), worker([], "b")]
        async with open_supervisor(children, strategy="one_for_all", max_restarts=1, max_seconds=5) as supervisor:
            for _ in range(10):
                bang(supervisor, "a")
                await trio.sleep(6)
            assert restarts(supervisor) == {"a": 10, "b": 10}
            scope.cancel()


async def test_system_exit_is_no_crash_to_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(SystemExit):
        async with open_supervisor([worker(log, "a"), worker(log, "b")], strategy="one_for_all") as supervisor:
            ref_of(supervisor, "b").cast_nowait(Failing.exit)
            await trio.sleep(1000)
            raise AssertionError("the block went on")
    assert log == ["+a", "+b", "-b", "-a"]


# Shutting down by itself


async def test_any_significant_child_that_ends_shuts_the_supervisor_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        worker(log, "a"),
        worker(log, "b", restart="transient", significant=True),
        worker(log, "c", restart="transient", significant=True),
    ]
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        log.clear()
        await ref_of(supervisor, "b").stop()
        await trio.sleep(1000)
        raise AssertionError("the block went on")
    assert log == ["-b", "-c", "-a"]


async def test_the_last_of_all_significant_children_shuts_the_supervisor_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        worker(log, "a"),
        worker(log, "b", restart="transient", significant=True),
        worker(log, "c", restart="temporary", significant=True),
    ]
    async with open_supervisor(children, auto_shutdown="all_significant") as supervisor:
        log.clear()
        await ref_of(supervisor, "c").stop()
        await trio.sleep(10)
        assert states(supervisor) == {"a": "running", "b": "running"}
        await ref_of(supervisor, "b").stop()
        await trio.sleep(1000)
        raise AssertionError("the block went on")
    assert log == ["-c", "-b", "-a"]


@pytest.mark.parametrize("backoff", [None, Backoff(initial=1)])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_significant_child_that_is_restarted_has_not_ended(
    strategy: Any, backoff: Backoff | None, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    options: dict[str, Any] = {"restart": "transient", "significant": True, "backoff": backoff}
    children = [worker(log, "a", **options), worker(log, "b", **options)]
    async with supervising(children, strategy=strategy, auto_shutdown="all_significant") as supervisor:
        ref = ref_of(supervisor, "b")
        bang(supervisor, "a")
        await ref_of(supervisor, "a").wait()
        await ref.stop()
        await trio.sleep(10)
        assert states(supervisor)["a"] == "running"


async def test_a_child_that_is_not_significant_ends_without_consequences(autojump_clock: MockClock) -> None:
    children = [
        worker([], "a", restart="transient"),
        worker([], "b", restart="transient", significant=True),
    ]
    async with supervising(children, auto_shutdown="any_significant") as supervisor:
        await ref_of(supervisor, "a").stop()
        await trio.sleep(10)
        assert states(supervisor) == {"a": "ended", "b": "running"}


async def test_a_significant_child_that_is_terminated_from_outside_shuts_nothing_down(
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope:
        children = [worker([], "a"), worker([], "b", restart="transient", significant=True)]
        async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
            await supervisor.terminate_child("b")
            await trio.sleep(10)
            assert states(supervisor) == {"a": "running", "b": "ended"}
            scope.cancel()


async def test_a_significant_child_that_crashes_for_good_is_logged_and_shuts_down(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    children = [worker([], "a", restart="temporary", significant=True)]
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        bang(supervisor, "a")
        await trio.sleep(1000)
        raise AssertionError("the block went on")
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [Bang]


async def done_at_once() -> None:
    pass


SIGNIFICANT = ChildSpec(done_at_once, restart="transient", significant=True)


@pytest.mark.parametrize("others", [0, 1, 2])
async def test_a_supervisor_that_is_done_before_it_is_entered_has_its_block_cancelled(
    others: int, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [SIGNIFICANT, *(worker(log, name, start=1) for name in "ab"[:others])]
    entered = False
    async with open_supervisor(children, auto_shutdown="any_significant") as supervisor:
        entered = True
        assert all(child.ref is None for child in supervisor.which_children())
        await trio.sleep(1000)
        raise AssertionError("the block went on")
    assert entered
    assert sum(line[0] == "+" for line in log) == sum(line[0] == "-" for line in log)


async def test_a_nested_supervisor_that_is_done_before_it_has_started_has_ended(autojump_clock: MockClock) -> None:
    nested = functools.partial(Supervisor, [SIGNIFICANT], auto_shutdown="any_significant")
    async with supervising([ChildSpec(nested, id="nested", restart="transient")]) as supervisor:
        await trio.sleep(10)
        assert states(supervisor) == {"nested": "ended"}


async def test_a_nested_supervisor_that_shuts_down_by_itself_has_ended(autojump_clock: MockClock) -> None:
    log: list[str] = []
    inner = [worker(log, "a"), worker(log, "b", restart="transient", significant=True)]
    nested = functools.partial(Supervisor, inner, auto_shutdown="any_significant")
    async with supervising([ChildSpec(nested, id="nested", restart="transient")]) as supervisor:
        actor: Any = supervisor._engine.children["nested"].cell
        ref_of(actor.actor, "b").cancel()
        await trio.sleep(10)
        assert log == ["+a", "+b", "-b", "-a"]
        assert states(supervisor) == {"nested": "ended"}


# Bad arguments


@pytest.mark.parametrize("value", ["always", None, True])
def test_auto_shutdown_is_one_of_three(value: Any) -> None:
    with pytest.raises(ValueError, match=f"auto_shutdown must be .*, not {value!r}"):
        open_supervisor(auto_shutdown=value)


def test_a_permanent_child_can_not_be_significant() -> None:
    with pytest.raises(ValueError, match="significant must not be True for a permanent child"):
        ChildSpec(Failing, significant=True)


def test_a_significant_child_needs_auto_shutdown() -> None:
    with pytest.raises(ValueError, match="auto_shutdown must not be 'never' for significant children"):
        open_supervisor([worker([], "a", restart="transient", significant=True)])


async def test_a_significant_child_is_not_started_where_nothing_shuts_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_supervisor() as supervisor:
        with pytest.raises(ValueError, match="auto_shutdown"):
            await supervisor.start_child(worker(log, "a", restart="transient", significant=True))
        assert supervisor.which_children() == []
    assert log == []
