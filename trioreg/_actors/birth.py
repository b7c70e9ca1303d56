"""The three records of a new life, made at once: its reference, its `Cell` and its `Life`.

This stands for their constructors, written out: each start pays for every call. tests/actors/test_hot_paths.py compares
the two. If you add an attribute there, add it here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .._runtime import owner_numbers
from .cell import NOTHING, OWN_TURN, STARTING, Cell, Life
from .passing_cell import PassingCell

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .._runtime import Run
    from .cell import Blueprint, Child
    from .passing_cell import Home
    from .ref import ActorRef

_new = object.__new__


def new_life(
    reference: type[ActorRef[Any]],
    run: Run,
    label: str,
    child: Child,
    blueprint: Blueprint,
    cell_type: type[Cell] = Cell,
) -> Cell:
    """``Cell(reference(run, label), child, blueprint)``, and the reference leads to it."""
    # `ActorRef.__init__`
    ref = _new(reference)
    ref._run = run
    ref._number = next(owner_numbers)
    ref._held = ref._exit = None
    ref._label = label
    # `Life.__init__`
    life = _new(Life)
    life.child = child
    life.value = NOTHING
    life.starter = life.started_at = life.started = life.background = life.crashed_in = None
    life.errors = life.exit = life.end_waits = life.watchers = None
    # `Cell.__init__`
    cell = _new(cell_type)
    cell.thread = run.thread
    cell.limit = blueprint.mailbox_size
    cell.is_open = True
    cell.longest = cell.handled = 0
    cell.inbox = cell.kind = cell.payload = cell.queue = cell.overflow = cell.withdrawn = cell.taker = None
    cell.ref = ref
    cell.life = life
    cell.state = STARTING
    cell.handlers = blueprint.handlers
    cell.hooks = blueprint.hooks
    cell.runs_in = OWN_TURN
    cell.actor = cell.task = cell.context = cell.scope = cell.idle_scope = None
    cell.call = cell.deferred = cell.waits = cell.handling = cell.handling_since = None
    ref._cell = cell
    return cell


def new_passing_life(
    reference: type[ActorRef[Any]],
    run: Run,
    label: str,
    child: Child,
    blueprint: Blueprint,
    home: Home,
    key: Hashable,
    older: PassingCell | None,
) -> PassingCell:
    """Begin a life of an actor on demand: a blank `PassingCell`."""
    cell = cast("PassingCell", new_life(reference, run, label, child, blueprint, PassingCell))
    cell.begin(home, key, older)
    return cell
