"""What the observer shows of a running program, as plain data: a page is a file. It knows nothing of the web.

Read first: `page.py` (what a page is), `survey.py` (how the tree is walked), then `actors.py`; and `live.py` (when a
page that is open has its next look).

Must never happen: a look that holds the loop; an actor, an exception or a value that is kept after a look.
"""

from .actions import act
from .live import Watch
from .observation import Observation
from .pace import Pace
from .page import NotThere, Page, View
from .pages import PAGES
from .params import BadParam, Params

__all__ = ["PAGES", "BadParam", "NotThere", "Observation", "Pace", "Page", "Params", "View", "Watch", "act"]
