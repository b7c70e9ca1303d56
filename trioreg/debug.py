"""Look into a live actor, and hold it: Erlang's and Elixir's ``:sys``.

For people who look for a fault, in a test or at a console; a program does not need it to do its work.

::

    from trioreg import debug

    await debug.suspend(ref)        # it handles nothing more
    print(debug.state(ref))         # its attributes
    await debug.resume(ref)         # it goes on

    async with debug.trace(ref) as handled:
        async for message in handled:
            print(message)          # call Cart.add('tea') -> None, in 0.2 seconds

When it is not in use, it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import attrs
import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from ._actors import Actor, ActorRef, Address, Message, MessageKind, PassingCell, ask_to_suspend, wait_answer
from ._actors import is_suspended as is_suspended_now
from ._actors import resume as resume_now
from ._program import Instrument, accepting, hooks_of, replace_state, require_address, state
from ._runtime import (
    AsyncBlock,
    Feed,
    counted,
    current_run,
    install,
    require_count,
    shown_safely,
    uninstall,
)

if TYPE_CHECKING:
    from types import TracebackType

    from ._runtime import Exit, Run

__all__ = ["Handled", "is_suspended", "replace_state", "resume", "state", "suspend", "trace"]


# Suspend and resume


@enable_ki_protection
async def suspend(ref: Address[Actor], /) -> None:
    """Have an actor handle nothing more, until `resume`: ``:sys.suspend``.

    It finishes what it handles now. Then all wait: calls, casts, messages, timers, publications, `on_idle
    <trioreg.Actor.on_idle>`. Its ``idle_timeout`` and ``handler_timeout`` do not run, and an actor on demand does not
    retire. Its background tasks go on, and so does what a supervisor does for its children.

    All that ends an actor ends a suspended one as well: `~trioreg.Address.cancel`, `~trioreg.Address.kill`, its
    supervisor. `~trioreg.Address.stop` resumes it, so it handles what is in its mailbox first. So does the shutdown of
    a pool or of actors on demand. Its next life is not suspended.

    If it is suspended already, this returns at once, and one `resume` is enough. If you cancel the wait, the actor is
    not suspended. While this waits, it counts as one message in the mailbox. A checkpoint; constant time.

    Args:
        ref: The actor, as a reference or by name.

    Raises:
        ActorExited: It has ended, is stopping or ending, or ends before it is suspended.
        CallCycle: It is the caller itself, or waits for the caller.
        NotRegistered: The address is a name that no actor has.
        TypeError: It is a function actor, which takes its messages by itself.
        RuntimeError: This is not the thread of the Trio run.
    """
    require_address(ref)
    await checkpoint()
    cell = accepting(ref)
    if not is_suspended_now(cell):
        await wait_answer(ask_to_suspend(cell))


@enable_ki_protection
async def resume(ref: Address[Actor], /) -> None:
    """Have a suspended actor go on: ``:sys.resume``. Nothing happens if it is not suspended, or has ended.

    If another task still waits in `suspend`, that returns too, and the actor goes on. This never waits for the actor.
    If it is cancelled, the actor is resumed all the same. A checkpoint; constant time.

    Args:
        ref: The actor, as a reference or by name.

    Raises:
        NotRegistered: The address is a name that no actor has.
        TypeError: ``ref`` is not an address.
        RuntimeError: This is not the thread of the Trio run.
    """
    require_address(ref)
    cell = ref._resolve()._cell
    if cell is not None:
        cell.ref._require_thread()
        resume_now(cell)
    await checkpoint()


def is_suspended(ref: Address[object], /) -> bool:
    """Whether an actor is suspended: it handles nothing until `resume`. Not a checkpoint; safe from any thread;
    constant time.

    Args:
        ref: The actor, as a reference or by name.

    Raises:
        NotRegistered: The address is a name that no actor has.
        TypeError: ``ref`` is not an address.
    """
    require_address(ref)
    cell = ref._resolve()._cell
    return cell is not None and is_suspended_now(cell)


# What it handles


@attrs.frozen(eq=False)
class Handled:
    """One message that an actor has handled, from `trace`. ``str()`` of it is one line for people.

    Attributes:
        kind: ``"call"``, ``"cast"``, ``"send"``, ``"timer"`` (the actor sent it to itself), ``"publication"`` (from a
            `~trioreg.PubSub`) or ``"idle"`` (its `~trioreg.Actor.on_idle` was due).
        ref: The life that handled it.
        method: The method, as in ``"Cart.add"``. None for a message to a function actor.
        args, kwargs: Its arguments. Of a ``"send"``, the only argument is the message.
        sender: The actor whose code sent it, or None.
        sent_at, began_at: When it was sent, and when the actor began with it, as `trio.current_time`, in seconds.
        seconds: How long the handler took.
        value: What the handler returned. None for a function actor.
        error: What it raised, or None.
    """

    kind: MessageKind
    ref: ActorRef[object]
    method: str | None
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    sender: ActorRef[object] | None
    sent_at: float
    began_at: float
    seconds: float
    value: object
    error: BaseException | None

    def __str__(self) -> str:
        shown = [*map(shown_safely, self.args)]
        shown += [f"{name}={shown_safely(value)}" for name, value in self.kwargs.items()]
        result = f"-> {shown_safely(self.value)}" if self.error is None else f"raised {shown_safely(self.error)}"
        took = counted(round(self.seconds, 3), "second")
        return f"{self.kind} {self.method or 'message'}({', '.join(shown)}) {result}, in {took}"


def trace(ref: Address[object], /, *, buffer: float = 1000) -> AbstractAsyncContextManager[Feed[Handled]]:
    """Watch what an actor handles: ``:sys.trace``, as a feed.

    ::

        async with debug.trace(ref) as feed:
            async for handled in feed:
                print(handled)  # call Cart.add('tea') -> None, in 0.2 seconds

    The feed has each message that was sent since the block was entered, when its handler is done. It ends when the
    actor has ended. With a name, it goes on: the next life that has the name is watched, too, and the feed ends with
    the block.

    It never makes the actor wait. If you are slower than the actor, the oldest messages are dropped, and
    `~trioreg.Feed.dropped` counts them. While the block is open, each message in the program takes a longer way, as
    with any `~trioreg.Instrument`. Afterwards it costs nothing.

    Entering and leaving the block are checkpoints. Constant time.

    Args:
        ref: The actor, as a reference or by name. A name may be free.
        buffer: How many messages the feed keeps for you, at least 1; ``math.inf``: any number.

    Raises:
        ActorExited: ``ref`` is the reference of an actor that has ended.
        TypeError: ``ref`` is not an address, or ``buffer`` is not an int.
        ValueError: ``buffer`` is less than 1.
        RuntimeError: This is not the thread of the Trio run.
    """
    require_address(ref)
    require_count("buffer", buffer, 1, infinite=True)
    return _Trace(ref, buffer)


class _Trace(AsyncBlock, AbstractAsyncContextManager["Feed[Handled]"]):
    """The context manager of `trace`."""

    __slots__ = ("_address", "_buffer", "_feed")

    _written = "trace(...)"

    def __init__(self, address: Address[object], buffer: float) -> None:
        self._address = address
        self._buffer = buffer
        self._feed: Feed[Handled] | None = None

    @enable_ki_protection
    async def __aenter__(self) -> Feed[Handled]:
        if self._feed is not None:
            raise RuntimeError(f"this trace({self._address!r}) is already entered: make another one")
        await checkpoint()
        address = self._address
        if isinstance(address, ActorRef):
            if address._cell is None:
                raise address._exited(None)
            address._require_thread()
        feed: Feed[Handled] = Feed(self._buffer, "drop_oldest")
        tracer = _Tracer(address, feed, current_run())
        feed._leave = tracer.stop
        self._feed = feed
        return feed

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        assert self._feed is not None
        feed, self._feed = self._feed, None
        feed.close()
        if error is None:
            await checkpoint()


class _Tracer(Instrument):
    """Puts what an actor handles into a feed."""

    def __init__(self, address: Address[object], feed: Feed[Handled], run: Run) -> None:
        self._address = address
        self._feed = feed
        self._run = run
        install(run, self, hooks_of(self), Message)

    def stop(self) -> None:
        instruments = self._run.instruments
        if instruments is not None and self in instruments.all:
            uninstall(self._run, self)

    def handled(self, message: Message, value: object, error: BaseException | None, /) -> None:
        ref = message.to
        if not _leads_to(self._address, ref):
            return
        assert message.began_at is not None
        self._feed._put(
            Handled(
                kind=message.kind,
                ref=ref,
                method=message.method,
                args=message.args,
                kwargs=message.kwargs,
                sender=message.sender,
                sent_at=message.sent_at,
                began_at=message.began_at,
                seconds=trio.current_time() - message.began_at,
                value=value,
                error=error,
            )
        )

    def actor_exited(self, ref: ActorRef[Any], exit: Exit, /) -> None:
        if ref is self._address:
            self.stop()
            self._feed._end()


def _leads_to(address: Address[object], ref: ActorRef[object]) -> bool:
    if isinstance(address, ActorRef):
        return address is ref
    try:
        found = address._resolve()
    except Exception:  # nobody has the name, or an actor of another class
        return False
    # An actor on demand may be on its way out, and its key leads to the next life, which waits for its end.
    cell = found._cell
    while isinstance(cell, PassingCell) and cell.ref is not ref:
        cell = cell.older
    return found is ref or (cell is not None and cell.ref is ref)
