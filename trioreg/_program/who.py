"""`who`: all that one actor can be asked, as data (`ActorReport`) and as text for people."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from textwrap import indent
from traceback import StackSummary
from typing import TYPE_CHECKING, Any

import attrs

from .._actors import Address, Waiting, handling, other_tasks, own_frames, waiting_for_actor, waits_for
from .._runtime import counted, one_line, shown_safely, users_part
from .._supervision import Child

if TYPE_CHECKING:
    from .._actors import ActorRef, ActorState, Cell
    from .._runtime import Exit

_SHOWN = 10
"""How many names, tasks and waits the text shows of each kind."""


@attrs.frozen
class ActorTask:
    """One more task of an actor, beside its own, from `who`.

    It is a background task, or a task in a nursery of the actor's code. A supervisor starts and ends children in tasks
    of their own: these are here, too.

    Attributes:
        name: The name of the Trio task.
        waits_for: What it waits for.
        stack: Where it stands, as in `ActorRef.stack`.
    """

    name: str
    waits_for: tuple[Waiting, ...]
    stack: StackSummary


@attrs.frozen
class ActorReport:
    """One actor at one moment, from `who`. ``print(report)`` shows it in a few lines.

    An actor that has ended is known by its reference only: then what says so is None or empty.

    Attributes:
        ref: Its reference.
        label: What its Trio task is called, as in ``"Cart #5 'a-17'"``.
        class_name: Its class; None for a function actor, and after the end.
        supervisor: The path of its supervisor, as in ``"program/games"``; None after the end.
        child_id: What its supervisor knows it by. None under a `DynamicSupervisor`, and after the end.
        is_supervisor: Whether it is a supervisor itself.
        state: As `ActorRef.state`.
        exit: How it ended, or is going to end, as `ActorRef.exit`.
        at: When this was asked, as `trio.current_time`, in seconds.
        started_at: When it started, in the same clock. None while it starts, and after the end.
        restarts: How often its supervisor has restarted it; None after the end.
        queued: How many messages wait in its mailbox.
        peak: The most messages that have waited at once; None after the end.
        mailbox_size: How many messages may wait; None: any number.
        handled: How many messages it has handled in this life; None after the end.
        calls_in_flight: How many calls it has begun and not answered yet, deferred replies included.
        handling: The handler or the hook that it runs, as in ``"Cart.add"``; None if there is none. As in
            `ActorStatistics`.
        handling_since: When that has begun, in the same clock as ``at``. None for a sync handler.
        names: The names that it holds: for each the name of the registry (or of the `PubSub`), and the key.
        waits_for: What it waits for, so that it does not come to its next message.
        waited_for_by: What waits for it: for the answers of its calls, for room in its mailbox, for its start or its
            end. Of very many, these are the first ones.
        stack: Where its code stands, as `ActorRef.stack`; empty if it only waits for a message, and after the end.
        tasks: Its other tasks, and where these stand.
    """

    ref: ActorRef[Any]
    label: str
    class_name: str | None
    supervisor: str | None
    child_id: Hashable
    is_supervisor: bool
    state: ActorState
    exit: Exit | None
    at: float
    started_at: float | None
    restarts: int | None
    queued: int
    peak: int | None
    mailbox_size: int | None
    handled: int | None
    calls_in_flight: int
    handling: str | None
    handling_since: float | None
    names: tuple[tuple[str, Hashable], ...]
    waits_for: tuple[Waiting, ...]
    waited_for_by: tuple[Waiting, ...]
    stack: StackSummary = attrs.field(repr=False)
    tasks: tuple[ActorTask, ...] = attrs.field(repr=False)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def who(address: Address[Any]) -> ActorReport:
    """All that can be seen of one actor: where it belongs, what it is doing, and who waits for whom.

    ::

        print(trioreg.who(carts.via("a-17")))

    Not a checkpoint; safe from any thread. The cost grows with the names and the tasks that the actor has, and with the
    depth of their stacks. The source of a stack is read from its file.

    Args:
        address: An `ActorRef`, also of an actor that has ended; or a name, from `Registry.via`.

    Raises:
        NotRegistered: The address is a name that no actor has.
        TypeError: It is not an address, or the name has another owner.
    """
    if not isinstance(address, Address):
        raise TypeError(f"address must be an ActorRef, or a name from Registry.via(), not {shown_safely(address)}")
    return report_of(address._resolve())


def report_of(ref: ActorRef[Any], at_most: int | None = None) -> ActorReport:
    """The report of `who`, with so many names and tasks at most. Then it is for the actor's own thread."""
    cell = ref._cell
    child = None if cell is None else getattr(cell.life, "child", None)
    leases = ref._leases() if at_most is None else ref._first_leases(at_most)[0]
    names = tuple((name, key) for lessor, key in leases if (name := _name_of(lessor)) is not None)
    now = ref._run.now()
    if cell is None or not isinstance(child, Child):
        return ActorReport(
            ref=ref,
            label=repr(ref)[1:-1],
            class_name=None,
            supervisor=None,
            child_id=None,
            is_supervisor=False,
            state=ref.state,
            exit=ref.exit,
            at=now,
            started_at=None,
            restarts=None,
            queued=0,
            peak=None,
            mailbox_size=None,
            handled=None,
            calls_in_flight=0,
            handling=None,
            handling_since=None,
            names=names,
            waits_for=(),
            waited_for_by=(),
            stack=StackSummary(),
            tasks=(),
        )
    handler, since = handling(cell)
    frames = own_frames(cell)
    cls = cell.handlers.cls
    return ActorReport(
        ref=ref,
        label=child.task_name(ref),
        class_name=None if cls is None else cls.__qualname__,
        supervisor=child.parent.label,
        child_id=child.id,
        is_supervisor=child.spec.kind.is_supervisor,
        state=ref.state,
        exit=ref.exit,
        at=now,
        started_at=cell.life.started_at,
        restarts=child.restarts,
        queued=cell.queued,
        peak=cell.peak,
        mailbox_size=cell.limit,
        handled=cell.handled,
        calls_in_flight=cell.calls_in_flight,
        handling=handler,
        handling_since=since,
        names=names,
        waits_for=tuple(waits_for(cell.waits, frames)),
        waited_for_by=tuple(waiting_for_actor(cell)),
        stack=users_part(frames),
        tasks=tuple(_tasks(cell, at_most)),
    )


