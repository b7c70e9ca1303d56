"""How the messages of very many actors are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from weakref import getweakrefcount

import trio
from trio.testing import wait_all_tasks_blocked

from trioreg._observer.messages import BLOCK, Messages

if TYPE_CHECKING:
    from trioreg._actors import Cell


class Ref:
    def __init__(self, number: int) -> None:
        self._number = number


class FakeCell:
    def __init__(self, number: int) -> None:
        self.ref = Ref(number)
        self.handled = 0


def cells_in(count: int) -> list[FakeCell]:
    return [FakeCell(number) for number in range(count)]


def see(messages: Messages, cells: list[FakeCell]) -> None:
    for cell in cells:
        messages.seen(cast("Cell", cell))


def test_messages_of_actors_in_all_blocks_are_counted() -> None:
    messages, cells = Messages(), cells_in(3 * BLOCK)
    see(messages, cells)
    for cell in cells:
        cell.handled = 2
    see(messages, cells)
    cells[0].handled = 5
    assert messages.ended(0) is cast("Cell", cells[0])
    assert messages.total == 2 * len(cells) + 3


def test_actors_that_have_ended_leave_nothing() -> None:
    messages, cells = Messages(), cells_in(BLOCK + 1)
    see(messages, cells)
    for number in range(len(cells)):
        messages.ended(number)
    assert (len(messages), messages._blocks) == (0, {})


def test_an_actor_that_nobody_has_seen_ends_without_a_record() -> None:
    assert Messages().ended(7) is None


async def test_very_many_actors_are_forgotten_in_several_steps() -> None:
    messages, cells = Messages(), cells_in(5 * BLOCK)
    see(messages, cells)
    messages.forget(trio.lowlevel.current_trio_token())
    assert sum(map(getweakrefcount, cells)) == 4 * BLOCK
    await wait_all_tasks_blocked()
    assert sum(map(getweakrefcount, cells)) == 0


async def test_actors_that_are_seen_while_others_are_forgotten_are_counted_anew() -> None:
    messages, cells = Messages(), cells_in(2 * BLOCK)
    see(messages, cells)
    messages.forget(trio.lowlevel.current_trio_token())
    see(messages, cells)
    cells[-1].handled = 1
    see(messages, cells)
    await wait_all_tasks_blocked()
    assert messages.total == 1
    assert messages.ended(cells[-1].ref._number) is cast("Cell", cells[-1])


def test_an_actor_whose_record_is_garbage_ends_without_one() -> None:
    messages, cells = Messages(), cells_in(1)
    see(messages, cells)
    cells.clear()
    assert messages.ended(0) is None
    assert (len(messages), messages.total) == (0, 0)
