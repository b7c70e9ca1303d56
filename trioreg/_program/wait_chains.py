"""Who waits for whom in the whole program: cycles of actors, and for each actor that holds others up, all that wait.

Only what is seen here is said: a task that waits for an event or for the network waits for no actor. Such an actor is
the end of a chain, and where it stands shows what it waits for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import attrs
from trio.lowlevel import ParkingLot

from .._actors import other_tasks, own_frames, waiting_for_actor, waits_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._actors import ActorRef, Cell, Waiting

    Edges = dict[ActorRef[Any], list[tuple[ActorRef[Any], str]]]


class Other(NamedTuple):
    """What is waited for, if it is no actor: a name that has no owner, a lock that a task has, a pool.

    Attributes:
        what: What it is.
        more: More about it, as in ", which task main has".
        end: The end of a chain of waits that leads to it.
        worker: Of a pool that has several workers: the first one.
    """

    what: str
    more: str
    end: str
    worker: ActorRef[Any] | None


@attrs.frozen(eq=False)
class Blocker:
    """Something that others wait for, and that waits for no actor itself.

    Attributes:
        ref: The actor. None if it is no actor: a name that has no owner, a lock that a task has, a pool.
        what: What that is, if it is no actor.
        end: The end of the chain, if it is no actor.
        worker: Of a pool that has several workers: the first one.
        waiting: How many actors and tasks wait for it, directly or through others.
        chain: The longest way to it: each that waits, with what it waits for.
    """

    ref: ActorRef[Any] | None
    what: str
    end: str
    worker: ActorRef[Any] | None
    waiting: int
    chain: list[tuple[str, str]]


class WaitGraph:
    """The waits of these actors at one moment.

    Attributes:
        targets: What each actor waits for: the actor on the other side, and what is waited for as text.
        others: The actors that wait for what is no actor, by that. A wait for any one of several workers is one
            of these: it is no edge to each of them, since one that becomes free is enough.
        cycles: Cycles of waits: each actor with what it waits for. Of several that share an actor, one.
        beside: The actors with waits of their background tasks only. Their own code stands elsewhere.
        unseen: How many actors could not be looked at: a signal came while one of their waits was being made.
        tasks: The plain Trio tasks that wait for an actor, by that actor: each as text, with what it waits for.
    """

    def __init__(self, refs: Iterable[ActorRef[Any]]) -> None:
        self.targets: Edges = {}
        self.others: dict[Other, list[ActorRef[Any]]] = {}
        self.beside: set[ActorRef[Any]] = set()
        self.tasks: dict[ActorRef[Any], list[tuple[str, str]]] = {}
        self.unseen = 0
        for ref in refs:
            try:
                self._look_at(ref)
            except Exception:
                self.unseen += 1
        self.cycles = self._find_cycles()

    def _look_at(self, ref: ActorRef[Any]) -> None:
        cell = ref._cell
        if cell is None:
            return
        frames = own_frames(cell) if _is_parked(cell) else []
        if cell.waits or frames:
            self._add(ref, list(waits_for(cell.waits, frames)))
        if cell.life.background is not None:
            waits_itself = ref in self.targets
            for task, frames in other_tasks(cell):
                turn = cell.turn_of(task)
                self._add(ref, list(waits_for(None if turn is None else turn.waits, frames)))
            if not waits_itself and ref in self.targets and not cell.is_side_by_side:
                self.beside.add(ref)
        tasks = [(f"task {wait.task}", wait.what) for wait in _tasks_that_wait_for(ref)]
        if tasks:
            self.tasks[ref] = tasks

    def _add(self, ref: ActorRef[Any], waits: list[Waiting]) -> None:
        workers = [wait.ref for wait in waits if wait.kind == "worker" and wait.ref is not None]
        if len(workers) > 1:
            self.others.setdefault(Other("a free worker", "", "any worker", workers[0]), []).append(ref)
        for wait in waits:
            if wait.ref is None:
                state, end = ("has no owner", "nobody")
                if wait.kind == "lock":
                    state, end = f"task {wait.task} has", f"task {wait.task}"
                self.others.setdefault(Other(wait.what, f", which {state}", end, None), []).append(ref)
            # One of its own tasks waits for another one: that is no cycle, and its stack says more.
            elif wait.ref is not ref and _holds_up(wait) and (wait.kind != "worker" or len(workers) == 1):
                self.targets.setdefault(ref, []).append((wait.ref, wait.what))

    def _find_cycles(self) -> list[list[tuple[ActorRef[Any], str]]]:
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
        in_cycles = {ref for cycle in self.cycles for ref, _ in cycle}
        ends = [
            ref
            for ref in dict.fromkeys([*reverse, *self.tasks])
            if ref not in self.targets or (ref in self.beside and ref not in in_cycles)
        ]
        blockers = [self._blocker(ref, [], reverse) for ref in ends]
        blockers += [self._blocker(None, refs, reverse, other) for other, refs in self.others.items()]
        return sorted(blockers, key=lambda blocker: -blocker.waiting)

    def _blocker(
        self,
        end: ActorRef[Any] | None,
        first: list[ActorRef[Any]],
        reverse: Edges,
        other: Other | None = None,
    ) -> Blocker:
        what, more, end_of_chain, worker = other or Other("", "", "", None)
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
            for waiter, why in reverse.get(ref, ()):
                if waiter not in steps and waiter is not end:
                    steps[waiter] = ref, why
                    todo.append(waiter)
        chain = [] if task is None else [task]
        while farthest is not None and farthest is not end:
            after, why = steps[farthest]
            chain.append((repr(farthest), why))
            farthest = after
        return Blocker(end, what + more, end_of_chain, worker, len(steps) + tasks, chain)


def _is_parked(cell: Cell) -> bool:
    """Whether it may wait for a lock: only then its frames are worth the time."""
    return cell.task is not None and isinstance(cell.task.custom_sleep_data, ParkingLot)


def _holds_up(wait: Waiting) -> bool:
    """Whether a wait is for something that is to happen soon: not for the end of an actor that is not ending."""
    return wait.kind != "end" or (wait.ref is not None and wait.ref.state in ("stopping", "ending"))


def _tasks_that_wait_for(ref: ActorRef[Any]) -> list[Waiting]:
    cell = ref._cell
    if cell is None or not (cell.call or cell.deferred or cell.queue or cell.overflow or _starts_or_ends(cell)):
        return []
    return [wait for wait in waiting_for_actor(cell) if wait.ref is None and wait.task is not None]


def _starts_or_ends(cell: Cell) -> bool:
    return cell.life.starter is not None or cell.is_ending
