"""Faults from outside: `crash` an actor, have it `hang`, or make it `slow`.

What an actor does in a fault is what it does in a real one: its supervisor restarts it, its callers wait, its mailbox
fills. `_actors/gate.py` holds the messages up.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from trio.lowlevel import enable_ki_protection

from .._actors import ENDING, Actor, ActorRef, Address, hold_up, let_through
from .._program import require_address
from .._runtime import SyncBlock, require_number, shown_safely
from .crashes import expect_error

if TYPE_CHECKING:
    from types import TracebackType

    from .._actors import Cell


@enable_ki_protection
def crash(ref: Address[object], error: Exception, /) -> None:
    """Crash an actor now, as if its code had raised an error: ``Process.exit(pid, reason)``.

    ::

        crash(carts.via("a-17"), OSError("the disk is full"))
        await settled()  # its supervisor has restarted it

    The handler or the hook that it runs is cancelled at its next checkpoint, and its background tasks too. The caller
    of that handler, and each caller in the mailbox, gets `~trioreg.ActorExited` with ``error`` as its cause. The casts
    in the mailbox are lost, and the log says how many. Then `~trioreg.Actor.on_stop` runs. The supervisor sees a crash
    like any other: it logs it, and restarts the actor or not. If the actor is still starting, ``start_child`` raises
    ``error``. A supervisor that crashes ends all its children first.

    This does not wait for the end. ``error`` gets a note that says where it comes from. No `expect_crash` is needed.
    Not a checkpoint; constant time.

    Args:
        ref: An actor or a function actor, as a reference or by name.
        error: What is to be the error of its `~trioreg.Exit`.

    Raises:
        ActorExited: It has ended, or is ending: there is nothing to crash.
        NotRegistered: The address is a name that no actor has.
        TypeError: ``ref`` is not an address, or ``error`` is not an instance of `Exception`.
        RuntimeError: This is not the thread of the Trio run.
    """
    require_address(ref)
    if not isinstance(error, Exception):
        instead = f": write {error.__name__}(...)" if isinstance(error, type) else ""
        raise TypeError(f"error must be an instance of Exception, not {shown_safely(error)}{instead}")
    cell = _living(ref)
    with suppress(Exception):  # a class of the user's may refuse notes
        error.add_note(f"trioreg.testing.crash() raised this in {cell.ref!r}")
    expect_error(error)
    cell.fail(error)


def hang(ref: Address[Actor], /) -> AbstractContextManager[None]:
    """Have an actor hang until the end of the block, as if a handler of it never returned.

    ::

        with hang(bank), pytest.raises(trio.TooSlowError):
            await shop.call(Shop.pay, 7)

    It finishes what it handles now. Then all wait: calls, casts, messages, timers, publications,
    `~trioreg.Address.stop`, and also `~trioreg.debug.suspend` and `~trioreg.debug.replace_state`. A bounded mailbox
    fills up. Its background tasks go on. A supervisor still restarts its children. At the end of the block the actor
    handles what waits, in order.

    A `~trioreg.Actor.handler_timeout` crashes it, as it does with any handler that hangs. Else only what cancels a
    handler ends it: `~trioreg.Address.cancel`, `~trioreg.Address.kill`, its supervisor, `crash`. The block is about
    this one life: the next one does not hang.

    Entering and leaving are not checkpoints. Constant time.

    Args:
        ref: The actor, as a reference or by name.

    Raises:
        ActorExited: It has ended, or is ending. Raised at the beginning of the block.
        NotRegistered: The address is a name that no actor has. At the beginning of the block.
        TypeError: ``ref`` is not an address; or it is a function actor, which takes its messages by itself.
        RuntimeError: This is not the thread of the Trio run.
    """
    require_address(ref)
    return _Fault(ref, math.inf, "hang(...)")


def slow(ref: Address[Actor], seconds: float, /) -> AbstractContextManager[None]:
    """Make an actor slow until the end of the block: each message takes that many seconds longer.

    ::

        with slow(bank, 3):
            await shop.call(Shop.pay, 7)  # takes 3 seconds

    The time is before the message: the message still waits in the mailbox, so a call can be withdrawn. It counts for
    each message that the actor has not begun with: calls, casts, messages, timers, publications. Several blocks for one
    actor add up. A sync method runs in the actor's own task meanwhile, and one of the places in a bounded mailbox may
    be taken. An actor on demand may retire, and its next life is not slow.

    A `~trioreg.Actor.handler_timeout` that is shorter crashes the actor. The block is about this one life: the next one
    is as quick as ever.

    Entering and leaving are not checkpoints. Constant time.

    Args:
        ref: The actor, as a reference or by name.
        seconds: How much longer, in seconds: a finite number, at least 0.

    Raises:
        ActorExited, NotRegistered, RuntimeError: As `hang`.
        TypeError: As `hang`; or ``seconds`` is not a number.
        ValueError: ``seconds`` is negative or not finite.
    """
    require_address(ref)
    require_number("seconds", seconds)
    return _Fault(ref, seconds, "slow(...)")


class _Fault(SyncBlock, AbstractContextManager[None]):
    """The context manager of `hang` and `slow`."""

    __slots__ = ("_address", "_cell", "_seconds", "_written")

    def __init__(self, address: Address[Actor], seconds: float, written: str) -> None:
        self._address = address
        self._seconds = seconds
        self._written = written
        self._cell: Cell | None = None

    @enable_ki_protection
    def __enter__(self) -> None:
        if self._cell is not None:
            raise RuntimeError(f"this {self._written} is already entered: make another one")
        cell = _living(self._address)
        if cell.hooks is None:
            raise TypeError(f"{cell.ref!r} is a function actor: it takes its messages by itself, and can't be held up")
        hold_up(cell, self, self._seconds)
        self._cell = cell

    @enable_ki_protection
    def __exit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        cell, self._cell = self._cell, None
        assert cell is not None
        let_through(cell, self)


def _living(address: Address[Any]) -> Cell:
    ref: ActorRef[Any] = address._resolve()
    cell = ref._cell
    if cell is None:
        raise ref._exited(None)
    ref._require_thread()
    if cell.state >= ENDING:
        raise ref._exited(cell)
    return cell
