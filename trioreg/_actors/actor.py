"""What a user writes: `Actor` classes, and the functions that a function actor calls.

The runtime's side of an actor is its `Cell`. What is here is a thin layer over that.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVarTuple, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import async_result, current_actor, do_later, is_finalizing
from .background import start_background_task
from .cell import Cell
from .function_actor import receive as receive_next
from .handler import Handlers, Hooks
from .ref import ActorRef, FunctionRef
from .timer import Timer

if TYPE_CHECKING:
    from typing import Self

    from .._runtime import do_later, is_finalizing
from .._runtime import Exit

Ts = TypeVarTuple("Ts")

logger = logging.getLogger("trioreg")


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
        log_state: Whether the log line of a crash shows the actor's attributes. False by default, because they may hold
            secrets. A class or an instance attribute.
    """

    __slots__ = ("__weakref__", "_cell")

    mailbox_size: int | None = None
    idle_timeout: float | None = None
    log_state: bool = False

    _cell: Cell | None

    if not TYPE_CHECKING:  # a type checker takes the arguments from `__init__`

        def __new__(cls, *args: object, **kwargs: object) -> Self:
            if (args or kwargs) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__qualname__}() takes no arguments")
            self = super().__new__(cls)
            # The first instance that an actor's own code makes is the actor. Any other is a plain object.
            ref = current_actor.get(None)
            cell = ref._cell if isinstance(ref, ActorRef) else None
            self._cell = cell if cell is not None and cell.bind_instance(self) else None
            return self

    @property
    def ref(self) -> ActorRef[Self]:
        """The actor's own reference. Raises `RuntimeError` if no supervisor started this instance."""
        return cast("ActorRef[Self]", self._living().ref)

    @enable_ki_protection
    def stop(self) -> None:
        """End this actor when it has handled the messages in its mailbox. The exit is ``"normal"``.

        Not a checkpoint; constant time.

        Raises:
            RuntimeError: This is not the thread of the Trio run.
        """
        cell = self._writable()
        if is_finalizing():
            do_later(cell.ref._run.token, self.stop)
        else:
            cell.stop()

    def start_soon(self, async_fn: Callable[[*Ts], Awaitable[object]], /, *args: *Ts) -> None:
        """Run ``await async_fn(*args)`` beside the handlers: work that lives and dies with the actor.

        If it raises, the actor crashes. When the actor ends, it is cancelled; the actor and its names stay until it is
        done. Not a checkpoint; constant time.

        Raises:
            ActorExited: The actor is ending.
            TypeError: ``async_fn`` can't be called. (If it can be called but is not async, the actor crashes.)
            RuntimeError: This is not the thread of the Trio run.
        """
        start_background_task(self._writable(), async_fn, *args)

    def send_after(self, seconds: float, message: object) -> Timer:
        """Send ``message`` to this actor's `on_message` after ``seconds``: ``Process.send_after(self(), ...)``.

        It does not come if you cancel the `Timer`, or if the actor ends first. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of at least 0.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return Timer(self._writable(), "seconds", seconds, message, repeats=False)

    def send_every(self, seconds: float, message: object) -> Timer:
        """Send ``message`` to this actor's `on_message` every ``seconds``, the first time after ``seconds``.

        Late messages do not pile up: if the last one still waits in the mailbox, the next one is left out. The messages
        end with the actor, or when you cancel the `Timer`. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of more than 0.
            ActorExited: The actor is ending.
            RuntimeError: This is not the thread of the Trio run.
        """
        return Timer(self._writable(), "seconds", seconds, message, repeats=True)

    def _killed(self) -> None:
        """The runtime's own hook: the actor is being killed, and code that shields itself has to end too."""

    async def _run_on_start(self) -> None:
        """The runtime's own hook: everything that comes before the first message."""
        await async_result(self.on_start, self.on_start())

    async def on_start(self) -> None:
        """Called once, after ``__init__`` and before any message. ``start_child`` returns when it is done."""

    async def on_message(self, message: Any) -> None:
        """Called for each object that was sent with `~Address.send`. The default logs the object as unexpected."""
        logger.warning("%r got an unexpected message: %r", self.ref, message)

    async def on_stop(self, exit: Exit) -> None:
        """Called at the end, unless the actor was killed. Shielded from cancellation.

        It may take the ``shutdown`` seconds of the actor's `ChildSpec`, then it is cancelled. The actor still has its
        names. If it raises, the exit is a crash.
        """

    async def on_idle(self) -> None:
        """Called after ``idle_timeout`` seconds without a message, and again after each further ``idle_timeout``."""

    def _living(self) -> Cell:
        if self._cell is None:
            raise RuntimeError(
                f"this {type(self).__name__} was not started by a supervisor, so it is no actor: use start_child()"
            )
        return self._cell

    def _writable(self) -> Cell:
        """The cell, to change something. `RuntimeError` in a worker thread, where nothing can be woken or started."""
        cell = self._living()
        cell.ref._require_thread()
        return cell


