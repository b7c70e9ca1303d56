"""Mailboxes: order, bounds, backpressure, and what becomes of those who wait for room."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from support.cancellation import Cancelling, sweep
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Address, MailboxFull, Registry
from trioreg._actors import mailbox as mailbox_module
from trioreg._actors.mailbox import _COMPACT, Mailbox


class Box(Actor):
    """It has room for two messages, and can be made to wait."""

    mailbox_size: int | None = 2

    def __init__(self) -> None:
        self.notes: list[object] = []
        self.gate = trio.Event()

    async def block(self) -> None:
        self.gate = trio.Event()
        await self.gate.wait()

    async def block_and_crash(self) -> None:
        await self.block()
        raise Bang

    def note(self, text: object) -> object:
        self.notes.append(text)
        return text

    async def on_message(self, message: object) -> None:
        self.notes.append(message)


def actor_of(ref: ActorRef[Box]) -> Box:
    assert ref._cell is not None
    assert isinstance(ref._cell.actor, Box)
    return ref._cell.actor


async def blocked(supervisor: Any, method: Any = Box.block, **options: Any) -> tuple[ActorRef[Box], Box]:
    """A `Box` that is busy, with an empty mailbox, and its state."""
    ref: ActorRef[Box] = await supervisor.start_child(Box, **{"restart": "temporary", **options})
    ref.cast_nowait(method)
    await wait_all_tasks_blocked()
    return ref, actor_of(ref)


async def full(supervisor: Any, method: Any = Box.block, **options: Any) -> tuple[ActorRef[Box], Box]:
    """A `Box` that is busy, with a mailbox that has no room, and its state."""
    ref, box = await blocked(supervisor, method, **options)
    ref.cast_nowait(Box.note, 1)
    ref.cast_nowait(Box.note, 2)
    return ref, box


async def note(box: Address[Box], operation: str) -> None:
    """Have it note "mine", by a cast, a message or a call."""
    if operation == "cast":
        await box.cast(Box.note, "mine")
    elif operation == "send":
        await box.send("mine")
    else:
        await box.call(Box.note, "mine")


async def test_a_full_mailbox_refuses_the_nowait_forms(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref, box = await blocked(supervisor)
        ref.cast_nowait(Box.note, 1)
        ref.send_nowait(2)
        with pytest.raises(MailboxFull) as caught:
            ref.cast_nowait(Box.note, 3)
        assert caught.value.ref is ref
        assert caught.value.size == 2
        assert isinstance(caught.value, trio.WouldBlock)
        with pytest.raises(MailboxFull):
            ref.send_nowait(3)
        box.gate.set()
        await wait_all_tasks_blocked()
        assert box.notes == [1, 2]
        ref.cast_nowait(Box.note, 3)
        await wait_all_tasks_blocked()
        assert box.notes == [1, 2, 3]


async def test_the_waiting_forms_wait_for_room_and_keep_their_order(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref, box = await blocked(supervisor)
        done: list[int] = []

        async def sender() -> None:
            for number in range(10):
                if number % 3 == 0:
                    await ref.cast(Box.note, number)
                elif number % 3 == 1:
                    await ref.send(number)
                else:
                    await ref.call(Box.note, number)
                done.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(sender)
            await wait_all_tasks_blocked()
            assert done == [0, 1]
            box.gate.set()
        await wait_all_tasks_blocked()
        assert box.notes == list(range(10))


async def test_those_who_wait_for_room_get_it_first_come_first_served(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref, box = await blocked(supervisor)

        async def cast(number: int) -> None:
            await ref.cast(Box.note, number)

        async def call(number: int) -> None:
            await ref.call(Box.note, number)

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(call if number % 2 else cast, number)
                await wait_all_tasks_blocked()
            with pytest.raises(MailboxFull):  # nobody overtakes
                ref.cast_nowait(Box.note, "impatient")
            box.gate.set()
        await wait_all_tasks_blocked()
        assert box.notes == list(range(12))


async def test_there_are_never_more_messages_than_the_mailbox_has_room_for(autojump_clock: MockClock) -> None:
    most = 0

    class Counting(Box):
        async def slow(self) -> None:
            nonlocal most
            assert self.ref._cell is not None
            most = max(most, self.ref._cell.queued)
            await trio.sleep(1)

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Counting)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ref.cast, Counting.slow)
                nursery.start_soon(ref.call, Counting.slow)
    assert most == 2


async def test_a_call_of_an_idle_actor_needs_no_room(autojump_clock: MockClock) -> None:
    class Small(Box):
        mailbox_size = 1

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Small)
        await wait_all_tasks_blocked()
        for number in range(3):
            assert await ref.call(Box.note, number) == number


@pytest.mark.parametrize("operation", ["cast", "send", "call"])
async def test_one_that_waits_for_room_and_is_cancelled_anywhere_was_not_sent_or_was_handled_once(
    operation: str, autojump_clock: MockClock
) -> None:
    async def open_later(box: Box) -> None:
        await trio.sleep(1)
        box.gate.set()

    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            ref, box = await blocked(supervisor)
            ref.cast_nowait(Box.note, 1)
            ref.cast_nowait(Box.note, 2)
            send: dict[str, Any] = {
                "cast": lambda: ref.cast(Box.note, "mine"),
                "send": lambda: ref.send("mine"),
                "call": lambda: ref.call(Box.note, "mine"),
            }
            async with trio.open_nursery() as nursery:
                nursery.start_soon(open_later, box)
                completed = await cancelling.run(send[operation])
            await wait_all_tasks_blocked()
            assert box.notes in ([1, 2], [1, 2, "mine"])
            assert not completed or box.notes == [1, 2, "mine"]
            # Room is room again.
            ref.cast_nowait(Box.note, 3)
            ref.cast_nowait(Box.note, 4)
            await wait_all_tasks_blocked()
            assert box.notes[-2:] == [3, 4]

    await sweep(attempt)


async def test_a_call_that_is_withdrawn_makes_room_for_who_waits(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor:
        ref, box = await blocked(supervisor)
        async with trio.open_nursery() as nursery:
            ref.cast_nowait(Box.note, 1)
            scope = trio.CancelScope()

            async def call() -> None:
                with scope:
                    await ref.call(Box.note, "withdrawn")

            async def cast() -> None:
                await ref.cast(Box.note, 2)

            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            nursery.start_soon(cast)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 0  # the cast has got in
            box.gate.set()
        await wait_all_tasks_blocked()
        assert box.notes == [1, 2]


@pytest.mark.parametrize("end", ["crash", "kill", "cancel", "stop"])
async def test_who_waits_for_room_learns_that_the_actor_has_ended(end: str, autojump_clock: MockClock) -> None:
    caught: list[ActorExited] = []

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref, box = await full(supervisor, Box.block_and_crash if end == "crash" else Box.block)

        async def send(operation: str) -> None:
            with pytest.raises(ActorExited) as info:
                await note(ref, operation)
            caught.append(info.value)

        for operation in ("cast", "send", "call"):
            nursery.start_soon(send, operation)
        await wait_all_tasks_blocked()
        if end == "crash":
            box.gate.set()
        elif end == "stop":
            nursery.start_soon(ref.stop)
            await wait_all_tasks_blocked()
            box.gate.set()
        else:
            getattr(ref, end)()
        exit = await ref.wait()
        await wait_all_tasks_blocked()
        assert "mine" not in box.notes
        assert len(caught) == 3
        for error in caught:
            assert error.ref is ref
            assert error.exit.reason == exit.reason
            assert isinstance(error.__cause__, Bang) == (end == "crash")
            assert not error.was_sent


@pytest.mark.parametrize("operation", ["cast", "send", "call"])
@pytest.mark.parametrize("restart", ["temporary", "permanent"])
async def test_who_waits_for_room_by_name_learns_of_the_life_it_waited_for(
    operation: str, restart: Any, autojump_clock: MockClock
) -> None:
    boxes: Registry[str, None] = Registry("boxes")
    via = boxes.via("box")

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref, box = await full(supervisor, Box.block_and_crash, name=via, restart=restart)

        async def send() -> None:
            with pytest.raises(ActorExited) as caught:
                await note(via, operation)
            assert caught.value.ref is ref
            assert caught.value.exit.reason == "crashed"
            assert isinstance(caught.value.__cause__, Bang)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        box.gate.set()


@pytest.mark.parametrize("operation", ["cast", "send", "call"])
async def test_who_waits_for_room_by_a_name_that_it_waits_for_comes_to_the_next_life(
    operation: str, autojump_clock: MockClock
) -> None:
    boxes: Registry[str, None] = Registry("boxes")
    via = boxes.via("box", wait=True)

    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref, box = await full(supervisor, Box.block_and_crash, name=boxes.via("box"), restart=None)

        async def send() -> None:
            await note(via, operation)

        nursery.start_soon(send)
        await wait_all_tasks_blocked()
        box.gate.set()
        await wait_all_tasks_blocked()
        successor: Any = boxes.whereis("box")
        assert successor is not ref
        assert actor_of(successor).notes == ["mine"]


async def test_a_stop_finds_room_in_a_full_mailbox(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref, box = await full(supervisor)
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        box.gate.set()
        assert (await ref.wait()).reason == "normal"
        assert box.notes == [1, 2]


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", True])
async def test_a_mailbox_size_that_is_none_is_refused_before_anything_starts(
    size: Any, autojump_clock: MockClock
) -> None:
    class Odd(Actor):
        mailbox_size = size

        def __init__(self) -> None:
            raise AssertionError("started")

    names: Registry[str, None] = Registry("names")
    async with supervised() as supervisor:
        before = supervisor.tree()
        with pytest.raises(ValueError, match="mailbox_size must be None or an int of at least 1"):
            await supervisor.start_child(Odd, name=names.via("odd"))
        assert names.count() == 0
        assert supervisor.tree() == before


async def test_an_unbounded_mailbox_takes_what_comes(autojump_clock: MockClock) -> None:
    class Endless(Box):
        mailbox_size = None

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Endless)
        for number in range(10_000):
            ref.cast_nowait(Box.note, number)
        await ref.call(Box.note, 10_000)
        assert actor_of(ref).notes == list(range(10_001))


# The mailbox itself, against a list that does the same


@given(st.lists(st.sampled_from(["put", "take", "withdraw first", "withdraw middle", "withdraw last"]), max_size=200))
def test_a_mailbox_is_a_queue_from_which_any_message_can_be_taken_back(steps: list[str]) -> None:
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
    assert mailbox.drain() == [("kind", message) for message in model]
    assert mailbox.queued == 0


@given(
    st.sampled_from([None, 1, 2]),
    st.sampled_from([0, 2, _COMPACT]),
    st.lists(
        st.sampled_from(["put", "line up", "put first", "take", "park", "withdraw", "withdraw last", "give up"]),
        max_size=100,
    ),
)
def test_the_place_for_the_message_that_wakes_the_taker_changes_nothing_of_that(
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
        assert mailbox.drain() == [("kind", message) for message in model]


async def test_messages_withdrawn_by_the_hundred_leave_the_others_in_order(autojump_clock: MockClock) -> None:
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
