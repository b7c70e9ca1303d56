"""What can be done to an actor with the observer: kill, stop, restart, terminate. Each writes one line into the log.

The work is done by a task of the actor's supervisor. So it goes on if the browser goes away, and it cannot
be half done: a child that is to be restarted does not stay ended.

(A claim of a pool is not cancelled here. It is a block in the code of its holder, and only the code itself can leave
it. To give the worker to the next caller before that would give it two callers. Kill the worker: then the holder gets
`ActorExited`, and the next life of the worker is free.)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import trio

from .._actors import RUNNING, STARTING
from .._pool import PoolEngine
from .._runtime import SafeLogger, counted, current_run, shown_safely, text_of
from .find import find
from .pace import Pace
from .params import BadParam
from .rows import reference_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._actors import ActorRef
    from .._supervision import Child
    from .observation import Observation
    from .survey import Seen

logger = SafeLogger("trioreg.observer")

PATIENCE = 5.0
"""How long an action waits for its effect, in seconds."""

NAMES = ("kill", "stop", "restart", "terminate")


class Action(TypedDict):
    """Something that can be done to an actor now.

    Attributes:
        name: ``"kill"``, ``"stop"``, ``"restart"`` or ``"terminate"``.
        title: The same for a button.
        sentence: What it does.
    """

    name: str
    title: str
    sentence: str


def actions_of(seen: Seen) -> list[Action]:
    """What can be done to an actor now. Not a checkpoint; constant time."""
    child = seen.child
    life = child.life
    if life is None:
        return []
    below = " It has children: they end, too." if seen.below is not None and seen.below.children else ""
    again = " Its supervisor starts it again." if child.spec.restart == "permanent" else ""
    abnormal = " Its supervisor starts it again." if _is_restarted_after_a_kill(child) else ""
    found = [
        Action(name="kill", title="Kill", sentence=f"It ends at once, without its on_stop.{abnormal}{below}"),
    ]
    if life.state in (STARTING, RUNNING):
        sentence = f"It handles the messages that it has, and ends.{again}{below}"
        found.append(Action(name="stop", title="Stop", sentence=sentence))
    if _is_kept(child):
        sentence = f"It ends in order, and its supervisor starts it again. This is not counted as a restart.{below}"
        found.append(Action(name="restart", title="Restart", sentence=sentence))
    elif _is_restarted_after_a_kill(child):
        sentence = f"It is killed, and its supervisor starts it again. This counts as a restart.{below}"
        found.append(Action(name="restart", title="Restart", sentence=sentence))
    if not isinstance(seen.supervisor, PoolEngine):  # there `Pool.resize` ends workers
        seconds = child.spec.shutdown
        time = "at once" if seconds == "kill" else "in order"
        sentence = f"Its supervisor ends it {time}, and does not start it again.{below}"
        found.append(Action(name="terminate", title="Terminate", sentence=sentence))
    return found


def _is_kept(child: Child) -> bool:
    """Whether its supervisor keeps its spec when it is terminated: then there is `Supervisor.restart_child`."""
    return child.id is not None and child.spec.restart != "temporary" and not child.is_new


def _is_restarted_after_a_kill(child: Child) -> bool:
    """Whether its restart type says so. A child that ends in its first start is forgotten."""
    return child.spec.restart in ("permanent", "transient") and not child.is_new


async def act(observation: Observation, action: str, number: int) -> str:
    """Do something to an actor, and say in one sentence what happened. It writes one line at INFO into the log.

    It waits for the effect, but not longer than `PATIENCE`. If it is cancelled, what has begun goes on. A checkpoint.

    Args:
        observation: The run.
        action: One of `NAMES`.
        number: The number of the actor.

    Raises:
        BadParam: There is no such action, or it is not possible for this actor now.
        NotThere: No actor has that number any more.
        RuntimeError: It is the observation of another Trio run: nothing in it can be changed from here.
    """
    if observation.run is not current_run():
        raise RuntimeError("an action must be done in the Trio run that is observed: use trio.from_thread to get there")
    if action not in NAMES:
        raise BadParam(f"action must be one of {', '.join(NAMES)}, not {shown_safely(action)}")
    await trio.lowlevel.checkpoint()
    seen = await find(observation, number, Pace())
    child = seen.child
    life = child.life
    if life is None or all(each["name"] != action for each in actions_of(seen)):
        what = "it has no life" if life is None else f"it is {reference_of(life).state}, under {seen.supervisor.label}"
        raise BadParam(f"{action} is not possible for actor #{number} now: {text_of(what)}")
    ref = reference_of(life)
    logger.info("observer_acted", "an observer asks to %s child %s, %r", action, child, ref, **child.log_fields(ref))
    begin = {"kill": _kill, "stop": _stop, "restart": _restart, "terminate": _terminate}[action]
    return await begin(seen, ref)


async def _kill(seen: Seen, ref: ActorRef[Any]) -> str:
    ref.kill()
    return await _end_of(seen, ref, "killed", "It is in a block that shields it from cancellation")


async def _stop(seen: Seen, ref: ActorRef[Any]) -> str:
    cell = ref._cell
    assert cell is not None  # it is offered only before the end
    cell.stop()
    return await _end_of(seen, ref, "stopped", "It still handles the messages that it has")


async def _end_of(seen: Seen, ref: ActorRef[Any], done: str, busy: str) -> str:
    """Wait for the end of a life, and say what came of it."""
    cell = ref._cell
    assert cell is not None  # its last step is still to come: it is a step of its own task
    with trio.move_on_after(PATIENCE):
        await cell.wait_ended()
    if ref.is_alive:
        return f"{_name(ref)} is to be {done}. {busy}, and has not ended after {counted(PATIENCE, 'second')}."
    return f"{_name(ref)} was {done}. {_what_follows(seen.child)}"


async def _restart(seen: Seen, ref: ActorRef[Any]) -> str:
    child = seen.child
    if not _is_kept(child):
        return await _kill(seen, ref)

    async def work() -> None:
        await seen.supervisor.termination.terminate_child(ref)
        await seen.supervisor.starting.restart_child(child.id)

    problem = await _let_supervisor(seen, f"restart of {_name(ref)}", work)
    if problem is not None:
        return f"{_name(ref)} {problem}"
    return f"{_name(ref)} was restarted. {_what_follows(child)}"


async def _terminate(seen: Seen, ref: ActorRef[Any]) -> str:
    work = partial(seen.supervisor.termination.terminate_child, ref)
    problem = await _let_supervisor(seen, f"end of {_name(ref)}", work)
    return f"{_name(ref)} was terminated. It is not started again." if problem is None else f"{_name(ref)} {problem}"


async def _let_supervisor(seen: Seen, what: str, work: Callable[[], Awaitable[object]]) -> str | None:
    """Have a task of the supervisor do something, and wait for that. Returns what went wrong, or None."""
    done = trio.Event()
    problems: list[str] = []

    async def run() -> None:
        try:
            await work()
        except Exception as error:  # here an error would end the supervisor
            problems.append(_said(error))
        finally:
            done.set()

    try:
        seen.supervisor.start_task(run, f"{seen.supervisor.label}, {what}, for an observer")
    except RuntimeError:
        return "is as before: its supervisor is ending."
    with trio.move_on_after(PATIENCE):
        await done.wait()
    if not done.is_set():
        return f"is still ending or starting after {counted(PATIENCE, 'second')}. That goes on."
    return f"could not be handled as you asked: {problems[0]}" if problems else None


def _said(error: Exception) -> str:
    kind = type(error).__name__
    try:
        return text_of(f"{kind}: {error}") or kind
    except Exception:
        return kind  # its own `__str__` raises


def _what_follows(child: Child) -> str:
    """What became of a child whose life has ended."""
    state, ref = child.state, child.ref
    if ref is not None:
        return f"Its next life is {_name(ref)}."
    return "It waits for its restart." if state == "restarting" else "It is not started again."


def _name(ref: ActorRef[Any]) -> str:
    return text_of(repr(ref)[1:-1]) or ""
