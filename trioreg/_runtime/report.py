"""Report an error that has nowhere to go, as the code in which it came up must not raise."""

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
