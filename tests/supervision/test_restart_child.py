"""restart_child() and delete_child(): for children that have ended."""

from __future__ import annotations

import pytest
import trio
from support.children import ref_of, states, worker
from support.errors import Bang
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    AlreadyRegistered,
    Backoff,
    ChildNotEnded,
    ChildNotFound,
    ChildSpec,
    Registry,
    Supervisor,
    open_supervisor,
)
from trioreg._supervision import starting


async def test_a_terminated_child_is_started_again_by_hand(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    with trio.CancelScope() as scope:
        children = [worker(log, "a", start=1, name=names.via("a")), worker(log, "b")]
        async with open_supervisor(children) as supervisor:
            await supervisor.terminate_child("a")
            log.clear()
            ref = await supervisor.restart_child("a")
            assert log == ["+a"]
            assert names.whereis("a") is ref
            assert [child.id for child in supervisor.which_children()] == ["a", "b"]
            assert [child.restarts for child in supervisor.which_children()] == [0, 0]
            scope.cancel()
    assert log == ["+a", "-b", "-a"]


async def test_a_restart_by_hand_that_fails_raises_and_keeps_the_spec(autojump_clock: MockClock) -> None:
    fails: list[bool] = []

    class Sometimes(Actor):
        def __init__(self) -> None:
            if fails:
                raise Bang

    async with supervising([ChildSpec(Sometimes, id="a")], max_restarts=0) as supervisor:
        await supervisor.terminate_child("a")
        fails.append(True)
        with pytest.raises(Bang):
            await supervisor.restart_child("a")
        assert states(supervisor) == ["ended"]
        fails.clear()
        assert (await supervisor.restart_child("a")).is_alive


async def test_a_temporary_child_that_is_terminated_cannot_be_restarted_in_the_step_in_which_it_ends(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with open_supervisor([worker(log, "a", restart="temporary")]) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "a")
        while any(child.ref is not None for child in supervisor.which_children()):
            await trio.lowlevel.checkpoint()
        with pytest.raises(ChildNotFound):
            await supervisor.restart_child("a")
        supervisor.stop()


async def test_a_restart_by_hand_whose_name_is_taken_raises_and_changes_nothing(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervising([worker([], "a", name=names.via("a"))]) as supervisor:
        await supervisor.terminate_child("a")
        with names.hold("a"), pytest.raises(AlreadyRegistered):
            await supervisor.restart_child("a")
        assert states(supervisor) == ["ended"]
        assert names.count() == 0


async def test_after_a_restart_by_hand_that_fails_the_last_reference_still_leads_to_the_child(
    autojump_clock: MockClock,
) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervising([worker([], "a", name=names.via("a"))]) as supervisor:
        last = ref_of(supervisor, "a")
        await supervisor.terminate_child(last)
        with names.hold("a"), pytest.raises(AlreadyRegistered):
            await supervisor.restart_child(last)
        await supervisor.restart_child(last)
        assert states(supervisor) == ["running"]


async def test_after_a_restart_by_hand_without_memory_the_last_reference_still_leads_to_the_child(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    def fail_once(*_: object) -> None:
        monkeypatch.undo()
        raise MemoryError

    async with supervising([worker([], "a")]) as supervisor:
        last = ref_of(supervisor, "a")
        await supervisor.terminate_child(last)
        monkeypatch.setattr(starting, "run_actor", fail_once)
        with pytest.raises(MemoryError):
            await supervisor.restart_child(last)
        await supervisor.restart_child(last)
        assert states(supervisor) == ["running"]


@pytest.mark.parametrize("method", ["restart_child", "delete_child"])
@pytest.mark.parametrize("state", ["running", "starting", "restarting"])
async def test_a_child_that_has_not_ended_is_neither_restarted_nor_deleted(
    method: str, state: str, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with open_supervisor() as supervisor, trio.open_nursery() as nursery:
            spec = worker(log, "a", start=5 if state == "starting" else 0, backoff=Backoff(initial=5))
            nursery.start_soon(supervisor.start_child, spec)
            await trio.sleep(1)
            if state == "restarting":
                ref_of(supervisor, "a").kill()
                await wait_all_tasks_blocked()
            before = list(log)
            with pytest.raises(ChildNotEnded, match=f"child 'a' of supervisor is {state}") as caught:
                result = getattr(supervisor, method)("a")
                if result is not None:
                    await result
            assert (caught.value.supervisor, caught.value.child, caught.value.state) == ("supervisor", "a", state)
            assert states(supervisor) == [state]
            assert log == before
            scope.cancel()


async def test_a_deleted_child_is_forgotten_and_its_id_is_free(autojump_clock: MockClock) -> None:
    async with supervising([worker([], "a")]) as supervisor:
        await supervisor.terminate_child("a")
        supervisor.delete_child("a")
        assert supervisor.which_children() == []
        with pytest.raises(ChildNotFound):
            supervisor.delete_child("a")
        await supervisor.start_child(worker([], "a"))
        assert states(supervisor) == ["running"]


async def test_nothing_is_restarted_when_the_supervisor_has_ended(autojump_clock: MockClock) -> None:
    supervisor = Supervisor()
    with trio.CancelScope() as scope:
        async with open_supervisor([worker([], "a")]) as supervisor:
            scope.cancel()
    with pytest.raises(RuntimeError, match="supervisor is not running"):
        await supervisor.restart_child("a")
    assert states(supervisor) == ["ended"]
