"""What a test sees of the log: the records, their fields, and the table of events in docs/logs.md."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import attrs

from trioreg._runtime.log_fields import NAMES

PAGE = Path(__file__).parent.parent.parent / "docs" / "logs.md"
CHILD = {"supervisor", "child_id", "actor", "actor_name", "restarts"}


@attrs.frozen
class Row:
    """One event in the table of the docs."""

    logger: str
    levels: list[str]
    fields: set[str]


def table() -> dict[str, Row]:
    """The table of events of the docs."""
    _, text = PAGE.read_text("utf-8").split("\n## The events\n")
    rows: dict[str, Row] = {}
    for event, logger, levels, _, fields in re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| ([A-Z, ]+) \| (.*?) \| (.*?)\s*\|$", text, re.MULTILINE
    ):
        assert event not in rows
        child = CHILD if fields.startswith("child") else set[str]()
        rows[event] = Row(f"trioreg.{logger}", levels.split(", "), child | set(re.findall(r"`(\w+)`", fields)))
    return rows


class Records(logging.Handler):
    """A handler that keeps the records of trioreg."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, event: str) -> list[logging.LogRecord]:
        return [record for record in self.records if fields_of(record)["event_name"] == event]


@contextmanager
def recorded(level: int = logging.DEBUG) -> Generator[Records]:
    """The records of trioreg in the block, from ``level`` on."""
    logger, records = logging.getLogger("trioreg"), Records()
    before = logger.level
    logger.addHandler(records)
    logger.setLevel(level)
    try:
        yield records
    finally:
        logger.removeHandler(records)
        logger.setLevel(before)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields of a record that are not None."""
    return {name: vars(record)[name] for name in ("event_name", *NAMES) if vars(record)[name] is not None}
