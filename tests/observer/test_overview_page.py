"""The overview: the numbers of the whole program, and the charts."""

from __future__ import annotations

import gc
import logging
import weakref
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.errors import Bang
from support.observed import Plain, Steps, Stuck, is_plain, look
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, PubSub, Registry, Supervisor, open_dynamic_supervisor, open_supervisor
from trioreg._observer import Observation, Params, pace
from trioreg._observer.overview import PAGE, view
from trioreg._observer.samples import LONGEST_QUEUES, Census
from trioreg._observer.series import POINTS, Series
from trioreg._runtime import current_run


class Till(Actor):
    def note(self) -> None: ...

    def bang(self) -> None:
        raise Bang

    async def last(self) -> None:
        self.stop()


class NeverStarts(Actor):
    async def on_start(self) -> None:
        await trio.sleep_forever()


class Looks:
    """Looks at the overview, as an open page does."""

    def __init__(self, observation: Observation, watch: Any) -> None:
        self._observation, self._watch = observation, watch

    async def next(self) -> Any:
        await self._watch.next_look(PAGE)
        data = await self._watch.look(view, self._observation, Params())
        assert is_plain(data)
        return data


def points(data: Any, name: str) -> list[float | None]:
    (chart,) = (chart for chart in data["charts"] if chart["name"] == name)
    found: list[float | None] = chart["points"]
    return found


async def test_supervisors_and_actors_are_counted_by_their_states() -> None:
    children = [ChildSpec(Supervisor, ([ChildSpec(Plain)],), id="below"), ChildSpec(Plain), ChildSpec(Plain)]
    async with trio.open_nursery() as nursery, open_supervisor(children, at_end="stop") as shop:
        await shop.terminate_child("Plain")
        nursery.start_soon(shop.start_child, ChildSpec(NeverStarts))
        await wait_all_tasks_blocked()
        data = await look(PAGE)
        assert (data["supervisors"], data["actors"]) == (2, 4)
        assert (data["starting"], data["restarting"], data["ended"]) == (1, 0, 1)
        nursery.cancel_scope.cancel()


async def test_the_longest_queues_come_first(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Stuck, id=id) for id in "abcdefg"], at_end="stop") as supervisor:
        for count, id in enumerate("abcdefg"):
            for _ in range(count):
                ref_of(supervisor, id).cast_nowait(Stuck.hang)
        await wait_all_tasks_blocked()
        data = await look(PAGE)
        assert [(row["child_id"], row["queued"]) for row in data["longest_queues"]] == [
            *zip("gfedc", (5, 4, 3, 2, 1), strict=True)
        ]
        assert data["queued"] == 15


@pytest.mark.parametrize("last_is_longest", [True, False])
async def test_of_very_many_queues_the_longest_are_shown(last_is_longest: bool, autojump_clock: MockClock) -> None:
    ids = [f"{number:02}" for number in range(LONGEST_QUEUES + 3)]
    by_length = ids if last_is_longest else ids[::-1]
    async with open_supervisor([ChildSpec(Stuck, id=id) for id in ids], at_end="stop") as supervisor:
        for count, id in enumerate(by_length):
            for _ in range(count):
                ref_of(supervisor, id).cast_nowait(Stuck.hang)
        await wait_all_tasks_blocked()
        shown = [row["child_id"] for row in (await look(PAGE))["longest_queues"]]
        assert shown == by_length[: -LONGEST_QUEUES - 1 : -1]


async def test_very_many_registries_are_counted_in_slices(steps: Steps) -> None:
    many = [Registry[int, object](f"registry {number}") for number in range(3 * pace.STEPS)]
    for each in many:
        each.register(1)
    assert (await look(PAGE))["names"] == len(many)
    assert steps.most <= pace.STEPS
    assert steps.steps >= len(many)


async def test_names_and_topics_are_counted() -> None:
    names: Registry[str, object] = Registry("names")
    news: PubSub[str, object] = PubSub("news")
    async with open_supervisor([ChildSpec(Plain, name=names.via("a"))], at_end="stop"):
        async with news.subscribe("tea"), news.subscribe("milk"), news.subscribe("milk"):
            data = await look(PAGE)
        assert (data["registries"], data["names"], data["topics"], data["pools"]) == (2, 4, 2, 0)
        assert data["tasks"] > 1


async def test_while_nobody_looks_nothing_is_known_of_what_changes() -> None:
    async with open_supervisor([ChildSpec(Plain)], at_end="stop"):
        data = await look(PAGE)
        assert data["messages_per_second"] is None
        assert data["watched_seconds"] == 0
        assert all(chart["points"] == [] and chart["latest"] is None for chart in data["charts"])
        assert data["versions"]["trio"] == trio.__version__


async def test_messages_a_second_are_counted_from_look_to_look(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], at_end="stop") as shop:
        ref = ref_of(shop, "till")
        await ref.call(Till.note)
        with observation.watching() as watch:
            looks = Looks(observation, watch)
            assert (await looks.next())["messages_per_second"] is None
            for _ in range(30):
                await ref.call(Till.note)
            data = await looks.next()
    assert data["messages_per_second"] == pytest.approx(30, rel=0.01)


