"""A mailbox: the messages that were sent to an actor and not taken yet.

One task takes the messages (the taker), and is parked while there is none. The message that wakes it has a place of its
own (`kind` and `payload`). Messages that come before the taker has had its turn go into a deque, which is made when it
is first needed. `put` is the basic operation; waiting for room is built on it.

A message is two objects, its kind and its payload, and lies in the queue as these two, one behind the other. With a
tuple around them, each message in a full mailbox would be one more object for the garbage collector to visit. The
mailbox does not look at either of them.

Must never happen: a message both in `queue` and in `overflow`; a message in `overflow` while there is room; the taker
parked while there is a message; an odd number of objects in the queue that other code can see.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from trio.lowlevel import Abort, RaiseCancelT, Task, checkpoint, current_task, wait_task_rescheduled

from .._runtime import UNUSUAL, sleep_until_woken, wake


class Sender:
    """A message that waits for room.

    Attributes:
        task: The task to wake when the message gets in. None for a call, whose caller goes on waiting for the answer.
            While it sleeps, it has this in its ``custom_sleep_data``.
        admitted: Whether the message got in.
    """

    __slots__ = ("admitted", "kind", "payload", "task")

    def __init__(self, kind: object, payload: object, task: Task | None) -> None:
        self.kind = kind
        self.payload = payload
        self.task = task
        self.admitted = False


IN_LINE = object()
"""In the ``custom_sleep_data`` of a taker: it has a message in `kind`, and stays parked until a shared turn comes to it
(`shared_turn.py`)."""

_COMPACT = 32


class Mailbox:
    """The mailbox half of an actor.

    Attributes:
        inbox: The queue, while a sender may append to it without asking: the mailbox is unbounded and open.
        is_open: Whether messages get in.
        kind, payload: The message that has woken the taker. It comes before those in the queue. None if there is none.
        limit: How many messages may wait; None: any number.
        longest: The most objects that have been in the queue, two for each message. `peak` counts messages.
        overflow: The messages that wait for room, in order. The key is the identity of the payload for a call, and of
            the `Sender` for other messages.
        queue: The messages behind the first; None until there is one.
        taker: The task that takes the messages; None before it first does. It waits for a message exactly while it has
            the mailbox in its ``custom_sleep_data``. (With `IN_LINE` there it has one, and is still parked.)
        thread: The thread of the Trio run. It is here because each sender reads it together with the others.
        withdrawn: The identities of payloads that are in the queue but do not count any more. To take one out of the
            middle of a deque is a walk: ten thousand callers that give up on a stuck actor would walk ten thousand
            times.
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
        self.thread: int = thread
        self.limit: int | None = limit
        self.inbox: deque[object] | None = None
        self.is_open: bool = True
        self.kind: Any = None
        self.payload: Any = None
        self.queue: deque[Any] | None = None
        self.overflow: OrderedDict[int, Sender] | None = None
        self.withdrawn: set[int] | None = None
        self.taker: Task | None = None
        self.longest: int = 0

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
        """Put a message in, even over the limit, and wake the taker."""
        if UNUSUAL:
            kind, payload = self.observed(kind, payload)
        task = self.taker
        if task is not None and task.custom_sleep_data is self:
            self.kind = kind
            self.payload = payload
            try:
                wake(task)
            except BaseException:
                self.kind = self.payload = None
                raise
            return
        if task is not None and task.custom_sleep_data is IN_LINE:
            wake(task)  # `leave_line`, written out
        queue: deque[object] = self.queue or self._make_queue()
        queue += (kind, payload)  # in one step: both, or none

    def observed(self, kind: object, payload: object) -> tuple[object, object]:
        """The message as it goes into the mailbox: somebody may watch it."""
        return kind, payload

    def gave_up(self, kind: object, payload: object) -> None:
        """The sender of a message that waited for room was cancelled."""

    def put_if_room(self, kind: object, payload: object) -> bool:
        """Put a message in, unless the mailbox is full. A closed mailbox has no limit: only its actor still sends."""
        if self.is_full and self.is_open:
            return False
        self.put(kind, payload)
        return True

    def put_first(self, kind: object, payload: object) -> None:
        """Put a message in before all others. The taker must be parked, or have just been woken."""
        if self.is_idle:
            self.put(kind, payload)
            return
        if self.kind is not None:
            (self.queue or self._make_queue()).extendleft((self.payload, self.kind))
        self.kind = kind
        self.payload = payload

    def put_before_waiting(self, kind: object, payload: object) -> None:
        """Put a message in before all that wait, but behind the one that has just woken the taker."""
        if self.is_idle:
            self.put(kind, payload)
        elif self.kind is not None and self.taker is None:
            self.put_first(kind, payload)  # there is no taker yet that it could have woken
        else:
            self.leave_line()
            (self.queue or self._make_queue()).extendleft((payload, kind))

    def _make_queue(self) -> deque[object]:
        # To make one may run the garbage collector, and a `__del__` that sends to this mailbox.
        queue: deque[object] = deque()
        if self.queue is None:
            self.queue = queue
            if self.limit is None and self.is_open:
                self.inbox = queue
        return self.queue

    def put_or_line_up(self, kind: object, payload: object) -> None:
        """Put in a message whose sender waits for the answer anyway. Without room, the message waits for room."""
        if not self.put_if_room(kind, payload):
            if UNUSUAL:
                kind, payload = self.observed(kind, payload)
            self._line_up(id(payload), Sender(kind, payload, None))

    async def put_when_room(self, kind: object, payload: object) -> bool:
        """Wait for room, put the message in. False if the mailbox was closed first. A checkpoint only if it waits."""
        if self.put_if_room(kind, payload):
            return True
        if UNUSUAL:
            kind, payload = self.observed(kind, payload)
        task = current_task()
        sender = Sender(kind, payload, task)
        self._line_up(id(sender), sender)

        def abort(_: RaiseCancelT) -> Abort:
            assert self.overflow is not None
            del self.overflow[id(sender)]
            return Abort.SUCCEEDED

        task.custom_sleep_data = sender
        try:
            await wait_task_rescheduled(abort)
        except BaseException:
            # If it was cancelled, `abort` has done this. If it has not even begun to wait, nothing may wake it.
            if self.overflow and id(sender) in self.overflow:
                del self.overflow[id(sender)]
            if not sender.admitted:
                self.gave_up(kind, payload)
            raise
        return sender.admitted

    def _line_up(self, key: int, sender: Sender) -> None:
        if self.overflow is None:
            self.overflow = OrderedDict()  # to find the first one in a dict is a walk over all that were there before
        self.overflow[key] = sender

    def withdraw(self, payload: object) -> None:
        """Take back a message that still waits, put in with `put` or `put_or_line_up`. Constant time, on average.

        The payload identifies the message, so no other message may have the same one.
        """
        if self.overflow and self.overflow.pop(id(payload), None) is not None:
            return
        self.longest = max(self.longest, 2 * self.queued)
        if self.withdrawn is None:
            self.withdrawn = set()
        self.withdrawn.add(id(payload))
        queue = self.queue
        if queue is not None and len(self.withdrawn) > max(_COMPACT, len(queue) // 4):
            # In place: `inbox` and the taker's loop hold the same queue.
            gone, self.withdrawn = self.withdrawn, None
            left = [part for message in _pairs(queue) if id(message[1]) not in gone for part in message]
            if id(self.payload) in gone:
                self.withdrawn = {id(self.payload)}
            queue.clear()
            queue.extend(left)
        self.admit()

    def take(self) -> tuple[object, object] | None:
        """Take the first message out. None if there is none, or if all that waited have been withdrawn."""
        queue = self.queue
        while self.kind is not None or queue:
            if self.kind is not None:
                kind, payload = self.kind, self.payload
                self.kind = self.payload = None
            else:
                assert queue
                kind, payload = queue[0], queue[1]
                del queue[0], queue[0]
            try:
                if len(queue or ()) >= self.longest:
                    self.update_peak()
                if self.withdrawn and self.forget_withdrawn(payload):
                    continue
                if self.overflow:
                    self.admit()
            except BaseException:
                self.kind, self.payload = kind, payload  # it is still the first one
                raise
            return kind, payload
        return None

    def update_peak(self) -> None:
        """A message has just been taken out of the longest queue so far, withdrawn ones included: keep its length."""
        self.longest = max(self.longest, 2 * self.queued + 2)

    def forget_withdrawn(self, payload: object) -> bool:
        """Whether a message that has just been taken out had been withdrawn."""
        if not self.withdrawn or id(payload) not in self.withdrawn:
            return False
        self.withdrawn.remove(id(payload))
        return True

    def admit(self) -> None:
        """Let in the messages that wait for room, as far as there is room. Not if the mailbox is closed: they wait to
        be refused."""
        while self.overflow and self.is_open and not self.is_full:
            key = next(iter(self.overflow))
            sender = self.overflow[key]
            if not sender.admitted:
                self.put(sender.kind, sender.payload)
                sender.admitted = True
            if sender.task is not None:
                wake(sender.task)
            del self.overflow[key]

    async def wait_for_message(self) -> None:
        """Wait until there is a message, or until `wake_taker`. The current task becomes the taker. A checkpoint."""
        task = self.taker = current_task()
        was_open = self.is_open
        sleep = sleep_until_woken()
        # To make that may have run the garbage collector, and a `__del__` that sends to this mailbox, or closes it.
        if self.kind is None and not self.queue and self.is_open is was_open:
            task.custom_sleep_data = self
            await sleep
        else:
            await checkpoint()

    def wake_taker(self) -> None:
        """Wake the taker, if it is parked, without a message."""
        task = self.taker
        if task is not None and task.custom_sleep_data is self:
            wake(task)
        else:
            self.leave_line()

    def leave_line(self) -> None:
        """Wake a taker that is in line for a shared turn: the actor has more to do now than one message."""
        task = self.taker
        if task is not None and task.custom_sleep_data is IN_LINE:
            wake(task)

    def close(self) -> None:
        """Nothing more gets in from a sender that asks `is_open` or looks for the `inbox`."""
        self.is_open = False
        self.inbox = None

    def remove_sender(self, key: int) -> None:
        """Wake the sender of a message in `overflow`, then take the message out. If that fails, it is still there.

        Say before whether the message was admitted.
        """
        assert self.overflow is not None
        task = self.overflow[key].task
        if task is not None:
            wake(task)
        del self.overflow[key]


def _pairs(queue: Iterable[object]) -> Iterator[tuple[object, object]]:
    parts = iter(queue)
    return zip(parts, parts, strict=True)
