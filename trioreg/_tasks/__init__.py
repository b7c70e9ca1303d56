"""Streams of results: one async function over many items, at most *n* at a time.

Read first: `stream.py`, the only file.

This wing never leaves a task behind when its block is left.
"""

from .stream import Done, Failed, Outcome, TaskStream, open_stream

__all__ = ["Done", "Failed", "Outcome", "TaskStream", "open_stream"]
