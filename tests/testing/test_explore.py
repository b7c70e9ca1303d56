"""explore() finds the order in which a program fails, and replay() takes it again."""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import threading
import unittest
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from trio.lowlevel import checkpoint
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, PubSub, Registry, open_dynamic_supervisor
from trioreg.testing import Explored, ScheduleFailed, Stuck, explore, replay

Scenario = Callable[[], Awaitable[object]]


class Shop(Actor):
    def __init__(self) -> None:
        self.tickets = 1

    def left(self) -> int:
        return self.tickets

    def take(self) -> None:
        self.tickets -= 1


def two_buyers(pause: int) -> Scenario:
    """Two buyers look first and take then. The second one comes a little later."""

    async def scenario() -> None:
        sold: list[str] = []

        async def buy(name: str, pause: int) -> None:
            for _ in range(pause):
                await checkpoint()
            if await shop.call(Shop.left) > 0:
                await shop.call(Shop.take)
                sold.append(name)

        async with open_dynamic_supervisor() as supervisor:
            shop = await supervisor.start_child(Shop)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(buy, "first", 0, name="first buyer")
                nursery.start_soon(buy, "second", pause, name="second buyer")
            supervisor.stop()
        assert len(sold) == 1, f"sold to {sold}"

    return scenario


class Listener(Actor):
    def __init__(self, topics: PubSub[str, list[int]], number: int) -> None:
        self.number = number
        topics.join("topic", Listener.take)

    def take(self, order: list[int]) -> None:
        order.append(self.number)


async def subscribers_in_order() -> None:
    """It relies on the order in which the subscribers of a topic handle one message."""
    topics: PubSub[str, list[int]] = PubSub("topics")
    order: list[int] = []
    async with open_dynamic_supervisor() as supervisor:
        for number in range(2):
            await supervisor.start_child(Listener, topics, number)
        await wait_all_tasks_blocked()
        topics.publish_nowait("topic", order)
        await wait_all_tasks_blocked()
        supervisor.stop()
    assert order == [0, 1]


def failure_of(scenario: Scenario, **options: Any) -> ScheduleFailed:
    with pytest.raises(ScheduleFailed) as caught:
        explore(scenario, **options)
    return caught.value


# It finds


def test_a_program_that_relies_on_the_order_of_subscribers_fails() -> None:
    assert "[1, 0] == [0, 1]" in str(failure_of(subscribers_in_order))


def test_a_bug_of_some_orders_is_found_and_the_error_shows_the_order_and_how_to_repeat_it() -> None:
    failed = failure_of(two_buyers(1))
    assert isinstance(failed.__cause__, AssertionError)
    first, *_ = str(failed).splitlines()
    assert first.startswith("AssertionError: sold to ")
    assert f"\nFound in run {failed.runs}, with seed {failed.seed!r}:\n  round " in str(failed)
    assert "'second buyer' runs before 'first buyer'\n" in str(failed)
    assert "'second buyer' is at test_explore.py:" in str(failed)
    assert f"To repeat it: replay(scenario, {failed.seed!r})" in str(failed)


def test_the_seed_repeats_the_failure_each_time_with_its_own_error_and_a_note_of_the_order() -> None:
    failed = failure_of(two_buyers(1))
    for _ in range(3):
        with pytest.raises(AssertionError, match="sold to") as caught:
            replay(two_buyers(1), failed.seed)
        assert not isinstance(caught.value, ScheduleFailed)
        (note,) = caught.value.__notes__
        assert note.startswith(f"replay with seed {failed.seed!r}:\n  round ")


def test_a_program_that_is_right_passes_and_the_result_says_what_was_tried() -> None:
    explored = explore(two_buyers(9), runs=40)
    assert explored.runs == 40
    assert 2 < explored.schedules <= 40
    assert explored.most_rounds > 2


def test_the_search_goes_on_where_another_has_ended() -> None:
    whole = failure_of(two_buyers(1)).runs
    assert explore(two_buyers(1), runs=whole - 1) is not None if whole > 1 else True
    assert failure_of(two_buyers(1), seed=whole - 1).runs == 1


def test_a_bug_of_each_order_is_seed_0() -> None:
    async def scenario() -> None:
        raise ValueError("always")

    failed = failure_of(scenario)
    assert (failed.seed, failed.runs) == ("0", 1)
    assert "All tasks run in the order in which they were started." in str(failed)
    with pytest.raises(ValueError, match="always"):
        replay(scenario, failed.seed)


def test_a_seed_of_a_program_that_is_mended_passes() -> None:
    replay(two_buyers(9), failure_of(two_buyers(1)).seed)


