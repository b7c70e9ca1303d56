"""One actor as a row of a table."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
import trio
from support.observed import Plain, Raising, Slow, Stuck, is_plain, rows
from trio.testing import wait_all_tasks_blocked

from trioreg import ChildSpec, Registry, Supervisor, open_dynamic_supervisor, open_supervisor
from trioreg._observer.texts import PATIENCE, Texts


async def test_a_row_says_where_an_actor_is_and_what_it_does(autojump_clock: trio.testing.MockClock) -> None:
    names: Registry[str, object] = Registry("names")
    stuck = ChildSpec(Stuck, name=names.via("James Bond"), id="bond")
    async with open_supervisor([ChildSpec(Supervisor, ([stuck],), id="agents")], name="program", at_end="stop"):
        ref = names.via("James Bond", Stuck)
        await ref.cast(Stuck.hang)
        await trio.sleep(2)
        await ref.cast(Stuck.hang)
        row = (await rows())["James Bond"]
        number = ref._resolve()._number
        assert row == {
            "number": number,
            "node": "0.1.1",
            "label": "James Bond",
            "kind": "Stuck",
            "path": "program/agents",
            "child_id": "bond",
            "state": "running",
            "is_supervisor": False,
            "queued": 1,
            "peak": 1,
            "handled": 0,
            "restarts": 0,
            "handling": "Stuck.hang",
            "handling_seconds": 2.0,
        }
        assert (await rows())[f"Supervisor #{number - 1}"]["is_supervisor"]


async def test_an_actor_without_a_name_is_called_by_its_class_and_number() -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain)
        assert list(await rows()) == [repr(ref)[1:-1]]


async def test_a_child_without_a_life_has_no_number(autojump_clock: trio.testing.MockClock) -> None:
    async with open_supervisor([ChildSpec(Plain, id="one")], at_end="stop") as supervisor:
        await supervisor.terminate_child("one")
        row = (await rows())["Plain"]
        assert (row["number"], row["state"], row["queued"], row["handling"]) == (None, "ended", 0, None)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("x" * 10_000, "x" * 197 + "..."),
        ("two\nlines", "two\\nlines"),
        ("half \ud800", "half \\ud800"),
        ("Müller", "Müller"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        (7, "7"),
        (("cart", 7), "('cart', 7)"),
        ("", ""),
    ],
)
async def test_a_name_is_one_short_line_of_plain_text(key: Hashable, label: str) -> None:
    names: Registry[Hashable, object] = Registry("names")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        await supervisor.start_child(Plain, name=names.via(key))
        found = await rows()
        assert list(found) == [label]
        assert is_plain(found)


async def test_a_name_whose_repr_raises_does_no_harm() -> None:
    names: Registry[Hashable, object] = Registry("names")
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        await supervisor.start_child(Plain, name=names.via(Raising()))
        (label,) = await rows()
        assert label.startswith("<Raising instance at ")


def test_a_slow_repr_is_asked_until_it_has_used_up_its_time() -> None:
    texts, before = Texts(), Slow.asked
    shown = [texts.name(Slow()) for _ in range(1000)]
    assert shown[0] == "slow"
    assert shown[-1] == "<Slow, whose repr is slow>"
    assert Slow.asked - before <= PATIENCE / 0.001 + 1
    assert texts.has_waited


def test_a_class_that_cannot_be_hashed_does_no_harm() -> None:
    class Meta(type):
        def __hash__(self) -> int:
            raise ValueError

    class Odd(metaclass=Meta):
        def __repr__(self) -> str:
            return "odd"

    assert Texts().name(Odd()) == Texts().shown(Odd()) == "odd"


def test_a_value_is_shown_as_python_writes_it() -> None:
    texts = Texts()
    assert [texts.shown(each) for each in ("a", 7, None, True, ["x"])] == ["'a'", "7", "None", "True", "['x']"]
    assert len(texts.shown("x" * 10_000)) == 200
    assert texts.shown("\ud800\n\x00") == "'\\ud800\\n\\x00'"


async def test_a_row_counts_what_the_actor_has_handled_in_this_life() -> None:
    async with open_dynamic_supervisor(at_end="stop") as supervisor:
        ref = await supervisor.start_child(Plain)
        assert await ref.call(Plain.note, 1) == 1
        await wait_all_tasks_blocked()
        (row,) = (await rows()).values()
        assert row["handled"] == 1
