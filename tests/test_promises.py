"""The promises of the contract, 1 to 5: each test is named after the promise that it proves."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, settle, sweep
from support.errors import leaves
from support.inside import plain_holders
from support.registry_kinds import KINDS, kind_id
from support.supervisors import supervised
from support.watcher import rows, watching
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    AlreadyRegistered,
    ChildSpec,
    Exit,
    NotRegistered,
    Owner,
    Registry,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_supervisor,
)


class Bang(Exception):
    """The error of these tests."""


@pytest.fixture(params=KINDS, ids=[kind_id(kind) for kind in KINDS])
def registry(request: pytest.FixtureRequest) -> Registry[str, int]:
    keys, partitions = request.param
    return Registry("tested", keys=keys, partitions=partitions)


@pytest.fixture
def names() -> Registry[str, None]:
    return Registry("names", keys="unique", partitions=2)


def assert_empty(*registries: Registry[Any, Any]) -> None:
    for registry in registries:
        assert registry.count() == 0
        assert rows(registry) == []


class Agent(Actor):
    """An actor that can end in every way."""

    def __init__(self, registry: Registry[str, int] | None = None, keys: Sequence[str] = ()) -> None:
        for key in keys:
            assert registry is not None
            registry.register(key, 7)

    def ping(self) -> str:
        return "pong"

    async def aping(self) -> str:
        await trio.lowlevel.checkpoint()
        return "pong"

    def bang(self) -> None:
        raise Bang

    async def abang(self) -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    def bang_behind(self) -> None:
        async def bang() -> None:
            raise Bang

        self.start_soon(bang)


class StopsSlowly(Agent):
    """It takes a second for `on_stop`."""

    async def on_stop(self, exit: Exit) -> None:
        await trio.sleep(1)


async def went_on() -> None:
    """The end of a block that an error of its children should have left before."""
    await trio.sleep(1000)
    raise AssertionError("the block went on")


# 1. No stale names


async def _return(is_ready: trio.Event) -> None:
    await is_ready.wait()


async def _raise(is_ready: trio.Event) -> None:
    await is_ready.wait()
    raise Bang


async def _get_cancelled(is_ready: trio.Event) -> None:
    with trio.CancelScope() as scope:
        await is_ready.wait()
        scope.cancel()
        await trio.sleep_forever()


async def _raise_base_exception(is_ready: trio.Event) -> None:
    await is_ready.wait()
    raise KeyboardInterrupt


TASK_ENDS = [_return, _raise, _get_cancelled, _raise_base_exception]


@pytest.mark.parametrize("end", TASK_ENDS, ids=[end.__name__.strip("_") for end in TASK_ENDS])
async def test_promise_1_no_stale_names_of_a_plain_task(
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


async def test_promise_1_no_stale_names_when_the_parent_nursery_goes_on(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    async def holder() -> None:
        registry.register("name", 1)

    for _ in range(20):  # Trio runs what is ready in random order
        async with trio.open_nursery() as nursery:
            nursery.start_soon(holder)
        assert_empty(registry)


def test_promise_1_no_stale_names_of_the_main_task_after_the_run(registry: Registry[str, int]) -> None:
    async def main() -> None:
        registry.register("name", 1)
        assert registry.count() == 1

    trio.run(main)
    assert_empty(registry)


def test_promise_1_no_stale_names_of_a_system_task_after_the_run(registry: Registry[str, int]) -> None:
    async def holder() -> None:
        registry.register("name", 1)
        await trio.sleep_forever()

    async def main() -> None:
        trio.lowlevel.spawn_system_task(holder)
        await wait_all_tasks_blocked()
        assert registry.count() == 1

    trio.run(main)
    assert_empty(registry)


async def _stop(ref: ActorRef[Agent]) -> None:
    await ref.stop()


async def _cancel(ref: ActorRef[Agent]) -> None:
    ref.cancel()


async def _kill(ref: ActorRef[Agent]) -> None:
    ref.kill()


async def _crash_inline(ref: ActorRef[Agent]) -> None:
    with pytest.raises(ActorExited):
        await ref.call(Agent.bang)


async def _crash_queued(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.bang)


async def _crash_async(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.abang)


async def _crash_in_background(ref: ActorRef[Agent]) -> None:
    ref.cast_nowait(Agent.bang_behind)


ACTOR_ENDS = [_stop, _cancel, _kill, _crash_inline, _crash_queued, _crash_async, _crash_in_background]
End = Callable[[ActorRef[Agent]], Awaitable[None]]
actor_ends = pytest.mark.parametrize("end", ACTOR_ENDS, ids=[end.__name__.strip("_") for end in ACTOR_ENDS])


@actor_ends
@pytest.mark.parametrize("cls", [Agent, StopsSlowly])
async def test_promise_1_no_stale_names_of_an_actor(
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
async def test_promise_1_no_stale_names_through_a_via(
    names: Registry[str, None], end: End, autojump_clock: MockClock
) -> None:
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
async def test_promise_1_no_stale_names_of_a_function_actor(
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


async def test_promise_1_every_task_that_waits_for_an_actor_finds_the_name_gone(
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


async def test_promise_1_a_name_is_gone_before_its_supervisors_block_is_left(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, name=names.via("James Bond"), restart="temporary")
        ref.cancel()
    assert_empty(names)


async def test_promise_1_no_stale_names_in_a_storm(registry: Registry[str, int], autojump_clock: MockClock) -> None:
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


# 2. No early release


@actor_ends
async def test_promise_2_no_early_release_on_stop_still_has_the_name(
    names: Registry[str, None], end: End, autojump_clock: MockClock
) -> None:
    held: list[object] = []

    class Last(Agent):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)
            held.append((names.whereis("James Bond"), self.ref.is_alive))

    with watching(names):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Last, name=names.via("James Bond"), restart="temporary")
            await end(ref)
            await ref.wait()
    assert held == ([] if end is _kill else [(ref, True)])


@actor_ends
async def test_promise_2_no_early_release_background_tasks_still_have_the_name(
    names: Registry[str, None], end: End, autojump_clock: MockClock
) -> None:
    held: list[object] = []

    class Busy(Agent):
        def __init__(self) -> None:
            self.start_soon(self._work)

        async def _work(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(2)
                held.append((names.whereis("James Bond"), self.ref.is_alive))

    with watching(names):
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Busy, name=names.via("James Bond"), restart="temporary")
            await wait_all_tasks_blocked()
            await end(ref)
            await ref.wait()
            assert names.whereis("James Bond") is None
    assert held == [(ref, True)]


async def test_promise_2_no_early_release_what_shields_itself_from_a_kill_has_the_name(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    class Stubborn(Agent):
        async def work(self) -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(3)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Stubborn, name=names.via("James Bond"), restart="temporary")
        await ref.cast(Stubborn.work)
        await settle()
        ref.kill()
        await trio.sleep(2)
        assert names.whereis("James Bond") is ref
        await ref.wait()
        assert names.whereis("James Bond") is None


async def test_promise_2_a_unique_key_never_has_two_live_holders(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    """Everybody tries to get the name all the time, while holders of all kinds come and go."""
    holding: list[str] = []
    refused_by: list[bool] = []
    most = 0

    async def hold(who: str) -> None:
        nonlocal most
        holding.append(who)
        most = max(most, len(holding))
        await trio.sleep(0.5)

    async def plain(who: str) -> None:
        for _ in range(50):
            try:
                names.register("one")
            except AlreadyRegistered as error:
                refused_by.append(error.holder.is_alive)
                await trio.sleep(0.1)
            else:
                await hold(who)
                holding.remove(who)
                names.unregister("one")
                await trio.sleep(0.1)

    class Holder(Agent):
        async def on_start(self) -> None:
            await hold("actor")

        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(0.5)
            holding.remove("actor")

    async with supervised(max_restarts=1000) as supervisor, trio.open_nursery() as nursery:
        with watching():
            for number in range(3):
                nursery.start_soon(plain, f"task {number}")
            for _ in range(50):
                try:
                    ref = await supervisor.start_child(Holder, name=names.via("one"), restart="temporary")
                except AlreadyRegistered:
                    await trio.sleep(0.07)
                else:
                    ref.cancel()
                    with pytest.raises(AlreadyRegistered):
                        names.register("one")
    assert most == 1
    assert refused_by
    assert all(refused_by)


async def test_promise_2_a_start_under_a_name_is_refused_while_its_holder_is_still_ending(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        first = await supervisor.start_child(StopsSlowly, name=names.via("James Bond"), restart="temporary")
        first.cancel()
        await trio.sleep(0.5)
        with pytest.raises(AlreadyRegistered) as caught:
            await supervisor.start_child(Agent, name=names.via("James Bond"))
        assert caught.value.holder is first
        await first.wait()
        second = await supervisor.start_child(Agent, name=names.via("James Bond"))
        assert names.whereis("James Bond") is second


# 3. All or nothing


async def test_promise_3_a_refused_registration_leaves_no_trace(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async def first(*, task_status: trio.TaskStatus[None]) -> None:
        names.register("James Bond")
        task_status.started()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(first)
        before = rows(names)
        with pytest.raises(AlreadyRegistered) as caught:
            names.register("James Bond")
        assert caught.value.holder is names.whereis("James Bond")
        assert rows(names) == before
        assert names.keys() == []
        assert plain_holders() == 1
        nursery.cancel_scope.cancel()
    assert_empty(names)


async def test_promise_3_registering_a_name_twice_by_one_owner_is_refused_and_changes_nothing(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    names.register("James Bond")
    before = rows(names)
    with pytest.raises(AlreadyRegistered):
        names.register("James Bond")
    assert rows(names) == before
    names.unregister("James Bond")
    assert_empty(names)


async def test_promise_3_an_unhashable_key_leaves_no_trace(
    registry: Registry[Any, int], autojump_clock: MockClock
) -> None:
    with pytest.raises(TypeError, match="key must be hashable"):
        registry.register(["a list"], 1)
    assert_empty(registry)
    assert registry.keys() == []
    assert plain_holders() == 0


class Moody:
    """A key that refuses to be compared with keys of other types."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Moody):
            raise TypeError("I compare with my own kind only")
        return True

    def __hash__(self) -> int:
        return 7


