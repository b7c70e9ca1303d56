"""run(): a tree as a program, its end by itself, by an error, and what it refuses."""

from __future__ import annotations

import signal
import sys
from functools import partial
from typing import Any

import pytest
import trio
from support.children import worker
from support.errors import Bang, leaves
from support.programs import HANDLED, TERM, does, fails, gets, run

import trioreg
from trioreg import Actor, ChildSpec, Exit, RestartLimitExceeded, Supervisor

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
    with pytest.raises(RestartLimitExceeded) as caught:
        run(worker(log, "a"), does(fails(Bang())))
    assert {type(error) for error in caught.value.exceptions} == {Bang}
    assert log == ["+a", "-a"]


def test_a_subtree_that_gives_up_is_restarted_by_the_program() -> None:
    subtree = ChildSpec(partial(Supervisor, max_restarts=0), ([does(fails(Bang()))],))
    with pytest.raises(RestartLimitExceeded) as caught:
        run(subtree, max_restarts=2, max_seconds=100)
    assert len(caught.value.exceptions) == 3
    assert {type(leaf) for leaf in leaves(caught.value)} == {Bang}


def test_a_child_that_does_not_start_fails_the_program_in_order() -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_start(self) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang):
        run(worker(log, "a"), ChildSpec(Fails), worker(log, "c"))
    assert log == ["+a", "-a"]


@pytest.mark.parametrize("signum", HANDLED)
def test_a_failure_during_the_shutdown_outweighs_the_signal(signum: signal.Signals) -> None:
    log: list[str] = []

    class Fails(Actor):
        async def on_stop(self, exit: Exit) -> None:
            raise Bang

    with pytest.RaisesGroup(Bang):
        run(worker(log, "a"), ChildSpec(Fails), gets(signum))
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
