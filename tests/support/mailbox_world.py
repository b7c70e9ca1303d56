"""Runs a mailbox program in virtual time, and compares it with a plain model at each second."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import attrs
import trio
from trio.testing import wait_all_tasks_blocked

from support.cancellation import Cancelling, settle
from support.errors import Bang, leaves
from support.inside import following_via
from support.mailbox_programs import START, STOP, End, Form, Life, Program, Sender, Step, Told
from support.secret_agent import Refused
from support.supervisors import supervised
from trioreg import ActorExited, Address, ChildSpec, Exit, MailboxFull, NoReply, NotRegistered, Registry


@attrs.define(eq=False)
class Message:
    """What the model knows of one message.

    Attributes:
        life: The life it was sent to: the last one that its address led to.
        sent_at: When its address led there.
        is_begun, is_finished: Whether its handler has begun, and has ended.
        is_kept: Whether the next message will answer its reply.
        is_left: Whether a stopping actor sent it to itself: it gets into the mailbox, and is not handled.
        told: The result that its sender got; None while the sender waits.
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


class World(logging.Handler):
    """One run of a program, and the model of it.

    Attributes:
        begun: For each life, the messages its handlers have begun, in turn.
        running: The message or hook that a life runs now.
        causes: The reasons that the exit of a life may have.
        exits: The exits of the lives that have ended.
        stopping, ended, stopped: The lives that were asked to stop; those that were cancelled, killed or have crashed;
            those whose `on_stop` has begun.
        unhandled: How many messages the log says each life has left.
    """

    def __init__(
        self, program: Program, factory: Callable[..., Any], methods: Mapping[Form, Callable[..., object]]
    ) -> None:
        super().__init__()
        self.program = program
        self.factory = factory
        self.methods = methods
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
        if "unhandled message" in str(record.msg):
            _, life, _, left = cast("tuple[str, Life, Exit, int]", record.args)
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
            # The errors of an actor are never lost, and a kill overrides a stop and a cancel.
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
        """Sleep. A task that is woken and cancelled at the same moment goes on, and is not cancelled."""
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
        if sender.address == "reference":
            address: Address[Any] = self.first
            message.led_to(self.first)
        else:
            address = following_via(self.names, "box", message.led_to, wait=sender.address == "waiting name")
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
            self.require(self.names.whereis("box") is None, "not registered, but an actor is")
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
                address.cast_nowait(self.methods[message.step.form], message)
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
            method = self.methods[step.form]
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
        """Check that the result that a sender got is right."""
        told, life, effect = message.told, message.life, message.step.effect
        if told == "exited":
            error = message.error
            assert isinstance(error, ActorExited)
            self.require(error.ref is life, "another life has ended:", message)
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
        """Compare what is with the model, at a moment at which no task can run."""
        for message in self.messages:
            if message.told is None and message.life is not None:
                is_over = not message.life.is_alive or message.life in self.stopped
                self.require(not is_over or self.is_for_the_next_life(message), "not told that it has ended:", message)
        life = cast("Life | None", self.names.whereis("box"))
        if life is None:
            return
        sent = [message for message in self.messages if message.life is life]
        # While an actor ends, these are in its mailbox or wait for the next one: it cannot be told from outside.
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
        # An idle time that ends, a stop, and the coroutine of a sync handler are messages too.
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
        """Whether it waits for the next life that has the name, if this one ends before it is sent."""
        return self.program.senders[message.key[0]].address == "waiting name"

    @property
    def is_done(self) -> bool:
        """Whether nothing more will happen without a new message."""
        is_idle = not any(life.is_alive for life in self.running) and not any(
            not message.is_begun
            for message in self.messages
            if message.told == "accepted" and message.life is not None and message.life.is_alive
        )
        return self.senders_at_work == 0 and self.ends_to_come == 0 and (is_idle or not self.program.is_drained)

    def check_no_sender_hangs(self) -> None:
        for message in self.messages:
            if message.told is None and not message.is_kept:
                # Perhaps no actor ever has the name that it waits for.
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
            self.require(life in self.exits and not life.is_alive, "not ended:", life)
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
                            self.factory,
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
                        self.check_no_sender_hangs()
                    for life in self.begun:
                        self.cause(life, "shutdown")
            except* Bang:
                # A crash during the shutdown, which is not restarted: the exit of that life has it too.
                self.require(any(exit.reason == "crashed" for exit in self.exits.values()), "an error of no life")
            await wait_all_tasks_blocked()
            self.require(self.names.count() == 0, "a name is left")
            for message in self.messages:
                is_waiting = self.program.senders[message.key[0]].address == "waiting name"
                self.require(message.told is not None or is_waiting, "the sender was not told:", message)
            self.nursery.cancel_scope.cancel()
        self.require(trio.lowlevel.current_statistics().tasks_living == tasks, "a task is left")
        self.check_end()
