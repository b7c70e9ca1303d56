"""A running program: what watches it.

This wing knows all others, and none of them knows it.
"""

from .instrument import Instrument, add_instrument, remove_instrument

__all__ = ["Instrument", "add_instrument", "remove_instrument"]
