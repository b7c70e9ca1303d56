"""Supervisors as the children of supervisors."""

from __future__ import annotations

import functools
from typing import Any

import trio
from support.children import Verbose, ref_of, restarts, verbose
from support.errors import Bang, leaves
from support.supervisors import supervised, supervising
from support.watcher import watching
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorRef,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Registry,
    Supervisor,
    open_supervisor,
)


async def test_nested_supervisors_shut_down_in_order(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [
        verbose(log, "a"),
        ChildSpec(Supervisor, ([verbose(log, "b", stop=10, shutdown=20), verbose(log, "c")],), id="nested"),
        verbose(log, "d"),
    ]
    with trio.CancelScope() as scope:
        async with open_supervisor(children):
            assert [entry[0] for entry in log if entry.endswith("started")] == ["a", "b", "c", "d"]
            scope.cancel()
    assert [entry[0] for entry in log if entry.endswith("stopped")] == ["d", "c", "b", "a"]


async def test_a_nested_supervisor_has_all_the_time_that_its_children_need(autojump_clock: MockClock) -> None:
    log: list[str] = []
    nested = ChildSpec(Supervisor, ([verbose(log, "slow", stop=100, shutdown=200)],), id="nested")
    with trio.CancelScope() as scope:
        async with open_supervisor([nested]):
            scope.cancel()
    assert log[-1] == "slow stopped"


async def test_a_nested_supervisor_that_takes_longer_than_its_shutdown_time_is_cut_off_with_all_below(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    children = [verbose(log, "a"), verbose(log, "b", stop=1000, shutdown=2000)]
    nested = ChildSpec(Supervisor, (children,), id="nested", shutdown=5)
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with open_supervisor([nested]):
            log.clear()
            scope.cancel()
    assert trio.current_time() - began == 5
    assert "b stopped" not in log


async def test_a_nested_supervisor_that_gives_up_is_restarted_with_all_its_children(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    inner = [verbose(log, "a", name=names.via("a")), verbose(log, "b", name=names.via("b"))]
    nested = ChildSpec(functools.partial(Supervisor, inner, max_restarts=0), id="nested")
    with trio.CancelScope() as scope, watching(names):
        async with open_supervisor([nested]) as supervisor:
            log.clear()
            names.via("a").cast_nowait(Verbose.bang)
            await trio.sleep(1)
            assert sorted(entry for entry in log if entry.endswith("started")) == ["a started", "b started"]
            assert restarts(supervisor) == {"nested": 1}
            assert await names.via("b").call(Verbose.ping) == "b"
            scope.cancel()
    assert names.count() == 0


async def test_a_nested_supervisor_that_is_killed_ends_its_children_at_once_and_is_restarted(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    nested = ChildSpec(Supervisor, ([verbose(log, "a", stop=3), verbose(log, "b", stop=3)],), id="nested")
    async with supervising([nested]) as supervisor:
        log.clear()
        began = trio.current_time()
        ref = ref_of(supervisor, "nested")
        ref.kill()
        await ref.wait()
        assert trio.current_time() == began
        await wait_all_tasks_blocked()
        assert log == ["a init", "a started", "b init", "b started"]


async def test_a_nested_supervisor_does_not_start_if_a_child_of_it_does_not_start(autojump_clock: MockClock) -> None:
    log: list[str] = []

    class Fails(Actor):
        def __init__(self) -> None:
            raise Bang

    nested = ChildSpec(Supervisor, ([verbose(log, "a"), ChildSpec(Fails)],), id="nested")
    caught: list[BaseException] = []
    try:
        async with open_supervisor([nested]):
            raise AssertionError("entered")
    except* Bang as group:
        caught = leaves(group)
    assert [type(error) for error in caught] == [Bang]
    assert log == ["a init", "a started", "a stopping", "a stopped"]


async def test_a_supervisor_is_an_actor_that_is_called_to_start_a_child(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    log: list[str] = []
    async with supervised() as supervisor:
        nested = await supervisor.start_child(DynamicSupervisor, name=names.via("nested"))
        spec = verbose(log, "a", name=names.via("a"))
        ref: ActorRef[Any] = await nested.call(DynamicSupervisor.start_child, spec)
        assert names.whereis("a") is ref
        assert "'a'" in await nested.call(DynamicSupervisor.tree)
    assert log == ["a init", "a started", "a stopping", "a stopped"]


async def test_a_nested_supervisor_that_is_stopped_shuts_its_children_down(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervised() as supervisor:
        nested = await supervisor.start_child(Supervisor, [verbose(log, "a", stop=1)], restart="temporary")
        assert await nested.stop() == Exit("normal")
        assert log == ["a init", "a started", "a stopping", "a stopped"]
