"""trioreg's own exceptions.

They say that something is wrong with the *state* of the system: an actor has ended, a name is taken, a mailbox is
full. A wrong *argument* is a plain `TypeError` or `ValueError`.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import trio

from .counted import counted
from .shown import shown_error, shown_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from traceback import FrameSummary

    from .exit import Exit
    from .owner import Owner


class TrioregError(Exception):
    """The base class of trioreg's own errors."""

    def __repr__(self) -> str:
        # One of the arguments may be a user's key, whose `repr` may raise.
        return f"{type(self).__name__}({', '.join(map(shown_whole, self.args))})"


class AlreadyRegistered(TrioregError):
    """The unique key already has a living holder.

    Attributes:
        registry: The name of the registry.
        key: The key that you asked for.
        holder: The `Owner` that holds it (an `ActorRef`, or a `TaskOwner` for a plain Trio task).
        value: The value that the holder gave with it.
    """

    def __init__(self, registry: str, key: object, holder: Owner, value: object) -> None:
        super().__init__(registry, key, holder, value)
        self.registry = registry
        self.key = key
        self.holder = holder
        self.value = value

    def __str__(self) -> str:
        return f"{shown_whole(self.key)} is already registered in {self.registry!r}: held by {self.holder!r}"


class NotRegistered(TrioregError, LookupError):
    """The key has no holder, or you tried to change an entry of an owner that does not hold the key.

    Attributes:
        registry: The name of the registry.
        key: The key that you asked for.
        owner: The owner that does not hold the key; None if it has no holder at all.
    """

    def __init__(self, registry: str, key: object, owner: Owner | None = None) -> None:
        super().__init__(registry, key, owner)
        self.registry = registry
        self.key = key
        self.owner = owner

    def __str__(self) -> str:
        if self.owner is None:
            return f"{shown_whole(self.key)} is not registered in {self.registry!r}"
        return f"{self.owner!r} is not registered as {shown_whole(self.key)} in {self.registry!r}"


_SHOWN_ENDS = 2


class ActorExited(TrioregError):
    """The actor has ended, or it ends before it answers.

    If an error in a handler ended it, that error is the `__cause__`.

    Attributes:
        ref: The reference of the actor.
        exit: How it ended, or how it is going to end.
        was_sent: Whether the message got into its mailbox. If not, it was not handled, and you can send it again.
        was_begun: Whether its handler may have begun. If not, the message may have lain in the mailbox, and you can
            send it again.
    """

    def __init__(self, ref: Owner, exit: Exit, *, was_sent: bool = True, was_begun: bool | None = None) -> None:
        super().__init__(ref, exit)
        self.ref = ref
        self.exit = exit
        self.was_sent = was_sent
        self.was_begun: bool = was_sent if was_begun is None else was_begun
        self._has_ended = not ref.is_alive

    def __str__(self) -> str:
        # The error that it tells of may be an `ActorExited` too, and so on. The first end and the last few say enough.
        told: dict[ActorExited, None] = {self: None}
        error = self.exit.error
        while isinstance(error, ActorExited) and error not in told:
            told[error] = None
            error = error.exit.error
        *ends, first = told
        left_out = len(ends) - 2 * _SHOWN_ENDS
        shown = ends if left_out <= 0 else ends[:_SHOWN_ENDS] + ends[-_SHOWN_ENDS:]
        parts = [f"{each.ref!r} has crashed" for each in shown]
        if left_out > 0:
            parts.insert(_SHOWN_ENDS, f"... {left_out} more ...")
        if error is not None:
            parts += [f"{first.ref!r} has crashed", shown_error(error)]
        else:
            parts.append(f"{first.ref!r} {'has ended' if first._has_ended else 'is ending'}: {first.exit}")
        return ": ".join(parts)

    def __repr__(self) -> str:
        # `Exception.__repr__` would show the exit, with the error in it, and so on.
        return f"{type(self).__name__}({str(self)!r})"


