"""The state of a live actor, and a change of it between two messages: for `trioreg.debug` and `trioreg.testing`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trio.lowlevel import checkpoint, enable_ki_protection

from .._actors import STOPPING, Actor, Address, ask_to_change, wait_answer
from .._runtime import attributes_of, require_sync, shown_safely

if TYPE_CHECKING:
    from .._actors import ActorRef, Cell

A = TypeVar("A", bound=Actor)


def state(ref: Address[Actor], /) -> dict[str, object]:
    """The attributes of an actor as they are now: ``:sys.get_state``.

    It does not wait for the actor. So it also shows one that hangs, or one that blocks the whole program, if you ask
    from another thread. In the middle of a handler the attributes may not fit together: `suspend` the actor first.

    Not a checkpoint; safe from any thread. The cost grows with the number of attributes.

    Args:
        ref: The actor, as a reference or by name.

    Returns:
        A new dict, of the attributes in ``vars()`` and of those in slots. The values are the objects themselves. Empty
        while the actor is not made yet.

    Raises:
        ActorExited: It has ended.
        NotRegistered: The address is a name that no actor has.
        TypeError: It is a function actor, which has no attributes.
    """
    require_address(ref)
    actor = _living(ref, "it has no attributes").actor
    return {} if actor is None else attributes_of(actor)


@enable_ki_protection
async def replace_state(ref: Address[A], fn: Callable[[A], None], /) -> dict[str, object]:
    """Have an actor change its attributes between two messages: ``:sys.replace_state``.

    ::

        def forget(cart: Cart) -> None:
            cart.items = []

        await debug.replace_state(ref, forget)

    ``fn`` runs in the actor's own task, before all messages that wait, also while the actor is suspended. If it raises,
    the attributes are as before, the caller gets the error, and the actor lives on. What ``fn`` has changed inside of
    an object that an attribute refers to stays changed: better give the attribute a new object.

    If you cancel this before ``fn`` has run, it does not run. The actor's ``idle_timeout`` begins anew, as after a
    message. A checkpoint. The cost grows with the attributes.

    Args:
        ref: The actor, as a reference or by name.
        fn: A sync function that takes the actor, changes it, and returns None.

    Returns:
        The attributes afterwards, as `state` gives them.

    Raises:
        ActorExited: It has ended, is stopping or ending, or ends before ``fn`` has run.
        CallCycle: It is the caller itself, or waits for the caller.
        NotRegistered: The address is a name that no actor has.
        TypeError: It is a function actor. Or ``fn`` is not a sync function, or returned something.
        RuntimeError: This is not the thread of the Trio run.
        Exception: What ``fn`` raised.
    """
    require_address(ref)
    require_sync("fn", fn)
    await checkpoint()
    return cast("dict[str, object]", await wait_answer(ask_to_change(accepting(ref), fn)))


# `trioreg.testing` has both, too. A traceback shows the names that they have in `trioreg.debug`.
replace_state.__module__ = state.__module__ = "trioreg.debug"


def require_address(ref: object) -> None:
    """Raise `TypeError` unless this is the address of an actor."""
    if not isinstance(ref, Address):
        raise TypeError(f"ref must be the address of an actor (an ActorRef or a Via), not {shown_safely(ref)}")


def _living(address: Address[Any], why: str) -> Cell:
    ref = address._resolve()
    cell = ref._cell
    if cell is None:
        raise ref._exited(None)
    if cell.hooks is None:
        raise TypeError(f"{ref!r} is a function actor: {why}")
    return cell


def accepting(address: Address[Any]) -> Cell:
    """The cell of an actor that can still be asked for something between two messages; else an error that says why."""
    cell = _living(address, "it takes its messages by itself, so nothing can be done between two of them")
    cell.ref._require_thread()
    if cell.state >= STOPPING:
        raise cast("ActorRef[Any]", cell.ref)._exited(cell)
    return cell
