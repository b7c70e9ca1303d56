"""An error with very many errors behind it is logged, readably and at a bounded length."""

from __future__ import annotations

import logging
from typing import cast

import pytest
import trio
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Exit
from trioreg._runtime import SafeLogger, keep_lines
from trioreg._runtime.long_traceback import LONGEST, cut_traceback

logger = SafeLogger("trioreg.runtime")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def chain(length: int) -> BaseException:
    """``length`` errors, each the cause of the next: "error 1", "error 2", ..."""
    error = raised(ValueError("error 1"))
    for number in range(2, length + 1):
        error = raised(ValueError(f"error {number}"), error)
    return error


def nested(depth: int) -> BaseException:
    """A group in a group in a group."""
    error: BaseException = raised(ValueError("innermost"))
    for _ in range(depth):
        error = raised(BaseExceptionGroup("a group", [error]))
    return error


def text_of(error: BaseException) -> str:
    text = cut_traceback(error)
    assert text is not None
    return text


def test_an_error_with_few_errors_behind_it_is_left_to_python() -> None:
    assert cut_traceback(chain(LONGEST)) is None
    assert cut_traceback(ExceptionGroup("some", [ValueError(n) for n in range(LONGEST - 1)])) is None


def test_an_error_that_is_met_again_counts_once() -> None:
    error = raised(ValueError("error"))
    group = ExceptionGroup("some", [cast("ValueError", error)] * (2 * LONGEST))
    assert cut_traceback(group) is None


def test_an_error_that_was_never_raised_is_shown_without_a_traceback() -> None:
    lines = text_of(ExceptionGroup("some", [ValueError(n) for n in range(LONGEST)])).splitlines()
    assert lines[:3] == [
        "ExceptionGroup: some (32 sub-exceptions)",
        "  +---------------- 1 ----------------",
        "  | ValueError: 0",
    ]


def test_of_a_long_chain_the_first_and_the_last_errors_are_shown() -> None:
    shown = [line for line in text_of(chain(240)).splitlines() if line.startswith(("ValueError", "..."))]
    assert shown == [
        *(f"ValueError: error {number}" for number in range(1, 6)),
        "... 230 errors between these two are left out ...",
        *(f"ValueError: error {number}" for number in range(236, 241)),
    ]


def test_a_long_chain_says_how_its_errors_follow_from_each_other_and_where_they_were_raised() -> None:
    error = chain(50)
    try:
        try:
            raise error
        except ValueError:
            raise KeyError("later")  # noqa: B904
    except KeyError as later:
        later.add_note("a note")
        text = text_of(later)
    assert "The above exception was the direct cause of the following exception:" in text
    assert text.count("During handling of the above exception, another exception occurred:") == 1
    assert 'in chain\n    error = raised(ValueError(f"error {number}"), error)' not in text  # it was not raised there
    assert "    raise error from cause" in text
    assert text.endswith("KeyError: 'later'\na note")


def test_a_chain_that_is_suppressed_is_not_shown() -> None:
    error = raised(KeyError("alone"))
    error.__context__ = chain(50)
    error.__suppress_context__ = True
    assert cut_traceback(error) is None


def test_a_chain_that_leads_back_to_itself_ends() -> None:
    first = chain(40)
    last = raised(KeyError("last"), first)
    while first.__cause__ is not None:
        first = first.__cause__
    first.__cause__ = last
    assert text_of(last).count("'last'") == 1


def test_of_a_wide_group_the_first_members_are_shown() -> None:
    text = text_of(raised(BaseExceptionGroup("many", [raised(ValueError(f"error {n}")) for n in range(1000)])))
    assert "  | ValueError: error 9\n" in text
    assert "error 10" not in text
    assert text.endswith("  ... 990 more members of the group are left out ...")


def test_groups_in_groups_are_shown_however_deep_they_are() -> None:
    text = text_of(nested(5000))
    assert "a group (1 sub-exception)" in text
    assert len(text.splitlines()) < 100