class MailboxFull(TrioregError, trio.WouldBlock):
    """The actor's bounded mailbox has no room. The ``_nowait`` methods and `Registry.cast_all` raise this.

    Attributes:
        ref: The reference of the actor.
        size: How many messages the mailbox can hold.
    """

    def __init__(self, ref: Owner, size: int) -> None:
        super().__init__(ref, size)
        self.ref = ref
        self.size = size

    def __str__(self) -> str:
        return f"the mailbox of {self.ref!r} is full ({counted(self.size, 'message')})"


class Overflow(TrioregError):
    """Items are missing at this place of a `Feed`, as you did not receive in time and its buffer was full.

    The feed goes on: the next `Feed.receive` gives what came after them.

    Attributes:
        count: How many items are missing here.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count

    def __str__(self) -> str:
        return f"{counted(self.count, 'item')} lost: the buffer was full"


class CallCycle(TrioregError):
    """A waits for B, and B waits for A: neither could ever go on.

    Each of them may wait for an answer, for room in a mailbox, for a start or for an end.

    Attributes:
        path: The references along the cycle. The first one is the last one, too.
        titles: Their names in their supervisors, in the same order.
    """

    def __init__(self, path: Sequence[Owner], titles: Sequence[str]) -> None:
        super().__init__(tuple(path), tuple(titles))
        self.path: tuple[Owner, ...] = tuple(path)
        self.titles: tuple[str, ...] = tuple(titles)

    def __str__(self) -> str:
        # The reference already shows the title of a child that has no name and no id.
        steps = (
            shown if (shown := repr(ref)).startswith(f"<{title} #") else f"{title} {shown}"
            for title, ref in zip(self.titles, self.path, strict=True)
        )
        return "this would wait for itself: " + " -> ".join(steps)


class HandlerTimeout(TrioregError, trio.TooSlowError):
    """A handler took longer than the ``handler_timeout`` of its class, and crashed its actor.

    Attributes:
        ref: The reference of the actor.
        handler: The name of the method, with its class.
        seconds: The ``handler_timeout``.
        stack: Where the handler stood when its time was up: its frames, from the handler to the innermost await.
    """

    def __init__(self, ref: Owner, handler: str, seconds: float, stack: Sequence[FrameSummary] = ()) -> None:
        super().__init__(ref, handler, seconds)
        self.ref = ref
        self.handler = handler
        self.seconds = seconds
        self.stack: list[FrameSummary] = list(stack)

    def __str__(self) -> str:
        text = f"{self.handler} of {self.ref!r} took longer than {counted(self.seconds, 'second')}"
        if not self.stack:
            return text
        at = self.stack[-1]
        return f"{text}: it stood in {at.name}, {at.filename}:{at.lineno}: {at.line}"


class NoReply(TrioregError):
    """A handler returned a `Reply`, and the `Reply` is gone: no answer can come any more.

    Attributes:
        ref: The reference of the actor with that handler.
    """

    def __init__(self, ref: Owner) -> None:
        super().__init__(ref)
        self.ref = ref

    def __str__(self) -> str:
        return f"{self.ref!r} dropped a Reply that it had not answered"


class ChildNotFound(TrioregError, LookupError):
    """The supervisor has no such child.

    Attributes:
        supervisor: The name of the supervisor.
        child: The id or the reference that you asked for.
    """

    def __init__(self, supervisor: str, child: object) -> None:
        super().__init__(supervisor, child)
        self.supervisor = supervisor
        self.child = child

    def __str__(self) -> str:
        return f"{self.supervisor} has no child {shown_whole(self.child)}"


class ChildNotEnded(TrioregError):
    """The child has not ended, so it can't be started again or deleted. Call `Supervisor.terminate_child` first.

    Attributes:
        supervisor: The name of the supervisor.
        child: The id or the reference that you asked for.
        state: ``"starting"``, ``"running"`` or ``"restarting"``.
    """

    def __init__(self, supervisor: str, child: object, state: str) -> None:
        super().__init__(supervisor, child, state)
        self.supervisor = supervisor
        self.child = child
        self.state = state

    def __str__(self) -> str:
        return f"child {shown_whole(self.child)} of {self.supervisor} is {self.state}: call terminate_child first"


class NotRunning(TrioregError, RuntimeError):
    """The supervisor is not running: not yet, or not any more. It can't start a child, and a `Pool` has no workers.

    Attributes:
        supervisor: The name of the supervisor.
    """

    def __init__(self, supervisor: str, consequence: str = "it can't start a child") -> None:
        super().__init__(supervisor, consequence)
        self.supervisor = supervisor
        self._consequence = consequence

    def __str__(self) -> str:
        return f"{self.supervisor} is not running: {self._consequence}"


class PoolFull(TrioregError, trio.WouldBlock):
    """No worker of the pool is free, and as many callers wait for one as its ``queue_limit`` allows.

    Attributes:
        pool: The name of the pool.
        queue_limit: How many callers may wait.
    """

    def __init__(self, pool: str, queue_limit: int) -> None:
        super().__init__(pool, queue_limit)
        self.pool = pool
        self.queue_limit = queue_limit

    def __str__(self) -> str:
        return f"the pool {self.pool!r} is full: no worker is free, and {counted(self.queue_limit, 'caller')} may wait"


class MaxChildren(TrioregError):
    """The supervisor can't have more children: it has ``max_children``.

    Attributes:
        supervisor: The name of the supervisor.
        max_children: How many children it may have.
    """

    def __init__(self, supervisor: str, max_children: int) -> None:
        super().__init__(supervisor, max_children)
        self.supervisor = supervisor
        self.max_children = max_children

    def __str__(self) -> str:
        return f"{self.supervisor} can't have more children: max_children is {self.max_children}"


class CrashedTooOften(TrioregError):
    """A message to an actor on demand was refused: that key has crashed too often lately, and is not started.

    The limit is the `RestartLimit` of the `OnDemand`. The last crash is the ``__cause__``.

    Attributes:
        on_demand: The name of the `OnDemand`.
        key: The key.
        max_restarts, max_seconds: The limit.
        retry_after: In how many seconds a message starts the actor again.
    """

    def __init__(
        self, on_demand: str, key: object, max_restarts: float, max_seconds: float, retry_after: float
    ) -> None:
        super().__init__(on_demand, key, max_restarts, max_seconds, retry_after)
        self.on_demand = on_demand
        self.key = key
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self.retry_after = retry_after

    def __str__(self) -> str:
        limit = _limit_in_words(self.max_restarts, self.max_seconds)
        return (
            f"{shown_whole(self.key)} of {self.on_demand!r} has crashed too often ({limit}): "
            f"it can be started again in {counted(ceil(self.retry_after), 'second')}"
        )


class RestartLimitExceeded(TrioregError):
    """A supervisor gave up: there were more than ``max_restarts`` restarts within ``max_seconds``.

    They were restarts of any of its children, or of one child that has a `RestartLimit` with ``then="escalate"``.

    It leaves the supervisor in an exception group, together with the errors that led to it. So both
    ``except* RestartLimitExceeded`` and ``except* OSError`` work. For a child that ended without an error, and needed a
    restart, there is an `ActorExited` in the group.

    Attributes:
        supervisor: The name of the supervisor.
        child: The child whose restart was one too many: its id, or under a `DynamicSupervisor` the reference of its
            last life, or of actors on demand the key.
        max_restarts, max_seconds: The limit.
        is_of_child: Whether that is the child's own limit, and not the supervisor's.
    """

    def __init__(
        self, supervisor: str, child: object, max_restarts: float, max_seconds: float, is_of_child: bool = False
    ) -> None:
        super().__init__(supervisor, child, max_restarts, max_seconds, is_of_child)
        self.supervisor = supervisor
        self.child = child
        self.max_restarts = max_restarts
        self.max_seconds = max_seconds
        self.is_of_child = is_of_child

    @property
    def _limit(self) -> str:
        return _limit_in_words(self.max_restarts, self.max_seconds)

    def __str__(self) -> str:
        if self.is_of_child:
            return f"{self.supervisor} gave up: child {shown_whole(self.child)} had {self._limit}"
        return f"{self.supervisor} gave up: {self._limit}, the last one of child {shown_whole(self.child)}"


def _limit_in_words(max_restarts: float, max_seconds: float) -> str:
    return f"more than {counted(max_restarts, 'restart')} in {counted(max_seconds, 'second')}"
