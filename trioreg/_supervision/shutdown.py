"""How children end: each within its `shutdown` time, one after the other or side by side."""

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

CONCURRENT_ENDS = 200
"""How many children are told to end between two looks at what else there is to do."""


@enable_ki_protection
async def end(child: Child) -> None:
    """End a child within its shutdown time, and wait for it. It is not restarted. Shielded: it takes as long as the
    child does, and is a checkpoint only if there is something to wait for."""
    child.give_up_pause()
    life = child.life
    if life is None:
        return
    child.is_terminated = True
    try:
        with trio.CancelScope(shield=True):
            _tell(child, life)
            if not await _ends_by(child, life, trio.current_time() + child.spec.seconds):
                await life.wait_ended()
    finally:
        child.is_terminated = False


async def end_in_order(children: Iterable[Child]) -> None:
    """One after the other: each may need those behind it until its very end."""
    for number, child in enumerate(children, 1):
        await end(child)
        if number % CONCURRENT_ENDS == 0:
            await trio.lowlevel.checkpoint()


async def end_side_by_side(children: Iterable[Child]) -> None:
    """All at once: every one is told, then all are awaited. Shield it."""
    now = trio.current_time()
    lives: dict[float, deque[tuple[Child, Cell]]] = {}
    for number, child in enumerate(children, 1):
        child.give_up_pause()
        life = child.life
        if life is not None:
            _tell(child, life)
            lives.setdefault(child.spec.seconds, deque()).append((child, life))
        if number % CONCURRENT_ENDS == 0:
            await trio.lowlevel.checkpoint()
    # First all are cut off whose time is up, and only then is any of them waited for any longer: what shields itself
    # must not give the others more time than they have.
    cut_off: list[Cell] = []
    for seconds in sorted(lives):
        # Taken out one by one: to let go of 100,000 at once takes its time too.
        left = lives[seconds]
        while left:
            child, life = left.popleft()
            if life.state != ENDED:
                if not await _ends_by(child, life, now + seconds):
                    cut_off.append(life)
            elif len(left) % CONCURRENT_ENDS == 0:
                await trio.lowlevel.checkpoint()
    for life in cut_off:
        await life.wait_ended()


def _tell(child: Child, life: Cell) -> None:
    life.end(KILLED if child.spec.shutdown == "kill" else SHUTDOWN)


async def _ends_by(child: Child, life: Cell, deadline: float) -> bool:
    """Wait for the end of a life; cut it off, and return False, if its time is up."""
    with trio.move_on_at(deadline):
        await life.wait_ended()
        return True
    life.end(KILLED)
    if child.spec.seconds:
        child.engine.child_cut_off(child, life)
    return False
