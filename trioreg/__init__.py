"""Actors, supervisors and a partitioned registry for Trio.

A name belongs to a task and is gone the moment the task ends; a supervisor restarts what crashes, under the same name.
"""

from ._actor import Actor as Actor
from ._actor import Function as Function
from ._actor import current as current
from ._actor import receive as receive
from ._call import Reply as Reply
from ._child_spec import ChildSpec as ChildSpec
from ._entry import Entry as Entry
from ._errors import ActorExited as ActorExited
from ._errors import AlreadyRegistered as AlreadyRegistered
from ._errors import CallCycle as CallCycle
from ._errors import MailboxFull as MailboxFull
from ._errors import NoReply as NoReply
from ._errors import NotRegistered as NotRegistered
from ._errors import RestartLimitExceeded as RestartLimitExceeded
from ._errors import TrioregError as TrioregError
from ._exit import Exit as Exit
from ._exit import ExitReason as ExitReason
from ._handler import raises as raises
from ._owner import Owner as Owner
from ._owner import TaskOwner as TaskOwner
from ._ref import ActorRef as ActorRef
from ._ref import Address as Address
from ._registry import Registry as Registry
from ._supervisor import DynamicSupervisor as DynamicSupervisor
from ._supervisor import Supervisor as Supervisor
from ._supervisor import open_dynamic_supervisor as open_dynamic_supervisor
from ._supervisor import open_supervisor as open_supervisor
from ._table_viewer import Table as Table
from ._via import Via as Via


# Public names say where they are used from, not which file they are in.
def _make_public() -> None:
    for name, value in list(globals().items()):
        if not name.startswith("_") and getattr(value, "__module__", "").startswith("trioreg."):
            value.__module__ = __name__


_make_public()
del _make_public
