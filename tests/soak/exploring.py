"""Part ``explore``: random programs under many schedules each. A round is one program of one scenario."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from random import Random

from soak import group_scenarios, message_scenarios, names_scenarios, supervision_scenarios
from soak.parts import Figures, Part
from trioreg.testing import explore

Scenario = Callable[[Random], Awaitable[None]]

SCENARIOS: list[Scenario] = [
    *names_scenarios.SCENARIOS,
    *supervision_scenarios.SCENARIOS,
    *message_scenarios.SCENARIOS,
    *group_scenarios.SCENARIOS,
]

SCHEDULES = 40
"""How many schedules each program is run under."""


@contextmanager
def no_log() -> Generator[None]:
    """Nothing is logged: the crashes are planned, and their tracebacks cost more than the rest."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def explore_program(scenario: Scenario, number: int, *, schedules: int = SCHEDULES) -> Figures:
    """Run the program that a scenario makes of a number, under some schedules."""

    async def program() -> None:
        await scenario(Random(number))

    with no_log():
        try:
            explored = explore(program, runs=schedules, seed=number * schedules)
        except BaseException as error:
            error.add_note(f"in {scenario.__name__}(Random({number}))")
            raise
    return Counter({"programs": 1, "runs": explored.runs, "schedules": explored.schedules})


def explore_one(seed: int) -> Figures:
    """Each seed has its scenario, and within it its program."""
    return explore_program(SCENARIOS[seed % len(SCENARIOS)], seed // len(SCENARIOS))


PART = Part("explore", "random programs, each under many schedules", explore_one, least=len(SCENARIOS))
