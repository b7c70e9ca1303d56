"""Actors on demand against a plain model: random programs of senders, ends and crashes, under random schedules.

The model knows no life: it knows what was sent to which key. Each message that was taken is handled exactly once, in
the order of its sender. If a life is cut off (a crash, a kill, a cancellation), what it had may be lost, but not in
silence: a call says so, and the log counts the rest.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from typing import Any, Literal

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.carts import Cart, Shop
from trio.testing import MockClock

from trioreg import ActorExited, Backoff, MailboxFull, NotRegistered, NotRunning, open_on_demand

Form = Literal["call", "cast", "cast_nowait", "send_nowait"]
End = Literal["stop", "stop itself", "crash", "kill", "cancel"]
KEYS = ("a", "b", "c")
TIMES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0, 3.5])


@attrs.frozen
class Step:
    """One message of a sender."""

    pause: float
    key: str
    form: Form
    seconds: float
    patience: float | None


@attrs.frozen
class Program:
    senders: tuple[tuple[Step, ...], ...]
    ends: tuple[tuple[float, str, End], ...]
    retire_after: float
    max_running: int | None
    mailbox_size: int | None
    start_takes: float
    stop_takes: float
    backoff: Backoff | None
    is_closed_at: float | None

    @property
    def cuts_off(self) -> bool:
        return any(how in ("crash", "kill", "cancel") for _, _, how in self.ends)


steps = st.builds(
    Step,
    TIMES,
    st.sampled_from(KEYS),
    st.sampled_from(["call", "cast", "cast_nowait", "send_nowait"]),
    st.sampled_from([0.0, 0.0, 1.0]),
    st.sampled_from([None, None, None, 1.0]),
)
programs = st.builds(
    Program,
    st.lists(st.lists(steps, max_size=5).map(tuple), max_size=4).map(tuple),
    st.lists(
        st.tuples(TIMES, st.sampled_from(KEYS), st.sampled_from(["stop", "stop itself", "crash", "kill", "cancel"])),
        max_size=4,
    ).map(tuple),
    st.sampled_from([1.0, 2.0, 1000.0]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, None, 1, 2]),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([0.0, 0.7]),
    st.sampled_from([None, Backoff(initial=0.5, maximum=4)]),
    st.sampled_from([None, None, 2.0]),
)


class Watched(Cart):
    async def handle(self, what: Any, seconds: float) -> Any:
        return await self.note_slowly(what, seconds)

    def handle_now(self, what: Any) -> Any:
        return self.note(what)

    async def on_message(self, message: Any) -> None:
        self.note(message)


class World:
    """Runs a program, and says what is wrong with what came of it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.shop = Shop()
        self.shop.start_takes = program.start_takes
        self.shop.stop_takes = program.stop_takes
        self.sent: defaultdict[str, list[Any]] = defaultdict(list)
        self.unsure: set[Any] = set()
        self.problems: list[str] = []

        class Sized(Watched):
            mailbox_size = program.mailbox_size

        self.cls = Sized
        options: dict[str, Any] = {} if program.max_running is None else {"max_running": program.max_running}
        self.carts: Any = self.shop.carts(
            Sized, retire_after=program.retire_after, backoff=program.backoff, shutdown=100, **options
        )

    async def send(self, sender: int, messages: tuple[Step, ...]) -> None:
        for number, step in enumerate(messages):
            await trio.sleep(step.pause)
            what = (sender, number)
            address = self.carts.via(step.key)
            method, args = (self.cls.handle, (what, step.seconds)) if step.seconds else (self.cls.handle_now, (what,))
            try:
                if step.form == "cast_nowait":
                    address.cast_nowait(method, *args)
                elif step.form == "send_nowait":
                    address.send_nowait(what)
                else:
                    with trio.move_on_after(float("inf") if step.patience is None else step.patience) as scope:
                        if step.form == "cast":
                            await address.cast(method, *args)
                        else:
                            answer = await address.call(method, *args)
                            if answer != what:
                                self.problems.append(f"{what} got the answer {answer}")
                    if scope.cancelled_caught:
                        if step.form == "call":
                            self.unsure.add(what)  # its handler may have begun
                            self.sent[step.key].append(what)
                        continue
            except MailboxFull:
                continue
            except NotRunning:
                if self.program.is_closed_at is None or trio.current_time() < self.program.is_closed_at:
                    self.problems.append(f"{what} was refused: not running")
                continue
            except ActorExited as error:
                is_closed = self.program.is_closed_at is not None and trio.current_time() >= self.program.is_closed_at
                if not self.program.cuts_off and not (is_closed and not error.was_sent):
                    self.problems.append(f"{what} met {error!r}")
                self.unsure.add(what)
            self.sent[step.key].append(what)

    async def end(self, at: float, key: str, how: End) -> None:
        await trio.sleep(at)
        address = self.carts.via(key)
        try:
            if how == "stop":
                await address.stop()
            elif how == "stop itself":
                address.cast_nowait(self.cls.finish)
            elif how == "crash":
                address.cast_nowait(self.cls.crash)
            else:
                ref = self.carts.whereis(key)
                if ref is None:
                    return
                (ref.kill if how == "kill" else ref.cancel)()
        except (NotRegistered, NotRunning, MailboxFull):
            pass

    async def watch(self) -> None:
        limit = self.program.max_running
        while True:
            await trio.sleep(0.1)
            running = [ref for ref in self.shop.refs.values() if ref.is_alive]
            if limit is not None and len(running) > limit:
                self.problems.append(f"{len(running)} run at once")

    async def run(self) -> None:
        at = self.program.is_closed_at
        async with trio.open_nursery() as nursery:
            # The senders go on when the block has been left, if the program says when.
            async with open_on_demand(self.carts), trio.open_nursery() as inner:
                inner.start_soon(self.watch)
                async with trio.open_nursery() as sending:
                    senders = sending if at is None else nursery
                    for sender, messages in enumerate(self.program.senders):
                        senders.start_soon(self.send, sender, messages)
                    for end in self.program.ends:
                        senders.start_soon(self.end, *end)
                    await trio.sleep(at or 0)
                inner.cancel_scope.cancel()
            if len(self.carts) or self.carts.registry.count():
                self.problems.append(f"left behind: {self.carts.items()}")
        self.check()

    def check(self) -> None:
        handled = Counter(what for messages in self.shop.handled.values() for what in messages)
        for what, count in handled.items():
            if count > 1:
                self.problems.append(f"{what} was handled {count} times")
        lost = 0
        for key in KEYS:
            seen = self.shop.handled[key]
            sent = self.sent[key]
            for what in sent:
                if what not in handled and what not in self.unsure:
                    lost += 1
            for what in seen:
                if what not in sent:
                    self.problems.append(f"{what} was handled by {key}, and was not sent there")
            for sender in range(len(self.program.senders)):
                order = [what for what in seen if what[0] == sender]
                if order != sorted(order):
                    self.problems.append(f"out of order at {key}: {order}")
        self.lost = lost


