"""The results of several function actors: all of them (`await_many`), or the first (`race`).

Both learn of a failure in the step in which the actor ends, wherever it is in the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from trio.lowlevel import cancel_shielded_checkpoint, checkpoint, current_task, enable_ki_protection

from .._runtime import current_actor, sleep_until_woken
from .any_wait import FirstEnd, begin_wait_for_any
from .deadlock import check_for_cycle
from .ends import Ends
from .ref import ActorRef, FunctionRef
from .wait_graph import WaitUntil

if TYPE_CHECKING:
    from trio.lowlevel import Task

    from .._runtime import Exit
    from .function_actor import Function
    from .wait_graph import Node, Wait

R = TypeVar("R")

PER_TURN = 500
"""After how many actors that are to be waited for other tasks have their turn."""


@enable_ki_protection
async def await_many(refs: Iterable[ActorRef[Function[R]]], /) -> list[R]:
    """Wait until all these function actors have returned, and give their results: ``Task.await_many``.

    ::

        refs = [await supervisor.start_child(fetch, url) for url in urls]
        pages = await trioreg.await_many(refs)

    If one of them crashes or is ended, this raises at once, wherever it is in the list. The others go on: they are
    children of a supervisor. The same holds if you cancel the wait, so a timeout is ``with trio.fail_after(seconds):``;
    afterwards `ActorRef.exit` says which have ended.

    A checkpoint. The cost grows with the number of actors, and other tasks have their turn on the way.

    Args:
        refs: References of function actors. The same one may come twice.

    Returns:
        The results, in the order of ``refs``. An empty list for no references.

    Raises:
        ActorExited: One of them did not return. It crashed (its error is the ``__cause__``) or was ended. If several
            had ended before, it is the first in the list.
        CallCycle: As `Address.wait`.
        TypeError: ``refs`` has something else in it than the reference of a function actor.
    """
    listed = _checked(refs)
    end = await _wait(listed, takes_first=False)
    if end is not None:
        raise end[0]._exited(None)
    return [cast("R", cast("Exit", ref._exit).value) for ref in listed]


@enable_ki_protection
async def race(refs: Iterable[ActorRef[Function[R]]], /) -> R:
    """Wait until the first of these function actors has ended, and give its result.

    ::

        refs = [await supervisor.start_child(fetch, mirror) for mirror in mirrors]
        page = await trioreg.race(refs)

    If the first one to end crashes or is ended, this raises at once. The others go on; to end them, call
    `~Address.cancel` on each reference: on one that has ended it does nothing. `ActorRef.exit` says which has ended.

    A checkpoint. The cost grows with the number of actors, and other tasks have their turn on the way.

    Args:
        refs: References of function actors, at least one.

    Returns:
        The result of the first one that ended. If several had ended before, it is the first in the list.

    Raises:
        ActorExited: The first one did not return. It crashed (its error is the ``__cause__``) or was ended.
        CallCycle: Each of them waits for the actor that calls this. Or that is one of them.
        TypeError: ``refs`` has something else in it than the reference of a function actor.
        ValueError: ``refs`` is empty.
    """
    listed = _checked(refs)
    if not listed:
        raise ValueError("refs must have at least one reference in it: nobody would win the race")
    end = await _wait(listed, takes_first=True)
    assert end is not None
    ref, exit = end
    if not exit.has_returned:
        raise ref._exited(None)
    return cast("R", exit.value)


def _checked(refs: Iterable[ActorRef[Any]]) -> list[ActorRef[Any]]:
    if not isinstance(refs, Iterable):
        raise TypeError(f"refs must be an iterable of references, not {refs!r}")
    listed = list(refs)
    for place, ref in enumerate(listed):
        if not isinstance(ref, FunctionRef):
            raise TypeError(f"refs[{place}] must be the reference of a function actor, not {ref!r}")
    return listed


async def _wait(refs: list[ActorRef[Any]], *, takes_first: bool) -> tuple[ActorRef[Any], Exit] | None:
    """Wait until all have ended, or until one of them ends the wait early. Gives the end of that one, or None."""
    await checkpoint()
    task = current_task()
    different = list(dict.fromkeys(refs))
    ends = Ends(task, len(different), takes_first=takes_first)
    for ref in different:
        if ref._exit is not None and not ends.is_over:
            ends.note(ref, ref._exit)
    living = [ref for ref in different if ref._cell is not None]
    waits: list[tuple[dict[Task, Ends | None], Wait | None]] = []

    def is_over() -> bool:
        # Once the task is woken, even if it has not had its turn yet: until then, one of the actors may wait for it.
        return ends.is_woken

    first = None
    try:
        if takes_first and not ends.is_over:
            first = _begin_race(different, ends, task)
        for number, ref in enumerate(living, 1):
            if ends.is_over:
                break
            cell = ref._cell
            if cell is None:  # it has ended while other tasks had their turn
                assert ref._exit is not None
                ends.note(ref, ref._exit)
                continue
            ref._require_thread()
            watchers = cell.life.watchers
            if watchers is None:
                watchers = cell.life.watchers = {}
            waits.append((watchers, None if takes_first else WaitUntil(cell.ref, check_for_cycle(cell, task), is_over)))
            watchers[task] = ends
            if number % PER_TURN == 0:
                await checkpoint()
        if not ends.is_over:
            ends.has_slept = True
            task.custom_sleep_data = ends
            await sleep_until_woken()
    finally:
        if first is not None:
            first.end_wait()
        for number, (watchers, wait) in enumerate(waits, 1):
            if wait is not None:
                wait.end_wait()
            watchers.pop(task, None)
            if number % PER_TURN == 0:
                await cancel_shielded_checkpoint()
    return cast("tuple[ActorRef[Any], Exit] | None", ends.ends_with)


def _begin_race(refs: list[ActorRef[Any]], ends: Ends, task: Task) -> Wait | None:
    """One wait for all of them: as long as one can end, it does no harm that others wait for this task."""
    own: Any = current_actor.get(None)
    if own in refs and own._cell is not None:
        check_for_cycle(own._cell, task)

    def candidates() -> list[Node | None]:
        # A race that is won waits for none of them, even before the task has had its turn.
        return [None] if ends.is_woken else [ref._cell for ref in refs]

    note = "it waits for the first of several actors to end, and all of them wait"
    return begin_wait_for_any(candidates, task, note, FirstEnd)