async def test_the_last_messages_of_actors_that_end_between_two_looks_count(
    autojump_clock: MockClock,
) -> None:
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as shop:
        with observation.watching() as watch:
            looks = Looks(observation, watch)
            old = await shop.start_child(Till, restart="temporary")
            await old.call(Till.note)
            await looks.next()
            new = await shop.start_child(Till, restart="temporary")
            for ref in (old, new):
                for _ in range(4):
                    await ref.call(Till.note)
                await ref.call(Till.last)
                await ref.wait()
            data = await looks.next()
            rest = await looks.next()
    assert data["messages_per_second"] == pytest.approx(10, rel=0.01)
    assert rest["messages_per_second"] == 0


async def test_crashes_and_restarts_are_counted_while_somebody_looks(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], at_end="stop") as shop:
        with observation.watching() as watch:
            looks = Looks(observation, watch)
            await looks.next()
            ref_of(shop, "till").cast_nowait(Till.bang)
            data = await looks.next()
    assert (data["crashes"], data["restarts"], data["given_up"]) == (1, 1, 0)
    assert points(data, "crashes")[-1] == pytest.approx(1, rel=0.01)
    assert [each["what"] for each in data["happened"]] == ["restart", "crash"]


async def test_a_chart_has_one_point_a_second(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till)], at_end="stop"):
        with observation.watching() as watch:
            looks = Looks(observation, watch)
            for _ in range(4):
                await looks.next()
            data = await looks.next()
    assert points(data, "queue") == [0] * 5
    assert points(data, "messages") == [None, 0, 0, 0, 0]


async def test_a_page_that_is_opened_soon_after_another_one_has_its_charts(
    autojump_clock: MockClock,
) -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till)], at_end="stop"):
        with observation.watching() as watch:
            await Looks(observation, watch).next()
        await trio.sleep(3)
        with observation.watching() as watch:
            assert points(await Looks(observation, watch).next(), "queue") == [0, None, None, 0]
        await trio.sleep(POINTS + 1)
        with observation.watching() as watch:
            assert points(await Looks(observation, watch).next(), "queue") == [0]


async def test_several_pages_cost_one_look_a_second(autojump_clock: MockClock) -> None:
    observation = Observation(current_run())
    taken: list[Census] = []

    async def take() -> None:
        taken.append(await observation.samples.census())

    async with open_supervisor([ChildSpec(Till)], at_end="stop"):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(take)
        assert len(set(map(id, taken))) == 1
        await trio.sleep(1)
        await take()
        assert len(set(map(id, taken))) == 2


async def test_a_look_that_is_cancelled_leaves_the_walk_to_the_next_page() -> None:
    observation = Observation(current_run())
    taken: list[Census] = []
    scope = trio.CancelScope()

    async def first() -> None:
        with scope:
            await observation.samples.census()

    async def second() -> None:
        taken.append(await observation.samples.census())

    async with open_supervisor([ChildSpec(Till)], at_end="stop"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first)
            await trio.lowlevel.checkpoint()
            nursery.start_soon(second)
            await trio.lowlevel.checkpoint()
            scope.cancel()
        assert scope.cancelled_caught
        assert taken[0].actors == 1


async def test_a_walk_keeps_no_actor_alive(autojump_clock: MockClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trioreg")  # pytest keeps each line, and what it is about
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as shop:
        with observation.watching() as watch:
            ref = await shop.start_child(Stuck, restart="temporary")
            for _ in range(3):
                ref.cast_nowait(Stuck.hang)
            await wait_all_tasks_blocked()
            assert (await Looks(observation, watch).next())["longest_queues"]
            kept = weakref.ref(ref), weakref.ref(ref._cell)
            ref.kill()
            await ref.wait()
            del ref
            await wait_all_tasks_blocked()
            gc.collect()
            assert [each() for each in kept] == [None, None]


async def test_all_messages_are_forgotten_when_the_last_page_is_closed() -> None:
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as shop:
        with observation.watching():
            await shop.start_child(Till)
            assert len(observation.happenings.messages) == 1
        assert len(observation.happenings.messages) == 0


async def test_a_look_of_nobody_who_stays_keeps_nothing_of_the_actors() -> None:
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till)], at_end="stop"):
        await look(PAGE, observation)
        assert len(observation.happenings.messages) == 0


def test_a_series_holds_a_value_until_the_next_one_and_has_none_where_nobody_looked() -> None:
    series = Series("queue", "Longest queue", "")
    series.add(10, 1, 10)
    series.add(13, 4, 11)
    series.add(16, 2, 16)
    series.add(16, 3, 16)
    chart = series.chart()
    assert chart["points"] == [1, 4, 4, 4, None, None, 3]
    assert (chart["latest"], chart["highest"]) == (3, 4)


def test_a_series_has_the_last_three_minutes() -> None:
    series = Series("queue", "Longest queue", "")
    for second in (*range(200), 10**9):
        series.add(second, second, second)
    points = series.chart()["points"]
    assert len(points) == POINTS
    assert points == [None] * (POINTS - 1) + [10**9]
