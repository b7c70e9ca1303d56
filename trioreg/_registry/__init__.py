"""The partitioned registry: names, tables, patterns, events, locks, and addresses by name.

Read first: `registry.py` (what a user calls), then `names.py` (every change to a name).

This wing never starts or ends an actor. Other wings import from here, not from the files.
"""

from .entry import Entry
from .events import Event, Listener, Registered, Unregistered
from .pattern import ANY, Is, Var
from .registry import Registry, Via
from .table_viewer import Table

__all__ = ["ANY", "Entry", "Event", "Is", "Listener", "Registered", "Registry", "Table", "Unregistered", "Var", "Via"]
