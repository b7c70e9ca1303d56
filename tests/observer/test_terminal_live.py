"""The terminal that renews itself: looks, keys, and how it ends. The program is a function, and time is virtual."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import trio
from rich.text import Text
from support.answering import pages
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg._observer_terminal.address import Address
from trioreg._observer_terminal.arguments import Arguments
from trioreg._observer_terminal.client import Denied, Gone, NoAnswer, Refused
from trioreg._observer_terminal.keys import split_keys
from trioreg._observer_terminal.live import PATIENCE, Left, Live
from trioreg._observer_terminal.look import Look, Wanted
from trioreg._observer_terminal.once import look_once

ARGUMENTS = Arguments(Address("http", "127.0.0.1", 4001, "", "token"))


class Paper:
    """A surface that keeps what was drawn last."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.height = 24

    def size(self) -> tuple[int, int]:
        return 100, self.height

    def draw(self, lines: list[Text]) -> None:
        self.lines = [line.plain.rstrip() for line in lines]

    def __contains__(self, text: str) -> bool:
        return text in "\n".join(self.lines)


class Program:
    """A program that is asked, and whose live page stays open until `closes` is set."""

    def __init__(self) -> None:
        self.data = pages()
        self.looks: list[tuple[float, Wanted]] = []
        self.error: NoAnswer | None = None
        self.hangs = False
        self.closes = trio.Event()
        self.stays = 0

    async def look(self, arguments: Arguments, wanted: Wanted) -> Look:
        self.looks.append((trio.current_time(), wanted))
        if self.hangs:
            await trio.sleep_forever()
        await trio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        return {name: self.data[name] for name in wanted}

    async def stay(self, arguments: Arguments) -> None:
        self.stays += 1
        await self.closes.wait()
        if self.error is not None:
            raise self.error


class Observer:
    """A `Live` that runs beside a test, which presses its keys."""

    def __init__(self, program: Program, arguments: Arguments = ARGUMENTS) -> None:
        self.paper = Paper()
        self.live = Live(arguments, self.paper, program.look, program.stay)
        self.left: Left | None = None
        self._send, self._receive = trio.open_memory_channel[str](100)

    async def run(self) -> None:
        self.left = await self.live.run(partial(self.live.listen, self._keys()))

    async def press(self, *keys: str) -> None:
        for key in keys:
            self._send.send_nowait(key)
        await wait_all_tasks_blocked()

    async def _keys(self) -> AsyncIterator[str]:
        async for key in self._receive:
            yield key


@pytest.fixture
def program() -> Program:
    return Program()


async def begun(nursery: trio.Nursery, program: Program, observer: Observer | None = None) -> Observer:
    observer = observer or Observer(program)
    nursery.start_soon(observer.run)
    await wait_all_tasks_blocked()
    return observer


