"""The page of topics and pools."""

from __future__ import annotations

import gc
import math
import weakref
from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.children import ref_of
from support.observed import Fickle, Plain, Raising, Slow, Steps, Stuck, look
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ChildSpec,
    Entry,
    Pool,
    PoolSupervisor,
    PubSub,
    Wildcard,
    open_pool,
    open_supervisor,
)
from trioreg._observer import Observation, pace, texts
from trioreg._observer.page import PAGE_ROWS
from trioreg._observer.topics import PAGE
from trioreg._runtime import current_run


def shown(page: Any) -> list[tuple[str, int]]:
    return [(row["topic"], row["subscriptions"]) for row in page["topics"]]


async def test_the_topic_with_the_most_subscriptions_comes_first() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with ticks.subscribe("ibm"), ticks.subscribe("sap"), ticks.subscribe("sap"):
        page = await look(PAGE)
        assert shown(page) == [("sap", 2), ("ibm", 1)]
        assert [row["pubsub"] for row in page["topics"]] == ["ticks", "ticks"]
        assert (page["total"], page["matched"], page["pools"], page["pools_total"]) == (2, 2, [], 0)


async def test_messages_that_wait_and_those_that_were_lost_are_counted() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    async with (
        ticks.subscribe("ibm", buffer=2, overflow="drop_oldest"),
        ticks.subscribe("ibm", buffer=9, overflow="drop_oldest"),
    ):
        for number in range(5):
            ticks.publish_nowait("ibm", number)
        (row,) = (await look(PAGE))["topics"]
        assert (row["subscriptions"], row["waiting"], row["dropped"], row["retained"]) == (2, 7, 3, 0)


async def test_the_buffer_of_an_actor_counts_too(autojump_clock: MockClock) -> None:
    class Screen(Actor):
        async def on_start(self) -> None:
            ticks.join("ibm", Screen.show, buffer=3, overflow="drop_newest")

        async def show(self, tick: int) -> None:
            await trio.sleep_forever()

    ticks: PubSub[str, int] = PubSub("ticks")
    async with open_supervisor([ChildSpec(Screen)], at_end="stop"):
        for number in range(6):
            ticks.publish_nowait("ibm", number)
            await wait_all_tasks_blocked()
        (row,) = (await look(PAGE))["topics"]
        assert (row["waiting"], row["dropped"]) == (3, 2)


async def test_a_retained_message_is_shown_with_and_without_a_subscription() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    ticks.publish_nowait("ibm", 1, retain=True)
    ticks.publish_nowait("sap", 1, retain=True)
    async with ticks.subscribe("ibm"):
        page = await look(PAGE)
        assert shown(page) == [("ibm", 1), ("sap", 0)]
        assert [row["retained"] for row in page["topics"]] == [1, 1]


def test_a_message_that_was_retained_in_an_earlier_run_is_not_shown() -> None:
    ticks: PubSub[str, int] = PubSub("ticks")

    async def retain() -> None:
        ticks.publish_nowait("ibm", 1, retain=True)

    async def look_at_another() -> None:
        async with ticks.subscribe("sap"):
            assert shown(await look(PAGE)) == [("sap", 1)]

    trio.run(retain)
    trio.run(look_at_another)


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_topic_is_one_row_however_many_partitions_there_are(partitions: int) -> None:
    ticks: PubSub[object, int] = PubSub("ticks", partitions=partitions)
    async with open_supervisor([ChildSpec(Plain) for _ in range(6)], at_end="stop") as supervisor:
        for info in supervisor.which_children():
            assert info.ref is not None
            ticks.join("ibm", Plain.note, owner=info.ref)
        ticks.join(Wildcard("i.*"), Plain.note, owner=ref_of(supervisor, "Plain"))
        assert shown(await look(PAGE)) == [("ibm", 6), ("Wildcard('i.*')", 1)]


@pytest.mark.parametrize(("q", "found"), [("IBM", ["ibm"]), ("ticks", ["ibm", "sap"]), ("ticks s", ["ibm", "sap"])])
async def test_topics_are_filtered_by_topic_and_pubsub(q: str, found: list[str]) -> None:
    ticks: PubSub[str, int] = PubSub("ticks")
    rooms: PubSub[str, int] = PubSub("rooms")
    async with ticks.subscribe("ibm"), ticks.subscribe("sap"), rooms.subscribe("lobby"):
        page = await look(PAGE, q=q)
        assert [topic for topic, _ in shown(page)] == found
        assert page["total"] == 3


async def test_topics_that_do_harm_are_shown_as_short_texts() -> None:
    ticks: PubSub[Any, int] = PubSub("ticks", partitions=2)
    topics = [Raising(), "x" * 10_000, "\n\ud800", "<script>"]
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        for topic in topics:
            ticks.join(topic, Plain.note, owner=ref_of(supervisor, "one"))
        page = await look(PAGE)
        assert len(page["topics"]) == 4
        assert all(topic.isprintable() and len(topic) <= 200 for topic, _ in shown(page))
        assert (await look(PAGE, q="<script>"))["matched"] == 1


@pytest.mark.parametrize("partitions", [1, 2])
async def test_a_topic_whose_hash_raises_by_now_is_shown(partitions: int) -> None:
    ticks: PubSub[Fickle, int] = PubSub("ticks", partitions=partitions)
    topics = [Fickle(), Fickle()]
    async with ticks.subscribe(topics[0]):
        ticks.publish_nowait(topics[1], 1, retain=True)
        with topics[0].raising(), topics[1].raising():
            page = await look(PAGE)
            assert shown(page) == [("fickle", 1), ("fickle", 0)]


