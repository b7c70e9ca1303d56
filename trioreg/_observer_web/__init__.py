"""The observer on the web: an ASGI application with its pages, its live streams and its rules of security.

Read first: `app.py` (which address leads to which page), `guard.py` (what each request must pass), `stream.py` (a page
that lives). Then `serving.py` and `server.py`: the observer's own server.

Must never happen: a page that is answered without the token; a client that slows the program.
"""

from .app import ObserverApp
from .observer_actor import Observer
from .serving import Opened, open_listeners, settings_of

__all__ = ["Observer", "ObserverApp", "Opened", "open_listeners", "settings_of"]
