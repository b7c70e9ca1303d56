"""Promise 1, no stale names: a name never leads to a task that has ended, not for one step of the scheduler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
import trio
from support.cancellation import settle
from support.errors import Bang
from support.inside import coroutine_of, plain_holders, rows_per_turn
from support.promises import Agent, End, StopsSlowly, actor_ends, assert_empty
from support.steps import AtStep
from support.supervisors import supervised
from support.watcher import rows, watching
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    ANY,
    ActorRef,
    Entry,
    NotRegistered,
    OnDemand,
    Owner,
    PubSub,
    Registry,
    open_dynamic_supervisor,
    open_on_demand,
    open_pool,
)


async def _raise_base_exception(is_ready: trio.Event) -> None:
    await is_ready.wait()
    raise KeyboardInterrupt


async def _get_cancelled(is_ready: trio.Event) -> None:
    with trio.CancelScope() as scope:
        await is_ready.wait()
        scope.cancel()
        await trio.sleep_forever()


async def _raise(is_ready: trio.Event) -> None:
    await is_ready.wait()
    raise Bang


async def _return(is_ready: trio.Event) -> None:
    await is_ready.wait()


TASK_ENDS = [_return, _raise, _get_cancelled, _raise_base_exception]


@pytest.mark.parametrize("end", TASK_ENDS, ids=[end.__name__.strip("_") for end in TASK_ENDS])
async def test_a_plain_task_has_no_stale_names(
    registry: Registry[str, int], end: Callable[[trio.Event], Awaitable[None]], autojump_clock: MockClock
) -> None:
    is_ready = trio.Event()
    looks = 0

    async def holder(number: int) -> None:
        registry.register(f"own {number}", number)
        registry.register(f"other {number}", number)
        await end(is_ready)

    async def look() -> None:
        nonlocal looks
        while True:
            for _, owner in rows(registry):
                assert owner.is_alive
            looks += 1
            await trio.lowlevel.checkpoint()

    with watching(registry) as watcher:
        async with trio.open_nursery() as outer:
            outer.start_soon(look)
            try:
                async with trio.open_nursery() as nursery:
                    for number in range(3):
                        nursery.start_soon(holder, number)
                    await settle()
                    assert registry.count() == 6
                    is_ready.set()
            except* (Bang, KeyboardInterrupt):
                pass
            assert_empty(registry)
            outer.cancel_scope.cancel()
    assert looks > 1
    assert len(watcher.shown) == 6
    assert plain_holders() == 0


async def test_a_plain_task_has_no_stale_names_when_its_nursery_ends(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def holder() -> None:
        registry.register("name", 1)

    for _ in range(20):  # Trio runs what is ready in random order
        async with trio.open_nursery() as nursery:
            nursery.start_soon(holder)
        assert_empty(registry)


def test_the_main_task_has_no_stale_names_after_the_run(registry: Registry[str, int]) -> None:
    async def main() -> None:
        registry.register("name", 1)
        assert registry.count() == 1

    trio.run(main)
    assert_empty(registry)


def test_a_system_task_has_no_stale_names_after_the_run(registry: Registry[str, int]) -> None:
    async def holder() -> None:
        registry.register("name", 1)
        await trio.sleep_forever()

    async def main() -> None:
        trio.lowlevel.spawn_system_task(holder)
        await wait_all_tasks_blocked()
        assert registry.count() == 1

    trio.run(main)
    assert_empty(registry)


@actor_ends
@pytest.mark.parametrize("cls", [Agent, StopsSlowly])
async def test_an_actor_has_no_stale_names(
    registry: Registry[str, int], end: End, cls: type[Agent], autojump_clock: MockClock
) -> None:
    with watching(registry) as watcher:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(cls, registry, ("one", "two"), restart="temporary")
            assert registry.keys(ref) == ["one", "two"]
            await end(ref)
            await ref.wait()
            assert_empty(registry)
            assert registry.keys(ref) == []
    assert [owners[0] for owners in watcher.shown.values()] == [ref, ref]


@actor_ends
async def test_a_via_finds_no_stale_names(names: Registry[str, None], end: End, autojump_clock: MockClock) -> None:
    with watching(names):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Agent, name=names.via("James Bond"), restart="temporary")
            await end(ref)
            await ref.wait()
            assert names.whereis("James Bond") is None
            assert names.lookup("James Bond") == []
            with pytest.raises(NotRegistered):
                await names.via("James Bond").call(Agent.ping)


@pytest.mark.parametrize("how", ["return", "raise", "cancel", "kill", "stop"])
async def test_a_function_actor_has_no_stale_names(
    registry: Registry[str, int], how: str, autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        registry.register("name", 1)
        message = await trioreg.receive()
        if message == "raise":
            raise Bang

    with watching(registry):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(worker, restart="temporary")
            await wait_all_tasks_blocked()
            assert registry.keys(ref) == ["name"]
            if how in ("return", "raise"):
                await ref.send(how)
            elif how == "stop":
                await ref.stop()
            elif how == "kill":
                ref.kill()
            else:
                ref.cancel()
            await ref.wait()
            assert_empty(registry)


async def test_every_task_that_waits_for_an_actor_finds_the_name_gone(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    found: list[object] = []

    async def wait(ref: ActorRef[Agent]) -> None:
        await ref.wait()
        found.append(names.whereis("James Bond"))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref = await supervisor.start_child(Agent, name=names.via("James Bond"), restart="temporary")
        for _ in range(5):
            nursery.start_soon(wait, ref)
        await wait_all_tasks_blocked()
        ref.kill()
    assert found == [None] * 5


async def test_a_name_is_gone_before_its_supervisors_block_is_left(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, name=names.via("James Bond"), restart="temporary")
        ref.cancel()
    assert_empty(names)


async def test_many_owners_that_end_at_once_have_no_stale_names(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    """Many owners of many kinds end at once, in Trio's random order."""

    async def plain(number: int) -> None:
        registry.register(f"plain {number}", number)
        with trio.move_on_after(number % 3):
            await trio.sleep_forever()

    async def function(number: int) -> None:
        registry.register(f"function {number}", number)
        await trio.sleep(number % 3)
        if number % 2:
            raise Bang

    with watching(registry) as watcher:
        async with supervised() as supervisor:
            async with trio.open_nursery() as nursery:
                for number in range(12):
                    nursery.start_soon(plain, number)
                    await supervisor.start_child(function, number, restart="temporary")
                    agent = await supervisor.start_child(Agent, registry, (f"agent {number}",), restart="temporary")
                    agent.cast_nowait(Agent.bang_behind if number % 2 else Agent.abang)
            await wait_all_tasks_blocked()
            await trio.sleep(5)
            assert_empty(registry)
    assert len(watcher.shown) == 36


