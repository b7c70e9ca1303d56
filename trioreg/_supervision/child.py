"""One child of a supervisor, through all its lives.

A `Child` is what a supervisor remembers from one life to the next. It decides nothing: whether there is a next life,
and when, is the engine's to say (`_supervision.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

import trio

from .._actors import ENDED, STARTING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from .._actors import ActorRef, Cell
    from .child_spec import ChildSpec

ChildState: TypeAlias = Literal["starting", "running", "restarting", "ended"]


class Parent(Protocol):
    """What a child needs of its supervisor."""

    nursery: trio.Nursery

    def child_ended(self, child: Child, cell: Cell) -> None: ...

    def child_cut_off(self, child: Child, cell: Cell) -> None:
        """Its time to end was over, and it has been told to end at once."""

    def is_due(self, child: Child) -> bool:
        """Whether a restart of several, wanted or under way, is going to start it again."""
        ...


class Pause:
    """A child's wait for its next restart.

    Attributes:
        scope: What the wait is cancelled by.
        over: Set when it is over, whether there is a restart or not.
        holds_up: Whether it failed to start in a restart of several: those behind it wait for it.
    """

    __slots__ = ("holds_up", "over", "scope")

    def __init__(self, *, holds_up: bool) -> None:
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.holds_up = holds_up


class Child:
    """One child of a supervisor, through all its lives.

    Attributes:
        number: Its place among the children: higher than that of all that were there before it.
        spec: How it is started.
        id: What the supervisor knows it by.
        cell: Its current (or, once it has ended, last) life.
        restarts: How often it has been restarted.
        attempts: How many restarts in a row had to wait.
        is_new: Whether it has not been started yet: if it is not, nothing is kept of it.
        is_terminated: Whether it is being ended by its supervisor: it is not restarted then.
        is_dismissed: Whether somebody has asked for that: a restart of several leaves it out.
        pause: Its wait for its next restart.
    """

    __slots__ = (
        "attempts",
        "cell",
        "engine",
        "id",
        "is_dismissed",
        "is_new",
        "is_terminated",
        "number",
        "pause",
        "restarts",
        "spec",
    )

    def __init__(self, engine: Parent, number: int, spec: ChildSpec) -> None:
        self.engine = engine
        self.number = number
        self.spec = spec
        self.id: Hashable = self
        self.cell: Cell | None = None
        self.restarts = 0
        self.attempts = 0
        self.is_new = True
        self.is_terminated = False
        self.is_dismissed = False
        self.pause: Pause | None = None

    @property
    def life(self) -> Cell | None:
        """Its current life, while it has one."""
        return None if self.cell is None or self.cell.state == ENDED else self.cell

    @property
    def state(self) -> ChildState:
        life = self.life
        if life is None:
            return "restarting" if self.pause is not None or self.engine.is_due(self) else "ended"
        return "starting" if life.state == STARTING else "running"

    @property
    def ref(self) -> ActorRef[Any] | None:
        """The reference of its current life, or None while it has none."""
        life = self.life
        return None if life is None else cast("ActorRef[Any]", life.ref)

    def give_up_pause(self) -> bool:
        """If it waits for its next restart, it does not get it. Returns whether it has waited."""
        pause = self.pause
        if pause is None:
            return False
        self.pause = None
        pause.scope.cancel()
        pause.over.set()
        return True

    # What its cell asks of it

    @property
    def shutdown(self) -> float:
        # "kill" is how its supervisor ends it. Where it ends by itself, its `on_stop` has the usual time.
        return self.spec.kind.shutdown if self.spec.shutdown == "kill" else self.spec.seconds

    @property
    def title(self) -> str:
        """Its name, or else its id, or else what it is."""
        if self.spec.name is not None:
            return repr(self.spec.name.key)
        return self.spec.kind.label if self.id is self else str(self.id)

    def spawn(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        self.engine.nursery.start_soon(function, name=name)

    def ended(self, cell: Cell) -> None:
        self.engine.child_ended(self, cell)

    def __str__(self) -> str:
        """For the log: its id (or what it is, where it has none), and its name where that is not the same."""
        name = self.spec.name
        text = self.spec.kind.label if self.id is self else repr(self.id)
        return text if name is None or self.id == name.key else f"{text} named {name.key!r}"
