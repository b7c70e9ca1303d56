"""The record of one living actor: its `Cell`, which every message touches, and its `Life`, for the start and the end.

A `Cell` passes through five states, and never goes back:

    STARTING -> RUNNING -> (STOPPING ->) ENDING -> ENDED

STOPPING: the actor still handles what is in its mailbox, and nothing more gets in. ENDING: how it ends is decided; its
handlers and background tasks are being cancelled, then `on_stop` runs. ENDED: the last step of its task, in which its
names go.

The methods here are the small steps that any task may cause: `stop`, `end`, `fail`, and waiting for the start or the
end. What the actor's own task does is in `life.py`.
"""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import trio
from trio.lowlevel import checkpoint, current_task, enable_ki_protection

from .._runtime import (
    NORMAL,
    ActorExited,
    Exit,
    Owner,
    as_crash,
    async_result,
    await_user,
    combine,
    current_actor,
    is_being_closed,
    require_room,
    run_user,
    sleep_until_woken,
    split,
    wake,
    without_runtime_frames,
)
from .call import refuse
from .deadlock import is_within
from .handler import RuntimeHandler
from .mailbox import Mailbox
from .message import STOP
from .observed import observed, tell_left

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextvars import Context

    from trio.lowlevel import Task

    from .._runtime import Fields
    from .background import Background
    from .call import Call
    from .ends import Ends
    from .handler import Handlers, Hooks
    from .wait_graph import Node, Wait

STARTING, RUNNING, STOPPING, ENDING, ENDED = range(5)

OWN_TURN, CALLERS_TURN, SHARED_TURN = range(3)
"""The task that runs an actor's code: the actor's own task, a caller's task (`answers.py`), or the run's task for many
actors (`shared_turn.py`)."""

REFUSED_PER_TURN = 200
"""After how many messages that an ending actor refuses other tasks have their turn."""

NOTHING = object()
"""The value of a function actor that has not returned, and of an actor that has given none."""


class Behaviour(Protocol):
    """The user's side of an actor: what the runtime calls on an `Actor`."""

    idle_timeout: float | None
    log_state: bool
    _trioreg_is_side_by_side: ClassVar[bool]

    def _trioreg_bind(self, cell: Cell) -> None: ...
    def _trioreg_take(self, cell: Cell) -> None: ...
    def _trioreg_killed(self) -> None: ...
    async def _trioreg_start(self) -> None: ...
    async def on_start(self) -> None: ...
    async def on_started(self) -> None: ...
    async def on_message(self, message: Any) -> None: ...
    async def on_stop(self, exit: Exit) -> None: ...
    async def on_idle(self) -> None: ...


class Blueprint(Protocol):
    """The class's side of an actor, the same for all its instances: an `ActorType`."""

    mailbox_size: int | None
    handlers: Handlers
    hooks: Hooks | None


class Reference(Owner):
    """The handle's side of an actor: an `ActorRef`."""

    __slots__ = ("_cell", "_exit", "_label")

    _cell: Cell | None
    _exit: Exit | None
    _label: str

    def _set_ended(self, exit: Exit) -> None:
        self._exit = exit
        self._cell = None


