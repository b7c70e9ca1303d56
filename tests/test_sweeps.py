"""Cancelled at each checkpoint, and after each step that any other task takes meanwhile: nothing is lost, nothing is
done twice, nothing is left behind.

Here are the public awaits that are about names and children. Those that put something into a mailbox or wait for an
actor are in test_mailbox_machine.py, test_mailbox.py, test_actor.py and test_function_actor.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import trio
from support.cancellation import Cancelling, sweep_steps
from support.inside import assert_nothing_left, is_followed
from support.registry_kinds import KINDS, kind_id
from support.supervisors import supervised, supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    ANY,
    Actor,
    ActorExited,
    ActorRef,
    Agent,
    ChildSpec,
    Entry,
    Exit,
    Registered,
    Registry,
    Unregistered,
    Var,
    open_dynamic_supervisor,
    open_supervisor,
    raises,
)
from trioreg._registry import query as query_module
from trioreg._runtime.task_owner import current_owner


class Spy(Actor):
    """It takes a few checkpoints to begin and to end, and says what it has come to."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        log.append("made")

    async def on_start(self) -> None:
        await trio.lowlevel.checkpoint()
        self.log.append("started")

    async def on_stop(self, exit: Exit) -> None:
        await trio.lowlevel.checkpoint()
        self.log.append("stopped")

    def note(self, text: str) -> str:
        self.log.append(text)
        return text

    async def anote(self, text: str) -> str:
        await trio.lowlevel.checkpoint()
        return self.note(text)

    @raises(KeyError)
    def refuse(self, text: str) -> str:
        self.log.append(text)
        raise KeyError(text)

    async def on_message(self, message: str) -> None:
        self.log.append(message)


@pytest.fixture
def names() -> Registry[str, Any]:
    return Registry("names")


def living() -> int:
    return trio.lowlevel.current_statistics().tasks_living


