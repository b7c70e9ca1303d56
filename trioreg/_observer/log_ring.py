"""The last lines of the log, as texts: a `logging` handler on the logger ``trioreg``.

It changes no level and no filter of the program, and it keeps no record: no exception, no frame and no object of the
user's. It goes away with its `LogRing`, also if that is only garbage. Of the message in which an actor crashed, it has
the arguments only if the class of the actor has ``log_state = True``.

Must never happen: a line that the program would have seen without an observer, and does not see with one; an error in
the code that writes a line.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections import deque
from time import monotonic
from typing import TypedDict
from weakref import finalize, ref

from .._actors import CrashDetails
from .._runtime import one_line, text_of

LINES = 1000
"""How many lines are kept."""

MESSAGE = 1000
"""How many characters of the text of a line are kept."""

DETAILS = 4000
"""How many characters of a traceback are kept."""

FRAMES = 30
"""How many frames of an error are shown: the innermost ones."""

TRACEBACKS = 50
"""How many tracebacks are made in a second. To make one takes part of a millisecond of the loop's time."""

_LOGGER = "trioreg"

_NUMBER = re.compile(r"#(\d{1,18})>")


class LogLine(TypedDict):
    """One line of the log.

    Attributes:
        number: Counted by this observer, from 1.
        clock: When, as Unix time, in seconds.
        severity: The level as a number: 30 is a warning.
        level: ``"DEBUG"``, ``"INFO"``, ``"WARNING"``, ``"ERROR"`` or ``"CRITICAL"``.
        logger: The logger, as in ``"trioreg.supervision"``.
        event: What happened, as in ``"restarted"``; empty if the line has no event.
        path: The path of the supervisor; empty if the line has none.
        actor: The number of the actor, if the line is about one.
        message: The text, in one line.
        details: The traceback of a crash, or an empty text.
    """

    number: int
    clock: float
    severity: int
    level: str
    logger: str
    event: str
    path: str
    actor: int | None
    message: str
    details: str


class LogRing:
    """The last 1,000 lines that the loggers of trioreg have written since this was made."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=LINES)
        self._handler = _RingHandler(self)
        self.attach()
        finalize(self, _remove, self._handler)

    def attach(self) -> None:
        """Take the lines from now on, also if the program has set up its logging anew. Nothing, if it does so."""
        logging.getLogger(_LOGGER).addHandler(self._handler)

    def detach(self) -> None:
        """Take no more lines, until the next `attach`. What is kept stays."""
        _remove(self._handler)

    def lines(self) -> list[LogLine]:
        """What is kept, the newest first. Not a checkpoint."""
        return list(self._lines)[::-1]

    def add(self, line: LogLine) -> None:
        """One more line. Safe from any thread."""
        self._lines.append(line)


class _RingHandler(logging.Handler):
    """Puts each record as texts into a ring. It does not keep the ring."""

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self.count = 0
        self._ring = ref(ring)
        self._second = 0.0
        self._tracebacks = 0

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _pass_on(self, record)
        finally:
            ring = self._ring()
            if ring is not None:
                try:
                    line = self._line(record)  # the `str` of an argument may write lines of its own
                    self.count = line["number"] = self.count + 1
                    ring.add(line)
                except Exception:  # anything can be in a record
                    self.handleError(record)

    def _line(self, record: logging.LogRecord) -> LogLine:
        actor = _NUMBER.search(str(_field(record, "actor")))
        return LogLine(
            number=0,
            clock=record.created,
            severity=record.levelno,
            level=record.levelname,
            logger=record.name,
            event=_field(record, "event_name"),
            path=_field(record, "supervisor"),
            actor=None if actor is None else int(actor[1]),
            message=_message_of(record),
            details=self._details(record),
        )

    def _details(self, record: logging.LogRecord) -> str:
        """The traceback. Of very many errors in one second, only what they say."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return ""
        now = monotonic()
        if now - self._second >= 1:
            self._second, self._tracebacks = now, 0
        self._tracebacks += 1
        try:
            if self._tracebacks > TRACEBACKS:
                lines = traceback.format_exception_only(error)
                lines.append("(of so many errors in one second, no traceback is kept)")
            else:
                lines = [record.exc_text] if record.exc_text else traceback.format_exception(error, limit=-FRAMES)
        except Exception as failure:
            lines = [f"<{type(error).__name__}, whose traceback raises {type(failure).__name__}>"]
        text = "".join(lines).rstrip()
        if len(text) > DETAILS:
            text = f"{text[: DETAILS // 4]}\n...\n{text[-(DETAILS - DETAILS // 4 - 5) :]}"  # what it says is at its end
        return "\n".join(map(one_line, text.split("\n")))[:DETAILS]


def _message_of(record: logging.LogRecord) -> str:
    try:
        args = record.args
        if isinstance(args, tuple) and any(isinstance(each, CrashDetails) for each in args):
            text = record.msg % tuple(each.public if isinstance(each, CrashDetails) else each for each in args)
        else:
            text = record.getMessage()
    except Exception as error:
        text = f"{text_of(record.msg)} <of which an argument raises {type(error).__name__}>"
    line = one_line(text[: MESSAGE + 1])
    return line if len(line) <= MESSAGE else f"{line[: MESSAGE - 3]}..."


def _field(record: logging.LogRecord, name: str) -> str:
    return text_of(vars(record).get(name)) or ""


def _remove(handler: _RingHandler) -> None:
    """Into a new list: `logging` may be going through the old one, and would pass by the handler behind this one."""
    logger = logging.getLogger(_LOGGER)
    logger.handlers = [each for each in logger.handlers if each is not handler]


def _pass_on(handler: _RingHandler, record: logging.LogRecord) -> None:
    """A program without any handler sees its warnings all the same: what `logging` itself does for these.

    With this handler in the chain, `logging` does not see that there is no other. Of several observers, the first does
    this.
    """
    logger: logging.Logger | None = logging.getLogger(record.name)
    is_first = True
    while logger is not None:
        for each in logger.handlers:
            if not isinstance(each, _RingHandler):
                return
            if is_first and each is not handler:
                return
            is_first = False
        logger = logger.parent if logger.propagate else None
    last = logging.lastResort
    if last is not None and record.levelno >= last.level:
        last.handle(record)
