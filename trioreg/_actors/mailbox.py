"""A mailbox: what has been sent to an actor and not been taken yet.

It is the one task that takes messages, parked while there is none; a place for the message that wakes it; and a deque
for those that come before it has taken that one, made when it is first needed. `put` is the truth; waiting for room is
built on it.

A message is two objects, what kind it is and what comes with it, and lies in the queue as these two, one behind the
other: a tuple around them would be all that the garbage collector finds in a full mailbox, for each message. What
either of them means is the taker's business.

May never happen: a message both in `queue` and in `overflow`; a message in `overflow` while there is room; the taker
parked while there is a message; an odd number of objects in the queue where anybody can see it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from trio.lowlevel import Abort, RaiseCancelT, Task, checkpoint, current_task, wait_task_rescheduled

from .._runtime import park, wake


class Sender:
    """A message that waits for room: with its task, or None where the sender goes on waiting, for an answer."""

    __slots__ = ("admitted", "kind", "payload", "task")

    def __init__(self, kind: object, payload: object, task: Task | None) -> None:
        self.kind = kind
        self.payload = payload
        self.task = task
        self.admitted = False


_COMPACT = 32


class Mailbox:
    """The mailbox half of an actor.

    Attributes:
        inbox: The queue, while whoever has a message may put it there without asking: it is unbounded, and open.
        is_open: Whether messages get in.
        kind, payload: The message that has woken the taker, and comes before those in the queue; None if none has.
        limit: How many messages may wait; None: any number.
        taker: The task that takes the messages, as soon as there is one. It waits for one exactly while it has the
            mailbox in its ``custom_sleep_data``.
        thread: The thread of the run that it is in. Beside the others because whoever sends reads all of them.
    """

    __slots__ = (
        "__weakref__",
        "inbox",
        "is_open",
        "kind",
        "limit",
        "longest",
        "overflow",
        "payload",
        "queue",
        "taker",
        "thread",
        "withdrawn",
    )

    def __init__(self, limit: int | None, thread: int) -> None:
        self.thread = thread
        self.limit = limit
        self.inbox: deque[object] | None = None
        self.is_open = True
        self.kind: Any = None
        self.payload: Any = None
        self.queue: deque[Any] | None = None
        # Those that wait for room, in their order: by the identity of the sender, or of what can be withdrawn.
        self.overflow: dict[int, Sender] | None = None
        # The identities of what is in the queue but does not count any more. Taking one out of the middle of a deque
        # is a walk: ten thousand callers that give up on a stuck actor would walk ten thousand times.
        self.withdrawn: set[int] | None = None
        self.taker: Task | None = None
        self.longest = 0

    @property
    def queued(self) -> int:
        """How many messages are in the mailbox."""
        return (self.kind is not None) + len(self.queue or ()) // 2 - len(self.withdrawn or ())

    @property
    def peak(self) -> int:
        """The most messages that have waited at once."""
        return max(self.longest // 2, self.queued)

    @property
    def is_idle(self) -> bool:
        """Whether the taker waits for a message."""
        task = self.taker
        return task is not None and task.custom_sleep_data is self

    @property
    def is_full(self) -> bool:
        return self.limit is not None and self.queued >= self.limit

    def put(self, kind: object, payload: object) -> None:
        """Put a message in, whatever the limit says, and wake the taker."""
        task = self.taker
        if task is not None and task.custom_sleep_data is self:
            self.kind = kind
            self.payload = payload
            task.custom_sleep_data = None
            wake(task)
            return
        queue = self.queue or self._make_queue()
        queue.append(kind)
        queue.append(payload)

    def put_first(self, kind: object, payload: object) -> None:
        """Put a message in before all others, while the taker is parked or has just been woken."""
        if self.is_idle:
            self.put(kind, payload)
            return
        if self.kind is not None:
            (self.queue or self._make_queue()).extendleft((self.payload, self.kind))
        self.kind = kind
        self.payload = payload

    def _make_queue(self) -> deque[object]:
        queue: deque[object] = deque()  # making it may run the collector, and a `__del__` that sends to this one
        if self.queue is None:
            self.queue = queue
            if self.limit is None and self.is_open:
                self.inbox = queue
        return self.queue

    def put_or_line_up(self, kind: object, payload: object) -> None:
        """Put in a message whose sender waits for the answer anyway: if there is no room, it waits for that too."""
        if self.limit is not None and self.is_full:
            self._line_up(id(payload), Sender(kind, payload, None))
        else:
            self.put(kind, payload)

    async def put_when_room(self, kind: object, payload: object) -> bool:
        """Wait for room, put the message in. False if the mailbox was closed first. A checkpoint only if it waits."""
        if not self.is_full:
            self.put(kind, payload)
            return True
        sender = Sender(kind, payload, current_task())
        self._line_up(id(sender), sender)

        def abort(_: RaiseCancelT) -> Abort:
            assert self.overflow is not None
            del self.overflow[id(sender)]
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)
        return sender.admitted

    def _line_up(self, key: int, sender: Sender) -> None:
        if self.overflow is None:
            self.overflow = {}
        self.overflow[key] = sender

    def withdraw(self, payload: object) -> None:
        """Take back a message that still waits, put in with `put` or `put_or_line_up`. Constant time, on average.

        What came with it must be its alone, as the message is told by that.
        """
        if self.overflow and self.overflow.pop(id(payload), None) is not None:
            return
        self.longest = max(self.longest, 2 * self.queued)
        if self.withdrawn is None:
            self.withdrawn = set()
        self.withdrawn.add(id(payload))
        queue = self.queue
        if queue is not None and len(self.withdrawn) > max(_COMPACT, len(queue) // 4):
            # In place: whoever has a hand on the queue keeps it.
            gone, self.withdrawn = self.withdrawn, None
            left = [part for message in _pairs(queue) if id(message[1]) not in gone for part in message]
            if id(self.payload) in gone:
                self.withdrawn = {id(self.payload)}
            queue.clear()
            queue.extend(left)
        self.admit()

    def take(self) -> tuple[object, object] | None:
        """The first message, or None when there is none, or all that waited have been withdrawn."""
        queue = self.queue
        while self.kind is not None or queue:
            if self.kind is not None:
                kind, payload = self.kind, self.payload
                self.kind = self.payload = None
            else:
                assert queue
                kind, payload = queue.popleft(), queue.popleft()
            if len(queue or ()) >= self.longest:
                self.update_peak()
            if self.withdrawn and self.forget_withdrawn(payload):
                continue
            if self.overflow:
                self.admit()
            return kind, payload
        return None

    def update_peak(self) -> None:
        """A message has been taken out, and before there were more than ever, if those that were withdrawn count."""
        self.longest = max(self.longest, 2 * self.queued + 2)

    def forget_withdrawn(self, payload: object) -> bool:
        """A message has been taken out: whether it had been withdrawn."""
        if not self.withdrawn or id(payload) not in self.withdrawn:
            return False
        self.withdrawn.remove(id(payload))
        return True

    def admit(self) -> None:
        while self.overflow and not self.is_full:
            sender = self.overflow.pop(next(iter(self.overflow)))
            self.put(sender.kind, sender.payload)
            sender.admitted = True
            if sender.task is not None:
                wake(sender.task)

    async def wait_for_message(self) -> None:
        """Wait until there is a message, or until somebody unparks the task. A checkpoint."""
        task = self.taker = current_task()
        was_open = self.is_open
        sleep = park()
        # Making that may have run the collector, and a `__del__` that sends to this one, or ends it.
        if self.kind is None and not self.queue and self.is_open is was_open:
            task.custom_sleep_data = self
            await sleep
        else:
            await checkpoint()

    def wake_taker(self) -> None:
        """Wake the taker, if it is parked, without a message."""
        task = self.taker
        if task is not None and task.custom_sleep_data is self:
            task.custom_sleep_data = None
            wake(task)

    def close(self) -> None:
        """Nothing more gets in from those who ask `is_open`, or look for the `inbox`."""
        self.is_open = False
        self.inbox = None

    def remove_senders(self) -> list[Sender]:
        """Nothing more gets in: give back what waits for room, and wake those senders. None has had its turn yet."""
        self.close()
        if self.overflow is None:
            return []
        senders, self.overflow = list(self.overflow.values()), None
        for sender in senders:
            if sender.task is not None:
                wake(sender.task)
        return senders

    def drain(self) -> list[tuple[object, object]]:
        """Every message that is in the mailbox, taken out."""
        if self.kind is None and not self.queue:
            self.inbox = self.queue = self.withdrawn = None
            return []
        gone = self.withdrawn or ()
        left = [(self.kind, self.payload)] if self.kind is not None else []
        left += _pairs(self.queue or ())
        self.kind = self.payload = self.inbox = self.queue = self.withdrawn = None
        return [message for message in left if id(message[1]) not in gone]


def _pairs(queue: Iterable[object]) -> Iterator[tuple[object, object]]:
    parts = iter(queue)
    return zip(parts, parts, strict=True)
