"""What rarely happens around a shared turn: a failure inside of it, the end of the run, a filter of the log."""

from __future__ import annotations

import gc
import logging
import sys
import weakref
from typing import Any

import pytest
import trio
from support.faults import AtCall, Fault, WithRoom, fails_at_every_call, inside
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorRef, PubSub, current, open_dynamic_supervisor, raises
from trioreg._actors.shared_turn import SharedTurn

SHARED_TURN = sys.modules[SharedTurn.__module__]


class Member(Actor):
    """It keeps what it gets."""

    def __init__(self, topics: PubSub[str, Any], got: list[Any], method: str = "take") -> None:
        self.got = got
        topics.join("a", getattr(type(self), method), owner=self.ref)

    def take(self, message: Any) -> None:
        self.got.append(message)

    def go_on(self, message: Any) -> Any:
        return self.later(message)

    async def later(self, message: Any) -> None:
        self.got.append(message)

    @raises(LookupError)
    def refuse(self, message: Any) -> None:
        self.got.append(message)
        raise LookupError

    def crash(self, message: Any) -> None:
        self.got.append(message)
        raise ValueError

    def end(self, message: Any) -> None:
        self.got.append(message)
        self.stop()

    def drop(self, _: Any) -> None:
        self.stop()

    async def have_scope(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a coroutine is closed meanwhile
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
@pytest.mark.parametrize("has_scope", [False, True])
@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("method", ["take", "go_on", "refuse", "crash", "end"])
def test_a_shared_turn_that_fails_loses_no_message_and_ends_at_most_one_actor(
    method: str, place: int, has_scope: bool, kind: Any
) -> None:
    async def scenario(fault: Fault) -> None:
        topics: PubSub[str, Any] = PubSub("topics")
        handled: list[ActorRef[Any]] = []

        def is_that(cell: Any) -> bool:
            handled.append(cell.ref)
            return len(handled) == place

        async with supervised() as supervisor:
            got: list[list[Any]] = [[] for _ in range(3)]
            refs = [await supervisor.start_child(Member, topics, each, method, restart="temporary") for each in got]
            if has_scope:
                for ref in refs:
                    await ref.call(Member.have_scope)
            await wait_all_tasks_blocked()
            with inside(SHARED_TURN, "handle", fault, of=is_that):
                topics.publish_nowait("a", 1)
                await wait_all_tasks_blocked()
            for ref, each in zip(refs, got, strict=True):
                # The actor's own code may have had no room: then the fault has not come out of `handle`.
                is_faulty = ref is handled[place - 1]
                if ref.exit is None:
                    assert each == [1]
                    assert method not in ("crash", "end")
                    assert ref.statistics().queued == 0
                elif ref.exit.error is None:
                    assert each == [1]
                    assert method == "end"
                elif is_faulty and isinstance(ref.exit.error, MemoryError | RecursionError):
                    assert each in ([], [1])
                else:
                    assert each == [1]
                    assert isinstance(ref.exit.error, ValueError)
                    assert method == "crash"

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("method", ["take", "crash"])
@pytest.mark.parametrize("kind", [AtCall, WithRoom])
def test_a_step_of_the_task_that_serves_the_line_may_fail(kind: Any, method: str) -> None:
    async def scenario(fault: Fault) -> None:
        topics: PubSub[str, Any] = PubSub("topics")
        async with supervised() as supervisor:
            got: list[list[Any]] = [[] for _ in range(3)]
            refs = [await supervisor.start_child(Member, topics, each, method, restart="temporary") for each in got]
            await wait_all_tasks_blocked()
            with inside(SharedTurn, "_serve_some", fault):
                topics.publish_nowait("a", 1)
                await wait_all_tasks_blocked()
            for ref, each in zip(refs, got, strict=True):
                assert each == [1] or (ref.exit is not None and isinstance(ref.exit.error, MemoryError))
                assert method == "take" or ref.exit is not None

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("kind", [AtCall, WithRoom])
def test_a_first_publication_that_fails_leaves_actors_that_handle_the_next_one(kind: Any) -> None:
    async def scenario(fault: Fault) -> None:
        topics: PubSub[str, Any] = PubSub("topics")
        async with supervised() as supervisor:
            got: list[list[Any]] = [[] for _ in range(3)]
            for each in got:
                await supervisor.start_child(Member, topics, each)
            await wait_all_tasks_blocked()
            done = fault(lambda: topics.publish_nowait("a", 1))
            topics.publish_nowait("a", 2)
            await wait_all_tasks_blocked()
            for each in got:
                assert each == [1, 2] or (each == [2] and not done)

    fails_at_every_call(kind, scenario)


@pytest.mark.parametrize("steps", range(6))
def test_a_message_that_is_published_while_the_run_ends_is_handled(steps: int) -> None:
    got: list[Any] = []
    is_over = trio.Event()
    is_ready = trio.Event()

    async def system_task(topics: PubSub[str, Any]) -> None:
        with trio.CancelScope(shield=True):
            async with open_dynamic_supervisor() as supervisor:
                for _ in range(3):
                    await supervisor.start_child(Member, topics, got)
                await wait_all_tasks_blocked()
                is_ready.set()
                await is_over.wait()
                for _ in range(steps):  # before one of these steps, Trio has cancelled the task that serves the line
                    await trio.lowlevel.checkpoint()
                topics.publish_nowait("a", "last")
                await trio.sleep(1)
                assert got == ["first"] * 3 + ["last"] * 3
                supervisor.stop()

    async def main() -> None:
        topics: PubSub[str, Any] = PubSub("topics")
        trio.lowlevel.spawn_system_task(system_task, topics)
        await is_ready.wait()
        topics.publish_nowait("a", "first")
        await wait_all_tasks_blocked()
        is_over.set()

    for _ in range(10):  # Trio runs the tasks of a step in no order
        got.clear()
        is_over, is_ready = trio.Event(), trio.Event()
        trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_a_log_filter_finds_the_actor_whose_declared_error_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    seen: list[object] = []

    def note(_: logging.LogRecord) -> bool:
        seen.append(current())
        return True

    topics: PubSub[str, Any] = PubSub("topics")
    logger = logging.getLogger("trioreg.actors")
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Member, topics, got, "refuse") for _ in range(3)]
        await wait_all_tasks_blocked()
        logger.addFilter(note)
        try:
            topics.publish_nowait("a", 1)
            await wait_all_tasks_blocked()
        finally:
            logger.removeFilter(note)
    assert seen == refs
    assert len(caplog.records) == 3


async def test_a_shared_turn_keeps_no_actor_and_no_message_alive(autojump_clock: MockClock) -> None:
    class Message:
        pass

    got: list[Any] = []
    topics: PubSub[str, Any] = PubSub("topics")
    async with supervised() as supervisor:
        refs = [await supervisor.start_child(Member, topics, got, "drop", restart="temporary") for _ in range(3)]
        await wait_all_tasks_blocked()
        message = Message()
        kept: list[weakref.ref[Any]] = [
            weakref.ref(message),
            *[weakref.ref(ref._cell) for ref in refs if ref._cell is not None],
        ]
        topics.publish_nowait("a", message)
        await wait_all_tasks_blocked()
        del message
        gc.collect()
        assert [each() for each in kept] == [None] * 4
