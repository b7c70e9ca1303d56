"""The wait-for graph of the actors: its nodes, and its edges.

An actor handles one message at a time. While its handler waits for another actor, it answers no other caller, so its
callers wait for that actor too. The actors are the nodes of the graph, and each `Wait` is an edge: there is a class for
each kind of wait.

Some waits are only possible: an `on_start` may wait for a background task of its actor, and trioreg can't see whether
it does.

An actor that is told to end stops waiting: its open waits leave the graph, as they are being cancelled. What it waits
for after that, in its `on_stop`, delays its end.

Nothing here looks for a cycle: that is in `deadlock.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import WOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trio.lowlevel import Task

    from .._runtime import Owner

WaitKind: TypeAlias = Literal["call", "room", "start", "end", "name", "worker"]


class Node(Protocol):
    """A node of the graph: an actor, or a message that an actor handles beside the others (a `Turn`).

    Attributes:
        ref: The reference of the actor.
        title: What the supervisor of the actor calls it.
        waits: Its open waits for other actors; None if there was none yet.
    """

    @property
    def ref(self) -> Owner: ...
    @property
    def title(self) -> str: ...

    waits: dict[Wait, None] | None


class ActorNode(Node, Protocol):
    """An actor as a node of the graph: its `Cell`.

    Attributes:
        task: The task that handles its messages.
    """

    @property
    def task(self) -> Task | None: ...
    @property
    def is_starting(self) -> bool: ...
    @property
    def has_started(self) -> bool: ...
    @property
    def is_ending(self) -> bool: ...

    def owns(self, task: Task) -> bool:
        """Whether a task runs its code, its background tasks included."""
        ...

    def turn_of(self, task: Task) -> Node | None:
        """The message, handled beside the others, that a task works for."""
        ...

    def starts_before(self, names: object, key: object) -> bool:
        """Whether that name is to go to an actor that starts only when this one has started."""
        ...


class Wait:
    """One wait for an actor: an edge of the graph until `end_wait`. Used as a block, it ends with the block.

    Attributes:
        kind: What it waits for: the end of the actor, if no subclass says otherwise. For people only.
        target: The actor that is waited for.
        waits: The open waits of the actor that waits. None if no actor waits, or if the wait has ended.
        turn: The message of the target that is waited for, if that is handled beside the others. Else it is not set:
            most waits never need it.
    """

    __slots__ = ("target", "turn", "waits")

    kind: ClassVar[WaitKind] = "end"
    turn: Node

    def __init__(self, target: Owner, waits: dict[Wait, None] | None) -> None:
        self.target: Owner = target
        self.waits = waits
        if waits is not None:
            waits[self] = None

    def __enter__(self) -> None:
        pass

    @enable_ki_protection
    def __exit__(self, *_: object) -> None:
        self.end_wait()

    @property
    def node(self) -> Node | None:
        """What is waited for, in the graph. None if it has ended."""
        turn = getattr(self, "turn", None)
        return cast("Node | None", getattr(self.target, "_cell", None) if turn is None else turn)

    def nodes(self, goal: Node | None, *, possible: bool) -> Iterable[Node]:
        """What is waited for, if that is not one `node`. If a path is looked for, ``goal`` is its end."""
        return ()

    def end_wait(self) -> None:
        """The actor does not wait for the target any more."""
        if self.waits is not None:
            self.waits.pop(self, None)
            self.waits = None


class StartWait(Wait):
    """A wait for the start of an actor, by the task that starts it.

    The wait is over as soon as the actor has started, even if the task has not had its turn yet. So in its first step,
    the actor may call the actor that has started it.
    """

    __slots__ = ()

    kind = "start"

    @property
    def node(self) -> Node | None:
        node = cast("ActorNode | None", super().node)
        return None if node is None or node.has_started else node


class SleepingWait(Wait):
    """A wait of the current task, which has something in its ``custom_sleep_data`` while it is asleep.

    The wait is over when the task is woken, even if the task has not had its turn yet. The actor that is waited for may
    have woken the task, and may wait for the task in the same step.
    """

    __slots__ = ("_task",)

    def __init__(self, target: Owner, waits: dict[Wait, None] | None) -> None:
        super().__init__(target, waits)
        self._task = current_task()

    @property
    def node(self) -> Node | None:
        sleeper = self._task.custom_sleep_data
        return None if sleeper is None or sleeper is WOKEN else super().node


class SharedStartWait(SleepingWait):
    """A wait for a start that another task has asked for. If this wait is cancelled, the start goes on."""

    __slots__ = ()

    kind = "start"


class RoomWait(SleepingWait):
    """A wait for room in the mailbox of an actor, or in the buffer of one of its subscriptions."""

    __slots__ = ()

    kind = "room"


class WaitUntil(Wait):
    """A wait that is over as soon as ``is_over`` says so. The task that waits may not have had its turn yet."""

    __slots__ = ("_is_over",)

    def __init__(self, target: Owner, waits: dict[Wait, None] | None, is_over: Callable[[], bool]) -> None:
        super().__init__(target, waits)
        self._is_over = is_over

    @property
    def node(self) -> Node | None:
        return None if self._is_over() else super().node


class YieldingWait(SleepingWait):
    """A wait that can do without its target: it gives way to a later wait that would close a cycle with it.

    Attributes:
        may_give_way: Whether it can do without its target now.
        has_given_way: Whether it has given way, and so is over.
        has_target: Whether it waits for its target now, or only until there is another one.
    """

    __slots__ = ("has_given_way", "has_target", "may_give_way")

    def __init__(self, target: Owner, waits: dict[Wait, None] | None, may_give_way: Callable[[], bool]) -> None:
        super().__init__(target, waits)
        self.may_give_way = may_give_way
        self.has_given_way = False
        self.has_target = True

    @property
    def node(self) -> Node | None:
        return super().node if self.has_target else None

    def give_way(self) -> bool:
        """Give way if it may. Whether it has done so."""
        if not self.may_give_way():
            return False
        self.has_given_way = True
        self.end_wait()
        return True


class EndWait(SleepingWait):
    """A wait for the end of an actor that has been told to end, or will be. It is an edge only from then on.

    Until then, the actor may wait for the task that ends it. That is no cycle: the end cancels the wait of the actor.
    """

    __slots__ = ()

    @property
    def node(self) -> Node | None:
        node = cast("ActorNode | None", super().node)
        return node if node is not None and node.is_ending else None


class EndsBelow(Wait):
    """What the end of a supervisor waits for: the actors below it that are ending.

    Its start waits for them too if it has failed, ``is_closing``. Before that it may still fail: a possible wait.
    """

    __slots__ = ("_ends", "_is_closing")

    def __init__(
        self,
        owner: Owner,
        waits: dict[Wait, None],
        ends: Callable[[], Iterable[Node]],
        is_closing: Callable[[], bool],
    ) -> None:
        super().__init__(owner, waits)
        self._ends = ends
        self._is_closing = is_closing

    @property
    def node(self) -> None:
        return None

    def nodes(self, goal: Node | None, *, possible: bool) -> Iterable[Node]:
        owner = cast("ActorNode | None", super().node)
        if owner is None:
            return ()
        waits_for_ends = owner.is_ending or (owner.is_starting and (possible or self._is_closing()))
        return self._ends() if waits_for_ends else ()


class PossibleWaits(Wait):
    """The waits of an actor's background tasks while its `on_start` runs, which may wait for these tasks."""

    __slots__ = ("of_tasks",)

    def __init__(self, owner: Owner, waits: dict[Wait, None]) -> None:
        super().__init__(owner, waits)
        self.of_tasks: dict[Wait, None] = {}

    @property
    def node(self) -> None:
        return None

    @property
    def are_over(self) -> bool:
        owner = cast("ActorNode | None", super().node)
        return owner is None or not owner.is_starting

    def nodes(self, goal: Node | None, *, possible: bool) -> Iterable[Node]:
        if not possible or self.are_over:
            return ()
        return [node for wait in self.of_tasks if (node := wait.node) is not None]


class NameWait(Wait):
    """A wait for a name that has no owner: an edge to the actor that waits, as there is no other yet."""

    __slots__ = ("key", "names")

    kind = "name"

    def __init__(self, owner: Owner, waits: dict[Wait, None], names: object, key: object) -> None:
        super().__init__(owner, waits)
        self.names = names
        self.key = key
