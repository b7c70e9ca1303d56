"""`RestartLimit`: how many restarts one child may have, and what follows from one too many.

It only says so. `restart_intensity.py` counts, and `restarts.py` decides.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from .._runtime import SECONDS, require_number, require_whole

Then: TypeAlias = Literal["drop", "escalate"]


def require_limit(max_restarts: object, max_seconds: object) -> None:
    """`TypeError` or `ValueError` unless these two are a limit of restarts."""
    require_whole("max_restarts", max_restarts)
    require_number("max_seconds", max_seconds, what=SECONDS, infinite=True, zero=False)


@attrs.frozen
class RestartLimit:
    """A limit of restarts for one child, so that one sick child among a thousand does not end the others.

    ::

        await sessions.start_child(Session, user, limit=RestartLimit(5, 60))

    A child with a limit of its own counts its own restarts. They do not count against the ``max_restarts`` of its
    supervisor. Each child with the limit has a count of its own.

    Attributes:
        max_restarts: How many restarts are allowed within ``max_seconds``: a whole number, or ``math.inf``.
        max_seconds: The length of that time, in seconds.
        then: What follows from one more. ``"drop"``: the child is not restarted; its error is logged, and the others
            go on. A `Supervisor` keeps its spec, for `~Supervisor.restart_child`, and a `DynamicSupervisor` forgets
            it. ``"escalate"``: the supervisor gives up, as if its own limit were exceeded.

    Raises:
        TypeError, ValueError: An argument is not what is said above.
    """

    max_restarts: float = 3
    max_seconds: float = 5.0
    then: Then = "drop"

    def __attrs_post_init__(self) -> None:
        require_limit(self.max_restarts, self.max_seconds)
        if self.then not in ("drop", "escalate"):
            raise ValueError(f"then must be 'drop' or 'escalate', not {self.then!r}")
