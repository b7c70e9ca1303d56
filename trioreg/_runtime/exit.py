"""How an actor ended."""

from __future__ import annotations

import copy
from typing import Any, Literal, TypeAlias

import attrs

from .shown import shown_error

ExitReason: TypeAlias = Literal["normal", "shutdown", "crashed", "killed"]


@attrs.frozen
class Exit:
    """How an actor ended, as `Address.wait` gives it.

    Synopsis::

        exit = await ref.wait()
        if exit.reason == "crashed":
            print(exit.error)

    Attributes:
        reason: ``"normal"`` (it returned, or `~Address.stop` ended it), ``"shutdown"`` (its supervisor, its cancel
            scope or `~Address.cancel` ended it), ``"crashed"`` (an exception), or ``"killed"`` (`~Address.kill`, or its
            ``shutdown`` seconds were over).
        error: The exception of a crash, else None.
        value: The result of a function actor, or what an actor gave to its own `Actor.stop`; else None.
        has_returned: Whether there is such a value: a result may be None. A function actor that `~Address.stop` cancels
            ends as ``"normal"`` too, and has no result. Comparisons ignore this.
    """

    reason: ExitReason
    error: BaseException | None = None
    value: object = None
    has_returned: bool = attrs.field(default=False, repr=False, eq=False)

    @property
    def is_abnormal(self) -> bool:
        """Whether the actor crashed or was killed: then a ``"transient"`` child is restarted."""
        return self.reason in ("crashed", "killed")

    def __deepcopy__(self, memo: dict[int, Any]) -> Exit:
        # Keep the raised error itself, with its traceback. A copy has no traceback, and many errors can't be copied.
        return self if self.value is None else attrs.evolve(self, value=copy.deepcopy(self.value, memo))

    def __str__(self) -> str:
        return self.reason if self.error is None else f"{self.reason}: {shown_error(self.error)}"


# Always the same, so there is no need to make them for each end.
NORMAL = Exit("normal")
SHUTDOWN = Exit("shutdown")
KILLED = Exit("killed")