def test_a_replay_takes_the_number_of_a_schedule_too() -> None:
    number = failure_of(two_buyers(1)).runs - 1
    with pytest.raises(AssertionError, match="sold to"):
        replay(two_buyers(1), number)


def test_the_failure_that_is_made_small_is_the_one_that_was_found_and_no_other_of_its_class() -> None:
    async def scenario() -> None:
        order: list[int] = []

        async def step(number: int) -> None:
            await checkpoint()
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(step, number)
        assert order[:2] != [3, 2], "the one that was found"
        assert order[0] == 0, "another one, which needs less"

    failed = failure_of(scenario, seed=1)
    assert str(failed).startswith("AssertionError: the one that was found")
    assert failed.runs == 1
    with pytest.raises(AssertionError, match="the one that was found"):
        replay(scenario, failed.seed)


class Till(Actor):
    def check(self, order: list[int]) -> None:
        assert order[:2] != [3, 2], "the one that was found"
        assert order[0] == 0, "another one, which needs less"


async def check_in_an_actor(order: list[int]) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        till = await supervisor.start_child(Till, restart="temporary")
        await till.call(Till.check, order)


async def check_by_a_timeout(order: list[int]) -> None:
    with trio.fail_after(1):
        await trio.sleep(2 if order[:2] == [3, 2] else 0)
    with trio.fail_after(1):
        await trio.sleep(0 if order[0] == 0 else 2)


@pytest.mark.parametrize("check", [check_in_an_actor, check_by_a_timeout])
def test_two_failures_that_the_same_line_of_trioreg_or_trio_raises_are_not_taken_for_one(
    check: Callable[[list[int]], Awaitable[None]],
) -> None:
    order: list[int] = []

    async def step(number: int) -> None:
        await checkpoint()
        order.append(number)

    async def scenario() -> None:
        order.clear()
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(step, number)
        await check(order)

    failed = failure_of(scenario, seed=1)
    assert failed.runs == 1
    with pytest.raises(BaseException):  # noqa: B017, PT011
        replay(scenario, failed.seed)
    assert order[:2] == [3, 2]


@pytest.mark.parametrize("partitions", [2, 3, 8])
def test_the_owners_of_a_registry_with_partitions_come_in_the_same_order_in_each_run(partitions: int) -> None:
    orders: list[list[int]] = []

    async def scenario() -> None:
        topics: Registry[str, int] = Registry("topics", keys="duplicate", partitions=partitions)

        async def hold(number: int) -> None:
            with topics.hold("news", number):
                await wait_all_tasks_blocked()
                orders[-1] = orders[-1] or [entry.value for entry in topics.lookup("news")]

        orders.append([])
        async with trio.open_nursery() as nursery:
            for number in range(partitions + 1):
                nursery.start_soon(hold, number)

    other: Registry[str, None] = Registry("other")

    async def one_more_owner() -> None:
        other.register("name")

    for _ in range(partitions):
        replay(scenario, 0)
        trio.run(one_more_owner)
    assert orders[0]
    assert orders == [orders[0]] * partitions


def test_with_very_many_moves_the_seed_is_the_number_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["trioreg._testing.explore"], "_MOST_MOVES", 0)
    failed = failure_of(two_buyers(1))
    assert failed.seed == failed.runs - 1
    assert "'second buyer' runs before 'first buyer'" in str(failed)
    with pytest.raises(AssertionError, match="sold to"):
        replay(two_buyers(1), failed.seed)


def test_an_error_without_a_text_is_a_failure_as_any_other() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    async def scenario() -> None:
        raise Mute

    assert str(failure_of(scenario)).startswith("Mute: its text raises RuntimeError\n")


def test_a_lambda_has_no_name_to_type() -> None:
    async def scenario() -> None:
        raise ValueError

    assert "To repeat it: replay(scenario, '0')" in str(failure_of(lambda: scenario()))


def test_several_errors_at_once_are_all_shown() -> None:
    async def fail(number: int) -> None:
        raise ValueError(number)

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(fail, number)

    text = str(failure_of(scenario))
    assert text.startswith("ValueError: ")
    assert "and 2 more errors" in text


def test_an_error_that_several_tasks_get_is_shown_once() -> None:
    async def fail() -> None:
        raise ValueError("the same")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            nursery.start_soon(fail)

    assert str(failure_of(scenario)).count("the same") == 1


# A scenario that does not end


