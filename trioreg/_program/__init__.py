"""A program: `run`, what watches a running one, and what that can be asked.

Read first: `run.py`, then `instrument.py`. This wing knows all others, and none of them knows it.
"""

from .instrument import Instrument, add_instrument, remove_instrument
from .run import run
from .who import ActorReport, ActorTask, who

__all__ = ["ActorReport", "ActorTask", "Instrument", "add_instrument", "remove_instrument", "run", "who"]