class Looking(trio.abc.Instrument):
    """Looks before and after each step of each task, and notes owners whose tasks have exited."""

    def __init__(self, look: Callable[[], Iterable[object]]) -> None:
        self.look = look
        self.seen: set[object] = set()
        self.stale: list[object] = []
        self._exited: set[object] = set()
        self._tasks: dict[object, object] = {}

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        for owner in self.look():
            assert isinstance(owner, Owner)
            self.seen.add(owner)
            coroutine = coroutine_of(owner) or self._tasks.get(owner)
            self._tasks[owner] = coroutine
            if coroutine is not None and coroutine in self._exited:
                self.stale.append(owner)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.before_task_step(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._exited.add(task.coro)


@contextmanager
def looking(look: Callable[[], Iterable[object]]) -> Generator[Looking]:
    looks = Looking(look)
    trio.lowlevel.add_instrument(looks)
    yield looks
    trio.lowlevel.remove_instrument(looks)  # KeyError if a look raised
    assert looks.seen
    assert looks.stale == []


def all_ways_to_look(registry: Registry[str, int]) -> Iterator[Owner]:
    """Each way to look, whose answers must be the same in each step."""

    def check(entries: list[Entry[int]]) -> None:
        assert all(entry.owner in owners for entry in entries)

    owners = [entry.owner for key in ("one", "two") for entry in registry.lookup(key)]
    assert registry.count() == len(owners)
    assert sorted(owner._number for _, owner, _ in registry.select_nowait()) == sorted(each._number for each in owners)
    assert len(list(registry.items())) == len(owners)
    for key in ("one", "two"):
        assert registry.count_match(key, ANY) == len(registry.lookup(key)) == len(registry.match(key, ANY))
        assert registry.dispatch(key, check) == len(registry.lookup(key))
    for owner in owners:
        assert registry.keys(owner)
    yield from owners


@actor_ends
async def test_no_way_to_look_shows_an_actor_that_has_ended(
    registry: Registry[str, int], end: End, autojump_clock: MockClock
) -> None:
    with looking(lambda: all_ways_to_look(registry)):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Agent, registry, ("one", "two"), restart="temporary")
            await end(ref)
            await ref.wait()
            assert list(all_ways_to_look(registry)) == []


