"""The page of all actors: sorted, filtered, and one page of the table at a time."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.children import ref_of
from support.observed import Plain, Raising, Slow, Steps, Stuck, look
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Backoff, ChildSpec, Registry, open_dynamic_supervisor, open_supervisor
from trioreg._observer import BadParam, pace
from trioreg._observer import ranking as ranking_module
from trioreg._observer.actors import PAGE, SORTS
from trioreg._observer.pace import Pace
from trioreg._observer.page import PAGE_ROWS
from trioreg._observer.ranking import PIECE, Ranking
from trioreg._supervision.child import new_child
from trioreg._supervision.child_spec import ChildSpec as Spec


async def test_the_actor_with_the_longest_queue_comes_first(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Stuck, id=id) for id in "abc"], at_end="stop") as supervisor:
        for id, count in zip("abc", (2, 5, 3), strict=True):
            for _ in range(count):
                ref_of(supervisor, id).cast_nowait(Stuck.hang)
        await wait_all_tasks_blocked()
        page = await look(PAGE)
        assert [(row["child_id"], row["queued"]) for row in page["rows"]] == [("b", 4), ("c", 2), ("a", 1)]
        assert (page["sort"], page["down"], page["total"], page["matched"]) == ("queued", True, 3, 3)
        up = await look(PAGE, sort="queued", down=0)
        assert [row["child_id"] for row in up["rows"]] == ["a", "c", "b"]


async def test_the_handler_that_runs_longest_comes_first_and_idle_actors_come_last(autojump_clock: MockClock) -> None:
    async with open_supervisor([ChildSpec(Stuck, id=id) for id in "abc"], at_end="stop") as supervisor:
        ref_of(supervisor, "b").cast_nowait(Stuck.hang)
        await trio.sleep(1)
        ref_of(supervisor, "c").cast_nowait(Stuck.hang)
        await trio.sleep(1)
        page = await look(PAGE, sort="handling_seconds", down=1)
        assert [(row["child_id"], row["handling_seconds"]) for row in page["rows"]] == [("b", 2), ("c", 1), ("a", None)]


async def test_an_actor_that_waits_for_its_restart_comes_last(autojump_clock: MockClock) -> None:
    specs = [ChildSpec(Plain, id="gone", backoff=Backoff(initial=60)), ChildSpec(Plain, id="there")]
    async with open_supervisor(specs, at_end="stop") as supervisor:
        ref_of(supervisor, "gone").kill()
        await wait_all_tasks_blocked()
        for sort in ("queued", "handled"):
            assert [row["child_id"] for row in (await look(PAGE, sort=sort, down=1))["rows"]] == ["there", "gone"]


async def test_actors_without_a_name_are_sorted_by_their_number() -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        refs = [await supervisor.start_child(Plain) for _ in range(12)]
        page = await look(PAGE, sort="label")
        assert [row["number"] for row in page["rows"]] == [ref._number for ref in refs]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("", ["Müller", "Moneypenny", "Straße", "M"]),
        ("m", ["Müller", "Moneypenny", "M"]),
        ("MÜLLER", ["Müller"]),
        ("STRASSE", ["Straße"]),
        ("agents penny", ["Moneypenny"]),
        ("stuck", ["M"]),
        ("plain running", ["Müller", "Moneypenny", "Straße"]),
        ("office", ["Müller", "Moneypenny", "Straße", "M"]),
        ("ended", []),
        ("<script>", []),
    ],
)
async def test_each_word_of_the_filter_is_in_the_name_the_class_the_path_or_the_state(q: str, found: list[str]) -> None:
    names: Registry[str, object] = Registry("names")
    children = [
        ChildSpec(Plain, name=names.via(name), id=f"agents {name}") for name in ("Müller", "Moneypenny", "Straße")
    ]
    async with open_supervisor([*children, ChildSpec(Stuck, name=names.via("M"))], name="office", at_end="stop"):
        page = await look(PAGE, q=q, sort="path")
        assert [row["label"] for row in page["rows"]] == found
        assert (page["q"], page["matched"], page["total"]) == (q, len(found), 4)


async def test_an_actor_is_found_by_its_number() -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain)
        page = await look(PAGE, q=f"#{ref._number}")
        assert [row["number"] for row in page["rows"]] == [ref._number]


async def test_pages_follow_each_other_and_a_page_behind_the_last_one_is_the_last_one() -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        refs = [await supervisor.start_child(Plain) for _ in range(PAGE_ROWS + 3)]
        pages = [await look(PAGE, sort="label", page=number) for number in (1, 2, 3)]
        shown = [[row["number"] for row in page["rows"]] for page in pages]
        numbers = [ref._number for ref in refs]
        assert shown == [numbers[:PAGE_ROWS], numbers[PAGE_ROWS:], numbers[PAGE_ROWS:]]
        assert [(page["page"], page["pages"]) for page in pages] == [(1, 2), (2, 2), (2, 2)]


@pytest.mark.parametrize(("name", "value"), [("sort", "size"), ("down", "yes"), ("page", "0"), ("page", "x")])
async def test_a_parameter_that_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(BadParam, match=f"{name} must be .* not '{value}'"):
        await look(PAGE, **{name: value})


async def test_without_any_actor_the_page_is_empty() -> None:
    page = await look(PAGE)
    assert (page["rows"], page["total"], page["page"], page["pages"]) == ([], 0, 1, 1)


async def test_names_whose_repr_raises_or_is_slow_do_no_harm() -> None:
    names: Registry[object, object] = Registry("names")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        for key in (Raising(), Slow(), "plain"):
            await supervisor.start_child(Plain, name=names.via(key))
        for sort in SORTS:
            assert len((await look(PAGE, sort=sort, q="plain"))["rows"]) == 3


# Very many


async def test_no_slice_of_a_look_at_100_000_actors_has_more_steps_than_the_clock_allows(steps: Steps) -> None:
    spec: Any = Spec(Plain, restart="temporary")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        engine: Any = supervisor._engine
        children = [new_child(engine, number, spec) for number in range(100_000)]
        engine.book.by_id.update(zip(children, children, strict=True))
        pages = [await look(PAGE, sort="restarts", q="plain", page=number) for number in (1, 2000)]
        engine.book.by_id.clear()
    assert [page["matched"] for page in pages] == [100_000, 100_000]
    assert [len(page["rows"]) for page in pages] == [PAGE_ROWS, PAGE_ROWS]
    assert steps.steps >= 300_000
    assert steps.most <= pace.STEPS


async def ranked(keys: list[Any], begin: int, end: int, asked: int, *, down: bool) -> list[int]:
    ranking = Ranking(asked, down=down, texts=bool(keys) and isinstance(keys[0], str))
    for number, key in enumerate(keys):
        ranking.add(key, number)
    assert ranking.count == len(keys)
    return [number for (number,) in await ranking.part(begin, end, Pace())]


@given(
    st.lists(st.integers(0, 5), max_size=60),
    st.booleans(),
    st.booleans(),
    st.integers(0, 60),
    st.integers(0, 60),
    st.booleans(),
    st.integers(1, 10),
)
async def test_a_ranking_is_as_a_stable_sort(
    numbers: list[int], texts: bool, down: bool, begin: int, length: int, many: bool, piece: int
) -> None:
    end = begin + length
    keys: list[Any] = list(map(str, numbers)) if texts else numbers
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking_module, "PIECE", piece)
        found = await ranked(keys, begin, end, end + 100 if many else end, down=down)
    assert found == sorted(range(len(keys)), key=keys.__getitem__, reverse=down)[begin:end]


@pytest.mark.parametrize("asked", [PIECE, 2000])
async def test_a_ranking_of_several_pieces_is_as_a_stable_sort(asked: int) -> None:
    keys = [(7 * number) % 1013 // 3 for number in range(3 * PIECE + 1)]
    expected = sorted(range(len(keys)), key=keys.__getitem__, reverse=True)
    assert await ranked(keys, 100, asked, asked, down=True) == expected[100:asked]
