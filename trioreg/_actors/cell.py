"""The life of an actor, from its name to its `Exit`: the machinery behind an `ActorRef`.

A `Cell` is what the runtime keeps of a living actor. It owns the actor's task, its state, its mailbox and its open
calls, and passes through five states, never back:

    STARTING -> RUNNING -> (STOPPING ->) ENDING -> ENDED

STOPPING: what is in the mailbox is still handled, nothing more gets in. ENDING: how it ends is decided, its handlers
and background tasks are being cancelled, `on_stop` runs. ENDED: the last step of the task, in which the names go.

What it leaves to others: who restarts it (`Child.ended`, the supervisor's), how an address becomes a cell
(`_ref.py`), and what a method is (`_handler.py`).

An idle actor's sync handler runs in the turn of its caller (`Cell.answer_now`): the actor's task is parked, its
mailbox is empty and nothing of the actor runs, so order and exclusion hold, and two task switches are saved.
"""

from __future__ import annotations

import inspect
import logging
import math
from threading import get_ident
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol, cast

import trio
from trio.lowlevel import (
    Abort,
    RaiseCancelT,
    Task,
    checkpoint,
    current_task,
    enable_ki_protection,
    wait_task_rescheduled,
)

from .._runtime import (
    NORMAL,
    SHUTDOWN,
    ActorExited,
    Exit,
    Owner,
    async_result,
    await_user,
    combine,
    current_actor,
    park,
    run_user,
    shown_safely,
    split,
    wake,
    without_runtime_frames,
)
from .call import Call, Reply
from .deadlock import is_within, link
from .handler import Handler, Resumed
from .mailbox import Mailbox

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from contextvars import Context

    from .deadlock import Waiting
    from .handler import Handlers, Hooks


logger = logging.getLogger("trioreg")

STARTING, RUNNING, STOPPING, ENDING, ENDED = range(5)

COROUTINE: type[object] = CoroutineType
NO_KWARGS: dict[str, object] = {}
NOTHING_QUEUED = ()

BATCH = 256
"""How many messages an actor handles before it lets other tasks run."""

# The kinds of messages: see `Mailbox`. For a cast without keyword arguments it is the `Handler`, with the arguments.

CALL = object()
"""A call; with it comes the `Call`."""

INFO = object()
"""A plain message, for ``on_message`` or ``receive()``; with it comes that."""

CAST = object()
"""A cast with keyword arguments, or the second half of one; with it come the handler and all arguments."""

TICK = object()
"""A plain message of a timer; with it comes the `Tick`."""

NOTHING = object()
"""The value of a function actor that has not returned."""

STOP = object()
"""The message behind which an actor that was asked to stop takes no other."""


class Behaviour(Protocol):
    """The user's side of an actor: what a cell calls on it."""

    idle_timeout: float | None
    log_state: bool

    def _killed(self) -> None: ...
    async def _run_on_start(self) -> None: ...
    async def on_start(self) -> None: ...
    async def on_message(self, message: Any) -> None: ...
    async def on_stop(self, exit: Exit) -> None: ...
    async def on_idle(self) -> None: ...


class Reference(Owner):
    """The handle's side of an actor: an `ActorRef`."""

    __slots__ = ()

    def _set_ended(self, exit: Exit) -> None:
        raise NotImplementedError  # pragma: no cover  # abstract


