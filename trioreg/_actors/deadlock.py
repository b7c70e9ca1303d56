"""Deadlock detection: the wait-for graph of the actors.

An actor handles one message at a time. While its handler waits for another actor, it answers no other caller, so its
callers wait for that actor too. The actors are the nodes of the graph, and each `Wait` is an edge. A wait that would
close a cycle could never end: it is refused before it begins.

Some waits are only possible: an `on_start` may wait for a background task of its actor, and nobody can see whether it
does. No wait is refused because of them, but a `YieldingWait` gives way.

An actor that is told to end stops waiting: its open waits leave the graph, as they are being cancelled. What it waits
for after that, in its `on_stop`, delays its end.

Must never happen: an edge that outlives its wait; an edge for a task that does not keep its actor from the next
message.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeAlias, cast

from trio.lowlevel import current_task, enable_ki_protection

from .._runtime import WOKEN, CallCycle, current_actor, shown_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

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
        """What is waited for, if that is not one `node`. ``goal`` is what a path is looked for to, if it is one."""
        return ()

    def end_wait(self) -> None:
        """The actor does not wait for the target any more."""
        if self.waits is not None:
            self.waits.pop(self, None)
            self.waits = None


class StartWait(Wait):
    """A wait for the start of an actor."""

    __slots__ = ()

    kind = "start"


class SleepingWait(Wait):
    """A wait of the current task, which has something in its ``custom_sleep_data`` while it is asleep.

    The wait is over when the task is woken, and not only when it has its turn: what has woken it may be the actor that
    is waited for, and that may wait for this task in the same step.
    """

    __slots__ = ("_task",)

    def __init__(self, target: Owner, waits: dict[Wait, None] | None) -> None:
        super().__init__(target, waits)
        self._task = current_task()

    @property
    def node(self) -> Node | None:
        sleeper = self._task.custom_sleep_data
        return None if sleeper is None or sleeper is WOKEN else super().node


class RoomWait(SleepingWait):
    """A wait for room in the mailbox of an actor, or in the buffer of one of its subscriptions."""

    __slots__ = ()

    kind = "room"


class YieldingWait(Wait):
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


class EndWait(Wait):
    """A wait for the end of an actor that something else ends: an edge only once the actor has been told to end.

    Before that, the actor may wait for the task that ends it. It is cancelled then, so that is no cycle.
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


def is_within(task: Task, whole: Task | None, parts: Collection[Task] = ()) -> bool:
    """Whether ``task`` is ``whole`` or one of ``parts``, or runs in a nursery below one of them."""
    step: Task | None = task
    while step is not None:
        if step is whole or step in parts:
            return True
        nursery = step.parent_nursery
        step = None if nursery is None else nursery.parent_task
    return False


def check_for_cycle(target: Node, task: Task) -> dict[Wait, None] | None:
    """Raise `CallCycle` if ``task``, waiting for ``target``, could wait for ever.

    Returns:
        The open waits of the actor that ``task`` works for: add the new `Wait` to these. None if ``task`` works for no
        actor, or does not keep its actor from the next message.
    """
    node, is_possible = _node_of(task)
    if node is None:
        return None
    while path := _path(target, node, possible=True):
        if not is_possible and (sure := _path(target, node)):
            if _is_opened(sure):
                continue
            sure.insert(0, node)
            raise CallCycle([step.ref for step in sure], [step.title for step in sure])
        if not _is_opened(path):
            break
    return _waits_of(node, is_possible=is_possible)


def _node_of(task: Task) -> tuple[Node | None, bool]:
    """What a task keeps busy: its actor, or one message of it. And whether it only may do so: a background task."""
    node: ActorNode | None = getattr(current_actor.get(None), "_cell", None)
    if node is None or is_within(task, node.task):
        return node, False
    turn = node.turn_of(task)
    return (node, True) if turn is None and node.is_starting and node.owns(task) else (turn, False)


def _waits_of(node: Node, *, is_possible: bool) -> dict[Wait, None]:
    """Where a new wait belongs."""
    waits = node.waits
    if waits is None:
        waits = node.waits = {}
    if not is_possible:
        return waits
    for wait in waits:
        if isinstance(wait, PossibleWaits):
            return wait.of_tasks
    return PossibleWaits(node.ref, waits).of_tasks


