"""A program: `run`, what watches a running one, and what that can be asked.

Read first: `run.py`, then `instrument.py`, `tree.py` and `who.py`. This wing knows all others, and none of them knows
it.
"""

from .dump import dump
from .instrument import Instrument, add_instrument, hooks_of, remove_instrument
from .registries import RegistryInfo, names_of, registries
from .run import run
from .state import accepting, replace_state, require_address, state
from .tree import Tree, tree
from .who import ActorReport, ActorTask, report_of, who

__all__ = [
    "ActorReport",
    "ActorTask",
    "Instrument",
    "RegistryInfo",
    "Tree",
    "accepting",
    "add_instrument",
    "dump",
    "hooks_of",
    "names_of",
    "registries",
    "remove_instrument",
    "replace_state",
    "report_of",
    "require_address",
    "run",
    "state",
    "tree",
    "who",
]
