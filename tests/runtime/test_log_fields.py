"""The fields of the log: one vocabulary, and values that harm no formatter."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, get_args

import pytest
from support.log_events import fields_of, recorded, table

import trioreg
from trioreg._runtime import SafeLogger
from trioreg._runtime.log_fields import LONGEST, NAMES, EventName, LoggerName, text_of

ROOT = Path(trioreg.__file__).parent
EVENTS = frozenset(get_args(EventName))
LEVELS = {"debug": 0, "info": 0, "warning": 0, "error": 0, "log": 1, "report": 1}
"""The methods of a `SafeLogger`, and which of their arguments is the event."""

logger = SafeLogger("trioreg.runtime")


class Raises:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class OddText(str):
    """A text whose methods say something else."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[str]:
        raise ZeroDivisionError


class SaysOdd:
    def __repr__(self) -> str:
        return OddText("odd\n")


class SaysTwo:
    def __repr__(self) -> str:
        return "one\ntwo"


class Impostor:
    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("front", "front"),
        ("Zoë 'two' \\", "Zoë 'two' \\"),
        (("room", 7), "('room', 7)"),
        (17, "17"),
        (OddText("odd"), "odd"),
        (SaysOdd(), "<SaysOdd, whose repr raises ZeroDivisionError>"),
        (SaysTwo(), "one\\ntwo"),
        ("a\nb\ud800", "a\\nb\\ud800"),
        (10**5000, "<int, whose repr raises ValueError>"),
    ],
    ids=map(str, count()),
)
def test_a_field_is_a_text_in_one_line(value: object, text: str | None) -> None:
    assert text_of(value) == text
    assert type(text_of(value)) in (str, type(None))


@pytest.mark.parametrize(
    "value", ["x" * 10_000, "\n" * 10_000, ["x" * 300] * 10_000, OddText("y" * 10_000)], ids=map(str, count())
)
def test_a_long_field_is_cut(value: object) -> None:
    text = text_of(value)
    assert text is not None
    assert len(text) == LONGEST
    assert text.endswith("...")


def test_a_text_that_is_just_not_too_long_is_whole() -> None:
    assert text_of("x" * LONGEST) == "x" * LONGEST
    assert text_of(OddText("y" * LONGEST)) == "y" * LONGEST


def test_an_object_that_lies_about_its_class_is_shown() -> None:
    assert "Impostor" in str(text_of(Impostor()))


@pytest.mark.parametrize("number", [float("inf"), float("nan"), "many", None])
def test_what_is_no_finite_number_is_none(number: Any) -> None:
    with recorded() as log:
        logger.error("late_call_failed", "it failed", seconds=number)
    assert fields_of(log.records[0]) == {"event_name": "late_call_failed"}


def test_every_record_has_all_fields_so_a_format_string_can_use_them() -> None:
    formatter = logging.Formatter(" ".join(f"{name}=%({name})s" for name in ("event_name", *NAMES)))
    with recorded() as log:
        logger.error("late_call_failed", "it failed")
        logger.error("late_call_failed", "it failed", count=3, actor_name="front")
    assert [formatter.format(record).replace("=None", "=") for record in log.records] == [
        "event_name=late_call_failed supervisor= child_id= actor= actor_name= exit= restarts= seconds= method= "
        "registry= key= count=",
        "event_name=late_call_failed supervisor= child_id= actor= actor_name=front exit= restarts= seconds= method= "
        "registry= key= count=3",
    ]


def test_the_fields_of_a_line_are_those_of_its_function_and_its_own() -> None:
    with recorded() as log:
        logger.warning("message_left", "%d left", 2, about=lambda: {"actor_name": ("a", 1), "restarts": 5}, restarts=6)
    assert fields_of(log.records[0]) == {"event_name": "message_left", "actor_name": "('a', 1)", "restarts": 6}


def test_a_line_whose_fields_can_not_be_made_is_written_without_them() -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    with recorded() as log:
        logger.warning("message_left", "%d left", 2, about=fail, key="k")
    (record,) = log.records
    assert record.getMessage() == "2 left"
    assert fields_of(record) == {"event_name": "message_left", "key": "k"}


def test_the_fields_of_a_line_that_is_not_written_are_not_made() -> None:
    made: list[object] = []

    class Noted:
        def __repr__(self) -> str:
            made.append(self)
            return "noted"

    def about() -> Any:
        made.append("about")
        return {}

    with recorded(logging.ERROR) as log:
        logger.warning("message_left", "left", about=about, key=Noted())
        assert made == []
        logger.error("late_call_failed", "failed", about=about, key=Noted())
    assert len(made) == 2
    assert len(log.records) == 1


