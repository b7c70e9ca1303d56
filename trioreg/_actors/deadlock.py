"""Deadlock detection: a wait that would close a cycle in the wait-for graph (`wait_graph.py`) is refused.

Such a wait could never end. No wait is refused because of waits that are only possible, but a `YieldingWait` gives way.

Must never happen: an edge that outlives its wait; an edge for a task that does not keep its actor from the next
message.
"""

from __future__ import annotations

from contextlib import nullcontext
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, cast

from trio import current_effective_deadline
from trio.lowlevel import current_task

from .._runtime import CallCycle, current_actor, shown_whole
from .wait_graph import EndWait, NameWait, PossibleWaits, Wait, YieldingWait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from trio.lowlevel import Task

    from .wait_graph import ActorNode, Node


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
        actor, or does not keep its actor from the next message. None, too, in place of an error, if ``task`` is
        cancelled, because its wait ends at once.
    """
    node, is_possible = node_of(task)
    if node is None:
        return None
    while path := _path(target, node, possible=True):
        if not is_possible and (sure := _path(target, node)):
            if _is_opened(sure):
                continue
            if task is current_task() and current_effective_deadline() == -inf:
                return None  # it is cancelled, and so is the wait
            sure.insert(0, node)
            raise CallCycle([step.ref for step in sure], [step.title for step in sure])
        if not _is_opened(path):
            break
    return waits_of(node, is_possible=is_possible)


def node_of(task: Task) -> tuple[Node | None, bool]:
    """What a task keeps busy: its actor, or one message of it. And whether that is only possible: a background task."""
    node: ActorNode | None = getattr(current_actor.get(None), "_cell", None)
    if node is None or is_within(task, node.task):
        return node, False
    turn = node.turn_of(task)
    return (node, True) if turn is None and node.is_starting and node.owns(task) else (turn, False)


def kept_busy_by(task: Task) -> Node | None:
    """The actor, or the one message of it, that a task keeps busy until it is done. None if there is none."""
    node, is_possible = node_of(task)
    return None if is_possible else node


def waits_of(node: Node, *, is_possible: bool) -> dict[Wait, None]:
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
    node, is_possible = node_of(task)
    return EndWait(target.ref, None if node is None else waits_of(node, is_possible=is_possible))


def begin_wait(target: Node, task: Task, kind: type[Wait] = Wait) -> Wait | None:
    """`waiting_for` without a block, for the waits that each start and each stop has: call `Wait.end_wait` at the end.

    None if there is no edge. To save the call, ask first for `current_actor`: most starts and stops have none.
    """
    waits = check_for_cycle(target, task)
    return None if waits is None else kind(target.ref, waits)


def yielding_wait(target: Node, task: Task, may_give_way: Callable[[], bool]) -> YieldingWait:
    """As `waiting_for`, for a wait that may give way. If you change the target of the wait, no cycle is looked for."""
    wait = YieldingWait(target.ref, check_for_cycle(target, task), may_give_way)
    node, _ = node_of(task)
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
    return NameWait(node.ref, waits_of(node, is_possible=is_possible), names, key)


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
