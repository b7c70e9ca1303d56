"""A program: `run`, and what watches a running one.

Read first: `run.py`, then `instrument.py`. This wing knows all others, and none of them knows it.
"""

from .instrument import Instrument, add_instrument, hooks_of, remove_instrument
from .run import run

__all__ = ["Instrument", "add_instrument", "hooks_of", "remove_instrument", "run"]
