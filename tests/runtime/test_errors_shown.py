"""trioreg's own errors can be shown, whatever is in them: Trio shows each error that leaves a nursery."""

from __future__ import annotations

from typing import Any, cast

import pytest

from trioreg import (
    AlreadyRegistered,
    ChildNotEnded,
    ChildNotFound,
    CrashedTooOften,
    NotRegistered,
    Registry,
    RestartLimitExceeded,
)
from trioreg._runtime import TrioregError


class Unshown:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


KEY = Unshown()
OWNER = cast("Any", "<owner>")


@pytest.mark.parametrize(
    "error",
    [
        AlreadyRegistered("names", KEY, OWNER, Unshown()),
        NotRegistered("names", KEY),
        NotRegistered("names", KEY, OWNER),
        ChildNotFound("supervisor", KEY),
        ChildNotEnded("supervisor", KEY, "running"),
        CrashedTooOften("carts", KEY, 3, 5, 1),
        RestartLimitExceeded("carts", KEY, 3, 5, is_of_child=True),
        RestartLimitExceeded("carts", KEY, 3, 5),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_shows_a_key_whose_repr_raises(error: TrioregError) -> None:
    shown = "<Unshown, whose repr raises RuntimeError>"
    assert shown in str(error)
    assert shown in repr(error)


def test_an_error_is_shown_as_any_exception_is() -> None:
    assert repr(ChildNotFound("supervisor", "db")) == "ChildNotFound('supervisor', 'db')"


def test_an_address_shows_a_key_whose_repr_raises() -> None:
    names: Registry[Unshown, None] = Registry("names")
    assert repr(names.via(KEY)) == "<via names <Unshown, whose repr raises RuntimeError>>"
