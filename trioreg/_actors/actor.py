"""What a user writes: `Actor` classes, and the two functions of a function actor.

Everything of an actor that is not the user's is in its `Cell`; the class here is a thin end over it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVarTuple, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import async_result, current_actor
from .background import start_background_task
from .cell import Cell
from .function_actor import receive as receive_next
from .handler import Handlers, Hooks
from .ref import ActorRef, FunctionRef
from .timer import Timer

if TYPE_CHECKING:
    from typing import Self

    from .._runtime import Exit

Ts = TypeVarTuple("Ts")

logger = logging.getLogger("trioreg")


class Actor:
    """One task, one mailbox, private state, one message at a time: subclass it, as one writes a ``GenServer``.

    Synopsis::

        class SecretAgent(trioreg.Actor):
            def __init__(self, codename: str) -> None:      # runs in the actor's own task
                self.codename = codename

            def echo(self, text: str) -> str:               # a message is a method; sync or async
                return f'{self.codename} says: "{text}"'

        bond = await supervisor.start_child(SecretAgent, "James Bond")
        await bond.call(SecretAgent.echo, "My name is Bond, James Bond.")

    A method that raises crashes the actor ("let it crash"), unless it declares the error with `raises`. Override the
    ``on_...`` methods you need.

    Attributes:
        mailbox_size: Class attribute: how many messages may wait. None (the default): any number.
        idle_timeout: Class or instance attribute: after so many seconds without a message, `on_idle` is called.
        log_state: Class or instance attribute: whether the attributes of an actor that crashes are in its log line.
            They may hold what should not be in a log, so they are not unless you say so.
    """

    __slots__ = ("__weakref__", "_cell")

    mailbox_size: int | None = None
    idle_timeout: float | None = None
    log_state: bool = False

    _cell: Cell | None

    if not TYPE_CHECKING:  # for a type checker, the arguments are those of `__init__`

        def __new__(cls, *args: object, **kwargs: object) -> Self:
            if (args or kwargs) and cls.__init__ is object.__init__:
                raise TypeError(f"{cls.__qualname__}() takes no arguments")
            self = super().__new__(cls)
            # The first instance that an actor's task makes is the actor; made anywhere else, it is a plain object.
            ref = current_actor.get(None)
            cell = ref._cell if isinstance(ref, ActorRef) else None
            self._cell = cell if cell is not None and cell.bind_instance(self) else None
            return self

    @property
    def ref(self) -> ActorRef[Self]:
        """The actor's own reference. `RuntimeError` for an instance that no supervisor started."""
        return cast("ActorRef[Self]", self._living().ref)

    @enable_ki_protection
    def stop(self) -> None:
        """End this actor, with exit ``"normal"``, once it has handled what is in its mailbox.

        Not a checkpoint; constant time.

        Raises:
            RuntimeError: This is another thread than that of the Trio run.
        """
        self._writable().stop()

    def start_soon(self, async_fn: Callable[[*Ts], Awaitable[object]], /, *args: *Ts) -> None:
        """Run ``await async_fn(*args)`` beside the handlers: work that lives and dies with the actor.

        If it raises, the actor crashes; when the actor ends, it is cancelled, and the actor (and its names) last
        until it is done. Not a checkpoint; constant time.

        Raises:
            ActorExited: The actor is ending.
            TypeError: ``async_fn`` can't be called. (One that turns out not to be async is an error of the actor.)
            RuntimeError: This is another thread than that of the Trio run.
        """
        start_background_task(self._writable(), async_fn, *args)

    def send_after(self, seconds: float, message: object) -> Timer:
        """Have ``message`` come to `on_message` after so many seconds, unless the `Timer` is cancelled before.

        It ends with the actor. Not a checkpoint; constant time. The idea is ``Process.send_after``.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of at least 0.
            ActorExited: The actor is ending.
            RuntimeError: This is another thread than that of the Trio run.
        """
        return Timer(self._writable(), "seconds", seconds, message, repeats=False)

    def send_every(self, seconds: float, message: object) -> Timer:
        """Have ``message`` come to `on_message` every so many seconds, the first time after as many.

        Late messages do not pile up: one that is due while the last still waits in the mailbox does not come. It ends
        with the actor, or when the `Timer` is cancelled. Not a checkpoint; constant time.

        Raises:
            TypeError, ValueError: ``seconds`` is not a number of more than 0.
            ActorExited: The actor is ending.
            RuntimeError: This is another thread than that of the Trio run.
        """
        return Timer(self._writable(), "seconds", seconds, message, repeats=True)

    def _killed(self) -> None:
        """The runtime's own hook: the actor is being killed, and what shields itself has to go too."""

    async def _run_on_start(self) -> None:
        """The runtime's own hook: all that has to be done before the first message."""
        await async_result(self.on_start, self.on_start())

    async def on_start(self) -> None:
        """Called once, after ``__init__``, before any message. ``start_child`` returns when it is done."""

    async def on_message(self, message: Any) -> None:
        """Called for each object that was sent with `~Address.send`. By default it is logged as unexpected."""
        logger.warning("%r got an unexpected message: %r", self.ref, message)

    async def on_stop(self, exit: Exit) -> None:
        """Called at the end, unless the actor was killed, shielded from cancellation.

        It has at most the ``shutdown`` seconds of the actor's `ChildSpec`. The actor's names are still held. An error
        that it raises makes the exit a crash.
        """

    async def on_idle(self) -> None:
        """Called when ``idle_timeout`` seconds have passed without a message, and again after as many more."""

    def _living(self) -> Cell:
        if self._cell is None:
            raise RuntimeError(f"this {type(self).__name__} was not started by a supervisor: it has no mailbox")
        return self._cell

    def _writable(self) -> Cell:
        """The same, to change something: refused in a worker thread, where nothing can be woken or started."""
        cell = self._living()
        cell.ref._require_thread()
        return cell


_HOOKS = frozenset(dir(Actor))


class ActorType:
    """What the runtime knows of an actor class (or, with ``cls`` None, of any function actor)."""

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
    """The `ActorType` of a class: made when it is first started, and kept."""
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
    """The reference of the actor whose code this is: ``self()``. Not a checkpoint.

    Raises:
        RuntimeError: No actor's code calls it.
    """
    return _current("current()")


@enable_ki_protection
async def receive() -> object:
    """The next message from the mailbox of the function actor that calls it: ``receive do ... end``.

    When the actor is asked to stop, and everything sent before has been received, it does not return: the actor is
    cancelled here. A checkpoint; constant time.

    Raises:
        RuntimeError: It is not a function actor that calls, or another task of it is waiting already.
    """
    return await receive_next(_current_cell("receive"))


def send_after(seconds: float, message: object) -> Timer:
    """Have ``message`` come to the actor that calls after so many seconds: ``Process.send_after(self(), ...)``.

    For function actors: it comes to `receive`. (`Actor.send_after` is the same for classes.) It ends with the actor, or
    when the `Timer` is cancelled. Not a checkpoint; constant time.

    Raises:
        TypeError, ValueError: ``seconds`` is not a number of at least 0.
        RuntimeError: No actor's code calls it.
        ActorExited: The actor is ending.
    """
    return Timer(_current_cell("send_after"), "seconds", seconds, message, repeats=False)


def send_every(seconds: float, message: object) -> Timer:
    """Have ``message`` come to the actor that calls every so many seconds, the first time after as many.

    As `send_after`, and as `Actor.send_every`: late messages do not pile up. Not a checkpoint; constant time.

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
