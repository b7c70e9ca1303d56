"""`RestartLimit`: a limit of restarts for each child, and what follows from one restart too many."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import pytest
import trio
from support.children import bang, ref_of, restarts, states_by_id, went_on, worker
from support.errors import Bang, gives_up
from support.supervisors import supervised, supervising
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    Backoff,
    ChildSpec,
    Partitions,
    Registry,
    RestartLimit,
    RestartLimitExceeded,
    Supervisor,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_supervisor,
)

ONE = RestartLimit(1, 5)


class Sick(Actor):
    async def on_start(self) -> None:
        self.start_soon(self.fail)

    async def fail(self) -> None:
        await trio.sleep(1)
        raise Bang


# Drop


async def test_one_sick_child_among_a_thousand_takes_none_along(autojump_clock: MockClock) -> None:
    names: Registry[int, None] = Registry("names")
    async with supervised() as supervisor:
        for number in range(1000):
            await supervisor.start_child(Actor, name=names.via(number), limit=ONE)
        well = {number: names.whereis(number) for number in range(1000)}
        await supervisor.start_child(Sick, name=names.via(-1), limit=ONE)
        await trio.sleep(10)
        assert names.whereis(-1) is None
        assert {number: names.whereis(number) for number in range(1000)} == well
        assert supervisor.count_children().specs == 1000


async def test_a_child_may_have_as_many_restarts_as_its_limit_says_in_its_time(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a", limit=RestartLimit(2, 10))]) as supervisor:
        for _ in range(6):
            bang(supervisor, "a")
            await trio.sleep(5.01)
        assert (states_by_id(supervisor), restarts(supervisor)) == ({"a": "running"}, {"a": 6})


async def test_restarts_of_a_child_with_a_limit_do_not_count_against_its_supervisor(autojump_clock: MockClock) -> None:
    log: list[str] = []
    children = [worker(log, "a", limit=RestartLimit(100, 5)), worker(log, "b")]
    async with supervising(children, max_restarts=1) as supervisor:
        for _ in range(50):
            bang(supervisor, "a")
            await wait_all_tasks_blocked()
        bang(supervisor, "b")
        await wait_all_tasks_blocked()
        assert restarts(supervisor) == {"a": 50, "b": 1}


async def test_a_dropped_child_keeps_its_spec_in_a_supervisor_and_counts_anew(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with supervising([worker(log, "a", limit=ONE), worker(log, "b")]) as supervisor:
        for _ in range(2):
            bang(supervisor, "a")
            await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "ended", "b": "running"}
        await supervisor.restart_child("a")
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "running", "b": "running"}


async def test_a_dropped_child_that_is_started_by_hand_begins_anew_with_its_first_wait(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    child = worker(log, "a", limit=RestartLimit(2, math.inf), backoff=Backoff(initial=1, maximum=100))
    async with supervising([child]) as supervisor:
        for seconds in (1, 2, 0):
            bang(supervisor, "a")
            await trio.sleep(seconds + 0.5)
        assert states_by_id(supervisor) == {"a": "ended"}
        await supervisor.restart_child("a")
        bang(supervisor, "a")
        await trio.sleep(1.5)
        assert states_by_id(supervisor) == {"a": "running"}


async def test_a_dynamic_supervisor_forgets_a_dropped_child(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        await supervisor.start_child(Sick, name=names.via("a"), limit=RestartLimit(0))
        await trio.sleep(2)
        assert (supervisor.which_children(), names.count()) == ([], 0)
        await supervisor.start_or_get(Actor, name=names.via("a"), limit=ONE)


async def test_a_dropped_child_is_logged_with_its_error(
    caplog: pytest.LogCaptureFixture, autojump_clock: MockClock
) -> None:
    async with supervising([worker([], "a", limit=RestartLimit(0, 60)), worker([], "b", limit=ONE)]) as supervisor:
        a, b = ref_of(supervisor, "a"), ref_of(supervisor, "b")
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        b.kill()
        await b.wait()
        last = ref_of(supervisor, "b")
        last.kill()
        await last.wait()
    dropped = [record for record in caplog.records if "dropped" in record.getMessage()]
    assert [(record.levelno, record.exc_info is not None) for record in dropped] == [
        (logging.ERROR, True),
        (logging.WARNING, False),
    ]
    assert dropped[0].getMessage().startswith(f"supervisor: child 'a', {a!r}, ended (crashed: Bang('a')")
    assert dropped[0].getMessage().endswith(": dropped, more than 0 restarts in 60 seconds")


async def test_a_block_ends_when_its_last_child_is_dropped(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Sick, limit=ONE)]):
        pass
    async with open_dynamic_supervisor() as supervisor:
        await supervisor.start_child(Sick, limit=ONE, backoff=Backoff(1, 1))
    assert trio.current_time() == 2 + 3


async def test_a_dropped_child_that_is_significant_counts_for_auto_shutdown(autojump_clock: MockClock) -> None:
    children = [ChildSpec(Actor), ChildSpec(Sick, restart="transient", significant=True, limit=ONE)]
    async with open_supervisor(children, auto_shutdown="any_significant"):
        await went_on_unless_cancelled()
    assert trio.current_time() == 2


async def went_on_unless_cancelled() -> None:
    await trio.sleep_forever()


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_child_that_fails_to_start_in_a_group_restart_is_dropped_and_the_others_go_on(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    fails = {"b": 0}
    children = [worker(log, "a"), worker(log, "b", fails=fails, limit=ONE), worker(log, "c")]
    async with supervising(children, strategy=strategy, max_restarts=1) as supervisor:
        fails["b"] = 5
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "running", "b": "ended", "c": "running"}
        assert fails["b"] == 3


@pytest.mark.parametrize("strategy", ["one_for_all", "rest_for_one"])
async def test_a_dropped_child_comes_back_with_a_group_restart_as_any_child_that_has_ended(
    strategy: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a"), worker(log, "b", limit=RestartLimit(0))]
    async with supervising(children, strategy=strategy) as supervisor:
        bang(supervisor, "b")
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "running", "b": "ended"}
        bang(supervisor, "a")
        await wait_all_tasks_blocked()
        assert states_by_id(supervisor) == {"a": "running", "b": "running"}


async def test_a_dropped_partition_is_empty_and_the_others_go_on(autojump_clock: MockClock) -> None:
    partitions: Partitions[Worker] = Partitions("workers", 3)
    async with open_partition_supervisor(partitions, ChildSpec(Worker, ([], "a"), limit=RestartLimit(0))) as supervisor:
        partitions.via(1).cast_nowait(Worker.bang)
        await wait_all_tasks_blocked()
        assert [partitions.whereis(number) is None for number in range(3)] == [False, True, False]
        supervisor.stop()


# Escalate


async def test_a_child_that_escalates_ends_its_supervisor_with_its_own_errors(autojump_clock: MockClock) -> None:
    log: list[str] = []
    limit = RestartLimit(1, 60, then="escalate")
    with gives_up(re.escape("supervisor gave up: child 'a' had more than 1 restart in 60 seconds")) as caught:
        async with open_supervisor([worker(log, "a", limit=limit), worker(log, "b")], max_restarts=9) as supervisor:
            for id in ("b", "a", "b", "a"):
                bang(supervisor, id)
                await wait_all_tasks_blocked()
            await went_on()
    assert [str(error) for error in caught.errors] == ["a", "a"]
    assert (caught.limit.child, caught.limit.max_restarts, caught.limit.is_of_child) == ("a", 1, True)
    assert log[-1] == "-b"


async def test_a_child_deep_in_a_tree_that_escalates_is_a_crash_of_each_supervisor_above(
    autojump_clock: MockClock,
) -> None:
    sick = ChildSpec(Sick, id="sick", limit=RestartLimit(1, 60, then="escalate"))
    inner = ChildSpec(Supervisor, ([sick],), id="inner", limit=RestartLimit(1, 60, then="escalate"))
    with gives_up(re.escape("program gave up: child 'inner' had more than 1 restart in 60 seconds")) as caught:
        async with open_supervisor([inner, ChildSpec(Actor)], name="program", max_restarts=0):
            await went_on()
    below = [str(error) for error in caught.errors if isinstance(error, RestartLimitExceeded)]
    assert below == ["program/inner gave up: child 'sick' had more than 1 restart in 60 seconds"] * 2
    assert [type(error) for error in caught.errors].count(Bang) == 4
    assert len(caught.errors) == 6


async def test_a_subtree_in_which_a_child_escalates_can_be_dropped(autojump_clock: MockClock) -> None:
    sick = ChildSpec(Sick, id="sick", limit=RestartLimit(1, 60, then="escalate"))
    inner = ChildSpec(Supervisor, ([sick],), id="inner", limit=RestartLimit(1, 60))
    async with supervising([inner, ChildSpec(Actor, id="well")], max_restarts=0) as supervisor:
        await trio.sleep(10)
        assert states_by_id(supervisor) == {"inner": "ended", "well": "running"}


async def test_a_supervisors_own_limit_says_that_it_is_no_childs(autojump_clock: MockClock) -> None:
    with gives_up() as caught:
        async with open_supervisor([ChildSpec(Sick)], max_restarts=0):
            await went_on()
    assert not caught.limit.is_of_child
    copy = RestartLimitExceeded(*caught.limit.args)
    assert str(copy) == str(caught.limit)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_restarts": "3"}, TypeError, "max_restarts must be an int or math.inf, not '3'"),
        ({"max_restarts": True}, TypeError, "max_restarts must be an int or math.inf, not True"),
        ({"max_restarts": 1.5}, ValueError, "max_restarts must be a whole number of at least 0, or math.inf, not 1.5"),
        ({"max_seconds": 0}, ValueError, "max_seconds must be more than 0, not 0"),
        ({"max_seconds": math.nan}, ValueError, "max_seconds must be more than 0, not nan"),
        ({"max_seconds": None}, TypeError, "max_seconds must be a number of seconds, not None"),
        ({"then": "stop"}, ValueError, "then must be 'drop' or 'escalate', not 'stop'"),
    ],
)
def test_a_limit_says_which_argument_is_wrong(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        RestartLimit(**arguments)


def test_limits_are_values() -> None:
    assert RestartLimit() == RestartLimit(3, 5.0, "drop")
    assert len({RestartLimit(), RestartLimit(3, 5.0)}) == 1


def test_a_limit_must_be_a_restart_limit() -> None:
    wrong: Any = 3
    with pytest.raises(TypeError, match="limit must be a RestartLimit, not 3"):
        ChildSpec(Actor, limit=wrong)


async def test_a_limit_beside_a_whole_spec_is_refused(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        start_child: Any = supervisor.start_child
        with pytest.raises(TypeError, match="limit must be in the ChildSpec, not beside it"):
            await start_child(ChildSpec(Actor), limit=ONE)
