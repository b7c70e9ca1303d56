"""The rules that a supervisor can be given: which children are restarted, and when it ends by itself."""

from __future__ import annotations

from typing import Literal, TypeAlias

Strategy: TypeAlias = Literal["one_for_one", "one_for_all", "rest_for_one"]
AutoShutdown: TypeAlias = Literal["never", "any_significant", "all_significant"]


def require_strategy(strategy: object) -> None:
    """`ValueError` unless this is a `Strategy`."""
    if strategy not in ("one_for_one", "one_for_all", "rest_for_one"):
        raise ValueError(f"strategy must be 'one_for_one', 'one_for_all' or 'rest_for_one', not {strategy!r}")


def require_auto_shutdown(auto_shutdown: object) -> None:
    """`ValueError` unless this is an `AutoShutdown`."""
    if auto_shutdown not in ("never", "any_significant", "all_significant"):
        raise ValueError(
            f"auto_shutdown must be 'never', 'any_significant' or 'all_significant', not {auto_shutdown!r}"
        )
