"""The observer in a terminal: it asks a running program over HTTP, and shows the answers as text.

Read first: `command.py` (what the command does), `look.py` (what is asked), then `screen.py` (what you see).

Must never happen: a text of the program that the terminal takes for a command; a token that goes to another host.
"""

from .command import main

__all__ = ["main"]