def test_a_deadlock_is_a_failure_and_the_error_says_where_each_task_waits() -> None:
    async def scenario() -> None:
        first, second = trio.Lock(), trio.Lock()

        async def take(one: trio.Lock, other: trio.Lock) -> None:
            async with one:
                await checkpoint()
                async with other:
                    pass

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take, first, second, name="left")
            nursery.start_soon(take, second, first, name="right")

    failed = failure_of(scenario)
    assert isinstance(failed.__cause__, Stuck)
    assert "All tasks are blocked, and nothing can wake one of them:\n" in str(failed)
    assert "'left' waits at test_explore.py:" in str(failed)
    assert "'right' waits at test_explore.py:" in str(failed)
    assert "async with other:" in str(failed)


def test_a_deadlock_in_a_shielded_block_is_a_failure_too() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        with trio.CancelScope(shield=True):
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep_forever)
                    await trio.sleep_forever()
            finally:
                ended.append("ended")
                await trio.sleep_forever()

    assert isinstance(failure_of(scenario, runs=1).__cause__, Stuck)
    assert ended


def test_a_report_of_very_many_tasks_is_cut() -> None:
    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(trio.Event().wait)
                nursery.start_soon(wait)

    async def wait() -> None:
        await trio.sleep_forever()

    text = str(failure_of(scenario, runs=1))
    assert text.count("'wait' waits at") == 11
    assert "  and 9 more\n" in text