def waiting_for(target: Node, task: Task, kind: type[Wait] = Wait) -> Wait:
    """A block in which ``task`` waits for an actor. Raises `CallCycle` if that wait could never end."""
    return kind(target.ref, check_for_cycle(target, task))


def waiting_for_end(target: ActorNode, task: Task) -> EndWait:
    """A block in which ``task`` waits for the end of an actor that something else ends. Raises `CallCycle` if the
    actor is ending, and waits for ``task``."""
    if target.is_ending:
        return EndWait(target.ref, check_for_cycle(target, task))
    node, is_possible = _node_of(task)
    return EndWait(target.ref, None if node is None else _waits_of(node, is_possible=is_possible))


def begin_wait(target: Node, task: Task, kind: type[Wait] = Wait) -> Wait | None:
    """`waiting_for` without a block, for the waits that each start and each stop has: call `Wait.end_wait` at the end.

    None if there is no edge. To save the call, ask first for `current_actor`: most starts and stops have none.
    """
    waits = check_for_cycle(target, task)
    return None if waits is None else kind(target.ref, waits)


def yielding_wait(target: Node, task: Task, may_give_way: Callable[[], bool]) -> YieldingWait:
    """The same as `waiting_for`, for a wait that may give way. Its target may be changed: that checks nothing."""
    wait = YieldingWait(target.ref, check_for_cycle(target, task), may_give_way)
    node, _ = _node_of(task)
    if node is not None and _path(target, node, possible=True):
        wait.give_way()
    return wait


def waiting_for_name(names: object, key: object, task: Task) -> NameWait | nullcontext[None]:
    """A block in which ``task`` waits for a name that has no owner. Raises `CallCycle` if it waits for an actor that
    starts later."""
    node = cast("ActorNode | None", getattr(current_actor.get(None), "_cell", None))
    is_possible = node is not None and not is_within(task, node.task)
    if node is None or (is_possible and not (node.is_starting and node.owns(task))):
        return nullcontext()
    if node.starts_before(names, key) and not is_possible:
        error = CallCycle([node.ref, node.ref], [node.title, node.title])
        error.add_note(f"{shown_whole(key)} is the name of a child that starts when {node.title} has started")
        raise error
    return NameWait(node.ref, _waits_of(node, is_possible=is_possible), names, key)


def needs_name(start: Node, names: object, key: object) -> bool:
    """Whether an actor waits for that name, itself or through the actors that it waits for."""
    seen = {start}
    todo = [start]
    for node in todo:
        for wait in node.waits or ():
            for each in _with_possible(wait):
                if isinstance(each, NameWait) and each.names is names and each.key == key:
                    return True
            target = wait.node
            for step in wait.nodes(None, possible=True) if target is None else (target,):
                if step not in seen:
                    seen.add(step)
                    todo.append(step)
    return False


def _with_possible(wait: Wait) -> Iterable[Wait]:
    return list(wait.of_tasks) if isinstance(wait, PossibleWaits) and not wait.are_over else (wait,)


def _is_opened(path: list[Node]) -> bool:
    """Whether one of the waits along a path gives way."""
    for step, following in pairwise(path):
        for wait in list(step.waits or ()):
            for each in _with_possible(wait):
                if isinstance(each, YieldingWait) and each.node is following and each.give_way():
                    return True
    return False


def _path(start: Node, goal: Node, *, possible: bool = False) -> list[Node]:
    """The actors along the waits from ``start`` to ``goal``; empty if there is no such path."""
    came_from: dict[Node, Node | None] = {start: None}
    todo = [start]
    for node in todo:
        if node is goal:
            path: list[Node] = []
            step: Node | None = node
            while step is not None:
                path.append(step)
                step = came_from[step]
            return path[::-1]
        for wait in node.waits or ():
            target = wait.node
            for each in wait.nodes(goal, possible=possible) if target is None else (target,):
                if each not in came_from:
                    came_from[each] = node
                    todo.append(each)
    return []
