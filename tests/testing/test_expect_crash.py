"""`expect_crash`: a test says which crash it expects."""

from __future__ import annotations

import re
from functools import partial

import pytest
from trio.testing import MockClock

from trioreg import Actor, ActorExited, ChildSpec, RestartLimitExceeded, Supervisor, open_supervisor
from trioreg.testing import expect_crash


class Divider(Actor):
    def divide(self, a: int, b: int) -> float:
        return a / b

    async def on_message(self, message: object) -> None:
        raise KeyError(message)


class Unlucky(Actor):
    def __init__(self) -> None:
        raise OSError("no disk")


async def test_the_crashes_that_are_expected_are_in_its_list(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        divider = await supervisor.start_child(Divider)
        async with expect_crash(ZeroDivisionError, match="division") as crashes:
            await divider.cast(Divider.divide, 1, 0)
        (crash,) = crashes
        assert crash.ref is divider
        assert isinstance(crash.error, ZeroDivisionError)
        assert (crash.supervisor, crash.label) == ("supervisor", f"Divider #{divider._number}")
        assert repr(crash) == f"<ZeroDivisionError('division by zero') of {crash.label} under supervisor>"


async def test_a_caller_that_the_crash_hits_ends_the_block(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        divider = await supervisor.start_child(Divider)
        async with expect_crash(ZeroDivisionError):
            await divider.call(Divider.divide, 1, 0)


async def test_it_fails_if_nothing_crashes_and_says_what_else_did(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        divider = await supervisor.start_child(Divider)
        missing = "no actor crashed with ZeroDivisionError or OSError and a text that matches 'x' in this block"
        with pytest.raises(AssertionError, match=f"^{re.escape(missing)}$"):
            async with expect_crash((ZeroDivisionError, OSError), match="x"):
                await divider.call(Divider.divide, 1, 2)
        with pytest.raises(
            AssertionError, match=re.escape(f"what crashed is:\n  <KeyError(5) of Divider #{divider._number} ")
        ):
            async with expect_crash(ZeroDivisionError):
                await divider.send(5)


async def test_another_error_leaves_the_block(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        divider = await supervisor.start_child(Divider)
        with pytest.raises(ActorExited):
            async with expect_crash(OSError):
                await divider.call(Divider.divide, 1, 0)
        with pytest.raises(IndexError):
            async with expect_crash(OSError):
                raise IndexError


async def test_a_supervisor_that_gives_up_crashes_with_what_is_in_its_group(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        limited = ChildSpec(partial(Supervisor, max_restarts=0), restart="temporary", id="limited")
        below = await supervisor.start_child(limited)
        divider = await below.call(Supervisor.start_child, Divider)
        async with expect_crash(RestartLimitExceeded) as crashes:
            await divider.cast(Divider.divide, 1, 0)
        assert [crash.ref for crash in crashes] == [below]


async def test_an_error_without_a_text_matches_no_text(autojump_clock: MockClock) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise LookupError("no text")

    class Singer(Actor):
        def sing(self) -> None:
            raise Mute

    async with open_supervisor(at_end="stop") as supervisor:
        singer = await supervisor.start_child(Singer)
        with pytest.raises(AssertionError, match=r"matches 'la' in this block; what crashed is:\n  <<?Mute"):
            async with expect_crash(Mute, match="la"):
                await singer.cast(Singer.sing)


async def test_a_start_that_fails_is_no_crash(autojump_clock: MockClock) -> None:
    async with open_supervisor(at_end="stop") as supervisor:
        with pytest.raises(AssertionError, match=r"no actor crashed with OSError in this block$"):
            async with expect_crash(OSError):
                with pytest.raises(OSError, match="no disk"):
                    await supervisor.start_child(Unlucky)


async def test_it_is_entered_once(autojump_clock: MockClock) -> None:
    block = expect_crash(OSError)
    with pytest.raises(AssertionError):
        async with block:
            pass
    with pytest.raises(RuntimeError, match="make another one"):
        await block.__aenter__()


def test_a_wrong_argument_is_an_error_at_once() -> None:
    with pytest.raises(TypeError, match=r"error must be a class of exceptions, or a tuple of them, not 'ValueError'"):
        expect_crash("ValueError")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"or a tuple of them, not \(\)"):
        expect_crash(())
    with pytest.raises(TypeError, match=r"match must be a str, not 5"):
        expect_crash(ValueError, match=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(re.error):
        expect_crash(ValueError, match="(")
