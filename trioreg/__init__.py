"""Actors, supervisors and a partitioned registry for Trio.

A name belongs to a task and is gone the moment the task ends; a supervisor restarts what crashes, under the same name.
"""

from ._actor import Actor, current, receive, send_after, send_every
from ._agent import Agent
from ._backoff import Backoff
from ._call import Reply
from ._child_spec import ChildSpec
from ._entry import Entry
from ._errors import (
    ActorExited,
    AlreadyRegistered,
    CallCycle,
    ChildNotEnded,
    ChildNotFound,
    MailboxFull,
    MaxChildren,
    NoReply,
    NotRegistered,
    RestartLimitExceeded,
    TrioregError,
)
from ._events import Event, Listener, Registered, Unregistered
from ._exit import Exit, ExitReason
from ._function import Function
from ._handler import raises
from ._owner import Owner, TaskOwner
from ._partition_supervisor import Partitions, PartitionSupervisor, open_partition_supervisor
from ._pattern import ANY, Is, Var
from ._program import run
from ._ref import ActorRef, ActorStatistics, Address
from ._registry import Registry
from ._stream import Done, Failed, Outcome, TaskStream, open_stream
from ._supervisor import ChildCounts, ChildInfo, DynamicSupervisor, Supervisor, open_dynamic_supervisor, open_supervisor
from ._table_viewer import Table
from ._timer import Timer
from ._via import Via

__all__ = [
    "ANY",
    "Actor",
    "ActorExited",
    "ActorRef",
    "ActorStatistics",
    "Address",
    "Agent",
    "AlreadyRegistered",
    "Backoff",
    "CallCycle",
    "ChildCounts",
    "ChildInfo",
    "ChildNotEnded",
    "ChildNotFound",
    "ChildSpec",
    "Done",
    "DynamicSupervisor",
    "Entry",
    "Event",
    "Exit",
    "ExitReason",
    "Failed",
    "Function",
    "Is",
    "Listener",
    "MailboxFull",
    "MaxChildren",
    "NoReply",
    "NotRegistered",
    "Outcome",
    "Owner",
    "PartitionSupervisor",
    "Partitions",
    "Registered",
    "Registry",
    "Reply",
    "RestartLimitExceeded",
    "Supervisor",
    "Table",
    "TaskOwner",
    "TaskStream",
    "Timer",
    "TrioregError",
    "Unregistered",
    "Var",
    "Via",
    "current",
    "open_dynamic_supervisor",
    "open_stream",
    "open_partition_supervisor",
    "open_supervisor",
    "raises",
    "receive",
    "run",
    "send_after",
    "send_every",
]


def _make_public() -> None:
    # In a traceback a name stands where its user finds it, not in the private file it comes from: as Trio does it.
    for name in __all__:
        value = globals()[name]
        if callable(value) and getattr(value, "__module__", "").startswith("trioreg."):
            value.__module__ = __name__


_make_public()
del _make_public
