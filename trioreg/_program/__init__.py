"""A program: `run`, and what watches a running one.

Read first: `run.py`, then `instrument.py`. This wing knows all others, and none of them knows it.
"""

from .instrument import Instrument, add_instrument, remove_instrument
from .run import run
from .tree import Tree, tree

__all__ = ["Instrument", "Tree", "add_instrument", "remove_instrument", "run", "tree"]
