"""The registries of a program as tables, and the rows of one table."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.children import ref_of
from support.observed import Plain, Raising, Slow, Steps, look

from trioreg import ChildSpec, Entry, PubSub, Registry, open_dynamic_supervisor, open_pool, open_supervisor
from trioreg._observer import BadParam, NotThere, Observation, pace
from trioreg._observer import table as table_page
from trioreg._observer.owner_tables import _share_of
from trioreg._observer.page import PAGE_ROWS
from trioreg._observer.registries import PAGE
from trioreg._observer.table import PAGE as TABLE
from trioreg._runtime import current_run


def texts(page: Any) -> list[list[str]]:
    return [[cell["text"] for cell in row] for row in page["rows"]]


async def tables(observation: Observation, **params: object) -> dict[str, Any]:
    """The tables by their names; of several registries, those of the last one."""
    return {row["table"]: row for row in (await look(PAGE, observation, **params))["tables"]}


async def rows_of(observation: Observation, table: str, **params: object) -> Any:
    return await look(TABLE, observation, id=(await tables(observation))[table]["id"], **params)


async def test_the_tables_are_those_of_the_talk() -> None:
    agents: Registry[str, object] = Registry("agents", partitions=2)
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Plain, name=agents.via("James Bond"))], at_end="stop"):
        page = await look(PAGE, observation)
        found = [(row["table"], row["registry"], row["kind"], row["purpose"], row["owner"]) for row in page["tables"]]
        names = ["KeyPartition0", "KeyPartition1", "PIDPartition0", "PIDPartition1"]
        assert found == [(name, "agents", "unique", "names", "the program") for name in names]
        assert sum(row["objects"] for row in page["tables"][:2]) == 1
        assert sum(row["objects"] for row in page["tables"][2:]) == 1
        assert all(row["size"] >= 64 for row in page["tables"] if row["objects"])
        assert (page["total"], page["matched"], page["page"], page["pages"]) == (4, 4, 1, 1)


async def test_each_registry_says_what_it_belongs_to() -> None:
    topics: PubSub[str, int] = PubSub("ticks")
    async with topics.subscribe("a"), open_pool(Plain, size=2, name="workers"):
        page = await look(PAGE)
        assert [(row["owner"], row["purpose"], row["objects"]) for row in page["tables"]] == [
            *[("PubSub ticks", "topics", 1)] * 2,
            *[("Pool workers", "pool", 2)] * 2,
        ]


@pytest.mark.parametrize(
    ("q", "found"),
    [("", 8), ("KEYPARTITION", 4), ("ticks", 4), ("pubsub key", 2), ("names", 4), ("duplicate", 4), ("nothing", 0)],
)
async def test_tables_are_filtered_by_registry_table_and_purpose(q: str, found: int) -> None:
    topics: PubSub[str, int] = PubSub("ticks", partitions=2)
    names: Registry[str, object] = Registry("agents", partitions=2)
    names.register("x")
    async with topics.subscribe("a"):
        page = await look(PAGE, q=q)
        assert (page["matched"], page["total"], len(page["tables"])) == (found, 8, found)


async def test_very_many_registries_have_pages() -> None:
    registries = [Registry[int, object](f"registry {number:03}") for number in range(PAGE_ROWS)]
    for each in registries:
        each.register(1)
    first, second = [await look(PAGE, page=number) for number in (1, 2)]
    assert (len(first["tables"]), len(second["tables"]), first["pages"]) == (PAGE_ROWS, PAGE_ROWS, 2)
    assert first["tables"][0]["registry"] == "registry 000"
    assert second["tables"][-1]["registry"] == f"registry {PAGE_ROWS - 1:03}"


async def test_two_registries_of_one_name_are_two_and_keep_their_addresses() -> None:
    observation = Observation(current_run())
    one, two = (Registry[str, object]("same") for _ in range(2))
    one.register("a")
    first = [row["id"] for row in (await look(PAGE, observation))["tables"]]
    two.register("b")
    both = [row["id"] for row in (await look(PAGE, observation))["tables"]]
    assert both[:2] == first
    assert len(set(both)) == 4
    assert texts(await look(TABLE, observation, id=both[2]))[0][0] == "'b'"


async def test_the_rows_of_a_key_table_lead_to_actors() -> None:
    agents: Registry[str, object] = Registry("agents")
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Plain, name=agents.via("James Bond", 7), id="bond")], at_end="stop") as top:
        ref = ref_of(top, "bond")
        agents.register("Q")
        page = await rows_of(observation, "KeyPartition0")
        assert page["columns"] == ["key", "owner", "value"]
        bond, q = page["rows"]
        assert [cell["text"] for cell in bond] == ["'James Bond'", repr(ref), "7"]
        assert [cell["actor"] for cell in bond] == [None, ref._number, None]
        assert [cell["actor"] for cell in q] == [None, None, None]
        assert (page["registry"], page["table"], page["objects"]) == ("agents", "KeyPartition0", 2)


async def test_the_rows_of_an_owner_table_lead_to_the_key_table() -> None:
    agents: Registry[str, object] = Registry("agents")
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Plain, name=agents.via("James Bond"), id="bond")], at_end="stop") as top:
        ref = ref_of(top, "bond")
        page = await rows_of(observation, "PIDPartition0")
        assert page["columns"] == ["owner", "key", "table", "entries"]
        (row,) = page["rows"]
        assert [cell["text"] for cell in row] == [repr(ref), "'James Bond'", "KeyPartition0", "1"]
        assert row[0]["actor"] == ref._number
        assert row[2]["table"] == (await tables(observation))["KeyPartition0"]["id"]


@pytest.mark.parametrize("id", ["", "x", "1", "0.k0", "1.k1", "1.x0", "999999999999.k0", "1.k0 "])
async def test_a_table_that_is_not_there_is_said_not_to_be(id: str) -> None:
    names: Registry[str, object] = Registry("names")
    observation = Observation(current_run())
    names.register("a")
    assert await look(TABLE, observation, id="1.k0")
    if id != "1.k0 ":
        with pytest.raises(NotThere, match="There is no table"):
            await look(TABLE, observation, id=id)


async def test_a_page_that_is_no_number_is_named() -> None:
    with pytest.raises(BadParam, match="page must be"):
        await look(TABLE, id="1.k0", page="-1")


async def test_keys_and_values_that_do_harm_are_shown_as_short_texts() -> None:
    names: Registry[Any, Any] = Registry("names")
    observation = Observation(current_run())
    for key in (Raising(), Slow(), "x" * 10_000, "\n\ud800", "<script>"):
        names.register(key, key)
    shown = texts(await rows_of(observation, "KeyPartition0"))
    for key, _, value in shown:
        assert key == value
        assert len(key) <= 200
        assert key.isprintable()
    assert shown[0][0].startswith("<Raising instance")
    assert shown[1][0] == "slow"
    assert shown[4][0] == "'<script>'"
    assert (await rows_of(observation, "KeyPartition0", q="script"))["matched"] == 1


async def test_a_look_keeps_nothing_of_a_table() -> None:
    class Value:
        pass

    names: Registry[int, Value] = Registry("names")
    value, observation = Value(), Observation(current_run())
    kept: list[Any] = [weakref.ref(value), weakref.ref(names._names)]
    names.register(1, value)
    for table in ("KeyPartition0", "PIDPartition0"):
        await rows_of(observation, table, q="value")
        await rows_of(observation, table)
    names.unregister(1)
    del value, names
    gc.collect()
    assert [each() for each in kept] == [None, None]


# The same as Registry.tables() says


@pytest.mark.parametrize("kind", ["unique", "duplicate", ("duplicate", "key")])
@pytest.mark.parametrize("partitions", [1, 3])
async def test_the_rows_are_those_of_the_table_viewer(kind: Any, partitions: int) -> None:
    names: Registry[int, object] = Registry("names", keys=kind, partitions=partitions)
    observation = Observation(current_run())
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        refs = [await supervisor.start_child(Plain) for _ in range(7)]
        for number in range(130):
            names.register(number if kind == "unique" else number % 40, number, owner=refs[number * number % 7])
        for table in names.tables():
            expected = [[cell if isinstance(cell, str) else repr(cell) for cell in row] for row in table.rows]
            first = await rows_of(observation, table.name)
            pages = [await rows_of(observation, table.name, page=page + 1) for page in range(first["pages"])]
            assert sorted(row for page in pages for row in texts(page)) == sorted(expected)
            assert first["total"] == first["objects"] == table.objects
            columns = 3  # the number of entries is no text to look for
            matched = [row for row in expected if any("1" in cell for cell in row[:columns])]
            last = await rows_of(observation, table.name, q="1", page=99)
            assert last["matched"] == len(matched)
            assert len(last["rows"]) == ((len(matched) - 1) % PAGE_ROWS + 1 if matched else 0)


async def test_the_rows_of_a_key_with_very_many_entries_are_those_of_the_table_viewer(
    monkeypatch: pytest.MonkeyPatch, steps: Steps
) -> None:
    monkeypatch.setattr(table_page, "CHUNK", 4)
    monkeypatch.setattr(table_page, "FEW", 3)
    names: Registry[int, object] = Registry("names", keys="duplicate")
    observation = Observation(current_run())
    for key, entries in enumerate([1, 2, 3, 2, 5, 1, 9, 4, 3, 2 * pace.STEPS, *[1] * 2 * pace.STEPS]):
        for value in range(entries):
            names.register(key, value)
    for table in names.tables():
        expected = [[cell if isinstance(cell, str) else repr(cell) for cell in row] for row in table.rows]
        first = await rows_of(observation, table.name, q="task")  # it is in the owner of each row
        pages = [await rows_of(observation, table.name, q="task", page=n + 1) for n in range(first["pages"])]
        assert [row for page in pages for row in texts(page)] == expected
    assert steps.most <= pace.STEPS


@given(st.lists(st.integers(0, 200), max_size=160, unique=True), st.integers(1, 5), st.sampled_from(["", "1", "22"]))
async def test_pages_of_a_filtered_table_are_those_of_a_list(keys: list[int], page: int, q: str) -> None:
    names: Registry[int, object] = Registry("names")
    observation = Observation(current_run())
    names.register(-1)
    for key in keys:
        names.register(key)
    found = await rows_of(observation, "KeyPartition0", q=q, page=page)
    task = names.whereis(-1)
    every = [key for key in [-1, *keys] if q in f"{key}\n{task!r}"]
    pages = max(1, -(-len(every) // PAGE_ROWS))
    begin = (min(page, pages) - 1) * PAGE_ROWS
    assert [row[0] for row in texts(found)] == [str(key) for key in every[begin : begin + PAGE_ROWS]]
    assert (found["matched"], found["page"], found["pages"]) == (len(every), min(page, pages), pages)


# Very many


def fill(table: Any, owner: Any, count: int) -> None:
    table.update(dict.fromkeys(range(count), Entry(owner, None)))


@pytest.fixture
def many() -> Iterator[int]:
    gc.disable()  # of the test's own objects
    yield 1_000_000
    gc.enable()


async def test_no_slice_of_a_look_at_1_000_000_names_has_more_steps_than_the_clock_allows(
    many: int, steps: Steps
) -> None:
    names: Registry[int, object] = Registry("names")
    observation = Observation(current_run())
    names.register(0)
    fill(names._names.unique[0].table, names.whereis(0), many)
    page = await rows_of(observation, "KeyPartition0", page=many // PAGE_ROWS)
    assert page["total"] == many
    assert texts(page)[-1][0] == str(many - 1)
    assert steps.most <= pace.STEPS
    found = await rows_of(observation, "PIDPartition0", page=2)
    assert found["total"] == many
    assert texts(found)[0][1] == str(PAGE_ROWS)
    assert steps.steps >= many
    assert steps.most <= pace.STEPS
    names._names.unique[0].table.clear()


async def test_a_filter_over_very_many_names_is_a_slice_at_a_time(steps: Steps) -> None:
    names: Registry[int, object] = Registry("names")
    observation = Observation(current_run())
    names.register(0)
    fill(names._names.unique[0].table, names.whereis(0), 100_000)
    page = await rows_of(observation, "KeyPartition0", q="99999")
    assert page["matched"] == 1
    assert steps.steps >= 100_000
    assert steps.most <= pace.STEPS
    names._names.unique[0].table.clear()


async def test_counts_of_large_owner_tables_are_kept_for_a_while(steps: Steps) -> None:
    names: Registry[int, object] = Registry("names")
    observation = Observation(current_run())
    names.register(0)
    fill(names._names.unique[0].table, names.whereis(0), 50_000)
    await look(PAGE, observation)
    before = steps.steps
    await look(PAGE, observation)
    assert steps.steps - before < 100
    steps.now += 10_000_000
    await look(PAGE, observation)
    assert steps.steps - before > 50_000
    names._names.unique[0].table.clear()


async def test_very_many_registries_are_a_slice_at_a_time(steps: Steps) -> None:
    registries = [Registry[int, object](f"registry {number:04}") for number in range(2000)]
    for each in registries:
        each.register(1)
    observation = Observation(current_run())
    found = await tables(observation, q="1999")
    assert steps.steps >= 8000
    assert steps.most <= pace.STEPS
    before = steps.steps
    assert (await look(TABLE, observation, id=found["KeyPartition0"]["id"]))["registry"] == "registry 1999"
    assert steps.steps - before < pace.STEPS


async def test_rows_that_come_and_go_during_a_look_do_no_harm() -> None:
    names: Registry[int, object] = Registry("names")
    observation = Observation(current_run())
    for number in range(2000):
        names.register(number)
    done = trio.Event()

    async def churn() -> None:
        number = 2000
        while not done.is_set():
            names.register(number)
            names.unregister(number - 1000)
            number += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(churn)
        for _ in range(5):
            page = await rows_of(observation, "KeyPartition0", q="1")
            assert 0 < page["matched"] <= 2001
        done.set()


async def test_the_bytes_of_one_of_many_keys_are_its_share_of_the_dict_that_they_are_in() -> None:
    names: Registry[int, None] = Registry("names")
    for key in range(100):
        names.register(key)
    (entry,) = names.lookup(7)
    together = sys.getsizeof(dict.fromkeys(range(100)))
    assert together // 200 <= _share_of(entry.owner, names._names) <= together // 50
