"""Restarts: which ends lead to one, what it starts from, and what it does where the name is taken."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from support.cancellation import settle
from support.children import Verbose, ref_of, states, verbose, worker
from support.errors import Bang
from support.supervisors import supervised, supervising
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    Registry,
    receive,
)


@pytest.mark.parametrize(
    ("restart", "restarted_after"),
    [
        ("permanent", {"stop", "cancel", "bang", "kill"}),
        ("transient", {"bang", "kill"}),
        ("temporary", set[str]()),
    ],
)
@pytest.mark.parametrize("end", ["stop", "cancel", "bang", "kill"])
async def test_restart_says_which_ends_lead_to_a_restart(
    restart: Any, restarted_after: set[str], end: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Verbose, log, "a", restart=restart)
        if end == "stop":
            await ref.stop()
        elif end == "bang":
            ref.cast_nowait(Verbose.bang)
        else:
            getattr(ref, end)()
        exit = await ref.wait()
        assert exit.reason == {"stop": "normal", "cancel": "shutdown", "bang": "crashed", "kill": "killed"}[end]
        await wait_all_tasks_blocked()
        assert log.count("a init") == (2 if end in restarted_after else 1)


async def test_an_actor_class_is_permanent_and_a_function_transient_by_default(autojump_clock: MockClock) -> None:
    lives: list[str] = []

    async def function() -> None:
        lives.append("function")
        await receive()

    async with supervised() as supervisor:
        actor = await supervisor.start_child(Verbose, lives, "actor")
        ref = await supervisor.start_child(function)
        await actor.stop()
        await ref.send("return")
        await ref.wait()
        await wait_all_tasks_blocked()
        assert lives.count("actor init") == 2
        assert lives.count("function") == 1


async def test_one_for_one_restarts_only_the_child_that_ended(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([verbose(log, "a"), verbose(log, "b"), verbose(log, "c")]) as supervisor:
        before = [ref_of(supervisor, id) for id in "abc"]
        before[1].kill()
        await wait_all_tasks_blocked()
        after = [ref_of(supervisor, id) for id in "abc"]
        assert [old is new for old, new in zip(before, after, strict=True)] == [True, False, True]


async def test_a_restarted_child_is_still_at_its_place_in_the_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([verbose(log, "a"), verbose(log, "b"), verbose(log, "c")]) as supervisor:
        ref_of(supervisor, "a").kill()
        await wait_all_tasks_blocked()
        log.clear()
    assert log == [f"{name} {what}" for name in "cba" for what in ("stopping", "stopped")]


async def test_a_restarted_child_starts_from_its_arguments_anew(autojump_clock: MockClock) -> None:
    class Counter(Actor):
        def __init__(self, value: int) -> None:
            self.value = value

        def increment(self) -> int:
            self.value += 1
            return self.value

    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(Counter, 10, name=names.via("counter"))
        assert [await ref.call(Counter.increment) for _ in range(3)] == [11, 12, 13]
        ref.kill()
        await ref.wait()
        assert await names.via("counter").call(Counter.increment) == 11


async def test_a_restart_that_fails_to_start_is_tried_again_and_counts(autojump_clock: MockClock) -> None:
    lives: list[int] = []

    class Flaky(Actor):
        async def on_start(self) -> None:
            lives.append(len(lives))
            if len(lives) in (2, 3):
                raise Bang

    async with supervised(max_restarts=3) as supervisor:
        ref = await supervisor.start_child(Flaky)
        ref.kill()
        await wait_all_tasks_blocked()
        assert lives == [0, 1, 2, 3]


# A restart whose name is taken


async def test_a_shutdown_that_comes_while_a_restart_waits_for_its_name_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []

    for steps in range(8):
        log.clear()
        with trio.fail_after(1000):
            async with supervised(max_restarts=math.inf) as supervisor:
                ref = await supervisor.start_child(Verbose, log, "a", name=names.via("a"))
                names.unregister("a", owner=ref)
                names.register("a")
                ref.kill()
                await ref.wait()
                await settle(steps)
                names.unregister("a")
        assert names.count() == 0
        assert log.count("a started") == log.count("a stopped") + 1  # the first was killed


async def test_a_restart_whose_name_stays_taken_is_tried_again_but_not_at_every_turn(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised(max_restarts=math.inf) as supervisor:
        ref = await supervisor.start_child(worker(log, "a", name=names.via("a")))
        names.unregister("a", owner=ref)
        names.register("a")
        ref.kill()
        await trio.sleep(60)  # virtual time goes on only while no task is busy
        (child,) = supervisor.which_children()
        assert child.state == "restarting"
        assert 10 < child.restarts < 100
        names.unregister("a")
        await trio.sleep(1)
        assert log == ["+a", "+a"]
        assert await names.via("a").call(Worker.ping) == "a"


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_group_restart_where_a_name_stays_taken_is_tried_again_but_not_at_every_turn(
    strategy: Any, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    children = [worker(log, "a", name=names.via("a")), worker(log, "b")]
    async with supervising(children, strategy=strategy, max_restarts=math.inf) as supervisor:
        ref = ref_of(supervisor, "a")
        names.unregister("a", owner=ref)
        names.register("a")
        ref.kill()
        await trio.sleep(60)
        assert states(supervisor) == ["restarting", "restarting"]
        names.unregister("a")
        await trio.sleep(1)
        assert states(supervisor) == ["running", "running"]
        assert log == ["+a", "+b", "-b", "+a", "+b"]
