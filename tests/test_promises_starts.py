"""Promises 3 and 4: a refused registration or start changes nothing, and a restart keeps the name."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, settle, sweep
from support.errors import Bang, leaves
from support.inside import plain_holders
from support.promises import (
    ACTOR_ENDS,
    Agent,
    BadBackground,
    BadInit,
    BadStart,
    End,
    StopsSlowly,
    assert_empty,
    stop,
    went_on,
)
from support.supervisors import supervised
from support.watcher import rows, watching
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorExited,
    AlreadyRegistered,
    ChildSpec,
    Exit,
    Owner,
    Registry,
    RestartLimitExceeded,
    current_owner,
    open_dynamic_supervisor,
    open_supervisor,
)


@pytest.fixture
def names() -> Registry[str, None]:
    return Registry("names", keys="unique", partitions=2)


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
        assert names.keys(current_owner()) == []
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
    assert registry.keys(current_owner()) == []
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
            # The same name can be started now.
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
async def test_promise_3_a_start_cancelled_at_any_checkpoint_leaves_no_trace(
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
async def test_promise_3_a_start_cancelled_at_any_step_of_the_child_leaves_no_trace(
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


@pytest.mark.parametrize("end", [end for end in ACTOR_ENDS if end is not stop], ids=lambda end: end.__name__.strip("_"))
@pytest.mark.parametrize("cls", [Agent, StopsSlowly])
async def test_promise_4_the_name_is_never_free_during_a_restart(
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


async def test_promise_4_only_the_name_of_the_child_is_kept(
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
    except* (ActorExited, RestartLimitExceeded):
        pass  # the kill, which caused the first restart; and that the supervisor gave up
    assert len(caught) == 1
    assert names.whereis("James Bond") is mine
    names.unregister("James Bond")
    assert_empty(names)


async def test_promise_4_a_restart_whose_name_is_taken_does_not_hold_the_loop(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    """With any limit of restarts, and even if another owner has the name for long."""

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
    assert 0 < counter.seen <= 1000
