"""The partitioned registry: names, tables, patterns, events, locks, and addresses by name.

Read first: `registry.py` (the class that you use, and the files of its methods), then `names.py` (every change to a
name). Below them are the tables (`tables.py`, `partition.py`), queries and patterns (`query.py`,
`compiled_pattern.py`), and events (`events.py`, `notifier.py`).

This wing never starts or ends an actor. Other wings import from here, not from the files.
"""

from .bound_tables import Purpose
from .changes import Removals, Selection
from .entry import Entry
from .events import Event, Follower, Listener, Registered, Unregistered
from .holders import holders_of, keys_of
from .names import Names
from .pattern import ANY, Is, Var
from .registry import Registry, Via
from .table_viewer import Table, dump_of, tables_of

__all__ = [
    "ANY",
    "Entry",
    "Event",
    "Follower",
    "Is",
    "Listener",
    "Names",
    "Purpose",
    "Registered",
    "Registry",
    "Removals",
    "Selection",
    "Table",
    "Unregistered",
    "Var",
    "Via",
    "dump_of",
    "holders_of",
    "keys_of",
    "tables_of",
]
