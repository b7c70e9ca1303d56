"""start_or_get(): the holder of a name, started if there is none, and never two."""

from __future__ import annotations

import functools
import itertools
import math
import re
from typing import Any

import pytest
import trio
from support.children import FailsToStart, worker
from support.errors import Bang
from support.supervisors import supervised
from support.watcher import watching
from support.workers import Worker
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Backoff,
    ChildSpec,
    Registry,
)


async def test_start_or_get_starts_the_first_and_gets_the_second(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        first = await supervisor.start_or_get(Worker, log, "a", name=names.via("a"))
        with assert_checkpoints():
            second = await supervisor.start_or_get(Worker, log, "b", name=names.via("a"))
        assert first is second
        assert log == ["+a"]
        assert await second.call(Worker.ping) == "a"


@pytest.mark.parametrize("start", [0, 3])
async def test_ten_thousand_concurrent_calls_start_one_child(start: float, autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    got: list[ActorRef[Worker]] = []
    factory = functools.partial(Worker, log, "a", start=start)
    async with supervised() as supervisor:

        async def ask() -> None:
            got.append(await supervisor.start_or_get(factory, name=names.via("a")))
            assert log == ["+a"]

        with watching(names):
            async with trio.open_nursery() as nursery:
                for _ in range(10_000):
                    nursery.start_soon(ask)
        assert len(got) == 10_000
        assert len(set(got)) == 1
        assert supervisor.count_children().specs == 1


@pytest.mark.parametrize("name", [None, "a", 5])
async def test_start_or_get_needs_a_name(name: Any, autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        with pytest.raises(TypeError, match=re.escape(f"name must come from Registry.via(), not {name!r}")):
            await supervisor.start_or_get(Worker, list[str](), "a", name=name)


# A start that does not succeed


async def test_a_start_that_fails_fails_for_all_callers(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    failures: list[BaseException] = []
    async with supervised() as supervisor:

        async def ask() -> None:
            with pytest.raises((Bang, ActorExited)) as caught:
                await supervisor.start_or_get(FailsToStart, name=names.via("a"))
            failures.append(caught.value)

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(10_000):
                nursery.start_soon(ask)
        assert trio.current_time() - began == 1
        assert sum(isinstance(failure, Bang) for failure in failures) == 1
        assert sum(isinstance(failure.__cause__, Bang) for failure in failures) == 9_999
        assert names.count() == 0
        assert supervisor.which_children() == []


async def test_when_the_starting_call_is_cancelled_another_call_starts_the_child(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    factory = functools.partial(Worker, log, "a", start=2)
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        first = trio.CancelScope()

        async def ask_and_be_cancelled() -> None:
            with first:
                await supervisor.start_or_get(factory, name=names.via("a"))

        nursery.start_soon(ask_and_be_cancelled)
        await trio.sleep(1)
        nursery.start_soon(_cancel_later, first)
        ref = await supervisor.start_or_get(factory, name=names.via("a"))
        assert first.cancelled_caught
        assert names.whereis("a") is ref
        assert log == ["+a"]
        assert supervisor.count_children().specs == 1


async def _cancel_later(scope: trio.CancelScope) -> None:
    await trio.sleep(0.5)
    scope.cancel()


# A holder that is there already


async def test_start_or_get_waits_for_a_holder_that_is_ending_to_end(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        with watching(names):
            old = await supervisor.start_child(worker(log, "old", stop=3, restart="temporary", name=names.via("a")))
            old.cancel()
            new = await supervisor.start_or_get(Worker, log, "new", name=names.via("a"))
            assert log == ["+old", "-old", "+new"]
            assert names.whereis("a") is new


async def test_start_or_get_gives_a_holder_that_is_a_child_of_another_supervisor(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as other, supervised() as supervisor:
        ref = await other.start_child(Worker, list[str](), "a", name=names.via("a"))
        assert await supervisor.start_or_get(Worker, list[str](), "b", name=names.via("a")) is ref
        assert supervisor.which_children() == []


async def test_a_name_that_a_plain_task_holds_is_refused(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        with names.hold("a"), pytest.raises(TypeError, match="which is not an actor"):
            await supervisor.start_or_get(Worker, list[str](), "a", name=names.via("a"))
        assert supervisor.which_children() == []


# A holder that is restarted


async def test_start_or_get_waits_for_a_holder_that_is_restarted(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        old = await supervisor.start_child(worker(log, "a", start=3, name=names.via("a")))
        old.kill()
        ref = await supervisor.start_or_get(Worker, log, "b", name=names.via("a"))
        assert log == ["+a", "+a"]
        assert ref is not old
        assert names.whereis("a") is ref


async def test_start_or_get_waits_for_a_child_that_waits_for_its_restart(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised(max_restarts=1) as supervisor:
        old = await supervisor.start_child(worker(log, "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await trio.sleep(1)
        began = trio.current_time()
        ref = await supervisor.start_or_get(Worker, log, "another", name=names.via("a"))
        assert trio.current_time() - began == 4
        assert names.whereis("a") is ref
        assert await ref.call(Worker.ping) == "a"
        await trio.sleep(100)
        assert log == ["+a", "+a"]


async def test_start_or_get_waits_for_the_restart_of_the_last_child_that_has_lost_the_name(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        for name, seconds in (("a", 10), ("b", 100)):
            spec = worker(log, name, name=names.via("name"), backoff=Backoff(initial=seconds, maximum=1000))
            ref = await supervisor.start_child(spec)
            ref.kill()
            await trio.sleep(5)
        await trio.sleep(5)
        first = names.whereis("name", of=Worker)  # it was restarted first
        assert first is not None
        await supervisor.terminate_child(first)
        ref = await supervisor.start_or_get(Worker, log, "c", name=names.via("name"))
        assert await ref.call(Worker.ping) == "b"
        assert trio.current_time() == 105


async def test_a_name_whose_child_does_not_get_its_restart_is_free_for_another(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    refs: list[ActorRef[Worker]] = []
    async with supervised() as supervisor, trio.open_nursery() as nursery:

        async def get() -> None:
            refs.append(await supervisor.start_or_get(Worker, log, "b", name=names.via("a")))

        old = await supervisor.start_child(worker(log, "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(get)
        await trio.sleep(1)
        await supervisor.terminate_child(old)
        await wait_all_tasks_blocked()
        assert log == ["+a", "+b"]
        assert refs == [names.whereis("a")] * 3
        await trio.sleep(100)
        assert log == ["+a", "+b"]


async def test_a_caller_that_waits_for_a_restart_that_fails_gets_actor_exited(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    lives = itertools.count()

    class Once(Actor):
        async def on_start(self) -> None:
            await trio.sleep(1)
            if next(lives):
                raise Bang

    async with supervised(max_restarts=math.inf) as supervisor:
        old = await supervisor.start_child(ChildSpec(Once, name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await old.wait()
        with pytest.raises(ActorExited) as caught:
            await supervisor.start_or_get(Once, name=names.via("a"))
        assert isinstance(caught.value.__cause__, Bang)


async def test_a_caller_that_waits_for_a_restart_when_the_shutdown_comes_is_told_so(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    learned: list[str] = []
    async with trio.open_nursery() as nursery, supervised() as supervisor:

        async def get() -> None:
            with pytest.raises(RuntimeError, match="not running"):
                await supervisor.start_or_get(Worker, list[str](), "b", name=names.via("a"))
            learned.append("told")

        old = await supervisor.start_child(worker([], "a", name=names.via("a"), backoff=Backoff(initial=5)))
        old.kill()
        await wait_all_tasks_blocked()
        nursery.start_soon(get)
        await wait_all_tasks_blocked()
    assert learned == ["told"]
