"""A mailbox: what has been sent to an actor and not been taken yet.

It is a deque, made when the first message has to wait, plus the one task that takes messages, parked while there is
none. `put` is the truth; waiting for room is built on it. It knows nothing of what a message is.

May never happen: a message both in `queue` and in `overflow`; a message in `overflow` while `queue` has room; the
taker parked while there is a message.
"""

from __future__ import annotations

from collections import deque

from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled


class Sender:
    """A message that waits for room: with its task, or None where the sender goes on waiting, for an answer."""

    __slots__ = ("admitted", "message", "task")

    def __init__(self, message: object, task: Task | None) -> None:
        self.message = message
        self.task = task
        self.admitted = False


NOTHING = object()
"""What `Mailbox.take` gives when every message that waited has been withdrawn."""

_COMPACT = 32


class Mailbox:
    """The mailbox half of an actor.

    Attributes:
        parked: The actor's task while it waits for a message: not None exactly when the actor is idle.
        peak: The most messages that have waited at once.
    """

    __slots__ = ("__weakref__", "_overflow", "_queue", "_withdrawn", "limit", "parked", "peak")

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._queue: deque[object] | None = None
        # Those that wait for room, in their order, by the identity of the message.
        self._overflow: dict[int, Sender] | None = None
        # The identities of messages that are in the queue but do not count any more. Taking one out of the middle of
        # a deque is a walk: ten thousand callers that give up on a stuck actor would walk ten thousand times.
        self._withdrawn: set[int] | None = None
        self.parked: Task | None = None
        self.peak = 0

    @property
    def queued(self) -> int:
        """How many messages are in the mailbox."""
        return len(self._queue or ()) - len(self._withdrawn or ())

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.queued >= self.limit

    def put(self, message: object) -> None:
        """Put a message in, whatever the limit says, and wake the taker."""
        queue = self._queue
        if queue is None:
            queue = self._queue = deque()
        queue.append(message)
        task = self.parked
        if task is not None:
            self.parked = None
            reschedule(task)

    def put_first(self, message: object) -> None:
        """Put a message in before all others."""
        self.put(message)
        assert self._queue is not None
        self._queue.rotate(1)

    def put_or_line_up(self, message: object) -> None:
        """Put in a message whose sender waits for the answer anyway: if there is no room, it waits for that too."""
        if self.limit is not None and self.is_full:
            self._line_up(Sender(message, None))
        else:
            self.put(message)

    async def put_when_room(self, message: object) -> bool:
        """Wait for room, put the message in. False if the mailbox was closed first. A checkpoint only if it waits."""
        if not self.is_full:
            self.put(message)
            return True
        sender = Sender(message, current_task())
        self._line_up(sender)

        def abort(_: RaiseCancelT) -> Abort:
            assert self._overflow is not None
            del self._overflow[id(message)]
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)
        return sender.admitted

    def _line_up(self, sender: Sender) -> None:
        if self._overflow is None:
            self._overflow = {}
        self._overflow[id(sender.message)] = sender

    def withdraw(self, message: object) -> None:
        """Take back a message that still waits. Constant time, on average."""
        if self._overflow and self._overflow.pop(id(message), None) is not None:
            return
        if self._withdrawn is None:
            self._withdrawn = set()
        self._withdrawn.add(id(message))
        queue = self._queue
        if queue is not None and len(self._withdrawn) > max(_COMPACT, len(queue) // 2):
            gone, self._withdrawn = self._withdrawn, None
            self._queue = deque(message for message in queue if id(message) not in gone)
        self._admit()

    def take(self) -> object:
        """The first message, or `NOTHING`."""
        queue = self._queue
        while queue:
            if len(queue) > self.peak:
                self.peak = max(self.peak, self.queued)
            message = queue.popleft()
            if self._withdrawn and id(message) in self._withdrawn:
                self._withdrawn.remove(id(message))
                continue
            if self._overflow:
                self._admit()
            return message
        return NOTHING

    def _admit(self) -> None:
        while self._overflow and not self.is_full:
            sender = self._overflow.pop(next(iter(self._overflow)))
            self.put(sender.message)
            sender.admitted = True
            if sender.task is not None:
                reschedule(sender.task)

    async def park(self) -> None:
        """Wait until there is a message, or until somebody unparks the task. A checkpoint."""
        self.parked = current_task()
        await wait_task_rescheduled(self._abort_park)

    def _abort_park(self, _: RaiseCancelT) -> Abort:
        self.parked = None
        return Abort.SUCCEEDED

    def unpark(self) -> None:
        """Wake the taker, if it is parked, without a message."""
        task = self.parked
        if task is not None:
            self.parked = None
            reschedule(task)

    def refuse_senders(self) -> list[object]:
        """Nothing more gets in: give back what waits for room, and wake those senders."""
        senders, self._overflow = list((self._overflow or {}).values()), None
        for sender in senders:
            if sender.task is not None:
                reschedule(sender.task)
        return [sender.message for sender in senders]

    def drain(self) -> list[object]:
        """Every message that is in the mailbox, taken out."""
        gone = self._withdrawn or ()
        left = [message for message in self._queue or () if id(message) not in gone]
        self._queue = self._withdrawn = None
        return left
