"""Who waits for whom, as facts: what an actor waits for, and what waits for an actor.

The first is the wait-for graph (`wait_graph.py`), and the calls in which the actor's tasks are parked. The second is
what the actor itself knows: its calls, its mailbox, and the tasks that wait for its start or its end.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import attrs

from .._runtime import current_actor, shown_safely
from .any_wait import AnyWait
from .at_work import awaited_call, holder_of_awaited_lock
from .call import Call
from .control import control_of
from .message import CALL
from .post import Posted
from .wait_graph import NameWait, PossibleWaits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextvars import Context

    from trio.lowlevel import Task

    from .._runtime import Frames
    from .cell import Cell
    from .ref import ActorRef
    from .wait_graph import Wait

LOOKED_AT = 100
"""How many messages of a mailbox, and how many tasks of each kind, are looked at for those that wait."""

WaitingKind: TypeAlias = Literal["call", "reply", "room", "start", "end", "name", "worker", "lock"]

_WHAT: dict[WaitingKind, str] = {
    "room": "room in the mailbox",
    "start": "the start",
    "end": "the end",
    "worker": "a free worker",
    "lock": "a lock",
}


@attrs.frozen
class Waiting:
    """One wait, from `who`: what an actor waits for, or what waits for an actor.

    Attributes:
        kind: ``"call"`` (the answer of a call), ``"reply"`` (the `Reply` of a call that has been handled), ``"room"``
            (room in a bounded mailbox), ``"start"`` or ``"end"`` (of an actor), ``"name"`` (a name that has no owner),
            ``"worker"`` (any free worker of a pool) or ``"lock"`` (of a registry, or a `trio.Lock`, that ``ref`` or
            ``task`` has).
        what: The same as text, as in ``"call Cart.add"``.
        ref: The actor on the other side. None if there is none: a name has no owner, or a plain Trio task waits.
        task: The name of the Trio task that waits, where something waits for the actor; or of the one that has the
            lock; else None.
    """

    kind: WaitingKind
    what: str
    ref: ActorRef[Any] | None = None
    task: str | None = None

    def __str__(self) -> str:
        if self.ref is not None:
            return f"{self.ref!r}: {self.what}"
        return self.what if self.task is None else f"task {self.task}: {self.what}"


# What an actor waits for


def waits_for(waits: Iterable[Wait] | None, frames: Frames) -> Iterator[Waiting]:
    """What these open waits are for, and the call that a task with these frames waits for."""
    seen: set[Wait] = set()
    for wait in list(waits or ()):
        for each in list(wait.of_tasks) if isinstance(wait, PossibleWaits) else (wait,):
            seen.add(each)
            yield from _targets(each)
    call = awaited_call(frames)
    if call is not None and call not in seen:
        yield from _targets(call)
    holder = holder_of_awaited_lock(frames)
    if holder is not None:
        yield _waiting("lock", _WHAT["lock"], holder.context, holder)


def _targets(wait: Wait) -> Iterator[Waiting]:
    if isinstance(wait, Call):
        if not wait.is_done:
            yield Waiting(*_call(wait), _ref(wait.target))
    elif isinstance(wait, NameWait):
        yield Waiting("name", f"the name {shown_safely(wait.key)}")
    elif isinstance(wait, AnyWait):
        for node in islice(wait.candidates(), LOOKED_AT):
            if node is not None:
                yield Waiting(wait.kind, _WHAT[wait.kind], _ref(node.ref))
    else:
        node = wait.node
        nodes = wait.nodes(None, possible=True) if node is None else (node,)
        for each in islice(nodes, LOOKED_AT):
            yield Waiting(wait.kind, _WHAT[wait.kind], _ref(each.ref))


def _call(call: Call) -> tuple[WaitingKind, str]:
    # A turn of a supervisor is deferred, too, and answers by itself.
    if call.deferred is not None and getattr(call, "turn", None) is None:
        return "reply", f"the Reply of {call.handler.name}"
    return "call", f"call {call.handler.name}"


# What waits for an actor


def waiting_for_actor(cell: Cell) -> Iterator[Waiting]:
    """What waits for an actor. Of very many, the first ones."""
    for call in _calls(cell):  # one that is done, or was given up, has no task
        kind, what = _call(call)
        if call.task is not None:
            yield _waiting(kind, what, call.task.context, call.task)
        elif isinstance(call, Posted):
            yield _waiting(kind, what, call.context, None)
    for sender in islice(list((cell.overflow or {}).values()), LOOKED_AT):
        if sender.task is not None:
            yield _waiting("room", _WHAT["room"], sender.task.context, sender.task)
    if cell.life.starter is not None:
        yield _waiting("start", _WHAT["start"], cell.life.starter.context, cell.life.starter)
    for task in islice(list(cell.life.watchers or ()), LOOKED_AT):
        yield _waiting("end", _WHAT["end"], task.context, task)


def _calls(cell: Cell) -> Iterator[Call]:
    """The calls that an actor has begun and not answered, and the first ones in its mailbox."""
    if cell.call is not None:
        yield cell.call
    yield from islice(list(cell.deferred or ()), LOOKED_AT)
    control = control_of(cell)
    if control is not None:
        yield from islice(list(control.requests), LOOKED_AT)
    if cell.kind is CALL and isinstance(cell.payload, Call):
        yield cell.payload
    for payload in _first(cell.queue, 2 * LOOKED_AT)[1::2]:
        if isinstance(payload, Call):
            yield payload
    for sender in islice(list((cell.overflow or {}).values()), LOOKED_AT):
        if isinstance(sender.payload, Call):
            yield sender.payload


def _first(queue: Iterable[object] | None, most: int) -> list[object]:
    while True:
        try:
            return list(islice(queue or (), most))
        except RuntimeError:
            continue  # another thread has changed it


def _waiting(kind: WaitingKind, what: str, context: Context, task: Task | None) -> Waiting:
    ref = context.get(current_actor)
    if ref is not None and task is not None and not ref._owns(task):
        ref = None  # a task elsewhere, with a copy of an actor's context
    return Waiting(kind, what, None if ref is None else _ref(ref), None if task is None else task.name)


def _ref(owner: object) -> ActorRef[Any]:
    return cast("ActorRef[Any]", owner)
