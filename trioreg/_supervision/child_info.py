"""What a supervisor shows of its children, as data."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs

from .._actors import ActorRef
from .child import Child, ChildState
from .child_spec import ChildSpec


@attrs.frozen
class ChildInfo:
    """One child, as `Supervisor.which_children` and `Supervisor.which_child` show it.

    Attributes:
        id: What the supervisor knows it by; None under a `DynamicSupervisor`.
        ref: The reference of its current life, or None while it has none.
        state: ``"starting"``, ``"running"``, ``"restarting"`` (it waits for its restart) or ``"ended"``.
        restarts: How often it has been restarted.
        is_supervisor: Whether it is a supervisor itself.
        spec: How it is started.
    """

    id: Hashable
    ref: ActorRef[Any] | None
    state: ChildState
    restarts: int
    is_supervisor: bool
    spec: ChildSpec


def info_of(child: Child) -> ChildInfo:
    """A child as it is now."""
    return ChildInfo(child.id, child.ref, child.state, child.restarts, child.spec.kind.is_supervisor, child.spec)


@attrs.frozen
class ChildCounts:
    """How many children a supervisor has, from `Supervisor.count_children`.

    Attributes:
        specs: How many there are, children that have ended included.
        active: How many of them run now. A child that is starting, or waits for its restart, is not active.
        supervisors: How many of them are supervisors.
        workers: How many of them are not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int
