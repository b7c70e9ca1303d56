"""The last lines of the log, and the page that shows them."""

from __future__ import annotations

import gc
import logging
import weakref
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
from support.children import ref_of
from support.errors import Bang
from support.observed import look
from trio.testing import wait_all_tasks_blocked

from trioreg import Actor, ChildSpec, open_supervisor
from trioreg._observer import Observation
from trioreg._observer import log_ring as module
from trioreg._observer.log import PAGE
from trioreg._observer.log_ring import DETAILS, LINES, MESSAGE, LogRing
from trioreg._runtime import current_run

TRIOREG = logging.getLogger("trioreg")
LOG = logging.getLogger("trioreg.supervision")


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = TRIOREG.level
    TRIOREG.setLevel(logging.DEBUG)
    for handler in [*TRIOREG.handlers]:  # of observers in other tests, which are not collected yet
        if isinstance(handler, module._RingHandler):
            TRIOREG.removeHandler(handler)
    yield
    TRIOREG.setLevel(before)


@pytest.fixture
def ring() -> Iterator[LogRing]:
    ring = LogRing()
    yield ring
    ring.detach()


class State:
    """Something that an error has in its frames."""


def crash(text: str = "boom", state: object = None) -> None:
    try:
        raise Bang(text)
    except Bang as error:
        LOG.exception("it crashed", exc_info=error)


@contextmanager
def without_other_handlers() -> Generator[list[logging.LogRecord]]:
    """As in a program that has not set up its logging. Gives what `logging` would write to stderr by itself."""
    root, last, shown = logging.getLogger(), logging.lastResort, list[logging.LogRecord]()

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.append(record)

    handlers = root.handlers[:]
    root.handlers[:] = []
    logging.lastResort = Shown(logging.WARNING)
    try:
        yield shown
    finally:
        root.handlers[:] = handlers
        logging.lastResort = last


async def test_a_crash_of_an_actor_is_a_line_with_its_traceback() -> None:
    class Till(Actor):
        def bang(self) -> None:
            raise Bang("<script>")

    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
        ref = ref_of(shop, "till")
        ref.cast_nowait(Till.bang)
        await wait_all_tasks_blocked()
        page = await look(PAGE, observation, level="error")
        (line,) = page["lines"]
    assert (line["event"], line["path"], line["actor"], line["level"]) == ("restarted", "shop", ref._number, "ERROR")
    assert "Till.bang" in line["message"]
    assert line["details"].startswith("Traceback (most recent call last):")
    assert line["details"].endswith("Bang: <script>")
    assert line["clock"] > 1e9


@pytest.mark.parametrize("log_state", [False, True])
async def test_the_arguments_of_a_message_are_shown_only_if_the_class_allows_it(
    log_state: bool, caplog: pytest.LogCaptureFixture
) -> None:
    class Till(Actor):
        def __init__(self) -> None:
            self.code = "state of the till"

        def bang(self, code: str, *, again: str) -> None:
            raise Bang

    Till.log_state = log_state
    observation = Observation(current_run())
    async with open_supervisor([ChildSpec(Till, id="till")], name="shop", at_end="stop") as shop:
        ref_of(shop, "till").cast_nowait(Till.bang, "secret", again="hidden")
        await wait_all_tasks_blocked()
        (line,) = (await look(PAGE, observation, level="error"))["lines"]
    shown = "Till.bang('secret', again='hidden'), with {'code': 'state of the till'}): restart 1"
    assert line["message"].endswith(shown if log_state else "Till.bang): restart 1")
    assert "Till.bang('secret', again='hidden')" in caplog.text  # the program's own log


async def test_the_newest_line_comes_first_and_the_oldest_are_dropped() -> None:
    observation = Observation(current_run())
    for number in range(LINES + 5):
        LOG.warning("line %d", number)
    page = await look(PAGE, observation)
    assert page["lines"][0]["message"] == f"line {LINES + 4}"
    assert page["total"] == LINES
    last = await look(PAGE, observation, page=page["pages"])
    assert last["lines"][-1]["message"] == "line 5"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["gone", "bad", "careful", "fine"]),
        ({"level": "warning"}, ["gone", "bad", "careful"]),
        ({"level": "error"}, ["gone", "bad"]),
        ({"q": "SHOP/tills"}, ["bad", "fine"]),
        ({"q": "tills fine"}, ["fine"]),
        ({"q": "restarted"}, ["bad"]),
        ({"q": "#7"}, ["careful"]),
    ],
)
async def test_lines_are_filtered_by_level_text_path_event_and_actor(params: dict[str, str], found: list[str]) -> None:
    observation = Observation(current_run())
    LOG.info("fine", extra={"supervisor": "shop/tills"})
    LOG.warning("careful", extra={"actor": "<Till #7>"})
    LOG.error("bad", extra={"supervisor": "shop/tills", "event_name": "restarted"})
    LOG.critical("gone")
    page = await look(PAGE, observation, **params)
    assert [line["message"] for line in page["lines"]] == found


def test_no_record_and_no_error_is_kept(ring: LogRing) -> None:
    state = State()
    kept = weakref.ref(state)
    with without_other_handlers() as shown:
        crash("with state", state)
        LOG.warning("%r", state)
        shown.clear()
    del state
    gc.collect()
    assert kept() is None
    assert len(ring.lines()) == 2


def test_long_texts_are_cut_and_stay_one_line(ring: LogRing) -> None:
    with without_other_handlers():  # a test report cannot have half of a surrogate pair
        crash("x" * 10_000 + "y")
        LOG.warning("two\nlines \ud800 %s", "y" * 10_000)
    newest, oldest = ring.lines()
    assert newest["message"].startswith("two\\nlines \\ud800 yyy")
    assert len(newest["message"]) == MESSAGE
    assert len(oldest["details"]) == DETAILS
    assert oldest["details"].startswith("Traceback")
    assert oldest["details"].endswith("xxxy")