@pytest.mark.parametrize("first", [["a"], ["a", "b"]], ids=["after-one-name", "after-two-names"])
@pytest.mark.parametrize("clash", [False, True], ids=["no-hash-clash", "hash-clash"])
async def test_promise_3_a_key_whose_eq_raises_is_registered_whole_or_not_at_all(
    registry: Registry[Any, int], first: list[str], clash: bool, autojump_clock: MockClock
) -> None:
    async def holder() -> None:
        for key in [*first, *([7] if clash else [])]:
            registry.register(key, 1)
        try:
            registry.register(Moody(), 2)
        except TypeError:
            assert registry.count() == len(first) + clash
        else:
            assert registry.count() == len(first) + clash + 1
        assert len(rows(registry)) == 2 * registry.count()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(holder)
    assert_empty(registry)


class BadInit(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        registry.register("in init", 1)
        raise Bang


class BadStart(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry
        registry.register("in init", 1)

    async def on_start(self) -> None:
        self.registry.register("in on_start", 2)
        await trio.lowlevel.checkpoint()
        raise Bang


class BadBackground(Actor):
    def __init__(self, registry: Registry[str, int]) -> None:
        self.registry = registry
        self.start_soon(self._work)

    async def on_start(self) -> None:
        await trio.sleep_forever()

    async def _work(self) -> None:
        self.registry.register("in background", 3)
        raise Bang


@pytest.mark.parametrize("cls", [BadInit, BadStart, BadBackground])
@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_promise_3_a_start_that_fails_leaves_no_trace(
    names: Registry[str, None],
    registry: Registry[str, int],
    cls: Callable[[Registry[str, int]], Actor],
    opener: Callable[[], Any],
    autojump_clock: MockClock,
) -> None:
    with trio.CancelScope() as scope, watching(names, registry):
        async with opener() as supervisor:
            await supervisor.start_child(Agent, name=names.via("other"))
            tree = supervisor.tree()
            before = rows(names)
            with pytest.raises(Bang):
                await supervisor.start_child(cls, registry, name=names.via("James Bond"))
            assert_empty(registry)
            assert rows(names) == before
            assert supervisor.tree() == tree
            # Everything is as if it had not been tried: it can be tried again.
            await supervisor.start_child(Agent, name=names.via("James Bond"))
            scope.cancel()
    assert_empty(names)


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_promise_3_a_start_under_a_taken_name_leaves_no_trace(
    names: Registry[str, None], opener: Callable[[], Any], autojump_clock: MockClock
) -> None:
    began: list[str] = []

    class Second(Actor):
        def __init__(self) -> None:
            began.append("init")

    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            first = await supervisor.start_child(Agent, name=names.via("James Bond"))
            tree = supervisor.tree()
            before = rows(names)
            with pytest.raises(AlreadyRegistered) as caught:
                await supervisor.start_child(Second, name=names.via("James Bond"))
            assert caught.value.holder is first
            assert supervisor.tree() == tree
            assert rows(names) == before
            assert began == []
            scope.cancel()


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_promise_3_a_start_that_is_cancelled_anywhere_leaves_no_trace(
    registry: Registry[str, int], names: Registry[str, None], opener: Callable[[], Any], autojump_clock: MockClock
) -> None:
    ends: list[str] = []

    class Slow(Actor):
        def __init__(self) -> None:
            registry.register("in init", 1)
            ends.append("began")

        async def on_start(self) -> None:
            registry.register("in on_start", 2)
            try:
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
            except trio.Cancelled:
                ends.append("cancelled")
                raise

        async def on_stop(self, exit: Exit) -> None:
            ends.append("stopped")

    async def attempt(cancelling: Cancelling[Any]) -> None:
        ends.clear()
        with trio.CancelScope() as scope:
            async with opener() as supervisor:
                tree = supervisor.tree()
                completed = await cancelling.run(lambda: supervisor.start_child(Slow, name=names.via("James Bond")))
                if completed:
                    assert names.whereis("James Bond") is cancelling.value
                    assert ends == ["began"]
                else:
                    assert_empty(registry, names)
                    assert supervisor.tree() == tree
                    assert ends in ([], ["began", "cancelled"])
                scope.cancel()
        assert_empty(registry, names)

    with watching(registry, names):
        await sweep(attempt)


@pytest.mark.parametrize("after", range(6))
async def test_promise_3_a_start_that_is_cancelled_while_the_child_is_at_its_nth_step_leaves_no_trace(
    registry: Registry[str, int], names: Registry[str, None], after: int, autojump_clock: MockClock
) -> None:
    class Slow(Actor):
        async def on_start(self) -> None:
            for number in range(10):
                registry.register(f"key {number}", number)
                await trio.lowlevel.checkpoint()

    async with supervised() as supervisor:
        with watching(registry, names), trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel_later() -> None:
                    for _ in range(after):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()

                nursery.start_soon(cancel_later)
                await supervisor.start_child(Slow, name=names.via("James Bond"))
                raise AssertionError("not cancelled")
        assert scope.cancelled_caught
        assert_empty(registry, names)


async def test_promise_3_a_supervisor_whose_second_child_does_not_start_leaves_no_trace(
    registry: Registry[str, int], names: Registry[str, None], autojump_clock: MockClock
) -> None:
    with watching(registry, names), pytest.RaisesGroup(Bang):
        async with open_supervisor(
            [
                ChildSpec(Agent, name=names.via("first")),
                ChildSpec(BadStart, (registry,), name=names.via("second")),
                ChildSpec(Agent, name=names.via("third")),
            ]
        ):
            raise AssertionError("started")
    assert_empty(registry, names)


# 4. Restart keeps the name


async def test_promise_4_a_restarted_child_has_its_name_before_its_init_runs(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    lives: list[tuple[object, object]] = []

    class Bond(Agent):
        def __init__(self) -> None:
            lives.append((names.whereis("James Bond"), trioreg.current()))

    async with supervised() as supervisor:
        first = await supervisor.start_child(Bond, name=names.via("James Bond"))
        first.kill()
        await wait_all_tasks_blocked()
    assert len(lives) == 2
    assert lives[0] == (first, first)
    assert lives[1][0] is lives[1][1]
    assert lives[1][0] is not first


@pytest.mark.parametrize(
    "end", [end for end in ACTOR_ENDS if end is not _stop], ids=lambda end: end.__name__.strip("_")
)
@pytest.mark.parametrize("cls", [Agent, StopsSlowly])
async def test_promise_4_nobody_ever_sees_the_name_free_in_a_restart(
    names: Registry[str, None], end: End, cls: type[Agent], autojump_clock: MockClock
) -> None:
    with watching(names) as watcher:
        async with supervised() as supervisor:
            ref: Any = await supervisor.start_child(cls, name=names.via("James Bond"))
            for _ in range(3):
                await end(ref)
                await ref.wait()
                before, ref = ref, names.whereis("James Bond")
                assert ref is not None
                assert ref is not before
                assert await names.via("James Bond").call(Agent.ping) == "pong"
    history = watcher.shown["James Bond"]
    assert None not in history[:-1]
    assert len(history) == 5  # four lives, and free at last


async def test_promise_4_a_function_actor_keeps_its_name_too(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    async def worker() -> None:
        assert names.whereis("worker") is trioreg.current()
        await trioreg.receive()
        raise Bang

    with watching(names) as watcher:
        async with supervised() as supervisor:
            first = await supervisor.start_child(worker, name=names.via("worker"))
            await first.send("crash")
            await wait_all_tasks_blocked()
            second = names.whereis("worker")
            assert second is not None
            assert second is not first
    assert watcher.shown["worker"] == [first, second, None]


async def test_promise_4_only_the_name_is_kept_not_what_the_last_life_registered(
    names: Registry[str, None], registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    with watching(names, registry):
        async with supervised() as supervisor:
            first = await supervisor.start_child(Agent, name=names.via("James Bond"))
            registry.register("of the first life", 1, owner=first)
            names.register("007", owner=first)
            first.kill()
            await first.wait()
            assert_empty(registry)
            assert names.whereis("007") is None
            assert names.whereis("James Bond") is not None


async def test_promise_4_a_name_that_was_given_away_is_not_taken_back_by_a_restart(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    caught: list[BaseException] = []
    mine: Owner | None = None
    try:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
            names.unregister("James Bond", owner=ref)
            mine = names.register("James Bond")
            ref.kill()
            await went_on()
    except* AlreadyRegistered as group:
        caught = leaves(group)
    except* ActorExited:
        pass  # the kill, which was the first reason to restart
    assert len(caught) == 1
    assert names.whereis("James Bond") is mine
    names.unregister("James Bond")
    assert_empty(names)


async def test_promise_4_a_restart_that_cannot_have_its_name_does_not_hold_the_loop(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    """However many restarts are allowed, and however long somebody else has the name."""

    class HoldsTheLoop(BaseException):
        pass

    class Counter(logging.Handler):
        seen = 0

        def emit(self, record: logging.LogRecord) -> None:
            self.seen += 1
            if self.seen > 1000:
                raise HoldsTheLoop

    counter = Counter()
    logger = logging.getLogger("trioreg")
    logger.addHandler(counter)
    try:
        async with supervised(max_restarts=math.inf) as supervisor:
            ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
            names.unregister("James Bond", owner=ref)
            names.register("James Bond")
            ref.kill()
            await settle()
    except* AlreadyRegistered:
        pass
    finally:
        logger.removeHandler(counter)
        names.unregister("James Bond")
    assert counter.seen <= 1000


# 5. No lost error


def logged_errors(caplog: pytest.LogCaptureFixture) -> list[BaseException]:
    """The exceptions that were logged with their tracebacks, in order."""
    errors: list[BaseException] = []
    for record in caplog.records:
        if record.levelno >= logging.ERROR and record.exc_info is not None and record.exc_info[1] is not None:
            assert record.exc_info[2] is not None, "logged without its traceback"
            errors.append(record.exc_info[1])
    return errors


@pytest.mark.parametrize(
    "end",
    [_crash_inline, _crash_queued, _crash_async, _crash_in_background],
    ids=["inline", "queued", "async", "background"],
)
async def test_promise_5_a_crash_is_logged_with_its_traceback_and_restarted(
    end: End, caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        names: Registry[str, None] = Registry("names")
        ref = await supervisor.start_child(Agent, name=names.via("James Bond"))
        await end(ref)
        exit = await ref.wait()
        assert exit.reason == "crashed"
        assert isinstance(exit.error, Bang)
        assert await names.via("James Bond").call(Agent.ping) == "pong"
        assert logged_errors(caplog) == [exit.error]


async def test_promise_5_a_function_that_raises_in_its_first_step_is_restarted(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[int] = []

    async def worker() -> None:
        lives.append(len(lives))
        if len(lives) == 1:
            raise Bang
        await trio.sleep_forever()

    async with supervised() as supervisor:
        await supervisor.start_child(worker)
        await wait_all_tasks_blocked()
        assert lives == [0, 1]
        assert [type(error) for error in logged_errors(caplog)] == [Bang]


async def test_promise_5_an_actor_that_crashes_right_after_its_start_is_restarted(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[int] = []

    class Hasty(Agent):
        def __init__(self) -> None:
            lives.append(len(lives))
            if len(lives) == 1:
                self.ref.cast_nowait(Agent.bang)

    async with supervised() as supervisor:
        names: Registry[str, None] = Registry("names")
        await supervisor.start_child(Hasty, name=names.via("hasty"))
        await wait_all_tasks_blocked()
        assert lives == [0, 1]
        assert [type(error) for error in logged_errors(caplog)] == [Bang]
        assert await names.via("hasty").call(Agent.ping) == "pong"


async def test_promise_5_giving_up_raises_what_except_star_takes_apart(autojump_clock: MockClock) -> None:
    caught: list[BaseException] = []
    try:
        async with open_dynamic_supervisor(max_restarts=2) as supervisor:
            names: Registry[str, None] = Registry("names")
            await supervisor.start_child(Agent, name=names.via("James Bond"))
            for _ in range(3):
                names.via("James Bond").cast_nowait(Agent.bang)
                await wait_all_tasks_blocked()
            await went_on()
    except* Bang as group:
        caught = leaves(group)
    assert [type(error) for error in caught] == [Bang, Bang, Bang]
    assert len(set(caught)) == 3


async def test_promise_5_giving_up_leaves_as_a_restart_limit_with_the_original_errors(
    autojump_clock: MockClock,
) -> None:
    with pytest.raises(RestartLimitExceeded, match="more than 1 restarts in 5 seconds") as caught:
        async with open_dynamic_supervisor(max_restarts=1) as supervisor:
            names: Registry[str, None] = Registry("names")
            await supervisor.start_child(Agent, name=names.via("James Bond"))
            for _ in range(2):
                names.via("James Bond").cast_nowait(Agent.bang)
                await wait_all_tasks_blocked()
            await went_on()
    assert [type(error) for error in caught.value.exceptions] == [Bang, Bang]
    assert len({id(error) for error in caught.value.exceptions}) == 2
    assert all(error.__traceback__ is not None for error in caught.value.exceptions)


async def test_promise_5_giving_up_reaches_the_originals_through_nested_supervisors(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        await trio.lowlevel.checkpoint()
        raise Bang

    inner = ChildSpec(crash, restart="permanent")
    middle = ChildSpec(Supervisor, args=([inner],), id="inner", restart="permanent")
    outer = ChildSpec(Supervisor, args=([middle],), id="middle", restart="permanent")
    reached: list[BaseException] = []
    try:
        async with open_supervisor([outer], max_restarts=1):
            await went_on()
    except* Bang as group:
        reached = leaves(group)
    assert reached
    assert {type(error) for error in reached} == {Bang}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("path", ["inline", "queued", "async", "background", "function", "init", "on_start", "on_stop"])
async def test_promise_5_ctrl_c_and_exit_leave_the_block_and_are_never_restarted(
    error: type[BaseException], path: str, autojump_clock: MockClock
) -> None:
    lives: list[str] = []
    left: set[type[BaseException]] = set()

    class Worker(Actor):
        def __init__(self) -> None:
            lives.append("life")
            if path == "init":
                raise error

        async def on_start(self) -> None:
            if path == "on_start":
                raise error

        async def on_stop(self, exit: Exit) -> None:
            if path == "on_stop":
                raise error

        def leave(self) -> None:
            raise error

        async def aleave(self) -> None:
            await trio.lowlevel.checkpoint()
            raise error

        def leave_behind(self) -> None:
            self.start_soon(self.aleave)

    async def function() -> None:
        lives.append("life")
        await trio.lowlevel.checkpoint()
        raise error

    try:
        async with open_dynamic_supervisor() as supervisor:
            if path == "function":
                await supervisor.start_child(function, restart="permanent")
            else:
                ref = await supervisor.start_child(Worker)
                if path == "inline":
                    with pytest.raises(ActorExited) as caught:
                        await ref.call(Worker.leave)
                    assert isinstance(caught.value.__cause__, error)
                elif path == "queued":
                    ref.cast_nowait(Worker.leave)
                elif path == "async":
                    ref.cast_nowait(Worker.aleave)
                elif path == "background":
                    ref.cast_nowait(Worker.leave_behind)
                elif path == "on_stop":
                    ref.cancel()
            await went_on()
    except BaseException as group:
        left = {type(leaf) for leaf in leaves(group)}
    assert left == {error}
    assert lives == ["life"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_promise_5_ctrl_c_leaves_nested_supervisors(
    error: type[BaseException], autojump_clock: MockClock
) -> None:
    lives: list[str] = []
    left: set[type[BaseException]] = set()

    async def function() -> None:
        lives.append("life")
        await trio.lowlevel.checkpoint()
        raise error

    inner = ChildSpec(Supervisor, args=([ChildSpec(function, restart="permanent")],), id="inner")
    try:
        async with open_supervisor([ChildSpec(Supervisor, args=([inner],), id="outer")]):
            await went_on()
    except BaseException as group:
        left = {type(leaf) for leaf in leaves(group)}
    assert left == {error}
    assert lives == ["life"]


async def test_promise_5_a_transient_child_is_restarted_after_a_crash_and_not_after_its_return(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    lives: list[str] = []

    async def worker() -> str:
        lives.append("life")
        if await trioreg.receive() == "crash":
            raise Bang
        return "done"

    async with open_dynamic_supervisor() as supervisor:
        names: Registry[str, None] = Registry("names")
        await supervisor.start_child(worker, name=names.via("worker"), restart="transient")
        await names.via("worker").send("crash")
        await wait_all_tasks_blocked()
        assert lives == ["life", "life"]
        await names.via("worker").send("return")
    assert lives == ["life", "life"]
    assert [type(error) for error in logged_errors(caplog)] == [Bang]
    assert_empty(names)


async def test_promise_5_a_temporary_child_is_never_restarted_and_its_crash_is_logged(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with open_dynamic_supervisor() as supervisor:
        ref = await supervisor.start_child(Agent, restart="temporary")
        ref.cast_nowait(Agent.bang)
    exit = await ref.wait()
    assert exit.reason == "crashed"
    assert logged_errors(caplog) == [exit.error]


@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
@pytest.mark.parametrize("error", [Bang, SystemExit])
async def test_promise_5_an_error_of_a_child_that_is_being_shut_down_leaves_a_cancelled_block(
    opener: Callable[[], Any], error: type[BaseException], autojump_clock: MockClock
) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise error

    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with opener() as supervisor:
                await supervisor.start_child(Fragile)
                scope.cancel()
        except* error as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [error]


async def test_promise_5_an_error_of_a_nested_child_that_is_being_shut_down_leaves_a_cancelled_block(
    autojump_clock: MockClock,
) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    inner = ChildSpec(Supervisor, args=([ChildSpec(Fragile)],), id="inner")
    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with open_supervisor([inner]):
                scope.cancel()
                await trio.lowlevel.checkpoint()
        except* Bang as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [Bang]


async def test_promise_5_an_error_of_a_restart_that_the_shutdown_interrupts_is_not_lost(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    lives: list[str] = []

    class Slow(Actor):
        async def on_start(self) -> None:
            lives.append("life")
            if len(lives) > 1:
                try:
                    await trio.sleep_forever()
                finally:
                    raise Bang

    caught: list[BaseException] = []
    with trio.CancelScope() as scope:
        try:
            async with open_supervisor([ChildSpec(Slow, id="slow")]) as supervisor:
                (child,) = supervisor.which_children()
                assert child.ref is not None
                child.ref.kill()
                await trio.sleep(1)
                assert lives == ["life", "life"]
                scope.cancel()
        except* Bang as group:
            caught = leaves(group)
    assert [type(leaf) for leaf in caught] == [Bang]


async def test_promise_5_an_error_of_the_block_and_one_of_a_child_both_leave(autojump_clock: MockClock) -> None:
    class Fragile(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang, ZeroDivisionError, flatten_subgroups=True):
        async with open_dynamic_supervisor() as supervisor:
            await supervisor.start_child(Fragile)
            raise ZeroDivisionError


async def test_promise_5_a_start_that_fails_raises_in_its_caller_and_nowhere_else(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    registry: Registry[str, int] = Registry("names")
    async with open_dynamic_supervisor() as supervisor:
        with pytest.raises(Bang):
            await supervisor.start_child(BadInit, registry)
    assert logged_errors(caplog) == []


async def test_promise_5_errors_of_an_actor_and_of_its_end_are_both_in_its_exit(autojump_clock: MockClock) -> None:
    class Fragile(Agent):
        async def on_stop(self, exit: Exit) -> None:
            raise ZeroDivisionError

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Fragile, restart="temporary")
        ref.cast_nowait(Agent.bang)
        exit = await ref.wait()
    assert exit.error is not None
    assert [type(leaf) for leaf in leaves(exit.error)] == [Bang, ZeroDivisionError]


def test_promise_5_no_task_is_left_behind_that_complains_when_collected() -> None:
    async def main() -> None:
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Agent)
            assert await ref.call(Agent.aping) == "pong"

    trio.run(main)
    gc.collect()
