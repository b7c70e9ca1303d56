"""Runs a program on both sides, and finds the first answer that differs."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager

import attrs
import trio

from .here import run_here
from .program import Program
from .terms import Term
from .there import Elixir
from .wire import decode


@attrs.frozen
class Mismatch:
    """The first answer that differs.

    Attributes:
        number: The number of the operation, from 0.
        here: What trioreg answered.
        there: What Elixir answered.
    """

    number: int
    here: Term
    there: Term


def first_mismatch(here: list[bytes], there: list[bytes]) -> Mismatch | None:
    for number, (ours, theirs) in enumerate(zip(here, there, strict=False)):
        if ours != theirs:
            return Mismatch(number, decode(ours), decode(theirs))
    assert len(here) == len(there)
    return None


def compare(program: Program, elixir: Elixir) -> Mismatch | None:
    """Run a program on both sides, at the same time."""
    elixir.send(program)
    here = run_on_trio(program)
    return first_mismatch(here, elixir.receive())


def run_on_trio(program: Program) -> list[bytes]:
    with quiet():
        return trio.run(run_here, program)


@contextmanager
def quiet() -> Generator[None]:
    """Owners crash on purpose here: their errors are not logged."""
    logger = logging.getLogger("trioreg")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
