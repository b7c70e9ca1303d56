"""What a user writes: `Actor` classes.

The runtime's side of an actor is its `Cell`. What is here is a thin layer over that. The functions that a function
actor calls are in `current.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVarTuple, cast
from weakref import WeakValueDictionary

from trio.lowlevel import enable_ki_protection

from .._runtime import async_result, do_later, is_finalizing
from .cell import ENDED, ENDING, NOTHING, Cell
from .current import current_cell
from .log import log_unexpected
from .start_soon import start_background_task
from .timer import Timer, cast_timer, message_timer

if TYPE_CHECKING:
    from typing import Self

    from .._runtime import Exit
    from .ref import ActorRef

P = ParamSpec("P")
Ts = TypeVarTuple("Ts")


class Actor:
    """One task, one mailbox, private state, one message at a time. Subclass it, as you would write a ``GenServer``.

    Synopsis::

        class SecretAgent(trioreg.Actor):
            def __init__(self, codename: str) -> None:  # runs in the actor's own task
                self.codename = codename

            def echo(self, text: str) -> str:  # a message is a method; sync or async
                return f'{self.codename} says: "{text}"'

        bond = await supervisor.start_child(SecretAgent, "James Bond")
        await bond.call(SecretAgent.echo, "My name is Bond, James Bond.")

    A method that raises crashes the actor ("let it crash"), unless it declares the error with `raises`. Override the
    ``on_...`` methods that you need.

    Attributes:
        mailbox_size: How many messages may wait; None (the default): any number. A class attribute.
        idle_timeout: After how many seconds without a message `on_idle` is called; None (the default): never. A class
            or an instance attribute.
        own_turn: Whether sync methods always run in the actor's own task. False by default: a call to an idle actor's
            sync method runs in the caller's task, and a message to many actors in a task of the runtime. That is
            quicker. Set it to True if a sync method uses something that belongs to a task, such as a `trio.Lock`. A
            class attribute.
        handler_timeout: How long an async handler may take, in seconds; None (the default): as long as it likes. If a
            handler takes longer, the actor crashes with `HandlerTimeout`. This holds for methods that are sent as
            messages, for `on_message` and for `on_idle`. A sync method can't be interrupted and has no limit. What a
            supervisor does beside its other messages, such as a start, has none either. A class attribute.
        log_state: Whether the log line of a crash shows the actor's attributes. False by default, because they may hold
            secrets. A class or an instance attribute.
    """

    # No slots, so that any class layout can stand beside it: a base of `dict`, or one with slots of its own.
    __slots__ = ()

    mailbox_size: int | None = None
    idle_timeout: float | None = None
    own_turn: bool = False
    handler_timeout: float | None = None
    log_state: bool = False

    _trioreg_cell: ClassVar[Cell | None] = None

    # Whether a coroutine that a method returns, or that a method marked with `beside` is, runs beside other messages.
    _trioreg_is_side_by_side: ClassVar[bool] = False

    # What every method of the class declares, as if `raises` stood at each.
    _trioreg_declares: ClassVar[tuple[type[Exception], ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_taken_names(cls)

    if not TYPE_CHECKING:  # a type checker takes the arguments from `__init__`

        def __new__(cls, *args: object, **kwargs: object) -> Self:
            new = super().__new__
            if new is not object.__new__:
                self = new(cls, *args, **kwargs)  # of a base like `tuple`
            elif (args or kwargs) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__qualname__}() takes no arguments")
            else:
                self = new(cls)
            # The first instance of its class that an actor's own code makes is the actor. Any other is a plain object.
            cell = current_cell()
            if cell is not None and cell.takes_instance_of(cls):
                self._trioreg_bind(cell)
            elif _cells_by_id:
                _cells_by_id.pop(id(self), None)  # of an actor that was at the same place in memory
            return self

    @property
    def ref(self) -> ActorRef[Self]:
        """The actor's own reference. Not a checkpoint; constant time.

        Raises:
            RuntimeError: No supervisor has started this instance.
        """
        return cast("ActorRef[Self]", _require_cell(self).ref)

    @enable_ki_protection
    def stop(self, value: object = None, /) -> None:
        """End this actor when it has handled the messages in its mailbox. The exit is ``"normal"``.

        Not a checkpoint; constant time.

        Args:
            value: What `Exit.value` is to be, as the reason of ``{:stop, reason, state}``. The first value that the
                actor gives counts. Once the exit is decided, as it is in `on_stop`, a value comes too late and is
                dropped.

        Raises:
            RuntimeError: This is not the thread of the Trio run.
        """
        cell = _require_writable_cell(self)
        if is_finalizing():
            do_later(cell.ref._run.token, self.stop, value)
            return
        cell.stop()
        if value is not None and cell.life.value is NOTHING and cell.state < ENDING:
            cell.life.value = value

    def start_soon(self, async_fn: Callable[[*Ts], Awaitable[object]], /, *args: *Ts) -> None:
        """Run ``await async_fn(*args)`` beside the handlers: work that lives and dies with the actor.

        If it raises, the actor crashes. When the actor ends, it is cancelled; the actor and its names stay until it is
        done. Not a checkpoint; constant time.

        Raises:
            ActorExited: The actor is ending.
            TypeError: ``async_fn`` can't be called. (If it can be called but is not async, the actor crashes.)
            RuntimeError: This is not the thread of the Trio run.
        """
        start_background_task(_require_writable_cell(self), async_fn, *args)

    def send_after(self, seconds: float, message: object) -> Timer:
        """Send ``message`` to this actor's `on_message` after ``seconds``: ``Process.send_after(self(), ...)``.

        It does not come if you cancel the `Timer`, or if the actor ends first. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of at least 0.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return message_timer(_require_writable_cell(self), seconds, message, repeats=False)

    def send_every(self, seconds: float, message: object) -> Timer:
        """Send ``message`` to this actor's `on_message` every ``seconds``, the first time after ``seconds``.

        Late messages do not pile up: if the last one still waits in the mailbox, the next one is left out. The messages
        end with the actor, or when you cancel the `Timer`. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of more than 0.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return message_timer(_require_writable_cell(self), seconds, message, repeats=True)

    def cast_after(
        self, seconds: float, method: Callable[Concatenate[Self, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> Timer:
        """Cast to one of this actor's own methods after ``seconds``: `send_after`, and the message is a method.

        ::

            self.cast_after(5, Clock.strike, "five")

        It does not come if you cancel the `Timer`, or if the actor ends first. Not a checkpoint; constant time.

        Args:
            seconds: From now on, at least 0.
            method: A method as the class has it, sync or async.
            args, kwargs: Its arguments.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of at least 0; there is no such method, or the arguments
                do not fit.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return cast_timer(_require_writable_cell(self), seconds, method, args, kwargs, repeats=False)

    def cast_every(
        self, seconds: float, method: Callable[Concatenate[Self, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> Timer:
        """Cast to one of this actor's own methods every ``seconds``, the first time after ``seconds``.

        As with `send_every`, late messages do not pile up. A supervisor that casts starts to itself leaves one out
        while the last one still goes on. The casts end with the actor, or when you cancel the `Timer`. Not a
        checkpoint; constant time.

        Args:
            seconds: The time from one to the next, more than 0.
            method, args, kwargs: As for `cast_after`.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of more than 0; there is no such method, or the arguments
                do not fit.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return cast_timer(_require_writable_cell(self), seconds, method, args, kwargs, repeats=True)

    def _trioreg_bind(self, cell: Cell) -> None:
        """The runtime's own hook: this instance is the actor."""
        cell.actor = self
        try:
            object.__setattr__(self, "_trioreg_cell", cell)  # the class may be frozen
        except AttributeError:  # it has slots, and so have all its bases
            _cells_by_id[id(self)] = cell

    def _trioreg_take(self, cell: Cell) -> None:
        """The runtime's own hook: this instance is the actor, and the factory has not just made it."""
        other = self._trioreg_cell or _cells_by_id.get(id(self))
        if other is not None and other.state < ENDED:
            raise RuntimeError(
                f"{type(self).__qualname__} has given the instance that is {other.ref!r} already: an actor needs an "
                "instance of its own"
            )
        self._trioreg_bind(cell)

    def _trioreg_killed(self) -> None:
        """The runtime's own hook: the actor is being killed, and code that shields itself has to end too."""

    async def _trioreg_start(self) -> None:
        """The runtime's own hook: everything that comes before the first message."""
        await async_result(self.on_start, self.on_start())

    async def on_start(self) -> None:
        """Called once, after ``__init__`` and before any message. ``start_child`` returns when it is done.

        If it raises, the actor does not start: ``start_child`` raises that error.
        """

    async def on_started(self) -> None:
        """Called once, after ``start_child`` has returned and before the first message: ``handle_continue``.

        Load here what takes long. In every life, messages wait until it is done, and the supervisor does not: it goes
        on with its other children. If it raises, the actor crashes, and is restarted like after any crash.
        """

    async def on_message(self, message: Any) -> None:
        """Called for each object that was sent with `~Address.send`. The default logs the object as unexpected.

        If it raises, the actor crashes.
        """
        log_unexpected(self.ref, message)

    async def on_stop(self, exit: Exit) -> None:
        """Called at the end if `on_start` has returned, unless the actor was killed. Shielded from cancellation.

        It may take the ``shutdown`` seconds of the actor's `ChildSpec`, then it is cancelled, and the exit is
        ``"killed"``. The actor still has its names. If it raises, the exit is a crash.
        """

    async def on_idle(self) -> None:
        """Called after ``idle_timeout`` seconds without a message, and again after each further ``idle_timeout``.

        A worker of a pool is not idle while a caller has it. If this raises, the actor crashes.
        """

    def __getstate__(self) -> object:
        """For copies and pickles. They are plain objects: only this one is the actor."""
        state: object = super().__getstate__()
        # With slots it is a tuple: the attributes, and what is in the slots.
        if isinstance(state, tuple):
            attributes, slots = cast("tuple[object, object]", state)
            return _without_cell(attributes), slots
        return _without_cell(state)


_OWN = {name: value for name, value in vars(Actor).items() if not name.startswith(("__", "on_"))}
_SETTINGS = {name for name, value in _OWN.items() if not (callable(value) or isinstance(value, property))}


def _refuse_taken_names(cls: type[Actor]) -> None:
    """Raise `TypeError` if a class has a method in the place of one that the runtime needs, or of a setting."""
    for name in _OWN:
        base = next(base for base in cls.__mro__ if name in vars(base))
        if base.__module__.partition(".")[0] == __name__.partition(".")[0]:
            continue
        if name not in _SETTINGS:
            instead = ", or override on_stop()" if name == "stop" else ""
            raise TypeError(
                f"{cls.__qualname__}.{name} would take the place of Actor.{name}: give it another name{instead}"
            )
        if callable(vars(base)[name]):
            raise TypeError(f"{cls.__qualname__}.{name} would be taken for the setting {name}: give it another name")


_cells_by_id: WeakValueDictionary[int, Cell] = WeakValueDictionary()
"""The cells of the actors that have no `__dict__`, by the id of the actor."""


def _find_cell(actor: Actor) -> Cell | None:
    """The cell of an actor. None if the object is no actor."""
    cell = actor._trioreg_cell
    if cell is None:
        cell = _cells_by_id.get(id(actor))
    if cell is None:
        # A base like `dict` has made the object without a call of `Actor.__new__`, and its `__init__` asks for it.
        cell = current_cell()
        if cell is None or not cell.takes_instance_of(type(actor)):
            return None
        actor._trioreg_bind(cell)
    return cell


def _require_cell(actor: Actor) -> Cell:
    """The cell of an actor. `RuntimeError` if the object is no actor."""
    cell = _find_cell(actor)
    if cell is None:
        raise RuntimeError(
            f"this {type(actor).__name__} was not started by a supervisor, so it is no actor: use start_child()"
        )
    return cell


def _require_writable_cell(actor: Actor) -> Cell:
    """The cell, to change something. `RuntimeError` in a worker thread, where nothing can be woken or started."""
    cell = _require_cell(actor)
    cell.ref._require_thread()
    return cell


def _without_cell(state: object) -> object:
    if not isinstance(state, dict):
        return state
    attributes = cast("dict[str, object]", state)
    return {name: value for name, value in attributes.items() if name != "_trioreg_cell"}
