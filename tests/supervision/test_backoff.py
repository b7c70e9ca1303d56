"""Backoff: a restart that waits, longer and longer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from support.children import ref_of, states, worker
from support.errors import Bang, gives_up
from support.supervisors import supervised, supervising
from support.workers import Worker
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Backoff,
    ChildSpec,
    Registry,
    open_dynamic_supervisor,
    open_supervisor,
)

# How long


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (Backoff(), [0.1, 0.2, 0.4, 0.8]),
        (Backoff(initial=1, maximum=5), [1, 2, 4, 5, 5]),
        (Backoff(initial=1, factor=1), [1, 1, 1]),
        (Backoff(initial=2, maximum=60, factor=3), [2, 6, 18, 54, 60]),
        (Backoff(initial=0), [0, 0, 0]),
    ],
)
def test_a_backoff_grows_by_its_factor_up_to_its_maximum(backoff: Backoff, delays: list[float]) -> None:
    assert [backoff.delay(attempt) for attempt in range(1, len(delays) + 1)] == pytest.approx(delays)


@pytest.mark.parametrize(("initial", "longest"), [(0.1, 60), (0, 0)])
@pytest.mark.parametrize("factor", [2, 2.0])
def test_a_backoff_stays_at_its_maximum_after_any_number_of_attempts(
    initial: float, longest: float, factor: float
) -> None:
    assert Backoff(initial, factor=factor).delay(100_000) == longest


def test_jitter_makes_a_wait_shorter_by_at_most_its_share() -> None:
    delays = [Backoff(initial=10, jitter=0.3).delay(1) for _ in range(1000)]
    assert all(7 <= delay <= 10 for delay in delays)
    assert max(delays) - min(delays) > 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"initial": "1"}, TypeError, "initial must be a number, not '1'"),
        ({"initial": True}, TypeError, "initial must be a number, not True"),
        ({"initial": -1}, ValueError, "initial must be at least 0 and finite, not -1"),
        ({"maximum": math.inf}, ValueError, "maximum must be at least 0 and finite, not inf"),
        ({"maximum": math.nan}, ValueError, "maximum must be at least 0 and finite, not nan"),
        ({"initial": 2, "maximum": 1}, ValueError, r"maximum must be at least initial \(2\), not 1"),
        ({"factor": 0.5}, ValueError, "factor must be at least 1, not 0.5"),
        ({"factor": None}, TypeError, "factor must be a number, not None"),
        ({"jitter": 1.5}, ValueError, "jitter must be from 0 to 1, not 1.5"),
        ({"jitter": -0.1}, ValueError, "jitter must be at least 0 and finite, not -0.1"),
    ],
)
def test_a_backoff_says_which_argument_is_wrong(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Backoff(**options)


async def waits(opener: Any, backoff: Backoff, lives: Iterator[float], *, seconds: float) -> list[float]:
    """The seconds from each start of a child to its next start. It crashes after each of its ``lives``."""
    starts: list[float] = []

    async def crash() -> None:
        starts.append(trio.current_time())
        await trio.sleep(next(lives))
        raise Bang

    with trio.CancelScope() as scope:
        async with opener(max_restarts=math.inf) as supervisor:
            await supervisor.start_child(ChildSpec(crash, backoff=backoff))
            await trio.sleep(seconds)
            scope.cancel()
    return [after - before for before, after in itertools.pairwise(starts)]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_restarts_wait_longer_and_longer(opener: Any, autojump_clock: MockClock) -> None:
    found = await waits(opener, Backoff(initial=1, maximum=5), itertools.repeat(0), seconds=20)
    assert found == pytest.approx([1, 2, 4, 5, 5])


async def test_after_a_life_as_long_as_the_maximum_the_waits_begin_anew(autojump_clock: MockClock) -> None:
    lives = iter([0, 0, 10, 0, 1000])
    found = await waits(open_dynamic_supervisor, Backoff(initial=1, maximum=10), lives, seconds=100)
    assert found == pytest.approx([1, 2, 10 + 1, 2])


# What goes on meanwhile


async def test_a_child_that_waits_for_its_restart_has_no_life_and_no_name(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker([], "a", name=names.via("a"), backoff=Backoff(initial=5)))
        ref.kill()
        await trio.sleep(1)
        (child,) = supervisor.which_children()
        assert (child.state, child.ref, child.restarts) == ("restarting", None, 1)
        assert supervisor.count_children().active == 0
        assert names.count() == 0
        await trio.sleep(5)
        assert states(supervisor) == ["running"]
        assert await names.via("a").call(Worker.ping) == "a"


@pytest.mark.parametrize("at", [1, 5])
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
async def test_a_child_that_waits_for_its_restart_is_terminated_and_does_not_get_it(
    strategy: Any, at: float, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    children = [worker(log, "a", backoff=Backoff(initial=5)), worker(log, "b")]
    async with supervising(children, strategy=strategy) as supervisor:
        ref = ref_of(supervisor, "a")
        ref.kill()
        await wait_all_tasks_blocked()
        await trio.sleep(at - 0.001)
        await supervisor.terminate_child("a")
        assert states(supervisor) == ["ended", "running"]
        await trio.sleep(100)
        assert log == ["+a", "+b"]
        assert states(supervisor) == ["ended", "running"]
        await supervisor.restart_child("a")
        await trio.sleep(100)
        assert log == ["+a", "+b", "+a"]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_shutdown_does_not_wait_for_a_delayed_restart(opener: Any, autojump_clock: MockClock) -> None:
    began = trio.current_time()
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            ref = await supervisor.start_child(worker([], "a", backoff=Backoff(initial=50)))
            ref.kill()
            await ref.wait()
            scope.cancel()
    assert trio.current_time() == began


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_a_delayed_restart_whose_time_comes_during_the_shutdown_is_not_made(
    opener: Any, autojump_clock: MockClock
) -> None:
    log: list[str] = []
    with trio.CancelScope() as scope:
        async with opener() as supervisor:
            first = await supervisor.start_child(worker(log, "a", backoff=Backoff(initial=5)))
            await supervisor.start_child(worker(log, "b", stop=9, shutdown=10))
            first.kill()
            await trio.sleep(1)
            scope.cancel()
    assert log == ["+a", "+b", "-b"]


@pytest.mark.parametrize("opener", [open_supervisor, open_dynamic_supervisor])
async def test_leaving_the_block_waits_for_a_delayed_restart(opener: Any, autojump_clock: MockClock) -> None:
    starts: list[float] = []

    async def job() -> None:
        starts.append(trio.current_time())
        if len(starts) == 1:
            raise Bang

    async with opener() as supervisor:
        await supervisor.start_child(ChildSpec(job, backoff=Backoff(initial=50)))
    assert [start - starts[0] for start in starts] == pytest.approx([0, 50])


async def test_delayed_restarts_count_against_the_limit(autojump_clock: MockClock) -> None:
    async def crash() -> None:
        raise Bang

    with gives_up() as caught:
        async with open_dynamic_supervisor(max_restarts=2, max_seconds=5) as supervisor:
            await supervisor.start_child(ChildSpec(crash, backoff=Backoff(initial=1)))
    assert [type(error) for error in caught.errors] == [Bang, Bang, Bang]
