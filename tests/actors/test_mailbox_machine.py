"""The mailbox against a naive model: random programs of senders, cancellations, crashes and ends; and each public
await of an actor cancelled at each of its checkpoints.

A `Program` is data: what hypothesis finds, it shrinks. A `World` runs one in virtual time and keeps the model: a list
of messages, each with the life it was sent to, whether a handler has begun it, and what its sender was told. Whatever
does not fit is written into `World.problems`, since an assertion in a handler would be one more crash.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, Never, TypeAlias, cast, get_args

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.cancellation import Cancelling, settle, sweep_steps
from support.errors import leaves
from support.supervisors import supervised
from trio.testing import MockClock, wait_all_tasks_blocked

from trioreg import (
    Actor,
    ActorExited,
    ActorRef,
    Address,
    Agent,
    ChildSpec,
    Exit,
    MailboxFull,
    NoReply,
    NotRegistered,
    Registry,
    Reply,
    current,
    raises,
    receive,
)
from trioreg._actors import cell as cell_module
from trioreg._actors import mailbox as mailbox_module
from trioreg._registry.registry import Via, WaitingVia

Operation = Literal["call", "cast", "cast_nowait", "send", "send_nowait"]
Form = Literal["sync", "async", "mixed"]
Effect = Literal[
    "answer",
    "refuse",
    "crash",
    "note crash",
    "stop crash",
    "cancel crash",
    "kill crash",
    "background crash",
    "stop",
    "cancel",
    "kill",
    "stop refuse",
    "cancel refuse",
    "kill refuse",
    "note",
    "stop note",
    "cancel note",
    "kill note",
    "background note",
    "defer",
    "stop defer",
    "cancel defer",
    "defer refusal",
    "answered",
    "keep",
    "forget",
]
End = Literal["stop", "cancel", "kill"]
Told = Literal["accepted", "answered", "refused", "no reply", "exited", "full", "unknown", "cancelled"]
Life: TypeAlias = ActorRef[Any]


class Bang(Exception):
    """A crash; with the key of the message whose handler crashed."""


class Refused(Exception):
    """A declared error; with the key of the message that was refused."""


# The program


@attrs.frozen
class Step:
    """One message of a sender.

    Attributes:
        pause: Seconds before it; 0 is no checkpoint at all.
        form: Of the handler; "mixed" is a sync one that gives a coroutine. A plain message has an async one.
        effect: What the handler does when it has taken its time.
        duration: How many seconds an async handler takes, or a deferred reply.
        patience: After how many seconds, or at which checkpoint, the operation is cancelled.
    """

    pause: int = 0
    operation: Operation = "call"
    form: Form = "async"
    effect: Effect = "answer"
    duration: int = 0
    patience: tuple[Literal["seconds", "checkpoint"], int] | None = None


@attrs.frozen
class Sender:
    """A task that sends its messages one after the other, to the first life or to whoever has the name."""

    steps: tuple[Step, ...]
    address: Literal["reference", "name", "waiting name"] = "reference"
    is_cancelled_at: int | None = None


@attrs.frozen
class Program:
    """Everything that happens.

    Attributes:
        kind: "plain" overrides no hook, "hooked" all of them (which are other ways through the runtime), "function" is
            a function actor: what would be a call or a cast to it is a plain message.
        ends: When somebody ends the life that has the name then: in seconds, and how many checkpoints later; and how.
        is_drained: Whether the supervisor's end waits until everything has been handled.
        batch, compact_at: For the constants of the runtime that short programs would never reach.
    """

    senders: tuple[Sender, ...]
    mailbox_size: int | None = None
    kind: Literal["plain", "hooked", "function"] = "plain"
    restart: Literal["permanent", "transient", "temporary"] = "permanent"
    ends: tuple[tuple[int, int, End], ...] = ()
    is_drained: bool = True
    batch: int = cell_module.BATCH
    compact_at: int = mailbox_module._COMPACT

    @property
    def horizon(self) -> float:
        """By when everything that can come to its end has."""
        steps = [step for sender in self.senders for step in sender.steps]
        lives = 1 + len(steps) + len(self.ends)
        return (
            sum(step.pause + 2 * step.duration + 1 for step in steps)
            + max((at for at, _, _ in self.ends), default=0)
            + (lives * (START + STOP) if self.kind == "hooked" else 0)
        )


START, STOP, IDLE = 1, 2, 3
"""How many seconds the hooks of a "hooked" actor take, and after how many it is idle."""

steps = st.builds(
    Step,
    pause=st.sampled_from([0, 0, 0, 1, 2]),
    operation=st.sampled_from(["call", "call", "cast", "cast_nowait", "send", "send_nowait"]),
    form=st.sampled_from(["sync", "async", "mixed"]),
    # Ends are rarer than the rest: a program of many short lives shows little of a mailbox.
    effect=st.sampled_from(
        ["answer"] * 16
        + ["note", "defer"] * 4
        + ["refuse", "defer refusal", "answered", "keep", "forget", "background note"] * 2
        + ["crash", "stop", "cancel", "kill"] * 2
        + ["background crash", "note crash", "stop crash", "cancel crash", "kill crash"]
        + ["stop refuse", "cancel refuse", "kill refuse", "stop defer", "cancel defer"]
        + ["stop note", "cancel note", "kill note"]
    ),
    duration=st.sampled_from([0, 0, 1, 2, 3]),
    patience=st.none() | st.none() | st.tuples(st.sampled_from(["seconds", "checkpoint"]), st.integers(0, 3)),
)
senders = st.builds(
    Sender,
    steps=st.lists(steps, min_size=1, max_size=8).map(tuple),
    address=st.sampled_from(["reference", "name", "waiting name"]),
    is_cancelled_at=st.none() | st.none() | st.integers(0, 9),
)
programs = st.builds(
    Program,
    senders=st.lists(senders, min_size=1, max_size=5).map(tuple),
    mailbox_size=st.sampled_from([None, 1, 2, 3]),
    kind=st.sampled_from(["plain", "plain", "hooked", "function"]),
    restart=st.sampled_from(["permanent", "transient", "temporary"]),
    ends=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.sampled_from(get_args(End))), max_size=2).map(
        tuple
    ),
    is_drained=st.booleans(),
    batch=st.sampled_from([1, cell_module.BATCH]),
    compact_at=st.sampled_from([0, mailbox_module._COMPACT]),
)


# The model


@attrs.define(eq=False)
class Message:
    """What the model knows of one message.

    Attributes:
        life: Where it was sent: the last that its address led to.
        sent_at: When it led there.
        is_begun, is_finished: Whether a handler has begun it, and has come to its end.
        is_kept: Whether its reply is one that the next message will answer.
        is_left: Whether a stopping actor sent it to itself: it gets in, but is not handled.
        told: What its sender learned; None while it waits.
    """

    key: tuple[int, int]
    step: Step
    life: Life | None = None
    sent_at: float = 0
    is_begun: bool = False
    is_finished: bool = False
    is_kept: bool = False
    is_left: bool = False
    told: Told | None = None
    error: Exception | None = None

    @property
    def is_call(self) -> bool:
        return self.step.operation == "call"

    def led_to(self, life: Life) -> None:
        self.life = life
        self.sent_at = trio.current_time()


class Followed(Via[str, None]):
    """A name that notes which life it led to."""

    def __init__(self, names: Registry[str, None], message: Message) -> None:
        super().__init__(names, "box", None)
        self._table = None  # every message goes through `_resolve`
        self.message = message

    def _resolve(self) -> ActorRef[Never]:
        ref = super()._resolve()
        self.message.led_to(ref)
        return ref

    def _find(self) -> cell_module.Cell | None:
        return self._resolve()._cell


class FollowedWaiting(WaitingVia[str, None]):
    """The same, of a name that is waited for."""

    def __init__(self, names: Registry[str, None], message: Message) -> None:
        super().__init__(names, "box", None)
        self._table = None  # every message goes through `_resolve`
        self.message = message

    def _resolve(self) -> ActorRef[Never]:
        ref = super()._resolve()
        if self.message.step.operation in ("cast_nowait", "send_nowait"):
            self.message.led_to(ref)
        return ref

    def _find(self) -> cell_module.Cell | None:
        return self._resolve()._cell

    async def _resolve_or_wait(self) -> ActorRef[Never]:
        ref = await super()._resolve_or_wait()
        self.message.led_to(ref)
        return ref


class World(logging.Handler):
    """One run of a program, and the model of it.

    Attributes:
        begun: For each life, the messages its handlers have begun, in turn.
        running: What a life is at work on.
        causes: Why a life may end: what its exit may be.
        exits: How those that have ended did.
        stopping, ended, stopped: The lives that were asked to stop; those that were cancelled, killed or have crashed;
            those whose `on_stop` has begun.
        unhandled: How many messages the log says each life has left.
    """

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        # A function actor's mailbox has no bound.
        self.size = None if program.kind == "function" else program.mailbox_size
        self.problems: list[str] = []
        self.messages: list[Message] = []
        self.names: Registry[str, None] = Registry("names")
        self.nursery: trio.Nursery = cast("trio.Nursery", None)
        self.first: Life = cast("Life", None)
        self.begun: dict[Life, list[Message]] = {}
        self.finished: Counter[Life] = Counter()
        self.running: dict[Life, object] = {}
        self.causes: dict[Life, list[str]] = {}
        self.exits: dict[Life, Exit] = {}
        self.stopping: set[Life] = set()
        self.ended: set[Life] = set()
        self.stopped: set[Life] = set()
        self.unhandled: Counter[Life] = Counter()
        self.senders_at_work = len(program.senders)
        self.ends_to_come = len(program.ends)

    def emit(self, record: logging.LogRecord) -> None:
        if "unhandled messages" in str(record.msg):
            life, _, left = cast("tuple[Life, Exit, int]", record.args)
            self.unhandled[life] += left

    def require(self, is_right: bool, problem: str, *what: object) -> None:
        if not is_right:
            self.problems.append(f"at {trio.current_time():g}: {problem} {' '.join(map(str, what))}".strip())

    # What the actor tells

    def born(self, life: Life) -> None:
        self.begun[life] = []
        self.nursery.start_soon(self.watch, life)

    async def watch(self, life: Life) -> None:
        exit = self.exits[life] = await life.wait()
        self.require(life.exit is exit and not life.is_alive, "a wait is over, but not the actor")
        self.require(self.names.whereis("box") is not life, "an ended actor has its name")
        causes = self.cause_of(life)
        if "crashed" in causes or "killed" in causes:
            # The errors of an actor are never lost, and a kill overrides.
            causes = {"crashed" if "crashed" in causes else "killed"}
        self.require(exit.reason in causes, "exit", exit, "for", causes)
        errors = [] if exit.error is None else leaves(exit.error)
        crashed = [message.key for message in self.begun[life] if message.step.effect.endswith("crash")]
        self.require(all(isinstance(error, Bang) and error.args[0] in crashed for error in errors), "errors", errors)
        self.require(bool(errors) == (exit.reason == "crashed"), "errors of", exit)

    def cause_of(self, life: Life) -> set[str]:
        return set(self.causes.get(life, ()))

    def cause(self, life: Life, reason: str) -> None:
        if life.is_alive:
            self.causes.setdefault(life, []).append(reason)
            if reason != "normal":
                self.ended.add(life)

    async def pass_time(self, seconds: int) -> None:
        """Sleep, but so that one who is woken and cancelled at the same moment is not cancelled."""
        is_over = trio.Event()

        async def wake() -> None:
            await trio.sleep(seconds)
            is_over.set()

        self.nursery.start_soon(wake)
        await is_over.wait()

    def begin(self, life: Life, message: Message) -> None:
        self.require(not message.is_begun, "handled twice:", message)
        self.require(message.told in (None, "accepted"), "handled after its sender was told otherwise:", message)
        self.require(message.life is life, "handled by another life than it was sent to:", message)
        # A function that is woken in `receive` and then cancelled still has what it was woken for, as anywhere in Trio.
        is_over = life in self.ended and self.program.kind != "function"
        self.require(life.is_alive and not is_over, "handled after the end:", message)
        self.require(not message.is_left, "handled after the stop:", message)
        self.require(life not in self.running, "two at a time:", self.running.get(life), message)
        message.is_begun = True
        self.running[life] = message
        self.begun[life].append(message)

    def finish(self, life: Life, message: Message) -> None:
        message.is_finished = True
        self.finished[life] += 1
        self.running.pop(life, None)

    # Senders

    async def send_all(self, number: int, sender: Sender) -> None:
        try:
            with trio.CancelScope(deadline=math.inf if sender.is_cancelled_at is None else sender.is_cancelled_at):
                for at, step in enumerate(sender.steps):
                    if step.pause:
                        await trio.sleep(step.pause)
                    await self.send(Message((number, at), step), sender)
        finally:
            self.senders_at_work -= 1

    async def send(self, message: Message, sender: Sender) -> None:
        self.messages.append(message)
        address: Address[Any]
        if sender.address == "reference":
            address = self.first
            message.led_to(self.first)
        else:
            address = (Followed if sender.address == "name" else FollowedWaiting)(self.names, message)
        if self.program.kind == "function":
            is_nowait = message.step.operation in ("cast_nowait", "send_nowait")
            message.step = attrs.evolve(message.step, operation="send_nowait" if is_nowait else "send")
        try:
            if message.step.operation in ("cast_nowait", "send_nowait"):
                self.send_nowait(message, address)
            else:
                await self.send_and_wait(message, address)
        except trio.Cancelled:
            message.told = "cancelled"
            raise
        except Refused as error:
            message.told, message.error = "refused", error
        except NoReply as error:
            message.told, message.error = "no reply", error
        except ActorExited as error:
            message.told, message.error = "exited", error
        except NotRegistered:
            message.told = "unknown"
            self.require(self.names.whereis("box") is None, "not registered, but somebody is")
        finally:
            self.check_told(message)

    def send_nowait(self, message: Message, address: Address[Any]) -> None:
        life = self.first if address is self.first else cast("Life | None", self.names.whereis("box"))
        queued = life.statistics().queued if life is not None and life.is_alive else 0
        size = self.size
        is_full = size is not None and queued >= size and not message.is_left
        try:
            if message.step.operation == "send_nowait":
                address.send_nowait(message)
            else:
                address.cast_nowait(METHODS[message.step.form], message)
        except MailboxFull:
            message.told = "full"
            self.require(is_full, "full with", queued)
        else:
            assert life is not None
            message.told = "accepted"
            self.require(not is_full, "not full with", queued)
            self.require(life.statistics().queued == queued + 1, "queued", life.statistics().queued, "after", queued)

    async def send_and_wait(self, message: Message, address: Address[Any]) -> None:
        step = message.step

        async def operation() -> object:
            if step.operation == "send":
                await address.send(message)
                return None
            method = METHODS[step.form]
            if message.key[1] % 2:
                return await getattr(address, step.operation)(method, message=message)
            return await getattr(address, step.operation)(method, message)

        if step.patience is None:
            value = await operation()
        elif step.patience[0] == "checkpoint":
            cancelling = Cancelling[object](step.patience[1])
            if not await cancelling.run(operation):
                message.told = "cancelled"
                return
            value = cancelling.value
        else:
            value = None
            with trio.move_on_after(step.patience[1]) as scope:
                value = await operation()
            if scope.cancelled_caught:
                message.told = "cancelled"
                return
        message.told = "answered" if step.operation == "call" else "accepted"
        expected = (message.key, message.life) if step.operation == "call" else None
        self.require(value == expected, "the answer", value, "to", message)

    def check_told(self, message: Message) -> None:
        """Whether what the sender of a message learns is true."""
        told, life, effect = message.told, message.life, message.step.effect
        if told == "exited":
            error = message.error
            assert isinstance(error, ActorExited)
            self.require(error.ref is life, "another life has exited:", message)
            self.require(life is not None and bool(self.cause_of(life)), "exited for no reason:", message)
            if effect.endswith("crash") and effect != "background crash" and message.is_finished:
                cause = error.__cause__
                is_first = life is not None and self.causes[life].count("crashed") == 1
                is_its = isinstance(cause, Bang) and (cause.args == (message.key,) or not is_first)
                self.require(is_its, "the cause", cause, message)
            if effect == "answer" and message.is_begun and life is not None and self.cause_of(life) == {"normal"}:
                self.require(False, "stopped before it answered:", message)
        if not message.is_call:
            self.require(told == "accepted" or not message.is_begun, "handled, but not sent:", message)
        elif told == "answered":
            self.require(message.is_finished, "answered, but not handled:", message)
            is_error = effect.endswith(("crash", "refuse")) and effect != "background crash"
            self.require(not is_error and effect not in ("defer refusal", "forget"), "answered:", message)
        elif told == "refused":
            self.require(effect.endswith("refuse") or effect == "defer refusal", "refused:", message)
            self.require(message.error is not None and message.error.args == (message.key,), "refused:", message)
        elif told == "no reply":
            self.require(effect == "forget", "no reply:", message)

    # Ends

    async def end_at(self, at: int, checkpoints: int, how: End) -> None:
        await trio.sleep(at)
        await settle(checkpoints)
        self.ends_to_come -= 1
        life = cast("Life | None", self.names.whereis("box"))
        if life is None:
            return
        if how == "stop":
            self.cause(life, "normal")
            self.stopping.add(life)
            exit = await life.stop()
            self.require(exit is life.exit, "stop gave", exit)
        elif how == "cancel":
            self.cause(life, "shutdown")
            life.cancel()
        else:
            self.cause(life, "killed")
            life.kill()

    # Looking

    def look(self) -> None:
        """Compare what is with the model, at a moment at which nobody can run."""
        for message in self.messages:
            if message.told is None and message.life is not None:
                is_over = not message.life.is_alive or message.life in self.stopped
                self.require(not is_over or self.is_for_the_next_life(message), "not told that it has ended:", message)
        life = cast("Life | None", self.names.whereis("box"))
        if life is None:
            return
        sent = [message for message in self.messages if message.life is life]
        # While an actor ends, these may be in its mailbox, or may wait for the next one: nobody can tell from outside.
        unclear: list[Message] = []
        if life in self.stopping or life in self.stopped:
            unclear = [message for message in sent if message.told is None and self.is_for_the_next_life(message)]
            sent = [message for message in sent if message not in unclear or message.is_begun]
            unclear = [message for message in unclear if not message.is_begun and life not in self.stopped]
        waiting = sum(not message.is_begun and message.told in (None, "accepted") for message in sent)
        in_flight = sum(m.is_call and m.is_begun and (m.told is None or not m.is_finished) for m in sent)
        size = self.size
        if life in self.stopped:
            queued = in_flight = 0
        elif life in self.stopping:
            queued = waiting + 1
        else:
            queued = waiting if size is None else min(waiting, size)
        statistics = life.statistics()
        is_right = queued <= statistics.queued <= queued + len(unclear)
        self.require(is_right, "queued", statistics.queued, "not", queued)
        self.require(statistics.peak >= queued, "peak", statistics.peak, "with", queued)
        # That it is idle, that it is to stop, and the second half of a handler are messages too.
        most = len(sent) + (self.program.kind == "hooked") if size is None else size
        most += any(message.step.form == "mixed" for message in self.begun.get(life, ()))
        most += sum(message.is_left for message in sent) if size is not None else 0
        self.require(
            statistics.peak <= most + len(unclear) + (life in self.stopping), "peak", statistics.peak, "not", most
        )
        self.require(statistics.calls_in_flight == in_flight, "in flight", statistics.calls_in_flight, "not", in_flight)
        handled = len(self.begun.get(life, ())) if self.program.kind == "function" else self.finished[life]
        if life not in self.stopped:
            self.require(statistics.handled == handled, "handled", statistics.handled, "not", handled)

    def is_for_the_next_life(self, message: Message) -> bool:
        """Whether it is one that, where an actor ends before it was sent, waits for the next one that has the name."""
        return self.program.senders[message.key[0]].address == "waiting name"

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen by itself."""
        is_idle = not any(life.is_alive for life in self.running) and not any(
            not message.is_begun
            for message in self.messages
            if message.told == "accepted" and message.life is not None and message.life.is_alive
        )
        return self.senders_at_work == 0 and self.ends_to_come == 0 and (is_idle or not self.program.is_drained)

    def check_nobody_hangs(self) -> None:
        for message in self.messages:
            if message.told is None and not message.is_kept:
                # Nobody may ever have the name that it waits for.
                is_waiting = self.program.senders[message.key[0]].address == "waiting name"
                self.require(is_waiting and self.names.whereis("box") is None, "hangs:", message)
            if message.told == "accepted" and not message.is_begun and message.life is not None:
                self.require(not message.life.is_alive, "left lying:", message)

    def check_end(self) -> None:
        """Each message is accounted for, and each life handled its own in the order in which they were sent."""
        left: Counter[Life] = Counter()
        for message in self.messages:
            assert message.told is not None
            if message.told == "accepted" and not message.is_begun:
                assert message.life is not None
                left[message.life] += 1
                if self.program.kind != "function" and not message.is_left:
                    self.require(self.cause_of(message.life) != {"normal"}, "not handled before the stop:", message)
        self.require(left == self.unhandled, "unhandled", dict(self.unhandled), "not", dict(left))
        for life, begun in self.begun.items():
            self.require(life in self.exits and life._cell is None, "not ended:", life)
            self.require([m.sent_at for m in begun] == sorted(m.sent_at for m in begun), "not first come first served")
            for number in range(-1, len(self.program.senders)):
                order = [message.key[1] for message in begun if message.key[0] == number]
                self.require(order == sorted(order), "out of order:", number, order)

    async def run(self) -> None:
        program = self.program
        tasks = trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as self.nursery:
            try:
                async with supervised(max_restarts=math.inf) as supervisor:
                    self.first = await supervisor.start_child(
                        ChildSpec(
                            KINDS[program.kind, program.mailbox_size],
                            (self,),
                            name=self.names.via("box"),
                            restart=program.restart,
                            shutdown=STOP + 1,
                        )
                    )
                    start = trio.current_time()
                    assert start in (0, START)
                    for number, sender in enumerate(program.senders):
                        self.nursery.start_soon(self.send_all, number, sender)
                    for end in program.ends:
                        self.nursery.start_soon(self.end_at, *end)
                    # Everything else happens at whole seconds.
                    await trio.sleep(0.5)
                    while not self.is_done and trio.current_time() < start + program.horizon:
                        self.look()
                        await trio.sleep(1)
                    self.look()
                    if self.program.is_drained:
                        self.check_nobody_hangs()
                    for life in self.begun:
                        self.cause(life, "shutdown")
            except* Bang:
                # A crash that comes when there is nobody left to restart it: its life's exit has it too.
                self.require(any(exit.reason == "crashed" for exit in self.exits.values()), "an error of nobody's")
            await wait_all_tasks_blocked()
            self.require(self.names.count() == 0, "a name is left")
            for message in self.messages:
                is_waiting = self.program.senders[message.key[0]].address == "waiting name"
                self.require(message.told is not None or is_waiting, "nobody told the sender of", message)
            self.nursery.cancel_scope.cancel()
        self.require(trio.lowlevel.current_statistics().tasks_living == tasks, "a task is left")
        self.check_end()