@pytest.mark.parametrize("busy", [True, False])
def test_a_scenario_that_can_not_be_ended_is_thrown_away(busy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioreg._testing.chooser.MOST_ROUNDS", 500)
    monkeypatch.setattr("trioreg._testing.one_run.MOST_ROUNDS", 500)
    monkeypatch.setattr("trioreg._testing.one_run._ROUNDS_TO_END", 100)
    monkeypatch.setattr("trioreg._testing.one_run._MOST_BREAKS", 2)

    def unheard(complaint: object) -> None:
        """Trio complains about what is thrown away."""

    monkeypatch.setattr(sys, "unraisablehook", unheard)

    async def scenario() -> None:
        with trio.CancelScope(shield=True):
            for _ in range(10_000 if busy else 4):
                with suppress(BaseException):
                    if busy:
                        await checkpoint()
                    else:
                        await trio.sleep_forever()

    try:
        assert isinstance(failure_of(scenario, runs=1).__cause__, Stuck)
    finally:
        gc.collect()


def test_a_scenario_without_an_end_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trioreg._testing.chooser.MOST_ROUNDS", 500)
    monkeypatch.setattr("trioreg._testing.one_run.MOST_ROUNDS", 500)

    async def scenario() -> None:
        for seconds in itertools.count():
            await trio.sleep(seconds)

    failed = failure_of(scenario, runs=1)
    assert "The scenario has not ended after 500 rounds of the scheduler" in str(failed)


def test_time_is_virtual_and_only_passes_when_all_tasks_are_blocked() -> None:
    async def scenario() -> None:
        begun = trio.current_time()
        await trio.sleep(1000)
        await wait_all_tasks_blocked()
        with trio.move_on_after(500):
            await trio.sleep_forever()
        assert trio.current_time() == begun + 1500

    assert explore(scenario, runs=3).runs == 3


# Not the same each time


def test_a_scenario_that_differs_from_run_to_run_is_noticed() -> None:
    runs = 0

    async def scenario() -> None:
        nonlocal runs
        runs += 1
        async with trio.open_nursery() as nursery:
            for _ in range(runs):
                nursery.start_soon(checkpoint)

    with pytest.warns(RuntimeWarning, match="does not do the same in each run"):
        explore(scenario, runs=3)


def test_a_scenario_whose_first_run_only_differs_is_no_reason_to_warn() -> None:
    @functools.cache
    def size() -> list[int]:
        return [3]

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(size()[0]):
                nursery.start_soon(checkpoint)
        size()[0] = 2

    assert explore(scenario, runs=3).runs == 3


@pytest.mark.parametrize("times", [1, 2])
def test_a_failure_that_does_not_come_again_is_said(times: int) -> None:
    runs = 0

    async def scenario() -> None:
        nonlocal runs
        runs += 1
        assert runs > times, "the first time only"

    text = str(failure_of(scenario))
    assert text.startswith("AssertionError: the first time only")
    assert "This can't be repeated: the next run under the same schedule did not fail." in text


# Around it


def test_the_collector_is_off_in_a_run_and_on_behind_it() -> None:
    async def scenario() -> None:
        assert not gc.isenabled()

    explore(scenario, runs=2)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        explore(two_buyers(9), runs=1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_scenario_may_be_a_partial_or_a_lambda() -> None:
    async def scenario(seconds: float) -> None:
        await trio.sleep(seconds)

    assert explore(functools.partial(scenario, 3), runs=1) == Explored(1, 1, 1)
    assert explore(lambda: scenario(3), runs=1) == Explored(1, 1, 1)


@pytest.mark.parametrize("function", [explore, functools.partial(replay, seed=0)])
@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(1),
        pytest.skip.Exception("not today"),
        unittest.SkipTest("not today"),
        pytest.xfail.Exception("not yet"),
        pytest.exit.Exception("enough"),
        UnsatisfiedAssumption(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_for_pytest_or_hypothesis_is_no_failure_and_leaves_without_a_group(
    error: BaseException, function: Any
) -> None:
    async def scenario() -> None:
        async with trio.open_nursery():
            raise error

    try:
        function(scenario)
    except BaseException as raised:
        assert raised is error  # noqa: PT017  # with pytest.raises, pytest would take some for its own
    else:
        pytest.fail("it should have been raised")


def test_a_failure_beside_a_skip_is_a_failure() -> None:
    async def skip() -> None:
        pytest.skip("not today")

    async def fail() -> None:
        raise ValueError("wrong")

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(skip)
            nursery.start_soon(fail)

    try:
        explore(scenario, runs=1)
    except BaseException as raised:
        assert isinstance(raised, ScheduleFailed)  # noqa: PT017  # a skip would skip this test
        assert "ValueError: wrong" in str(raised)  # noqa: PT017
    else:
        pytest.fail("it should have been raised")


@given(st.integers(0, 3))
@settings(max_examples=10)
def test_a_scenario_may_assume_something_of_what_hypothesis_gives(number: int) -> None:
    async def scenario() -> None:
        async with trio.open_nursery():
            assume(number > 0)
        assert number > 0

    explore(scenario, runs=2)


async def test_inside_of_a_trio_run_it_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"explore\(\) starts Trio runs of its own"):
        explore(two_buyers(1))
    with pytest.raises(RuntimeError, match=r"replay\(\) starts Trio runs of its own"):
        replay(two_buyers(1), "0")


def test_in_two_threads_at_once_it_is_refused() -> None:
    errors: list[BaseException] = []

    def other() -> None:
        try:
            explore(two_buyers(9), runs=1)
        except RuntimeError as error:
            errors.append(error)

    async def scenario() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    explore(scenario, runs=1)
    assert [str(error).partition(":")[0] for error in errors] == [
        "explore() and replay() run one at a time in a process"
    ] * len(errors)
    assert errors


@given(st.integers(9, 12))
@settings(max_examples=3)
def test_hypothesis_may_make_the_scenarios(pause: int) -> None:
    explore(two_buyers(pause), runs=3)


def not_async() -> None:
    pass


@pytest.mark.parametrize("scenario", [None, "scenario", not_async, lambda: 3])
def test_a_scenario_that_is_no_async_function_is_refused(scenario: Any) -> None:
    with pytest.raises(TypeError, match="scenario must be an async function without arguments, not"):
        explore(scenario)


async def needs_a_fixture(supervisor: object) -> None:
    pass


@pytest.mark.parametrize("function", [explore, functools.partial(replay, seed=0)])
def test_a_scenario_that_needs_an_argument_is_refused(function: Any) -> None:
    with pytest.raises(TypeError) as caught:
        function(needs_a_fixture)
    assert str(caught.value) == (
        "scenario must be an async function without arguments, but needs_a_fixture() is missing a required argument: "
        "'supervisor'. Make what it needs in the scenario, or pass that with functools.partial"
    )


def test_a_scenario_that_has_been_called_is_refused() -> None:
    called: Any = needs_a_fixture(None)
    with pytest.raises(TypeError, match=r"not a coroutine: write explore\(needs_a_fixture\)$"):
        explore(called)


@pytest.mark.parametrize("signature", ["none", 5])
def test_a_scenario_whose_signature_is_not_known_is_run(signature: object) -> None:
    class Odd:
        __signature__ = signature

        async def __call__(self) -> None:
            pass

    assert explore(Odd(), runs=1).runs == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"runs": 0}, ValueError, "runs must be at least 1, not 0"),
        ({"runs": 1.5}, TypeError, "runs must be an int, not 1.5"),
        ({"seed": -1}, ValueError, "seed must be at least 0, not -1"),
        ({"seed": "4:1>0"}, TypeError, "seed must be an int, not '4:1>0'"),
    ],
)
def test_arguments_are_checked(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explore(two_buyers(1), **options)