# To an actor by its name


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("operation", ["call", "async call", "refused call", "cast", "send"])
async def test_a_message_by_name_that_is_cancelled_anywhere_was_not_sent_or_was_handled_once(
    operation: str, is_busy: bool, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        via = names.via("James Bond")

        async def refused() -> None:
            with pytest.raises(KeyError, match="mine"):
                await via.call(Spy.refuse, "mine")

        async def call_async() -> None:
            await via.call(Spy.anote, "mine")

        operations: dict[str, Callable[[], Awaitable[object]]] = {
            "call": lambda: via.call(Spy.note, "mine"),
            "async call": call_async,
            "refused call": refused,
            "cast": lambda: via.cast(Spy.note, "mine"),
            "send": lambda: via.send("mine"),
        }
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Spy, log, name=via)
            await wait_all_tasks_blocked()
            if is_busy:
                ref.cast_nowait(Spy.anote, "busy")
            completed = await cancelling.run(operations[operation])
            await wait_all_tasks_blocked()
            assert log.count("mine") in ([1] if completed else [0, 1] if "call" in operation else [0])
            assert ref.statistics().queued == ref.statistics().calls_in_flight == 0
            assert await via.call(Spy.note, "next") == "next"
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("operation", ["wait", "stop"])
async def test_a_wait_or_stop_by_name_that_is_cancelled_anywhere_leaves_nobody_waiting(
    operation: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Spy, log, name=names.via("James Bond"), restart="temporary")
            if operation == "wait":
                ref.cast_nowait(Spy.anote, "busy")
                nursery.start_soon(ref.stop)
            completed = await cancelling.run(getattr(names.via("James Bond"), operation))
            assert not completed or cancelling.value is ref.exit
            if operation == "stop" and cancelling.n == 0:
                assert ref.is_alive
                ref.cancel()
            await ref.wait()
            assert log.count("stopped") == 1
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("change", ["update", "cast", "get"])
async def test_what_is_asked_of_an_agent_and_is_cancelled_anywhere_is_done_once_or_not_at_all(
    change: str, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        asked: list[int] = []

        def add(value: int) -> int:
            asked.append(value)
            return value + 1

        async with supervised() as supervisor:
            counter = await supervisor.start_child(Agent[int], lambda: 0)
            if change == "update":
                completed = await cancelling.run(lambda: counter.call(Agent[int].update, add))
            elif change == "cast":
                completed = await cancelling.run(lambda: counter.cast(Agent[int].update, add))
            else:
                completed = await cancelling.run(lambda: counter.call(Agent[int].get, add))
            await wait_all_tasks_blocked()
            assert len(asked) in ([1] if completed else [0] if change == "cast" else [0, 1])
            value = await counter.call(Agent[int].get, lambda value: value)
            assert value == (0 if change == "get" else len(asked))

    await sweep_steps(attempt)


# Children


@pytest.mark.parametrize("state", ["missing", "starting", "running", "ending"])
async def test_a_start_or_get_that_is_cancelled_anywhere_starts_one_or_leaves_no_trace(
    state: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        via = names.via("James Bond")
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def start() -> None:
                await supervisor.start_child(Spy, log, name=via, restart="temporary")

            if state == "starting":
                nursery.start_soon(start)
                while names.count() == 0:
                    await trio.lowlevel.checkpoint()
            elif state != "missing":
                await start()
            if state == "ending":
                cast("ActorRef[Spy]", names.whereis("James Bond")).cancel()
            completed = await cancelling.run(lambda: supervisor.start_or_get(Spy, log, name=via, restart="temporary"))
            if completed:
                assert names.whereis("James Bond") is cancelling.value
                assert cast("ActorRef[Spy]", cancelling.value).statistics().started_at is not None
            await wait_all_tasks_blocked()
            is_there = completed or state in ("starting", "running")
            assert names.count() == len(supervisor.which_children()) == is_there
            assert log.count("started") - log.count("stopped") == is_there
        assert log.count("started") == log.count("stopped")
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


async def test_of_two_who_start_or_get_the_one_that_is_not_cancelled_gets_it(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        got: list[ActorRef[Spy]] = []
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def other() -> None:
                while not got:
                    try:
                        got.append(await supervisor.start_or_get(Spy, log, name=names.via("James Bond")))
                    except ActorExited:
                        raise AssertionError("it was cancelled, and did not fail") from None

            nursery.start_soon(other)
            completed = await cancelling.run(lambda: supervisor.start_or_get(Spy, log, name=names.via("James Bond")))
            await wait_all_tasks_blocked()
            assert got == [names.whereis("James Bond")]
            assert not completed or cancelling.value is got[0]
            assert len(supervisor.which_children()) == log.count("started") == 1

    await sweep_steps(attempt)


@pytest.mark.parametrize("restart", ["permanent", "temporary"])
@pytest.mark.parametrize("opener", [open_dynamic_supervisor, open_supervisor])
async def test_a_termination_that_is_cancelled_anywhere_has_not_begun_or_is_complete(
    opener: Callable[[], Any], restart: Any, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        with trio.CancelScope() as scope:
            async with opener() as supervisor:
                ref = await supervisor.start_child(Spy, log, name=names.via("James Bond"), restart=restart)
                completed = await cancelling.run(lambda: supervisor.terminate_child(ref))
                assert not completed or not ref.is_alive
                await wait_all_tasks_blocked()  # once begun, it goes on
                assert ref.is_alive == ("stopped" not in log)
                assert names.count() == ref.is_alive
                # A supervisor that keeps specs keeps that of a permanent child that has ended.
                is_kept = opener is open_supervisor and restart == "permanent"
                assert len(supervisor.which_children()) == (ref.is_alive or is_kept)
                scope.cancel()
        assert log.count("made") == log.count("stopped") == 1
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


async def test_a_restart_of_a_child_that_is_cancelled_anywhere_starts_it_or_leaves_it_as_it_was(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        async with supervising([ChildSpec(Spy, (log,), name=names.via("James Bond"))]) as supervisor:
            await supervisor.terminate_child("James Bond")
            tree = supervisor.tree()
            completed = await cancelling.run(lambda: supervisor.restart_child("James Bond"))
            if completed:
                assert names.whereis("James Bond") is cancelling.value
            else:
                await wait_all_tasks_blocked()
                assert names.count() == 0
                assert supervisor.tree() == tree
                # It can be tried again.
                await supervisor.restart_child("James Bond")
            assert len(supervisor.which_children()) == 1
        assert log.count("started") == log.count("stopped")
        assert_nothing_left(names)

    with watching(names):
        await sweep_steps(attempt)


@pytest.mark.parametrize("way", ["enters", "waits inside", "leaves"])
@pytest.mark.parametrize("is_dynamic", [False, True])
async def test_a_supervisor_whose_block_is_cancelled_anywhere_ends_what_it_began(
    is_dynamic: bool, way: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        log: list[str] = []
        specs = [ChildSpec(Spy, (log,), name=names.via(name), restart="transient") for name in ("M", "Q")]

        async def use() -> None:
            async with open_dynamic_supervisor() if is_dynamic else open_supervisor(specs) as supervisor:
                for spec in specs if is_dynamic else ():
                    await supervisor.start_child(spec)
                if way == "waits inside":
                    await trio.sleep(1)
                for child in supervisor.which_children():
                    if child.ref is not None and way == "leaves":
                        trio.lowlevel.spawn_system_task(child.ref.stop)
                    elif child.ref is not None:
                        await child.ref.stop()

        tasks = living()
        await cancelling.run(use)
        assert log.count("started") == log.count("stopped")
        assert log.count("made") - log.count("started") in (0, 1)  # one that was just starting
        assert_nothing_left(names)
        await wait_all_tasks_blocked()
        assert living() == tasks

    with watching(names):
        assert await sweep_steps(attempt, limit=200) > 1


# Names


@pytest.mark.parametrize("end", ["unregisters", "ends", "transfers"])
@pytest.mark.parametrize("is_actor", [False, True])
async def test_an_acquire_that_is_cancelled_anywhere_holds_the_name_or_is_out_of_the_queue(
    is_actor: bool, end: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            holder, rival = [await supervisor.start_child(Spy, list[str](), restart="temporary") for _ in range(2)]
            candidate = await supervisor.start_child(Spy, list[str]()) if is_actor else current_owner()
            names.register("leader", 1, owner=holder)

            async def release() -> None:
                await trio.sleep(2)
                if end == "unregisters":
                    names.unregister("leader", owner=holder)
                elif end == "ends":
                    holder.kill()
                else:
                    names.transfer("leader", candidate, owner=holder)

            async def line_up() -> None:
                await trio.sleep(1)
                await names.acquire("leader", 3, owner=rival)

            nursery.start_soon(release)
            nursery.start_soon(line_up)
            completed = await cancelling.run(lambda: names.acquire("leader", 2, owner=candidate))
            assert not completed or names.whereis("leader") is candidate is cancelling.value
            await trio.sleep(3)
            if completed or end == "transfers":
                assert names.lookup("leader") == [(candidate, 1 if end == "transfers" else 2)]
                names.unregister("leader", owner=candidate)
            assert names.lookup("leader") == [(rival, 3)]
            assert names._names.queues.by_key == {}
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_free", [False, True])
async def test_a_lock_whose_entering_is_cancelled_anywhere_is_free_for_the_next(
    is_free: bool, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        inside: list[str] = []

        async def use(who: str, seconds: int) -> None:
            async with names.lock("door"):
                inside.append(who)
                assert len(inside) == 1
                await trio.sleep(seconds)
                inside.remove(who)

        async with trio.open_nursery() as nursery:
            if not is_free:
                nursery.start_soon(use, "first", 1)
                await wait_all_tasks_blocked()
                nursery.start_soon(use, "last", 1)
            lock = names.lock("door")
            entered = await cancelling.run(lock.__aenter__)
            if entered:
                inside.append("mine")
                await trio.sleep(1)
                inside.remove("mine")
                await lock.__aexit__(None, None, None)
        assert_nothing_left(names)

    await sweep_steps(attempt)


async def test_a_block_with_a_lock_that_is_cancelled_anywhere_frees_it(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def use() -> None:
            async with names.lock("door"):
                await trio.lowlevel.checkpoint()

        await cancelling.run(use)
        assert_nothing_left(names)
        with trio.fail_after(1):
            await use()

    await sweep_steps(attempt)


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_a_wait_for_a_name_that_is_cancelled_anywhere_leaves_nothing(
    kind: Any, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, Any] = Registry("names", keys=kind[0], partitions=kind[1])
        async with trio.open_nursery() as nursery:

            async def come_and_go() -> None:
                with names.hold("James Bond"):
                    await trio.lowlevel.checkpoint()

            async def come_twice() -> None:
                await trio.sleep(1)
                await come_and_go()
                await trio.sleep(1)
                with names.hold("James Bond"):
                    await trio.sleep(1)

            nursery.start_soon(come_twice)
            completed = await cancelling.run(lambda: names.wait_for("James Bond"))
            assert not completed or [entry.owner for entry in names.lookup("James Bond")] == [cancelling.value]
            assert not is_followed(names)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("operation", ["select", "count_select"])
@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_a_selection_that_is_cancelled_anywhere_leaves_nothing(
    kind: Any, operation: str, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(query_module, "ROWS_PER_TURN", 2)

    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[int, Any] = Registry("names", keys=kind[0], partitions=kind[1])
        async with trio.open_nursery() as nursery:

            async def change() -> None:
                for number in range(10):
                    names.unregister(number)
                    names.register(number + 20, "new", owner=mine)
                    await trio.lowlevel.checkpoint()

            mine = names.register(0, "old")
            for number in range(1, 12):
                names.register(number, "old")
            nursery.start_soon(change)
            if operation == "select":
                completed = await cancelling.run(lambda: names.select(int, ANY, Var("v"), into=Var("v")))
                assert not completed or {"old"} <= set(cancelling.value) <= {"old", "new"}
            else:
                completed = await cancelling.run(lambda: names.count_select(value="old"))
                assert not completed or 2 <= cancelling.value <= 12
            assert names._names.selections == []
            nursery.cancel_scope.cancel()
        for key in set(names.keys()):
            names.unregister(key)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("kind", KINDS, ids=kind_id)
async def test_a_parallel_dispatch_that_is_cancelled_anywhere_leaves_no_task(
    kind: Any, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, int] = Registry("names", keys=kind[0], partitions=kind[1])
        begun: list[int] = []
        ended: list[int] = []

        async def tell(entries: list[Entry[int]]) -> None:
            values = [entry.value for entry in entries]
            begun.extend(values)
            try:
                await trio.lowlevel.checkpoint()
                await trio.sleep(1)
            finally:
                ended.extend(values)

        async with supervised() as supervisor:
            count = 1 if kind[0] == "unique" else 5
            for number in range(count):
                names.register("topic", number, owner=await supervisor.start_child(Spy, list[str]()))
            await wait_all_tasks_blocked()
            tasks = living()
            completed = await cancelling.run(lambda: names.dispatch_parallel("topic", tell))
            assert living() == tasks
            assert not completed or (cancelling.value == count and sorted(begun) == list(range(count)))
            assert sorted(begun) == sorted(ended)
            assert len(set(begun)) == len(begun)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("key", ["James Bond", ANY])
async def test_a_watcher_that_is_cancelled_anywhere_and_goes_on_misses_nothing_and_gets_nothing_twice(
    key: Any, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        seen: list[tuple[type, Any]] = []

        async with trio.open_nursery() as nursery:

            async def come_and_go() -> None:
                for number in range(3):
                    await trio.sleep(1)
                    names.register("James Bond", number)
                    names.unregister("James Bond")

            with names.watch(key) as events:

                async def follow() -> None:
                    async for event in events:
                        seen.append((type(event), event.value))
                        if len(seen) == 6:
                            return

                nursery.start_soon(come_and_go)
                if not await cancelling.run(follow):
                    await follow()
        assert seen == [(kind, number) for number in range(3) for kind in (Registered, Unregistered)]
        assert_nothing_left(names)

    await sweep_steps(attempt)


async def test_a_block_that_watches_and_is_cancelled_anywhere_leaves_no_watcher(
    names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def use() -> None:
            with names.watch("James Bond") as events, names.hold("James Bond"):
                assert isinstance(await events.receive(), Registered)
                await trio.lowlevel.checkpoint()

        await cancelling.run(use)
        assert_nothing_left(names)

    await sweep_steps(attempt)


@pytest.mark.parametrize("operation", ["start_child", "start_or_get", "restart_child"])
async def test_who_asks_for_a_child_in_a_block_that_is_cancelled_is_just_cancelled(
    operation: str, names: Registry[str, Any], autojump_clock: MockClock
) -> None:
    with trio.CancelScope() as scope:
        async with (
            open_dynamic_supervisor() as dynamic,
            open_supervisor([ChildSpec(Spy, (list[str](),), id="M")]) as supervisor,
        ):
            await supervisor.terminate_child("M")
            scope.cancel()
            with trio.CancelScope(shield=True):
                await wait_all_tasks_blocked()  # both are closing now, and this task has not been told yet
            if operation == "start_child":
                await dynamic.start_child(Spy, list[str]())
            elif operation == "start_or_get":
                await dynamic.start_or_get(Spy, list[str](), name=names.via("M"))
            else:
                await supervisor.restart_child("M")
    assert scope.cancelled_caught