_HOOKS = frozenset(dir(Actor))


class ActorType:
    """What the runtime knows of an actor class. With ``cls`` None: of any function actor."""

    __slots__ = ("handlers", "hooks", "mailbox_size", "reference")

    def __init__(self, cls: type[Actor] | None) -> None:
        self.reference: type[ActorRef[Any]] = FunctionRef if cls is None else ActorRef
        self.mailbox_size: int | None = None
        self.hooks: Hooks | None = None
        self.handlers = Handlers(cls, _HOOKS)
        if cls is not None:
            size = cls.mailbox_size
            if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
                raise ValueError(f"{cls.__qualname__}.mailbox_size must be None or an int of at least 1, not {size!r}")
            self.mailbox_size = size
            self.hooks = Hooks(cls, Actor)


_function_type = ActorType(None)


def type_of(cls: type[Actor] | None) -> ActorType:
    """The `ActorType` of a class. It is made when the class is first started, and kept."""
    if cls is None:
        return _function_type
    known = vars(cls).get("_trioreg_type")
    if known is None:
        known = ActorType(cls)
        type.__setattr__(cls, "_trioreg_type", known)
    return cast("ActorType", known)


def _current(caller: str) -> ActorRef[Any]:
    owner = current_actor.get(None)
    if owner is None or not owner._owns(current_task()):
        raise RuntimeError(f"{caller} was called outside of an actor")
    return cast("ActorRef[Any]", owner)


def current() -> ActorRef[Any]:
    """The reference of the actor whose code calls this: ``self()``. Not a checkpoint.

    Raises:
        RuntimeError: The caller is not an actor's code.
    """
    return _current("current()")


@enable_ki_protection
async def receive() -> object:
    """Wait for the next message to the function actor that calls this: ``receive do ... end``.

    If the actor was asked to stop and has received every message from before, this does not return: the actor is
    cancelled here. A checkpoint; constant time.

    Raises:
        RuntimeError: The caller is not a function actor, or another task of the actor already waits here.
    """
    return await receive_next(_current_cell("receive"))


def send_after(seconds: float, message: object) -> Timer:
    """Send ``message`` to the actor that calls this after ``seconds``: ``Process.send_after(self(), ...)``.

    For function actors: the message comes to `receive`. (An `Actor` has `Actor.send_after`.) It does not come
    if you cancel the `Timer`, or if the actor ends first. Not a checkpoint; constant time.

    Raises:
        TypeError, ValueError: ``seconds`` is not a number of at least 0.
        RuntimeError: The caller is not an actor's code.
        ActorExited: The actor is ending.
    """
    return Timer(_current_cell("send_after"), "seconds", seconds, message, repeats=False)


def send_every(seconds: float, message: object) -> Timer:
    """Send ``message`` to the actor that calls this every ``seconds``, the first time after ``seconds``.

    For function actors: the messages come to `receive`. As with `Actor.send_every`, late messages do not pile up. Not a
    checkpoint; constant time.

    Raises:
        TypeError, ValueError: ``seconds`` is not a number of more than 0.
        RuntimeError, ActorExited: As `send_after`.
    """
    return Timer(_current_cell("send_every"), "seconds", seconds, message, repeats=True)


def _current_cell(asked: str) -> Cell:
    cell = _current(f"{asked}()")._cell
    if cell is None:
        raise RuntimeError(f"{asked}() was called by an actor that has ended")
    return cell