def test_a_record_factory_with_names_of_ours_gives_way_and_keeps_what_we_do_not_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = logging.getLogRecordFactory()

    def own(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.method, record.key, record.event_name = "GET", "theirs", "request"
        return record

    monkeypatch.setattr(logging, "_logRecordFactory", own)
    with recorded() as log:
        logger.error("late_call_failed", "it failed", key="ours")
    assert fields_of(log.records[0]) == {"event_name": "late_call_failed", "method": "GET", "key": "ours"}


def test_an_error_with_fields_has_its_traceback() -> None:
    error = ValueError("oh")
    with recorded() as log:
        logger.error("late_call_failed", "it failed", exc_info=error, count=1)
    assert log.records[0].exc_info == (ValueError, error, None)


def test_hostile_values_make_plain_json() -> None:
    with recorded() as log:
        logger.error("late_call_failed", "it failed", key=Raises(), actor_name=OddText("a\ud800"), child_id=b"\xff")
    text = json.dumps(fields_of(log.records[0]), ensure_ascii=False).encode()
    said = json.loads(text)
    assert said.pop("key").startswith("<Raises instance at ")
    assert said == {
        "event_name": "late_call_failed",
        "actor_name": "a\\ud800",
        "child_id": "b'\\xff'",
    }


def test_no_field_has_the_name_of_an_attribute_of_a_record() -> None:
    plain = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName", "event", "level", "timestamp"}
    assert plain.isdisjoint({"event_name", *NAMES})


# The source


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text("utf-8"))


def is_logger(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.endswith("logger")


def lines_of(tree: ast.Module) -> Iterator[tuple[int, ast.expr | None]]:
    """Each place that writes a line, or hands the method on with `partial`: its line, and the event that it gives."""
    calls = {id(node.func): node.args for node in ast.walk(tree) if isinstance(node, ast.Call)}
    calls |= {
        id(node.args[0]): node.args[1:]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "partial"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in LEVELS and is_logger(node.value):
            args, place = calls.get(id(node), []), LEVELS[node.attr]
            yield node.lineno, args[place] if len(args) > place else None


def events_of(tree: ast.Module) -> set[str]:
    """All events that the texts of a module name: those of the vocabulary."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in EVENTS
    }


def has_event(event: ast.expr | None, tree: ast.Module) -> bool:
    """Whether an argument is an event: a text of the vocabulary, or a parameter of that type."""
    if isinstance(event, ast.Name):
        parameters = [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg == event.id]
        types = {ast.unparse(node.annotation) for node in parameters if node.annotation is not None}
        return types == {"EventName"}
    return isinstance(event, ast.Constant) and event.value in EVENTS


def test_each_line_that_the_source_writes_gives_an_event_of_the_vocabulary() -> None:
    found = 0
    for path, tree in modules():
        if path == "_runtime/log.py":
            continue
        for number, event in lines_of(tree):
            found += 1
            assert has_event(event, tree), f"{path}:{number}"
    assert found > 25


@pytest.mark.parametrize(
    "line", ["logger.error('no event of ours: %s', 1)", "partial(self._logger.log, 10, text)", "x = logger.info"]
)
def test_a_line_without_an_event_is_seen(line: str) -> None:
    tree = ast.parse(line)
    ((_, event),) = lines_of(tree)
    assert not has_event(event, tree)


def test_each_event_of_the_vocabulary_is_used() -> None:
    used = [
        events_of(tree) for path, tree in modules() if path not in ("_runtime/log_fields.py", "_program/instrument.py")
    ]
    assert set[str]().union(*used) == EVENTS


def test_only_safe_loggers_write() -> None:
    """The root logger, and those that a module makes of its own, have no fields and may raise."""
    for path, tree in modules():
        # The second one reads the log, and writes nothing. The third one names the logger of Hypercorn.
        if path in ("_runtime/log.py", "_observer/log_ring.py", "_observer_web/server.py"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "logging":
                assert node.attr in ("DEBUG", "INFO", "WARNING", "ERROR", "LogRecord"), f"{path}:{node.lineno}"


def test_each_wing_writes_to_the_logger_of_its_name() -> None:
    seen: set[str] = set()
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "SafeLogger":
                name = ast.literal_eval(node.args[0])
                # The wings of the observer have one name: _observer, _observer_web.
                wing = path.split("/")[0].removeprefix("_").partition("_")[0]
                assert name == f"trioreg.{wing}", path
                seen.add(name)
    assert seen == set(get_args(LoggerName))


# The docs


def test_the_docs_have_each_event_and_each_logger() -> None:
    assert table().keys() == EVENTS
    assert {row.logger for row in table().values()} | {"trioreg.pool"} == set(get_args(LoggerName))


def test_the_docs_have_each_field() -> None:
    assert set[str]().union(*(row.fields for row in table().values())) == set(NAMES)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_a_line_of_the_log_is_from_the_code_that_writes_it(level: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        getattr(logger, level)("key_failed", "a line")
    (record,) = caplog.records
    assert (record.pathname, record.funcName) == (
        __file__,
        "test_a_line_of_the_log_is_from_the_code_that_writes_it",
    )
