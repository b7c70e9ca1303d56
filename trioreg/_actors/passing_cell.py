"""The cell of an actor on demand: what it does not take any more goes to the next life of its key.

A `PassingCell` is made blank: it belongs to nothing, and costs nothing if nothing comes of it. The first message that
is put into it asks its `Home` to take it in. From then on it takes messages, whether its task has been started or not.
When it is asked to stop, the messages that wait for room in it go to the next life, and no other message gets in.

It knows its mailbox. Which lives there are, and when each one is started or retired, is for its `Home` to say.

Must never happen: a message in a blank cell; a life that is retired with a message in its mailbox, with a handler at
work, or while it owes an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .._runtime import UNUSUAL, require_room
from .call import Call
from .cell import RUNNING, STOPPING, Cell
from .gate import steps_in_mailbox
from .handler import runtime_handler
from .message import CALL, CAST, NO_KWARGS
from .wait_graph import Wait

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from .._runtime import Exit, Owner
    from .cell import Blueprint, Child, Reference

BLANK, WAITING, LAUNCHED = range(3)


class Home(Protocol):
    """The lives of all keys, as one life sees them."""

    def successor_of(self, cell: PassingCell) -> PassingCell | None:
        """The next life of its key, which takes messages. None if nothing is started any more."""
        ...

    def take_in(self, cell: PassingCell) -> None:
        """A blank cell gets its first message, in the same step. If this raises, nothing has changed."""

    def closed(self, cell: PassingCell) -> None:
        """It takes no more messages."""

    def came_round(self, cell: PassingCell) -> None:
        """It has handled all that was in its mailbox when `PassingCell.ask_round` was called."""

    def blockers_of(self, cell: PassingCell) -> Iterable[Owner]:
        """The actors that keep its task from being started, if none of them can end before it is."""
        ...


class PassingCell(Cell):
    """One life of a key.

    Attributes:
        key: The key.
        stage: BLANK (nothing has come), WAITING (its task is not started yet), or LAUNCHED.
        older, newer: The life before it, until that has ended, and the life after it, if there is one already.
        place: The table of its home that it is in.
        own: How many messages have come from no sender: those of its timers, and `on_idle`.
        noted: How many messages its home knows of.
        seen: How many messages of senders it had handled (`uses`) when that was last asked, and
        looks: how many looks there were since then.
        rounds: How many messages of `ask_round` are in the mailbox. They take up no room, and are not counted.
    """

    _edges: dict[Wait, None] | None  # `Cell` sets it, as `waits`

    __slots__ = (
        "_edges",
        "_wait_for_older",
        "home",
        "key",
        "looks",
        "newer",
        "noted",
        "older",
        "own",
        "place",
        "rounds",
        "seen",
        "stage",
    )

    def __init__(
        self, ref: Reference, child: Child, blueprint: Blueprint, home: Home, key: Hashable, older: PassingCell | None
    ) -> None:
        super().__init__(ref, child, blueprint)
        self.begin(home, key, older)

    def begin(self, home: Home, key: Hashable, older: PassingCell | None) -> None:
        """What it has beside a `Cell`."""
        self.home = home
        self.key = key
        self.stage = BLANK
        self.older = older
        self.newer: PassingCell | None = None
        self.place: dict[PassingCell, None] | None = None
        self.own = 0
        self.noted = 0
        self.seen = -1
        self.looks = 0
        self.rounds = 0
        self._wait_for_older: Wait | None = None
        if older is not None:
            self.wait_for_older(older)

    def wait_for_older(self, older: PassingCell | None) -> None:
        """It begins when this life has ended: an edge of the wait-for graph, so that a cycle through it is found."""
        self.older = older
        if self._wait_for_older is not None:
            self._wait_for_older.end_wait()
            self._wait_for_older = None
        if older is not None:
            if self._edges is None:
                self._edges = {}
            self._wait_for_older = Wait(older.ref, self._edges)

    @property
    def waits(self) -> dict[Wait, None] | None:
        """Its open waits for other actors. Before its task is started: what that waits for."""
        if self.stage < LAUNCHED and self.older is None:
            return {Wait(ref, None): None for ref in self.home.blockers_of(self)}
        return self._edges

    @waits.setter
    def waits(self, waits: dict[Wait, None] | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._edges = waits

    # Messages

    def put(self, kind: object, payload: object) -> None:
        if self.stage == BLANK:
            self.home.take_in(self)
            if UNUSUAL:
                kind, payload = self.observed(kind, payload)
            # In the place of a message that has woken the task: most lives never need a queue.
            self.kind = kind
            self.payload = payload
        else:
            super().put(kind, payload)

    def _interrupt(self) -> None:
        # Before the task takes messages, the message in that place has not woken it.
        if self.taker is None and self.scope is not None and not self.scope.cancel_called:
            require_room()
            self.scope.cancel()
        else:
            super()._interrupt()

    @property
    def queued(self) -> int:
        return super().queued - self.rounds - steps_in_mailbox(self)

    def take(self) -> tuple[object, object] | None:
        message = super().take()
        while message is not None and type(message[1]) is _Round:
            self.rounds -= 1  # the actor has ended before it came to it
            message = super().take()
        return message

    @property
    def has_messages(self) -> bool:
        """Whether something is in the mailbox, or waits for room there. Calls that were given up do not count."""
        return self.queued > 0 or bool(self.overflow)

    @property
    def is_unused(self) -> bool:
        """Whether it has nothing to do: no message, no handler at work, no answer that it owes."""
        return self.state == RUNNING and self.is_idle and not self.runs_in and not self.overflow and not self.deferred

    @property
    def uses(self) -> int:
        """How many messages of senders it has handled, while none waits."""
        return self.handled - self.own

    def note_own(self) -> None:
        self.own += 1

    def restart_idle_time(self) -> None:
        self.seen = -1

    def has_been_unused(self, looks: int) -> bool:
        """Look at the actor once. Whether it has had nothing to do in its last ``looks`` looks.

        If it is at work, it is not known for whom: it may be a timer's message or `on_idle`, which do not count. So
        its home is told when it has done that: `Home.came_round`, and `has_been_unused_until_round`.
        """
        self.looks += 1
        if self.is_unused:
            return self._is_unused_for(looks, self.uses, 0)
        if self.state == RUNNING and not self.rounds:
            self.ask_round()
        return False

    def has_been_unused_until_round(self, looks: int) -> bool:
        """As `has_been_unused`, if the look came while the actor was at work. Call it only in `Home.came_round`."""
        # The message of the round is not counted as handled yet. The next look may come soon: it does not count.
        return self.has_come_round and self._is_unused_for(looks, self.uses + 1, -1)

    def _is_unused_for(self, looks: int, uses: int, first: int) -> bool:
        if uses != self.seen:
            self.seen = uses
            self.looks = first
        return self.looks >= looks

    def ask_round(self) -> None:
        """Have `Home.came_round` called when it has handled what is in its mailbox now."""
        self.put(CAST, _Round(self))
        self.rounds += 1

    @property
    def has_come_round(self) -> bool:
        """Whether it could end now: to be asked in `Home.came_round` only."""
        return self.state == RUNNING and not self.queued and not self.overflow and not self.deferred

    def watch_answers(self) -> None:
        """Call `Home.came_round` when it has answered one of the calls whose answer it still owes."""
        if self.deferred and type(self.deferred) is not _Owed:
            owed = _Owed(self.deferred)
            owed.cell = self
            for call in owed:
                call.deferred = owed
            self.deferred = owed

    # The way to the end

    def stop(self) -> None:
        super().stop()
        self.home.closed(self)

    def end(self, exit: Exit) -> None:
        super().end(exit)
        self.home.closed(self)

    def refuse_senders(self, exit: Exit) -> None:
        # All in one step: this life may end at any time, and what waits for room is to go to the next one.
        self.close()
        while self.refuse_sender(exit):
            pass

    def refuse_sender(self, exit: Exit) -> bool:
        # A call that waits for room in a stopping actor was not sent yet: it goes to the next life. A cast is made by a
        # task that waits: it finds that life by itself.
        if self.state == STOPPING and self.overflow:
            key = next(iter(self.overflow))
            sender = self.overflow[key]
            if sender.task is None and not sender.admitted and isinstance(sender.payload, Call):
                call = sender.payload
                successor = self.home.successor_of(self)
                if successor is not None:
                    call.target = successor.ref
                    successor.put_or_line_up(CALL, call)
                    sender.admitted = True
                    self.remove_sender(key)
                    return True
        return super().refuse_sender(exit)


class _Round:
    """A cast of `_come_round`. It is unpacked when it is taken out: from then on it is not in the mailbox."""

    __slots__ = ("_cell",)

    def __init__(self, cell: PassingCell) -> None:
        self._cell = cell

    def __iter__(self) -> Iterator[object]:
        self._cell.rounds -= 1
        # With the peak: what takes it out counts it as a message.
        cast_of: tuple[object, ...] = (_COME_ROUND, (self._cell, self._cell.longest), NO_KWARGS)
        return iter(cast_of)


class _Owed(dict[Call, None]):
    """The calls that an actor will answer later, of which its home wants to know."""

    cell: PassingCell

    def pop(self, *args: Any) -> Any:
        call = super().pop(*args)
        cell = self.cell
        # The first answer is enough. The calls that are left are owed as before.
        cell.deferred = dict(self) or None
        for other in cell.deferred or ():
            other.deferred = cell.deferred
        if cell.state == RUNNING:
            cell.ask_round()
        return call


def _come_round(_actor: object, cell: PassingCell, longest: int) -> None:
    cell.handled -= 1  # the runtime sent it, not a user
    cell.longest = longest
    cell.home.came_round(cell)


_COME_ROUND = runtime_handler("retirement", _come_round, 2)
