"""Who waits for whom, and the wait that could never end.

An actor handles one message at a time, so while its handler waits for another actor, all who wait for the first one
wait for that too. Each such wait is an edge; one that would close a cycle is refused before it begins.

May never happen: an edge that outlives its wait; one of a task that does not keep its actor from the next message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

from trio.lowlevel import enable_ki_protection

from .._runtime import CallCycle, current_actor

if TYPE_CHECKING:
    from collections.abc import Collection

    from trio.lowlevel import Task

    from .._runtime import Owner


class Node(Protocol):
    """What an actor is in here: its `Cell`.

    Attributes:
        ref: Its reference.
        task: The task that handles its messages.
        waits: Its open waits; None as long as there was none.
    """

    @property
    def ref(self) -> Owner: ...
    @property
    def task(self) -> Task | None: ...
    @property
    def title(self) -> str: ...

    waits: dict[Wait, None] | None


class Wait:
    """Somebody's wait for an actor. As a block: the wait itself.

    Attributes:
        target: The actor that is waited for.
        waits: The open waits of the actor that waits (None where a plain task waits).
    """

    __slots__ = ("target", "waits")

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

    def end_wait(self) -> None:
        """The target is not blocked by it any more, or nobody waits."""
        if self.waits is not None:
            self.waits.pop(self, None)
            self.waits = None


def is_within(task: Task, whole: Task | None, parts: Collection[Task] = ()) -> bool:
    """Whether ``task`` is, or runs in a nursery below, that task or one of those."""
    step: Task | None = task
    while step is not None:
        if step is whole or step in parts:
            return True
        nursery = step.parent_nursery
        step = None if nursery is None else nursery.parent_task
    return False


def check_for_cycle(target: Node, task: Task) -> dict[Wait, None] | None:
    """The open waits of the actor that ``task`` works for, to which a wait for ``target`` can be added.

    None where it works for none, or does not keep it from the next message. Raises `CallCycle` if that actor could then
    never go on.
    """
    node = cast("Node | None", getattr(current_actor.get(None), "_cell", None))
    if node is None or not is_within(task, node.task):
        return None
    path = _path(target, node)
    if path:
        path.insert(0, node)
        raise CallCycle([step.ref for step in path], [step.title for step in path])
    if node.waits is None:
        node.waits = {}
    return node.waits


def waiting_for(target: Node, task: Task) -> Wait:
    """A block in which ``task`` waits for an actor. Raises `CallCycle` as `check_for_cycle` does."""
    return Wait(target.ref, check_for_cycle(target, task))


def _path(start: Node, goal: Node) -> list[Node]:
    """The actors along the waits from one to the other; empty if there is no way."""
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
            target = cast("Node | None", getattr(wait.target, "_cell", None))
            if target is not None and target not in came_from:
                came_from[target] = node
                todo.append(target)
    return []
