"""The logger ``trioreg``, with a promise: to log disturbs nothing.

The standard handlers show their own errors and go on. A handler of the user's may raise, and so may the `repr` of an
object in a log line. That is shown on stderr, as `logging` shows the errors of its handlers, and the runtime goes on.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from .long_traceback import cut_traceback

if TYPE_CHECKING:
    from types import TracebackType

    ExcInfo = bool | BaseException | tuple[type[BaseException], BaseException, TracebackType | None] | None

_logger = logging.getLogger("trioreg")
_reporter = logging.Handler()


class SafeLogger:
    """What the runtime needs of a `logging.Logger`. No method raises an `Exception`."""

    __slots__ = ()

    isEnabledFor = staticmethod(_logger.isEnabledFor)

    def log(self, level: int, message: str, *args: object, exc_info: ExcInfo = None, stack_level: int = 2) -> None:
        try:
            error = sys.exception() if exc_info is True else exc_info
            cut = cut_traceback(error) if isinstance(error, BaseException) and _logger.isEnabledFor(level) else None
            if cut is None:
                _logger.log(level, message, *args, exc_info=exc_info, stacklevel=stack_level)
            else:
                _log_with_text(level, message, args, cast("BaseException", error), cut, stack_level + 1)
        except Exception:
            # What shows the error may fail too: stderr may be closed, and `logging` may be told to make other records.
            with suppress(Exception):
                record = _logger.makeRecord(_logger.name, level, __file__, 0, message, args, None)
                _reporter.handleError(record)

    def debug(self, message: str, *args: object) -> None:
        self.log(logging.DEBUG, message, *args, stack_level=3)

    def info(self, message: str, *args: object) -> None:
        self.log(logging.INFO, message, *args, stack_level=3)

    def warning(self, message: str, *args: object, exc_info: ExcInfo = None) -> None:
        self.log(logging.WARNING, message, *args, exc_info=exc_info, stack_level=3)

    def error(self, message: str, *args: object, exc_info: ExcInfo = None) -> None:
        self.log(logging.ERROR, message, *args, exc_info=exc_info, stack_level=3)

    def exception(self, message: str, *args: object) -> None:
        self.log(logging.ERROR, message, *args, exc_info=True, stack_level=3)


def _log_with_text(
    level: int, message: str, args: tuple[object, ...], error: BaseException, text: str, stack_level: int
) -> None:
    """`logging.Logger.log`, with the text of the traceback made already: formatters take it as it is."""
    path, line, function, _ = _logger.findCaller(False, stack_level)
    exc_info = type(error), error, error.__traceback__
    record = _logger.makeRecord(_logger.name, level, path, line, message, args, exc_info, function)
    record.exc_text = text
    _logger.handle(record)


logger = SafeLogger()