@given(st.lists(st.integers(1, 4), max_size=120), st.integers(1, 4))
async def test_pages_of_topics_are_those_of_a_sorted_list(counts: list[int], page: int) -> None:
    ticks: PubSub[int, int] = PubSub("ticks")
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        for topic, count in enumerate(counts):
            for _ in range(count):
                ticks.join(topic, Plain.note, owner=ref_of(supervisor, "one"))
        found = await look(PAGE, page=page)
        ordered = sorted(range(len(counts)), key=lambda topic: -counts[topic])
        pages = max(1, -(-len(counts) // PAGE_ROWS))
        begin = (min(page, pages) - 1) * PAGE_ROWS
        assert shown(found) == [(str(topic), counts[topic]) for topic in ordered[begin : begin + PAGE_ROWS]]
        assert found["pages"] == pages


async def test_very_many_topics_and_subscriptions_are_a_slice_at_a_time(steps: Steps) -> None:
    ticks: PubSub[int, int] = PubSub("ticks")
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        ticks.join(-1, Plain.note, owner=ref_of(supervisor, "one"))
        partition = ticks._partition
        (entry,) = partition.table[-1].values()
        partition.table[-2] = dict.fromkeys(range(100_000), entry)
        partition.table.update((number, {0: Entry(*entry)}) for number in range(50_000))
        page = await look(PAGE, page=1000)
        assert page["total"] == 50_002
        assert (await look(PAGE))["topics"][0]["subscriptions"] == 100_000
        assert steps.steps >= 200_000
        assert steps.most <= pace.STEPS
        for number in (-2, *range(50_000)):
            del partition.table[number]


async def test_very_many_topics_of_several_partitions_are_a_slice_at_a_time(steps: Steps) -> None:
    ticks: PubSub[int, int] = PubSub("ticks", partitions=2)
    number = 4 * pace.STEPS
    async with AsyncExitStack() as stack:
        for topic in range(number):
            await stack.enter_async_context(ticks.subscribe(topic))
            ticks.publish_nowait(-1 - topic, topic, retain=True)
        before = steps.steps
        assert (await look(PAGE))["total"] == 2 * number
        assert steps.steps - before >= 3 * number  # each topic in its partition and as a row, and what is retained
        assert steps.most <= pace.STEPS


async def test_after_each_topic_whose_repr_is_slow_other_tasks_run(
    steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "PATIENCE", math.inf)  # on a busy machine, a short sleep takes long
    log: list[str] = []

    class Noted(Slow):
        def __repr__(self) -> str:
            log.append("repr")
            return super().__repr__()

    async def other() -> None:
        while True:
            log.append("other")
            await trio.lowlevel.checkpoint()

    ticks: PubSub[object, int] = PubSub("ticks")
    async with (
        ticks.subscribe(Noted()),
        ticks.subscribe(Noted()),
        ticks.subscribe(Noted()),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(other)
        page = await look(PAGE, q="nothing like that")
        nursery.cancel_scope.cancel()
    assert (page["total"], page["matched"], log.count("repr")) == (3, 0, 3)
    begin = log.index("repr")
    assert "other" in log[begin : begin + 3]  # Trio may run it before the look, and then behind it


async def test_a_look_keeps_no_topic_and_no_message() -> None:
    class Thing:
        pass

    ticks: PubSub[Thing, Thing] = PubSub("ticks")
    topic, message, observation = Thing(), Thing(), Observation(current_run())
    kept = [weakref.ref(topic), weakref.ref(message)]
    async with ticks.subscribe(topic):
        ticks.publish_nowait(topic, message)
        await look(PAGE, observation)
    del topic, message
    gc.collect()
    assert [each() for each in kept] == [None, None]


# Pools


async def test_a_pool_is_shown_with_its_numbers(autojump_clock: MockClock) -> None:
    async with open_pool(Stuck, size=2, name="workers") as pool, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(pool.call, Stuck.hang)
        await trio.sleep(3)
        page = await look(PAGE)
        assert page["pools"] == [
            {
                "label": "workers",
                "path": "workers",
                "number": None,
                "size": 2,
                "idle": 0,
                "busy": 2,
                "waiting": 1,
                "longest_wait": 3.0,
                "waits": 0,
                "mean_wait": 0.0,
                "crashes": 0,
            }
        ]
        nursery.cancel_scope.cancel()


async def test_very_many_pools_are_filtered_in_slices(steps: Steps) -> None:
    async with AsyncExitStack() as stack:
        for number in range(2 * pace.STEPS):
            await stack.enter_async_context(open_pool(Stuck, size=1, name=f"pool {number:03}"))
        page = await look(PAGE, q="099")
        assert ([pool["label"] for pool in page["pools"]], page["pools_total"]) == (["pool 099"], 2 * pace.STEPS)
        assert steps.most <= pace.STEPS
        assert steps.steps >= 4 * pace.STEPS
        assert len((await look(PAGE))["pools"]) == PAGE_ROWS


async def test_a_pool_in_a_tree_leads_to_its_supervisor() -> None:
    pools = [Pool[Plain](name, Plain, size=1) for name in ("workers", "others")]
    specs = [ChildSpec(PoolSupervisor, (pool,), id=f"{pool.name} here") for pool in pools]
    async with open_supervisor(specs, name="shop", at_end="stop") as supervisor:
        page = await look(PAGE, q="workers")
        (row,) = page["pools"]
        assert (row["label"], row["number"]) == ("workers", ref_of(supervisor, "workers here")._number)
        assert page["pools_total"] == 2
