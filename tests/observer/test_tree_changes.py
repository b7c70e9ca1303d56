"""A look at the tree while children come and go between its slices, against a naive walk in one step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from support.observed import Plain, Steps, look
from trio.testing import wait_all_tasks_blocked

from trioreg import ActorRef, ChildSpec, DynamicSupervisor, open_dynamic_supervisor
from trioreg._observer import Observation, Params, pace
from trioreg._observer.layout import BETWEEN, HEIGHT
from trioreg._observer.pace import Pace
from trioreg._observer.survey import children_of, tops_of, walk
from trioreg._observer.tree import PAGE, view
from trioreg._runtime import current_run

Change = tuple[str, int]

changes = st.lists(st.tuples(st.sampled_from(["plain", "supervisor", "kill", "stop"]), st.integers(0, 9)), max_size=25)


class World:
    """A tree that changes one step at a time. It never has more supervisors or children than are all shown."""

    def __init__(self, top: Any, todo: list[Change]) -> None:
        self.places = [naive()]
        self._todo = todo[::-1]
        self._supervisors: list[Callable[..., Any]] = [top.start_child]
        self._refs: list[ActorRef[Any]] = []

    async def change(self) -> None:
        """The next change, if there is one."""
        if not self._todo:
            return
        what, which = self._todo.pop()
        if what in ("plain", "supervisor"):
            if len(self._refs) < 15:
                await self._start(self._supervisors[which % len(self._supervisors)], what)
        elif self._refs:
            ref = self._refs.pop(which % len(self._refs))
            ref.kill() if what == "kill" else await ref.stop()
        await wait_all_tasks_blocked()
        self.places.append(naive())

    async def _start(self, start_child: Callable[..., Any], what: str) -> None:
        cls = Plain if what == "plain" else DynamicSupervisor
        try:
            ref = await start_child(ChildSpec(cls, restart="temporary"))
        except Exception:
            return  # that supervisor has ended
        self._refs.append(ref)
        if what == "supervisor":
            self._supervisors.append(partial(ref.call, DynamicSupervisor.start_child))


def naive() -> set[str]:
    """The places of all children, in one step and by recursion."""
    found: set[str] = set()

    def put(node: str, engine: Any) -> None:
        for seen in children_of(node, engine):
            found.add(seen.node)
            if seen.below is not None:
                put(seen.node, seen.below)

    for node, engine in tops_of(current_run()):
        put(node, engine)
    return found


async def test_a_place_at_the_top_is_never_given_to_another_supervisor() -> None:
    places: list[str] = []
    async with open_dynamic_supervisor():
        ((first, _),) = tops_of(current_run())
        for _ in range(300):  # a new one may be where another one was in memory
            async with open_dynamic_supervisor():
                places += [node for node, _ in tops_of(current_run()) if node != first]
        assert len(set(places)) == len(places) == 300
        assert [node for node, _ in tops_of(current_run())] == [first]


async def test_very_many_supervisors_at_the_top_are_filtered_in_slices(steps: Steps) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(4 * pace.STEPS):
            await stack.enter_async_context(open_dynamic_supervisor(name="shop"))
        page = await look(PAGE, q="shop")
        assert page["matched"] == 4 * pace.STEPS
        assert steps.most <= pace.STEPS
        assert steps.steps >= 12 * pace.STEPS


def look_at(begin: list[Change], meanwhile: list[Change], look: Callable[[], Any]) -> tuple[Any, list[set[str]]]:
    """What a look gives that rests at each child, and all trees that there were meanwhile."""

    async def main() -> tuple[Any, list[set[str]]]:
        async with open_dynamic_supervisor(at_end="stop") as top:
            world = World(top, [*begin, *meanwhile])
            for _ in begin:
                await world.change()
            del world.places[:-1]

            def is_over(pace: Pace) -> bool:
                return True

            async def rest(pace: Pace) -> None:
                await trio.lowlevel.checkpoint()
                await world.change()

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Pace, "is_over", is_over)
                patch.setattr(Pace, "rest", rest)
                data = await look()
            return data, world.places

    return trio.run(main)


def always(places: list[set[str]]) -> set[str]:
    return {each for each in places[0] if all(each in tree for tree in places)}


def ever(places: list[set[str]]) -> set[str]:
    return {each for tree in places for each in tree}


async def walked() -> list[str]:
    return [seen.node async for seen in walk(current_run(), Pace())]


SOME: list[Change] = [("supervisor", 0), ("plain", 1), ("plain", 1), ("plain", 0)]


@example(SOME, [("stop", 0), ("plain", 0), ("kill", 1)])
@given(changes, changes)
def test_a_walk_sees_each_child_that_is_there_all_the_time_once_and_none_that_never_was(
    begin: list[Change], meanwhile: list[Change]
) -> None:
    found, places = look_at(begin, meanwhile, walked)
    assert len(found) == len(set(found))
    assert always(places) <= set(found) <= ever(places)


@pytest.mark.parametrize("q", ["", "plain"])
@given(begin=changes, meanwhile=changes)
def test_a_picture_is_one_tree_whatever_changes_while_it_is_made(
    q: str, begin: list[Change], meanwhile: list[Change]
) -> None:
    async def look() -> Any:
        return await view(Observation(current_run()), Params({"q": q}))

    data, places = look_at(begin, meanwhile, look)
    nodes = data["nodes"]
    by_id = {node["id"]: node for node in nodes}
    assert len(by_id) == len(nodes)
    assert [edge["child"] for edge in data["edges"]] == [node["id"] for node in nodes if node["parent"] is not None]
    assert all(edge["parent"] == by_id[edge["child"]]["parent"] for edge in data["edges"])
    for count, node in enumerate(nodes):
        if node["parent"] is not None:
            parent = by_id[node["parent"]]
            assert node["level"] == parent["level"] + 1
            assert nodes.index(parent) < count
            assert parent["is_open"]
        same_level = [other["y"] for other in nodes[:count] if other["level"] == node["level"]]
        assert all(abs(y - node["y"]) >= HEIGHT + BETWEEN - 1e-6 for y in same_level)
    shown = {node["id"] for node in nodes if node["level"] > 0}
    assert shown <= ever(places)
    if not q:
        assert always(places) <= shown
