"""A wait for any one of several actors: an `AnyWait` in the wait-for graph, as of a caller for a worker of a pool, or
of `race`.

Such a wait is over as soon as one of the actors is free. So it is part of a cycle only if every one of them waits, and
none of these waits can end before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._runtime import CallCycle, current_actor
from .deadlock import check_for_cycle, kept_busy_by, waits_of
from .wait_graph import Node, Wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trio.lowlevel import Task

    from .._runtime import Owner
    from .wait_graph import WaitKind

    Candidates = Callable[[], list[Node | None]]
    Targets = tuple[bool, list[Node | None]]


class AnyWait(Wait):
    """A wait for any one of several actors.

    Attributes:
        candidates: Returns these actors, as they are now. None stands for an actor that needs no other to become free.
    """

    __slots__ = ("candidates",)

    kind: ClassVar[WaitKind] = "worker"

    def __init__(self, owner: Owner, waits: dict[Wait, None], candidates: Candidates) -> None:
        super().__init__(owner, waits)
        self.candidates = candidates

    @property
    def node(self) -> None:
        return None

    def nodes(self, goal: Node | None, *, possible: bool) -> Iterable[Node]:
        candidates = self.candidates()
        if goal is None:  # what it waits for in any case
            return [node for node in candidates if node is not None] if len(candidates) == 1 else ()
        return _stuck(candidates, goal, possible=possible)


class FirstEnd(AnyWait):
    """A wait for the first end of several actors: `race`."""

    __slots__ = ()

    kind = "end"


def begin_wait_for_any(candidates: Candidates, task: Task, note: str, kind: type[AnyWait] = AnyWait) -> AnyWait | None:
    """``task`` waits for any one of several actors. Call `Wait.end_wait` at the end. The cost grows with their number.

    Returns:
        The wait. None if ``task`` does not keep an actor from its next message.

    Raises:
        CallCycle: All of them wait, and none could go on before this wait ends. The error has the note.
    """
    node = None if current_actor.get(None) is None else kept_busy_by(task)
    if node is None:
        return None
    stuck = _stuck(candidates(), node, possible=True)
    if stuck:
        target = next((other for other in stuck if other is not node), node)
        try:
            check_for_cycle(target, task)
        except CallCycle as error:
            error.add_note(note)
            raise
    return kind(node.ref, waits_of(node, is_possible=False), candidates)


def _stuck(candidates: list[Node | None], goal: Node, *, possible: bool) -> list[Node]:
    """The candidates, if none of them can become free before ``goal`` goes on; else none."""
    nodes = [node for node in candidates if node is not None]
    if len(nodes) < len(candidates) or any(not node.waits and node is not goal for node in nodes):
        return []
    stuck = stuck_nodes(nodes, lambda node: node is goal, lambda wait: targets_of(wait, goal, possible=possible))
    return nodes if stuck.issuperset(nodes) else []


def targets_of(wait: Wait, goal: Node | None = None, *, possible: bool = False) -> Targets:
    """Whether one target of a wait is enough, and the targets. None is a target that needs no other to become free."""
    if isinstance(wait, AnyWait):
        return True, wait.candidates()
    target = wait.node
    return False, [*wait.nodes(goal, possible=possible)] if target is None else [target]


def stuck_nodes(
    nodes: Iterable[Node], is_known: Callable[[Node], bool], targets: Callable[[Wait], Targets]
) -> set[Node]:
    """The nodes that can't become free before a known node does: some of ``nodes``, and of those that these wait for.

    A node is stuck if one of its waits is stuck. A wait for several targets is stuck if one target is stuck. But if one
    target is enough, it is stuck only if all targets are. At first all nodes count as stuck. Then each node that has no
    stuck wait is taken out, until there is none. The cost grows with the number of waits.

    Args:
        nodes: The nodes to begin with.
        is_known: Whether a node is known to be stuck, whatever it waits for.
        targets: Returns what `targets_of` returns.
    """
    waits: dict[Node, list[Targets]] = {}
    needed_by: dict[Node, list[Node]] = {}
    todo = list(nodes)
    for node in todo:
        if node not in waits:
            waits[node] = [] if is_known(node) else [targets(wait) for wait in list(node.waits or ())]
            for other in [other for _, others in waits[node] for other in others if other is not None]:
                needed_by.setdefault(other, []).append(node)
                todo.append(other)
    stuck = set(waits)
    looked_at = [*waits]
    for node in looked_at:
        if node not in stuck or is_known(node):
            continue
        if not any(
            bool(others) and (all if is_any else any)(other in stuck for other in others)
            for is_any, others in waits[node]
        ):
            stuck.discard(node)
            looked_at.extend(needed_by.get(node, ()))
    return stuck