def _tasks(cell: Cell, at_most: int | None) -> list[ActorTask]:
    tasks: list[ActorTask] = []
    for task, frames in islice(other_tasks(cell, at_most), at_most):
        turn = cell.turn_of(task)
        waits = None if turn is None else turn.waits
        tasks.append(ActorTask(task.name, tuple(waits_for(waits, frames)), users_part(frames)))
    return tasks


def _name_of(lessor: object) -> str | None:
    """The name of a registry. A claim of a pool and a place in a queue are held like a name, and are none."""
    name = getattr(lessor, "name", None)
    return name if isinstance(name, str) else None


# The text


def _lines(report: ActorReport) -> list[str]:
    lines = [one_line(f"{report.label}  {report.state}")]

    def add(title: str, text: str) -> None:
        lines.append(f"  {title:<14} {one_line(text)}")

    if report.exit is not None:
        add("exit", str(report.exit))
    if report.supervisor is not None:
        child = "" if report.child_id is None else f", child {shown_safely(report.child_id)}"
        restarts = f", restarted {counted(report.restarts, 'time')}" if report.restarts else ""
        add("under", f"{report.supervisor}{child}{restarts}")
    if report.names:
        add("names", _some([f"{name} {shown_safely(key)}" for name, key in report.names[:_SHOWN]], len(report.names)))
    if report.handled is not None:
        size = "" if report.mailbox_size is None else f" of {report.mailbox_size}"
        open_calls = f", {counted(report.calls_in_flight, 'open call')}" if report.calls_in_flight else ""
        add("messages", f"{report.queued}{size} waiting (peak {report.peak}), {report.handled} handled{open_calls}")
    if report.handling is not None:
        seconds = "" if report.handling_since is None else f", for {report.at - report.handling_since:.1f} seconds"
        add("handling", f"{report.handling}{seconds}")
    for title, waits in (("waits for", report.waits_for), ("waited for by", report.waited_for_by)):
        if waits:
            add(title, _some([str(wait) for wait in waits[:_SHOWN]], len(waits)))
    if report.stack:
        lines += ["  stands at", indent("".join(report.stack.format()).rstrip(), "  ")]
    for task in report.tasks[:_SHOWN]:
        add("task", " ".join([task.name, *(f"({wait})" for wait in task.waits_for)]))
        if task.stack:
            lines.append(indent("".join(task.stack.format()).rstrip(), "  "))
    if len(report.tasks) > _SHOWN:
        add("", f"and {counted(len(report.tasks) - _SHOWN, 'more task')}")
    return lines


def _some(shown: list[str], count: int) -> str:
    return ", ".join([*shown, *([f"and {count - len(shown)} more"] if count > len(shown) else [])])
