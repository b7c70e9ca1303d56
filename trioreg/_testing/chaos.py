"""`chaos`: faults at random below a supervisor, while a program runs.

It does what can happen to a program anyway, and leaves each supervisor a restart: one that gives up is another test.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from random import Random
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

import attrs
import trio
from trio.lowlevel import checkpoint, enable_ki_protection

from .._actors import ENDED, RUNNING, Address
from .._runtime import AsyncBlock, current_actor, require_count, require_number, shown_safely
from .._supervision import Engine, RestartIntensity, SupervisorBase, engine_of
from .faults import crash, hang

if TYPE_CHECKING:
    from types import TracebackType

    from .._actors import Cell
    from .._supervision import Child

ChaosKind: TypeAlias = Literal["crash", "kill", "cancel", "delay"]

_KINDS: tuple[ChaosKind, ...] = get_args(ChaosKind)

_SHOWN = 20
"""How many of its last faults are shown when a block fails."""


class ChaosError(Exception):
    """What an actor crashes with that `chaos` has chosen."""


@attrs.frozen
class ChaosFault:
    """One fault of `chaos`. ``str()`` of it is one line for people.

    Attributes:
        at: When it was, as `trio.current_time`, in seconds.
        kind: ``"crash"``, ``"kill"``, ``"cancel"`` or ``"delay"``.
        actor: What the actor's task is called, as in ``"Cart #5 'a-17'"``.
        supervisor: The path of its supervisor, as in ``"program/games"``.
        seconds: How long a delay is; 0 for other faults.
    """

    at: float
    kind: ChaosKind
    actor: str
    supervisor: str
    seconds: float

    def __str__(self) -> str:
        seconds = f" of {self.seconds:.2f} seconds" if self.kind == "delay" else ""
        return f"at {self.at:.2f} s: {self.kind}{seconds}, {self.actor} of {self.supervisor}"


def chaos(
    supervisor: SupervisorBase | Address[SupervisorBase],
    /,
    *,
    seed: int = 0,
    every: float = 1.0,
    kinds: Collection[ChaosKind] = _KINDS,
    delay: float = 1.0,
) -> AbstractAsyncContextManager[Sequence[ChaosFault]]:
    """Below a supervisor, do something bad to an actor at random every now and then, until the end of the block.

    ::

        async with chaos(supervisor, seed=7, every=0.5) as faults:
            await play_a_game()
        print(*faults, sep="\\n")

    ============  ======================================================================================
    kind
    ============  ======================================================================================
    ``"crash"``   `crash` with a `ChaosError`
    ``"kill"``    `~trioreg.Address.kill`
    ``"cancel"``  `~trioreg.Address.cancel`
    ``"delay"``   `hang`, for a while: its messages wait
    ============  ======================================================================================

    It may be any actor below the supervisor, at any depth. No actor is ended that would not be restarted: a temporary
    actor, and one on demand, is only delayed. A function actor is never delayed. A supervisor is only killed, with all
    that it has. With ``strategy="one_for_all"`` or ``"rest_for_one"``, a supervisor ends other children with the
    chosen one, and does not start the temporary ones again.

    The actor whose code runs this block is left alone. So is each supervisor above it, and each child whose restart
    would end it.

    No supervisor gives up because of this. Of the restarts that it allows, one is left for the faults of the program
    itself, if it allows more than one.

    If an error leaves the block, it has a note of what was done before. The same seed makes the same choices, so in
    virtual time the same program has the same chaos: `explore` and chaos go together.

    Entering and leaving are checkpoints. Constant time for each fault, and a look at all actors below.

    Args:
        supervisor: The supervisor, or the address of one that is an actor.
        seed: What the choices are made of.
        every: The mean time between two faults, in seconds.
        kinds: What may be done.
        delay: How long a delay is at most, in seconds.

    Returns:
        A block. It gives you what was done, and grows as that goes on.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
        NotRegistered, ActorExited: On entering: the address leads to no supervisor.
    """
    if not isinstance(supervisor, SupervisorBase | Address):
        raise TypeError(f"supervisor must be a supervisor, or the address of one, not {shown_safely(supervisor)}")
    require_count("seed", seed, 0)
    require_number("every", every, what="a number of seconds", zero=False)
    require_number("delay", delay, what="a number of seconds", zero=False)
    is_some = isinstance(kinds, Collection) and not isinstance(kinds, str)
    if not is_some or not kinds or any(kind not in _KINDS for kind in kinds):
        raise ValueError(f"kinds must be some of {_KINDS}, not {shown_safely(kinds)}")
    return _Chaos(supervisor, Random(seed), seed, every, [kind for kind in _KINDS if kind in kinds], delay)


class _Chaos(AsyncBlock, AbstractAsyncContextManager[Sequence[ChaosFault]]):
    """The context manager of `chaos`."""

    _written = "chaos(...)"

    def __init__(
        self,
        supervisor: SupervisorBase | Address[SupervisorBase],
        random: Random,
        seed: int,
        every: float,
        kinds: list[ChaosKind],
        delay: float,
    ) -> None:
        self._supervisor = supervisor
        self._random = random
        self._seed = seed
        self._every = every
        self._kinds = kinds
        self._delay = delay
        self._done: list[ChaosFault] = []
        self._delayed: set[Cell] = set()
        self._ending: list[tuple[Cell, RestartIntensity]] = []
        self._block: Any = None
        self._scope: trio.CancelScope

    @enable_ki_protection
    async def __aenter__(self) -> Sequence[ChaosFault]:
        if self._block is not None:
            raise RuntimeError("this chaos(...) is already entered: make another one")
        await checkpoint()
        engine = self._engine_of(self._supervisor)
        self._block = trio.open_nursery()
        nursery = await self._block.__aenter__()
        self._scope = nursery.cancel_scope
        nursery.start_soon(self._run, engine, current_actor.get(None), name="chaos")
        return self._done

    @enable_ki_protection
    async def __aexit__(
        self, etype: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None, /
    ) -> None:
        # The error of the block goes its own way: a nursery would put it into a group. So does its cancellation: the
        # task of this one has nothing to wait for when it is cancelled.
        self._scope.shield = True
        self._scope.cancel()
        await self._block.__aexit__(None, None, None)
        if isinstance(error, Exception):
            error.add_note(self._report())
        elif error is None:
            await checkpoint()

    def _report(self) -> str:
        if not self._done:
            return f"chaos with seed {self._seed} had done nothing before"
        more = len(self._done) - _SHOWN
        earlier = [f"  {more} earlier faults"] if more > 0 else []
        return "\n".join(
            [f"chaos with seed {self._seed} had done this before:", *earlier, *(f"  {f}" for f in self._done[-_SHOWN:])]
        )

    def _engine_of(self, supervisor: SupervisorBase | Address[SupervisorBase]) -> Engine:
        if isinstance(supervisor, SupervisorBase):
            return supervisor._engine
        ref = supervisor._resolve()
        cell = ref._cell
        if cell is None:
            raise ref._exited(None)
        actor: object = cell.actor
        if not isinstance(actor, SupervisorBase):
            raise TypeError(f"supervisor must be the address of a supervisor, not {ref!r}")
        return actor._engine

    async def _run(self, engine: Engine, own: object) -> None:
        random = self._random
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(random.uniform(0, 2 * self._every))
                now = trio.current_time()
                kind = random.choice(self._kinds)
                seconds = random.uniform(0, self._delay)
                children = list(_below(engine))
                spared = _line_to(own, children)
                victims = [child for child in children if self._may(kind, child, now, spared)]
                if not victims:
                    continue
                child = random.choice(victims)
                ref = child.ref
                assert ref is not None
                done = ChaosFault(
                    now, kind, child.task_name(ref), child.parent.label, seconds if kind == "delay" else 0.0
                )
                if kind == "delay":
                    assert child.cell is not None
                    delay = hang(ref)
                    delay.__enter__()
                    self._delayed.add(child.cell)
                    nursery.start_soon(self._end_delay, delay, child.cell, seconds, name="delay of chaos")
                else:
                    self._end(kind, child)
                self._done.append(done)

    def _end(self, kind: ChaosKind, child: Child) -> None:
        ref, cell = child.ref, child.cell
        assert ref is not None
        assert cell is not None
        if kind == "crash":
            crash(ref, ChaosError(f"chaos, seed {self._seed}"))
        elif kind == "kill":
            ref.kill()
        else:
            ref.cancel()
        intensity = _intensity_of(child)
        if intensity is not None:
            self._ending.append((cell, intensity))

    async def _end_delay(self, delay: AbstractContextManager[None], cell: Cell, seconds: float) -> None:
        try:
            await trio.sleep(seconds)
        finally:
            delay.__exit__(None, None, None)
            self._delayed.discard(cell)

    def _may(self, kind: ChaosKind, child: Child, now: float, spared: list[Child]) -> bool:
        """Whether that may happen to a child now."""
        cell = child.life
        if cell is None or cell.state != RUNNING or child in spared:
            return False
        if kind == "delay":
            is_supervisor = child.spec.kind.is_supervisor
            return cell.hooks is not None and not is_supervisor and cell not in self._delayed
        if child.spec.kind.is_supervisor and kind != "kill":
            return False
        if any(_ends_with(each, child) for each in spared):
            return False
        restart = child.spec.restart
        if restart == "temporary" or (restart == "transient" and kind == "cancel"):
            return False
        intensity = _intensity_of(child)
        if intensity is None:  # it has a limit of its own, and has not been restarted yet
            return child.spec.limit is not None and child.spec.limit.max_restarts >= 1
        self._ending = [(cell, of) for cell, of in self._ending if cell.state != ENDED]
        ending = sum(1 for _, of in self._ending if of is intensity)
        spare = 1 if intensity.max_restarts > 1 else 0
        return intensity.left(now) - ending > spare


def _below(engine: Engine) -> Iterator[Child]:
    """Each child below a supervisor, in start order, a child before those below it."""
    todo = [iter(list(engine.children.values()))]
    while todo:
        for child in todo[-1]:
            yield child
            below = engine_of(child)
            if below is not None:
                todo.append(iter(list(below.children.values())))
                break
        else:
            todo.pop()


def _line_to(own: object, children: list[Child]) -> list[Child]:
    """The child whose life ``own`` is the reference of, and each supervisor above it. Empty if there is none."""
    line: list[Child] = []
    at = next((child for child in children if own is not None and child.ref is own), None)
    while at is not None:
        line.append(at)
        at = at.parent.own_child
    return line


def _ends_with(child: Child, cause: Child) -> bool:
    """Whether the strategy of their supervisor ends a child when another one has to be restarted."""
    if child.parent is not cause.parent:
        return False
    strategy = cast("Engine", child.parent).strategy
    return strategy == "one_for_all" or (strategy == "rest_for_one" and child.number > cause.number)


def _intensity_of(child: Child) -> RestartIntensity | None:
    """The count of the restarts of a child: of its own limit, or of its supervisor. None before its first restart."""
    if child.spec.limit is not None:
        return child.intensity
    return cast("Engine", child.parent).restarts.intensity
