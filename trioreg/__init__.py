"""Actors, supervisors and a partitioned registry for Trio.

A name belongs to a task, and is gone the moment the task ends. A supervisor restarts an actor that crashes, and the new
one has the same name.
"""

from ._actors import (
    Actor,
    ActorRef,
    ActorState,
    ActorStatistics,
    Address,
    Agent,
    Function,
    Reply,
    Timer,
    current,
    raises,
    receive,
    send_after,
    send_every,
)
from ._registry import ANY, Entry, Event, Is, Listener, Registered, Registry, Table, Unregistered, Var, Via
from ._runtime import (
    ActorExited,
    AlreadyRegistered,
    CallCycle,
    ChildNotEnded,
    ChildNotFound,
    Exit,
    ExitReason,
    Feed,
    MailboxFull,
    MaxChildren,
    NoReply,
    NotRegistered,
    NotRunning,
    Overflow,
    Owner,
    RestartLimitExceeded,
    TaskOwner,
    TrioregError,
    current_owner,
)
from ._supervision import (
    Backoff,
    ChildCounts,
    ChildInfo,
    ChildSpec,
    DynamicSupervisor,
    Partitions,
    PartitionSupervisor,
    Supervisor,
    open_dynamic_supervisor,
    open_partition_supervisor,
    open_supervisor,
    run,
)
from ._tasks import Done, Failed, Outcome, TaskStream, open_stream

__all__ = [
    "ANY",
    "Actor",
    "ActorExited",
    "ActorRef",
    "ActorState",
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
    "Feed",
    "Function",
    "Is",
    "Listener",
    "MailboxFull",
    "MaxChildren",
    "NoReply",
    "NotRegistered",
    "NotRunning",
    "Outcome",
    "Overflow",
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
    "current_owner",
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
    # A traceback shows `trioreg.ActorExited`, the name that you import, and not the private file. Trio does the same.
    for name in __all__:
        value = globals()[name]
        if callable(value) and getattr(value, "__module__", "").startswith("trioreg."):
            value.__module__ = __name__


_make_public()
del _make_public
