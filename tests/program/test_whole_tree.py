"""tree(): the supervision tree of the whole run, as data and as text for people."""

from __future__ import annotations

import gc
import math
import weakref
from functools import partial
from typing import Any

import pytest
import trio
from support.supervisors import supervising
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ActorRef,
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    OnDemand,
    Partitions,
    Registry,
    Supervisor,
    connection_handler,
    open_dynamic_supervisor,
    open_on_demand,
    open_partition_supervisor,
    open_pool,
    open_supervisor,
)


class Part(Actor):
    async def hang(self) -> None:
        await trio.sleep_forever()

    def note(self) -> None:
        pass


class Keyed(Part):
    def __init__(self, key: str) -> None:
        self.key = key


def part(id: str, **options: Any) -> ChildSpec:
    return ChildSpec(Part, id=id, **options)


def paths() -> list[str]:
    return [top.path for top in trioreg.tree().supervisors]


# What is in it


async def test_the_tree_has_every_supervisor_that_has_none_above(autojump_clock: MockClock) -> None:
    nested = ChildSpec(Supervisor, ([part("b")],), id="nested")
    async with (
        open_supervisor([part("a"), nested], name="first", at_end="stop"),
        open_dynamic_supervisor(at_end="stop"),
        open_partition_supervisor(Partitions("shards", 2), Part, at_end="stop"),
        open_pool(Part, size=2, name="parts"),
        open_on_demand(OnDemand("carts", Keyed)),
    ):
        assert paths() == ["first", "dynamic supervisor", "shards", "parts", "carts"]
    assert paths() == []


def test_the_tree_of_a_program_has_what_run_was_given() -> None:
    seen: list[str] = []

    async def look() -> None:
        seen.extend(str(trioreg.tree()).splitlines())

    trioreg.run([part("a"), ChildSpec(look, significant=True)], name="bonds", auto_shutdown="any_significant")
    assert [line.split(" <")[0].strip() for line in seen] == ["bonds", "├── a", "└──"]


async def test_the_connections_of_a_server_are_in_the_tree(autojump_clock: MockClock) -> None:
    async def session(stream: object) -> None:
        await trio.sleep_forever()

    async with open_dynamic_supervisor(name="sessions", at_end="stop") as sessions, trio.open_nursery() as nursery:
        nursery.start_soon(connection_handler(sessions, session), None)
        await wait_all_tasks_blocked()
        (top,) = trioreg.tree().supervisors
        assert [child.kind for child in top.children] == ["session"]
        nursery.cancel_scope.cancel()


async def test_a_supervisor_that_an_actor_opens_says_which_actor(autojump_clock: MockClock) -> None:
    async def opens() -> None:
        async with open_supervisor([part("a")], name="inner"):
            await trio.sleep_forever()

    async with supervising([ChildSpec(opens)], name="outer") as supervisor:
        await wait_all_tasks_blocked()
        ref = supervisor.which_children()[0].ref
        assert [(top.path, top.inside) for top in trioreg.tree().supervisors] == [("outer", None), ("inner", ref)]
        assert f"inner  in {ref!r}" in str(trioreg.tree()).splitlines()


async def test_a_supervisor_that_has_failed_is_not_in_the_tree_any_more(autojump_clock: MockClock) -> None:
    async def fails() -> None:
        raise OSError

    with pytest.RaisesGroup(OSError, trioreg.RestartLimitExceeded, match="gave up"):
        async with open_supervisor([ChildSpec(fails)], max_restarts=0):
            await trio.sleep_forever()
    assert paths() == []


async def test_the_run_keeps_no_supervisor_alive(autojump_clock: MockClock) -> None:
    async with open_supervisor() as supervisor:
        assert paths() == ["supervisor"]
    gone = weakref.ref(supervisor)
    del supervisor
    gc.collect()
    assert gone() is None


