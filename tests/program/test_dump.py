"""dump(): all that a program can be asked, as text."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
import trio
from support.dumps import SHOP, Works, found, names, part
from trio.testing import MockClock, wait_all_tasks_blocked

import trioreg
from trioreg import (
    Actor,
    ChildSpec,
    Pool,
    PubSub,
    Registry,
    Supervisor,
    open_dynamic_supervisor,
    open_pool,
    open_supervisor,
)


async def test_a_name_is_a_part_of_one_line_and_any_stream_can_take_it(autojump_clock: MockClock) -> None:
    odd = "a\nb\ud800 \x1b[31m ümläut"
    specs = [ChildSpec(Works, id=odd), ChildSpec(Supervisor, ([ChildSpec(Works)],), id=odd * 2)]
    async with open_supervisor(specs, name=odd, at_end="stop") as supervisor, trio.open_nursery() as nursery:
        ref = supervisor.which_child(odd).ref
        assert ref is not None
        nursery.start_soon(ref.call, Works.hang, name=odd)
        await wait_all_tasks_blocked()
        for text in (trioreg.dump(), str(trioreg.tree()), str(trioreg.who(ref))):
            text.encode()
            assert all(line.isprintable() for line in text.split("\n"))
            assert "a\\nb\\ud800 \\x1b[31m ümläut" in text
        assert len(str(trioreg.tree()).splitlines()) == 4
        nursery.cancel_scope.cancel()


async def test_a_long_name_is_cut(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Works, name=names.via("x" * 10_000))], at_end="stop"):
        assert len(trioreg.dump()) < 1000


async def test_the_limit_holds_for_supervisors_that_have_none_above_them(autojump_clock: MockClock) -> None:
    async def connection(number: int, *, task_status: trio.TaskStatus[None]) -> None:
        async with open_supervisor([ChildSpec(Works, name=names.via(f"w{number}"))], name=f"c{number}"):
            task_status.started()

    async with trio.open_nursery() as nursery:
        for number in range(50):
            await nursery.start(connection, number)
        found("w40").cast_nowait(Works.hang)
        await wait_all_tasks_blocked()
        text = trioreg.dump(limit=2)
        assert part(text, "The tree") == [
            "c40",
            f"└── 'w40'  {found('w40')!r}  in Works.hang for 0.0 seconds",
            "c0",
            f"└── 'w0'  {found('w0')!r}",
            "... 48 more, with 48 running",
        ]
        assert text.startswith(f"trioreg, process {os.getpid()}: 50 actors under c0, c1, c2, c3, c4, ...\n")
        nursery.cancel_scope.cancel()


async def test_below_a_supervisor_the_last_line_is_that_of_the_others(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor:
        refs = [await supervisor.start_child(Actor) for _ in range(3)]
        assert part(trioreg.dump(limit=2), "The tree") == [
            "many",
            f"├── {refs[0]!r}",
            f"├── {refs[1]!r}",
            "└── ... 1 more: 1 running",
        ]


async def test_a_program_in_which_nothing_is_unusual_shows_registries_and_the_tree_only(
    autojump_clock: MockClock,
) -> None:
    async with open_supervisor(SHOP, name="shop", at_end="stop"):
        await wait_all_tasks_blocked()
        titles = [each.splitlines()[0] for each in trioreg.dump().split("\n\n")][1:]
        assert titles == ["Registries", "The tree"]
        assert part(trioreg.dump(), "The tree") == str(trioreg.tree()).splitlines()


async def test_what_is_unusual_is_listed_the_worst_first(autojump_clock: MockClock) -> None:
    class Odd(Actor):
        async def hang(self) -> None:
            await trio.sleep_forever()

        def note(self) -> None:
            pass

        def crash(self) -> None:
            raise OSError

    async with open_dynamic_supervisor(name="odd", max_restarts=math.inf, at_end="stop") as supervisor:
        for number in range(1, 4):
            await supervisor.start_child(Odd, name=names.via(str(number)), restart="permanent")
        for name, times in (("1", 1), ("2", 3), ("3", 2)):
            for _ in range(times):
                found(name).cast_nowait(Odd.crash)
                await trio.sleep(1)
        for name in "312":
            found(name).cast_nowait(Odd.hang)
            await trio.sleep(1)
            for _ in range(int(name)):
                found(name).cast_nowait(Odd.note)
        text = trioreg.dump(limit=2)

        def order(title: str) -> list[str]:
            return [line.split()[0] for line in part(text, title) if not line.startswith("  at ")]

        assert order("The most restarts") == ["'2'", "'3'", "..."]
        assert order("The longest queues") == ["'3'", "'2'", "..."]
        assert order("The handlers that run the longest") == ["'3'", "'1'", "..."]
        assert part(text, "The longest queues")[-1] == "... 1 more"


async def test_ten_of_each_kind_are_shown_unless_you_say_otherwise(autojump_clock: MockClock) -> None:
    async with open_dynamic_supervisor(name="many", at_end="stop") as supervisor:
        for _ in range(12):
            await supervisor.start_child(Actor)
        assert trioreg.dump() == trioreg.dump(limit=10)
        assert trioreg.dump() != trioreg.dump(limit=11)


async def test_pools_registries_and_topics_are_shown_with_their_numbers(autojump_clock: MockClock) -> None:
    class Worker(Actor):
        async def work(self) -> None:
            await trio.sleep_forever()

    news: PubSub[str, str] = PubSub("news")
    crowd: Registry[int, None] = Registry("crowd")
    for key in range(1200):
        crowd.register(key)
    pool: Pool[Worker] = Pool("workers", Worker, size=1)
    async with open_pool(pool), news.subscribe("a"), news.subscribe("b"), trio.open_nursery() as nursery:
        async with open_supervisor(at_end="stop"):
            for _ in range(3):
                nursery.start_soon(pool.call, Worker.work)
            await trio.sleep(5)
            text = trioreg.dump()
            expected = ["workers: 1 worker, 1 busy, 0 free, 2 waiting, the first for 5.0 seconds"]
            assert part(text, "Pools") == expected
            me = trioreg.current_owner()
            assert part(text, "Registries") == [
                f"crowd: 1,200 names of 1 owner; the most: {me!r} 1,200",
                f"news of topics: 2 names of 1 owner; the most: {me!r} 2",
                "workers of a pool: 1 name of 1 owner",
            ]
            assert part(text, "Topics") == ["news 'a': 1 subscription", "news 'b': 1 subscription"]
        nursery.cancel_scope.cancel()


async def test_a_registry_shows_the_three_owners_with_the_most_names(autojump_clock: MockClock) -> None:
    crowd: Registry[int, None] = Registry("crowd")

    async def take(names: int, task_status: trio.TaskStatus[object]) -> None:
        for key in range(names):
            crowd.register(10 * names + key)
        task_status.started(trioreg.current_owner())
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        _, three, four, five = [await nursery.start(take, names) for names in (2, 3, 4, 5)]
        (line,) = part(trioreg.dump(), "Registries")
        assert line == f"crowd: 14 names of 4 owners; the most: {five!r} 5, {four!r} 4, {three!r} 3"
        nursery.cancel_scope.cancel()


async def test_a_part_that_can_not_be_shown_says_so_and_the_others_are_shown(autojump_clock: MockClock) -> None:
    class Odd(str):
        def __lt__(self, other: object) -> bool:
            raise OSError

        __gt__ = __lt__

    Registry[str, None](Odd("odd")).register("a")
    names.register("b")
    async with open_supervisor(SHOP, name="shop", at_end="stop"):
        text = trioreg.dump()
        assert part(text, "Registries") == ["could not be shown: OSError()"]
        assert part(text, "The tree")[0] == "shop"


@pytest.mark.parametrize("limit", [-1, 1.5, "2"])
async def test_a_limit_is_a_whole_number(limit: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="limit must be"):
        trioreg.dump(limit=limit)


def test_there_is_no_dump_outside_of_trio() -> None:
    with pytest.raises(RuntimeError):
        trioreg.dump()
