"""Deadlock detection: the wait-for graph of the actors.

An actor handles one message at a time. While its handler waits for another actor, it answers no other caller, so its
callers wait for that actor too. The actors are the nodes of the graph, and each `Wait` is an edge. A wait that would
close a cycle could never end: it is refused before it begins.

Must never happen: an edge that outlives its wait; an edge for a task that does not keep its actor from the next
message.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol, cast

from trio.lowlevel import enable_ki_protection

from .._runtime import CallCycle, current_actor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from trio.lowlevel import Task

    from .._runtime import Owner


class Node(Protocol):
    """An actor as a node of the graph: its `Cell`. Or a message that it handles beside the others: a `Turn`.

    Attributes:
        ref: Its reference.
        task: The task that handles its messages.
        title: What its supervisor calls it.
        waits: Its open waits for other actors; None if there was none yet.
    """

    @property
    def ref(self) -> Owner: ...
    @property
    def task(self) -> Task | None: ...
    @property
    def title(self) -> str: ...

    waits: dict[Wait, None] | None

    def turn_of(self, task: Task) -> Node | None:
        """The message, handled beside the others, that a task works for."""
        ...

    def starts_before(self, names: object, key: object) -> bool:
        """Whether that name is to go to an actor that starts only when this one has started."""
        ...


class Wait:
    """One wait for an actor: an edge of the graph until `end_wait`. Used as a block, it ends with the block.

    Attributes:
        target: The actor that is waited for.
        waits: The open waits of the actor that waits. None if no actor waits, or if the wait has ended.
        turn: The message of the target that is waited for, if that is handled beside the others. Else it is not set:
            most waits never need it.
    """

    __slots__ = ("target", "turn", "waits")

    turn: Node

    def __init__(self, target: Owner, waits: dict[Wait, None] | None) -> None:
        self.target = target
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

    def end_wait(self) -> None:
        """The actor does not wait for the target any more."""
        if self.waits is not None:
            self.waits.pop(self, None)
            self.waits = None


class YieldingWait(Wait):
    """A wait that can do without its target: it gives way to a later wait that would close a cycle with it.

    Attributes:
        may_give_way: Whether it can do without its target now.
        has_given_way: Whether it has given way, and so is over.
    """

    __slots__ = ("has_given_way", "may_give_way")

    def __init__(self, target: Owner, waits: dict[Wait, None] | None, may_give_way: Callable[[], bool]) -> None:
        super().__init__(target, waits)
        self.may_give_way = may_give_way
        self.has_given_way = False


class NameWait(Wait):
    """A wait for a name that has no owner: an edge to the actor that waits, as there is no other yet."""

    __slots__ = ("key", "names")

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
    node: Node | None = getattr(current_actor.get(None), "_cell", None)
    if node is None:
        return None
    if not is_within(task, node.task):
        node = node.turn_of(task)
        if node is None:
            return None
    path = _path(target, node)
    while path and _is_opened(path):
        path = _path(target, node)
    if path:
        path.insert(0, node)
        raise CallCycle([step.ref for step in path], [step.title for step in path])
    if node.waits is None:
        node.waits = {}
    return node.waits


def waiting_for(target: Node, task: Task) -> Wait:
    """A block in which ``task`` waits for an actor. Raises `CallCycle` if that wait could never end."""
    return Wait(target.ref, check_for_cycle(target, task))


def begin_wait(target: Node, task: Task) -> Wait | None:
    """`waiting_for` without a block, for the waits that each start and each stop has: call `Wait.end_wait` at the end.

    None if there is no edge: most starts and stops are asked for by a task that works for no actor.
    """
    if current_actor.get(None) is None:
        return None
    waits = check_for_cycle(target, task)
    return None if waits is None else Wait(target.ref, waits)


def yielding_wait(target: Node, task: Task, may_give_way: Callable[[], bool]) -> YieldingWait:
    """The same, for a wait that may give way. Its target may be changed: that checks nothing."""
    return YieldingWait(target.ref, check_for_cycle(target, task), may_give_way)


def waiting_for_name(names: object, key: object, task: Task) -> NameWait | nullcontext[None]:
    """A block in which ``task`` waits for a name that has no owner. Raises `CallCycle` if it waits for an actor that
    starts later."""
    node = cast("Node | None", getattr(current_actor.get(None), "_cell", None))
    if node is None or not is_within(task, node.task):
        return nullcontext()
    if node.starts_before(names, key):
        error = CallCycle([node.ref, node.ref], [node.title, node.title])
        error.add_note(f"{key!r} is the name of a child that starts when {node.title} has started")
        raise error
    if node.waits is None:
        node.waits = {}
    return NameWait(node.ref, node.waits, names, key)


def needs_name(start: Node, names: object, key: object) -> bool:
    """Whether an actor waits for that name, itself or through the actors that it waits for."""
    seen = {start}
    todo = [start]
    for node in todo:
        for wait in node.waits or ():
            if isinstance(wait, NameWait) and wait.names is names and wait.key == key:
                return True
            target = wait.node
            if target is not None and target not in seen:
                seen.add(target)
                todo.append(target)
    return False


def _is_opened(path: list[Node]) -> bool:
    """Whether one of the waits along a path gives way."""
    for step, following in pairwise(path):
        for wait in step.waits or ():
            if isinstance(wait, YieldingWait) and wait.node is following and wait.may_give_way():
                wait.has_given_way = True
                wait.end_wait()
                return True
    return False


def _path(start: Node, goal: Node) -> list[Node]:
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
            if target is not None and target not in came_from:
                came_from[target] = node
                todo.append(target)
    return []
