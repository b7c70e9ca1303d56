"""run(): a tree as a program, its end by itself, by an error, and what it refuses."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import pytest
import trio
from support.children import worker
from support.errors import Bang, gives_up
from support.programs import TERM, does, fails, gets, run

import trioreg
from trioreg import Actor, ActorRef, ChildSpec, Exit, RestartLimitExceeded, Supervisor

# The end by itself


def test_a_program_ends_with_its_last_child() -> None:
    done: list[float] = []

    async def work(seconds: float) -> None:
        await trio.sleep(seconds)
        done.append(seconds)

    assert run(ChildSpec(work, (2,)), ChildSpec(work, (1,))) is None
    assert done == [1, 2]


def test_a_program_without_children_ends_at_once() -> None:
    assert run() is None


def test_a_tree_can_be_a_single_child() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    assert trioreg.run(ChildSpec(work)) is None
    assert done == ["work"]


def test_a_child_that_ends_while_others_start_does_not_end_the_program() -> None:
    log: list[str] = []

    async def short() -> None:
        pass

    run(ChildSpec(short), worker(log, "slow", start=1), gets(TERM))
    assert log == ["+slow", "-slow"]


def test_the_end_of_a_significant_child_ends_the_program_in_order() -> None:
    log: list[str] = []
    work = ChildSpec(trio.sleep, (1,), significant=True)
    assert run(worker(log, "a"), worker(log, "b"), work, auto_shutdown="any_significant") is None
    assert log == ["+a", "+b", "-b", "-a"]


def test_a_program_takes_the_options_of_a_supervisor() -> None:
    log: list[str] = []
    crashes = [Bang(), Bang(), Bang(), Bang(), Bang()]

    async def crash() -> None:
        await trio.sleep(1)
        if crashes:
            raise crashes.pop()

    run(
        worker(log, "a", restart="transient"),
        ChildSpec(crash, significant=True),
        strategy="one_for_all",
        max_restarts=5,
        max_seconds=10.0,
        auto_shutdown="all_significant",
        name="bonds",
    )
    assert log == ["+a", "-a"] * 6


# Errors


def test_a_program_that_gives_up_fails_with_the_errors_of_its_children() -> None:
    log: list[str] = []
    with gives_up() as caught:
        run(worker(log, "a"), does(fails(Bang())))
    assert {type(error) for error in caught.errors} == {Bang}
    assert log == ["+a", "-a"]


def test_a_subtree_that_gives_up_is_restarted_by_the_program() -> None:
    subtree = ChildSpec(partial(Supervisor, max_restarts=0), ([does(fails(Bang()))],))
    with gives_up() as caught:
        run(subtree, max_restarts=2, max_seconds=100)
    # Each time the subtree gave up, with its own limit and the crash; in one group.
    assert [type(error) for error in caught.errors] == [RestartLimitExceeded, Bang] * 3
    assert caught.limit.child == "Supervisor"


def test_a_child_that_does_not_start_fails_the_program_in_order() -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang):
        run(worker(log, "a"), ChildSpec(Fails), worker(log, "c"))
    assert log == ["+a", "-a"]


@pytest.mark.parametrize("is_deep", [False, True])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("mine")])
def test_a_system_exit_shuts_down_in_order_and_leaves_as_it_is(is_deep: bool, error: BaseException) -> None:
    log: list[str] = []
    child = does(fails(error))
    if is_deep:
        child = ChildSpec(Supervisor, ([worker(log, "b"), child],))
    with pytest.raises(type(error)) as caught:
        run(worker(log, "a"), child)
    assert caught.value is error
    assert log == (["+a", "+b", "-b", "-a"] if is_deep else ["+a", "-a"])


def test_a_system_exit_outweighs_a_signal() -> None:
    class Exits(Actor):
        async def on_stop(self, exit: Exit) -> None:
            sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        run(ChildSpec(Exits), gets(TERM))
    assert caught.value.code == 3


def test_a_failure_outweighs_a_system_exit_and_both_are_raised() -> None:
    class Fails(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(SystemExit, Bang):
        run(ChildSpec(Fails), does(fails(SystemExit(0))))


def test_the_cause_of_a_system_exit_stays() -> None:
    def leave() -> None:
        try:
            raise Bang
        except Bang as error:
            raise SystemExit(2) from error

    with pytest.raises(SystemExit) as caught:
        run(does(leave))
    assert isinstance(caught.value.__cause__, Bang)


# What watches it


class Starts(trioreg.Instrument):
    """Notes which actors start."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def actor_starting(self, ref: ActorRef[Any]) -> None:
        self.seen.append(repr(ref).split()[0].strip("<"))


def test_an_instrument_of_trioreg_sees_the_first_child_start() -> None:
    starts = Starts()
    run(ChildSpec(Supervisor, ([ChildSpec(Actor)],)), gets(TERM), instruments=iter([starts]))
    assert starts.seen[:2] == ["Supervisor", "Actor"]


def test_instruments_of_trioreg_and_of_trio_are_installed_each_by_its_kind() -> None:
    class Runs(trio.abc.Instrument):
        def before_run(self) -> None:
            seen.append("run")

    class Both(Starts, Runs):
        pass

    seen: list[str] = []
    starts, both = Starts(), Both()
    run(ChildSpec(Actor), gets(TERM), instruments=[Runs(), starts, both])
    assert seen == ["run", "run"]
    assert starts.seen == both.seen != []


class Hooks:
    def actor_starting(self, ref: object) -> None:
        raise AssertionError(ref)


@pytest.mark.parametrize("instrument", [Hooks(), Starts, None, "starts"])
def test_what_is_no_instrument_is_refused_by_name_before_anything_starts(instrument: Any) -> None:
    log: list[str] = []
    with pytest.raises(TypeError, match="instruments must be instances of trioreg") as caught:
        run(worker(log, "a"), instruments=[Starts(), instrument])
    assert repr(instrument) in str(caught.value)
    assert log == []


def test_instruments_that_are_not_several_are_refused() -> None:
    with pytest.raises(TypeError, match="instruments must be an iterable of instruments, not <"):
        run(instruments=Starts())


# What it refuses


def test_a_program_cannot_run_outside_of_the_main_thread() -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            await trio.to_thread.run_sync(run)

    trio.run(main)


async def test_a_program_cannot_run_inside_of_a_trio_run() -> None:
    with pytest.raises(RuntimeError, match="inside"):
        run()


@pytest.mark.parametrize("tree", [None, Actor, trio.sleep_forever, [Actor], "tree", [ChildSpec(Actor), None]])
def test_a_tree_that_is_no_child_spec_is_refused(tree: Any) -> None:
    with pytest.raises(TypeError, match="tree must be a ChildSpec, or several, not"):
        trioreg.run(tree)


def test_options_are_checked_before_anything_starts() -> None:
    log: list[str] = []
    with pytest.raises(ValueError, match="strategy"):
        run(worker(log, "a"), strategy="one_for_none")
    assert log == []