async def test_a_child_is_shown_with_all_that_is_known_of_it(autojump_clock: MockClock) -> None:
    names: Registry[str, None] = Registry("names")
    spec = ChildSpec(Part, name=names.via("James Bond"))
    async with supervising([spec, ChildSpec(Supervisor, ([part("b")],), id="nested")], strategy="one_for_all"):
        names.via("James Bond").kill()
        await wait_all_tasks_blocked()
        bond: ActorRef[Part] | None = names.whereis("James Bond", of=Part)
        assert bond is not None
        await trio.sleep(10)
        bond.cast_nowait(Part.note)
        bond.cast_nowait(Part.hang)
        await wait_all_tasks_blocked()
        bond.cast_nowait(Part.note)
        (node,) = trioreg.tree().supervisors
        child, nested = node.children
        assert (node.path, node.strategy, node.is_closing, node.inside) == ("supervisor", "one_for_all", False, None)
        assert (child.id, child.name, child.kind, child.spec.restart) == (
            "James Bond",
            "James Bond",
            "Part",
            "permanent",
        )
        assert (child.ref, child.state, child.restarts, child.queued) == (bond, "running", 1, 1)
        assert (child.handled, child.handling, child.is_supervisor) == (1, "Part.hang", False)
        assert child.handling_since == trio.current_time()
        assert child.below is None
        assert nested.is_supervisor
        assert nested.below is not None
        assert (nested.below.path, [each.id for each in nested.below.children]) == ("supervisor/nested", ["b"])


async def test_a_child_says_in_which_of_six_states_it_is(autojump_clock: MockClock) -> None:
    class Starting(Part):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    class Ending(Part):
        async def on_stop(self, exit: object) -> None:
            await trio.sleep_forever()

    class Crashing(Part):
        def note(self) -> None:
            raise OSError

    async with open_supervisor(name="all", at_end="stop") as supervisor, trio.open_nursery() as nursery:
        stopping = await supervisor.start_child(part("stopping"))
        stopping.cast_nowait(Part.hang)
        ending = await supervisor.start_child(Ending, id="ending")
        crashing = await supervisor.start_child(Crashing, id="restarting", backoff=Backoff(initial=30))
        await supervisor.start_child(part("running"))
        await (await supervisor.start_child(part("ended", restart="transient"))).stop()
        await wait_all_tasks_blocked()
        nursery.start_soon(stopping.stop)
        ending.cancel()
        crashing.cast_nowait(Crashing.note)
        nursery.start_soon(partial(supervisor.start_child, Starting, id="starting"))
        await wait_all_tasks_blocked()
        states = {child.id: child.state for _, child in trioreg.tree().walk()}
        assert states == {state: state for state in states} and len(states) == 6
        nursery.cancel_scope.cancel()


async def test_walk_gives_each_child_with_its_supervisor_in_start_order(autojump_clock: MockClock) -> None:
    nested = ChildSpec(Supervisor, ([part("b"), part("c")],), id="nested")
    async with supervising([part("a"), nested, part("d")], name="top"), supervising([part("e")], name="second"):
        assert [(supervisor.path, child.id) for supervisor, child in trioreg.tree().walk()] == [
            ("top", "a"),
            ("top", "nested"),
            ("top/nested", "b"),
            ("top/nested", "c"),
            ("top", "d"),
            ("second", "e"),
        ]


def test_there_is_no_tree_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        trioreg.tree()


# As text


async def test_the_text_shows_what_is_not_as_usual(autojump_clock: MockClock) -> None:
    async with supervising([part("a"), part("b")], name="program") as supervisor:
        a, b = (child.ref for child in supervisor.which_children())
        assert a is not None
        a.cast_nowait(Part.hang)
        await trio.sleep(5)
        for _ in range(1200):
            a.cast_nowait(Part.note)
        assert str(trioreg.tree()).splitlines() == [
            "program",
            f"├── a  {a!r}  1,200 queued  in Part.hang for 5.0 seconds",
            f"└── b  {b!r}",
        ]
        assert supervisor.tree() == str(trioreg.tree())


async def test_a_run_without_supervisors_says_so() -> None:
    assert str(trioreg.tree()) == "no supervisor runs"
    assert repr(trioreg.tree()) == "<Tree, 0 at the top, 0 children>"


async def many(supervisor: DynamicSupervisor, count: int) -> list[ActorRef[Part]]:
    return [await supervisor.start_child(Part) for _ in range(count)]


