"""Tests the inside: `CallCycle` comes exactly where a wait would never end.

A random program runs twice with the same schedule: as it is, and without any search for cycles. If the first run
refuses a wait, that wait never ends in the second run. If the first run refuses none, none of its waits hangs.
"""

from __future__ import annotations

import pytest
from hypothesis import event, example, given
from support.deadlocks import PARENT, Program, Step, programs, run


def asks(*steps: Step) -> Program:
    return Program(((Step("call", 0, (steps,)),),))


# The second task of the race waits, by way of an actor on demand, for the actor that races. That is a cycle only
# because the first task of the race is stuck too.
RACE_FOR_ROOM = asks(
    Step(
        "race",
        parts=(
            (Step("sleep", 1), Step("demand", 2, ((),))),
            (Step("many", parts=((Step("demand", 3, ((Step("ping"),),)),),)),),
        ),
    )
)


@example(RACE_FOR_ROOM)
@given(programs(claims=False))
def test_a_wait_is_refused_if_and_only_if_it_would_never_end(program: Program) -> None:
    assert not hangs(program)


@given(programs(claims=True))
def test_in_programs_with_claims_of_workers_no_wait_that_would_end_is_refused(program: Program) -> None:
    # The program may hang: a task claims a worker, and waits for an actor that waits for this worker (docs/pool.md).
    hangs(program)


def hangs(program: Program) -> bool:
    """Whether a program hangs and refuses no wait. If it refuses a wait, this wait has to hang without the search."""
    seen = run(program, searches=True)
    if seen.refused is None:
        event("nothing is refused")
        return bool(seen.hung)
    number, step, error = seen.refused
    event(f"refused: {step.kind}")
    assert number in run(program, searches=False).hung, error
    return False


@pytest.mark.parametrize(
    "step",
    [
        Step("ping", 0),
        Step("call", 1, ((Step("ping", 0),),)),
        Step("on_start", 0, ((Step("ping", PARENT),),)),
        Step("many", 0, ((Step("ping", 0),),)),
        Step("race", 0, ((Step("ping", 0),), (Step("call", 1, ((Step("ping", 0),),)),))),
        Step("pool", 0, ((Step("pool"),),)),
        Step("demand", 1, ((Step("demand", 2),),)),
        Step("get", 1, ((Step("ping", 0),),)),
    ],
    ids=lambda step: step.kind,
)
def test_the_programs_have_cycles_that_are_found(step: Step) -> None:
    """A check of this test itself: without the search these programs hang."""
    seen = run(asks(step), searches=True)
    assert seen.refused is not None
    assert seen.refused[0] in run(asks(step), searches=False).hung


def test_the_programs_have_waits_that_end() -> None:
    assert not run(asks(Step("start", 0, ((Step("ping", PARENT),),))), searches=False).hung
