"""Supervisors: children, strategies, restarts, and shutdown.

Read first: `supervisor.py` (what a user calls), then `engine.py` (what every supervisor does, and which file does which
part of it), then `restarts.py` (what the end of a child means).

This wing never loses an error, and never restarts what was ended on purpose. It knows actors and names, and does not
look into a mailbox. Other wings import from here, not from the files.
"""

from .backoff import Backoff
from .child import Child
from .child_info import ChildCounts, ChildInfo
from .child_spec import ChildSpec
from .connections import connection_handler
from .dynamic_supervisor import DynamicSupervisor, open_dynamic_supervisor
from .engine import Engine, engine_of
from .failures import as_one_group
from .on_demand import OnDemand
from .on_demand_supervisor import OnDemandSupervisor, open_on_demand
from .partition_supervisor import PartitionSupervisor, open_partition_supervisor
from .partitions import Partitions, number_of
from .restart_intensity import RestartIntensity
from .restart_limit import RestartLimit
from .strategy import AutoShutdown, Strategy
from .supervisor import Supervisor, open_supervisor
from .supervisor_base import SupervisorBase, require_name
from .supervisor_block import SupervisorBlock
from .tree import TreeChild, TreeSupervisor, node_of, tops_of, walk
from .tree_text import format_trees, line_of
from .typed_child import child

__all__ = [
    "AutoShutdown",
    "Backoff",
    "Child",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "DynamicSupervisor",
    "Engine",
    "OnDemand",
    "OnDemandSupervisor",
    "PartitionSupervisor",
    "Partitions",
    "RestartIntensity",
    "RestartLimit",
    "Strategy",
    "Supervisor",
    "SupervisorBase",
    "SupervisorBlock",
    "TreeChild",
    "TreeSupervisor",
    "as_one_group",
    "child",
    "connection_handler",
    "engine_of",
    "format_trees",
    "line_of",
    "node_of",
    "number_of",
    "open_dynamic_supervisor",
    "open_on_demand",
    "open_partition_supervisor",
    "open_supervisor",
    "require_name",
    "tops_of",
    "walk",
]
