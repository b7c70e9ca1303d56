"""One child of a supervisor, through all its lives.

A `Child` is what a supervisor remembers from one life to the next. It decides nothing: `restarts.py` decides whether
and when there is a next life.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

import trio
from trio.lowlevel import Abort

from .._actors import ENDED, STARTING
from .._runtime import require_room, shown_whole
from .task_name import task_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from trio.lowlevel import RaiseCancelT

    from .._actors import ActorRef, Cell
    from .._runtime import Fields, Owner
    from .child_spec import ChildSpec
    from .restart_intensity import RestartIntensity

ChildState: TypeAlias = Literal["starting", "running", "restarting", "ended"]


class Parent(Protocol):
    """What a child needs of its supervisor."""

    @property
    def label(self) -> str:
        """What the supervisor is called in errors and in the log."""
        ...

    @property
    def own_child(self) -> Child | None:
        """The supervisor itself as a child of the one above it; None if there is none."""
        ...

    def starts_later(self, child: Child, names: object, key: object) -> bool:
        """Whether a name is to go to a child that the supervisor starts when it has started this one."""
        ...

    def start_task(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        """Start a task beside the children's tasks."""

    def cancel_start(self, child: Child, raise_cancel: RaiseCancelT) -> None:
        """The task that waits for its start is being cancelled."""

    def child_ended(self, child: Child, cell: Cell) -> None:
        """Called in the last step of a life."""

    def shutdown_timed_out(self, child: Child, cell: Cell) -> None:
        """A child did not end within its time, and is killed."""

    def is_in_restart_group(self, child: Child) -> bool:
        """Whether a group restart, requested or under way, is going to start it again."""
        ...


class DelayedRestart:
    """A child's wait for its next restart.

    Attributes:
        scope: The cancel scope of the wait.
        over: Set when the wait is over, whether there is a restart or not.
        blocks_group: Whether the child failed to start in a group restart: the children behind it wait for it.
    """

    __slots__ = ("blocks_group", "over", "scope")

    def __init__(self, *, blocks_group: bool) -> None:
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.blocks_group = blocks_group


