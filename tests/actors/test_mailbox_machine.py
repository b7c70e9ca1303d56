"""The mailbox against a plain model: random programs, and some that chance rarely finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mailbox_actors import problems_of
from support.mailbox_programs import End, Form, Program, Sender, Step, programs


@settings(max_examples=5 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(programs, st.random_module())
def test_every_message_is_handled_once_and_in_order_or_accounted_for(program: Program, order_of_tasks: object) -> None:
    assert problems_of(program) == []


def one_call(**step: Any) -> tuple[Sender, ...]:
    return (Sender((Step(**step),)),)


@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("form", ["async", "mixed"])
def test_the_caller_of_a_handler_that_crashes_while_its_actor_is_ended_learns_of_the_crash(
    how: End, form: Form
) -> None:
    # The scheduler chooses which of the two comes first.
    program = Program(one_call(form=form, effect="crash", duration=1), ends=((1, 0, how),))
    assert [problems_of(program) for _ in range(10)] == [[]] * 10


@pytest.mark.parametrize("checkpoints", range(6))
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_an_actor_ended_between_two_messages_takes_no_other(how: End, checkpoints: int) -> None:
    burst = (Step(pause=1, operation="cast_nowait", form="sync"), *[Step(operation="cast_nowait", form="sync")] * 9)
    program = Program((Sender(burst),), ends=((1, checkpoints, how),), batch=1)
    assert [problems_of(program) for _ in range(10)] == [[]] * 10


def test_a_message_of_a_handler_to_itself_waits_until_the_coroutine_of_the_handler_has_ended() -> None:
    program = Program(one_call(pause=1, form="mixed", effect="note", duration=1))
    assert problems_of(program) == []


def test_a_handler_that_returns_a_coroutine_is_counted_once() -> None:
    program = Program(one_call(pause=1, form="mixed", duration=2))
    assert problems_of(program) == []


@pytest.mark.parametrize("form", ["async", "mixed"])
def test_a_call_given_up_before_its_reply_was_deferred_is_not_in_flight(form: Form) -> None:
    given_up = Step(form=form, effect="defer", duration=2, patience=("seconds", 1))
    program = Program((Sender((given_up, Step(pause=4, form="async", duration=1))),))
    assert problems_of(program) == []


def test_withdrawn_calls_never_raise_the_peak_above_the_mailbox_size() -> None:
    busy = Step(operation="cast", duration=9)
    withdrawn = Step(patience=("seconds", 1))
    program = Program((Sender((busy, withdrawn, withdrawn, withdrawn, withdrawn)),), mailbox_size=1)
    assert problems_of(program) == []
