"""The actor that has a number: `<Cart #5>` is 5. A number is of one life, and is never used again in the process."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from .._supervision import Child, Engine, engine_of
from .page import NotThere
from .survey import Seen, place_of_top, tops_of, walk

if TYPE_CHECKING:
    from .._actors import ActorRef
    from .._runtime import Run
    from .observation import Observation
    from .pace import Pace


async def find(observation: Observation, number: int, pace: Pace) -> Seen:
    """The living actor with that number.

    The first time, the cost grows with the number of actors. Later it is constant: a weak reference is kept.

    Raises:
        NotThere: No actor of the run has that number, or it has ended.
    """
    run = observation.run
    ref = observation.refs.get(number)
    if ref is None:
        async with aclosing(walk(run, pace)) as everyone:
            async for seen in everyone:
                life = seen.child.life
                if life is not None and life.ref._number == number:
                    observation.refs[number] = cast("ActorRef[Any]", life.ref)
                    return seen
        raise NotThere(
            f"There is no actor #{number}, or it has ended. If it was restarted, its next life has a new number."
        )
    cell = ref._cell
    child = None if cell is None else getattr(cell.life, "child", None)
    if not isinstance(child, Child) or child.life is not cell:
        raise NotThere(f"{ref!r} has ended. If it was restarted, its next life has a new number.")
    return seen_of(child, run)


def seen_of(child: Child, run: Run) -> Seen:
    """A child as a walk sees it. The cost grows with its depth in the tree."""
    engine = cast("Engine", child.parent)
    return Seen(engine, child, engine_of(child), node_of(child, run))


def node_of(child: Child, run: Run) -> str:
    """The place of a child in the tree, as in ``"0.3.17"``."""
    steps: list[str] = []
    each: Child | None = child
    top = cast("Engine", child.parent)
    while each is not None:
        steps.append(str(each.number))
        top = cast("Engine", each.parent)
        each = top.own_child
    return ".".join([place_of_top(run, top), *reversed(steps)])


async def child_in_place(run: Run, node: str, pace: Pace) -> Seen | None:
    """The child that has this place in the tree now: the same child as before, perhaps in another life. None if there
    is none. The cost grows with the children of each supervisor on the way, in slices."""
    top, *steps = node.split(".")
    engine = dict(tops_of(run)).get(top)
    found: Seen | None = None
    for step in steps:
        found = None
        if engine is None:
            return None
        for child in list(engine.children.values()):
            if pace.is_over():
                await pace.rest()
            if str(child.number) == step:
                found = seen_of(child, run)
                break
        engine = None if found is None else found.below
    return found