def test_an_argument_whose_str_raises_does_not_lose_the_line(ring: LogRing) -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError

    with without_other_handlers():
        LOG.info("value %s", Bad())
    (line,) = ring.lines()
    assert line["message"] == "value %s <of which an argument raises ValueError>"


def test_a_line_that_cannot_be_written_raises_nothing_in_the_program(
    ring: LogRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError

        __repr__ = __str__

    monkeypatch.setattr(logging, "raiseExceptions", False)
    with without_other_handlers():
        LOG.info(Bad())
        (line,) = ring.lines()
        assert line["message"].startswith("<Bad instance at")
        LOG.handle(logging.makeLogRecord({"msg": "odd", "levelno": logging.INFO, "exc_info": 5}))
        LOG.info("next")
    assert [line["message"] for line in ring.lines()] == ["next", line["message"]]


def test_a_line_that_is_written_while_another_is_made_comes_before_it(ring: LogRing) -> None:
    class Telling:
        def __str__(self) -> str:
            LOG.info("inner")
            return "outer"

    with without_other_handlers():
        LOG.info("%s", Telling())
    assert [(line["number"], line["message"]) for line in ring.lines()] == [(2, "outer"), (1, "inner")]


def test_an_error_whose_traceback_can_not_be_made_does_not_lose_the_line(ring: LogRing) -> None:
    class Bad(Exception):
        def __getattribute__(self, name: str) -> Any:
            if name == "__cause__":
                raise ValueError
            return super().__getattribute__(name)

    with without_other_handlers():
        LOG.error("failed", exc_info=Bad())
    (line,) = ring.lines()
    assert (line["message"], line["details"]) == ("failed", "<Bad, whose traceback raises ValueError>")


def test_of_very_many_errors_in_one_second_only_the_first_have_a_traceback(
    ring: LogRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: now)
    for _ in range(module.TRACEBACKS + 1):
        crash()
    newest, before, *_ = ring.lines()
    assert "Traceback" in before["details"]
    assert "Traceback" not in newest["details"]
    assert newest["details"].startswith("support.errors.Bang: boom")
    now += 1
    crash()
    assert "Traceback" in ring.lines()[0]["details"]


def test_levels_and_filters_of_the_program_stay_as_they_are() -> None:
    def seen() -> Any:
        return TRIOREG.level, TRIOREG.propagate, TRIOREG.filters[:], LOG.level, logging.getLogger().level

    before = seen()
    ring = LogRing()
    assert seen() == before
    TRIOREG.setLevel(logging.ERROR)
    LOG.warning("not written")
    assert ring.lines() == []
    ring.detach()


def test_a_program_without_logging_still_sees_its_warnings_once(ring: LogRing) -> None:
    other = LogRing()
    with without_other_handlers() as shown:
        LOG.warning("careful")
        LOG.info("fine")
        crash()
    assert [record.getMessage() for record in shown] == ["careful", "it crashed"]
    assert len(ring.lines()) == len(other.lines()) == 3
    other.detach()


def test_a_program_with_a_handler_sees_nothing_twice(ring: LogRing) -> None:
    with without_other_handlers() as shown:
        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)
        LOG.warning("careful")
    assert shown == []
    assert len(ring.lines()) == 1


def test_a_logger_that_does_not_propagate_has_no_other_handler(ring: LogRing) -> None:
    before = TRIOREG.propagate
    TRIOREG.propagate = False
    try:
        with without_other_handlers() as shown:
            logging.getLogger().addHandler(logging.NullHandler())  # which gets nothing
            LOG.warning("careful")
    finally:
        TRIOREG.propagate = before
    assert [record.getMessage() for record in shown] == ["careful"]


def test_the_handler_goes_away_with_its_observer_and_leaves_the_others() -> None:
    before = TRIOREG.handlers[:]
    first, second = LogRing(), LogRing()
    LOG.info("for both")
    first.detach()
    first.detach()
    LOG.info("for one")
    assert len(first.lines()) == 1
    assert len(second.lines()) == 2
    del second
    gc.collect()
    assert TRIOREG.handlers == before


def test_a_handler_that_is_kept_longer_than_its_observer_keeps_no_line() -> None:
    ring = LogRing()
    handler = next(each for each in TRIOREG.handlers if isinstance(each, module._RingHandler) and each._ring() is ring)
    del ring
    gc.collect()
    handler.handle(logging.makeLogRecord({"msg": "late", "levelno": logging.INFO}))
    assert handler.count == 0


async def test_lines_come_again_after_the_program_has_set_up_its_logging_anew() -> None:
    observation = Observation(current_run())
    handlers, TRIOREG.handlers[:] = TRIOREG.handlers[:], []
    try:
        LOG.warning("lost")
        await look(PAGE, observation)
        LOG.warning("seen")
        page = await look(PAGE, observation)
        assert [line["message"] for line in page["lines"]] == ["seen"]
    finally:
        TRIOREG.handlers[:] = handlers


async def test_a_look_at_the_log_is_a_checkpoint() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await look(PAGE)
    assert scope.cancelled_caught


def test_a_handler_behind_a_ring_that_goes_in_the_middle_of_a_line_gets_the_line() -> None:
    got: list[str] = []

    class Drops(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            rings.clear()  # as the garbage collector does, at any moment

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append(record.getMessage())

    logger = logging.getLogger("trioreg")
    rings = [LogRing()]
    others = [Drops(), Notes()]
    for handler in others:
        logger.addHandler(handler)
    try:
        logger.error("the line")
    finally:
        for handler in others:
            logger.removeHandler(handler)
    assert got == ["the line"]
