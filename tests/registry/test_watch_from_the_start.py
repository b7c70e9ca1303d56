"""watch(initial=True): what is there first, then what happens. And watch(buffer=...): what a slow watcher gets."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.events import received
from support.inside import is_followed
from support.owners import staged
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Event, Feed, Overflow, Registered, Registry, Unregistered, current_owner


async def test_the_feed_begins_with_what_is_there(registry: Registry[str, int], autojump_clock: MockClock) -> None:
    async with staged() as stage:
        actor = await stage.actor()
        me = registry.register("a", 1)
        registry.register("b", 2, owner=actor)
        with registry.watch(initial=True) as everything, registry.watch("a", initial=True) as of_a:
            registry.unregister("a")
            await stage.end(actor)
            found = received(everything)
            assert sorted(found[:2], key=lambda event: event.value) == [
                Registered("tested", "a", me, 1),
                Registered("tested", "b", actor, 2),
            ]
            assert found[2:] == [
                Unregistered("tested", "a", me, 1),
                Unregistered("tested", "b", actor, 2, actor.exit),
            ]
            assert received(of_a) == [Registered("tested", "a", me, 1), Unregistered("tested", "a", me, 1)]


async def test_every_entry_of_a_key_is_among_the_first(topics: Registry[str, int], autojump_clock: MockClock) -> None:
    for value in (1, 2, 3):
        topics.register("key", value)
    with topics.watch("key", initial=True) as events:
        assert [event.value for event in received(events)] == [1, 2, 3]
    with topics.watch("free", initial=True) as events:
        assert received(events) == []


async def test_without_initial_the_feed_begins_with_what_happens(
    registry: Registry[str, int], autojump_clock: MockClock
) -> None:
    registry.register("a", 1)
    with registry.watch() as events:
        assert received(events) == []


async def test_what_is_there_is_what_was_there_when_the_block_was_entered(
    names: Registry[str, int], autojump_clock: MockClock
) -> None:
    me = names.register("a", 1)
    watch = names.watch("a", initial=True)
    names.update_value("a", lambda value: value + 1)
    with watch as events:
        names.unregister("a")
        assert received(events) == [Registered("names", "a", me, 2), Unregistered("names", "a", me, 2)]


async def test_a_watch_that_a_listener_begins_has_no_gap_and_no_double(autojump_clock: MockClock) -> None:
    feeds: list[Feed[Event[str, int]]] = []

    def begin(event: Event[str, int]) -> None:
        if event.key == "c" and not feeds:
            names.register("d", 4)  # told after this one
            feeds.append(names.watch(initial=True).__enter__())
            names.register("e", 5)

    names: Registry[str, int] = Registry("names", listeners=[begin])
    for number, key in enumerate("abc", 1):
        names.register(key, number)
    names.unregister("a")
    found = [(type(event), event.key) for event in received(feeds[0])]
    assert found == [*((Registered, key) for key in "abcde"), (Unregistered, "a")]


STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove", "take"]), st.sampled_from("ab")), max_size=12)


@given(before=STEPS, after=STEPS, partitions=st.sampled_from([1, 3]), key=st.sampled_from([None, "a"]))
def test_the_first_entries_and_the_events_add_up_to_the_registry(
    before: list[tuple[str, str]], after: list[tuple[str, str]], partitions: int, key: str | None
) -> None:
    async def main() -> None:
        names: Registry[str, int] = Registry("names", partitions=partitions)
        async with staged() as stage:
            owners = [await stage.actor(), await stage.actor()]

            def do(steps: list[tuple[str, str]]) -> None:
                for number, (step, name) in enumerate(steps):
                    if step == "take" or (step == "add" and name not in names):
                        names.take(name, number, owner=owners[number % 2])
                    elif step == "remove" and name in names:
                        names.unregister(name, owner=names.whereis(name))

            do(before)
            with names.watch(initial=True) if key is None else names.watch(key, initial=True) as events:
                do(after)
                shown: Counter[tuple[str, object]] = Counter()
                for event in received(events):
                    shown[event.key, event.owner] += 1 if isinstance(event, Registered) else -1
                    assert all(count in (0, 1) for count in shown.values())
                there = {(name, entry.owner) for name, entry in names.items() if key in (None, name)}
                assert {pair for pair, count in shown.items() if count} == there

    trio.run(main)


# A buffer


async def test_an_overflow_is_an_error_at_the_place_where_events_are_missing(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    topics.register("key", 0)
    topics.register("key", 0)
    with topics.watch(initial=True, buffer=2) as events:
        for value in range(1, 6):
            topics.register("key", value)
        got: list[int | str] = []
        for _ in range(5):
            try:
                got.append((await events.receive()).value)
            except Overflow as error:
                got.append(f"{error.count}: {error}")
            if len(got) == 3:
                topics.register("key", 6)  # there is room again, behind what is missing
        assert got == [0, 0, 1, 2, "3: 3 items lost: the buffer was full"]
        assert (await events.receive()).value == 6
        assert events.dropped == 3
        for value in range(7, 10):
            topics.register("key", value)
        assert [(await events.receive()).value for _ in range(2)] == [7, 8]
        with pytest.raises(Overflow, match=r"^1 item lost"):
            events.receive_nowait()


@pytest.mark.parametrize(("overflow", "kept"), [("drop_oldest", [3, 4, 5]), ("drop_newest", [1, 2, 3])])
async def test_the_oldest_or_the_newest_events_are_dropped_and_counted(
    overflow: Any, kept: list[int], autojump_clock: MockClock
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    with topics.watch(buffer=3, overflow=overflow) as events:
        for value in range(1, 6):
            topics.register("key", value)
        assert [event.value for event in received(events)] == kept
        assert events.dropped == 2
        topics.register("key", 6)
        assert [event.value for event in received(events)] == [6]


async def test_a_watcher_that_waits_loses_nothing_and_each_event_goes_to_one_task(autojump_clock: MockClock) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    seen: list[int] = []

    async def receive(events: Feed[Event[str, int]]) -> None:
        async for event in events:
            seen.append(event.value)

    async with trio.open_nursery() as nursery:
        with topics.watch(buffer=1) as events:
            nursery.start_soon(receive, events)
            nursery.start_soon(receive, events)
            await wait_all_tasks_blocked()
            for value in range(5):
                topics.register("key", value)
                await wait_all_tasks_blocked()
        # Leaving the block ends both loops.
    assert seen == [0, 1, 2, 3, 4]
    assert events.dropped == 0
    assert not is_followed(topics)


async def test_each_task_that_waits_gets_an_event_of_its_own_and_only_the_others_need_room(
    autojump_clock: MockClock,
) -> None:
    topics: Registry[str, int] = Registry("topics", keys="duplicate")
    got: dict[int, int] = {}

    async def receive(events: Feed[Event[str, int]], task: int) -> None:
        got[task] = (await events.receive()).value

    async with trio.open_nursery() as nursery:
        with topics.watch(buffer=1) as events:
            for task in range(2):
                nursery.start_soon(receive, events, task)
                await wait_all_tasks_blocked()
            for value in range(5):
                topics.register("key", value)
            await wait_all_tasks_blocked()
            assert got == {0: 0, 1: 1}
            assert (await events.receive()).value == 2
            with pytest.raises(Overflow, match="2 items lost"):
                await events.receive()


async def test_a_cancelled_receive_takes_no_event(names: Registry[str, int], autojump_clock: MockClock) -> None:
    with names.watch() as events:
        with trio.move_on_after(1):
            await events.receive()
        names.register("a", 1)
        with trio.CancelScope() as scope:
            scope.cancel()
            await events.receive()
        assert (await events.receive()).owner == current_owner()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"buffer": 0}, "buffer must be at least 1, not 0"),
        ({"buffer": "10"}, "buffer must be an int or math.inf, not '10'"),
        ({"buffer": 1.5}, "buffer must be an int or math.inf, not 1.5"),
        ({"buffer": 3, "overflow": "wait"}, "overflow must be 'error', 'drop_oldest' or 'drop_newest', not 'wait'"),
    ],
    ids=str,
)
async def test_a_wrong_buffer_or_overflow_is_an_error_that_names_it(
    names: Registry[str, int], options: dict[str, Any], error: str, autojump_clock: MockClock
) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{error}$"):
        names.watch(**options)


MOVES = st.lists(st.sampled_from(["change", "receive"]), max_size=20)


@given(
    there=st.integers(0, 2), buffer=st.integers(1, 3), overflow=st.sampled_from(["error", "drop_oldest"]), moves=MOVES
)
def test_a_feed_at_its_limit_does_what_a_list_would(
    there: int, buffer: int, overflow: Literal["error", "drop_oldest"], moves: list[str]
) -> None:
    async def main() -> None:
        topics: Registry[str, int] = Registry("topics", keys="duplicate")
        for _ in range(there):
            topics.register("key", 0)
        first, kept, dropped = [0] * there, list[int | str](), 0
        with topics.watch(initial=True, buffer=buffer, overflow=overflow) as events:
            for number, move in enumerate(moves, 1):
                if move == "change":
                    topics.register("key", number)
                    if sum(item != "lost" for item in kept) < buffer:
                        kept.append(number)
                        continue
                    dropped += 1
                    if overflow == "drop_oldest":
                        kept = [*kept[1:], number]
                    elif kept[-1] != "lost":
                        kept.append("lost")
                    continue
                expected = first.pop() if first else kept.pop(0) if kept else "nothing"
                found: int | str
                try:
                    found = events.receive_nowait().value
                except Overflow:
                    found = "lost"
                except trio.WouldBlock:
                    found = "nothing"
                assert found == expected
            assert events.dropped == dropped

    trio.run(main)
