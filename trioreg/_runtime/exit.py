"""How an actor ended: a fact, not a behaviour."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

ExitReason: TypeAlias = Literal["normal", "shutdown", "crashed", "killed"]


@attrs.frozen
class Exit:
    """How an actor ended, as `Address.wait` gives it.

    Synopsis::

        exit = await ref.wait()
        if exit.reason == "crashed":
            print(exit.error)

    Attributes:
        reason: ``"normal"`` (it returned, or was asked to `~Address.stop`), ``"shutdown"`` (its supervisor or its
            cancel scope ended it, or `~Address.cancel` did), ``"crashed"`` (an exception), or ``"killed"``
            (`~Address.kill`).
        error: The exception of a crash, else None.
        value: What a function actor returned, else None.
        has_returned: Whether a function actor returned: ``value`` is its result then, and may be None. (One that is
            cancelled by `~Address.stop` ends as ``"normal"`` too, and has none.) It does not count in a comparison.
    """

    reason: ExitReason
    error: BaseException | None = None
    value: object = None
    has_returned: bool = attrs.field(default=False, repr=False, eq=False)

    @property
    def is_abnormal(self) -> bool:
        """Whether a ``"transient"`` child is restarted after it: it crashed or was killed."""
        return self.reason in ("crashed", "killed")

    def __str__(self) -> str:
        return self.reason if self.error is None else f"{self.reason}: {self.error!r}"


# Facts that are always the same need not be made for each end.
NORMAL = Exit("normal")
SHUTDOWN = Exit("shutdown")
KILLED = Exit("killed")
