"""The results of several function actors: `await_many` and `race`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.errors import Bang
from support.inside import count_watchers
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, CallCycle, DynamicSupervisor, Function, Registry, await_many, race
from trioreg._actors import results


@attrs.frozen
class Job:
    """What one function does.

    Attributes:
        seconds: After how long. No two jobs of one test end at the same time.
        crashes: Whether it raises then. Else it returns ``seconds``.
    """

    seconds: float
    crashes: bool = False

    async def __call__(self) -> float:
        await trio.sleep(self.seconds)
        if self.crashes:
            raise Bang(self.seconds)
        return self.seconds


async def start(supervisor: DynamicSupervisor, *jobs: Job) -> list[ActorRef[Function[float]]]:
    return [await supervisor.start_child(job, restart="temporary") for job in jobs]


async def test_await_many_gives_the_results_in_the_order_of_the_references(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        began = trio.current_time()
        refs = await start(supervisor, Job(3), Job(1), Job(2))
        assert await await_many(refs) == [3, 1, 2]
        assert trio.current_time() - began == 3
        assert await await_many(refs) == [3, 1, 2]  # again, when all have ended


async def test_race_gives_the_result_of_the_first_and_the_others_go_on(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        began = trio.current_time()
        refs = await start(supervisor, Job(3), Job(1), Job(2, crashes=True))
        assert await race(refs) == 1
        assert trio.current_time() - began == 1
        assert [ref.is_alive for ref in refs] == [True, False, True]
        assert await race([refs[0], refs[1]]) == 1


@pytest.mark.parametrize("wait", [await_many, race])
async def test_a_failure_is_raised_at_once_wherever_it_is_in_the_list(
    wait: Callable[[Any], Awaitable[object]], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        began = trio.current_time()
        refs = await start(supervisor, Job(100), Job(50), Job(1, crashes=True))
        with pytest.raises(ActorExited) as caught:
            await wait(refs)
        assert trio.current_time() - began == 1
        assert (caught.value.ref, type(caught.value.__cause__)) == (refs[2], Bang)
        assert refs[0].is_alive
        assert refs[1].is_alive


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
@pytest.mark.parametrize("wait", [await_many, race])
async def test_a_function_that_is_ended_has_no_result(
    wait: Callable[[Any], Awaitable[object]], end: str, autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = await start(supervisor, Job(100), Job(50))

        async def fail() -> None:
            with pytest.raises(ActorExited) as caught:
                await wait(refs)
            assert caught.value.ref is refs[1]

        nursery.start_soon(fail)
        await wait_all_tasks_blocked()
        if end == "stop":
            await refs[1].stop()
        else:
            getattr(refs[1], end)()


@pytest.mark.parametrize("wait", [await_many, race])
async def test_failures_from_before_are_raised_in_the_order_of_the_list(
    wait: Callable[[Any], Awaitable[object]], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await start(supervisor, Job(2, crashes=True), Job(1, crashes=True))
        await trio.sleep(3)
        with pytest.raises(ActorExited) as caught:
            await wait(refs)
        assert caught.value.ref is refs[0]


async def test_the_same_reference_may_come_twice(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        one, two = await start(supervisor, Job(1), Job(2))
        assert await await_many([one, two, one]) == [1, 2, 1]
        assert await race([two, two]) == 2


async def test_no_references(autojump_clock: MockClock) -> None:
    assert await await_many([]) == []
    with pytest.raises(ValueError, match="refs must have at least one reference in it"):
        await race([])


@pytest.mark.parametrize("wait", [await_many, race])
async def test_a_cancelled_wait_ends_nothing_and_can_be_begun_again(
    wait: Callable[[Any], Awaitable[object]], autojump_clock: MockClock
) -> None:
    async with supervised() as supervisor:
        refs = await start(supervisor, Job(3), Job(4))
        with trio.move_on_after(1) as scope:
            await wait(refs)
        assert scope.cancelled_caught
        assert [(ref.is_alive, count_watchers(ref)) for ref in refs] == [(True, 0), (True, 0)]
        assert await wait(refs) == ([3, 4] if wait is await_many else 3)


async def test_several_tasks_can_wait_for_the_same_functions_in_each_way(autojump_clock: MockClock) -> None:
    got: list[object] = []

    async def second(refs: list[ActorRef[Function[float]]]) -> float:
        return await refs[1].result()

    async def note(wait: Callable[[Any], Awaitable[object]], refs: Any) -> None:
        got.append(await wait(refs))

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = await start(supervisor, Job(1), Job(2))
        for _ in range(2):
            nursery.start_soon(note, await_many, refs)
            nursery.start_soon(note, race, refs)
        nursery.start_soon(note, second, refs)
    assert sorted(map(str, got)) == ["1", "1", "2", "[1, 2]", "[1, 2]"]


@pytest.mark.parametrize("wait", [await_many, race])
async def test_other_references_are_refused_with_their_place(wait: Callable[[Any], Awaitable[object]]) -> None:
    class Other(Actor): ...

    async with supervised() as supervisor:
        (job,) = await start(supervisor, Job(1))
        other = await supervisor.start_child(Other)
        with pytest.raises(TypeError, match=r"refs\[1\] must be the reference of a function actor, not <Other #"):
            await wait([job, other])
        with pytest.raises(TypeError, match="refs must be an iterable of references, not <"):
            await wait(job)


@pytest.mark.parametrize("end", ["is won", "is cancelled"])
async def test_a_function_may_wait_for_an_actor_whose_race_is_over_before_that_has_its_turn(
    end: str, autojump_clock: MockClock
) -> None:
    class Racer(Actor):
        async def race(self, refs: list[ActorRef[Function[Any]]]) -> None:
            with scope:
                await race(refs)

        def answer(self) -> str:
            return "here"

    async def winner() -> None:
        await go.wait()
        if end == "is cancelled":
            scope.cancel()
            await trio.sleep(1)

    async def loser() -> str:
        await go.wait()
        await trio.lowlevel.checkpoint()
        return await racer.call(Racer.answer)

    for _ in range(20):  # the order of the tasks in one pass is random
        go, scope = trio.Event(), trio.CancelScope()
        async with supervised() as supervisor:
            racer = await supervisor.start_child(Racer)
            refs: list[Any] = [await supervisor.start_child(each, restart="temporary") for each in (winner, loser)]
            racer.cast_nowait(Racer.race, refs)
            await wait_all_tasks_blocked()
            go.set()
            assert await refs[1].result() == "here"


@pytest.mark.parametrize("wait", ["wait", "await_many", "race"])
@pytest.mark.parametrize("is_racer_first", [True, False])
async def test_one_of_a_race_may_wait_for_the_racer_while_another_one_can_end(
    is_racer_first: bool, wait: str, autojump_clock: MockClock
) -> None:
    refs: list[Any] = []

    async def racer() -> float:
        await trio.sleep(1 if is_racer_first else 2)
        return await race(refs[1:])

    async def waits_for_racer() -> None:
        await trio.sleep(2 if is_racer_first else 1)
        if wait == "wait":
            await refs[0].wait()
        else:
            await (await_many if wait == "await_many" else race)(refs[:1])

    async with supervised() as supervisor:
        refs.append(await supervisor.start_child(racer))
        refs.append(await supervisor.start_child(waits_for_racer))
        refs += await start(supervisor, Job(3))
        assert await race(refs[:1]) == 3
        assert (await refs[1].wait()).error is None


@pytest.mark.parametrize("is_racer_last", [True, False])
async def test_a_race_of_which_all_wait_for_the_racer_is_a_call_cycle(
    is_racer_last: bool, autojump_clock: MockClock
) -> None:
    refs: list[Any] = []

    async def racer() -> None:
        await trio.sleep(3 if is_racer_last else 0.5)
        await race(refs[1:])

    async def waits_for_racer(after: float) -> None:
        await trio.sleep(after)
        await refs[0].wait()

    async with supervised() as supervisor:
        refs.append(await supervisor.start_child(racer, restart="temporary"))
        for after in (1, 2):
            refs.append(await supervisor.start_child(waits_for_racer, after, restart="temporary"))
        exits = [await ref.wait() for ref in refs]
    assert isinstance(exits[0 if is_racer_last else 2].error, CallCycle)


async def test_a_function_that_waits_for_a_function_that_awaits_it_among_many_gets_a_call_cycle(
    autojump_clock: MockClock,
) -> None:
    refs: list[Any] = []

    async def waits_for_all() -> list[float]:
        await trio.sleep(0.5)
        return await await_many(refs[1:])

    async def waits_for_the_first() -> None:
        await trio.sleep(1)
        await refs[0].wait()

    async with supervised() as supervisor:
        for function in (waits_for_all, Job(3), waits_for_the_first):
            refs.append(await supervisor.start_child(function, restart="temporary"))
        exit = await refs[2].wait()
    assert isinstance(exit.error, CallCycle)


async def test_a_function_that_waits_for_itself_gets_a_call_cycle(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")

    async def wait_for_oneself(others: list[ActorRef[Function[Any]]]) -> str:
        own: Any = names.whereis("own")
        with pytest.raises(CallCycle):
            await await_many([*others, own])
        with pytest.raises(CallCycle):
            await race([*others, own])
        return "done"

    async with supervised() as supervisor:
        others = await start(supervisor, Job(5))
        ref = await supervisor.start_child(wait_for_oneself, others, name=names.via("own"))
        assert await ref.result() == "done"


async def test_other_tasks_have_their_turn_while_many_are_waited_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "PER_TURN", 10)
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        refs = await start(supervisor, *(Job(1) for _ in range(100)))
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1
                if turns == 3:
                    refs[95].cancel()  # it ends while the others are being lined up

        nursery.start_soon(count)
        with pytest.raises(ActorExited):
            await await_many(refs)
        assert turns >= 8
        nursery.cancel_scope.cancel()


# The naive way: a task for each


def seconds_of(job: Job) -> float:
    return job.seconds


async def naive_await_many(refs: list[ActorRef[Function[float]]]) -> list[float]:
    found: dict[int, float] = {}
    failures: list[ActorExited] = []
    async with trio.open_nursery() as nursery:

        async def wait(place: int) -> None:
            try:
                found[place] = await refs[place].result()
            except ActorExited as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        for place in range(len(refs)):
            nursery.start_soon(wait, place)
    if failures:
        raise failures[0]
    return [found[place] for place in range(len(refs))]


async def naive_race(refs: list[ActorRef[Function[float]]]) -> float:
    ended: list[ActorRef[Function[float]]] = []
    async with trio.open_nursery() as nursery:

        async def wait(ref: ActorRef[Function[float]]) -> None:
            await ref.wait()
            ended.append(ref)
            nursery.cancel_scope.cancel()

        for ref in refs:
            nursery.start_soon(wait, ref)
    return await ended[0].result()


async def outcome(
    wait: Callable[[list[ActorRef[Function[float]]]], Awaitable[object]], jobs: list[Job], delay: float, patience: float
) -> tuple[object, float]:
    async with supervised() as supervisor:
        refs = await start(supervisor, *jobs)
        await trio.sleep(delay)
        began = trio.current_time()
        result: object = "too slow"
        with trio.move_on_after(patience):
            try:
                result = await wait(refs)
            except ActorExited as error:
                result = f"failed: {error.__cause__!r}"
        return result, trio.current_time() - began


@given(
    jobs=st.lists(
        st.builds(Job, seconds=st.integers(1, 30), crashes=st.booleans()),
        min_size=1,
        max_size=8,
        unique_by=seconds_of,
    ),
    delay=st.sampled_from([0, 0, 1.5, 20.5]),
    patience=st.sampled_from([1000, 1000, 2.25, 10.25]),
)
def test_the_outcome_and_its_time_are_those_of_a_task_for_each(jobs: list[Job], delay: float, patience: float) -> None:
    def run(wait: Any) -> tuple[object, float]:
        return trio.run(outcome, wait, jobs, delay, patience, clock=MockClock(autojump_threshold=0))

    # What ended before the wait began comes in the order of the list, and in the naive way in any order.
    before = [job for job in jobs if job.seconds < delay]
    if sum(job.crashes for job in before) <= 1:
        assert run(await_many) == run(naive_await_many)
    if len(before) <= 1:
        assert run(race) == run(naive_race)


@pytest.mark.parametrize("wait", [await_many, race])
async def test_functions_of_another_run_are_refused_while_they_run_and_nothing_is_waited_for(
    wait: Callable[[Any], Awaitable[object]],
) -> None:
    async with supervised() as supervisor:
        ended, living = await start(supervisor, Job(0), Job(1000))
        await ended.wait()
        for refs in ([living], [living, living]):
            with pytest.raises(RuntimeError, match="lives in the Trio run of another thread"):
                await trio.to_thread.run_sync(trio.run, wait, refs)
        assert count_watchers(living) == 0
        assert await trio.to_thread.run_sync(trio.run, wait, [ended]) in (0, [0])
