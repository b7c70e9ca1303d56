"""tree(): a supervisor and all below it as text."""

from __future__ import annotations

import trio
from support.children import Verbose, ref_of, verbose
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Registry,
    Supervisor,
)


async def test_the_tree_shows_references_names_and_restarts(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    children = [
        ChildSpec(Verbose, ([], "a"), name=names.via("James Bond")),
        ChildSpec(Supervisor, ([verbose([], "b"), verbose([], "c")],), id="nested"),
        verbose([], "d", restart="transient"),
    ]
    async with supervising(children, name="the tree") as supervisor:
        names.via("James Bond").kill()
        await wait_all_tasks_blocked()
        await ref_of(supervisor, "d").stop()
        bond = names.whereis("James Bond")
        nested = ref_of(supervisor, "nested")
        b, c = await nested.call(Supervisor.which_children)
        assert supervisor.tree().splitlines() == [
            "the tree",
            f"├── 'James Bond'  {bond!r}  restarted 1 time",
            f"├── nested  {nested!r}",
            f"│   ├── b  {b.ref!r}",
            f"│   └── c  {c.ref!r}",
            "└── d  (ended)",
        ]


async def test_the_tree_of_a_dynamic_supervisor_shows_its_children(autojump_clock: MockClock) -> None:
    async def job() -> None:
        await trio.sleep_forever()

    async with supervised() as supervisor:
        assert supervisor.tree() == "dynamic supervisor"
        ref = await supervisor.start_child(job)
        assert supervisor.tree() == f"dynamic supervisor\n└── {ref!r}"


async def test_the_tree_can_be_shown_from_anywhere_at_any_time(autojump_clock: MockClock) -> None:
    shown: list[str] = []

    class Looking(Actor):
        def __init__(self, supervisor: DynamicSupervisor) -> None:
            self.supervisor = supervisor
            shown.append(supervisor.tree())

        async def on_start(self) -> None:
            shown.append(self.supervisor.tree())

        async def on_stop(self, exit: Exit) -> None:
            shown.append(self.supervisor.tree())

    supervisor: Supervisor | DynamicSupervisor
    for supervisor in (Supervisor(), DynamicSupervisor()):
        shown.append(supervisor.tree())
    async with supervised() as opened:
        await opened.start_child(Looking, opened)
    shown.append(opened.tree())
    assert len(shown) == 6
    assert all(shown)