class Unhandled(logging.Handler):
    """Counts what the log says was lost: messages left in a mailbox."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"with (\d+) unhandled message", record.getMessage())
        if found:
            self.count += int(found[1])


def problems_of(program: Program) -> list[str]:
    log = Unhandled()
    logger = logging.getLogger("trioreg")
    logger.addHandler(log)
    level, logger.level = logger.level, logging.WARNING
    logger.propagate = False
    try:
        world = World(program)
        trio.run(world.run, clock=MockClock(autojump_threshold=0))
    finally:
        logger.propagate = True
        logger.level = level
        logger.removeHandler(log)
    problems = world.problems
    if not program.cuts_off and world.lost:
        problems.append(f"{world.lost} messages were lost")
    # A handler that is cut off has been noted. The messages of the ends themselves may be left too.
    if world.lost > log.count:
        problems.append(f"{world.lost} messages were lost, and the log says {log.count}")
    return problems


@settings(max_examples=3 * settings().max_examples)
@given(programs)
def test_each_message_is_handled_once_and_in_order_whatever_it_meets(program: Program) -> None:
    assert problems_of(program) == []


BUSY = tuple(
    tuple(Step(0.0, key, form, 1.0, None) for key in KEYS for form in ("cast_nowait", "call")) for _ in range(3)
)


@pytest.mark.parametrize("at", [0.0, 0.3, 0.7, 1.0, 1.4, 2.0])
@pytest.mark.parametrize("how", ["stop", "stop itself", "crash", "kill", "cancel"])
def test_an_end_under_load_loses_nothing_in_silence(how: End, at: float) -> None:
    for max_running in (None, 1, 2):
        end: tuple[float, str, End] = at, "a", how
        program = Program(BUSY, (end, end), 1.0, max_running, None, 0.7, 0.7, None, None)
        assert problems_of(program) == []
