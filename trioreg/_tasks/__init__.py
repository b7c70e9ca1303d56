"""Streams of results: one async function over many items, at most *n* at a time.

Read first: `open_stream.py` (what a user calls), then `stream.py` (how the items run).

This wing never leaves a task behind when the block of a stream ends. Other wings import from here, not from the files.
"""

from .open_stream import StreamBlock, open_stream
from .outcome import Done, Failed, Outcome
from .stream import TaskStream

__all__ = ["Done", "Failed", "Outcome", "StreamBlock", "TaskStream", "open_stream"]
