"""A program: `run`, what watches a running one, and what that can be asked.

Read first: `run.py`, then `instrument.py`, `tree.py` and `who.py`. This wing knows all others, and none of them knows
it.
"""

from .dump import dump
from .instrument import Instrument, add_instrument, hooks_of, remove_instrument
from .registries import RegistryInfo, registries
from .run import run
from .tree import Tree, tree
from .who import ActorReport, ActorTask, report_of, who

__all__ = [
    "ActorReport",
    "ActorTask",
    "Instrument",
    "RegistryInfo",
    "Tree",
    "add_instrument",
    "dump",
    "hooks_of",
    "registries",
    "remove_instrument",
    "report_of",
    "run",
    "tree",
    "who",
]
