"""Promise 3, all or nothing: a registration or a start that fails leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.errors import Bang
from support.inside import plain_holders
from support.promises import (
    Agent,
    BadBackground,
    BadInit,
    BadStart,
    assert_empty,
)
from support.supervisors import supervised
from support.watcher import rows, watching
from trio.testing import MockClock

from trioreg import (
    Actor,
    AlreadyRegistered,
    ChildSpec,
    Exit,
    PubSub,
    Registry,
    current_owner,
    open_dynamic_supervisor,
    open_supervisor,
)


async def test_a_refused_registration_leaves_no_trace(names: Registry[str, None], autojump_clock: MockClock) -> None:
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


async def test_registering_a_name_twice_by_one_owner_is_refused_and_changes_nothing(
    names: Registry[str, None], autojump_clock: MockClock
) -> None:
    names.register("James Bond")
    before = rows(names)
    with pytest.raises(AlreadyRegistered):
        names.register("James Bond")
    assert rows(names) == before
    names.unregister("James Bond")
    assert_empty(names)


async def test_an_unhashable_key_leaves_no_trace(registry: Registry[Any, int], autojump_clock: MockClock) -> None:
    with pytest.raises(TypeError, match="key must be hashable"):
        registry.register(["a list"], 1)
    assert_empty(registry)
    assert registry.keys(current_owner()) == []
    assert plain_holders() == 0


class Moody:
    """A key that refuses to be compared with keys of other types, after some comparisons that it lets pass."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Moody):
            return True
        self.patience -= 1
        if self.patience < 0:
            raise TypeError("I compare with my own kind only")
        return False

    def __hash__(self) -> int:
        return 7


@pytest.mark.parametrize("first", [["a"], ["a", "b"]], ids=["after-one-name", "after-two-names"])
@pytest.mark.parametrize("clash", [False, True], ids=["no-hash-clash", "hash-clash"])
@pytest.mark.parametrize("patience", [0, 1, 2])
async def test_a_key_whose_eq_raises_is_registered_whole_or_not_at_all(
    registry: Registry[Any, int], first: list[str], clash: bool, patience: int, autojump_clock: MockClock
) -> None:
    async def holder() -> None:
        for key in [*first, *([7] if clash else [])]:
            registry.register(key, 1)
        try:
            registry.register(Moody(patience), 2)
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
async def test_a_start_that_fails_leaves_no_trace(
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
async def test_a_start_under_a_taken_name_leaves_no_trace(
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
async def test_a_start_cancelled_at_any_checkpoint_leaves_no_trace(
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
async def test_a_start_cancelled_at_any_step_of_the_child_leaves_no_trace(
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


async def test_a_supervisor_whose_second_child_does_not_start_leaves_no_trace(
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


@pytest.mark.parametrize(
    ("why", "is_nowait"), [("where", False), ("where", True), ("topic", False), ("topic", True), ("no room", True)]
)
async def test_a_publication_that_raises_reaches_nobody(why: str, is_nowait: bool, autojump_clock: MockClock) -> None:
    """And the retained message is the one from before."""
    topics: PubSub[str, str] = PubSub("topics")

    def fails_at_the_last(value: object) -> bool:
        if value == "last":
            raise Bang
        return True

    topic: Any = ["not hashable"] if why == "topic" else "topic"
    where = fails_at_the_last if why == "where" else None
    async with (
        topics.subscribe("topic") as first,
        topics.subscribe("topic", value="last", buffer=1, overflow="wait") as last,
    ):
        topics.publish_nowait("topic", "kept", retain=True)
        assert await first.receive() == "kept"
        if why != "no room":
            assert await last.receive() == "kept"
        with pytest.raises((Bang, TypeError, trio.WouldBlock)):
            if is_nowait:
                topics.publish_nowait(topic, "lost", where=where, retain=True)
            else:
                await topics.publish(topic, "lost", where=where, retain=True)
        assert topics.retained("topic") == ["kept"]
        with pytest.raises(trio.WouldBlock):
            first.receive_nowait()
