"""The loggers below ``trioreg``, with a promise: to log disturbs nothing.

The standard handlers show their own errors and go on. A handler of the user's may raise, and so may the `repr` of an
object in a log line. That is shown on stderr, as `logging` shows the errors of its handlers, and the runtime goes on.

Each line has an event and fields: `log_fields.py`. They are made only if the line is written.
"""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from .log_fields import Fields, set_fields
from .long_traceback import cut_traceback

if TYPE_CHECKING:
    from typing import Unpack

    from .log_fields import EventName, LoggerName, MakeFields

_reporter = logging.Handler()


class SafeLogger:
    """What the runtime needs of a `logging.Logger`. No method raises an `Exception`.

    Each method takes the event, the text with its arguments, and fields: as keyword arguments, as a function ``about``
    that makes them, or both.
    """

    __slots__ = ("_logger", "isEnabledFor")

    def __init__(self, name: LoggerName) -> None:
        self._logger = logging.getLogger(name)
        self.isEnabledFor = self._logger.isEnabledFor

    def log(
        self,
        level: int,
        event: EventName,
        message: str,
        *args: object,
        exc_info: BaseException | None = None,
        about: MakeFields | None = None,
        stack_level: int = 2,
        **fields: Unpack[Fields],
    ) -> None:
        try:
            if self.isEnabledFor(level):
                self._write(level, event, message, args, exc_info, about, fields, stack_level + 1)
        except Exception:
            # What shows the error may fail too: stderr may be closed, and `logging` may be told to make other records.
            with suppress(Exception):
                record = self._logger.makeRecord(self._logger.name, level, __file__, 0, message, args, None)
                _reporter.handleError(record)

    def debug(
        self,
        event: EventName,
        message: str,
        *args: object,
        about: MakeFields | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        self.log(logging.DEBUG, event, message, *args, about=about, stack_level=3, **fields)

    def info(
        self,
        event: EventName,
        message: str,
        *args: object,
        about: MakeFields | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        self.log(logging.INFO, event, message, *args, about=about, stack_level=3, **fields)

    def warning(
        self,
        event: EventName,
        message: str,
        *args: object,
        exc_info: BaseException | None = None,
        about: MakeFields | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        self.log(logging.WARNING, event, message, *args, exc_info=exc_info, about=about, stack_level=3, **fields)

    def error(
        self,
        event: EventName,
        message: str,
        *args: object,
        exc_info: BaseException | None = None,
        about: MakeFields | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        self.log(logging.ERROR, event, message, *args, exc_info=exc_info, about=about, stack_level=3, **fields)

    def report(
        self,
        error: BaseException,
        event: EventName,
        message: str,
        *args: object,
        about: MakeFields | None = None,
        **fields: Unpack[Fields],
    ) -> None:
        """Log an error that comes up in code that must not raise. This never raises.

        If a log handler or filter raises `SystemExit` or the like, that is printed here.
        """
        try:
            self.log(logging.ERROR, event, message, *args, exc_info=error, about=about, stack_level=3, **fields)
        except BaseException:
            # Without stderr it can't be shown.
            with suppress(Exception):
                traceback.print_exc()

    def _write(
        self,
        level: int,
        event: EventName,
        message: str,
        args: tuple[object, ...],
        error: BaseException | None,
        about: MakeFields | None,
        fields: Fields,
        stack_level: int,
    ) -> None:
        """`logging.Logger.log`, with fields, and with a long traceback cut: formatters take its text as it is."""
        path, line, function, _ = self._logger.findCaller(False, stack_level)
        exc_info = None if error is None else (type(error), error, error.__traceback__)
        record = self._logger.makeRecord(self._logger.name, level, path, line, message, args, exc_info, function)
        # A line is worth more than its fields.
        with suppress(Exception):
            fields = fields if about is None else {**about(), **fields}
        with suppress(MemoryError, RecursionError):
            set_fields(record, event, fields)
        if error is not None:
            with suppress(MemoryError, RecursionError):  # then it is shown as it is
                record.exc_text = cut_traceback(error)
        self._logger.handle(record)
