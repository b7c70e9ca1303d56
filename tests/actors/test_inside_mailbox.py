"""Tests the inside: the class `Mailbox`, against a list that does the same."""

from __future__ import annotations

import time
from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from trioreg._actors import mailbox as mailbox_module
from trioreg._actors.mailbox import _COMPACT, Mailbox


def all_of(mailbox: Mailbox) -> list[tuple[object, object]]:
    """All messages, taken out."""
    return list(iter(mailbox.take, None))


@given(st.lists(st.sampled_from(["put", "take", "withdraw first", "withdraw middle", "withdraw last"]), max_size=200))
def test_the_mailbox_class_is_a_queue_from_which_any_message_can_be_withdrawn(steps: list[str]) -> None:
    mailbox = Mailbox(None, 0)
    model: list[object] = []
    for step in steps:
        if step == "put":
            message = object()
            mailbox.put("kind", message)
            model.append(message)
        elif step == "take":
            expected = ("kind", model.pop(0)) if model else None
            assert mailbox.take() == expected
        elif model:
            index = {"withdraw first": 0, "withdraw middle": len(model) // 2, "withdraw last": -1}[step]
            mailbox.withdraw(model.pop(index))
        assert mailbox.queued == len(model)
    assert all_of(mailbox) == [("kind", message) for message in model]
    assert mailbox.queued == 0


@given(
    st.sampled_from([None, 1, 2]),
    st.sampled_from([0, 2, _COMPACT]),
    st.lists(
        st.sampled_from(["put", "line up", "put first", "take", "park", "withdraw", "withdraw last", "give up"]),
        max_size=100,
    ),
)
def test_the_mailbox_class_with_a_parked_taker_and_a_limit_is_still_that_queue(
    limit: int | None, compact_at: int, steps: list[str]
) -> None:
    def wake(task: SimpleNamespace) -> None:
        task.custom_sleep_data = None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailbox_module, "wake", wake)
        patch.setattr(mailbox_module, "_COMPACT", compact_at)
        mailbox = Mailbox(limit, 0)
        task = SimpleNamespace(custom_sleep_data=None)
        mailbox.taker = cast("Any", task)
        model: list[object] = []
        waiting: list[object] = []
        peak = 0
        is_woken = False
        for step in steps:
            message = object()
            is_full = limit is not None and len(model) >= limit
            if step == "put" and not is_full:
                mailbox.put("kind", message)
                model.append(message)
            elif step == "line up":
                mailbox.put_or_line_up("kind", message)
                (waiting if is_full else model).append(message)
            elif step == "put first" and is_woken:
                mailbox.put_first("kind", message)
                model.insert(0, message)
            elif step == "take":
                assert mailbox.take() == (("kind", model.pop(0)) if model else None)
                task.custom_sleep_data = None
                is_woken = False
            elif step == "park" and not model and mailbox.take() is None:
                task.custom_sleep_data = mailbox
                is_woken = True
            elif step.startswith("withdraw") and model:
                mailbox.withdraw(model.pop(-1 if step == "withdraw last" else 0))
            elif step == "give up" and waiting:
                mailbox.withdraw(waiting.pop())
            while waiting and (limit is None or len(model) < limit):
                model.append(waiting.pop(0))
            peak = max(peak, len(model))
            assert (mailbox.queued, mailbox.peak) == (len(model), peak)
            assert not (mailbox.is_idle and model)
        assert all_of(mailbox) == [("kind", message) for message in model + waiting]


async def test_hundreds_of_withdrawn_messages_leave_the_others_in_order(autojump_clock: MockClock) -> None:
    mailbox = Mailbox(None, 0)
    messages = [object() for _ in range(1000)]
    for message in messages:
        mailbox.put("kind", message)
    for number, message in enumerate(messages):
        if number % 10:
            mailbox.withdraw(message)
    assert mailbox.queued == 100
    assert [mailbox.take() for _ in range(100)] == [("kind", message) for message in messages[::10]]
    assert mailbox.take() is None


async def test_a_message_from_a_finalizer_while_the_queue_is_made_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    mailbox = mailbox_module.Mailbox(None, 0)

    def made() -> deque[object]:
        monkeypatch.setattr(mailbox_module, "deque", deque)
        mailbox.put("kind", "farewell")
        return deque()

    monkeypatch.setattr(mailbox_module, "deque", made)
    mailbox.put("kind", "message")
    assert all_of(mailbox) == [("kind", "farewell"), ("kind", "message")]


def test_letting_in_a_message_that_waits_for_room_costs_the_same_however_many_wait() -> None:
    def seconds_for_one(waiting: int) -> float:
        mailbox = Mailbox(1, 0)
        for _ in range(waiting):
            mailbox.put_or_line_up("kind", object())
        began = time.process_time()
        for _ in range(waiting):
            mailbox.take()
        return (time.process_time() - began) / waiting

    few = min(seconds_for_one(1_000) for _ in range(5))
    assert seconds_for_one(200_000) < 10 * few
