"""What errors and log lines say: whose start failed, and where in the tree it happens."""

from __future__ import annotations

import logging
from typing import Any, cast

import pytest
import trio
from support.children import ref_of, went_on
from support.errors import Bang, gives_up
from support.supervisors import supervised, supervising
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    AlreadyRegistered,
    ChildNotFound,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Partitions,
    PartitionSupervisor,
    Registry,
    Supervisor,
    open_supervisor,
)

NAMES: Registry[str, None] = Registry("names")
COUNTERS: Partitions[Actor] = Partitions("counters", 2)


class Fails(Actor):
    async def on_start(self) -> None:
        raise Bang("no")


class Quiet(Actor):
    def bang(self) -> None:
        raise Bang("loud")


def notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])


async def test_an_error_of_a_start_says_whose_with_the_path_through_the_tree(autojump_clock: MockClock) -> None:
    storage = ChildSpec(Supervisor, ([ChildSpec(Fails, id="db")],), id="storage")
    with pytest.RaisesGroup(Bang) as caught:
        async with open_supervisor([storage], name="program"):
            raise AssertionError("entered")
    assert notes(caught.value.exceptions[0]) == ["starting child 'db' of program/storage"]


async def test_an_error_of_start_child_says_whose(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        with pytest.raises(Bang) as caught:
            await supervisor.start_child(Fails, name=names.via("db"))
        assert notes(caught.value) == ["starting child Fails named 'db' of dynamic supervisor"]
        with names.hold("db"), pytest.raises(AlreadyRegistered) as taken:
            await supervisor.start_child(Actor, name=names.via("db"))
        assert notes(taken.value) == ["starting child Actor named 'db' of dynamic supervisor"]


async def test_an_error_that_is_raised_by_each_start_says_it_once(autojump_clock: MockClock) -> None:
    error = Bang()

    class Again(Actor):
        async def on_start(self) -> None:
            raise error

    async with supervised() as supervisor:
        for _ in range(2):
            with pytest.raises(Bang):
                await supervisor.start_child(Again)
    assert len(notes(error)) == 1


async def test_an_error_that_is_frozen_leaves_a_start_as_it_is(autojump_clock: MockClock) -> None:
    class Frozen(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    class Start(Actor):
        async def on_start(self) -> None:
            raise Frozen

    async with supervised() as supervisor:
        with pytest.raises(Frozen):
            await supervisor.start_child(Start)


@pytest.mark.parametrize("value", [None, 5])
async def test_an_error_with_odd_notes_ends_no_supervisor(value: object, autojump_clock: MockClock) -> None:
    class Odd(Exception):
        __notes__ = cast("Any", value)

    class Start(Actor):
        async def on_start(self) -> None:
            raise Odd

    async with supervised() as supervisor:
        with pytest.raises(Odd):
            await supervisor.start_child(Start)
        assert (await supervisor.start_child(Quiet)).is_alive


# What a supervisor is called


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (ChildSpec(Supervisor, id="games"), "program/games"),
        (ChildSpec(Supervisor), "program/Supervisor"),
        (ChildSpec(DynamicSupervisor, name=NAMES.via("rooms")), "program/rooms"),
        (ChildSpec(PartitionSupervisor, (2, Actor), id="parts"), "program/parts"),
        (ChildSpec(PartitionSupervisor, (COUNTERS, Actor), id="parts"), "program/counters"),
    ],
)
async def test_a_supervisor_below_another_is_called_by_its_path(
    spec: ChildSpec, label: str, autojump_clock: MockClock
) -> None:
    async with supervising([spec], name="program") as supervisor:
        inner: Any = ref_of(supervisor, supervisor.which_children()[0].id)
        with pytest.raises(ChildNotFound) as caught:
            await inner.call(Supervisor.terminate_child, inner)
        assert caught.value.supervisor == label


async def test_a_give_up_below_shows_its_path_and_one_counter(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    names: Registry[str, None] = Registry("names")
    child = ChildSpec(Quiet, id="a", name=names.via("a"))
    with gives_up() as caught:
        async with open_supervisor([ChildSpec(Supervisor, ([child],), id="games")], max_restarts=0, name="program"):
            for _ in range(4):
                names.via("a").cast_nowait(Quiet.bang)
                await wait_all_tasks_blocked()
            await went_on()
    assert [caught.limit.supervisor, getattr(caught.errors[0], "supervisor", None)] == ["program", "program/games"]
    last_two = [record.getMessage() for record in caplog.records][-2:]
    assert last_two[0].startswith("program/games: child 'a' named 'a', ") or last_two[0].startswith(
        "program/games: child 'a', "
    )
    assert last_two[0].endswith(": giving up, more than 3 restarts in 5 seconds")
    # The members of a group are below the line, each with its traceback, and not in it.
    assert "crashed: ExceptionGroup: program/games gave up (5 sub-exceptions)" in last_two[1]


async def test_a_message_that_is_left_is_logged_with_the_child_that_left_it(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    caplog.set_level(logging.WARNING, "trioreg")
    async with supervising([ChildSpec(Quiet, id="a", restart="temporary")], name="program") as supervisor:
        ref = ref_of(supervisor, "a")
        ref.send_nowait("left")
        ref.kill()
        await ref.wait()
    assert [record.getMessage() for record in caplog.records if "unhandled" in record.getMessage()] == [
        f"program: child 'a', {ref!r}, ended (killed) with 1 unhandled message in its mailbox"
    ]
    assert ref.exit == Exit("killed")


async def test_a_root_supervisor_has_its_own_name(autojump_clock: MockClock) -> None:
    async with supervising() as supervisor:
        assert supervisor.tree() == "supervisor"
        await trio.lowlevel.checkpoint()


async def test_an_error_of_a_start_that_another_start_asked_for_says_both(autojump_clock: MockClock) -> None:
    class Asks(Actor):
        async def on_start(self) -> None:
            await supervisor.start_child(Fails)

    async with supervised() as supervisor, supervising() as other:
        with pytest.raises(Bang) as caught:
            await other.start_child(Asks)
        assert notes(caught.value) == [
            "starting child Fails of dynamic supervisor",
            "starting child 'Asks' of supervisor",
        ]


async def test_an_error_that_two_starts_raise_says_both_each_once(autojump_clock: MockClock) -> None:
    class Shares(Actor):
        async def on_start(self) -> None:
            raise error

    error = Bang()
    async with supervised() as supervisor:
        for id in ("a", "b", "b"):
            with pytest.raises(Bang):
                await supervisor.start_child(Supervisor, [ChildSpec(Shares, id=id)])
    path = "dynamic supervisor/Supervisor"
    assert notes(error) == [f"starting child 'a' of {path}", f"starting child 'b' of {path}"]
