"""The logger ``trioreg``, with a promise: to log disturbs nothing.

The standard handlers show their own errors and go on. A handler of the user's may raise, and so may the `repr` of an
object in a log line. That is shown on stderr, as `logging` shows the errors of its handlers, and the runtime goes on.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

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
            _logger.log(level, message, *args, exc_info=exc_info, stacklevel=stack_level)
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


logger = SafeLogger()
