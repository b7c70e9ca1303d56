"""An example sets up its log. When it runs in the process of the tests, that ends with its test."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What an example does to the loggers is undone."""
    loggers = [logging.getLogger(), logging.getLogger("trioreg")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    disabled = logging.root.manager.disable
    yield
    logging.disable(disabled)
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers = handlers