class Child(Protocol):
    """The supervisor's side of an actor."""

    @property
    def restarts(self) -> int: ...

    @property
    def title(self) -> str:
        """What the supervisor calls the actor."""
        ...

    @property
    def log_name(self) -> str:
        """What the log calls the actor, with its supervisor."""
        ...

    def log_fields(self, ref: Owner) -> Fields:
        """What the log says of a life of the actor as data."""
        ...

    @property
    def shutdown(self) -> float:
        """How long `on_stop` may take, in seconds."""
        ...

    def starts_before(self, names: object, key: object) -> bool:
        """Whether that name is to go to an actor that starts only when this one has started."""
        ...

    def timed_out(self, cell: Cell) -> None:
        """Called when `on_stop` was cancelled, because it took longer than that."""

    def ended(self, cell: Cell) -> None:
        """Called in the last step of the actor's task, before its names go. Start a successor here."""

    def spawn(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        """Start a task beside the actor's own."""


class Life:
    """What only the start and the end of an actor touch.

    Attributes:
        child: The supervisor's side of the actor.
        starter: The task that waits in ``start_child``. It is woken when the actor has started, or has ended instead.
        started_at: When it started, as `trio.current_time`, in seconds; None if it has not.
        started: Set when it has started, or has ended instead. None until another task waits for that.
        background: Its background tasks; None if there was none yet.
        crashed_in: The name and the arguments of the handler that crashed, for the log.
        errors: Its errors. The first one is the crash that ended it.
        value: What a function actor returned, or an actor gave to its ``stop``; `NOTHING` if there is none.
        exit: How it ends; None until that is decided.
        end_waits: What its end waits for by itself, in the wait-for graph; None if nothing.
        watchers: The tasks that wait for its end. With each its `Ends`, if it waits for several actors.
    """

    __slots__ = (
        "background",
        "child",
        "crashed_in",
        "end_waits",
        "errors",
        "exit",
        "started",
        "started_at",
        "starter",
        "value",
        "watchers",
    )

    def __init__(self, child: Child) -> None:
        self.child: Child = child
        self.starter: Task | None = None
        self.started_at: float | None = None
        self.started: trio.Event | None = None
        self.background: Background | None = None
        self.crashed_in: tuple[str, tuple[object, ...], Mapping[str, object]] | None = None
        self.errors: list[BaseException] | None = None
        self.value: object = NOTHING
        self.exit: Exit | None = None
        self.end_waits: dict[Wait, None] | None = None
        self.watchers: dict[Task, Ends | None] | None = None

    def decided(self, label: str) -> Exit | None:
        """How it ends, as far as that is decided."""
        exit = self.exit
        if self.errors:
            error = combine(self.errors, label)
            return exit if exit is not None and exit.error is error else Exit("crashed", error)
        if self.value is not NOTHING and exit is not None and not exit.has_returned:
            return Exit(exit.reason, value=self.value, has_returned=True)
        return exit

    @property
    def has_started(self) -> bool:
        """Whether it has started. It takes no message before that."""
        return self.started_at is not None


class Cell(Mailbox):
    """One living actor, as a message sees it.

    Attributes:
        ref: Its reference.
        life: What only its start and its end touch.
        state: One of the five states above.
        handlers: The methods that can be sent to it as messages.
        hooks: Which hooks its class overrides; None for a function actor.
        actor: Its `Actor` instance; None before ``__init__``, after the end, and for a function actor.
        task: Its own task.
        context: The context of that task, in which all its code runs.
        scope: Cancels what its own task does. None while there is nothing to cancel.
        idle_scope: Ends its wait for a message after ``idle_timeout``. None while it does not wait with a timeout.
        runs_in: The task that runs its sync handler now: `CALLERS_TURN` or `SHARED_TURN`. Else `OWN_TURN`.
        call: The call that its own task is handling.
        deferred: The calls whose handler returned a `Reply` that is not answered yet; None if there was none yet.
        waits: Its open waits for other actors; None if there was none yet.
        handled: How many messages it has handled.
        handling: The async handler or the hook that its own task runs, as in "Cart.pay". None while it runs none, and
            while it runs a sync handler: that is over before another task could ask.
        handling_since: When that has begun, as `trio.current_time`. None before the first one.
    """

    __slots__ = (
        "actor",
        "call",
        "context",
        "deferred",
        "handled",
        "handlers",
        "handling",
        "handling_since",
        "hooks",
        "idle_scope",
        "life",
        "ref",
        "runs_in",
        "scope",
        "state",
        "task",
        "waits",
    )

    def __init__(self, ref: Reference, child: Child, blueprint: Blueprint) -> None:
        Mailbox.__init__(self, blueprint.mailbox_size, ref._run.thread)  # not super(): one more object for each start
        self.ref: Reference = ref
        self.is_open: bool  # as `Mailbox` has set it
        self.life: Life = Life(child)
        self.state: int = STARTING
        self.handlers: Handlers = blueprint.handlers
        self.hooks: Hooks | None = blueprint.hooks
        self.actor: Behaviour | None = None
        self.task: Task | None = None
        self.context: Context | None = None
        self.scope: trio.CancelScope | None = None
        self.idle_scope: trio.CancelScope | None = None
        self.runs_in: int = OWN_TURN
        self.call: Call | None = None
        self.deferred: dict[Call, None] | None = None
        self.waits: dict[Wait, None] | None = None
        self.handled: int = 0
        self.handling: str | None = None
        self.handling_since: float | None = None

    def begin_hook(self, name: str) -> None:
        """Its own task begins with a hook. Set `handling` to None when that is done."""
        cls = self.handlers.cls
        assert cls is not None
        self.handling, self.handling_since = f"{cls.__qualname__}.{name}", self.ref._run.now()

    @property
    def title(self) -> str:
        return self.life.child.title

    @property
    def calls_in_flight(self) -> int:
        """How many calls have begun and are not answered yet."""
        is_handling_call = self.call is not None and type(self.call.handler) is not RuntimeHandler
        return is_handling_call + (self.runs_in == CALLERS_TURN) + len(self.deferred or ())

    @property
    def is_starting(self) -> bool:
        return self.state == STARTING

    @property
    def has_started(self) -> bool:
        return self.life.has_started

    @property
    def is_ending(self) -> bool:
        """Whether it is decided how it ends."""
        return self.state >= ENDING

    @property
    def is_side_by_side(self) -> bool:
        """Whether it handles some of its messages beside the others: `beside.py`."""
        actor = self.actor  # once: another thread may ask
        return actor is not None and actor._trioreg_is_side_by_side

    def starts_before(self, names: object, key: object) -> bool:
        """Whether that name is to go to an actor that starts only when this one has started."""
        return self.life.child.starts_before(names, key)

    def takes_instance_of(self, cls: type) -> bool:
        """Whether the next instance of a class that this actor's own code makes is the actor."""
        return self.actor is None and self.handlers.cls is cls and self.state < ENDED

    def owns(self, task: Task) -> bool:
        """Whether ``task`` runs the actor's code: its own task, one in a nursery below it, or a background task."""
        own = self.task
        if self.runs_in or task is own:
            return True
        background = self.life.background
        # No task is below it if it has opened no nursery. Before it has a scope, none of its async code has run.
        if background is None and (
            own is None or (self.scope is None and self.state < ENDING) or not own.child_nurseries
        ):
            return False
        return is_within(task, self.task, background.tasks if background is not None else ())

    def turn_of(self, task: Task) -> Node | None:
        """The message, handled beside the others, that a task works for."""
        background = self.life.background
        return None if background is None or background.turns is None else background.turns.of(task)

    def observed(self, kind: object, payload: object) -> tuple[object, object]:
        return observed(self, kind, payload)

    def gave_up(self, kind: object, payload: object) -> None:
        tell_left(self, kind, payload, "withdrawn")

    def set_started(self) -> None:
        """The actor has started: wake all tasks that wait for that."""
        life = self.life
        life.started_at = self.ref._run.now()
        if self.state == STARTING:
            self.state = RUNNING
        if life.started is not None:
            life.started.set()
        if life.starter is not None:
            wake(life.starter)
            life.starter = None
        if self.ref._run.instruments is not None:
            self.ref._run.instruments.tell("actor_started", self.ref)

    def note_own(self) -> None:
        """A message comes that no sender has sent: of one of its timers, or `on_idle`."""

    def restart_idle_time(self) -> None:
        """The time until now does not count as idle: it was suspended."""

    # The way to the end

    def stop(self) -> None:
        """Handle what is in the mailbox, then end."""
        if self.state >= STOPPING:
            return
        if self.hooks is None and self.taker is None:
            self.end(NORMAL)  # it has never taken a message, and may never come to `STOP`
        else:
            background = self.life.background
            if background is not None and background.control is not None:
                background.control.release()  # or it would never come to `STOP`
            self.put(STOP, None)  # before the state says so: if this fails, it can be asked to stop again
            if self.state < STOPPING:  # else a Trio instrument has ended it while `put` woke it
                self.state = STOPPING
        # `refuse_senders`, written out for an actor that no sender waits for.
        self.is_open = False
        self.inbox = None
        if self.overflow:
            self.refuse_senders(NORMAL)

    def end(self, exit: Exit) -> None:
        """End now: cancel what runs, take no other message. The first exit counts, but a kill overrides it."""
        life = self.life
        if self.state >= ENDING:
            if exit.reason == "killed" and self.state == ENDING:
                life.exit = exit
                self._interrupt()
                if self.actor is not None:
                    self.actor._trioreg_killed()
            return
        before = life.exit, self.state, self.is_open, self.inbox
        has_stop = False
        life.exit = exit
        self.state = ENDING
        # With an empty queue there will be no `STOP` in front of a message that comes now: nothing gets in any more.
        self.is_open = False
        self.inbox = None
        try:
            if exit.reason == "killed" and self.actor is not None:
                self.actor._trioreg_killed()
            if self.queue:
                # `STOP` in front of all messages: so the loop need not look at the state for each message.
                self.queue.extendleft((None, STOP))
                has_stop = True
            self._interrupt()
        except BaseException:
            # The stack is full, or the memory. The actor is as before, so it can be ended again.
            life.exit, self.state, self.is_open, self.inbox = before
            if has_stop and self.queue:
                del self.queue[0]
                del self.queue[0]
            raise
        if self.task is not None:
            self.waits = life.end_waits  # what its code waits for is being cancelled

    def _interrupt(self) -> None:
        """Wake the actor's own task, or cancel what it does."""
        if self.scope is None:
            self.wake_taker()
        # If a message has woken the task, it finds the end by itself. It may be in the middle of being woken: the
        # garbage collector can run there, and a ``__del__`` may end the actor. To cancel it would wake it twice.
        elif self.kind is None and not self.scope.cancel_called:
            require_room()
            self.scope.cancel()

    def fail(self, error: BaseException) -> BaseException:
        """The actor has crashed. Later errors, from code that its end cancels, are kept beside the first.

        Returns the error of its exit: for some, `as_crash` makes another one.
        """
        life = self.life
        if life.errors is None:
            life.errors = []
        crash = as_crash(without_runtime_frames(error))
        life.errors.append(crash)
        self.end(Exit("crashed", crash))
        return crash

    async def run_or_fail(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run ``await function(*args)``, a part of the user's code. If it raises, the actor has crashed."""
        task = current_task()
        try:
            await await_user(async_result(function, run_user(function, *args)))
        except BaseException as error:
            if is_being_closed(task):
                raise
            cancelled, failure = split(error)
            try:
                # An `on_stop`, which is the actor's own task, knows that the actor is ending.
                if failure is not None and (task is self.task or not self.is_of_this_end(failure)):
                    self.fail(failure)
                if cancelled is not None:
                    raise cancelled from None
            finally:
                del cancelled, failure  # their tracebacks keep this frame

    def is_of_this_end(self, failure: BaseException) -> bool:
        """Whether the actor's own code failed because the actor is ending, as it sent a message or started a task.

        That code would have been cancelled next. It makes no crash of an orderly end.
        """
        return self.state >= ENDING and isinstance(failure, ActorExited) and failure.ref is self.ref

    def refuse_senders(self, exit: Exit) -> None:
        """Nothing more gets in. Refuse senders that wait for room, but not the actor itself: `is_sent_by_itself`."""
        self.close()
        self._refuse_some_senders(exit)
        if self.overflow:
            require_room()  # Trio can't undo the start of a task
            self.life.child.spawn(self._refuse_other_senders, f"{self.ref._label}, refusal")

    @enable_ki_protection
    async def _refuse_other_senders(self) -> None:
        """Very many senders waited: other tasks have their turn on the way. If the actor ends first, that does it."""
        with trio.CancelScope(shield=True):
            while self.overflow:
                await checkpoint()
                self._refuse_some_senders(self.life.exit or NORMAL)

    def _refuse_some_senders(self, exit: Exit) -> None:
        for _ in range(REFUSED_PER_TURN):
            if not self.refuse_sender(exit):
                return

    def refuse_sender(self, exit: Exit) -> bool:
        """Refuse the first sender that waits. False if there is none."""
        if not self.overflow:
            return False
        key = next(iter(self.overflow))
        sender = self.overflow[key]
        if sender.admitted:
            pass
        elif sender.task is not None and self.owns(sender.task):
            self.put(sender.kind, sender.payload)
            sender.admitted = True
        else:
            refuse(sender.payload, self.ref, exit, was_sent=False)
            tell_left(self, sender.kind, sender.payload, "exited")
        self.remove_sender(key)
        return True

    def is_sent_by_itself(self) -> bool:
        """Whether the actor is stopping, and its own code is sending it a message now.

        Such a message gets in behind `STOP`. It is not handled, or an actor that goes on by sending to itself would
        never end, but it is counted as unhandled. If it were refused, the error would crash an actor that is to stop.
        """
        return (
            self.state == STOPPING
            and get_ident() == self.thread
            and current_actor.get(None) is self.ref
            and self.owns(current_task())
        )

    # Wait for the start and for the end

    async def wait_started(self) -> None:
        """Wait until it has started, or has ended instead. A checkpoint."""
        life = self.life
        if life.started is None:
            life.started = trio.Event()
            if self.state != STARTING:
                life.started.set()
        current_task().custom_sleep_data = life.started  # as long as it sleeps
        await life.started.wait()

    async def wait_ended(self) -> None:
        """Wait for the end. A checkpoint."""
        if self.state == ENDED:
            await checkpoint()
            return
        life = self.life
        watchers = life.watchers
        if watchers is None:
            watchers = life.watchers = {}
        task = current_task()
        watchers[task] = None
        try:
            task.custom_sleep_data = watchers
            await sleep_until_woken()
        finally:
            watchers.pop(task, None)