@pytest.mark.parametrize("step", range(0, 24, 2))
async def test_select_gives_no_owner_that_has_ended_on_the_way(
    step: int, registry: Registry[str, int], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor and a task end after the n-th step; the selection looks at one row a turn."""
    rows_per_turn(monkeypatch, 1)
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = [
            await supervisor.start_child(Agent, registry, (f"actor {number}",), restart="temporary")
            for number in range(4)
        ]
        scope = trio.CancelScope()

        async def hold() -> None:
            with scope:
                registry.register("task", 7)
                await trio.sleep_forever()

        def end() -> None:
            refs[step % 4].kill()
            scope.cancel()

        nursery.start_soon(hold)
        await wait_all_tasks_blocked()
        instrument = AtStep(step, end)
        trio.lowlevel.add_instrument(instrument)
        found = await registry.select()
        assert all(owner.is_alive for _, owner, _ in found)
        counted = await registry.count_select()
        assert counted == registry.count()
        trio.lowlevel.remove_instrument(instrument)
        scope.cancel()


@actor_ends
async def test_no_topic_shows_a_subscriber_that_has_ended(end: End, autojump_clock: MockClock) -> None:
    topics: PubSub[str, str] = PubSub("topics")

    def subscribers() -> list[object]:
        members = [member.owner for member in topics.members("topic")]
        assert topics.topics() == (["topic"] if members else [])
        assert topics.count("topic") == len(members)
        assert [ref for ref in refs if topics.topics_of(ref)] == members
        return [*members]

    refs: list[ActorRef[Agent]] = []
    with looking(subscribers):
        async with supervised() as supervisor:
            refs += [await supervisor.start_child(Agent, restart="temporary") for _ in range(3)]
            for ref in refs:
                topics.join("topic", owner=ref)
            for ref in refs:
                await end(ref)
            for ref in refs:
                await ref.wait()
            assert subscribers() == []
            assert topics.publish_nowait("topic", "to nobody") == 0


class Keyed(Agent):
    def __init__(self, key: str) -> None:
        super().__init__()


@actor_ends
async def test_no_key_leads_to_an_actor_on_demand_that_has_ended(end: End, autojump_clock: MockClock) -> None:
    keyed: OnDemand[str, Keyed] = OnDemand("keyed", Keyed)
    with looking(lambda: [ref for ref in (keyed.whereis("a"), keyed.whereis("b")) if ref is not None]) as looks:
        async with open_on_demand(keyed) as supervisor:
            for _ in range(3):
                for key in "ab":
                    await keyed.via(key).call(Agent.ping)
                ref = keyed.whereis("a")
                assert ref is not None
                await end(ref)
                await ref.wait()
                assert keyed.whereis("a") is None
            supervisor.stop()
    assert len(looks.seen) == 4


@actor_ends
async def test_no_pool_has_a_worker_that_has_ended(end: End, autojump_clock: MockClock) -> None:
    async with open_pool(Agent, size=2, max_restarts=100) as pool:
        with looking(pool.workers) as looks:
            for _ in range(3):
                async with pool.claim() as worker:
                    await end(worker)
                    await worker.wait()
                    assert worker not in pool.workers()
                await pool.call(Agent.ping)
    assert len(looks.seen) > 2


@pytest.mark.parametrize("strategy", ["idle_first", "round_robin"])
async def test_no_pool_hands_out_a_worker_that_is_ending(
    strategy: Literal["idle_first", "round_robin"], autojump_clock: MockClock
) -> None:
    async with open_pool(StopsSlowly, size=2, strategy=strategy) as pool:
        ending = pool.workers()[0]
        ending.cancel()
        await trio.sleep(0.5)
        assert ending.is_alive  # in its on_stop
        assert await pool.call(Agent.ping) == "pong"
        for _ in range(3):
            async with pool.claim() as worker:
                assert worker is not ending
                assert await worker.call(Agent.ping) == "pong"