async def test_many_children_are_folded_into_one_line(autojump_clock: MockClock) -> None:
    class Slow(Part):
        async def on_start(self) -> None:
            await trio.sleep_forever()

    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor, trio.open_nursery() as nursery:
        await many(supervisor, 1990)
        for _ in range(30):
            nursery.start_soon(supervisor.start_child, Slow)
        await wait_all_tasks_blocked()
        head, *children, last = str(trioreg.tree()).splitlines()
        assert (head, len(children)) == ("many", 20)
        assert [line for line in children if "  starting  in " not in line] == []
        assert last == "└── ... 2,000 more: 1,990 running, 10 starting"
        nursery.cancel_scope.cancel()


async def test_the_longest_queues_and_the_oldest_handlers_are_shown_first_in_turn(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor:
        refs = await many(supervisor, 100)
        for number, ref in enumerate(refs[50:60]):
            ref.cast_nowait(Part.hang)
            await trio.sleep(1)
            if number in (7, 8):
                for _ in range(number):
                    ref.cast_nowait(Part.note)
        lines = trioreg.tree().format(limit=5).splitlines()
        refs = [refs[50 + number] for number in (8, 0, 7, 1, 2)]
        assert [line[4:].split("  ")[0] for line in lines[1:-1]] == [repr(ref) for ref in refs]
        assert lines[-1] == "└── ... 95 more: 95 running"


async def test_a_stuck_actor_is_shown_however_deep_it_is(autojump_clock: MockClock) -> None:
    def room(number: int) -> ChildSpec:
        return ChildSpec(Supervisor, ([part(f"part {number}")],), id=f"room {number}")

    def house(number: int) -> ChildSpec:
        return ChildSpec(Supervisor, ([room(10 * number + each) for each in range(10)],), id=f"house {number}")

    async with supervising([house(number) for number in range(10)], name="town"):
        stuck = next(child.ref for _, child in trioreg.tree().walk() if child.id == "part 77")
        assert stuck is not None
        stuck.cast_nowait(Part.hang)
        await wait_all_tasks_blocked()
        text = trioreg.tree().format(limit=2)
        assert text.count("\n") < 20
        lines = [line.strip("├└─│ ").split("  <")[0] for line in text.splitlines()]
        assert lines[:4] == ["town", "house 7", "room 77", "part 77"]


async def test_all_children_are_shown_in_start_order_without_a_limit(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        refs = await many(supervisor, 50)
        refs[40].cast_nowait(Part.hang)
        await wait_all_tasks_blocked()
        lines = trioreg.tree().format(limit=math.inf).splitlines()
        assert [line[4:].split("  ")[0] for line in lines[1:]] == [repr(ref) for ref in refs]


async def test_a_limit_of_none_shows_only_how_many_there_are(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor:
        await many(supervisor, 3)
        assert trioreg.tree().format(limit=0) == "many\n└── ... 3 more: 3 running"


@pytest.mark.parametrize(("limit", "error"), [(-1, ValueError), (1.5, TypeError), ("2", TypeError), (True, TypeError)])
async def test_a_limit_is_a_whole_number(limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="limit must be"):
        trioreg.tree().format(limit=limit)


async def test_an_id_whose_own_str_raises_is_shown_all_the_same(autojump_clock: MockClock) -> None:
    class Odd:
        def __str__(self) -> str:
            raise OSError

        __repr__ = __str__

    async with supervising([ChildSpec(Part, id=Odd())]):
        assert "Odd" in str(trioreg.tree())


# Large ones


async def test_a_tree_of_a_thousand_levels_does_not_use_up_the_stack(autojump_clock: MockClock) -> None:
    spec = part("deepest")
    for _ in range(1000):
        spec = ChildSpec(Supervisor, ([spec],), id="s")
    async with supervising([spec], name="top"):
        tree = trioreg.tree()
        assert sum(1 for _ in tree.walk()) == 1001
        assert str(tree).count("\n") == 1001
        assert "deepest" in tree.format(limit=1)
        assert tree == tree and hash(tree) and repr(tree) == "<Tree, 1 at the top, 1,001 children>"
        assert repr(tree.supervisors[0]) == "<top, 1 child>"
        del tree


async def test_very_many_children_are_one_step(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor:
        await many(supervisor, 20_000)
        tree = trioreg.tree()
        assert len(tree.supervisors[0].children) == 20_000
        assert str(tree).endswith("└── ... 19,980 more: 19,980 running")
