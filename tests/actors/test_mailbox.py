"""Mailboxes: order, bounds, and the senders that wait for room."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from support.cancellation import Cancelling, sweep
from support.errors import Bang
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import Actor, ActorExited, ActorRef, Address, MailboxFull, Registry


class Box(Actor):
    """Its mailbox has room for two messages, and a handler can block it."""

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

    def itself(self) -> Box:
        return self

    def note(self, text: object) -> object:
        self.notes.append(text)
        return text

    async def on_message(self, message: object) -> None:
        self.notes.append(message)


async def blocked(supervisor: Any, method: Any = Box.block, **options: Any) -> tuple[ActorRef[Box], Box]:
    """A `Box` that is busy, with an empty mailbox, and its state."""
    ref: ActorRef[Box] = await supervisor.start_child(Box, **{"restart": "temporary", **options})
    box = await ref.call(Box.itself)
    ref.cast_nowait(method)
    await wait_all_tasks_blocked()
    return ref, box


async def full(supervisor: Any, method: Any = Box.block, **options: Any) -> tuple[ActorRef[Box], Box]:
    """A `Box` that is busy, with a mailbox that has no room, and its state."""
    ref, box = await blocked(supervisor, method, **options)
    ref.cast_nowait(Box.note, 1)
    ref.cast_nowait(Box.note, 2)
    return ref, box


async def note(box: Address[Box], operation: str) -> None:
    """Have the box note "mine", by a cast, a message or a call."""
    if operation == "cast":
        await box.cast(Box.note, "mine")
    elif operation == "send":
        await box.send("mine")
    else:
        await box.call(Box.note, "mine")


async def test_a_full_mailbox_raises_mailbox_full_in_the_nowait_forms(autojump_clock: MockClock) -> None:
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


async def test_senders_get_room_first_come_first_served(autojump_clock: MockClock) -> None:
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
            with pytest.raises(MailboxFull):  # the mailbox is full, and no sender overtakes another
                ref.cast_nowait(Box.note, "impatient")
            box.gate.set()
        await wait_all_tasks_blocked()
        assert box.notes == list(range(12))


async def test_a_mailbox_never_has_more_messages_than_its_size(autojump_clock: MockClock) -> None:
    most = 0

    class Counting(Box):
        async def slow(self) -> None:
            nonlocal most
            most = max(most, self.ref.statistics().queued)
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
async def test_a_message_cancelled_at_any_checkpoint_of_its_wait_for_room_is_handled_once_or_withdrawn(
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
            # The mailbox has all its room again.
            ref.cast_nowait(Box.note, 3)
            ref.cast_nowait(Box.note, 4)
            await wait_all_tasks_blocked()
            assert box.notes[-2:] == [3, 4]

    await sweep(attempt)


async def test_a_withdrawn_call_makes_room_for_the_next_sender(autojump_clock: MockClock) -> None:
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
async def test_a_sender_that_waits_for_room_gets_actor_exited_when_the_actor_ends(
    end: str, autojump_clock: MockClock
) -> None:
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
async def test_a_sender_by_name_that_waits_for_room_gets_actor_exited_for_that_life(
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
async def test_a_sender_by_a_waiting_name_that_waits_for_room_reaches_the_next_life(
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
        assert (await successor.call(Box.itself)).notes == ["mine"]


async def test_a_stop_finds_room_in_a_full_mailbox(autojump_clock: MockClock) -> None:
    async with supervised() as supervisor, trio.open_nursery() as nursery:
        ref, box = await full(supervisor)
        nursery.start_soon(ref.stop)
        await wait_all_tasks_blocked()
        box.gate.set()
        assert (await ref.wait()).reason == "normal"
        assert box.notes == [1, 2]


@pytest.mark.parametrize("size", [0, -1, 1.5, "2", True])
async def test_a_wrong_mailbox_size_is_refused_before_anything_starts(size: Any, autojump_clock: MockClock) -> None:
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


async def test_an_unbounded_mailbox_takes_any_number_of_messages(autojump_clock: MockClock) -> None:
    class Endless(Box):
        mailbox_size = None

    async with supervised() as supervisor:
        ref = await supervisor.start_child(Endless)
        for number in range(10_000):
            ref.cast_nowait(Box.note, number)
        await ref.call(Box.note, 10_000)
        assert (await ref.call(Box.itself)).notes == list(range(10_001))
