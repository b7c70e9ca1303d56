"""A message to many idle actors: one task runs their sync handlers. All else is as if each actor's own task did."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
import trio
from support.supervisors import supervised
from trio.lowlevel import Task, current_task
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    DynamicSupervisor,
    PubSub,
    Registry,
    current,
    debug,
    open_dynamic_supervisor,
    raises,
)
from trioreg._actors import shared_turn as _shared_turn
from trioreg._actors.cell import OWN_TURN

MODE: ContextVar[str] = ContextVar("mode")


class Refused(Exception):
    pass


class Member(Actor):
    def __init__(self, *topics: PubSub[str, Any]) -> None:
        self.got: list[Any] = []
        self.tasks: list[Task] = []
        for each in topics:
            each.join("topic", type(self).take)

    def take(self, message: Any) -> None:
        self.tasks.append(current_task())
        self.got.append(message)
        if callable(message):
            message(self)

    async def wait(self) -> None:
        await trio.lowlevel.checkpoint()

    def all(self) -> list[Any]:
        return self.got

    def my_tasks(self) -> list[Task]:
        return self.tasks


@pytest.fixture
def topics() -> PubSub[str, Any]:
    return PubSub("topics")


async def started(
    supervisor: DynamicSupervisor, count: int, *args: Any, cls: Any = Member, **options: Any
) -> list[Any]:
    refs = [await supervisor.start_child(cls, *args, **options) for _ in range(count)]
    await wait_all_tasks_blocked()
    return refs


def noting(found: list[Any], what: object) -> Callable[[Member], None]:
    """A message that leaves a note when it is handled."""

    def note(_: Member) -> None:
        found.append(what)

    return note


def noting_refs(found: list[Any]) -> Callable[[Member], None]:
    """A message that notes who has handled it."""

    def note(member: Member) -> None:
        found.append(member.ref)

    return note


def members_of(refs: list[Any]) -> Registry[str, None]:
    """A registry with all of these actors under the key "members"."""
    names: Registry[str, None] = Registry("names", keys="duplicate")
    for ref in refs:
        names.register("members", owner=ref)
    return names


def cell_of(ref: ActorRef[Any]) -> Any:
    assert ref._cell is not None
    return ref._cell


def own_task(ref: ActorRef[Any]) -> Any:
    return cell_of(ref).task


async def test_one_task_runs_the_handlers_of_all_idle_actors(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 3, topics)
        topics.publish_nowait("topic", "hello")
        await wait_all_tasks_blocked()
        tasks = [task for ref in refs for task in await ref.call(Member.my_tasks)]
        assert len(tasks) == 3
        assert len(set(tasks)) == 1
        assert tasks[0] not in [own_task(ref) for ref in refs]


@pytest.mark.parametrize("way", ["publish_nowait", "publish", "cast_all"])
async def test_each_way_to_send_to_many_actors_uses_the_shared_turn(
    way: str, topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 3, topics)
        names = members_of(refs)
        if way == "publish":
            assert await topics.publish("topic", "hello") == 3
        elif way == "publish_nowait":
            assert topics.publish_nowait("topic", "hello") == 3
        else:
            assert names.cast_all("members", Member.take, "hello") == 3
        await wait_all_tasks_blocked()
        assert [await ref.call(Member.all) for ref in refs] == [["hello"]] * 3
        assert len({task for ref in refs for task in await ref.call(Member.my_tasks)}) == 1


async def test_a_class_with_own_turn_runs_its_handlers_in_the_task_of_the_actor(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    class OwnTurn(Member):
        own_turn = True

    async with supervised() as supervisor:
        refs = await started(supervisor, 3, topics, cls=OwnTurn)
        topics.publish_nowait("topic", "hello")
        await wait_all_tasks_blocked()
        assert [await ref.call(OwnTurn.my_tasks) for ref in refs] == [[own_task(ref)] for ref in refs]


async def test_a_handler_runs_as_its_actor_and_in_the_context_of_its_actor(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    seen: list[tuple[Any, str]] = []

    def look(member: Member) -> None:
        seen.append((current(), MODE.get("none")))
        MODE.set(repr(member.ref))

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        for _ in range(2):
            topics.publish_nowait("topic", look)
            await wait_all_tasks_blocked()
        assert seen == [(refs[0], "none"), (refs[1], "none"), (refs[0], repr(refs[0])), (refs[1], repr(refs[1]))]
    assert MODE.get("none") == "none"


async def test_what_is_sent_before_and_after_keeps_its_order(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        busy, idle = refs
        busy.cast_nowait(Member.take, 1)
        topics.publish_nowait("topic", 2)
        topics.publish_nowait("topic", 3)
        for ref in refs:
            ref.cast_nowait(Member.take, 4)
        assert await busy.call(Member.all) == [1, 2, 3, 4]
        assert await idle.call(Member.all) == [2, 3, 4]


async def test_a_call_waits_behind_the_message(topics: PubSub[str, Any], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        topics.publish_nowait("topic", "hello")
        assert await refs[1].call(Member.all) == ["hello"]


async def test_the_message_counts_as_one_in_the_mailbox_until_it_is_handled(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        topics.publish_nowait("topic", "hello")
        now = [ref.statistics() for ref in refs]
        assert [(each.queued, each.handled) for each in now] == [(1, 0)] * 2
        await wait_all_tasks_blocked()
        then = [ref.statistics() for ref in refs]
        assert [(each.queued, each.peak, each.handled) for each in then] == [(0, 1, 1)] * 2


async def test_it_is_no_call_in_flight(topics: PubSub[str, Any], autojump_clock: MockClock) -> None:
    counts: list[int] = []
    async with supervised() as supervisor:
        await started(supervisor, 2, topics)

        def count(member: Member) -> None:
            counts.append(member.ref.statistics().calls_in_flight)

        topics.publish_nowait("topic", count)
        await wait_all_tasks_blocked()
    assert counts == [0, 0]


async def test_an_error_crashes_its_own_actor_only(
    topics: PubSub[str, Any], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 3, topics, restart="temporary")
        error = ValueError("mine")

        def fail(member: Member) -> None:
            if member.ref is refs[1]:
                raise error

        topics.publish_nowait("topic", fail)
        exit = await refs[1].wait()
        assert (exit.reason, exit.error) == ("crashed", error)
        assert [await ref.call(Member.all) for ref in (refs[0], refs[2])] == [[fail]] * 2
        assert topics.publish_nowait("topic", "next") == 2
    assert "Member.take" in caplog.text
    assert "_actors/shared_turn" not in caplog.text  # no frame of the runtime's is in the traceback


async def test_a_declared_error_is_logged_and_the_actor_lives_on(
    topics: PubSub[str, Any], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Careful(Member):
        @raises(Refused)
        def take(self, message: Any) -> None:
            super().take(message)
            raise Refused(message)

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, cls=Careful)
        with caplog.at_level(logging.INFO):
            topics.publish_nowait("topic", "hello")
            await wait_all_tasks_blocked()
        assert [await ref.call(Careful.all) for ref in refs] == [["hello"]] * 2
        assert [ref.statistics().handled for ref in refs] == [2, 2]
    assert len([line for line in caplog.records if line.message.endswith("failed with a declared error")]) == 2


async def test_a_handler_that_returns_a_coroutine_goes_on_in_the_task_of_its_actor(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    class Late(Member):
        def take(self, message: Any) -> Any:
            return self.later(message)

        async def later(self, message: Any) -> None:
            await trio.sleep(1)
            super().take(message)

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, cls=Late)
        topics.publish_nowait("topic", "hello")
        await wait_all_tasks_blocked()
        assert await refs[0].call(Late.all) == ["hello"]
        assert await refs[0].call(Late.my_tasks) == [own_task(refs[0])]


@pytest.mark.parametrize("way", ["publish_nowait", "cast_all"])
async def test_an_actor_that_waits_with_a_timeout_takes_it_in_its_own_turn(
    way: str, topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:

    class Sleepy(Member):
        idle_timeout = 5

        async def on_idle(self) -> None:
            self.got.append("idle")

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, cls=Sleepy)
        names = members_of(refs)
        await trio.sleep(3)
        if way == "cast_all":
            names.cast_all("members", Sleepy.take, "hello")
        else:
            topics.publish_nowait("topic", "hello")
        await trio.sleep(3)
        assert [cell_of(ref).actor.got for ref in refs] == [["hello"]] * 2
        await trio.sleep(3)
        assert [cell_of(ref).actor.got for ref in refs] == [["hello", "idle"]] * 2
        assert [cell_of(ref).actor.tasks for ref in refs] == [[own_task(ref)] for ref in refs]


async def test_a_call_that_waits_for_room_has_it_when_the_message_is_handled(autojump_clock: MockClock) -> None:

    class Small(Member):
        mailbox_size = 1

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, cls=Small)
        names = members_of(refs)
        names.cast_all("members", Small.take, "hello")
        assert await refs[0].call(Small.all) == ["hello"]  # there is no room for this call yet


async def test_an_idle_actor_is_as_before_when_it_has_handled_the_message(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        topics.publish_nowait("topic", "hello")
        await wait_all_tasks_blocked()
        assert [(cell_of(ref).runs_in, cell_of(ref).is_idle) for ref in refs] == [(OWN_TURN, True)] * 2


async def test_an_actor_in_line_ends_as_soon_as_any_other(topics: PubSub[str, Any], autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 10, topics, restart="temporary")
        for ref in refs:
            topics.publish_nowait("topic", "hello")
            ref.cancel()
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()  # by now each task that could run after the first step has done so
            assert not ref.is_alive


async def test_actors_that_are_cancelled_in_the_same_step_still_handle_what_has_come(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    got: list[Any] = []
    with trio.CancelScope() as scope:
        async with open_dynamic_supervisor() as supervisor:
            refs = await started(supervisor, 2, topics)
            topics.publish_nowait("topic", noting(got, "published"))
            refs[0].cast_nowait(Member.take, noting(got, "cast"))
            scope.cancel()
    assert scope.cancelled_caught
    assert sorted(got) == ["cast", "published", "published"]


async def test_an_actor_that_is_stopped_in_the_same_step_handles_the_message_first(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    got: list[Any] = []
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, restart="temporary")
        topics.publish_nowait("topic", noting_refs(got))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refs[0].stop)
        await wait_all_tasks_blocked()
        assert sorted(got, key=refs.index) == refs


async def test_a_message_that_an_actor_sends_to_itself_while_it_ends_is_no_crash(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    def end(member: Member) -> None:
        member.ref.cancel()
        member.ref.cast_nowait(Member.take, "too late")  # raises ActorExited

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, restart="temporary")
        topics.publish_nowait("topic", end)
        assert [(await ref.wait()).reason for ref in refs] == ["shutdown"] * 2


@pytest.mark.parametrize("args", [(), (1,), (1, 2)])
async def test_a_cast_to_all_has_any_number_of_arguments(args: tuple[int, ...], autojump_clock: MockClock) -> None:

    class Many(Member):
        def take_many(self, *args: int) -> None:
            self.got.append(args)

    async with supervised() as supervisor:
        refs = await started(supervisor, 2, cls=Many)
        names = members_of(refs)
        assert names.cast_all("members", Many.take_many, *args) == 2
        assert [await ref.call(Many.all) for ref in refs] == [[args]] * 2


@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("has_scope", [False, True])
async def test_an_actor_that_is_ended_in_the_same_step_does_not_handle_the_message(
    how: str, has_scope: bool, topics: PubSub[str, Any], autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    got: list[Any] = []
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics, restart="temporary")
        if has_scope:  # from the first async handler on
            await refs[0].call(Member.wait)
        topics.publish_nowait("topic", noting_refs(got))
        getattr(refs[0], how)()
        await wait_all_tasks_blocked()
        assert got == [refs[1]]
        assert refs[0].is_alive is False
    assert "1 unhandled message" in caplog.text


async def test_a_suspended_actor_handles_the_message_when_it_goes_on(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await started(supervisor, 2, topics)
        await debug.suspend(refs[0])
        topics.publish_nowait("topic", "hello")
        await wait_all_tasks_blocked()
        assert [cell_of(ref).actor.got for ref in refs] == [[], ["hello"]]
        await debug.resume(refs[0])
        assert await refs[0].call(Member.all) == ["hello"]


async def test_a_handler_that_publishes_again_lets_the_others_come_first(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    order: list[tuple[str, int]] = []

    async with supervised() as supervisor:
        refs = await started(supervisor, 3, topics)

        def again(member: Member) -> None:
            order.append(("again", refs.index(member.ref)))

        def first(member: Member) -> None:
            order.append(("first", refs.index(member.ref)))
            if member.ref is refs[0]:
                topics.publish_nowait("topic", again)

        topics.publish_nowait("topic", first)
        await wait_all_tasks_blocked()
        for number in range(3):
            assert order.index(("first", number)) < order.index(("again", number))
        assert sorted(order) == [(what, number) for what in ("again", "first") for number in range(3)]


async def test_other_tasks_run_between_the_handlers_of_a_large_audience(
    topics: PubSub[str, Any], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_shared_turn, "PER_TURN", 3)
    handled: list[int] = []
    async with supervised() as supervisor:
        await started(supervisor, 30, topics)
        topics.publish_nowait("topic", noting(handled, 1))
        most = before = 0
        while len(handled) < 30:
            await trio.lowlevel.checkpoint()
            most = max(most, len(handled) - before)
            before = len(handled)
        assert most <= 2 * 3  # in one pass the turn may come before this task, and in the next one behind it


async def test_handlers_that_publish_for_ever_do_not_keep_other_tasks_from_running(
    topics: PubSub[str, Any], autojump_clock: MockClock
) -> None:
    is_over = False

    def again(member: Member) -> None:
        if not is_over:
            topics.publish_nowait("topic", again)

    async with supervised() as supervisor:
        await started(supervisor, 2, topics)
        topics.publish_nowait("topic", again)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        is_over = True
        await wait_all_tasks_blocked()


def test_the_next_run_has_a_turn_of_its_own() -> None:
    async def main() -> Task:
        topics: PubSub[str, Any] = PubSub("topics")
        async with supervised() as supervisor:
            refs = await started(supervisor, 2, topics)
            topics.publish_nowait("topic", "hello")
            await wait_all_tasks_blocked()
            tasks: list[Task] = await refs[0].call(Member.my_tasks)
            return tasks[0]

    assert trio.run(main) is not trio.run(main)


def test_actors_that_live_on_when_the_main_task_is_over_take_messages_in_their_own_turns() -> None:
    topics: PubSub[str, Any] = PubSub("topics")
    seen: list[Any] = []

    async def system() -> None:
        try:
            with trio.CancelScope(shield=True):
                async with supervised() as supervisor:
                    refs = await started(supervisor, 2, topics)
                    topics.publish_nowait("topic", "first")
                    is_ready.set()
                    await trio.sleep(10)  # the main task is over, and so is the task of the shared turn
                    assert topics.publish_nowait("topic", "second") == 2
                    await trio.sleep(1)
                    seen.extend([await ref.call(Member.all) for ref in refs])
                    tasks = [await ref.call(Member.my_tasks) for ref in refs]
                    assert [each[1] for each in tasks] == [own_task(ref) for ref in refs]
        finally:
            seen.append("over")

    is_ready = trio.Event()

    async def main() -> None:
        trio.lowlevel.spawn_system_task(system)
        await is_ready.wait()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert seen == [["first", "second"]] * 2 + ["over"]
