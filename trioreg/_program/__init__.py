"""A running program: what watches it, and what it can be asked.

This wing knows all others, and none of them knows it.
"""

from .instrument import Instrument, add_instrument, remove_instrument
from .who import ActorReport, ActorTask, who

__all__ = ["ActorReport", "ActorTask", "Instrument", "add_instrument", "remove_instrument", "who"]
