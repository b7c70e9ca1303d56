"""Report an error that comes up in code that must not raise."""

from __future__ import annotations

import traceback
from contextlib import suppress

from .log import logger


def report(error: BaseException, message: str, *args: object) -> None:
    """Log an error with its traceback. Never raises.

    The log shows the errors of the user's handlers itself (`log.py`). If a handler or filter raises `SystemExit` or the
    like, that is printed here.
    """
    try:
        logger.error(message, *args, exc_info=error)
    except BaseException:
        # Without stderr it can't be shown.
        with suppress(Exception):
            traceback.print_exc()
