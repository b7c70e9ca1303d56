"""`Registry` and `Via` are made of several private classes; what a user sees names the public ones only."""

from __future__ import annotations

import inspect

import pytest

from trioreg import Registry, Via


@pytest.mark.parametrize("cls", [Registry, Via])
def test_methods_bear_the_public_name_of_their_class(cls: type) -> None:
    own = [
        method
        for base in cls.__mro__
        if base.__module__.startswith("trioreg._registry") or base is cls
        for method in vars(base).values()
        if inspect.isfunction(method)
    ]
    assert len(own) > 3
    assert {method.__qualname__.partition(".")[0] for method in own} == {cls.__name__}


def test_an_error_of_a_wrong_call_names_the_public_method(names: Registry[str, int]) -> None:
    with pytest.raises(TypeError, match=r"^Registry\.whereis\(\) missing 1 required"):
        names.whereis()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
