"""Every exception trioreg raises of its own.

What is wrong with an *argument* is a plain `TypeError` or `ValueError`; the classes here say that something is
wrong with the *state* of the system: an actor that has exited, a name that is taken, a mailbox that is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .exit import Exit
    from .owner import Owner


class TrioregError(Exception):
    """The base of every error of trioreg's own."""


class AlreadyRegistered(TrioregError):
    """The unique key is held by somebody who is alive.

    Attributes:
        registry: The name of the registry.
        key: The key that was asked for.
        holder: The `Owner` that holds it (an `ActorRef`, or a `TaskOwner` for a plain Trio task).
        value: The value the holder registered it with.
    """

    def __init__(self, registry: str, key: object, holder: Owner, value: object) -> None:
        super().__init__(registry, key, holder, value)
        self.registry = registry
        self.key = key
        self.holder = holder
        self.value = value

    def __str__(self) -> str:
        return f"{self.key!r} is already registered in {self.registry!r}: held by {self.holder!r}"


class NotRegistered(TrioregError, LookupError):
    """Nobody holds the key: a name led nowhere. Or: the one who would change an entry does not hold it.

    Attributes:
        registry: The name of the registry.
        key: The key that was asked for.
        owner: Who does not hold it; None where nobody does.
    """

    def __init__(self, registry: str, key: object, owner: Owner | None = None) -> None:
        super().__init__(registry, key, owner)
        self.registry = registry
        self.key = key
        self.owner = owner

    def __str__(self) -> str:
        who = "nobody is" if self.owner is None else f"{self.owner!r} is not"
        return f"{who} registered as {self.key!r} in {self.registry!r}"


class ActorExited(TrioregError):
    """The actor has exited, or exited before it answered.

    Where a handler's error ended it, that error is the `__cause__`.

    Attributes:
        ref: The reference of the actor.
        exit: How it ended; how it is to end, where it is still ending.
        was_sent: Whether the message had got into its mailbox. If not, nothing of it was handled: it can be sent again.
    """

    def __init__(self, ref: Owner, exit: Exit, *, was_sent: bool = True) -> None:
        super().__init__(ref, exit)
        self.ref = ref
        self.exit = exit
        self.was_sent = was_sent
        self._has_ended = not ref.is_alive

    def __str__(self) -> str:
        if self.exit.error is not None:
            return f"{self.ref!r} has crashed: {self.exit.error!r}"
        return f"{self.ref!r} {'has exited' if self._has_ended else 'is ending'}: {self.exit}"


class MailboxFull(TrioregError, trio.WouldBlock):
    """The actor's bounded mailbox has no room (only the ``_nowait`` forms raise it; the others wait).

    Attributes:
        ref: The reference of the actor.
        size: How many messages the mailbox can hold.
    """

    def __init__(self, ref: Owner, size: int) -> None:
        super().__init__(ref, size)
        self.ref = ref
        self.size = size

    def __str__(self) -> str:
        return f"the mailbox of {self.ref!r} is full ({self.size} messages)"


class CallCycle(TrioregError):
    """A wait that would be for itself, and never end: A waits for B (an answer, room, its end), which waits for A.

    Attributes:
        path: The references along the cycle; the first one is the last one too.
        titles: What their supervisors call them, in the same order.
    """

    def __init__(self, path: Sequence[Owner], titles: Sequence[str]) -> None:
        super().__init__(tuple(path), tuple(titles))
        self.path = tuple(path)
        self.titles = tuple(titles)

    def __str__(self) -> str:
        # A child without a name or an id is called what its reference shows anyway.
        steps = (
            shown if (shown := repr(ref)).startswith(f"<{title} #") else f"{title} {shown}"
            for title, ref in zip(self.titles, self.path, strict=True)
        )
        return "this would wait for itself: " + " -> ".join(steps)


class NoReply(TrioregError):
    """A handler returned a `Reply` that nobody can answer any more: the reply object is gone.

    Attributes:
        ref: The reference of the actor whose handler it was.
    """

    def __init__(self, ref: Owner) -> None:
        super().__init__(ref)
        self.ref = ref

    def __str__(self) -> str:
        return f"{self.ref!r} owed a reply and has thrown it away"


class ChildNotFound(TrioregError, LookupError):
    """The supervisor has no such child.

    Attributes:
        supervisor: The name of the supervisor.
        child: The id or the reference that was asked for.
    """

    def __init__(self, supervisor: str, child: object) -> None:
        super().__init__(supervisor, child)
        self.supervisor = supervisor
        self.child = child

    def __str__(self) -> str:
        return f"{self.supervisor} has no child {self.child!r}"


class ChildNotEnded(TrioregError):
    """The child is not one that has ended: it can't be started again or deleted. `Supervisor.terminate_child` first.

    Attributes:
        supervisor: The name of the supervisor.
        child: The id or the reference that was asked for.
        state: What it is: ``"starting"``, ``"running"`` or ``"restarting"``.
    """

    def __init__(self, supervisor: str, child: object, state: str) -> None:
        super().__init__(supervisor, child, state)
        self.supervisor = supervisor
        self.child = child
        self.state = state

    def __str__(self) -> str:
        return f"child {self.child!r} of {self.supervisor} is {self.state}"


class NotRunning(TrioregError, RuntimeError):
    """The supervisor is not running: not yet, or not any more. (Public as a `RuntimeError`.)"""

    def __init__(self, supervisor: str) -> None:
        super().__init__(supervisor)
        self.supervisor = supervisor

    def __str__(self) -> str:
        return f"{self.supervisor} is not running: it can't start a child"


class MaxChildren(TrioregError):
    """The supervisor has as many children as it may have.

    Attributes:
        supervisor: The name of the supervisor.
        max_children: How many that is.
    """

    def __init__(self, supervisor: str, max_children: int) -> None:
        super().__init__(supervisor, max_children)
        self.supervisor = supervisor
        self.max_children = max_children

    def __str__(self) -> str:
        return f"{self.supervisor} has {self.max_children} children already: it may have no more"


class RestartLimitExceeded(ExceptionGroup[Exception]):
    """A supervisor gave up: more restarts than ``max_restarts`` within ``max_seconds``.

    It is the group of the errors its children ended with, so ``except*`` reaches each of them. A child that ended
    without an error, but had to be restarted, is there as an `ActorExited`.
    """

    def derive(self, excs: Sequence[Exception], /) -> RestartLimitExceeded:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        return RestartLimitExceeded(self.message, excs)
