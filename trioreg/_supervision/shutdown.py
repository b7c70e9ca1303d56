"""How children end: each within its ``shutdown`` time, one after the other or side by side.

Nothing here decides which children end, or what comes after.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import enable_ki_protection

from .._actors import ENDED
from .._runtime import KILLED, SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._actors import Cell
    from .child import Child

CHILDREN_PER_TURN = 200
"""After how many children other tasks have their turn."""


@enable_ki_protection
async def end(child: Child) -> None:
    """End a child within its shutdown time, and wait for it. It is not restarted. Shielded: it takes as long as the
    child does, and is a checkpoint only if there is something to wait for.

    If it fails on its way, for want of memory, it begins once more: its caller is to end more children, in order."""
    try:
        await _end(child)
    except (MemoryError, RecursionError):
        await _end(child)


async def _end(child: Child) -> None:
    child.cancel_delayed_restart()
    life = child.life
    if life is None:
        child.is_ending = False
        return
    child.is_ending = True
    try:
        with trio.CancelScope(shield=True):
            _begin_end(child, life)
            if not await _ends_by(child, life, trio.current_time() + child.spec.seconds):
                await life.wait_ended()
    finally:
        child.is_ending = False


async def end_in_order(children: Iterable[Child]) -> None:
    """One after the other, in this order: a child may need the children that are ended after it until its own end."""
    for number, child in enumerate(children, 1):
        await end(child)
        if number % CHILDREN_PER_TURN == 0:
            await trio.lowlevel.checkpoint()


async def end_side_by_side(children: Iterable[Child]) -> None:
    """All at once: each is told to end, then each is waited for. Call it in a shield."""
    now = trio.current_time()
    lives: dict[float, deque[tuple[Child, Cell]]] = {}
    for number, child in enumerate(children, 1):
        child.cancel_delayed_restart()
        life = child.life
        if life is not None:
            _begin_end(child, life)
            lives.setdefault(child.spec.seconds, deque()).append((child, life))
        if number % CHILDREN_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
    # First kill every life whose time is up, and only then wait for them: a child that shields itself must not give the
    # others more time.
    killed: list[Cell] = []
    for seconds in sorted(lives):
        # Taken out one by one: to let go of 100,000 at once takes its time too.
        left = lives[seconds]
        while left:
            child, life = left.popleft()
            if life.state != ENDED:
                if not await _ends_by(child, life, now + seconds):
                    killed.append(life)
            elif len(left) % CHILDREN_PER_TURN == 0:
                await trio.lowlevel.checkpoint()
    for life in killed:
        await life.wait_ended()


def _begin_end(child: Child, life: Cell) -> None:
    # Without any time it is killed now. If its end raced with the end of no time, the exit would be a matter of chance.
    life.end(SHUTDOWN if child.spec.seconds else KILLED)


async def _ends_by(child: Child, life: Cell, deadline: float) -> bool:
    """Wait for the end of a life. If its time is up, kill it and return False, without waiting for its end."""
    with trio.move_on_at(deadline):
        await life.wait_ended()
        return True
    exit = life.life.exit
    life.end(KILLED)
    if child.spec.seconds and (exit is None or exit.reason != "killed"):  # two may end it: then one of them says so
        child.parent.shutdown_timed_out(child, life)
    return False