class Child:
    """One child of a supervisor, through all its lives.

    Attributes:
        parent: The supervisor.
        number: Its place among the children: higher than the number of every child that was added before it.
        spec: How it is started.
        id: What a supervisor that gives its children ids knows it by; None in a dynamic one.
        cell: Its current life, or its last one once that has ended.
        restarts: How often it has been restarted.
        intensity: How often lately, if it has a limit of its own; None before its first restart.
        last_lives: The references of the last life before that one that had started, and of the last one.
        delayed_in_a_row: How many restarts in a row had to wait.
        delayed_restart: Its wait for its next restart.
        is_new: Whether its first start is not over: nothing is kept of a child that fails in it.
        is_ending: Whether its supervisor is ending it: it is not restarted then.
        is_terminating: Whether `terminate_child` is ending it: then a group restart leaves it out too.
    """

    __slots__ = (
        "cell",
        "delayed_in_a_row",
        "delayed_restart",
        "id",
        "intensity",
        "is_ending",
        "is_new",
        "is_terminating",
        "last_lives",
        "number",
        "parent",
        "restarts",
        "spec",
    )

    parent: Parent
    number: int
    spec: ChildSpec
    id: Hashable
    cell: Cell | None
    last_lives: tuple[Owner, ...]
    restarts: int
    intensity: RestartIntensity | None
    delayed_in_a_row: int
    delayed_restart: DelayedRestart | None
    is_new: bool
    is_ending: bool
    is_terminating: bool

    @property
    def life(self) -> Cell | None:
        """Its current life, while it has one."""
        return None if self.cell is None or self.cell.state == ENDED else self.cell

    @property
    def state(self) -> ChildState:
        life = self.life
        if life is None:
            has_next = self.delayed_restart is not None or self.parent.is_in_restart_group(self)
            return "restarting" if has_next else "ended"
        return "starting" if life.state == STARTING else "running"

    @property
    def is_kept_alive(self) -> bool:
        """Whether it has a life, or is going to have one by itself."""
        return self.state != "ended"

    @property
    def ref(self) -> ActorRef[Any] | None:
        """The reference of its current life, or None while it has none."""
        life = self.life
        return None if life is None else cast("ActorRef[Any]", life.ref)

    def cancel_delayed_restart(self) -> None:
        """If it waits for its next restart, it does not get it."""
        delayed = self.delayed_restart
        if delayed is not None:
            require_room()
            delayed.scope.cancel()
            delayed.over.set()
            self.delayed_restart = None  # the last step: a wait that is not cancelled ends with a restart

    def cancel_start(self, raise_cancel: RaiseCancelT) -> Abort:
        """The task that waits for its start is being cancelled. That task goes on when this life has ended.

        It is a method of the child, so that a start makes no function of its own for it.
        """
        self.parent.cancel_start(self, raise_cancel)
        return Abort.FAILED

    # What its cell asks of it

    @property
    def shutdown(self) -> float:
        # "kill" says how its supervisor ends it. When it ends by itself, its `on_stop` has the usual time.
        return self.spec.kind.shutdown if self.spec.shutdown == "kill" else self.spec.seconds

    @property
    def title(self) -> str:
        """Its name, or else its id, or else what it is."""
        if self.spec.name is not None:
            return shown_whole(self.spec.name.key)
        return self.spec.kind.label if self.id is None else str(self.id)

    @property
    def plain_title(self) -> str:
        """Its id, or else its name as plain text, or else what it is."""
        name = self.spec.name
        if self.id is not None:
            return str(self.id)
        return self.spec.kind.label if name is None else str(name.key)

    def task_name(self, ref: Owner) -> str:
        """What the Trio task of one of its lives is called."""
        name, label = self.spec.name, self.spec.kind.label
        return f"{label} #{ref._number}" if name is None else task_name(label, ref, name.key)

    @property
    def log_name(self) -> str:
        """What the log calls the child, with its supervisor."""
        return f"{self.parent.label}: child {self}"

    def log_fields(self, ref: Owner) -> Fields:
        """What the log says of a life of the child, as data."""
        name = self.spec.name
        return {
            "supervisor": self.parent.label,
            "child_id": self.id,
            "actor": ref,
            "actor_name": None if name is None else name.key,
            "restarts": self.restarts,
        }

    def starts_before(self, names: object, key: object) -> bool:
        """Whether that name is to go to a child that starts only when this one has started.

        It may be a later child of its supervisor, or of one above, if that supervisor is itself still starting.
        """
        child: Child | None = self
        while child is not None and child.cell is not None and child.cell.state == STARTING:
            if child.parent.starts_later(child, names, key):
                return True
            child = child.parent.own_child
        return False

    def spawn(self, function: Callable[[], Awaitable[object]], name: str) -> None:
        self.parent.start_task(function, name)

    def timed_out(self, cell: Cell) -> None:
        self.parent.shutdown_timed_out(self, cell)

    def ended(self, cell: Cell) -> None:
        self.parent.child_ended(self, cell)

    def __str__(self) -> str:
        """For the log: its id (or what it is, where it has none), and its name where that is not the same."""
        name = self.spec.name
        text = self.spec.kind.label if self.id is None else shown_whole(self.id)
        if name is None or (self.id is not None and _are_same(self.id, name.key)):
            return text
        return f"{text} named {shown_whole(name.key)}"


def new_child(parent: Parent, number: int, spec: ChildSpec) -> Child:
    """A child that has had no life yet. A function, and no ``__init__``: each start pays for the call of a class."""
    child = _new(Child)
    child.parent = parent
    child.number = number
    child.spec = spec
    child.id = child.cell = child.intensity = child.delayed_restart = None
    child.last_lives = ()
    child.restarts = child.delayed_in_a_row = 0
    child.is_new = True
    child.is_ending = child.is_terminating = False
    return child


_new = object.__new__

# The log must not end a supervisor because a key's own methods raise.


def _are_same(id: object, key: object) -> bool:
    try:
        return bool(id == key)
    except Exception:
        return False
