"""Supervisors: children, strategies, restarts, shutdown, and programs.

Read first: `supervisor.py` (what a user calls), then `engine.py` (what happens when a child ends).

This wing never loses an error. Other wings import from here, not from the files.
"""

from .backoff import Backoff
from .child_info import ChildCounts, ChildInfo
from .child_spec import ChildSpec
from .dynamic_supervisor import DynamicSupervisor, open_dynamic_supervisor
from .partition_supervisor import PartitionSupervisor, open_partition_supervisor
from .partitions import Partitions
from .program import run
from .supervisor import Supervisor, open_supervisor

__all__ = [
    "Backoff",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "DynamicSupervisor",
    "PartitionSupervisor",
    "Partitions",
    "Supervisor",
    "open_dynamic_supervisor",
    "open_partition_supervisor",
    "open_supervisor",
    "run",
]
