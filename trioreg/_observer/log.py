"""The page of the log: the last lines of trioreg's loggers, the newest first, filtered by text or path and by level."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypedDict

import trio

from .log_ring import LogLine
from .pace import Pace
from .page import Page
from .window import Window
from .words import matches, words_of

if TYPE_CHECKING:
    from .observation import Observation
    from .params import Params

LEVELS = ("all", "warning", "error")
"""From which level on lines are shown."""

_LEAST = {"all": 0, "warning": logging.WARNING, "error": logging.ERROR}


class LogPage(TypedDict):
    """The data of the page.

    Attributes:
        lines: The lines on this page.
        total: How many lines are kept.
        matched: How many of them the filter lets through.
        q: The filter.
        level: From which level on.
        page: Which page this is, from 1.
        pages: How many pages there are.
    """

    lines: list[LogLine]
    total: int
    matched: int
    q: str
    level: str
    page: int
    pages: int


async def view(observation: Observation, params: Params) -> LogPage:
    """The log. A checkpoint; the cost grows with the lines that are kept, in slices.

    Params:
        q: Words: each must be in the text, the path, the event, the logger or the actor (``#5``) of a line.
        level: One of `LEVELS`.
        page: Which page, from 1.
    """
    observation.log.attach()
    pace, q, level = Pace(), params.text("q"), params.choice("level", LEVELS)
    words, window = words_of(q), Window[LogLine](params.whole("page", 1, least=1))
    lines = observation.log.lines()
    for line in lines:
        if line["severity"] >= _LEAST[level] and (not words or _matches(words, line)):
            window.add(line)
        if pace.is_over():
            await pace.rest()
    await trio.lowlevel.checkpoint()
    part = window.cut
    return LogPage(
        lines=[line.copy() for line in window.items],
        total=len(lines),
        matched=window.matched,
        q=q,
        level=level,
        page=part.page,
        pages=part.pages,
    )


def _matches(words: list[str], line: LogLine) -> bool:
    actor = "" if line["actor"] is None else f"#{line['actor']}"
    return matches(words, line["message"], line["path"], line["event"], line["logger"], actor)


PAGE = Page("log", "Log", view)