# The actors


def behave(world: World, life: Life, message: Message, stop: Callable[[], None]) -> object:
    """What a handler does when it has taken its time."""
    answer = (message.key, life)
    for effect in message.step.effect.split():
        if effect == "refuse":
            raise Refused(message.key)
        if effect == "crash":
            world.cause(life, "crashed")
            raise Bang(message.key)
        if effect == "stop":
            world.cause(life, "normal")
            world.stopping.add(life)
            stop()
        elif effect == "cancel":
            world.cause(life, "shutdown")
            life.cancel()
        elif effect == "kill":
            world.cause(life, "killed")
            life.kill()
        elif effect == "note":
            note(world, life)
        elif effect == "background":
            behind(world, life, message)
            break
        elif effect in ("defer", "answered", "keep", "forget"):
            return deferred(world, message, answer)
    return answer


def behind(world: World, life: Life, message: Message) -> None:
    """What the background task of a handler does later, while its actor goes on."""

    async def later() -> None:
        await trio.sleep(message.step.duration)
        if message.step.effect == "background crash":
            world.cause(life, "crashed")
            raise Bang(message.key)
        note(world, life)

    if life._cell is not None and world.program.kind != "function":
        with suppress(ActorExited):  # it is ending
            life._cell.start_soon(later)


def note(world: World, life: Life) -> None:
    """A message of the actor to itself."""
    is_function = world.program.kind == "function"
    step = Step(operation="send_nowait" if is_function else "cast_nowait", form="sync")
    message = Message((-1, len(world.messages)), step)
    message.led_to(life)
    message.is_left = life in world.stopping
    world.messages.append(message)
    try:
        world.send_nowait(message, life)
    except ActorExited as error:
        message.told, message.error = "exited", error
    world.check_told(message)


