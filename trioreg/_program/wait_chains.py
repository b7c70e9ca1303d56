"""Who waits for whom in the whole program: cycles of actors, and for each actor that holds others up, all that wait.

Only what is seen here is said: a task that waits for an event or for the network waits for no actor. Such an actor is
the end of a chain, and where it stands shows what it waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from .._actors import other_tasks, waiting_for_actor, waits_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._actors import ActorRef, Waiting

    Edges = dict[ActorRef[Any], list[tuple[ActorRef[Any], str]]]


@attrs.frozen(eq=False)
class Blocker:
    """Something that others wait for, and that waits for no actor itself.

    Attributes:
        ref: The actor. None if it is a name that has no owner.
        what: What that is, if there is no actor.
        waiting: How many actors and tasks wait for it, directly or through others.
        chain: The longest way to it: each that waits, with what it waits for.
    """

    ref: ActorRef[Any] | None
    what: str
    waiting: int
    chain: list[tuple[str, str]]


class WaitGraph:
    """The waits of these actors at one moment.

    Attributes:
        targets: What each actor waits for: the actor on the other side, and what is waited for as text.
        names: The actors that wait for a name that has no owner, by what is waited for.
        unseen: How many actors could not be looked at: a signal came while one of their waits was being made.
        tasks: The plain Trio tasks that wait for an actor, by that actor: each as text, with what it waits for.
    """

    def __init__(self, refs: Iterable[ActorRef[Any]]) -> None:
        self.targets: Edges = {}
        self.names: dict[str, list[ActorRef[Any]]] = {}
        self.tasks: dict[ActorRef[Any], list[tuple[str, str]]] = {}
        self.unseen = 0
        for ref in refs:
            try:
                self._look_at(ref)
            except Exception:
                self.unseen += 1

    def _look_at(self, ref: ActorRef[Any]) -> None:
        for wait in _waits_of(ref):
            if wait.ref is None:
                self.names.setdefault(wait.what, []).append(ref)
            elif _holds_up(wait):
                self.targets.setdefault(ref, []).append((wait.ref, wait.what))
        tasks = [(f"task {wait.task}", wait.what) for wait in _tasks_that_wait_for(ref)]
        if tasks:
            self.tasks[ref] = tasks

    def cycles(self) -> list[list[tuple[ActorRef[Any], str]]]:
        """Cycles of waits: each actor with what it waits for. Of several that share an actor, one."""
        found: list[list[tuple[ActorRef[Any], str]]] = []
        done: set[ActorRef[Any]] = set()
        for start in self.targets:
            path: list[tuple[ActorRef[Any], str]] = []
            on_path: dict[ActorRef[Any], int] = {}
            levels = [(start, iter(self.targets[start]))] if start not in done else []
            while levels:
                ref, rest = levels[-1]
                on_path.setdefault(ref, len(levels) - 1)
                for target, what in rest:
                    del path[len(levels) - 1 :]
                    path.append((ref, what))
                    if target in on_path:
                        found.append(path[on_path[target] :])
                    elif target in self.targets and target not in done:
                        levels.append((target, iter(self.targets[target])))
                        break
                else:
                    levels.pop()
                    del on_path[ref]
                    done.add(ref)
        return found

    def blockers(self) -> list[Blocker]:
        """What holds others up and waits for no actor itself: the one that most wait for comes first."""
        reverse: dict[ActorRef[Any], list[tuple[ActorRef[Any], str]]] = {}
        for ref, targets in self.targets.items():
            for target, what in targets:
                reverse.setdefault(target, []).append((ref, what))
        ends = [ref for ref in dict.fromkeys([*reverse, *self.tasks]) if ref not in self.targets]
        blockers = [self._blocker(ref, "", [], reverse) for ref in ends]
        blockers += [self._blocker(None, what, refs, reverse) for what, refs in self.names.items()]
        return sorted(blockers, key=lambda blocker: -blocker.waiting)

    def _blocker(self, end: ActorRef[Any] | None, what: str, first: list[ActorRef[Any]], reverse: Edges) -> Blocker:
        # Backwards from the end, the nearest first: the last one found is the farthest.
        steps: dict[ActorRef[Any], tuple[ActorRef[Any] | None, str]] = dict.fromkeys(first, (None, what))
        todo = list(first) if end is None else [end]
        tasks = 0
        farthest: ActorRef[Any] | None = None
        task: tuple[str, str] | None = None
        for ref in todo:
            if ref in self.tasks:
                tasks += len(self.tasks[ref])
                task, farthest = self.tasks[ref][0], ref
            elif ref is not end:
                task, farthest = None, ref
            for other, why in reverse.get(ref, ()):
                if other not in steps and other is not end:
                    steps[other] = ref, why
                    todo.append(other)
        chain = [] if task is None else [task]
        while farthest is not None and farthest is not end:
            after, why = steps[farthest]
            chain.append((repr(farthest), why))
            farthest = after
        return Blocker(end, what, len(steps) + tasks, chain)


def _waits_of(ref: ActorRef[Any]) -> Iterator[Waiting]:
    cell = ref._cell
    if cell is None:
        return
    if cell.waits:
        yield from waits_for(cell.waits, [])
    if cell.life.background is not None:
        for task, frames in other_tasks(cell):
            turn = cell.turn_of(task)
            yield from waits_for(None if turn is None else turn.waits, frames)


def _holds_up(wait: Waiting) -> bool:
    """Whether a wait is for something that is to happen soon: not for the end of an actor that is not ending."""
    return wait.kind != "end" or (wait.ref is not None and wait.ref.state in ("stopping", "ending"))


def _tasks_that_wait_for(ref: ActorRef[Any]) -> list[Waiting]:
    cell = ref._cell
    if cell is None or not (cell.call or cell.deferred or cell.queue or cell.overflow or cell.is_ending):
        return []
    return [wait for wait in waiting_for_actor(cell) if wait.ref is None and wait.task is not None]
