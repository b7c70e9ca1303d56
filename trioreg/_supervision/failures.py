"""What leaves a supervisor: one error, or one group with no group in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .._runtime import RestartLimitExceeded, flat

if TYPE_CHECKING:
    from collections.abc import Sequence


def combined(label: str, errors: Sequence[BaseException]) -> BaseException:
    """One error for what a supervisor has failed with. The first is `RestartLimitExceeded` if it gave up."""
    if len(errors) == 1:
        return errors[0]
    what = "gave up" if isinstance(errors[0], RestartLimitExceeded) else "failed"
    return BaseExceptionGroup(f"{label} {what}", flat(errors))


def as_one_group(group: BaseExceptionGroup[BaseException]) -> BaseExceptionGroup[BaseException]:
    """The group of a nursery, with no group in it."""
    members = flat([group])
    if len(members) == len(group.exceptions):
        return group
    # If the nursery has only wrapped another group, that one knows better what has happened.
    message = group.message
    while len(group.exceptions) == 1 and isinstance(group.exceptions[0], BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", group.exceptions[0])
        message = group.message
    return BaseExceptionGroup(message, members)