def test_groups_with_long_chains_in_them_are_cut_too() -> None:
    text = text_of(raised(BaseExceptionGroup("two", [chain(200), chain(300)])))
    assert "  | ValueError: error 200" in text
    assert "  | ... 290 errors between these two are left out ..." in text


def test_an_error_that_can_not_be_shown_is_shown_as_such() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert text_of(raised(Odd(), chain(50))).endswith("Odd: <its str raises ZeroDivisionError>")


def test_the_record_of_a_cut_traceback_is_as_any_other(caplog: pytest.LogCaptureFixture) -> None:
    errors = [chain(2), chain(240)]
    for error in errors:
        logger.error("late_call_failed", "%s failed", "it", exc_info=error)
    for record, error in zip(caplog.records, errors, strict=True):
        assert (record.name, record.levelname, record.getMessage()) == ("trioreg.runtime", "ERROR", "it failed")
        assert (record.pathname, record.funcName) == (
            __file__,
            "test_the_record_of_a_cut_traceback_is_as_any_other",
        )
        assert record.exc_info is not None
        assert record.exc_info[1] is error
    assert "230 errors" not in logging.Formatter().format(caplog.records[0])
    assert "230 errors" in logging.Formatter().format(caplog.records[1])


def test_what_is_not_logged_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "trioreg")
    logger.error("late_call_failed", "it failed", exc_info=chain(240))
    assert not caplog.records


class Link(Actor):
    """One of a row of actors: each calls the next, and the last crashes."""

    def __init__(self, next: ActorRef[Link] | None) -> None:
        self._next = next

    async def go(self) -> None:
        if self._next is None:
            raise ValueError("first of all")
        await self._next.call(Link.go)


async def crash_row(length: int) -> ActorExited:
    """A crash that goes from actor to actor."""
    async with supervised() as supervisor:
        ref: ActorRef[Link] | None = None
        for _ in range(length):
            ref = await supervisor.start_child(Link, ref, restart="temporary")
        assert ref is not None
        with pytest.raises(ActorExited) as caught:
            await ref.call(Link.go)
        await wait_all_tasks_blocked()
        return caught.value


async def test_a_crash_that_goes_through_a_row_of_actors_is_logged_for_each_with_the_first_error(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    await crash_row(120)
    crashes = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(crashes) == 120
    for record in crashes:
        text = logging.Formatter().format(record)
        assert "ValueError('first of all')" in record.getMessage()
        assert "ValueError: first of all" in text
        assert len(text) < 50_000


async def test_the_error_of_a_crash_behind_many_others_is_short_and_names_the_first(autojump_clock: MockClock) -> None:
    error = await crash_row(10)
    text = str(error)
    assert text.startswith(f"{error.ref!r} has crashed: <Link")
    assert ": ... 5 more ...: " in text
    assert text.endswith(" has crashed: ValueError('first of all')")
    assert repr(error) == f"ActorExited({text!r})"
    assert len(repr(error.exit)) < 400


async def test_an_error_whose_repr_raises_is_named_in_the_log(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(Exception):
        def __repr__(self) -> str:
            return repr(self)

    assert str(Exit("crashed", Odd())) == "crashed: <Odd, whose repr raises RecursionError>"

    async def worker() -> None:
        await trio.lowlevel.checkpoint()
        raise Odd

    async with supervised() as supervisor:
        ref = await supervisor.start_child(worker, restart="temporary")
        await ref.wait()
        await wait_all_tasks_blocked()
    assert "<Odd, whose repr raises RecursionError>" in caplog.text


def test_an_error_is_stripped_of_its_frames_once() -> None:
    error = chain(3)
    keep_lines(error)
    kept = error.__traceback__
    keep_lines(error)
    assert error.__traceback__ is kept


def test_an_error_that_is_raised_anew_is_stripped_anew() -> None:
    error = chain(3)
    keep_lines(error)

    def again() -> None:
        state = object()
        assert state is not None
        raise error

    with pytest.raises(ValueError, match="error 3"):
        again()
    keep_lines(error)
    traceback = error.__traceback__
    while traceback is not None:
        assert "state" not in traceback.tb_frame.f_locals
        traceback = traceback.tb_next