class Child(Protocol):
    """The supervisor's side of an actor."""

    @property
    def restarts(self) -> int: ...

    @property
    def title(self) -> str:
        """What the supervisor calls it."""
        ...

    @property
    def shutdown(self) -> float:
        """How long `on_stop` may take, in seconds."""
        ...

    def ended(self, cell: Cell) -> None:
        """Called in the last step of the actor's task, before its names go: the place to start a successor."""

    def spawn(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        """Start a task beside the actor's own."""


class Tick:
    """The message of a timer.

    Attributes:
        is_waiting: Whether it is in the mailbox, or waits for room there: then the timer does not send it once more.
    """

    __slots__ = ("is_waiting", "message")

    def __init__(self, message: object) -> None:
        self.message = message
        self.is_waiting = False

    def taken(self) -> object:
        """The message; from now on the next one may come."""
        self.is_waiting = False
        return self.message


class Background:
    """The background tasks of an actor: they live and die with it."""

    __slots__ = ("gone", "scopes", "tasks")

    def __init__(self) -> None:
        self.scopes: set[trio.CancelScope] = set()
        self.tasks: set[Task] = set()
        self.gone: trio.Event | None = None


class Cell(Mailbox):
    """One life of an actor."""

    __slots__ = (
        "_args",
        "_background",
        "_child",
        "_context",
        "_current",
        "_deferred",
        "_errors",
        "_factory",
        "_handling",
        "_hooks",
        "_idle_scope",
        "_is_inline",
        "_receives",
        "_scope",
        "_started",
        "_watchers",
        "actor",
        "exit",
        "handled",
        "handlers",
        "is_started",
        "label",
        "ref",
        "started_at",
        "starter",
        "state",
        "task",
        "value",
        "waits",
    )

    def __init__(
        self,
        ref: Reference,
        child: Child,
        factory: Callable[..., object],
        args: tuple[object, ...],
        *,
        label: str,
        handlers: Handlers,
        hooks: Hooks | None,
        mailbox_size: int | None,
    ) -> None:
        super().__init__(mailbox_size, ref._run.thread)
        self.ref = ref
        self.label = label
        self.handlers = handlers
        self.state = STARTING
        self.is_started = False
        self.starter: Task | None = None
        self.task: Task | None = None
        self.actor: Behaviour | None = None
        self.exit: Exit | None = None
        self.value: object = NOTHING
        self.handled = 0
        self._child = child
        self._factory = factory
        self._args = args
        self._hooks = hooks
        self._context: Context | None = None
        self._scope: trio.CancelScope | None = None
        self._idle_scope: trio.CancelScope | None = None
        self._is_inline = False
        self._receives = False
        self._current: Call | None = None
        self._handling: tuple[str, tuple[object, ...], Mapping[str, object]] | None = None
        self.started_at: float | None = None
        self._deferred: dict[Call, None] | None = None
        self.waits: dict[Waiting, None] | None = None
        self._background: Background | None = None
        self._errors: list[BaseException] | None = None
        self._watchers: dict[Task, None] | None = None
        self._started: trio.Event | None = None

    # The task

    @enable_ki_protection
    async def run(self) -> None:
        """The whole life; the main function of the actor's task."""
        self.task = current_task()
        self._context = self.task.context
        current_actor.set(self.ref)
        cancelled: BaseException | None = None
        hooks = self._hooks
        try:
            try:
                # As few frames as can be: an idle actor is waiting in each of them, and wakes through them.
                if self.state >= ENDING:
                    pass
                elif hooks is None:
                    await self._run_function()
                else:
                    self.actor = cast("Behaviour", run_user(self._factory, *self._args))
                    if self.state == ENDING:
                        pass
                    elif hooks.has_on_start:
                        with trio.CancelScope() as self._scope:
                            await await_user(self.actor._run_on_start())
                            if self.state < ENDING:
                                self._set_started()
                                await self._serve()
                    else:
                        self._set_started()
                        if await self._serve():
                            # From the first async handler on, there is something to cancel.
                            with trio.CancelScope() as self._scope:
                                await self._serve()
            except GeneratorExit:
                raise  # the run itself broke down and throws its coroutines away: nothing can be awaited any more
            except BaseException as error:
                cancelled, failure = split(error)
                if failure is not None:
                    self.fail(failure)
                del failure
            self._scope = None
            self.end(SHUTDOWN if cancelled is not None else NORMAL)
            self._settle()
            if self._background is not None or (hooks is not None and hooks.has_on_stop):
                await self._wind_down()
        finally:
            self._finish()
        if cancelled is not None:
            try:
                raise cancelled
            finally:
                del cancelled

    async def _run_function(self) -> None:
        # Arguments that do not fit are an error of the start.
        result = run_user(self._factory, *self._args)
        if not inspect.isawaitable(result):
            raise TypeError(f"{self.label} must be an Actor class or an async function, but it returned {result!r}")
        if self.state == ENDING:  # it has ended itself
            if inspect.iscoroutine(result):
                result.close()
            return
        with trio.CancelScope() as self._scope:
            self._set_started()
            self.value = await await_user(cast("Awaitable[object]", result))

    def _set_started(self) -> None:
        self.is_started = True
        self.started_at = trio.current_time()
        if self.state == STARTING:
            self.state = RUNNING
        if self._started is not None:
            self._started.set()
        if self.starter is not None:
            wake(self.starter)
            self.starter = None

    async def _serve(self) -> bool:
        """Handle messages, one at a time, until the actor is to end. True if an async handler comes first, for which
        there has to be a scope: that message is still there, so come again with one."""
        hooks, actor, task = self._hooks, self.actor, self.task
        assert hooks is not None and task is not None
        self.taker = task
        # Nothing is checked twice in here: this loop is the cost of every message.
        handler: Any = None
        args: Any = ()
        kwargs: Mapping[str, object] = NO_KWARGS
        call: Call | None = None
        kind: Any = None
        payload: Any = None
        result: Any = None
        budget = BATCH
        while True:
            # `take`, written out.
            queue: Any = self._queue
            if self.kind is not None:
                if self.state == ENDING:
                    return False
                kind, payload = self.kind, self.payload
                self.kind = self.payload = None
                queue = queue or NOTHING_QUEUED
            elif queue:
                if not budget:
                    await checkpoint()
                    budget = BATCH
                    continue  # what was waiting may have been withdrawn meanwhile
                if self.limit is None:
                    budget = self._run_casts(queue, budget)
                    if not queue or not budget or self.kind is not None:
                        continue
                budget -= 1
                kind = queue.popleft()
                payload = queue.popleft()
            elif self.state == ENDING:
                return False
            else:
                # An idle actor keeps nothing of its last message.
                args, payload, result = (), None, None
                if hooks.has_on_idle:
                    await self._wait_for_message()
                else:
                    # `Mailbox.park`, written out: each frame that a parked task keeps is paid for by every actor.
                    sleep = park()
                    if self.kind is not None or self._queue or self.state == ENDING:
                        continue
                    task.custom_sleep_data = self
                    await sleep
                budget = BATCH
                continue
            if type(kind) is Handler:
                handler, args = kind, payload
            elif kind is CALL:
                if self._withdrawn and self.forget_withdrawn(payload):
                    continue
                call = cast("Call", payload)
                handler, args, kwargs = payload.handler, payload.args, payload.kwargs
            elif kind is INFO:
                handler, args = hooks.on_message, (payload,)
            elif kind is CAST:
                handler, args, kwargs = payload
            elif kind is TICK:
                handler, args = hooks.on_message, (payload.taken(),)
            else:
                assert kind is STOP
                return False
            if handler.is_async and self._scope is None:
                self.put_first(kind, payload)
                return True
            if len(queue) >= self._peak:
                self.note_peak()
            if self._overflow:
                self._admit()
            if call is not None:
                self._current = call
            function = handler.function
            try:
                if kwargs:
                    result = function(actor, *args, **kwargs)
                elif len(args) == 1:
                    result = function(actor, args[0])
                else:
                    result = function(actor, *args)
                if handler.is_async:
                    result = await result
            except handler.declared as error:
                if call is not None:
                    call.fail(error)
                else:
                    logger.error("%r: %s failed with a declared error", self.ref, handler.name, exc_info=error)
            except BaseException as error:
                if split(error)[1] is not None:  # else it was only cancelled: if there is a crash, it is another's
                    self._handling = (handler.name, args, kwargs)
                raise
            else:
                if result is not None and type(result) is COROUTINE and not handler.is_async:
                    self._resume(cast("Any", result), handler, args, kwargs, call)
                elif call is None:
                    pass
                elif type(result) is Reply:
                    self._defer(call, cast("Reply[object]", result))
                else:
                    call.answer(result)
            if call is not None:
                self._current = call = None
            if kwargs:
                kwargs = NO_KWARGS
            self.handled += 1

    @enable_ki_protection
    def _run_casts(self, queue: deque[Any], budget: int) -> int:
        """Handle what is next, as `_serve` does, as long as it is a cast to a sync method: most messages are, and a
        loop for nothing else is quicker. Returns how much of the budget is left."""
        actor = self.actor
        handler: Any = None
        args: Any = None
        result: Any
        try:
            while budget and queue:
                handler = queue.popleft()
                if type(handler) is not Handler or handler.is_async:
                    queue.appendleft(handler)  # for `_serve`
                    break
                args = queue.popleft()
                if len(queue) >= self._peak:
                    self.note_peak()
                budget -= 1
                function = handler.function
                result = function(actor, args[0]) if len(args) == 1 else function(actor, *args)
                self.handled += 1
                if result is not None and type(result) is COROUTINE:
                    self._resume(cast("Any", result), handler, args, NO_KWARGS, None)
                    break
        except BaseException as error:
            if not isinstance(error, handler.declared):
                self._handling = (handler.name, args, NO_KWARGS)
                raise
            logger.error("%r: %s failed with a declared error", self.ref, handler.name, exc_info=error)
            self.handled += 1
        return budget

    def _resume(
        self,
        coroutine: Coroutine[Any, Any, object],
        handler: Handler,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        call: Call | None,
    ) -> None:
        """A sync function around an async one: what it has begun goes on in the actor's own task, before all that
        waits, if there is still time. It counts when that is done."""
        self.handled -= 1
        resumed = Resumed(handler, coroutine)
        if call is not None:
            call.handler = resumed
            call.has_begun = True
            self.put_first(CALL, call)
        elif self.state == ENDING:
            coroutine.close()
        else:
            self.put_first(CAST, (resumed, args, kwargs))

    async def _wait_for_message(self) -> None:
        assert self._hooks is not None and self.actor is not None
        with trio.CancelScope(deadline=self._idle_deadline()) as self._idle_scope:
            try:
                await self.park()
            finally:
                self._idle_scope = None
            return
        if not self._queue:  # what has come since the time was up is there
            self.kind, self.payload = self._hooks.on_idle, ()

    def _idle_deadline(self) -> float:
        timeout = None if self.actor is None else self.actor.idle_timeout
        return math.inf if timeout is None else trio.current_time() + timeout

    def _put_idle_off(self, scope: trio.CancelScope) -> None:
        try:
            scope.deadline = self._idle_deadline()
        except Exception as error:  # an `idle_timeout` that is none: an error of the actor, not of whoever calls it
            self.fail(error)

    def adopt(self, actor: Behaviour) -> bool:
        """Whether ``actor``, just made by this actor's own code, is its instance."""
        if self.actor is not None or self._hooks is None or self.state >= ENDED:
            return False
        self.actor = actor
        return True

    # Being asked

    def answer_now(self, handler: Handler, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
        """Run a sync handler of this idle actor here and now. A `Call` comes back where the answer must be awaited."""
        context = self._context
        assert context is not None
        self._is_inline = True
        try:
            if kwargs:
                result = context.run(handler.function, self.actor, *args, **kwargs)
            elif len(args) == 1:
                result = context.run(handler.function, self.actor, args[0])
            else:
                result = context.run(handler.function, self.actor, *args)
            if type(result) is Reply:
                call = Call(self.ref, None, handler, args, kwargs)
                self._defer(call, cast("Reply[object]", result))
                return call
        except handler.declared:
            raise
        except BaseException as error:
            self._handling = (handler.name, args, kwargs)
            self.fail(error)
            raise ActorExited(self.ref, Exit("crashed", error)) from error
        finally:
            self._is_inline = False
            self.handled += 1
            if self._idle_scope is not None:
                self._put_idle_off(self._idle_scope)
        if type(result) is COROUTINE:
            call = Call(self.ref, link(self, current_task()), handler, args, kwargs)
            self._resume(cast("Any", result), handler, args, kwargs, call)
            return call
        return result

    def ask(self, handler: Handler, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Call:
        """Put a call into the mailbox; `wait_answer` waits for it."""
        call = Call(self.ref, link(self, current_task()), handler, args, kwargs)
        self.put_or_line_up(CALL, call)
        return call

    async def wait_answer(self, call: Call) -> object:
        """Wait until a call is answered, and give the answer or raise the error. A checkpoint."""
        if call.is_done:  # by the handler that returned the reply
            await checkpoint()
        else:
            call.task = current_task()

            def abort(_: RaiseCancelT) -> Abort:
                self._abandon(call)
                return Abort.SUCCEEDED

            await wait_task_rescheduled(abort)
        if call.error is not None:
            try:
                raise call.error
            finally:
                del call
        return call.value

    def _abandon(self, call: Call) -> None:
        """The caller was cancelled. A call that waits is taken back; one in work goes on, for nobody."""
        is_waiting = call is not self._current and call.deferred is None and not call.has_begun
        call.abandon()
        if is_waiting and self.state < ENDING:
            self.withdraw(call)

    def _defer(self, call: Call, reply: Reply[object]) -> None:
        # From here on the caller waits for whoever has the reply: the actor is free, so there can't be a cycle.
        call.unlink()
        if not reply._bind(call) and not call.is_done:
            if self._deferred is None:
                self._deferred = {}
            self._deferred[call] = None
            call.deferred = self._deferred

    def owns(self, task: Task) -> bool:
        """Whether ``task`` runs the actor's code: its own task, one in a nursery below it, or a background task."""
        if self._is_inline or task is self.task:
            return True
        return is_within(task, self.task, self._background.tasks if self._background is not None else ())

    # Function actors

    async def receive(self) -> object:
        """The next plain message. A checkpoint."""
        if self._hooks is not None:
            raise RuntimeError(f"{self.ref!r} is an Actor: its messages come to on_message(), not to receive()")
        self._receives = True
        if self._queue or self.kind is not None:  # what has woken another task of it is for that one
            await checkpoint()
        while True:
            message = self.take()
            if message is None:
                if self.is_idle:
                    raise RuntimeError(f"another task of {self.ref!r} is waiting in receive()")
                await self.park()
                if self.state == ENDING and self._scope is not None:
                    self._scope.cancel()  # not done yet, where it is a message that has woken it: see `_cancel`
            elif message[0] is STOP:
                # Everything sent before has been received: this is the end that `stop` asked for.
                self.end(NORMAL)
                await trio.sleep_forever()
            else:
                self.handled += 1
                kind, payload = message
                return cast("Tick", payload).taken() if kind is TICK else payload

    # Background tasks

    @enable_ki_protection
    def start_soon(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        if self.state >= ENDING:
            raise ActorExited(self.ref, self.exit or NORMAL)
        if not callable(function):
            raise TypeError(f"async_fn must be an async function, not {function!r}")
        background = self._background
        if background is None:
            background = self._background = Background()
        scope = trio.CancelScope()
        background.scopes.add(scope)

        @enable_ki_protection
        async def run() -> None:
            task = current_task()
            background.tasks.add(task)
            try:
                with scope:
                    try:
                        await await_user(async_result(function, run_user(function, *args)))
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        cancelled, failure = split(error)
                        if failure is not None:
                            self.fail(failure)
                        if cancelled is not None:
                            raise cancelled from None
            finally:
                background.tasks.discard(task)
                background.scopes.discard(scope)
                if background.gone is not None and not background.scopes:
                    background.gone.set()

        # In a copy of the actor's context, whoever calls: what runs there is the actor's code.
        assert self._context is not None
        self._context.copy().run(self._child.spawn, run, f"{self.label}, background")

    # Being looked at

    @property
    def calls_in_flight(self) -> int:
        """How many calls have begun and are not answered yet."""
        return (self._current is not None) + self._is_inline + len(self._deferred or ())

    @property
    def restarts(self) -> int:
        return self._child.restarts

    @property
    def title(self) -> str:
        return self._child.title

    def last_words(self) -> str:
        """What it was doing when it crashed, for the log."""
        words = ""
        if self._handling is not None:
            name, args, kwargs = self._handling
            shown = [*map(shown_safely, args), *(f"{key}={shown_safely(value)}" for key, value in kwargs.items())]
            words = f", in {name}({', '.join(shown)})"
        if self.actor is not None and self.actor.log_state:
            words += f", with {shown_safely(getattr(self.actor, '__dict__', {}))}"
        return words

    # The end

    def stop(self) -> None:
        """Handle what is in the mailbox, then end."""
        if self.state >= STOPPING:
            return
        self.state = STOPPING
        if self._hooks is None and not self._receives:
            self.end(NORMAL)  # it does not take messages, so it would never come to the one that says stop
        else:
            self.put(STOP, None)
        self._close(NORMAL)

    def end(self, exit: Exit) -> None:
        """End now: cancel what runs, take no other message. The first exit counts, but a kill overrides."""
        if self.state >= ENDING:
            if exit.reason == "killed" and self.state == ENDING:
                self.exit = exit
                self._cancel()
                if self.actor is not None:
                    self.actor._killed()
            return
        self.exit = exit
        self.state = ENDING
        self.close()  # where nothing waits, nothing below keeps the actor from what would come now
        if exit.reason == "killed" and self.actor is not None:
            self.actor._killed()
        if self._queue:
            # Before all that waits: nobody has to look at the state for each message.
            self._queue.extendleft((None, STOP))
        if self._scope is not None:
            self._cancel()
        else:
            self.unpark()

    def _cancel(self) -> None:
        # A task that a message has woken sees for itself that this is the end. It may be in the middle of being woken,
        # where a ``__del__`` is who ends it: to cancel it would wake it twice.
        if self._scope is not None and self.kind is None:
            self._scope.cancel()

    def fail(self, error: BaseException) -> None:
        """The actor has crashed. Later errors, of what its end cancels, are kept beside the first."""
        if self._errors is None:
            self._errors = []
        self._errors.append(without_runtime_frames(error))
        self.end(Exit("crashed", error))

    def _refuse(self, payload: object, exit: Exit, *, was_sent: bool = True) -> bool:
        """Tell the caller behind a message, if there is one, that no answer will come."""
        if type(payload) is not Call:
            return False
        error = ActorExited(self.ref, exit, was_sent=was_sent)
        error.__cause__ = exit.error
        payload.fail(error)
        return True

    def _close(self, exit: Exit) -> None:
        """Nothing more gets in. Who waits for room is refused, but not the actor itself: see `leaves_behind`."""
        for sender in self.refuse_senders():
            if sender.task is not None and self.owns(sender.task):
                sender.admitted = True
                self.put(sender.kind, sender.payload)
            else:
                self._refuse(sender.payload, exit, was_sent=False)

    def leaves_behind(self) -> bool:
        """Whether a message that gets in now is the stopping actor's own, to itself.

        It lies behind `STOP`: it is not handled, or an actor that goes on by sending to itself would never end, but it
        is counted among what was left. Refused, it would be an error of the actor, and a crash instead of the end.
        """
        return (
            self.state == STOPPING
            and get_ident() == self.thread
            and current_actor.get(None) is self.ref
            and self.owns(current_task())
        )

    def _settle(self) -> None:
        """Nothing more is handled: everybody who waits for an answer learns it, before `on_stop` takes its time."""
        exit = self.exit
        assert exit is not None
        if self._errors and exit.error is None:
            exit = Exit("crashed", combine(self._errors, self.label))  # it was being ended, and crashed on the way
        self._close(exit)
        if self._current is not None:
            self._refuse(self._current, exit)
            self._current = None
        if self._deferred:
            for call in list(self._deferred):
                self._refuse(call, exit)
        self._deferred = None
        left = 0
        kind: object
        payload: Any
        for kind, payload in self.drain():
            if kind is CALL:
                call = cast("Call", payload)
                if isinstance(call.handler, Resumed):
                    call.handler.coroutine.close()
                self._refuse(call, exit)
            elif kind is not STOP:
                if kind is CAST and isinstance(payload[0], Resumed):
                    payload[0].coroutine.close()
                left += 1
        if left:
            logger.warning("%r ended (%s) with %d unhandled messages in its mailbox", self.ref, exit, left)

    async def _wind_down(self) -> None:
        background = self._background
        if background is not None and background.scopes:
            for scope in list(background.scopes):
                scope.cancel()
            background.gone = trio.Event()
            with trio.CancelScope(shield=True):
                await background.gone.wait()
        if self._hooks is None or not self._hooks.has_on_stop or not self.is_started:
            return
        exit = self.exit
        assert exit is not None and self.actor is not None
        if exit.reason == "killed":
            return
        limit = self._child.shutdown
        with trio.CancelScope(shield=True, deadline=trio.current_time() + limit) as self._scope:
            try:
                await await_user(async_result(self.actor.on_stop, self.actor.on_stop(exit)))
            except GeneratorExit:
                raise
            except BaseException as error:
                cancelled, failure = split(error)
                if failure is not None:
                    self.fail(failure)
                if cancelled is not None:
                    raise cancelled from None
        if self._scope.cancelled_caught and self.exit is exit:
            logger.warning("%r: on_stop took longer than %g seconds and was cancelled", self.ref, limit)
        self._scope = None

    def _finish(self) -> None:
        """The last step of the task: from here to its end no other task runs."""
        exit = self.exit or SHUTDOWN
        if self._errors:
            exit = Exit("crashed", combine(self._errors, self.label))
        elif self.value is not NOTHING:
            exit = Exit(exit.reason, value=self.value, has_returned=True)
        self.exit = exit
        self.state = ENDED
        run = self.ref._run
        is_outermost = run.begin_step()
        self.ref._set_ended(exit)
        try:
            self._child.ended(self)
        finally:
            # After the supervisor: what the successor takes over, it takes over before anybody can see it free.
            self.ref._release(exit)
            if is_outermost:
                run.end_step()
            if self.starter is not None:
                wake(self.starter)
                self.starter = None
            if self._started is not None:
                self._started.set()
            for task in self._watchers or ():
                if task.custom_sleep_data is self._watchers:  # else it is being cancelled
                    wake(task)
            self.actor = self.task = self.taker = self._context = self._background = None
            self._factory, self._args = type(None), ()

    @property
    def child(self) -> Child:
        """The supervisor's side of it."""
        return self._child

    async def wait_started(self) -> None:
        """Wait until it has started, or has ended without. A checkpoint."""
        if self._started is None:
            self._started = trio.Event()
            if self.state != STARTING:
                self._started.set()
        await self._started.wait()

    async def wait_ended(self) -> None:
        """Wait for the end. A checkpoint."""
        if self.state == ENDED:
            await checkpoint()
            return
        watchers = self._watchers
        if watchers is None:
            watchers = self._watchers = {}
        task = current_task()
        watchers[task] = None
        try:
            task.custom_sleep_data = watchers
            await park()
        finally:
            watchers.pop(task, None)