def deferred(world: World, message: Message, answer: object) -> Reply[object]:
    reply = Reply[object]()

    async def later(reply: Reply[object]) -> None:
        await trio.sleep(message.step.duration)
        if message.step.effect == "defer refusal":
            reply.fail(Refused(message.key))
        else:
            reply.send(answer)

    if message.step.effect == "answered":
        reply.send(answer)
    elif message.step.effect != "forget":
        world.nursery.start_soon(later, reply)
    return reply


class Box(Actor):
    """It does what its messages say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept: list[tuple[Message, Reply[object]]] = []
        world.born(self.ref)

    def begin(self, message: Message) -> None:
        self.world.begin(self.ref, message)
        for kept, reply in self.kept:
            kept.is_kept = False
            reply.send((kept.key, self.ref))
        self.kept.clear()

    def do(self, message: Message) -> object:
        try:
            if message.step.effect == "keep":
                reply = Reply[object]()
                self.kept.append((message, reply))
                message.is_kept = True
                return reply
            return behave(self.world, self.ref, message, self.stop)
        finally:
            self.world.finish(self.ref, message)

    async def do_slowly(self, message: Message) -> object:
        if message.step.duration:
            await self.world.pass_time(message.step.duration)
        return self.do(message)

    @raises(Refused)
    def now(self, message: Message) -> object:
        self.begin(message)
        return self.do(message)

    @raises(Refused)
    async def later(self, message: Message) -> object:
        self.begin(message)
        return await self.do_slowly(message)

    @raises(Refused)
    def mixed(self, message: Message) -> Coroutine[Any, Any, object]:
        self.begin(message)
        if message.step.effect == "note":
            note(self.world, self.ref)  # and another one at the end of the other half
        return self.do_slowly(message)

    @raises(Refused)
    async def on_message(self, message: Message) -> None:
        await self.later(message)


METHODS: dict[Form, Callable[..., object]] = {"sync": Box.now, "async": Box.later, "mixed": Box.mixed}


class HookedBox(Box):
    """It overrides every hook, and those that can take their time do."""

    idle_timeout = IDLE

    async def on_start(self) -> None:
        await trio.sleep(START)

    async def on_idle(self) -> None:
        self.world.require(self.ref not in self.world.running, "idle at work")
        self.world.running[self.ref] = "on_idle"
        await trio.lowlevel.checkpoint()
        self.world.finished[self.ref] += 1
        del self.world.running[self.ref]

    async def on_stop(self, exit: Exit) -> None:
        self.world.stopped.add(self.ref)
        self.world.require(self.world.names.whereis("box") is self.ref, "on_stop without its name")
        await trio.sleep(STOP)


async def function_box(world: World) -> None:
    """The same as a function."""
    life = current()
    world.born(life)
    is_stopped = False

    def stop() -> None:
        nonlocal is_stopped
        is_stopped = True

    while not is_stopped:
        message = None
        with trio.move_on_after(IDLE):
            message = cast("Message", await receive())
        if message is None:
            continue
        world.begin(life, message)
        try:
            if message.step.duration:
                await world.pass_time(message.step.duration)
            if message.step.effect != "keep":
                behave(world, life, message, stop)
        except Refused:
            pass
        finally:
            world.finish(life, message)


def sized(cls: type[Box], size: int | None) -> type[Box]:
    return type(f"{cls.__name__}{size or ''}", (cls,), {"mailbox_size": size})


KINDS: dict[tuple[str, int | None], Callable[..., Any]] = {
    (kind, size): function_box if kind == "function" else sized({"plain": Box, "hooked": HookedBox}[kind], size)
    for kind in ("plain", "hooked", "function")
    for size in (None, 1, 2, 3)
}


def problems_of(program: Program) -> list[str]:
    """Run a program; what was wrong."""
    world = World(program)
    logger = logging.getLogger("trioreg")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cell_module, "BATCH", program.batch)
        patch.setattr(mailbox_module, "_COMPACT", program.compact_at)
        patch.setattr(logger, "propagate", False)
        logger.addHandler(world)
        try:
            trio.run(world.run, clock=MockClock(autojump_threshold=0))
        finally:
            logger.removeHandler(world)
    return world.problems


@settings(max_examples=12 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(programs, st.random_module())
def test_every_message_is_handled_once_and_in_order_or_accounted_for(program: Program, order_of_tasks: object) -> None:
    assert problems_of(program) == []


# What chance would rarely find


def one_call(**step: Any) -> tuple[Sender, ...]:
    return (Sender((Step(**step),)),)


@pytest.mark.parametrize("how", ["cancel", "kill"])
@pytest.mark.parametrize("form", ["async", "mixed"])
def test_the_caller_of_a_handler_that_crashes_just_when_its_actor_is_ended_learns_of_the_crash(
    how: End, form: Form
) -> None:
    # Which of the two comes first is for the scheduler to choose.
    program = Program(one_call(form=form, effect="crash", duration=1), ends=((1, 0, how),))
    assert [problems_of(program) for _ in range(10)] == [[]] * 10


@pytest.mark.parametrize("checkpoints", range(6))
@pytest.mark.parametrize("how", ["cancel", "kill"])
def test_an_actor_that_is_ended_between_two_messages_takes_no_other(how: End, checkpoints: int) -> None:
    burst = (Step(pause=1, operation="cast_nowait", form="sync"), *[Step(operation="cast_nowait", form="sync")] * 9)
    program = Program((Sender(burst),), ends=((1, checkpoints, how),), batch=1)
    assert [problems_of(program) for _ in range(10)] == [[]] * 10


def test_what_a_handler_sends_itself_waits_until_the_handler_has_gone_on_and_ended() -> None:
    program = Program(one_call(pause=1, form="mixed", effect="note", duration=1))
    assert problems_of(program) == []


def test_a_handler_that_goes_on_in_the_actors_own_task_is_counted_once() -> None:
    program = Program(one_call(pause=1, form="mixed", duration=2))
    assert problems_of(program) == []


@pytest.mark.parametrize("form", ["async", "mixed"])
def test_a_caller_that_gave_up_before_its_reply_was_deferred_is_not_in_flight(form: Form) -> None:
    given_up = Step(form=form, effect="defer", duration=2, patience=("seconds", 1))
    program = Program((Sender((given_up, Step(pause=4, form="async", duration=1))),))
    assert problems_of(program) == []


def test_calls_that_were_withdrawn_do_not_count_for_the_peak() -> None:
    busy = Step(operation="cast", duration=9)
    withdrawn = Step(patience=("seconds", 1))
    program = Program((Sender((busy, withdrawn, withdrawn, withdrawn, withdrawn)),), mailbox_size=1)
    assert problems_of(program) == []


# Cancelled at each checkpoint, and at each step that any other task takes meanwhile


class Lobby(Actor):
    """It answers later; or ends, at once or a checkpoint later."""

    mailbox_size: int | None = None

    def __init__(self) -> None:
        self.waiting: list[Reply[str]] = []
        self.notes: list[str] = []
        self.gate = trio.Event()

    def join(self) -> Reply[str]:
        self.notes.append("join")
        self.waiting.append(Reply[str]())
        return self.waiting[-1]

    async def ajoin(self) -> Reply[str]:
        await trio.lowlevel.checkpoint()
        return self.join()

    def mixed(self) -> Coroutine[Any, Any, str]:
        async def rest() -> str:
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
            self.notes.append("rest")
            return "welcome"

        self.notes.append("mixed")
        return rest()

    def answered(self) -> Reply[str]:
        self.notes.append("answered")
        reply = Reply[str]()
        reply.send("welcome")
        return reply

    def forget(self) -> Reply[str]:
        self.notes.append("forget")
        return Reply[str]()

    def begin(self) -> int:
        waiting = len(self.waiting)
        while self.waiting:
            self.waiting.pop().send("welcome")
        return waiting

    def note(self, text: str) -> str:
        self.notes.append(text)
        return text

    async def block(self) -> None:
        await self.gate.wait()

    def bang(self) -> str:
        self.notes.append("bang")
        raise Bang

    async def abang(self) -> str:
        await trio.lowlevel.checkpoint()
        return self.bang()

    async def on_message(self, message: str) -> None:
        self.notes.append(message)


class SmallLobby(Lobby):
    """It has room for one."""

    mailbox_size = 1


def state_of(ref: ActorRef[Lobby]) -> Lobby:
    assert ref._cell is not None
    assert isinstance(ref._cell.actor, Lobby)
    return ref._cell.actor


def assert_at_rest(ref: ActorRef[Lobby]) -> None:
    """Nothing waits, nobody is owed an answer."""
    statistics = ref.statistics()
    assert statistics.queued == 0
    assert statistics.calls_in_flight == 0


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("join", [Lobby.join, Lobby.ajoin])
async def test_a_call_whose_reply_is_deferred_and_that_is_cancelled_anywhere_leaves_nothing_in_flight(
    join: Callable[[Lobby], Reply[str]], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            lobby = state_of(ref)
            if is_busy:
                ref.cast_nowait(Lobby.block)

            async def begin_later() -> None:
                await trio.sleep(1)
                lobby.gate.set()
                await trio.sleep(1)
                await ref.call(Lobby.begin)

            nursery.start_soon(begin_later)
            completed = await cancelling.run(lambda: ref.call(join))
            assert not completed or cancelling.value == "welcome"
            assert not completed or lobby.notes == ["join"]
            await trio.sleep(3)
            assert lobby.notes in ([], ["join"])
            assert_at_rest(ref)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize(
    ("method", "notes"),
    [(Lobby.mixed, ["mixed", "rest"]), (Lobby.answered, ["answered"]), (Lobby.forget, ["forget"])],
    ids=["mixed", "answered", "forget"],
)
async def test_a_call_that_is_answered_in_another_way_and_is_cancelled_anywhere_is_handled_once_or_withdrawn(
    method: Callable[[Lobby], Any], notes: list[str], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async def call() -> str | None:
            try:
                return cast("str", await ref.call(method))
            except NoReply:
                return None

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Lobby)
            await wait_all_tasks_blocked()
            lobby = state_of(ref)
            if is_busy:
                ref.cast_nowait(Lobby.block)
                lobby.gate.set()
            completed = await cancelling.run(call)
            assert not completed or cancelling.value == (None if method is Lobby.forget else "welcome")
            await wait_all_tasks_blocked()
            assert lobby.notes in ([notes] if completed else [[], notes])
            assert_at_rest(ref)

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_busy", [False, True])
@pytest.mark.parametrize("method", [Lobby.bang, Lobby.abang])
async def test_a_call_that_crashes_its_actor_and_is_cancelled_anywhere_crashes_it_once_or_not_at_all(
    method: Callable[[Lobby], Any], is_busy: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        lives: list[ActorRef[Lobby]] = []

        class Counted(Lobby):
            def __init__(self) -> None:
                super().__init__()
                lives.append(self.ref)

        async def call() -> None:
            with pytest.raises(ActorExited) as caught:
                await ref.call(method)
            assert isinstance(caught.value.__cause__, Bang)

        async with supervised() as supervisor:
            ref = await supervisor.start_child(Counted)
            await wait_all_tasks_blocked()
            if is_busy:
                state_of(ref).gate.set()
                ref.cast_nowait(Lobby.block)
            completed = await cancelling.run(call)
            await wait_all_tasks_blocked()
            assert len(lives) in ([2] if completed else [1, 2])
            assert ref.is_alive == (len(lives) == 1)
            assert_at_rest(lives[-1])

    await sweep_steps(attempt)


@pytest.mark.parametrize("cls", [Lobby, SmallLobby])
@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_one_that_waits_for_a_name_and_is_cancelled_anywhere_was_not_sent_or_was_handled_once(
    operation: str, cls: type[Lobby], autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        via = names.via("lobby", wait=True)
        sends: dict[str, Callable[[], Awaitable[object]]] = {
            "call": lambda: via.call(Lobby.note, "mine"),
            "cast": lambda: via.cast(Lobby.note, "mine"),
            "send": lambda: via.send("mine"),
        }
        async with supervised() as supervisor, trio.open_nursery() as nursery:

            async def start_later() -> None:
                await trio.sleep(1)
                await supervisor.start_child(cls, name=names.via("lobby"))

            nursery.start_soon(start_later)
            completed = await cancelling.run(sends[operation])
            await trio.sleep(2)
            ref = cast("ActorRef[Lobby]", names.whereis("lobby"))
            assert state_of(ref).notes in ([["mine"]] if completed else [[], ["mine"]] if operation == "call" else [[]])
            assert_at_rest(ref)

    assert await sweep_steps(attempt) > 1


@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_one_that_waits_for_the_next_life_and_is_cancelled_anywhere_was_not_sent_or_was_handled_once(
    operation: str, autojump_clock: MockClock
) -> None:
    class Slow(Lobby):
        async def on_stop(self, exit: Exit) -> None:
            await trio.sleep(1)

    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        via = names.via("lobby", wait=True)
        sends: dict[str, Callable[[], Awaitable[object]]] = {
            "call": lambda: via.call(Lobby.note, "mine"),
            "cast": lambda: via.cast(Lobby.note, "mine"),
            "send": lambda: via.send("mine"),
        }
        async with supervised() as supervisor:
            first = await supervisor.start_child(Slow, name=names.via("lobby"))
            await wait_all_tasks_blocked()
            first.cancel()
            completed = await cancelling.run(sends[operation])
            await trio.sleep(2)
            ref = cast("ActorRef[Lobby]", names.whereis("lobby"))
            assert ref is not first
            assert state_of(ref).notes in ([["mine"]] if completed else [[], ["mine"]] if operation == "call" else [[]])
            assert_at_rest(ref)

    assert await sweep_steps(attempt) > 1


@pytest.mark.parametrize("end", ["stop", "cancel", "kill"])
@pytest.mark.parametrize("operation", ["call", "cast", "send"])
async def test_one_whose_actor_ends_while_it_waits_for_room_and_that_is_cancelled_anywhere_was_not_sent(
    operation: str, end: str, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor, trio.open_nursery() as nursery:
            ref = await supervisor.start_child(SmallLobby, restart="temporary")
            ref.cast_nowait(Lobby.block)
            await wait_all_tasks_blocked()
            ref.cast_nowait(Lobby.note, "first")
            lobby = state_of(ref)
            sends: dict[str, Callable[[], Awaitable[object]]] = {
                "call": lambda: ref.call(Lobby.note, "mine"),
                "cast": lambda: ref.cast(Lobby.note, "mine"),
                "send": lambda: ref.send("mine"),
            }

            async def end_it() -> None:
                await trio.sleep(1)
                if end == "stop":
                    nursery.start_soon(ref.stop)
                    await wait_all_tasks_blocked()
                    lobby.gate.set()
                else:
                    getattr(ref, end)()

            async def send() -> None:
                with pytest.raises(ActorExited):
                    await sends[operation]()

            nursery.start_soon(end_it)
            await cancelling.run(send)
            await ref.wait()
            assert lobby.notes == (["first"] if end == "stop" else [])

    await sweep_steps(attempt)


@pytest.mark.parametrize("is_by_name", [False, True])
async def test_a_stop_of_a_busy_actor_with_a_full_mailbox_that_is_cancelled_anywhere_still_stops_behind_it(
    is_by_name: bool, autojump_clock: MockClock
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(SmallLobby, restart="temporary", name=names.via("lobby"))
            ref.cast_nowait(Lobby.block)
            await wait_all_tasks_blocked()
            ref.cast_nowait(Lobby.note, "first")
            lobby = state_of(ref)
            async with trio.open_nursery() as nursery:

                async def open_later() -> None:
                    await trio.sleep(1)
                    lobby.gate.set()

                nursery.start_soon(open_later)
                completed = await cancelling.run(names.via("lobby").stop if is_by_name else ref.stop)
                assert not completed or cancelling.value is ref.exit
                exit = await ref.wait()
            assert exit.reason == "normal"
            assert lobby.notes == ["first"]
            assert names.count() == 0

    await sweep_steps(attempt)


async def test_a_wait_for_a_life_that_ends_in_its_time_and_that_is_cancelled_anywhere_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        names: Registry[str, None] = Registry("names")
        async with supervised() as supervisor:
            ref = await supervisor.start_child(Lobby, restart="temporary", name=names.via("lobby"))
            ref.cast_nowait(Lobby.block)
            ref.cast_nowait(Lobby.bang)
            await wait_all_tasks_blocked()
            lobby = state_of(ref)
            async with trio.open_nursery() as nursery:

                async def open_later() -> None:
                    await trio.sleep(1)
                    lobby.gate.set()

                nursery.start_soon(open_later)
                completed = await cancelling.run(names.via("lobby").wait)
                assert not completed or cancelling.value is ref.exit
                assert (await ref.wait()).reason == "crashed"

    await sweep_steps(attempt)


async def test_a_change_of_an_agent_that_is_cancelled_anywhere_is_made_once_or_not_at_all(
    autojump_clock: MockClock,
) -> None:
    async def attempt(cancelling: Cancelling[Any]) -> None:
        async with supervised() as supervisor:
            counter = await supervisor.start_child(Agent[int], lambda: 0)
            await wait_all_tasks_blocked()

            def change(value: int) -> tuple[str, int]:
                return "changed", value + 1

            completed = await cancelling.run(lambda: counter.call(Agent[int].get_and_update, change))
            assert not completed or cancelling.value == "changed"
            assert await counter.call(Agent[int].get, lambda value: value) in ([1] if completed else [0, 1])

    await sweep_steps(attempt)
