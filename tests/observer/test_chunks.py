"""The items of a large dict, a part at a time, while it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from itertools import islice
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from trioreg._observer import chunks as module
from trioreg._observer.chunks import chunks, take
from trioreg._observer.pace import Pace

PART = 4


class Restless(Pace):
    """It is always time for a rest."""

    def is_late(self) -> bool:
        return True


class Key:
    """A key that may not be hashed or compared once it is in a dict."""

    def __init__(self) -> None:
        self.is_in = False

    def __hash__(self) -> int:
        assert not self.is_in
        return id(self)

    def __eq__(self, other: object) -> bool:
        raise AssertionError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", PART)


@given(st.integers(0, 12), st.integers(0, 15), st.integers(0, 15))
def test_what_is_taken_is_a_part_of_the_items_from_either_end(size: int, begin: int, length: int) -> None:
    table = {number: str(number) for number in range(size)}
    keys, values = take(table, begin, begin + length)
    assert list(zip(keys, values, strict=True)) == list(table.items())[begin : begin + length]


@pytest.mark.parametrize("begin", [0, 9])
def test_no_key_is_asked(begin: int) -> None:
    table = {Key(): number for number in range(10)}
    for key in table:
        key.is_in = True
    assert take(table, begin, begin + 1)[1] == [begin]


async def read(table: dict[Any, Any], change: Any, changes: Any = None) -> list[Any]:
    """All items, with a change before each part but the first."""
    found: list[Any] = []
    async with aclosing(chunks(table, Restless(), changes)) as parts:
        async for keys, values in parts:
            assert [table[key] for key in keys] == values
            found += keys
            change()
    return found


# What happens between two parts: how many items go out, from which place on, and how many come.
CHANGES = st.lists(st.tuples(st.integers(0, PART), st.integers(0, 30), st.integers(0, 6)), max_size=12)


@pytest.mark.usefixtures("small")
@settings(max_examples=400)
@given(st.integers(0, 40), CHANGES, st.booleans())
def test_what_is_there_all_the_time_is_given_once_and_in_order(
    size: int, changes: list[tuple[int, int, int]], is_told: bool
) -> None:
    removed = 0
    table = {object(): number for number in range(size)}
    stay = dict.fromkeys(table)
    todo = iter(changes)

    def change() -> None:
        nonlocal removed
        gone, begin, come = next(todo, (0, 0, 0))
        for key in list(table)[begin : begin + gone]:
            del table[key]
            removed += 1
            stay.pop(key, None)
        for _ in range(come):
            table[object()] = 0

    found = trio.run(read, table, change, (lambda: removed) if is_told else None)
    assert len(found) == len(set(found))
    assert [key for key in found if key in stay] == list(stay)


class Upset(dict[int, str]):
    """A dict that says a few times, while it is read, that it has changed."""

    def __init__(self, size: int, *errors: RuntimeError) -> None:
        super().__init__((number, str(number)) for number in range(size))
        self.errors = list(errors)

    def __iter__(self) -> Iterator[int]:
        yield next(super().__iter__())
        if self.errors:
            raise self.errors.pop()
        yield from islice(super().__iter__(), 1, None)


def test_what_a_finalizer_changes_meanwhile_is_read_again() -> None:
    table = Upset(4, RuntimeError("dictionary changed size during iteration"))
    assert take(table, 0, 2) == ([0, 1], ["0", "1"])
    assert table.errors == []


def test_a_part_that_there_is_no_room_on_the_stack_for_is_an_error() -> None:
    with pytest.raises(RecursionError):
        take(Upset(4, RecursionError()), 0, 2)


async def test_parts_that_there_is_no_room_on_the_stack_for_are_an_error() -> None:
    with pytest.raises(RecursionError):
        await read(Upset(4, RecursionError()), lambda: None, lambda: 0)


@pytest.mark.usefixtures("small")
async def test_a_dict_that_grows_all_the_time_has_an_end() -> None:
    table: dict[object, int] = {object(): 0 for _ in range(10)}
    assert len(await read(table, lambda: table.update((object(), 1) for _ in range(20)))) <= 12
