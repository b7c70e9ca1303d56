"""Supervisors: children, strategies, restarts, shutdown, and programs.

Read first: `supervisor.py` (what a user calls), then `engine.py` (what happens when a child ends).

This wing never loses an error. Other wings import from here, not from the files.
"""

from .backoff import Backoff
from .child_spec import ChildSpec
from .partition_supervisor import Partitions, PartitionSupervisor, open_partition_supervisor
from .program import run
from .supervisor import ChildCounts, ChildInfo, DynamicSupervisor, Supervisor, open_dynamic_supervisor, open_supervisor

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
