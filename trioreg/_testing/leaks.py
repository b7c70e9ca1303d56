"""What is left behind: actors, tasks, names, subscriptions and claims that were not there before.

A `Snapshot` notes what there is in the current run. Later, `Snapshot.what_is_new` says what has come and not gone. The
text of an actor has its names, so these are not told once more. Nor are the tasks below a task that is told.
"""

from __future__ import annotations

import os
from collections import Counter
from textwrap import indent
from traceback import format_list
from typing import TYPE_CHECKING, Any

import trio
from trio.lowlevel import current_root_task

from .._pool import claims_of, pools_of
from .._program import names_of, report_of
from .._runtime import current_run, shown_safely, stack_of
from .._supervision import tops_of, walk

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from trio.lowlevel import Task

    from .._actors import ActorRef
    from .._registry import Names
    from .._runtime import Owner

    Entry = tuple[Names[Any, Any], Hashable, Owner]
    Claim = tuple[str, ActorRef[Any], Task]

SHOWN = 10
"""How many things of each kind a text shows."""

# What these run as tasks is not the user's. The tasks of trioreg are told as actors. In the rest of Trio are functions
# that users start as tasks: `trio.serve_tcp`, `trio.sleep_forever`.
_TRIO = os.path.dirname(trio.__file__) + os.sep
_NOT_THE_USERS = (
    *(_TRIO + name for name in ("_core" + os.sep, "_dtls.py", "_subprocess_platform" + os.sep)),
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
)


class Snapshot:
    """What there is in the current Trio run. It keeps all of this, so that no new object has the id of an old one."""

    def __init__(self) -> None:
        self._run = current_run()
        children = self._all_children()
        self._children, self._lives = set(children), set(children.values())
        self._tasks = set(_all_tasks())
        self._entries = list(self._all_entries())
        self._claims = list(self._all_claims())

    def what_is_new(self) -> list[str]:
        """What has come since the snapshot and is still there: a text for each, which may have several lines."""
        children = self._all_children()
        actors = [ref for child, ref in children.items() if child not in self._children]
        # A restart is no leak: the next life of a child has its names anew.
        others = {*actors, *(ref for ref in children.values() if ref not in self._lives)}
        texts = _some([_of_actor(ref) for ref in actors[:SHOWN]], len(actors), "actors")
        # With one name for each entry that was there: an owner may have several of one key.
        known = Counter(map(_identity, self._entries))
        entries: list[Entry] = []
        for entry in self._all_entries():
            names, _, owner = entry
            identity = _identity(entry)
            if known[identity]:
                known[identity] -= 1
            elif owner not in others and names.purpose in ("names", "topics"):
                entries.append(entry)
        for purpose, what in (("names", "names"), ("topics", "subscriptions")):
            some = [entry for entry in entries if entry[0].purpose == purpose]
            texts += _some([_of_entry(entry) for entry in some[:SHOWN]], len(some), what)
        claims = [claim for claim in self._all_claims() if claim not in self._claims]
        texts += _some([_of_claim(claim) for claim in claims[:SHOWN]], len(claims), "claims")
        tasks = [task for task in _all_tasks(self._tasks) if task not in self._tasks]
        texts += _some([_of_task(task) for task in tasks[:SHOWN]], len(tasks), "tasks")
        return texts

    def _all_children(self) -> dict[object, ActorRef[Any]]:
        """Each child of a supervisor that has a life, with the reference of that."""
        refs = [child.ref for _, child in walk(tuple(tops_of(self._run))) if child.ref is not None]
        return {ref._cell.life.child: ref for ref in refs if ref._cell is not None}

    def _all_entries(self) -> Iterator[Entry]:
        for names in names_of(self._run):
            for partition in names.partitions:
                for key, entry in partition.rows():
                    yield names, key, entry.owner

    def _all_claims(self) -> Iterator[Claim]:
        return ((pool.name, ref, task) for pool in pools_of(self._run) for ref, task in claims_of(pool))


def _identity(entry: Entry) -> tuple[int, int, int]:
    # A key's own `__hash__` and `__eq__` are not asked.
    return id(entry[0]), id(entry[1]), id(entry[2])


def _all_tasks(known: set[Task] | None = None) -> Iterator[Task]:
    """The tasks of the run that run code of the user's. Below a task that is not ``known`` none is given."""
    root = current_root_task()
    todo = [] if root is None else [root]
    while todo:
        task = todo.pop()
        is_users = not task.coro.cr_code.co_filename.startswith(_NOT_THE_USERS)
        if is_users:
            yield task
        if not is_users or known is None or task in known:
            todo += [child for nursery in task.child_nurseries for child in nursery.child_tasks]


def _of_actor(ref: ActorRef[Any]) -> str:
    return f"the actor {report_of(ref)}"


def _of_entry(entry: Entry) -> str:
    names, key, owner = entry
    what = "subscription to" if names.purpose == "topics" else "name"
    return f"the {what} {shown_safely(key)} in {names.name!r}, of {owner!r}"


def _of_claim(claim: Claim) -> str:
    pool, ref, task = claim
    return f"the claim of {ref!r} in the pool {pool!r}, by task {task.name}"


def _of_task(task: Task) -> str:
    stack = "".join(format_list(stack_of(task)))
    return f"the task {task.name}" + (f", which stands at\n{indent(stack.rstrip(), '  ')}" if stack else "")


def _some(texts: list[str], count: int, what: str) -> list[str]:
    return [*texts, *([f"and {count - len(texts):,} more {what}"] if count > len(texts) else [])]