async def test_it_looks_each_interval(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        began = trio.current_time()
        observer = await begun(nursery, program)
        assert "James Bond" in observer.paper
        program.data = pages("Le Chiffre")
        await trio.sleep(2.5)
        assert "Le Chiffre" in observer.paper
        assert [at - began for at, _ in program.looks] == [0, 1, 2]
        observer.live.leave(0)
    assert observer.left == Left(0)


async def test_the_time_of_a_look_does_not_count_for_the_interval(autojump_clock: MockClock, program: Program) -> None:
    async def slow(arguments: Arguments, wanted: Wanted) -> Look:
        await trio.sleep(10)
        return await program.look(arguments, wanted)

    live = Live(ARGUMENTS, Paper(), slow, program.stay)
    began = trio.current_time()
    with trio.move_on_after(30):
        await live.run()
    assert [at - began for at, _ in program.looks] == [10, 21]


async def test_a_key_chooses_the_page_at_once(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        for key, page in [("3", "actors"), ("tab", "registries"), ("shift-tab", "actors"), ("6", "log")]:
            await observer.press(key)
            assert [*program.looks[-1][1]] == ["overview", page]
        assert "Log  1" in observer.paper
        await observer.press("tab")
        assert [*program.looks[-1][1]] == ["overview", "tree", "actors", "registries"]
        assert program.looks[-1][0] == program.looks[0][0]
        await observer.press("q")
    assert observer.left == Left(0)


async def test_a_key_that_means_nothing_and_the_key_of_the_same_page_change_nothing(
    autojump_clock: MockClock, program: Program
) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        looks, lines = len(program.looks), observer.paper.lines
        await observer.press("x", "0")
        assert (len(program.looks), observer.paper.lines) == (looks, lines)
        observer.live.leave(0)


async def test_the_first_reason_to_leave_counts(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        observer.live.leave(0, "first")
        observer.live.leave(1, "second")
    assert observer.left == Left(0, "first")


async def test_a_key_does_not_wait_for_a_program_that_hangs(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        program.hangs = True
        await observer.press("3")
        assert "Actors  1" in observer.paper  # as it was on the dashboard
        await observer.press("6")
        assert "Waiting for the first answer" in observer.paper
        program.hangs = False
        await observer.press("3")
        await observer.press("6")
        assert "Log  1" in observer.paper
        program.hangs = True
        await observer.press("3")
        assert "Actors  1" in observer.paper  # as it was when it was shown last
        await observer.press("q")


async def test_a_long_table_has_parts(autojump_clock: MockClock, program: Program) -> None:
    program.data["actors"]["pages"] = 2
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        await observer.press("n")  # the dashboard has no parts
        await observer.press("3", "p")
        assert "page" not in program.looks[-1][1]["actors"]
        await observer.press("n")
        assert program.looks[-1][1]["actors"]["page"] == "2"
        await observer.press("n")
        assert program.looks[-1][1]["actors"]["page"] == "2"
        await observer.press("1", "3")
        assert "page" not in program.looks[-1][1]["actors"]
        await observer.press("q")


async def test_a_long_page_scrolls(autojump_clock: MockClock, program: Program) -> None:
    (line,) = program.data["log"]["lines"]
    program.data["log"]["lines"] = [{**line, "message": f"line {index}."} for index in range(50)]
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        await observer.press("6")
        assert "line 0." in observer.paper
        await observer.press("down", "j")
        assert "line 0." not in observer.paper
        await observer.press("up", "k")
        assert "line 0." in observer.paper
        await observer.press("end")
        assert "line 49." in observer.paper
        await observer.press("page up")
        assert "line 49." not in observer.paper
        await observer.press("home", "page down")
        assert "line 11." in observer.paper
        assert "line 9." not in observer.paper
        await trio.sleep(3)
        assert "line 9." not in observer.paper
        observer.paper.height = 100
        observer.live.draw()
        assert "line 0." in observer.paper
        await observer.press("q")


async def test_filter_and_order_go_to_the_program(autojump_clock: MockClock, program: Program) -> None:
    arguments = Arguments(ARGUMENTS.address, page="actors", filter="bond", sort="label")
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program, Observer(program, arguments))
        assert program.looks[-1][1] == {"overview": {}, "actors": {"q": "bond", "sort": "label", "down": "0"}}
        await observer.press("2")
        assert program.looks[-1][1] == {"overview": {}, "tree": {"q": "bond"}}
        await observer.press("q")


# How it ends


async def test_the_end_of_the_program_is_said_and_is_no_error(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        program.error = Gone("Nothing answers.")
        program.closes.set()
        began = trio.current_time()
    assert observer.left == Left(0, "The program at http://127.0.0.1:4001/ has ended.")
    assert trio.current_time() - began <= PATIENCE + 1.5
    assert "Nothing answers." in observer.paper


async def test_an_observer_that_restarts_is_waited_for(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        for _ in range(3):
            program.error = Gone("Nothing answers.")
            await trio.sleep(PATIENCE)
            assert "Nothing answers." in observer.paper
            program.error = None
            await trio.sleep(1)
            assert "Nothing answers." not in observer.paper
        observer.live.leave(0)


async def test_a_program_that_is_slow_is_waited_for_without_end(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        program.error = NoAnswer("It does not answer.")
        await trio.sleep(60)
        assert "It does not answer." in observer.paper
        assert "James Bond" in observer.paper
        observer.live.leave(0)


@pytest.mark.parametrize("kind", [NoAnswer, Gone, Denied, Refused])
async def test_a_first_look_that_fails_is_an_error(
    autojump_clock: MockClock, program: Program, kind: Callable[[str], NoAnswer]
) -> None:
    program.error = kind("It does not work.")
    observer = Observer(program)
    await observer.run()
    assert observer.left == Left(2 if kind is Refused else 1, "It does not work.")


async def test_a_token_that_is_no_longer_right_is_an_error(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        program.error = Denied("It does not take this token.")
    assert observer.left == Left(1, "It does not take this token.")


async def test_a_live_page_is_kept_open_so_that_the_program_counts(autojump_clock: MockClock, program: Program) -> None:
    async with trio.open_nursery() as nursery:
        observer = await begun(nursery, program)
        assert program.stays == 1
        program.closes.set()
        await trio.sleep(2.5)
        assert program.stays == 2
        observer.live.leave(0)


# Once


async def test_one_look_is_enough_if_the_program_knows_its_rate(autojump_clock: MockClock, program: Program) -> None:
    assert await look_once(ARGUMENTS, {"overview": {}}, program.look, program.stay) == {
        "overview": program.data["overview"]
    }
    assert (len(program.looks), program.stays) == (1, 0)


async def test_the_rate_takes_a_second_look_while_a_live_page_is_open(
    autojump_clock: MockClock, program: Program
) -> None:
    async def look(arguments: Arguments, wanted: Wanted) -> dict[str, Any]:
        looked = await program.look(arguments, wanted)
        return {"overview": {**looked["overview"], "messages_per_second": 7.0 if program.stays else None}}

    looked = await look_once(ARGUMENTS, {"overview": {}}, look, program.stay)
    assert looked["overview"]["messages_per_second"] == 7.0
    assert len(program.looks) == 2


async def test_pages_without_a_rate_take_one_look(autojump_clock: MockClock, program: Program) -> None:
    await look_once(ARGUMENTS, {"log": {}}, program.look, program.stay)
    assert (len(program.looks), program.stays) == (1, 0)


async def test_an_error_of_the_second_look_is_no_group(autojump_clock: MockClock, program: Program) -> None:
    program.data["overview"]["messages_per_second"] = None

    async def stay(arguments: Arguments) -> None:
        program.error = Gone("Nothing answers.")

    with pytest.raises(Gone):
        await look_once(ARGUMENTS, {"overview": {}}, program.look, stay)


# Keys


def test_keys_have_names() -> None:
    sent = "q\t\x1b[Z\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[H\x1bOF\x1b[1;5Cx"
    assert split_keys(sent) == (
        ["q", "tab", "shift-tab", "up", "down", "page up", "page down", "home", "end", "\x1b[1;5C", "x"],
        "",
    )


@pytest.mark.parametrize("begun", ["\x1b", "\x1b[", "\x1b[5", "\x1bO"])
def test_a_key_that_comes_in_two_parts_is_one_key(begun: str) -> None:
    assert split_keys(f"1{begun}") == (["1"], begun)


def test_escape_alone_is_no_key_and_keeps_none_back() -> None:
    assert split_keys("\x1bq") == (["q"], "")
    assert split_keys("\x1b\x1b[A") == (["up"], "")
